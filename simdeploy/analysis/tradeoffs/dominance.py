"""Dominance among many points in any number of dimensions, by estimates and by significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simdeploy.analysis.asking.verdicts import Direction
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import Estimate, estimate_differences
from simdeploy.statistics.sample import Sample, as_sample

_BLOCK = 128  # points that are compared at a time
_CELLS = 4_000_000  # entries of a comparison with the front, at a time


def find_front(losses: np.ndarray) -> np.ndarray:
    """Return which points, a row of measures each, no other point dominates; lower is better.

    A point with NaN neither dominates nor belongs to the front.

    Examples
    --------
    >>> find_front(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [1.0, 3.0]])).tolist()
    [True, True, False, True]
    """
    is_on_front = np.zeros(len(losses), dtype=bool)
    known = np.flatnonzero(~np.isnan(losses).any(axis=1))
    distinct, place = np.unique(losses[known], axis=0, return_inverse=True)  # in lexicographic order
    is_kept = np.zeros(len(distinct), dtype=bool)
    left = np.arange(len(distinct))
    while len(left):
        block, left = left[:_BLOCK], left[_BLOCK:]
        # Rows are distinct, so a row that is nowhere better than another is dominated. Every row is nowhere better than itself.
        block = block[_count_no_worse(distinct[block], distinct[block]) == 1]
        is_kept[block] = True
        left = left[_count_no_worse(distinct[left], distinct[block]) == 0]
    is_on_front[known] = is_kept[place.ravel()]
    return is_on_front


def _count_no_worse(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Count for each point the others that are nowhere worse."""
    is_no_worse = np.ones((len(points), len(others)), dtype=bool)
    for place in range(points.shape[1]):  # much faster than `all` over a short axis
        is_no_worse &= others[:, place] <= points[:, place, None]
    counts: np.ndarray = is_no_worse.sum(axis=1)
    return counts


def choose_opponents(losses: np.ndarray, half_widths: np.ndarray, is_on_front: np.ndarray) -> np.ndarray:
    """Return for each point the index of the front point that dominates it most clearly, -1 if none does.

    "Most clearly" maximizes the smallest distance, in half-widths of the intervals, shape (points, measures) like the
    losses.

    Examples
    --------
    >>> losses = np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0]])
    >>> choose_opponents(losses, np.ones((3, 2)), find_front(losses)).tolist()
    [-1, -1, 0]
    """
    opponents = np.full(len(losses), -1)
    front = np.flatnonzero(is_on_front)
    others = np.flatnonzero(~is_on_front & ~np.isnan(losses).any(axis=1))
    chunk = max(1, _CELLS // max(1, len(front)))
    for start in range(0, len(others), chunk):
        rows = others[start : start + chunk]
        least, dominates = np.inf, np.True_
        for place in range(losses.shape[1]):
            margin = losses[rows, place, None] - losses[front, place]
            width = np.nan_to_num(half_widths[rows, place, None] + half_widths[front, place], nan=np.inf)
            least = np.minimum(least, margin / np.maximum(width, np.finfo(float).tiny))
            dominates = dominates & (margin >= 0)
        opponents[rows] = front[np.where(dominates, least, -np.inf).argmax(axis=1)]
    return opponents


def find_dominated(
    values: Sequence[np.ndarray | Sample],
    directions: Mapping[Measure, Direction],
    opponents: np.ndarray,
    confidence_level: float,
) -> np.ndarray:
    """Return which cases are significantly worse than their opponent in every measure.

    Values of each measure, shape (cases, replications), are those of `Values.sample`, opponents those of
    `choose_opponents`. The level is the probability that no case on the true front is among them.
    """
    n = len(opponents)
    level = 1 - 2 * (1 - confidence_level) / max(n * (n - 1), 2)  # only one side matters
    worse = np.flatnonzero(opponents >= 0)  # cases that are worse in all measures so far
    for of, (measure, direction) in zip(map(as_sample, values), directions.items(), strict=True):
        if len(worse):
            differences = estimate_differences(of[worse], of[opponents[worse]], measure, level)
            worse = worse[[_is_worse(difference, direction) for difference in differences]]
    return np.isin(np.arange(n), worse)


def _is_worse(difference: Estimate, direction: Direction) -> bool:
    low, high = difference.trusted_limits
    return low > 0 if direction == "min" else high < 0
