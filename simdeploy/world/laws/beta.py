"""The beta law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, require, require_positive, require_spread
from simdeploy.world.special import special


@dataclass(frozen=True)
class Beta(Distribution):
    """Fractions between 0 and 1.

    Examples
    --------
    >>> round(Beta.from_mean_sd(mean=0.05, sd=0.06).mean, 6)
    0.05
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        require_positive(alpha=self.alpha, beta=self.beta)
        require_positive(**{"alpha + beta": self.alpha + self.beta})

    @classmethod
    def from_mean_sd(cls, mean: float, sd: float) -> Beta:
        """Make the law with this mean and standard deviation."""
        require_spread(mean, sd)
        require(mean < 1, f"the mean of a beta distribution must be below 1, not {mean}")
        most = mean * (1 - mean)
        require(sd**2 < most, f"sd ({sd}) is too large: with mean {mean} it must be below {most**0.5:.6g}")
        total = most / sd**2 - 1
        return cls(mean * total, (1 - mean) * total)

    @property
    def mean(self) -> float:
        """The mean."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def variance(self) -> float:
        """The variance."""
        return self.mean * (self.beta / (self.alpha + self.beta)) / (self.alpha + self.beta + 1)

    @property
    def support(self) -> tuple[float, float]:
        """From 0 to 1."""
        return (0.0, 1.0)

    def _cdf(self, x: Any) -> Any:
        return special.betainc(self.alpha, self.beta, np.clip(x, 0.0, 1.0))

    def _survival(self, x: Any) -> Any:
        return special.betaincc(self.alpha, self.beta, np.clip(x, 0.0, 1.0))

    def _quantile(self, u: Any) -> Any:
        return special.betaincinv(self.alpha, self.beta, _invertible(u))

    def _inverse_survival(self, s: Any) -> Any:
        return special.betainccinv(self.alpha, self.beta, _invertible(s))

    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""
        inside = np.clip(x, 0.0, 1.0)
        return self.mean * special.betainc(self.alpha + 1, self.beta, inside) + x * self._survival(x)

    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""
        inside = np.clip(x, 0.0, 1.0)
        return self.mean * special.betaincc(self.alpha + 1, self.beta, inside) - x * self._survival(x)


def _invertible(probability: Any) -> Any:
    # scipy returns NaN for some probabilities below 1e-17; the smallest uniform is larger.
    return np.where(probability > 0, np.maximum(probability, 2.0**-53), 0.0)
