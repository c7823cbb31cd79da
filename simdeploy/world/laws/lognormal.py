"""The lognormal law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from simdeploy.world.laws.base import UnboundedLaw, require, require_finite, require_moments, require_positive
from simdeploy.world.special import exp, special

_Z_95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True)
class Lognormal(UnboundedLaw):
    """Numbers whose logarithm is normal, with standard deviation `sigma`, around the logarithm of `median`.

    Examples
    --------
    >>> round(Lognormal.from_p95(median=45.0, p95=120.0).quantile(0.95), 6)
    120.0
    """

    median: float
    sigma: float

    def __post_init__(self) -> None:
        require_positive(median=self.median, sigma=self.sigma)
        require_moments(self, f"sigma ({self.sigma}) is too large")

    @classmethod
    def from_p95(cls, median: float, p95: float) -> Lognormal:
        """Make the law with this median and 95 % quantile."""
        require_positive(median=median)
        require_finite(p95=p95)
        require(p95 > median, f"p95 ({p95}) must be above the median ({median})")
        return cls(median, math.log(p95 / median) / _Z_95)

    @classmethod
    def from_mean_sd(cls, mean: float, sd: float) -> Lognormal:
        """Make the law with this mean and standard deviation."""
        require_positive(mean=mean, sd=sd)
        log_variance = math.log1p((sd / mean) * (sd / mean))
        require(math.isfinite(log_variance), f"sd ({sd}) is too large for the mean ({mean})")
        return cls(mean * math.exp(-log_variance / 2), math.sqrt(log_variance))

    @property
    def mean(self) -> float:
        """The mean."""
        return self.median * math.exp(self.sigma**2 / 2)

    @property
    def variance(self) -> float:
        """The variance."""
        return self.mean**2 * math.expm1(self.sigma**2)

    def _z(self, x: Any) -> Any:
        return special.xlogy(1.0, np.maximum(x, 0.0) / self.median) / self.sigma

    def _cdf(self, x: Any) -> Any:
        return special.ndtr(self._z(x))

    def _survival(self, x: Any) -> Any:
        return special.ndtr(-self._z(x))

    def _quantile(self, u: Any) -> Any:
        return self.median * exp(self.sigma * special.ndtri(u))

    def _inverse_survival(self, s: Any) -> Any:
        return self.median * exp(-self.sigma * special.ndtri(s))

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        z = self._z(x)
        return self.mean * special.ndtr(z - self.sigma) + x * special.ndtr(-z)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]: the formula of Black and Scholes."""
        z = self._z(x)
        return self.mean * special.ndtr(self.sigma - z) - x * special.ndtr(-z)
