"""Dominance among many points in any number of dimensions, by estimates and by significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simdeploy.analysis.asking.verdicts import Direction
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import Estimate, estimate_cases, estimate_differences
from simdeploy.statistics.sample import Sample, as_sample

_BLOCK = 128  # points that are compared at a time
_CELLS = 4_000_000  # entries of a comparison with the front, at a time
_UNKNOWN_WIDTH = 1e300  # makes any margin negligible, but keeps its sign


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
    others = np.flatnonzero(~is_on_front & ~np.isnan(losses).any(axis=1))
    opponents[others] = _find_strongest(losses, half_widths, others, np.flatnonzero(is_on_front))
    return opponents


def _find_strongest(losses: np.ndarray, half_widths: np.ndarray, points: np.ndarray, rivals: np.ndarray) -> np.ndarray:
    """Return for each point the index of the rival that dominates it most clearly, or comes closest to that."""
    strongest = np.empty(len(points), dtype=np.int64)
    chunk = max(1, _CELLS // max(1, len(rivals)))
    for start in range(0, len(points), chunk):
        rows = points[start : start + chunk]
        least = np.where(rows[:, None] == rivals, -np.inf, np.inf)  # no point is its own rival
        for place in range(losses.shape[1]):
            margin = losses[rows, place, None] - losses[rivals, place]
            width = np.nan_to_num(half_widths[rows, place, None] + half_widths[rivals, place], nan=_UNKNOWN_WIDTH)
            least = np.minimum(least, margin / np.maximum(width, np.finfo(float).tiny))
        strongest[start : start + chunk] = rivals[least.argmax(axis=1)]
    return strongest


def find_dominated(
    values: Sequence[np.ndarray | Sample],
    directions: Mapping[Measure, Direction],
    opponents: np.ndarray,
    confidence_level: float,
) -> np.ndarray:
    """Return which cases are significantly worse than their opponent in every measure.

    Values of each measure, shape (cases, replications), are those of `Values.sample`, opponents those of
    `choose_opponents`. The level is the probability that no case on the true front is among them, and that all of
    `find_members` are on it.
    """
    level = _share_out(confidence_level, len(opponents))
    worse = np.flatnonzero(opponents >= 0)  # cases that are worse in all measures so far
    for of, (measure, direction) in zip(map(as_sample, values), directions.items(), strict=True):
        if len(worse):
            differences = estimate_differences(of[worse], of[opponents[worse]], measure, level)
            worse = worse[[_is_worse(difference, direction) for difference in differences]]
    return np.isin(np.arange(len(opponents)), worse)


def find_members(
    values: Sequence[np.ndarray | Sample],
    directions: Mapping[Measure, Direction],
    losses: np.ndarray,
    half_widths: np.ndarray,
    is_dominated: np.ndarray,
    confidence_level: float,
) -> np.ndarray:
    """Return which points on the front by the estimates are significantly better in some measure than each other point.

    Arguments are those of `choose_opponents` and `find_dominated`, and the latter's result. Significantly dominated points
    are left out, because what dominates them dominates all that they dominate.
    """
    samples, n_measures = [as_sample(of) for of in values], len(directions)
    front = np.flatnonzero(find_front(losses))
    rivals = np.flatnonzero(~is_dominated & ~np.isnan(losses).any(axis=1))
    # Half of a pair's error is that of two separate intervals, which tell most pairs apart at once, half that of the difference.
    level = _share_out(confidence_level, len(losses), 2 * n_measures)
    least, most = _limit_losses(samples, directions, _share_out(confidence_level, len(losses), 4 * n_measures))

    def are_better(points: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return which points are significantly better in some measure than the other one."""
        left = np.flatnonzero(~(most[points] < least[others]).any(axis=1))
        for of, (measure, direction) in zip(samples, directions.items(), strict=True):
            if len(left):
                differences = estimate_differences(of[others[left]], of[points[left]], measure, level)
                left = left[[not _is_worse(difference, direction) for difference in differences]]
        return ~np.isin(np.arange(len(points)), left)

    # Most points that are not certain fail against their strongest rival, so few are compared with all.
    strongest = _find_strongest(losses, half_widths, front, rivals)
    candidates = front[(strongest == front) | are_better(front, strongest)]
    members = []
    for point in candidates:
        others = rivals[rivals != point]
        if are_better(np.full(len(others), point), others).all():
            members.append(point)
    return np.isin(np.arange(len(losses)), members)


def _limit_losses(
    samples: Sequence[Sample], directions: Mapping[Measure, Direction], level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits of the losses, shape (points, measures)."""
    ends = []
    for sample, (measure, direction) in zip(samples, directions.items(), strict=True):
        limits = np.array([estimate.trusted_limits for estimate in estimate_cases(sample, measure, level)])
        ends.append(limits.T if direction == "min" else -limits.T[::-1])
    least, most = np.stack(ends, axis=-1)
    return least, most


def _share_out(confidence_level: float, n_points: int, n_limits: int = 1) -> float:
    """Return the level of each of a pair's one-sided limits, such that those of all ordered pairs hold together."""
    return 1 - 2 * (1 - confidence_level) / max(n_points * (n_points - 1) * n_limits, 2)


def _is_worse(difference: Estimate, direction: Direction) -> bool:
    low, high = difference.trusted_limits
    return low > 0 if direction == "min" else high < 0
