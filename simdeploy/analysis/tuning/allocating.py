"""How many worlds of each kind of release a search simulates, by what it has seen so far."""

from __future__ import annotations

import numpy as np

from simdeploy.analysis.tuning.worlds import Measured, Worlds
from simdeploy.statistics.allocation import find_shares

# Candidates that compete, whose differences decide on the allocation.
_COMPETING = 50
# No kind has less than this fraction of an equal share of the worlds.
_LEAST = 0.2


class Allocation:
    """Shares of the kinds of release, and the worst that was seen in worlds of each.

    It depends on finished stages alone, so a resumed search and any number of workers give the same numbers.
    """

    # The first worlds, of a few candidates, only show what varies.
    n_piloted, _of_each = 24, 20

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds
        self._shares: np.ndarray | None = None
        self._worst = np.zeros(len(worlds.kinds))
        self._weights = np.ones(len(worlds.kinds))

    @property
    def of_pilot(self) -> dict[str, int]:
        """Worlds of each kind in the pilot."""
        return dict.fromkeys(self._worlds.kinds, self._of_each)

    def learn(self, measured: Measured) -> None:
        """Look at the differences of the best candidates."""
        observations = measured.observations[~measured.has_gap]
        if not len(observations):
            return
        means, weights = observations.means_by_stratum()
        order = np.argsort(observations.means(), kind="stable")
        self._weights = weights[order[0]]
        feared = observations.without_known_events()
        for place, columns in enumerate(observations.strata.columns):
            values, before = feared[:, columns] - means[order[0], place], self._worst[place]
            if observations.lumps and not any(lump.unknown_sizes[place] for lump in observations.lumps):
                # The rates of all events are known, so only what else varies under a good candidate need be feared.
                best_ones = order[: _COMPETING + 1]
                values, before = feared[best_ones][:, columns] - means[best_ones, place, None], 0.0
            if not np.isnan(values).all():
                self._worst[place] = max(before, float(np.nanmax(values)))
        best = observations[order[:1]]
        competing = observations[order[1 : _COMPETING + 1]] - best if len(order) > 1 else best
        self._shares = find_shares(competing, self._worst * (self._weights > 0))

    def divide(self, n: int, *, fewest: int = 2) -> dict[str, int]:
        """Divide worlds among the kinds so that the candidates' differences are known best."""
        n_kinds = len(self._worlds.kinds)
        least = max(int(_LEAST * n / n_kinds), fewest)
        return self._worlds.divide(max(n, fewest * n_kinds), self._shares, fewest=least)

    def divide_for(self, measured: Measured, n: int, *, fewest: int) -> dict[str, int]:
        """Divide worlds so that the mean of the first candidate and its differences from the others are known best."""
        observations = measured.observations[~measured.has_gap]
        rows = observations if len(observations) < 2 else observations[:1].stack(observations[1:] - observations[:1])
        # The limits of the mean allow for verdicts that no candidate had.
        sizes = np.sum([np.abs(lump.unknown_sizes) for lump in observations.lumps], axis=0)
        worst = np.maximum(self._worst, sizes) * (self._weights > 0)
        return self._worlds.divide(n, find_shares(rows, worst), fewest=fewest)

    def unseen(self, counts: np.ndarray) -> np.ndarray:
        """Return by kind how much the mean of a candidate rises if one more world has the worst outcome."""
        unseen: np.ndarray = self._weights * self._worst / (counts + 1)
        return unseen
