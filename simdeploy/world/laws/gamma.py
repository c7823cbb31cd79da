"""The gamma law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import UnboundedLaw, require_moments, require_positive, require_spread
from simdeploy.world.special import special


@dataclass(frozen=True)
class Gamma(UnboundedLaw):
    """A sum of `shape` exponential times of mean `scale`, for any `shape` above 0.

    Examples
    --------
    >>> Gamma.from_mean_sd(mean=10.0, sd=5.0)
    Gamma(shape=4.0, scale=2.5)
    """

    shape: float
    scale: float

    def __post_init__(self) -> None:
        require_positive(shape=self.shape, scale=self.scale)
        require_moments(self, f"scale ({self.scale}) or shape ({self.shape}) is too large")

    @classmethod
    def from_mean_sd(cls, mean: float, sd: float) -> Gamma:
        """Make the law with this mean and standard deviation."""
        require_spread(mean, sd)
        shape = (mean / sd) * (mean / sd)
        return cls(shape, mean / shape)

    @property
    def mean(self) -> float:
        """The mean."""
        return self.shape * self.scale

    @property
    def variance(self) -> float:
        """The variance."""
        return self.shape * self.scale**2

    def _cdf(self, x: Any) -> Any:
        return special.gammainc(self.shape, np.maximum(x, 0.0) / self.scale)

    def _survival(self, x: Any) -> Any:
        return special.gammaincc(self.shape, np.maximum(x, 0.0) / self.scale)

    def _quantile(self, u: Any) -> Any:
        return self.scale * special.gammaincinv(self.shape, u)

    def _inverse_survival(self, s: Any) -> Any:
        return self.scale * special.gammainccinv(self.shape, s)

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        return self.mean * special.gammainc(self.shape + 1, np.maximum(x, 0.0) / self.scale) + x * self._survival(x)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        return self.mean * special.gammaincc(self.shape + 1, np.maximum(x, 0.0) / self.scale) - x * self._survival(x)
