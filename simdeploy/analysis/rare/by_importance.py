"""`estimate_rare` by importance sampling: a pilot that chooses the tilt, then the estimate under it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.frames import make_frame
from simdeploy.analysis.rare.events import Met, look_for
from simdeploy.analysis.rare.importance import Rung, choose_tilt, weigh_up
from simdeploy.analysis.rare.numbers import describe_numbers, doubt_unknown
from simdeploy.analysis.rare.question import PILOT, Question
from simdeploy.analysis.rare.result import STEP_COLUMNS
from simdeploy.errors import InputError, Problem, nearest
from simdeploy.world.tilt import Tilt, tiltable

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario


def estimate_by_importance(
    question: Question, tilt: Tilt | Mapping[str, float] | Sequence[str] | None
) -> dict[str, Any]:
    """Return what a `Rare` has beside the question; `tilt` is as `estimate_rare` takes it."""
    scenario = question.scenario
    rungs: list[Rung] = []
    if isinstance(tilt, Tilt | Mapping):
        best = tilt if isinstance(tilt, Tilt) else Tilt.of(tilt)
    else:
        names = None if tilt is None else _check_names(scenario, tilt)
        pilot = range(PILOT, PILOT + question.pilot_rollouts)
        number = count()
        best, rungs = choose_tilt(scenario, lambda one: _run(question, one, pilot, f"pilot-{next(number):03d}"), names)
    met = _run(question, best, range(question.rollouts), "estimate")
    found = weigh_up(met, question.condition)
    doubts = (*found.diagnosis.doubts, *doubt_unknown(met.n_unknown, met.n_failed))
    n_pilot = question.pilot_rollouts * len(rungs)
    numbers = describe_numbers(
        found.probability,
        found.standard_error,
        found.condition,
        degrees=question.rollouts - 1,
        confidence_level=question.confidence_level,
        doubts=doubts,
        n_all=question.rollouts + n_pilot,
    )
    steps = [
        {"stage": 0, "tilt": str(rung.tilt), "level": math.nan, "n": question.pilot_rollouts}
        | {"n_hits": rung.n_hits, "fraction": rung.score, "used": rung.tilt == best}
        for rung in rungs
    ]
    diagnosis = {name: value for name, value in asdict(found.diagnosis).items() if name != "doubts"}
    # What a rollout costs without a tilt, over what it costs here.
    cost_ratio = found.touched * question.rollouts / max(float(met.touched.sum()), 1.0)
    return {
        **numbers,
        "n_rollouts": question.rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * cost_ratio,
        "doubts": doubts,
        "tilt": best.factors,
        "levels": (),
        "counts": "",
        "diagnosis": diagnosis | {"is_bounded": math.isinf(found.diagnosis.k_hat)},
        "steps": make_frame(steps, STEP_COLUMNS),
    }


def _run(question: Question, tilt: Tilt, numbers: range, part: str) -> Met:
    tilted, policies = question.scenario.tilted(tilt), {question.policy.name: question.policy}
    result = question.campaign.sweep({tilted.name: tilted}, policies, part=part, replications=numbers)
    return look_for(question.event, result, tilted)


def _check_names(scenario: Scenario, names: Sequence[str]) -> list[str]:
    asked = [names] if isinstance(names, str) else list(names)
    able = tiltable(scenario.fleet, scenario.release, scenario.operator)
    problems = [
        Problem(
            "nothing is drawn here", ("tilt", str(name)), allowed=", ".join(able) or "nothing", hint=nearest(name, able)
        )
        for name in asked
        if name not in able
    ]
    if problems:
        raise InputError(problems)
    return asked
