"""Rough chance that a verdict in a later wave is a failure, by which failures known only in total are dealt to waves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.drawing import FAILS, RUNS
from simdeploy.analysis.advice.laws import TINY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.guiding import Guide
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.waves import Cell, Course

# A wave's chance of failures is at least this fraction of its eventual one, because its start is uncertain.
_DOUBT = 0.01


def expect_failures(
    rollouts: Rollouts,
    course: Course,
    guide: Guide | None,
    rest: Sequence[Cell],  # in waves after `wave`
    wave: int,
    next_start: np.ndarray | None,  # when the next wave starts, if already chosen
) -> np.ndarray:
    """Return the approximate fraction of failures among the verdicts of the later waves in a stretch, by world."""
    n = len(rollouts.roots)
    total, count = np.zeros(n), 0
    for cell in rest:
        laws = rollouts.laws(cell.wave)
        shares = rollouts.law_shares
        ends: list[np.ndarray | None] = [None]
        start = course.starts[cell.wave]
        if guide and guide.is_spread:
            is_next = cell.wave == wave + 1 and next_start is not None
            begins = next_start if is_next else guide.starts(cell.wave, rollouts.roots)
            until = np.full(n, cell.span.high)
            if cell.wave + 1 < course.n_waves:
                until = np.minimum(until, guide.starts(cell.wave + 1, rollouts.roots))
            ends.append(np.maximum(until - begins, 0.0))
        elif math.isfinite(start.low) and math.isfinite(start.high):
            ends.append(np.full(n, max(cell.span.high - (start.low + start.high) / 2, 0.0)))
        present = [(place, law) for place, law in enumerate(laws) if shares[place].any()]
        chances = []
        for x_ns in ends:
            runs, fails = (
                sum(shares[place] * rollouts.chance_by(place, law, x_ns, verdict) for place, law in present)
                for verdict in (RUNS, FAILS)
            )
            chances.append(fails / np.maximum(runs + fails, TINY))
        total = total + cell.count * np.maximum(chances[-1], _DOUBT * chances[0])
        count += cell.count
    mean: np.ndarray = total / count
    return mean
