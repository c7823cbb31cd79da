"""`estimate_rare` by importance sampling: pilots choose the tilt and effort for each kind of release before estimation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.rare.combining import Part, combine, exact_limit, main_part
from simdeploy.analysis.rare.events import Met, look_for
from simdeploy.analysis.rare.kinds import Kind, Pilot, divide_rollouts, find_kinds
from simdeploy.analysis.rare.result import STEP_COLUMNS, Doubt, doubt_hidden, doubt_unknown
from simdeploy.analysis.rare.tilting import Rung, choose_tilt, judge_tilt
from simdeploy.errors import Problem, nearest, raise_if_any
from simdeploy.result import make_frame
from simdeploy.statistics.weights import FEWEST_HITS, Diagnosis, diagnose, ratio, weighted_limit
from simdeploy.world.tilt import NO_TILT, Tilt, find_untiltable, tiltable

if TYPE_CHECKING:
    from simdeploy.analysis.rare.question import Question
    from simdeploy.scenario import Scenario


# Expected hits of plain rollouts from which on no tilt is needed.
_ENOUGH_HITS = 2 * FEWEST_HITS


def estimate_by_importance(
    question: Question, tilt: Tilt | Mapping[str, float] | Sequence[str] | None
) -> dict[str, Any]:
    """Return the fields of a `Rare` other than the question; `tilt` is as for `estimate_rare`."""
    kinds = find_kinds(question)
    asked = _read_tilt(question.scenario, tilt)
    plans = [_plan(question, kind, asked) for kind in kinds]
    counts = divide_rollouts(question, kinds, [plan.pilot for plan in plans])
    estimates = [_estimate(question, *each) for each in zip(kinds, plans, counts, strict=True)]
    parts = [each.part for each in estimates]
    main = plans[main_part(parts)].tilt
    steps = [
        {"kind": kind.name, "stage": 0, "tilt": str(rung.tilt), "level": math.nan, "n": question.pilot_rollouts}
        | {"n_hits": rung.n_hits, "fraction": rung.score, "used": rung.tilt == plan.tilt}
        for kind, plan in zip(kinds, plans, strict=True)
        for rung in plan.rungs
    ]
    return {
        **combine(parts, question.condition, question.confidence_level, sum(each.n_failed for each in estimates)),
        "tilt": main.factors,
        "levels": (),
        "counts": "",
        "diagnosis": _diagnose_all(estimates),
        "steps": make_frame(steps, STEP_COLUMNS),
    }


class _Plan(NamedTuple):
    tilt: Tilt
    pilot: Pilot
    rungs: list[Rung]  # all tilts that were tried


class _Found(NamedTuple):
    part: Part
    weights: np.ndarray
    contributions: np.ndarray
    diagnosis: Diagnosis
    n_failed: int


def _plan(question: Question, kind: Kind, asked: Tilt | Sequence[str]) -> _Plan:
    """Choose a kind's tilt in a pilot, or assess the given one; the pilot also shows how many hits to expect.

    In a fleet with events that can't be tilted it chooses none, because tilted rollouts may miss these and have no limit then.
    """
    worlds, number = kind.pilot_worlds(question.pilot_rollouts), count()

    def try_tilt(candidate: Tilt) -> Met:
        return _run(question, kind, candidate, worlds, f"pilot-{next(number):03d}")

    if not isinstance(asked, Tilt):
        release = [each for each in kind.scenario.drawn_release if each.probability]
        fleet = kind.scenario.fleet
        tiltable_names = () if find_untiltable(fleet) else tiltable(fleet, release, kind.scenario.operator)
        plain_hits = _ENOUGH_HITS * question.pilot_rollouts / question.rollouts
        rung, rungs = choose_tilt(try_tilt, [name for name in tiltable_names if name in asked], plain_hits=plain_hits)
    else:
        rung = judge_tilt(asked, try_tilt(asked))
        rungs = [rung]
    # If the event never occurred in a pilot, use no tilt: an exact limit needs unweighted rollouts.
    tilt = rung.tilt if rung.n_hits else NO_TILT
    # If all rollouts of the pilot hit, that may be luck, and the estimate needs as many rollouts as if one had not.
    hit_fraction = min(rung.effective_hits, question.pilot_rollouts - 1) / question.pilot_rollouts
    return _Plan(tilt, Pilot(rung.estimate, hit_fraction), rungs)


def _estimate(question: Question, kind: Kind, plan: _Plan, n: int) -> _Found:
    met = _run(question, kind, plan.tilt, kind.worlds(n), "estimate")
    known = met.is_known
    weights, contributions = met.weights[known], (met.weights * met.happened)[known]
    diagnosis = diagnose(weights, contributions, plan.pilot.hit_fraction * n)
    n_open = met.n_unknown + met.n_failed  # the event may have occurred in any of them
    # With a given tilt. They stay as rare as without, so the rollouts may have met none of them.
    hidden = doubt_hidden(find_untiltable(kind.scenario.fleet)) if plan.tilt.factors else []
    if not plan.tilt.factors:
        limit = exact_limit(int(met.happened.sum()) + n_open, n, question.confidence_level)
    else:
        limit = 1.0 if n_open or hidden else weighted_limit(weights, contributions, question.confidence_level)
    part = Part(
        kind,
        happened=contributions,
        concerned=(met.weights * met.concerned)[known],
        n=n,
        n_pilot=question.pilot_rollouts * len(plan.rungs),
        n_hits=diagnosis.n_hits,
        effective_hits=diagnosis.effective_hits,
        n_plain=len(weights) if (weights == 1).all() else 0,
        n_touched=float(met.touched.sum()),
        plain_touched=ratio(weights * met.touched[known], weights)[0],
        doubts=(*doubt_unknown(met.n_unknown), *hidden, *map(Doubt, diagnosis.doubts)),
        limit=limit,
        mean_weight=diagnosis.mean_weight,
        mean_weight_error=diagnosis.mean_weight_error,
        tilt=str(plan.tilt),
    )
    return _Found(part, weights, contributions, diagnosis, met.n_failed)


def _diagnose_all(estimates: Sequence[_Found]) -> dict[str, bool | int | float]:
    """Return the diagnosis of all rollouts together, weighted by kind, with the heaviest tail of any kind."""
    n, total = sum(each.part.n for each in estimates), sum(each.part.kind.probability for each in estimates)
    scales = [each.part.kind.probability / total * n / each.part.n for each in estimates]
    weights, contributions = (
        np.concatenate([scale * of_kind for scale, of_kind in zip(scales, arrays, strict=True)])
        for arrays in ([each.weights for each in estimates], [each.contributions for each in estimates])
    )
    tails = [each.diagnosis.k_hat for each in estimates if not math.isnan(each.diagnosis.k_hat)]
    joined = replace(diagnose(weights, contributions), k_hat=max(tails, default=math.nan))
    fields = {name: value for name, value in asdict(joined).items() if name != "doubts"}
    return fields | {"is_bounded": joined.k_hat == -math.inf}


def _run(question: Question, kind: Kind, tilt: Tilt, worlds: range, part: str) -> Met:
    tilted, policies = kind.scenario.tilted(tilt), {question.policy.name: question.policy}
    folder = f"{kind.folder}-{part}"
    result = question.campaign.sweep({tilted.name: tilted}, policies, part=folder, replications=worlds)
    return look_for(question.event, result, tilted)


def _read_tilt(scenario: Scenario, tilt: Tilt | Mapping[str, float] | Sequence[str] | None) -> Tilt | Sequence[str]:
    """Return the tilt, or the names that a pilot may tilt; an `InputError` lists what can't be tilted here."""
    tiltable_names = [
        name for name in tiltable(scenario.fleet, scenario.release, scenario.operator) if not _is_kind(name)
    ]
    if tilt is None:
        return tiltable_names
    asked = Tilt.of(tilt) if isinstance(tilt, Mapping) else [tilt] if isinstance(tilt, str) else tilt
    problems = []
    for name in map(str, asked.factors if isinstance(asked, Tilt) else asked):
        message, hint = "the scenario draws nothing here", nearest(name, tiltable_names)
        if _is_kind(name):
            message, hint = "a kind of release can't be tilted here", "each kind is simulated separately"
        if name not in tiltable_names:
            problems.append(Problem(message, ("tilt", name), allowed=", ".join(tiltable_names) or "nothing", hint=hint))
    raise_if_any(problems)
    return asked


def _is_kind(name: str) -> bool:
    return name.startswith("release.")
