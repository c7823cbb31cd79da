"""Worlds of one kind that were found from similar roots, which have a known probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.engines.continuing import Worlds


class Stratum:
    """Worlds that were found from similar roots, of which `n_roots` were drawn and `n_proposed` proposed.

    Examples
    --------
    >>> stratum = Stratum(0.5)
    >>> stratum.n_roots = stratum.n_proposed = 4
    >>> stratum.add(None, np.log([0.5, 1.0]), lost=np.zeros(0))
    >>> np.exp(stratum.log_weights).round(4).tolist(), round(math.exp(stratum.log_total), 4)
    ([0.0625, 0.125], 0.1875)
    """

    def __init__(
        self,
        chance: float = 1.0,  # the probability of such roots
    ) -> None:
        self.n_roots = self.n_proposed = self.n_found = 0
        self.worlds: list[Worlds] = []  # that agree
        self._log_chance = math.log(chance)
        self._log_weights, self._lost = [np.zeros(0)], [np.zeros(0)]

    def add(self, worlds: Worlds, log_weights: np.ndarray, *, lost: np.ndarray) -> None:
        """Add worlds that agree; `lost` are the log weights of worlds that could not be drawn."""
        self.n_found += len(log_weights)
        self.worlds.append(worlds)
        self._log_weights.append(log_weights)
        self._lost.append(lost)

    @property
    def log_weights(self) -> np.ndarray:
        """The log weights of the worlds: their sum estimates the chance of such a root and what was seen."""
        return self._scale(self._log_weights)

    @property
    def lost(self) -> np.ndarray:
        """The log weights of worlds that could not be drawn."""
        return self._scale(self._lost)

    @property
    def log_total(self) -> float:
        """The log of the sum of the weights."""
        return float(np.logaddexp.reduce(self.log_weights, initial=-math.inf))

    def spread(self, log_scale: float) -> float:
        """Return the root mean square of what a proposal adds to the chance, over some scale."""
        return math.sqrt(np.exp(2 * (self.log_weights - log_scale)).sum() * self.n_proposed)

    def _scale(self, parts: list[np.ndarray]) -> np.ndarray:
        scaled: np.ndarray = np.concatenate(parts) + self._log_chance - math.log(max(self.n_roots, 1))
        return scaled
