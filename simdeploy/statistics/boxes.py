"""Boxes (limits of some factors) and the patient rule induction method (PRIM), which finds them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

# The fraction of a box's points that one step removes (patience).
ALPHA = 0.05

# A box with fewer points is not peeled further: this fraction of all points, and this number.
LEAST_FRACTION, LEAST_POINTS = 0.05, 10


@dataclass(frozen=True)
class Column:
    """The values of a factor, ready to be cut."""

    name: str
    values: np.ndarray  # numbers, or the indices of the words of an unordered factor
    words: tuple[str, ...] | None = None  # possible values of an unordered factor; None for numbers
    is_whole: bool = False  # whether all numbers are whole

    def take(self, rows: np.ndarray) -> Column:
        """Return the column with some of its rows."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True)
class Limits:
    """Limits of one factor: numbers from `low` to `high` (inclusive), or the indices of some words."""

    low: float = -math.inf
    high: float = math.inf
    places: frozenset[int] | None = None

    def contain(self, values: np.ndarray) -> np.ndarray:
        """Return which values are within the limits."""
        if self.places is not None:
            return np.isin(values, sorted(self.places))
        return (values >= self.low) & (values <= self.high)


@dataclass(frozen=True)
class Box:
    """Limits of some factors, by the number of their column.

    Examples
    --------
    >>> import numpy as np
    >>> box = Box({0: Limits(low=0.5)})
    >>> box.contain([Column("x", np.array([0.2, 0.7]))]).tolist()
    [False, True]
    """

    limits: Mapping[int, Limits] = field(default_factory=dict)

    def contain(self, columns: Sequence[Column]) -> np.ndarray:
        """Return which points are inside."""
        inside = np.ones(len(columns[0].values), dtype=bool)
        for number, limits in self.limits.items():
            inside &= limits.contain(columns[number].values)
        return inside

    def limit(self, number: int, limits: Limits) -> Box:
        """Return the box with other limits for one factor."""
        return Box({**self.limits, number: limits})

    def free(self, number: int) -> Box:
        """Return the box without limits for one factor."""
        return Box({other: limits for other, limits in self.limits.items() if other != number})

    @property
    def restricted(self) -> tuple[int, ...]:
        """The factors with limits, in the order of their columns."""
        return tuple(sorted(self.limits))


def peel(columns: Sequence[Column], is_broken: np.ndarray) -> list[Box]:
    r"""Return the peeling path, from all points to the smallest box, in search of a high density of broken points.

    Notes
    -----
    Top-down peeling of Friedman and Fisher (1999 [1]_): each candidate piece is about a fraction :math:`\alpha = 0.05`
    of the points at one end of one factor, or one word of an unordered factor. The piece removed is the one that raises
    the density most per point lost, because pieces differ in size if values repeat. A limit is half-way between the
    last point outside and the first inside. Peeling ends if no piece can be removed, at density 1, or below a twentieth
    of the points or ten of them.

    References
    ----------
    .. [1] Friedman, J. H. and Fisher, N. I. (1999). Bump hunting in high-dimensional data. Statistics and Computing
       9(2), 123-143.

    Examples
    --------
    >>> x = np.linspace(0, 1, 100)
    >>> path = peel([Column("x", x)], x > 0.7)
    >>> round(path[-1].limits[0].low, 3)
    0.702
    """
    box, inside = Box(), np.ones(len(is_broken), dtype=bool)
    path = [box]
    least = max(LEAST_POINTS, math.ceil(LEAST_FRACTION * len(is_broken)))
    while True:
        n, broken = int(inside.sum()), int(is_broken[inside].sum())
        best: tuple[float, Box, np.ndarray] | None = None
        if 0 < broken < n:
            for number, limits in pieces(box, columns, inside):
                rest = inside & limits.contain(columns[number].values)
                n_rest = int(rest.sum())
                if not least <= n_rest < n:
                    continue
                gain = (is_broken[rest].sum() / n_rest - broken / n) / (n - n_rest)
                if best is None or gain > best[0]:
                    best = gain, box.limit(number, limits), rest
        if best is None:
            return path
        _, box, inside = best
        path.append(box)


def pieces(box: Box, columns: Sequence[Column], inside: np.ndarray) -> Iterator[tuple[int, Limits]]:
    """Yield, for each removable piece of a box, the remaining limits of the factor."""
    for number, column in enumerate(columns):
        limits = box.limits.get(number, Limits())
        values = column.values[inside]
        if column.words is not None:
            there = {int(place) for place in np.unique(values)}
            for place in sorted(there) if len(there) > 1 else ():
                yield number, Limits(places=frozenset(there - {place}))
            continue
        cut = cut_below(values, ALPHA)
        if cut is not None:
            yield number, Limits(cut, limits.high)
        cut = cut_below(-values, ALPHA)
        if cut is not None:
            yield number, Limits(limits.low, -cut)


def cut_below(values: np.ndarray, fraction: float) -> float | None:
    """Return where to cut so that about a fraction of the values is below, including all of the lowest; None if all are equal.

    Examples
    --------
    >>> cut_below(np.arange(10.0), 0.2), cut_below(np.array([1.0, 1.0, 2.0]), 0.1), cut_below(np.ones(3), 0.5)
    (1.5, 1.5, None)
    """
    ordered = np.sort(values)
    kept = ordered[max(1, int(fraction * len(ordered)))] if len(ordered) > 1 else ordered[0]
    if kept == ordered[0]:
        higher = ordered[ordered > kept]
        if not len(higher):
            return None
        kept = higher[0]
    lost = ordered[ordered < kept][-1]
    return float(lost + (kept - lost) / 2)
