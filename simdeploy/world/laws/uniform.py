"""The uniform law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, require, require_finite, require_moments


@dataclass(frozen=True)
class Uniform(Distribution):
    """Equally likely anywhere between `low` and `high`.

    Examples
    --------
    >>> Uniform(10.0, 20.0).quantile(0.25)
    12.5
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        require_finite(low=self.low, high=self.high)
        require(self.low != self.high, f"low and high are both {self.low}: use constant")
        require(self.low < self.high, f"low ({self.low}) must be below high ({self.high})")
        require_moments(self, "low and high are too far apart")

    @property
    def mean(self) -> float:
        """The middle."""
        return self.low + self._width / 2

    @property
    def variance(self) -> float:
        """A twelfth of the squared width."""
        return self._width**2 / 12

    @property
    def support(self) -> tuple[float, float]:
        """From `low` to `high`."""
        return (self.low, self.high)

    @property
    def _width(self) -> float:
        return self.high - self.low

    def _cdf(self, x: Any) -> Any:
        return (np.clip(x, self.low, self.high) - self.low) / self._width

    def _survival(self, x: Any) -> Any:
        return (self.high - np.clip(x, self.low, self.high)) / self._width

    def _quantile(self, u: Any) -> Any:
        return np.minimum(self.low + u * self._width, self.high)

    def _inverse_survival(self, s: Any) -> Any:
        return np.maximum(self.high - s * self._width, self.low)

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        inside = np.clip(x, self.low, self.high) - self.low
        return np.minimum(x, self.low) + inside - inside**2 / (2 * self._width)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        inside = self.high - np.clip(x, self.low, self.high)
        return np.maximum(self.low - x, 0.0) + inside**2 / (2 * self._width)

    def inverse_limited_mean(self, target: Any) -> Any:
        """Invert the limited mean: a quadratic equation above `low`."""
        inside = np.maximum(target - self.low, 0.0)
        root = np.sqrt(np.maximum(1 - 2 * inside / self._width, 0.0))
        return np.minimum(target, self.low) + 2 * inside / (1 + root)

    def inverse_expected_excess(self, target: Any) -> Any:
        """Invert the expected excess: a quadratic equation above `low`."""
        most = self._width / 2
        inside = np.sqrt(2 * self._width * np.minimum(target, most))
        return self.high - inside - np.maximum(target - most, 0.0)
