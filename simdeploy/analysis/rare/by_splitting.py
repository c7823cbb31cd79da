"""`estimate_rare` by splitting: a pilot that chooses the levels, then independent runs through them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from simdeploy.analysis.frames import make_frame
from simdeploy.analysis.rare.numbers import describe_numbers, doubt_unknown
from simdeploy.analysis.rare.question import FEWER, PILOT, Question
from simdeploy.analysis.rare.result import STEP_COLUMNS
from simdeploy.analysis.rare.rollouts import CONCERNED, HAPPENED, TOUCHED, UNKNOWN, Rollouts, choose_levels
from simdeploy.memory import check_rows_fit
from simdeploy.statistics.splitting import Split, split
from simdeploy.statistics.weighted import plain_mean, ratio

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
    n_pilot = 0
    bytes_of_lineage = _BYTES_PER_NODE * question.scenario.fleet.nodes
    if isinstance(levels, str):
        check_rows_fit(question.pilot_rollouts, bytes_of_lineage, hint=FEWER)
        steps, n_pilot = choose_levels(process, effort=question.pilot_rollouts, first=PILOT)
    else:
        steps = [int(one) for one in levels[counts]]
    effort = max(question.rollouts // (_REPETITIONS * (len(steps) + 1)), _FEWEST_EFFORT)
    n_at_once = effort * min(question.workers, _REPETITIONS)
    check_rows_fit(n_at_once, bytes_of_lineage, hint=FEWER)
    firsts = [repetition * effort * (len(steps) + 1) for repetition in range(_REPETITIONS)]

    def run(first: int) -> Split:
        return split(process, steps, effort=effort, first=first, seed=question.seed)

    if question.workers > 1 and question.engine == "compiled":  # compiled code lets other threads go on
        with ThreadPoolExecutor(question.workers) as pool:
            runs = list(pool.map(run, firsts))
    else:
        runs = [run(first) for first in firsts]
    estimates = np.array([one.estimates for one in runs])
    happened, concerned = estimates[:, HAPPENED], estimates[:, CONCERNED]
    condition = question.condition
    probability, error = ratio(happened, concerned) if condition is None else plain_mean(happened / condition)
    n_hits = int((happened > 0).sum())
    values = [value for one in runs for value in one.values]
    n_rollouts = sum(len(value) for value in values)
    doubts = list(doubt_unknown(int(sum(value[:, UNKNOWN].sum() for value in values)), 0))
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
    touched = sum(float(value[:, TOUCHED].sum()) for value in values) / n_rollouts
    return {
        **numbers,
        "n_rollouts": n_rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * float(estimates[:, TOUCHED].mean()) / max(touched, 1.0),
        "doubts": tuple(doubts),
        "tilt": {},
        "levels": tuple(steps),
        "counts": counts,
        "diagnosis": {"repetitions": _REPETITIONS, "n_hits": n_hits},
        "steps": make_frame(_stages(steps, runs), STEP_COLUMNS),
    }


def _stages(levels: Sequence[int], runs: Sequence[Split]) -> list[dict[str, Any]]:
    rows = []
    for stage in range(len(levels) + 1):
        values = [one.values[stage] for one in runs if len(one.values) > stage]
        is_last = stage == len(levels)
        rows.append(
            {
                "stage": stage,
                "tilt": "",
                "level": math.nan if is_last else levels[stage],
                "n": sum(map(len, values)),
                "n_hits": int(sum(value[:, HAPPENED].sum() for value in values)),
                "fraction": math.nan if is_last else float(np.mean([one.fractions[stage] for one in runs])),
                "used": True,
            }
        )
    return rows
