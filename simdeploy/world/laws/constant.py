"""A law with one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, require_finite


@dataclass(frozen=True)
class Constant(Distribution):
    """Always `value`.

    Examples
    --------
    >>> Constant(45.0).quantile(0.3)
    45.0
    """

    value: float

    def __post_init__(self) -> None:
        require_finite(value=self.value)

    @property
    def mean(self) -> float:
        """The value."""
        return self.value

    @property
    def variance(self) -> float:
        """Zero."""
        return 0.0

    @property
    def support(self) -> tuple[float, float]:
        """The value, twice."""
        return (self.value, self.value)

    def _cdf(self, x: Any) -> Any:
        return np.where(x >= self.value, 1.0, 0.0)

    def _survival(self, x: Any) -> Any:
        return np.where(x >= self.value, 0.0, 1.0)

    def _quantile(self, u: Any) -> Any:
        return self.value + 0.0 * u

    def _inverse_survival(self, s: Any) -> Any:
        return self.value + 0.0 * s

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        return np.minimum(x, self.value)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        return np.maximum(self.value - x, 0.0)

    def inverse_limited_mean(self, target: Any) -> Any:
        """Invert the limited mean."""
        return target

    def inverse_expected_excess(self, target: Any) -> Any:
        """Invert the expected excess."""
        return self.value - target
