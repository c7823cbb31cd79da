"""Boxes: a part of the range of each of some factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simdeploy.analysis.asking.naming import format_value


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

    def describe(self, columns: Sequence[Column], names: Mapping[str, str]) -> str:
        """Say in words what the box asks."""
        told = [describe_limits(self.limits[number], columns[number], names) for number in self.restricted]
        return " and ".join(told) or "all worlds"


def describe_limits(limits: Limits, column: Column, names: Mapping[str, str]) -> str:
    """Say what is asked of one factor.

    Examples
    --------
    >>> column = Column("scenario.fleet.nodes", np.arange(9.0), is_whole=True)
    >>> describe_limits(Limits(low=3.5), column, {"scenario.fleet.nodes": "nodes"})
    'nodes is at least 4'
    >>> describe_limits(Limits(low=0.02134, high=0.5), Column("x", np.arange(9.0)), {"x": "x"})
    'x is from 0.02134 to 0.5'
    """
    name = names[column.name]
    if limits.places is not None:
        words = column.words or ()
        return f"{name} is {' or '.join(words[place] for place in sorted(limits.places))}"
    low, high = write_ends(limits, column)
    if column.is_whole:
        ends = {low or _write(int(column.values.min())), high or _write(int(column.values.max()))}
        if len(ends) == 1:
            return f"{name} is {ends.pop()}"
        if low and high:
            return f"{name} is from {low} to {high}"
        return f"{name} is at least {low}" if low else f"{name} is at most {high}"
    if low and high:
        return f"{name} is from {low} to {high}"
    return f"{name} is above {low}" if low else f"{name} is below {high}"


def write_ends(limits: Limits, column: Column) -> tuple[str, str]:
    """Return both ends as text, empty where there is none; those of whole numbers are within the box."""
    low, high = limits.low, limits.high
    if column.is_whole:
        low, high = (
            end if math.isinf(end) else math.ceil(end) if is_low else math.floor(end)
            for end, is_low in ((low, True), (high, False))
        )
    return tuple("" if math.isinf(end) else _write(end) for end in (low, high))  # type: ignore[return-value]


def _write(end: Any) -> str:
    return format_value(float(f"{end:.4g}") if isinstance(end, float) else end)
