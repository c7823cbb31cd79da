"""Whether policies meet their requirements: replicate until decided, or until the budget is spent."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from simdeploy.analysis.asking.allocating import plan_next
from simdeploy.analysis.asking.judging import RequirementVerdict, join, judge, plan_looks
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import describe_costs
from simdeploy.analysis.asking.requirements import Asked
from simdeploy.analysis.asking.simulating import find_divided
from simdeploy.analysis.checking.asked import Question, ask, check_numbers
from simdeploy.experiments import arguments
from simdeploy.experiments.arguments import Progress, choose_policies
from simdeploy.experiments.by_kind import sweep_kinds
from simdeploy.experiments.campaign import Campaign
from simdeploy.experiments.kinds import kinds_of
from simdeploy.result import INTERVAL, Columns, Result, floats, make_frame
from simdeploy.scenario import PoliciesLike, Scenario, ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.jobs import Executor
    from simdeploy.experiments.result import SweepResult

_ROW = {
    "policy": "str",
    "requirement": "str",
    "of": "str",
    "quantile": "float64",
    "given": "str",
    **floats("at_most", "at_least"),
    "verdict": "str",
    **INTERVAL,
    "n": "int64",
    "replications": "int64",
    "unknown_fraction": "float64",
    "may_be_decided": "bool",
    "lacks_records": "bool",
    "reason": "str",
}


@dataclass(frozen=True, eq=False, repr=False)
class Check(Result):
    """Result of `check`.

    Attributes
    ----------
    verdicts : DataFrame
        One row per policy and requirement: `policy`, `requirement` as text, its parts `of`, `quantile`, `given`, `at_most`,
        `at_least`; `verdict` ("met", "not met", "undecided"), `estimate`, the bounds `low` and `high`, `n`
        (observations used), `replications` (needed), `unknown_fraction` (share of rollouts that never end, so their
        value is unknown), `may_be_decided` (undecided, but a larger budget may decide it), `lacks_records` (undecided
        because there are too few rollouts on record), and the `reason` if undecided.
    confidence_level : float
        Holds for each verdict and each bound separately, at any look.
    looks : tuple of int
        Numbers of replications at which requirements are judged; the last is the budget.
    n_failed : dict of str to int
        Failed replications per policy; they are left out.
    failures : dict of str to str
        Per policy with failures, the error of the first.
    computed_under : dict
        Scenario, seed, switches and engine ("none" if nothing had to be simulated; "auto" may start with one and
        continue with the other); and the costs, if a measure uses them.
    """

    also = ("verdict", "lacks_records")
    verdicts: Annotated[pd.DataFrame, Columns(_ROW, words={"verdict": RequirementVerdict})]
    confidence_level: float
    looks: tuple[int, ...]
    n_failed: Mapping[str, int]
    failures: Mapping[str, str]
    computed_under: Mapping[str, Any]

    @property
    def verdict(self) -> RequirementVerdict:
        """Overall verdict: "not met" if any is not met, "met" if all are."""
        verdict: RequirementVerdict = join(self.verdicts["verdict"].to_numpy(str)[None])[0].item()
        return verdict

    @property
    def lacks_records(self) -> bool:
        """Whether a requirement is undecided because there are too few rollouts on record."""
        return bool(self.verdicts["lacks_records"].any())


def check(
    scenario: ScenarioOrPath,
    policies: PoliciesLike | None = None,
    *,
    requirements: Asked | None = None,
    most: int = 10_000,
    confidence_level: float = 0.95,
    seed: int = 0,
    engine: str = "auto",
    executor: Executor | None = None,
    workers: int = 1,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Check:
    r"""Check whether policies meet requirements, with as many replications as needed.

    Parameters
    ----------
    scenario : Scenario or path
    policies : str, path, mapping, spec or document, or several, optional
        Policies to check, as for `replicate`; by default all of the scenario's.
    requirements : str or Requirement, or several of them, optional
        For example ``"false_alarm given good <= 1%"``; by default the scenario's.
    most : int, default 10,000
        Budget: replications of each policy.
    confidence_level : float, default 0.95
        Of each verdict separately, above 0.5 and below 1.
    seed : int, default 0
    engine : {'auto', 'compiled', 'reference'}
    executor, workers, cluster
        As for `replicate`.
    store : path-like, optional
        A folder for all rollouts; the same call resumes from it.
    progress : bool or callable, default False
        As for `replicate`; a callable receives the rollouts done and the total at the next look.

    Returns
    -------
    Check

    Raises
    ------
    InputError
        If there are no requirements, or an argument is invalid.

    Warns
    -----
    SimdeployWarning
        If a replication failed.

    Notes
    -----
    Requirements are judged at K looks: after 100, 200, 400, ... replications, and after `most`. Each look at a
    requirement errs with probability at most :math:`(1 - confidence\_level) / K`, so all looks together err with at
    most :math:`1 - confidence\_level`, whenever they stop (Boole's inequality;
    `simdeploy.analysis.asking.judging.judge` has the tests). A verdict is final once reached. A policy without open
    requirements is replicated no further.

    The confidence holds for each verdict separately: of 20 verdicts at 95 %, one may be wrong. A requirement that can
    never be decided (an impossible condition, a mean with fewer than 1,000 replications) is undecided at once, without
    simulation. Rollouts outside a measure's condition are left out. A rollout that never ends could still break any
    limit, so a requirement with such an unknown value stays undecided, and the policy is replicated no further for it.
    Rates of `paused` and `in_progress` are known for every rollout.

    If a requirement depends on the kind of release, each kind is simulated in worlds of its own: none if no open requirement
    concerns it, and most if its values vary most (`simdeploy.analysis.asking.allocating.plan_rest`). Rates of verdicts are exact
    if they are known without simulation (`docs/model.md`, section 7).

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "1m", "start_failure": 0.02},
    ...     "policies": {"strict": {"strategy": "immediate", "max_failed_nodes": 0}},
    ... })
    >>> found = check(scenario, requirements=["false_alarm given good <= 5%", "p95 makespan_s <= 2m"], most=200)
    >>> found.verdicts[["requirement", "verdict", "replications"]]
                          requirement  verdict  replications
    0  false_alarm given good <= 0.05  not met           100
    1           p95 makespan_s <= 120      met           100
    >>> found.verdict
    'not met'
    """
    scenario = as_scenario(scenario)
    most = check_numbers(confidence_level, most)
    seed = arguments.read_seed(seed, engine)
    chosen, problems = choose_policies(scenario, policies)
    questions = ask(scenario, requirements, chosen, most, problems)
    looks = plan_looks(most)
    error = (1 - confidence_level) / len(looks)
    n_failed = dict.fromkeys((question.policy for question in questions), 0)
    failures: dict[str, str] = {}
    # Even a single kind is simulated separately, because chances of its verdicts may be known; but records may not state kinds.
    fewest = 1 if scenario.past is None else 2
    taken: dict[str, int] = {}  # worlds of each kind of release, if each has its own
    campaign = Campaign(seed, engine, executor, workers, cluster, store, progress, parts=r"look-\d{2,}(-kind-\d{2,})?")
    for number, (before, look) in enumerate(pairwise((0, *looks))):
        still_open = [question for question in questions if question.is_open]
        if not still_open:
            break
        asked = {question.policy: chosen[question.policy] for question in still_open}
        part = f"look-{number:02d}"
        open_measures = [question.requirement.measure for question in still_open]
        concerned = find_divided(scenario, asked.values(), open_measures, looks[0], fewest=fewest)
        if taken and not concerned:  # open requirements depend on no kind, but the worlds are divided already
            concerned = tuple(taken)
        if taken or (concerned and not number):
            judged = [(q.requirement.measure, q.seen[None]) for q in still_open if q.seen is not None]
            worlds = plan_next(kinds_of(scenario), concerned, taken, judged, look - before)
            taken |= {kind: numbers.stop for kind, numbers in worlds.items()}
            result = sweep_kinds(campaign, scenario, asked, worlds, part=part)
        else:
            result = campaign.sweep({scenario.name: scenario}, asked, part=part, replications=range(before, look))
        rows = result.to_frame(["policy", "replication", "status", "stage", "error"])
        for row in rows[rows["status"].eq("failed")].to_dict("records"):
            n_failed[row["policy"]] += 1
            failures.setdefault(row["policy"], f"replication {row['replication']}, {row['stage']}: {row['error']}")
        ran = set(rows.loc[rows["status"].ne("failed"), "policy"])
        for question in still_open:
            question.has_run |= question.policy in ran
        _look(result, still_open, scenario, look, error)
    campaign.warn_of_failures()
    measures = [question.requirement.measure for question in questions]
    return Check(
        verdicts=make_frame([_row(question) for question in questions], _ROW),
        confidence_level=confidence_level,
        looks=looks,
        n_failed=n_failed,
        failures=failures,
        computed_under=campaign.computed_under(scenario) | describe_costs(scenario.costs, measures),
    )


def _look(responses: SweepResult, questions: list[Question], scenario: Scenario, look: int, error: float) -> None:
    """Add the replications' values to each question, and decide it if possible."""
    values = Values(
        responses,
        list(dict.fromkeys(q.requirement.measure for q in questions)),
        costs=scenario.costs,
        release=scenario.release,
    )
    places = {policy: place for place, policy in enumerate(values.cases["policy"])}
    for question in questions:
        measure, place = question.requirement.measure, places[question.policy]
        observed = values.sample(measure)[place]
        question.seen = observed if question.seen is None else question.seen.join(observed)
        meant, unknown = values.count_unknown(measure)
        question.n_meant += float(meant[place])
        question.n_unknown += float(unknown[place])
        question.judged = judge(question.seen[None], question.requirement, error, unknown=question.n_unknown > 0)
        question.replications = look


def _row(question: Question) -> dict[str, Any]:
    requirement, judged = question.requirement, question.judged
    estimate = dict.fromkeys(("estimate", "low", "high"), math.nan) | {"n": 0}
    if judged is not None:
        estimate = {name: getattr(judged, name).item() for name in estimate}
    return {
        "policy": question.policy,
        "requirement": str(requirement),
        "of": requirement.measure.of,
        "quantile": requirement.measure.quantile,
        "given": requirement.measure.given,
        "at_most": requirement.at_most,
        "at_least": requirement.at_least,
        "verdict": question.verdict,
        **estimate,
        "replications": question.replications,
        "unknown_fraction": question.unknown_fraction,
        "may_be_decided": question.may_be_decided,
        "lacks_records": question.lacks_records,
        "reason": question.reason,
    }
