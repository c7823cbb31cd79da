"""Boxes: a part of the range of each of some factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Column:
    """The values of a factor, ready to be cut.

    Attributes
    ----------
    name : str
    values : ndarray of float, shape (points,)
        Numbers; of a factor without an order the places of its words.
    words : tuple of str, or None
        What such a factor can be; None for numbers.
    is_whole : bool
        Whether all numbers are whole.
    """

    name: str
    values: np.ndarray
    words: tuple[str, ...] | None = None
    is_whole: bool = False

    def take(self, rows: np.ndarray) -> Column:
        """Return the column of some rows."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True)
class Limits:
    """What a box asks of one factor: numbers above `low` and below `high`, both included; or some words.

    Attributes
    ----------
    low, high : float
        Infinite where there is no limit.
    places : frozenset of int, or None
        Of the words; None for numbers.
    """

    low: float = -math.inf
    high: float = math.inf
    places: frozenset[int] | None = None

    def contain(self, values: np.ndarray) -> np.ndarray:
        """Return which values are within."""
        if self.places is not None:
            return np.isin(values, sorted(self.places))
        inside: np.ndarray = (values >= self.low) & (values <= self.high)
        return inside


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
