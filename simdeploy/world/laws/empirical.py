"""The law of values that were observed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, FloatArray, require, require_finite, require_moments


@dataclass(frozen=True)
class Empirical(Distribution):
    """One of `values`, each equally likely; nothing in between.

    Examples
    --------
    >>> Empirical([30.0, 10.0, 20.0]).quantile(0.5)
    20.0
    """

    values: tuple[float, ...]  # at least one; sorted

    def __init__(self, values: Iterable[float]) -> None:
        object.__setattr__(self, "values", tuple(sorted(float(value) for value in values)))
        require(bool(self.values), "values must hold at least one number")
        for value in self.values:
            require_finite(**{"each of values": value})
        require_moments(self, "values are too large")

    @cached_property
    def mean(self) -> float:
        """The mean of the values."""
        return math.fsum(self.values) / len(self.values)

    @cached_property
    def variance(self) -> float:
        """The mean squared distance from the mean (of a law, not an estimate: the divisor is n)."""
        return math.fsum((value - self.mean) ** 2 for value in self.values) / len(self.values)

    @property
    def support(self) -> tuple[float, float]:
        """From the lowest value to the highest."""
        return (self.values[0], self.values[-1])

    @cached_property
    def _array(self) -> FloatArray:
        return np.array(self.values)

    def _cdf(self, x: Any) -> Any:
        return np.searchsorted(self._array, x, side="right") / len(self.values)

    def _survival(self, x: Any) -> Any:
        n = len(self.values)
        return (n - np.searchsorted(self._array, x, side="right")) / n

    def _quantile(self, u: Any) -> Any:
        # The smallest k with k / n >= u, with the quotient rounded as in _cdf; ceil(u * n) may be off by one.
        n = len(self.values)
        k = np.ceil(u * n)
        k = np.where((k - 1) / n >= u, k - 1, np.where(k / n < u, k + 1, k))
        return self._array[np.maximum(k.astype(np.int64), 1) - 1]

    def _inverse_survival(self, s: Any) -> Any:
        # The largest k, the number of values above the result, with k / n <= s.
        n = len(self.values)
        k = np.floor(s * n)
        k = np.where((k + 1) / n <= s, k + 1, np.where(k / n > s, k - 1, k))
        return self._array[np.maximum(n - k.astype(np.int64), 1) - 1]

    # Both integrals of the survival are linear between two values; these are their heights at the values.

    @cached_property
    def limited_means(self) -> FloatArray:
        """E[min(X, x)] at each of the values."""
        n = len(self.values)
        return np.cumsum(np.diff(self._array, prepend=0.0) * np.arange(n, 0, -1) / n)

    @cached_property
    def expected_excesses(self) -> FloatArray:
        """E[max(X - x, 0)] at each of the values."""
        n = len(self.values)
        return np.cumsum((np.diff(self._array, append=self._array[-1]) * np.arange(n - 1, -1, -1) / n)[::-1])[::-1]

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        return np.where(x <= self.values[0], x, np.interp(x, self._array, self.limited_means))

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        return np.maximum(self.values[0] - x, 0.0) + np.interp(x, self._array, self.expected_excesses)

    def inverse_limited_mean(self, target: Any) -> Any:
        """Invert the limited mean."""
        return np.where(target <= self.limited_means[0], target, np.interp(target, self.limited_means, self._array))

    def inverse_expected_excess(self, target: Any) -> Any:
        """Invert the expected excess."""
        heights = self.expected_excesses
        return np.interp(target, heights[::-1], self._array[::-1]) - np.maximum(target - heights[0], 0.0)
