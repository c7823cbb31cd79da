"""Evidence against the assumption that a node does the same whenever it is dispatched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simdeploy.records.histories import History, Row

_FEWEST_FAILURES = 5
_FEWEST_ROLLOUTS = 10
_LEVEL = 0.001
_HOURS = 24


def find_doubts(histories: Sequence[History]) -> Iterator[str]:
    """Yield warnings if failures to start depend on the place in the order, or on the hour of the day.

    Only finished starts count, because their fraction of failures does not depend on when a rollout was stopped.
    """
    p = _test_positions(histories)
    if p < _LEVEL:
        yield (
            f"failures to start depend on the place in the order (p = {p:.1g}), so nodes dispatched earlier or later may "
            "behave differently"
        )
    p = _test_hours(histories)
    if p < _LEVEL:
        yield f"failures to start depend on the hour of the day (p = {p:.1g}), so nodes dispatched at another hour may behave differently"


def _starts(history: History) -> list[bool]:
    """Return for each finished start, in the order of dispatch, whether it failed."""
    deadline_s = history.rollout["deadline_s"] or math.inf
    ended = [row for row in history.nodes if row["started_at_s"] is not None or _gave_up(row, deadline_s)]
    return [row["started_at_s"] is None for row in ended]


def _gave_up(row: Row, deadline_s: float) -> bool:
    """Return whether a node's failure was a failed start: as recorded, or else because it failed before its deadline."""
    if row["cause"] is not None or row["status"] != "failed" or row["resolved_at_s"] is None:
        return bool(row["cause"] == "did_not_start")
    return bool(row["resolved_at_s"] - (row["dispatched_at_s"] or 0.0) < deadline_s)


def _test_positions(histories: Sequence[History]) -> float:
    """Return the p-value of a rank-sum test (Wilcoxon) of the places of failed nodes, summed over rollouts."""
    n_failed, excess, variance = 0, 0.0, 0.0
    for history in histories:
        failed = np.array(_starts(history), dtype=bool)
        n, m = len(failed), int(failed.sum())
        if 0 < m < n:
            n_failed += m
            excess += float((np.flatnonzero(failed) + 1).sum()) - m * (n + 1) / 2
            variance += m * (n - m) * (n + 1) / 12
    if n_failed < _FEWEST_FAILURES or variance == 0:
        return 1.0
    return math.erfc(abs(excess) / math.sqrt(2 * variance))


def _test_hours(histories: Sequence[History]) -> float:
    """Return the p-value of an F test for a sine wave of 24 hours in the fraction of failed starts; rollouts are the observations."""
    points = []
    for history in histories:
        started, failed = history.rollout["started_at"], _starts(history)
        if started is not None and failed:
            points.append((started.hour + started.minute / 60, float(np.mean(failed))))
    if len(points) < _FEWEST_ROLLOUTS:
        return 1.0
    hours, fractions = np.array(points).T
    angle = 2 * math.pi * hours / _HOURS
    design = np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    fitted, _, rank, _ = np.linalg.lstsq(design, fractions, rcond=None)
    rest = float(((fractions - design @ fitted) ** 2).sum())
    explained = float(((fractions - fractions.mean()) ** 2).sum()) - rest
    if rank < design.shape[1] or explained <= 0:
        return 1.0
    if rest <= 0:
        return 0.0
    from scipy.special import fdtrc

    free = len(points) - design.shape[1]
    return float(fdtrc(2, free, (explained / 2) / (rest / free)))
