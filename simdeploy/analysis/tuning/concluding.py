"""The tables of a `Tuning`, made from the findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.judging import MET, MISSED
from simdeploy.analysis.asking.pricing import describe_costs
from simdeploy.analysis.asking.verdicts import Direction, find_direction, judge_change, why_unclear
from simdeploy.analysis.tuning import result
from simdeploy.analysis.tuning.findings import EQUAL, NOT_KNOWN, OPEN, RULED_OUT, Findings, judge_candidates
from simdeploy.analysis.tuning.question import WORLDS_OF_A_BATCH, Question
from simdeploy.analysis.tuning.space import CURRENT, DEFAULTS
from simdeploy.experiments.levers import change_quietly, find_levers
from simdeploy.result import interval_cells, make_frame
from simdeploy.scenario.written_specs import write_specs
from simdeploy.statistics.estimators import NO_ESTIMATE, estimate_values

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.tuning.confirmed import Confirmed
    from simdeploy.analysis.tuning.neighbours import Neighbourhood
    from simdeploy.experiments.campaign import Campaign
    from simdeploy.scenario import Scenario
    from simdeploy.scenario.measures import Requirement


def report(
    scenario: Scenario,
    question: Question,
    findings: Findings,
    confirmed: Confirmed | None,
    *,
    indifference: float,
    campaign: Campaign,
    nearby: Neighbourhood,
) -> result.Tuning:
    """Build the result; `confirmed` is None if no candidate is known to meet the requirements."""
    roles: dict[str, int] = {}
    choice, probability = None, math.nan
    doubt: result.Doubt | None = None
    if confirmed is not None:
        roles = _name_roles(question, findings, confirmed)
        selection = confirmed.selection
        findings.outcome[confirmed.choice] = "chosen"
        for role, place in roles.items():
            if role.startswith(result.RUNNER_UP):
                findings.outcome[confirmed.shown[place]] = "indistinguishable from the choice"
        choice = findings.candidates.choice(confirmed.choice)
        probability, doubt = selection.probability_correct, _find_doubt(question, findings, confirmed, indifference)
        if campaign.has_repeated_records and len(findings.candidates) > 1:
            doubt = "records"
    if confirmed is None and question.requirements:
        # Candidates that may meet the requirements can't be compared with a choice, because there is none.
        findings.outcome[np.isin(findings.outcome, [OPEN, RULED_OUT])] = NOT_KNOWN
    is_decided = confirmed is not None and doubt is None
    binding, gain = _find_binding(confirmed, roles)
    candidates = _tabulate_candidates(findings)
    is_left = candidates["outcome"].eq(NOT_KNOWN)
    return result.Tuning(
        of=question.objective,
        direction="min" if question.sign > 0 else "max",
        requirements=question.requirements,
        choice=choice,
        specs={} if choice is None else _specs(scenario, question, choice),
        policies=_tabulate_policies(question, confirmed, roles),
        verdicts=_tabulate_verdicts(question, confirmed, roles),
        binding=binding,
        gain_without_binding=gain,
        out_of_reach=_tabulate_nearest(question.requirements if choice is None else (), findings),
        candidates=candidates,
        stages=make_frame(findings.stages, result.STAGE),
        current_policy=question.base.name,
        n_possible=findings.candidates.n_possible,
        at_end=() if confirmed is None else nearby.ends(findings.candidates, findings.list_equal(confirmed.choice)),
        largest_wave=findings.candidates.largest_wave,
        n_beyond_largest_wave=findings.candidates.n_beyond,
        current_wave=question.current_wave,
        indifference=indifference,
        confidence_level=question.confidence_level,
        is_decided=is_decided,
        doubt=doubt,
        rollouts_to_decide=_find_rollouts_to_decide(question, confirmed) if doubt == "budget" else math.nan,
        expected_correct=probability if question.final is not None else math.nan,
        probability_correct=_state_probability(question, probability, is_decided=is_decided),
        keeps_current=choice is not None and not result.find_changes(choice, candidates),
        n_undecided=int(is_left.sum()) if choice is None and question.requirements else 0,
        has_used_records=campaign.has_used_records,
        n_failed=campaign.n_failed,
        computed_under=campaign.computed_under(scenario) | describe_costs(scenario.costs, question.measures),
    )


def _find_doubt(
    question: Question, findings: Findings, confirmed: Confirmed, indifference: float
) -> result.Doubt | None:
    """Return why the recommendation has no stated probability; None if it has."""
    estimate = estimate_values(
        confirmed.measured.of[question.objective][0], question.objective, question.confidence_level
    )
    if confirmed.is_contradicted:
        return "contradicted"
    if findings.is_cut or not (confirmed.selection.is_decided or question.final is not None):
        return "budget"
    if not estimate.is_trusted:
        return "skewed"
    bound = question.sign * estimate.estimate - indifference
    is_rival = (findings.outcome == NOT_KNOWN) & (question.sign * findings.estimates < bound)
    return "requirements" if is_rival.any() else None


def _find_rollouts_to_decide(question: Question, confirmed: Confirmed | None) -> float:
    """Return the budget that would decide the selection; NaN if something other than the budget leaves it open."""
    if confirmed is None or confirmed.selection.is_decided or question.final is not None:
        return math.nan
    return float(confirmed.selection.n_needed * WORLDS_OF_A_BATCH)


def _state_probability(question: Question, probability: float, *, is_decided: bool) -> float:
    if not is_decided:
        return math.nan
    if question.final is None:
        return question.confidence_level
    # Earlier eliminations may have been wrong, too.
    return min(probability, (1 + question.confidence_level) / 2) if not math.isnan(probability) else math.nan


def _name_roles(question: Question, findings: Findings, confirmed: Confirmed) -> dict[str, int]:
    """Return the shown candidates to report by role, such as recommended, runner-up or current policy."""
    shown = confirmed.shown
    roles = {result.CHOICE: 0}
    today = {role: findings.candidates.roles[role] for role in (CURRENT, DEFAULTS)}
    n_runners_up = 0
    for place, number in enumerate(shown):
        if place > 0 and findings.outcome[number] == OPEN and confirmed.is_near(place):
            n_runners_up += 1
            roles[f"{result.RUNNER_UP}{n_runners_up}"] = place
    # API defaults may be the current policy, and the current policy may be the recommended one.
    others = {role: shown.index(number) for role, number in today.items() if number != shown[0]}
    roles |= {role: place for role, place in others.items() if role != DEFAULTS or place != others.get(CURRENT)}
    judged, _ = judge_candidates(confirmed.measured.of, question.requirements, confirmed.alpha)
    names = [str(requirement) for requirement in question.requirements]
    for name, number in confirmed.held_back.items():
        place = shown.index(number)
        expected = [MISSED if other == name else MET for other in names]
        if confirmed.is_better(place) and [of_requirement.verdict[place] for of_requirement in judged] == expected:
            roles[f"{result.WITHOUT}{name}"] = place
    return roles


def _tabulate_policies(question: Question, confirmed: Confirmed | None, roles: Mapping[str, int]) -> pd.DataFrame:
    rows = []
    for measure in dict.fromkeys([question.objective, *question.shown]):
        is_objective, n_of_choice = measure == question.objective, 0
        direction: Direction | None = (
            ("min" if question.sign > 0 else "max") if is_objective else find_direction(measure)
        )
        for role, place in roles.items():
            assert confirmed is not None  # noqa: S101 - there are roles
            estimate = estimate_values(confirmed.measured.of[measure][place], measure, question.confidence_level)
            if place == 0:
                less, n_of_choice = NO_ESTIMATE, estimate.n
            elif is_objective:
                less = confirmed.less_the_choice(place)
            else:
                less = confirmed.difference(place, measure, question.confidence_level)
            unknown = max(1 - estimate.n / n_of_choice, 0.0) if is_objective and n_of_choice else math.nan
            is_unknown = unknown > 0 or math.isnan(less.estimate)
            verdict = judge_change(*less.limits, direction, unknown=is_unknown) if place else None
            rows.append(
                {
                    "policy": role,
                    "candidate": confirmed.shown[place],
                    "measure": str(measure),
                    **estimate.to_row(),
                    **interval_cells("difference", less),
                    "verdict": verdict,
                    "reason": why_unclear(verdict, is_trusted=less.is_trusted),
                    "unknown_fraction": unknown,
                }
            )
    return make_frame(rows, result.POLICY)


def _tabulate_verdicts(question: Question, confirmed: Confirmed | None, roles: Mapping[str, int]) -> pd.DataFrame:
    rows = []
    if confirmed is not None:
        judged, _ = judge_candidates(confirmed.measured.of, question.requirements, confirmed.alpha)
        for role, place in roles.items():
            for requirement, of_requirement in zip(question.requirements, judged, strict=True):
                cells = {
                    name: getattr(of_requirement, name)[place].item()
                    for name in ("estimate", "low", "high", "n", "verdict")
                }
                rows.append({"policy": role, "requirement": str(requirement), **cells})
    return make_frame(rows, result.VERDICT)


def _find_binding(confirmed: Confirmed | None, roles: Mapping[str, int]) -> tuple[str | None, float]:
    """Find the requirement whose removal gives the largest significant improvement, and how large that is."""
    gains = [(0.0, "")]
    for role, place in roles.items():
        if confirmed is not None and role.startswith(result.WITHOUT):
            less = confirmed.less_the_choice(place)
            gains.append((abs(less.estimate), role.removeprefix(result.WITHOUT)))
    gain, name = max(gains)
    return (name, gain) if name else (None, math.nan)


def _tabulate_nearest(requirements: Sequence[Requirement], findings: Findings) -> pd.DataFrame:
    """Return for each requirement the nearest estimate among eligible candidates that meet all others."""
    rows = []
    is_eligible = ~np.isin(findings.outcome, [*result.VALUELESS, result.REFERENCE])
    for place, requirement in enumerate(requirements):
        others = [other for other in range(len(requirements)) if other != place]
        values = findings.required[is_eligible & findings.meets(requirements, others), place]
        values = values[~np.isnan(values)]
        nearest = values.min if requirement.at_most is not None else values.max
        rows.append({"requirement": str(requirement), "estimate": float(nearest()) if len(values) else math.nan})
    return make_frame(rows, result.NEAREST)


def _specs(scenario: Scenario, question: Question, choice: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    base = question.base
    levers = find_levers(choice, [], [base.spec])
    values = dict(zip(levers, choice.values(), strict=True))
    # A limit that can never stop a rollout is intended here, because the other limit decides.
    return write_specs(change_quietly(base, values, scenario), scenario)


def _tabulate_candidates(findings: Findings) -> pd.DataFrame:
    import pandas as pd

    candidates = findings.candidates
    frame = pd.DataFrame({"candidate": np.arange(len(candidates))})
    for name, values in candidates.columns(range(len(candidates))).items():
        frame[name] = pd.Series(values, dtype=object)
    frame["n"] = findings.worlds
    frame["estimate"] = findings.estimates
    frame["outcome"] = pd.Series(findings.outcome, dtype="str")
    is_equal = findings.outcome == EQUAL
    frame["equal_to"] = pd.array(np.where(is_equal, findings.equal_to, -1), dtype="Int64")
    frame.loc[~is_equal, "equal_to"] = pd.NA
    return frame
