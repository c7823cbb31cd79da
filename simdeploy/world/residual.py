"""The remaining part of a time in progress: the residual life of a renewal process (model section 3)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from simdeploy.world.laws.base import Distribution, Law, require


@dataclass(frozen=True)
class Residual(Law):
    """The time until the next renewal, from any fixed instant of a stationary renewal process.

    If the times between renewals follow `law`, with survival S, the residual has the survival S_e(x) = (1 / mean) *
    integral of S(t) from x to infinity.

    Raises
    ------
    ValueError
        If it is not a distribution of times.

    References
    ----------
    D. R. Cox, "Renewal Theory", Methuen, 1962 (forward recurrence time).

    Examples
    --------
    >>> from simdeploy.world.distributions import Constant
    >>> Residual(Constant(60.0)).quantile(0.25)
    15.0
    """

    law: Distribution  # of numbers >= 0 with a mean above 0

    def __post_init__(self) -> None:
        require(self.law.support[0] >= 0, "times must not be below 0")
        require(self.law.mean > 0, "times must have a mean above 0")

    @property
    def mean(self) -> float:
        """E[X**2] / (2 E[X])."""
        return self.law.mean / 2 + self.law.variance / self.law.mean / 2

    @property
    def support(self) -> tuple[float, float]:
        """From 0 to the longest time."""
        return (0.0, self.law.support[1])

    def _cdf(self, x: Any) -> Any:
        return self.law.limited_mean(_finite(x)) / self.law.mean

    def _survival(self, x: Any) -> Any:
        # Some laws compute the excess as a difference of nearly equal terms, which rounding may leave below 0.
        return np.maximum(self.law.expected_excess(_finite(x)), 0.0) / self.law.mean

    def _quantile(self, u: Any) -> Any:
        return self._invert(u, 1 - u)

    def _inverse_survival(self, s: Any) -> Any:
        return self._invert(1 - s, s)

    def _invert(self, below: Any, above: Any) -> Any:
        """Invert the smaller of two shares that sum to 1, because it has more accurate digits."""
        shares = np.atleast_1d(below).ravel(), np.atleast_1d(above).ravel()
        lower = shares[0] <= 0.5
        x = np.empty(lower.shape)
        x[lower] = self.law.inverse_limited_mean(shares[0][lower] * self.law.mean)
        x[~lower] = self.law.inverse_expected_excess(shares[1][~lower] * self.law.mean)
        return x.reshape(np.shape(below))


def _finite(x: Any) -> Any:
    # Infinity times a survival of 0 would be NaN.
    return np.clip(x, 0.0, sys.float_info.max)
