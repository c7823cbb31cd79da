"""The fates that can be dealt to the nodes of a wave (verdicts within time bounds), and their chances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from simdeploy.analysis.advice.drawing import FAILS, RUNS
from simdeploy.analysis.advice.laws import FOREVER, NodeLaw

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts

_Numbers = TypeVar("_Numbers", int, np.ndarray)

# A verdict's interval as a whole, before the earliest time of its last node (EARLY), and from then on (LATE).
_PARTS = 3
EARLY, LATE = 1, 2


class Bounds(NamedTuple):
    """Between which times after the start of the wave the nodes of a cell got verdicts, and the earliest time of the last; by world."""

    low: np.ndarray
    high: np.ndarray
    last: np.ndarray


class Fates:
    """Numbered fates of the nodes of a wave: three for each verdict (`_PARTS`), and finally that of nodes in flight.

    A verdict's number is twice that of its cell, plus one if failed; the last number is "no verdict yet".
    """

    def __init__(
        self,
        rollouts: Rollouts,
        laws: Sequence[NodeLaw],
        bounds: Sequence[Bounds],  # of each cell
        end: np.ndarray,  # nodes in flight have no verdict until then
        are_present: Sequence[bool],  # whether any node of the wave has each law
    ) -> None:
        self._rollouts, self._laws, self._are_present = rollouts, laws, are_present
        n_worlds, self._n_cells = len(end), len(bounds)
        self.in_flight = 2 * _PARTS * self._n_cells
        n_fates = self.in_flight + 1
        # The verdict's time is in (low, high], by fate and world.
        self.low, self.high = np.full((n_fates, n_worlds), -1.0), np.full((n_fates, n_worlds), FOREVER)
        self.verdicts = np.full(n_fates, -1)  # by fate; -1 for any
        # By law, fate and world; 0 for laws that no node has.
        self.chances = np.zeros((len(laws), n_fates, n_worlds))
        self.low[-1] = np.maximum(end, -1.0)
        for place, law in self._list_present_laws():
            self.chances[place, -1] = self._chance_in_flight(place, law, end)
        # By cell: in which worlds the last of its nodes must be late.
        self.are_bound = [each.last > np.maximum(each.low, -1.0) for each in bounds]
        for number, each in enumerate(bounds):
            self._add(number, each)
        np.clip(self.chances, 0.0, 1.0, out=self.chances)

    def _add(self, number: int, bounds: Bounds) -> None:
        middle = np.clip(bounds.last, bounds.low, bounds.high)
        for verdict in (RUNS, FAILS):
            first = _PARTS * (2 * number + verdict)
            parts = slice(first, first + _PARTS)
            self.verdicts[parts] = verdict
            self.low[parts] = np.maximum([bounds.low, bounds.low, middle], -1.0)
            self.high[parts] = [bounds.high, middle, bounds.high]
            for place, law in self._list_present_laws():
                at_low, at_high = (self._rollouts.chance_by(place, law, x, verdict) for x in (bounds.low, bounds.high))
                at_middle = at_low
                if self.are_bound[number].any():
                    at_middle = self._rollouts.chance_by(place, law, middle, verdict)
                self.chances[place, parts] = [at_high - at_low, at_middle - at_low, at_high - at_middle]

    def _list_present_laws(self) -> list[tuple[int, NodeLaw]]:
        return [(place, law) for place, law in enumerate(self._laws) if self._are_present[place]]

    def _chance_in_flight(self, place: int, law: NodeLaw, until: np.ndarray) -> np.ndarray:
        """Return the probability that a node has no verdict by some time."""
        runs, fails = (self._rollouts.chance_by(place, law, until, verdict) for verdict in (RUNS, FAILS))
        stays: np.ndarray = 1 - runs - fails
        return stays

    @property
    def of_verdicts(self) -> np.ndarray:
        """The chance of each verdict; shape (laws, verdicts, worlds)."""
        return self.chances[:, ::_PARTS]

    def whole(self, verdicts: _Numbers) -> _Numbers:
        """Return the fates of verdicts in their whole interval; add `EARLY` or `LATE` for a part of it."""
        return _PARTS * verdicts

    def cells_of(self, fates: np.ndarray) -> np.ndarray:
        """Return the number of each node's cell; the number of cells for nodes in flight."""
        return fates // (2 * _PARTS)

    def early(self, laws: np.ndarray, fates: np.ndarray, worlds: np.ndarray) -> np.ndarray:
        """Return the chance that nodes are early, given that their verdict is in the whole interval."""
        whole, early = self.chances[laws, fates, worlds], self.chances[laws, fates + EARLY, worlds]
        fraction_early: np.ndarray = np.divide(early, whole, out=np.zeros(len(whole)), where=whole > 0)
        return fraction_early

    def wait_until(self, end: np.ndarray) -> np.ndarray:
        """Change the time until which nodes in flight have no verdict; return the ratio of the new chance to the old, by law and world."""
        ratios = np.zeros((len(self._laws), len(end)))
        self.low[-1] = np.maximum(end, -1.0)
        for place, law in self._list_present_laws():
            before = self.chances[place, -1].copy()
            self.chances[place, -1] = np.clip(self._chance_in_flight(place, law, end), 0.0, 1.0)
            ratios[place] = np.divide(self.chances[place, -1], before, out=np.zeros(len(end)), where=before > 0)
        return ratios
