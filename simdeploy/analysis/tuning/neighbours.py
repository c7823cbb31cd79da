"""Neighbours of candidates: one setting differs by one step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.tuning.in_flight import count_in_flight
from simdeploy.analysis.tuning.space import find_least_deadline_ns
from simdeploy.errors import InputError
from simdeploy.experiments.design import read_number
from simdeploy.experiments.levers import Lever, change_quietly, find_levers
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Settings whose default ranges may be extended, and the factor of a step beyond the end.
_OPEN_ENDED = (
    "max_failed_nodes",
    "health_check.max_error_rate",
    "health_check.min_healthy_time",
    "health_check.deadline",
)
_FACTOR = 2


@dataclass(frozen=True)
class Neighbourhood:
    """The grid around candidates.

    `ranges` are the values of each setting in ascending order, without values that have no order. With `may_extend`, for
    default ranges, steps may go beyond the ends.
    """

    scenario: Scenario
    base: ScenarioPolicy
    levers: tuple[Lever, ...]
    ranges: tuple[tuple[Any, ...], ...]
    is_needed: bool
    may_extend: bool

    def around(self, candidates: Candidates, numbers: np.ndarray) -> Candidates:
        """Return the candidates, followed by the neighbours of some of them."""
        known = set(candidates.points)
        rows: dict[tuple[Any, ...], None] = {}
        for number in numbers.tolist():
            point = candidates.points[number]
            for place in range(len(point)):
                for value in self._neighbouring_values(place, point[place]):
                    row = (*point[:place], value, *point[place + 1 :])
                    if row not in known and row not in rows and self._is_allowed(row, candidates.largest_wave):
                        rows[row] = None
        return replace(candidates, points=(*candidates.points, *rows))

    def ends(self, candidates: Candidates, equal: Sequence[int]) -> tuple[str, ...]:
        """Return the settings in which equal candidates have the same value, at an end beyond which others are possible."""
        points = [candidates.points[number] for number in equal]

        def may_lie_beyond(place: int) -> bool:
            value, *others = {point[place] for point in points}
            rows = ((*points[0][:place], other, *points[0][place + 1 :]) for other in self._beyond(place, value))
            return not others and any(
                row != points[0] and self._is_allowed(row, candidates.largest_wave) for row in rows
            )

        return tuple(lever.name for place, lever in enumerate(self.levers) if may_lie_beyond(place))

    def _neighbouring_values(self, place: int, value: Any) -> Iterator[Any]:
        lever, values = self.levers[place], self.ranges[place]
        if value not in values:
            number = _number(lever, value)
            if not math.isnan(number):
                yield from sorted(values, key=lambda each: abs(_number(lever, each) - number))[:2]
            return
        at = values.index(value)
        yield from values[max(at - 1, 0) : at] + values[at + 1 : at + 2]
        if self.may_extend and lever.path in _OPEN_ENDED:
            yield from self._beyond(place, value)

    def _beyond(self, place: int, value: Any) -> Iterator[Any]:
        """Return the next value beyond the end of a range of several values if a value is at an end."""
        lever, values = self.levers[place], self.ranges[place]
        if len(values) > 1 and value in (values[0], values[-1]):
            yield from _step(lever, value, 1 / _FACTOR if value == values[0] else _FACTOR)

    def _is_allowed(self, row: tuple[Any, ...], largest_wave: int | None) -> bool:
        try:
            made = change_quietly(self.base, dict(zip(self.levers, row, strict=True)), self.scenario)
        except InputError:
            return False
        deadline_ns, windows = made.policy.deadline_ns, made.policy.windows_needed
        if self.may_extend and deadline_ns and deadline_ns < find_least_deadline_ns(self.scenario, self.base, windows):
            return False
        return largest_wave is None or count_in_flight(made, self.scenario) <= largest_wave


def make_neighbourhood(
    scenario: Scenario, base: ScenarioPolicy, candidates: Candidates, *, may_extend: bool
) -> Neighbourhood:
    """Return the grid to which the candidates belong."""
    levers = find_levers(candidates.levers, [scenario], [base.spec])
    ranges = []
    for lever, of_grid in zip(levers, candidates.values, strict=True):
        values = {value for value in of_grid if not math.isnan(_number(lever, value))}
        ranges.append(tuple(sorted(values, key=lambda value: _number(lever, value))))
    is_sample = len(candidates) < candidates.n_possible
    return Neighbourhood(scenario, base, levers, tuple(ranges), is_sample or may_extend, may_extend)


def _number(lever: Lever, value: Any) -> float:
    """Return a value as a number; NaN for a value that has no order."""
    if value is None or isinstance(value, bool) or lever.kind not in ("whole", "number", "duration"):
        return math.nan
    number = read_number(lever.kind, value)
    return float(number) if isinstance(number, int | float) else math.nan


def _step(lever: Lever, value: Any, factor: float) -> Iterator[Any]:
    moved = _number(lever, value) * factor
    if not moved > 0:
        return
    if lever.kind == "duration":
        yield write_duration(round(moved * NS_PER_S))
    else:
        yield max(1, round(moved)) if lever.kind == "whole" else float(f"{moved:.3g}")
