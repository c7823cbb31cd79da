"""Traffic over the day: the factor on a node's requests per second, by the hour (model section 3)."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from simdeploy.units import NS_PER_S

DAY_NS = 24 * 3600 * NS_PER_S


class TrafficPiece(NamedTuple):
    """A linear piece of traffic between two points, or midnight: its time, the factor at its start, the change per second."""

    start_ns: int
    end_ns: int
    factor: float
    slope: float


@dataclass(frozen=True)
class Traffic:
    """Demand by the time of day, as a factor: linear between points, around midnight too.

    Examples
    --------
    >>> working_hours = Traffic((0, 8 * 3600 * NS_PER_S), (0.0, 1.0))
    >>> working_hours.factor_at(4 * 3600 * NS_PER_S), working_hours.factor_at(16 * 3600 * NS_PER_S)
    (0.5, 0.5)
    """

    times_ns: tuple[int, ...]  # rising, nanoseconds since midnight, at least 0 and below 24 h
    factors: tuple[float, ...]  # at least 0, one per time

    @cached_property
    def pieces(self) -> np.ndarray:
        """The pieces of a day, the first of which starts at midnight.

        Four rows: start, nanoseconds since midnight; factor at the start; change per second; and the integral from
        midnight to the start, seconds.
        """
        times, factors = list(self.times_ns), list(self.factors)
        if times[0] > 0:
            before = DAY_NS - times[-1]
            at_midnight = factors[-1] + (factors[0] - factors[-1]) * (before / (before + times[0]))
            times, factors = [0, *times], [at_midnight, *factors]
        ends, last = [*times[1:], DAY_NS], [*factors[1:], factors[0]]
        lengths_s = [(end - start) / NS_PER_S for start, end in zip(times, ends, strict=True)]
        slopes = [(b - a) / length for a, b, length in zip(factors, last, lengths_s, strict=True)]
        sums = [0.0]
        for factor, slope, length in zip(factors, slopes, lengths_s, strict=True):
            sums.append(sums[-1] + length * (factor + 0.5 * slope * length))
        return np.array([times, factors, slopes, sums[:-1]])

    @cached_property
    def day_s(self) -> float:
        """The integral over a whole day, seconds."""
        start, factor, slope, so_far = (float(of_last) for of_last in self.pieces[:, -1])
        length = (DAY_NS - start) / NS_PER_S
        return so_far + length * (factor + 0.5 * slope * length)

    @cached_property
    def _rows(self) -> tuple[list[float], ...]:
        # Lists, because indexing a single number of an array is slow.
        return tuple(row.tolist() for row in self.pieces)

    def factor_at(self, t: int) -> float:
        """Return the factor at a time, nanoseconds since any midnight."""
        piece = self.piece_at(t)
        return piece.factor + piece.slope * ((t - piece.start_ns) / NS_PER_S)

    def piece_at(self, t: int) -> TrafficPiece:
        """Return the piece that a time lies in; its times are since the same midnight."""
        starts, factors, slopes, _ = self._rows
        day, rest = divmod(t, DAY_NS)
        place = bisect_right(starts, rest) - 1
        ends = int(starts[place + 1]) if place + 1 < len(starts) else DAY_NS
        return TrafficPiece(day * DAY_NS + int(starts[place]), day * DAY_NS + ends, factors[place], slopes[place])

    def factors_at(self, times: np.ndarray) -> np.ndarray:
        """Return `factor_at` of many times."""
        starts, factors, slopes, _ = self.pieces
        if len(starts) == 1:
            return np.full(np.shape(times), factors[0])
        rest = times % DAY_NS
        place = np.searchsorted(starts, rest, side="right") - 1
        return np.asarray(factors[place] + slopes[place] * ((rest - starts[place]) / NS_PER_S))

    def between(self, start: int, end: int) -> float:
        """Return the integral from one time to another, seconds; both nanoseconds since the same midnight."""
        first_day, first = divmod(start, DAY_NS)
        last_day, last = divmod(end, DAY_NS)
        return (last_day - first_day) * self.day_s + (self._within_day(last) - self._within_day(first))

    def _within_day(self, rest: int) -> float:
        starts, factors, slopes, sums = self._rows
        place = bisect_right(starts, rest) - 1
        x = (rest - starts[place]) / NS_PER_S
        return sums[place] + x * (factors[place] + 0.5 * slopes[place] * x)

    def between_many(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return `between` of many pairs of times."""
        first_day, first = np.divmod(start, DAY_NS)
        last_day, last = np.divmod(end, DAY_NS)
        within = []
        starts, factors, slopes, sums = self.pieces
        for rest in (first, last):
            place = np.searchsorted(starts, rest, side="right") - 1
            x = (rest - starts[place]) / NS_PER_S
            within.append(sums[place] + x * (factors[place] + 0.5 * slopes[place] * x))
        return np.asarray((last_day - first_day) * self.day_s + (within[1] - within[0]))

    def points_between(self, start: int, end: int) -> np.ndarray:
        """Return the times in (start, end) at which a piece begins."""
        starts = self.pieces[0].astype(np.int64)
        days = np.arange(start // DAY_NS, end // DAY_NS + 1) * DAY_NS
        points = (days[:, None] + starts).ravel()
        return np.asarray(points[(points > start) & (points < end)])


STEADY = Traffic((0,), (1.0,))


def count_requests(rate: float, seconds: float) -> int:
    """Return the rounded number of requests of a window with `seconds` of `rate` requests per second.

    Halves are rounded up, and so is a value within 1e-6 of one, so that the order of summation doesn't matter.

    Examples
    --------
    >>> count_requests(0.25, 10.0), count_requests(0.25, 9.999999), count_requests(0.25, 9.99)
    (3, 3, 2)
    """
    return math.floor(rate * seconds + (0.5 + 1e-6))
