"""Ranges (even or logarithmic) and lists of choices for a design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from simdeploy.errors import Problem, shorten
from simdeploy.units import exact

# Larger whole numbers don't fit into a column, and larger floats are indistinguishable.
_FURTHEST = 1 << 63
# Smallest number of a scenario.
_LEAST_RATIO = 1e-100


@dataclass(frozen=True)
class Range:
    """A range of values for a design.

    Attributes
    ----------
    low, high : number, or duration such as "45s"
    log : bool, default False
        Whether equal ratios, not differences, are equally likely: 0.001 to 0.01 as likely as 0.01 to 0.1.

    Examples
    --------
    >>> from simdeploy.experiments import LatinHypercube, Range, sweep
    >>> from simdeploy import load_example
    >>> scenario = load_example("small-fleet")
    >>> vary = {"fleet.start_failure": Range(0.001, 0.1, log=True)}
    >>> result = sweep(scenario, "all-at-once", vary=vary, design=LatinHypercube(4), replications=1, engine="reference")
    >>> int((result.cases["scenario.fleet.start_failure"] < 0.01).sum())
    2
    """

    low: Any
    high: Any
    log: bool = False


@dataclass(frozen=True)
class Interval:
    """A checked range; each whole number has an equal share of [0, 1)."""

    low: Any
    high: Any
    is_whole: bool
    is_log: bool

    @property
    def is_single(self) -> bool:
        """Whether it has a single value."""
        return bool(self.low == self.high)

    def draw(self, fractions: np.ndarray) -> list[Any]:
        """Return the values at these fractions of the range, in [0, 1)."""
        if not self.is_whole:
            values: list[Any] = self._interpolate(fractions, self.high).tolist()
            return values
        # A whole number n represents the interval from n to n + 1.
        return [min(int(value), self.high) for value in self._interpolate(fractions, self.high + 1).tolist()]

    def step(self, fractions: np.ndarray) -> list[Any]:
        """Return values at fractions in [0, 1], both ends included."""
        values = self._interpolate(fractions, self.high)
        return [math.floor(value + 0.5) for value in values.tolist()] if self.is_whole else values.tolist()

    def place(self, values: Sequence[Any]) -> np.ndarray:
        """Return the position of values: 0 at the low end, 1 at the high end."""
        numbers = np.asarray(values, dtype=np.float64)
        if self.is_log:
            numbers, low, high = np.log(numbers), math.log(self.low), math.log(self.high)
        else:
            low, high = self.low, self.high
        placed: np.ndarray = (numbers - low) / (high - low)
        return placed

    def ask(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        return {"low": self.low, "high": self.high} | ({"log": True} if self.is_log else {})

    def _interpolate(self, fractions: np.ndarray, high: Any) -> np.ndarray:
        values: np.ndarray = self.low + fractions * (high - self.low)
        if self.is_log:
            # Return the ends exactly, despite rounding of logarithms.
            values = np.clip(self.low * np.exp(fractions * math.log(high / self.low)), self.low, high)
        return values


@dataclass(frozen=True)
class Choices:
    """Equally likely choices."""

    values: tuple[Any, ...]

    @property
    def is_single(self) -> bool:
        """Whether it has a single value."""
        return len(set(map(repr, self.values))) == 1

    def draw(self, fractions: np.ndarray) -> list[Any]:
        """Return the values at these fractions of the list, in [0, 1)."""
        return [self.values[place] for place in self.index(fractions).tolist()]

    def index(self, fractions: np.ndarray) -> np.ndarray:
        """Return the indices of the values that `draw` returns."""
        return (fractions * len(self.values)).astype(np.int64)

    def step(self, fractions: np.ndarray) -> list[Any]:
        """Return values at fractions in [0, 1], first and last included."""
        last = len(self.values) - 1
        return [self.values[math.floor(fraction * last + 0.5)] for fraction in fractions.tolist()]

    def place(self, values: Sequence[Any]) -> np.ndarray:
        """Return the position of values: 0 for the first, 1 for the last."""
        return np.array([self.values.index(value) for value in values]) / (len(self.values) - 1)

    def ask(self) -> list[Any]:
        """Return the request as JSON values."""
        return list(self.values)


Spread = Interval | Choices


def make_interval(given: Range, numbers: tuple[Any, Any], kind: str, name: str) -> tuple[Interval, list[Problem]]:
    """Return a range with these ends (durations in seconds), and its problems."""
    interval = Interval(*numbers, is_whole=kind == "whole", is_log=given.log)
    kinds = int if kind == "whole" else int | float
    is_number = all(isinstance(n, kinds) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    found = shorten((given.low, given.high))
    if kind not in ("whole", "number", "duration") or not is_number:
        allowed = "two whole numbers, lowest first" if kind == "whole" else "two numbers, lowest first"
        hint = "write a list for separate values"
        return interval, [Problem("invalid range", (name,), found=found, allowed=allowed, hint=hint)]
    if (problem := end_problem(numbers)) is not None:
        return interval, [problem.at(prefix=(name,))]
    if interval.low > interval.high:
        return interval, [Problem("invalid range", (name,), found=found, allowed="the lowest value first")]
    if given.log and interval.low < _LEAST_RATIO:
        allowed = f"a lowest value of at least {_LEAST_RATIO:g}"
        return interval, [Problem("invalid logarithmic range", (name,), found=found, allowed=allowed)]
    return interval, []


def end_problem(ends: Sequence[float]) -> Problem | None:
    """Return a problem if an end of a range is too large."""
    for end in ends:
        if abs(end) > _FURTHEST:
            return Problem("end of range too large", found=shorten(end), allowed=f"{-_FURTHEST} to {_FURTHEST}")
    return None


def ladder(low: float, high: float) -> list[Any]:
    """Return 1, 2, 5, 10, ... and their decimal parts from low to high.

    Examples
    --------
    >>> ladder(0.002, 0.05), ladder(1, 20)
    ([0.002, 0.005, 0.01, 0.02, 0.05], [1, 2, 5, 10, 20])
    """
    steps = [Fraction(digit) * Fraction(10) ** power for power in range(-9, 10) for digit in (1, 2, 5)]
    fitting = [step for step in steps if exact(low) <= step <= exact(high)]
    return [int(step) if step.denominator == 1 else float(step) for step in fitting]
