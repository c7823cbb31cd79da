"""The exponential law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import UnboundedLaw, require_moments, require_positive
from simdeploy.world.special import exp, special


@dataclass(frozen=True)
class Exponential(UnboundedLaw):
    """Times without memory, with the given `mean`.

    Examples
    --------
    >>> round(Exponential(600.0).quantile(0.5), 3)
    415.888
    """

    mean: float

    def __post_init__(self) -> None:
        require_positive(mean=self.mean)
        require_moments(self, f"mean ({self.mean}) is too large")

    @property
    def variance(self) -> float:
        """The squared mean."""
        return self.mean**2

    def _cdf(self, x: Any) -> Any:
        return -special.expm1(-np.maximum(x, 0.0) / self.mean)

    def _survival(self, x: Any) -> Any:
        return exp(-np.maximum(x, 0.0) / self.mean)

    def _quantile(self, u: Any) -> Any:
        return -self.mean * special.log1p(-u)

    def _inverse_survival(self, s: Any) -> Any:
        return -special.xlogy(self.mean, s)

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        return np.minimum(x, 0.0) + self.mean * self._cdf(x)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        return np.maximum(-x, 0.0) + self.mean * self._survival(x)

    def inverse_limited_mean(self, target: Any) -> Any:
        """Invert the limited mean."""
        return self._quantile(target / self.mean)

    def inverse_expected_excess(self, target: Any) -> Any:
        """Invert the expected excess."""
        return self._inverse_survival(target / self.mean)
