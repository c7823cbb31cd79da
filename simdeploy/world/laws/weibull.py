"""The Weibull law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import UnboundedLaw, require_moments, require_positive
from simdeploy.world.special import exp, power, special

# Below this, the regularised incomplete gamma function of a Weibull residual is linear in x to the last digit, while
# its argument may be too small for floating point.
_LINEAR = 1e-17


@dataclass(frozen=True)
class Weibull(UnboundedLaw):
    """Times whose failure rate falls (`shape` below 1) or rises (above 1) with age.

    Examples
    --------
    >>> round(Weibull(scale=100.0, shape=2.0).mean, 3)
    88.623
    """

    scale: float
    shape: float

    def __post_init__(self) -> None:
        require_positive(scale=self.scale, shape=self.shape)
        require_moments(self, f"shape ({self.shape}) is too small")

    @classmethod
    def from_mean(cls, mean: float, shape: float) -> Weibull:
        """Make the law with this `mean`.

        Examples
        --------
        >>> round(Weibull.from_mean(mean=720.0, shape=0.8).mean, 6)
        720.0
        """
        require_positive(mean=mean, shape=shape)
        unit = cls(1.0, shape)
        return cls(mean / unit.mean, shape)

    @property
    def mean(self) -> float:
        """The mean."""
        return self.scale * math.gamma(1 + 1 / self.shape)

    @property
    def variance(self) -> float:
        """The variance."""
        # For a large shape the usual difference of two gamma functions near 1 would lose all digits.
        ratio = math.lgamma(1 + 2 / self.shape) - 2 * math.lgamma(1 + 1 / self.shape)
        return self.mean**2 * math.expm1(ratio)

    def _cumulative_hazard(self, x: Any) -> Any:
        """Cumulated failure rate up to `x`."""
        return power(np.maximum(x, 0.0) / self.scale, self.shape)

    def _invert_hazard(self, hazard: Any) -> Any:
        return self.scale * power(hazard, 1 / self.shape)

    def _cdf(self, x: Any) -> Any:
        return -special.expm1(-self._cumulative_hazard(x))

    def _survival(self, x: Any) -> Any:
        return exp(-self._cumulative_hazard(x))

    def _quantile(self, u: Any) -> Any:
        return self._invert_hazard(-special.log1p(-u))

    def _inverse_survival(self, s: Any) -> Any:
        return self._invert_hazard(-special.xlogy(1.0, s))

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        hazard = self._cumulative_hazard(x)
        return np.where(hazard > _LINEAR, self.mean * special.gammainc(1 / self.shape, hazard), x)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        return np.maximum(-x, 0.0) + self.mean * special.gammaincc(1 / self.shape, self._cumulative_hazard(x))

    def inverse_limited_mean(self, target: Any) -> Any:
        """Invert the limited mean."""
        hazard = special.gammaincinv(1 / self.shape, target / self.mean)
        return np.where(hazard > _LINEAR, self._invert_hazard(hazard), target)

    def inverse_expected_excess(self, target: Any) -> Any:
        """Invert the expected excess."""
        return self._invert_hazard(special.gammainccinv(1 / self.shape, target / self.mean))
