"""Selects the worlds that are worth trying, by the numbers that all their nodes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.disturbed import find_outages, outage_chance
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.waves import Span

# The least probability with which a root is kept.
_LEAST_KEPT = 0.02
# The fraction of kept roots that are to have an outage of a zone, if outages are rarer: they may explain many failures at once.
_OUTAGES = 0.1


class Sieve:
    """Keeps roots that make what was seen probable."""

    def __init__(
        self,
        rollouts: Rollouts,
        # The probability with which roots are kept, by equal intervals of numbers that all nodes share.
        keeps: dict[Stream, np.ndarray],
        at_ns: float,  # the time of observation
        promotion: Span | None = None,  # how long people must have taken to promote; other roots are dropped
    ) -> None:
        self._rollouts, self._at_ns, self._promotion = rollouts, int(at_ns), promotion
        self._keeps = {stream: keep for stream, keep in keeps.items() if len(keep) > 1}
        share = outage_chance(rollouts.scenario.fleet, self._at_ns)
        # How much more often other roots are dropped than those with an outage.
        self._without = 1.0
        if 0 < share < _OUTAGES:
            self._without = max(share * (1 - _OUTAGES) / ((1 - share) * _OUTAGES), _LEAST_KEPT)

    def sift(self, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the roots to keep, and the log probabilities of keeping them."""
        if not self._keeps and not self._promotion and self._without == 1:
            return np.arange(len(roots)), np.zeros(len(roots))
        seed, chance = self._rollouts.seed, np.ones(len(roots))
        for stream, keep in self._keeps.items():
            chance *= keep[place_of(uniforms(seed, roots, stream, 0), len(keep))]
        chance = np.maximum(chance * self._without, _LEAST_KEPT)
        if self._without < 1:
            has_outage = find_outages(self._rollouts.scenario.fleet, seed, roots, self._at_ns)
            chance = np.where(has_outage, np.minimum(chance / self._without, 1.0), chance)
        number = len(self._rollouts.plan.sizes)
        if self._promotion:
            after_ns = replace(self._rollouts, roots=roots).promote_after_ns
            chance = np.where((after_ns > self._promotion.low) & (after_ns <= self._promotion.high), chance, 0.0)
        kept = np.flatnonzero(uniforms(seed, roots, Stream.SEEN_WAVE, number) < chance)
        return kept, np.log(chance[kept])


def place_of(u: np.ndarray, n: int) -> np.ndarray:
    """Return the indices of uniform numbers among n equal intervals."""
    places: np.ndarray = np.minimum((u * n).astype(np.int64), n - 1)
    return places
