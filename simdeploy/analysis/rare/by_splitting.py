"""`estimate_rare` by splitting: a pilot that chooses the levels, then independent runs through them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simdeploy.analysis.frames import make_frame
from simdeploy.analysis.rare.numbers import describe_numbers, doubt_unknown
from simdeploy.analysis.rare.question import FEWER, PILOT, Question
from simdeploy.analysis.rare.repeating import Repetitions, Stage, repeat
from simdeploy.analysis.rare.result import STEP_COLUMNS
from simdeploy.analysis.rare.rollouts import Rollouts, choose_levels
from simdeploy.memory import check_rows_fit
from simdeploy.statistics.weights import plain_mean, ratio

_REPETITIONS = 10
_FEWEST_EFFORT = 20
# Of independent repetitions: all but one are to meet the event, and none is to have more than this of the sum.
_LARGEST_SHARE = 0.4
# Whose numbers each node of a trajectory has, before and after it branches off, and whether it keeps them.
_BYTES_PER_NODE = 32


def estimate_by_splitting(question: Question, levels: str | Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return what a `Rare` has beside the question; `levels` are as `estimate_rare` takes them."""
    counts = levels if isinstance(levels, str) else next(iter(levels))
    process = Rollouts(question.scenario, question.policy, question.event, counts, question.seed, question.engine)  # type: ignore[arg-type]
    bytes_of_lineage = _BYTES_PER_NODE * question.scenario.fleet.nodes

    def find_levels() -> tuple[list[int], int]:
        if not isinstance(levels, str):
            return [int(one) for one in levels[counts]], 0
        check_rows_fit(question.pilot_rollouts, bytes_of_lineage, hint=FEWER)
        return choose_levels(process, effort=question.pilot_rollouts, first=PILOT)

    def make_job(steps: list[int]) -> Repetitions:
        effort = max(question.rollouts // (_REPETITIONS * (len(steps) + 1)), _FEWEST_EFFORT)
        at_once = getattr(question.campaign.executor(question.engine), "workers", 1)
        check_rows_fit(effort * min(at_once, _REPETITIONS), bytes_of_lineage, hint=FEWER)
        return Repetitions(process, steps, effort, _REPETITIONS)

    steps, n_pilot, stages = repeat(question.campaign, question.to_dict() | {"levels": levels}, find_levels, make_job)
    firsts = [stage for stage in stages if stage.stage == 0]
    happened, concerned, on_average = (
        np.array([getattr(stage, f"estimate_{name}") for stage in firsts])
        for name in ("happened", "concerned", "touched")
    )
    condition = question.condition
    probability, error = ratio(happened, concerned) if condition is None else plain_mean(happened / condition)
    n_hits = int((happened > 0).sum())
    n_rollouts = sum(stage.n for stage in stages)
    doubts = list(doubt_unknown(int(sum(stage.unknown for stage in stages)), 0))
    if n_hits < _REPETITIONS - 1:
        doubts.insert(0, f"{n_hits} of {_REPETITIONS} independent repetitions met the event")
    elif happened.max() > _LARGEST_SHARE * happened.sum():
        doubts.insert(
            0,
            f"one of {_REPETITIONS} independent repetitions has {100 * happened.max() / happened.sum():.0f} % of the sum",
        )
    numbers = describe_numbers(
        probability,
        error,
        float(concerned.mean()) if condition is None else condition,
        degrees=_REPETITIONS - 1,
        confidence_level=question.confidence_level,
        doubts=doubts,
        n_all=n_rollouts + n_pilot,
    )
    touched = sum(stage.touched for stage in stages) / n_rollouts
    return {
        **numbers,
        "n_rollouts": n_rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * float(on_average.mean()) / max(touched, 1.0),
        "doubts": tuple(doubts),
        "tilt": {},
        "levels": tuple(steps),
        "counts": counts,
        "diagnosis": {"repetitions": _REPETITIONS, "n_hits": n_hits},
        "steps": make_frame(_tabulate(steps, stages), STEP_COLUMNS),
    }


def _tabulate(levels: Sequence[int], stages: Sequence[Stage]) -> list[dict[str, Any]]:
    rows = []
    for number in range(len(levels) + 1):
        found = [stage for stage in stages if stage.stage == number]
        is_last = number == len(levels)
        # Where a repetition ended before, nobody reached the level.
        fractions = {stage.repetition: stage.fraction for stage in found}
        rows.append(
            {
                "stage": number,
                "tilt": "",
                "level": math.nan if is_last else levels[number],
                "n": sum(stage.n for stage in found),
                "n_hits": int(sum(stage.happened for stage in found)),
                "fraction": math.nan if is_last else np.mean([fractions.get(k, 0.0) for k in range(_REPETITIONS)]),
                "used": True,
            }
        )
    return rows
