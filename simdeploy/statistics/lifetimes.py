"""Families of distributions of durations, each a standard law times a scale: survival functions and quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import special

Shape = np.ndarray | float
Family = Literal["exponential", "weibull", "lognormal", "gamma"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class Lifetime:
    """A family at scale 1. The scale is the mean, scale, median and mean of the four families."""

    has_shape: bool  # false for the exponential
    # survival, quantile: functions of (x, shape)
    survival: Callable[[np.ndarray, Shape], np.ndarray]
    quantile: Callable[[np.ndarray, Shape], np.ndarray]


LIFETIMES: Mapping[Family, Lifetime] = {
    "exponential": Lifetime(False, lambda x, _: np.exp(-x), lambda p, _: -np.log1p(-p)),
    "weibull": Lifetime(True, lambda x, shape: np.exp(-(x**shape)), lambda p, shape: (-np.log1p(-p)) ** (1 / shape)),
    "lognormal": Lifetime(
        True,
        lambda x, shape: special.ndtr(-np.log(x) / shape),
        lambda p, shape: np.exp(special.ndtri(p) * shape),
    ),
    "gamma": Lifetime(
        True,
        lambda x, shape: special.gammaincc(shape, x * shape),
        lambda p, shape: special.gammaincinv(shape, p) / shape,
    ),
}


def match_sum(family: Family, shape: np.ndarray, n: int) -> tuple[Family, np.ndarray, np.ndarray]:
    """Return the law of the sum of `n` durations of scale 1: family, shape, and logarithm of its location.

    Sums are exact for exponential and gamma durations. Others are approximated by a law with the same mean and variance: lognormal ones by
    a lognormal law (Fenton and Wilkinson), Weibull ones by a gamma law.

    Examples
    --------
    >>> import numpy as np
    >>> family, shape, location = match_sum("exponential", np.ones(1), 3)
    >>> family, shape.tolist(), np.exp(location).round(6).tolist()
    ('gamma', [3.0], [3.0])
    """
    if n == 1:
        return family, shape, np.zeros_like(shape)
    match family:
        case "lognormal":
            variance = np.log1p(np.expm1(shape**2) / n)
            return "lognormal", np.sqrt(variance), math.log(n) + (shape**2 - variance) / 2
        case "weibull":
            mean = special.gamma(1 + 1 / shape)
            return "gamma", n * mean**2 / (special.gamma(1 + 2 / shape) - mean**2), np.log(n * mean)
        case "gamma":
            return "gamma", n * shape, np.full_like(shape, math.log(n))
        case "exponential":
            return "gamma", np.full_like(shape, float(n)), np.full_like(shape, math.log(n))
