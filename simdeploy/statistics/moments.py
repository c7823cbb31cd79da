"""Numbers, means and central moments of values, ignoring NaN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

# So many values stay in the processor's cache until all their moments are known.
_AT_ONCE = 50_000


class Moments(NamedTuple):
    """Moments of the values of each row; NaN where there are too few."""

    n: np.ndarray
    mean: np.ndarray
    variance: np.ndarray  # of a value, with divisor n - 1
    third: np.ndarray  # third central moment, with divisor n


def find_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of values of each row (the last axis) and their mean.

    Examples
    --------
    >>> n, mean = find_means(np.array([[0.1, 0.1, np.nan, 0.1], [1.0, 3.0, np.nan, np.nan]]))
    >>> n.tolist(), mean.tolist()
    ([3, 2], [0.1, 2.0])
    """
    n, first, shifted, _ = _shift(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = first + shifted.sum(axis=-1) / n
    return n, mean


def find_moments(values: np.ndarray) -> Moments:
    """Return the moments of each row (the last axis).

    Examples
    --------
    >>> moments = find_moments(np.array([[0.0, 0.0, 3.0, np.nan], [1.0, np.nan, np.nan, np.nan]]))
    >>> moments.mean.tolist(), moments.variance.tolist(), moments.third.tolist()
    ([1.0, 1.0], [3.0, nan], [2.0, 0.0])
    """
    if values.ndim == 2 and values.size > _AT_ONCE and len(values) > 1:
        rows = max(_AT_ONCE // values.shape[1], 1)
        parts = [find_moments(values[first : first + rows]) for first in range(0, len(values), rows)]
        return Moments(*map(np.concatenate, zip(*parts, strict=True)))
    n, first, deviations, known = _shift(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = deviations.sum(axis=-1) / n
        deviations -= mean[..., None]
        if known is not None:
            deviations[~known] = 0.0
        squares = deviations * deviations
        variance = np.where(n > 1, squares.sum(axis=-1) / (n - 1), np.nan)
        return Moments(n, first + mean, variance, (squares * deviations).sum(axis=-1) / n)


def join_columns(columns: Iterable[Any]) -> np.ndarray:
    """Return arrays as the columns of one array; three times as fast as `numpy.stack` for a single one.

    Examples
    --------
    >>> join_columns([np.array([1, 2]), np.array([3, 4])]).tolist()
    [[1, 3], [2, 4]]
    """
    return np.concatenate([column[:, None] for column in columns], axis=1)


def zero_if_unknown(values: np.ndarray) -> np.ndarray:
    """Return values with 0 for NaN; three times as fast as `numpy.nan_to_num`, which also looks for infinite ones.

    Examples
    --------
    >>> zero_if_unknown(np.array([1.0, np.nan])).tolist()
    [1.0, 0.0]
    """
    return np.where(np.isnan(values), 0.0, values)


def _shift(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the number of values, the first value, deviations from it (0 for NaN), and which values are known (None for all).

    This makes the deviations of equal values exactly 0.
    """
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    if not values.shape[-1]:
        return n, np.full(n.shape, np.nan), np.zeros(values.shape), None
    if known.all():
        first = values[..., 0]
        return n, first, values - first[..., None], None
    first = np.take_along_axis(values, known.argmax(axis=-1)[..., None], axis=-1)
    return n, first[..., 0], np.where(known, values - first, 0.0), known
