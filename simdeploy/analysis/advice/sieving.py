"""Selects the worlds that are worth trying, by the numbers that all their nodes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.disturbed import find_outages, outage_chance
from simdeploy.world.distributions import Exponential
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.waves import Span
    from simdeploy.world.fleet import Behaviour, Fleet

# The least probability with which a root is kept.
_LEAST_KEPT = 0.02
# The most roots that are searched for outages at a time, and the most zones of all roots.
_AT_ONCE, _MOST_ZONES = 1 << 16, 1 << 22


class Sieve:
    """Keeps roots that make what was seen probable."""

    def __init__(
        self,
        rollouts: Rollouts,
        # The probability with which roots are kept, by equal intervals of numbers that all nodes share.
        keeps: dict[Stream, np.ndarray],
        promotion: Span | None = None,  # how long people must have taken to promote; other roots are dropped
    ) -> None:
        self._rollouts, self._promotion = rollouts, promotion
        self._keeps = {stream: keep for stream, keep in keeps.items() if len(keep) > 1}

    def sift(self, roots: np.ndarray, *, have_outage: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the roots to keep, and the log probabilities of keeping them."""
        if not self._keeps and not self._promotion:
            return np.arange(len(roots)), np.zeros(len(roots))
        seed, chance = self._rollouts.seed, np.ones(len(roots))
        for stream, keep in self._keeps.items():
            # An outage explains failures at any level.
            if have_outage and stream is Stream.START_FAILURE_LEVEL:
                continue
            chance *= keep[place_of(uniforms(seed, roots, stream, 0), len(keep))]
        chance = np.maximum(chance, _LEAST_KEPT)
        number = len(self._rollouts.plan.sizes)
        if self._promotion:
            after_ns = replace(self._rollouts, roots=roots).promote_after_ns
            chance = np.where((after_ns > self._promotion.low) & (after_ns <= self._promotion.high), chance, 0.0)
        kept = np.flatnonzero(uniforms(seed, roots, Stream.SEEN_WAVE, number) < chance)
        return kept, np.log(chance[kept])


class RootsWithOutages:
    """Finds roots in which one of some zones fails: they are rare, but may explain many failures at once."""

    def __init__(
        self,
        fleet: Fleet,
        zones: np.ndarray,  # any of which fails
        seed: int,
        at_ns: float,  # the time of observation
        first: int,  # the first of the roots to search
    ) -> None:
        self.fleet, self.zones, self._seed, self._at_ns = fleet, zones, seed, at_ns
        self.first = self._next = first
        self.end = first + _MOST_ZONES // len(zones)
        self.chance = outage_chance(fleet, len(zones), at_ns)

    def are_among(self, roots: np.ndarray) -> np.ndarray:
        """Return which roots have an outage until the time of observation."""
        among: np.ndarray = np.any(find_outages(self.fleet, self.zones, self._seed, roots, self._at_ns), axis=1)
        return among

    def take(self, n: int) -> np.ndarray:
        """Return the next n roots with an outage, or as many as there are."""
        found = [np.zeros(0, dtype=np.int64)]
        while n and self._next < self.end:
            at_once = min(int(n / self.chance) + 1, _AT_ONCE)
            roots = np.arange(self._next, min(self._next + at_once, self.end))
            with_outage = roots[self.are_among(roots)][:n]
            n -= len(with_outage)
            self._next = int(with_outage[-1] if not n else roots[-1]) + 1
            found.append(with_outage)
        return np.concatenate(found)

    def multiply(self, factor: float) -> RootsWithOutages:
        """Return the same for a fleet whose zones fail so many times as often."""

        def change(behaviour: Behaviour) -> Behaviour:
            outage = behaviour.zone_outage
            up = outage and replace(outage, up=Exponential(outage.up.mean / factor))
            return replace(behaviour, zone_outage=up)

        fleet = self.fleet
        classes = tuple(replace(each, behaviour=change(each.behaviour)) for each in fleet.classes)
        fleet = replace(fleet, behaviour=change(fleet.behaviour), classes=classes)
        return RootsWithOutages(fleet, self.zones, self._seed, self._at_ns, self.first)


def place_of(u: np.ndarray, n: int) -> np.ndarray:
    """Return the indices of uniform numbers among n equal intervals."""
    places: np.ndarray = np.minimum((u * n).astype(np.int64), n - 1)
    return places
