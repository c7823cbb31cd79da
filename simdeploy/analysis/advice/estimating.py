r"""Estimates from weighted worlds, with intervals that reflect simulation error only.

Given what was seen, the mean of a value y is a ratio R of two means over all worlds that were tried, :math:`E[w y] / E[w]`. Kinds of
release are strata with their own worlds, so with :math:`d = w (y - R)` its variance is about
:math:`\sum_k \pi_k^2 s_k^2(d) / n_k` over :math:`E[w]^2` (Cochran 1977 [1]_, equation 6.48: the combined ratio estimate). Intervals are Wilson's [2]_
for probabilities, with the number of worlds that would give the same standard error, and normal for other values. If no weight varies
within a kind, nothing about the probabilities of kinds is uncertain.

References
----------
.. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
.. [2] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. Journal of the American
   Statistical Association 22(158), 209-212.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.statistics.levels import normal_quantile, share_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.conditioning import Conditioned


class Interval(NamedTuple):
    """An estimate with its interval; NaN where unknown."""

    estimate: float
    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan, math.nan)

# Smaller squared deviations, as a fraction of the squares, are rounding errors.
_NOTHING = 1e-12


class Weighted:
    """Weighted worlds of several kinds."""

    def __init__(
        self,
        weights: np.ndarray,  # of all worlds, kind by kind
        sizes: list[int],  # worlds of each kind
        tried: list[int],  # worlds of each kind that were drawn to find them
        confidence_level: float,
        *,
        has_laws: bool = False,  # whether a weight is the exact chance of what was seen, given what nodes share and what was proposed
    ) -> None:
        self.weights = weights
        self.total = float(weights.sum())
        self._ends = np.cumsum([0, *sizes]).tolist()
        self._tried = tried
        self._level = confidence_level
        self._z = normal_quantile(confidence_level)
        self._effective = self.total**2 / float((weights**2).sum())
        # Whether weights don't vary, so that the probabilities of kinds are exact.
        self._are_exact = has_laws and all(
            0 < size == n and np.ptp(weights[last - size : last]) ** 2 <= _NOTHING * weights[last - 1] ** 2
            for size, n, last in zip(sizes, tried, self._ends[1:], strict=True)
        )

    @classmethod
    def of(cls, conditioned: Conditioned, confidence_level: float) -> Weighted:
        """Return the weighted worlds of all kinds."""
        by_kind = conditioned.by_kind
        weights = np.concatenate([each.weights for each in by_kind])
        sizes, tried = [len(each.weights) for each in by_kind], [each.n_tried for each in by_kind]
        return cls(weights, sizes, tried, confidence_level, has_laws=not conditioned.why_any_tried)

    def mean(self, values: np.ndarray, *, together: int = 1) -> Interval:
        """Estimate a mean; NaN if the value of any world is. `together` intervals hold simultaneously (Bonferroni)."""
        if np.isnan(values).any():
            return UNKNOWN
        estimate = float((self.weights * values).sum()) / self.total
        error = self._error(values - estimate)
        reach = (self._z if together == 1 else normal_quantile(share_out(self._level, together))) * error
        return Interval(estimate, estimate - reach, estimate + reach)

    def columns(self, place: int) -> slice:
        """Return the worlds of a kind of release, the number of which is given."""
        return slice(self._ends[place], self._ends[place + 1])

    def kind(self, place: int) -> Interval:
        """Estimate the probability of a kind of release, the number of which is given; it is exact if weights don't vary."""
        is_kind = np.zeros(len(self.weights))
        is_kind[self.columns(place)] = 1.0
        found = self.probability(is_kind)
        return Interval(*[found.estimate] * 3) if self._are_exact else found

    def probability(self, happens: np.ndarray) -> Interval:
        """Estimate a probability."""
        estimate = min(max(float((self.weights * happens).sum()) / self.total, 0.0), 1.0)
        # The squared weights of an impossible kind may underflow.
        variance = self._error(happens - estimate) ** 2
        n = estimate * (1 - estimate) / variance if variance > 0 else 0.0
        n = n if n > 0 else self._effective
        spread = self._z**2 / n
        middle = (estimate + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (estimate * (1 - estimate) + spread / 4)) / (1 + spread)
        return Interval(estimate, max(min(middle - half, estimate), 0.0), min(max(middle + half, estimate), 1.0))

    def quantile(self, values: np.ndarray, level: float) -> Interval:
        """Estimate a quantile, the lowest value that a fraction `level` does not exceed; its bounds follow from bounds of the level."""
        if np.isnan(values).any():
            return UNKNOWN
        (estimate,) = self.quantiles(values, (level,))
        below = self.probability((values <= estimate).astype(float))
        half = max(below.high - below.estimate, below.estimate - below.low)
        return Interval(estimate, *self.quantiles(values, (max(level - half, 0.0), min(level + half, 1.0))))

    def quantiles(self, values: np.ndarray, levels: Sequence[float]) -> list[float]:
        """Return several quantiles without bounds, as `quantile` does."""
        if np.isnan(values).any():
            return [math.nan] * len(levels)
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(self.weights[order]) / self.total
        places = np.minimum(np.searchsorted(reached, np.asarray(levels) - 1e-12), len(order) - 1)
        found: list[float] = values[order[places]].tolist()
        return found

    def skewness(self, values: np.ndarray) -> float:
        """Return the skewness of the estimate of a mean; 0 if values don't vary."""
        deviations = self.weights * (values - float((self.weights * values).sum()) / self.total)
        third = scale = 0.0
        for first, last, n in zip(self._ends, self._ends[1:], self._tried, strict=False):
            parts = deviations[first:last]
            off = parts - parts.sum() / max(n, 1)
            if float((off**2).sum()) > _NOTHING * float((parts**2).sum()):
                third, scale = third + float((off**3).sum()), scale + float((off**2).sum())
        return third / scale**1.5 if scale > 0 else 0.0

    def _error(self, deviations: np.ndarray) -> float:
        """Return the standard error of a ratio, from the deviations of the values from the ratio."""
        variance = 0.0
        for first, last, n in zip(self._ends, self._ends[1:], self._tried, strict=False):
            parts = self.weights[first:last] * deviations[first:last]  # already over n
            squares = float((parts**2).sum())
            spread = squares - float(parts.sum()) ** 2 / max(n, 1)
            if n > 1 and spread > _NOTHING * squares:
                variance += spread * n / (n - 1)
        return math.sqrt(max(variance, 0.0)) / self.total
