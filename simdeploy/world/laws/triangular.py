"""The triangular law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, require, require_finite, require_moments


@dataclass(frozen=True)
class Triangular(Distribution):
    """A density that rises from `low` to `mode` and falls to `high`.

    Examples
    --------
    >>> Triangular(0.0, 1.0, 2.0).quantile(0.5)
    1.0
    """

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        require_finite(low=self.low, mode=self.mode, high=self.high)
        require(self.low != self.high, f"low and high are both {self.low}: use constant")
        require(self.low < self.high, f"low ({self.low}) must be below high ({self.high})")
        require(
            self.low <= self.mode <= self.high,
            f"mode ({self.mode}) must lie between low ({self.low}) and high ({self.high})",
        )
        require_moments(self, "low and high are too far apart")

    @property
    def mean(self) -> float:
        """The mean of the three corners."""
        return self.low + (self._rise + self._width) / 3

    @property
    def variance(self) -> float:
        """The variance."""
        return (self._width**2 - self._rise * self._fall) / 18

    @property
    def support(self) -> tuple[float, float]:
        """From `low` to `high`."""
        return (self.low, self.high)

    @property
    def _width(self) -> float:
        return self.high - self.low

    @property
    def _rise(self) -> float:
        return self.mode - self.low

    @property
    def _fall(self) -> float:
        return self.high - self.mode

    def _up(self, x: Any) -> tuple[Any, Any]:
        """Distances from `low` to `x` and from `x` to `mode`, with `x` clipped to the rising side."""
        inside = np.clip(x, self.low, self.mode)
        return inside - self.low, self.mode - inside

    def _down(self, x: Any) -> tuple[Any, Any]:
        """Distances from `mode` to `x` and from `x` to `high`, with `x` clipped to the falling side."""
        inside = np.clip(x, self.mode, self.high)
        return inside - self.mode, self.high - inside

    # Each function below has a term for the rising side and one for the falling side, written so that no two nearly equal
    # numbers are subtracted; a side of length 0 has no term.

    def _cdf(self, x: Any) -> Any:
        total: Any = 0.0
        if self._rise:
            gone, _ = self._up(x)
            total = total + gone / self._rise * (gone / self._width)
        if self._fall:
            gone, left = self._down(x)
            total = total + gone / self._fall * ((self._fall + left) / self._width)
        return total

    def _survival(self, x: Any) -> Any:
        total: Any = 0.0
        if self._fall:
            _, left = self._down(x)
            total = total + left / self._fall * (left / self._width)
        if self._rise:
            gone, left = self._up(x)
            total = total + left / self._rise * ((self._rise + gone) / self._width)
        return total

    def _quantile(self, u: Any) -> Any:
        return self._place(u, 1 - u, u - self._rise / self._width)

    def _inverse_survival(self, s: Any) -> Any:
        return self._place(1 - s, s, self._fall / self._width - s)

    def _place(self, below: Any, above: Any, beyond_mode: Any) -> Any:
        """Find the value by the probabilities below it, above it, and between the mode and it."""
        rising = np.minimum(self.low + np.sqrt(below * self._width * self._rise), self.mode)
        if not self._fall:
            return rising
        area = np.maximum(beyond_mode, 0.0) * self._width * self._fall
        falling = self.mode + area / (self._fall + np.sqrt(above * self._width * self._fall))
        return np.where(beyond_mode < 0, rising, np.minimum(falling, self.high))

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        total = np.minimum(x, self.low)
        if self._rise:
            gone, _ = self._up(x)
            total = total + gone - gone / self._rise * (gone / self._width) * gone / 3
        if self._fall:
            gone, left = self._down(x)
            squares = self._fall**2 + self._fall * left + left**2
            total = total + gone * squares / (3 * self._width * self._fall)
        return total

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        total = np.maximum(self.low - x, 0.0)
        if self._fall:
            _, left = self._down(x)
            total = total + left / self._fall * (left / self._width) * left / 3
        if self._rise:
            gone, left = self._up(x)
            squares = self._rise**2 + self._rise * gone + gone**2
            total = total + left * (1 - squares / (3 * self._width * self._rise))
        return total
