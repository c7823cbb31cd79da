"""Families of durations, each as a standard law times a scale: densities, survival functions and quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Shape = np.ndarray | float
Family = Literal["exponential", "weibull", "lognormal", "gamma"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class Lifetime:
    """A family of scale 1: mean, scale, median and mean of the four families."""

    has_shape: bool  # the exponential has none
    # log_pdf, survival, quantile: of (x, shape)
    log_pdf: Callable[[np.ndarray, Shape], np.ndarray]
    survival: Callable[[np.ndarray, Shape], np.ndarray]
    quantile: Callable[[np.ndarray, Shape], np.ndarray]


def _weibull_log_pdf(x: np.ndarray, shape: Shape) -> np.ndarray:
    density: np.ndarray = np.log(shape) + (shape - 1) * np.log(x) - x**shape
    return density


def _lognormal_log_pdf(x: np.ndarray, shape: Shape) -> np.ndarray:
    density: np.ndarray = -((np.log(x) / shape) ** 2) / 2 - np.log(shape) - 0.5 * math.log(2 * math.pi) - np.log(x)
    return density


def _lognormal_survival(x: np.ndarray, shape: Shape) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(-np.log(x) / shape))


def _lognormal_quantile(p: np.ndarray, shape: Shape) -> np.ndarray:
    from scipy.special import ndtri

    return np.asarray(np.exp(ndtri(p) * shape))


def _gamma_log_pdf(x: np.ndarray, shape: Shape) -> np.ndarray:
    from scipy.special import gammaln

    return np.asarray(shape * np.log(shape) - gammaln(shape) + (shape - 1) * np.log(x) - x * shape)


def _gamma_survival(x: np.ndarray, shape: Shape) -> np.ndarray:
    from scipy.special import gammaincc

    return np.asarray(gammaincc(shape, x * shape))


def _gamma_quantile(p: np.ndarray, shape: Shape) -> np.ndarray:
    from scipy.special import gammaincinv

    return np.asarray(gammaincinv(shape, p) / shape)


LIFETIMES: Mapping[Family, Lifetime] = {
    "exponential": Lifetime(False, lambda x, _: -x, lambda x, _: np.exp(-x), lambda p, _: -np.log1p(-p)),
    "weibull": Lifetime(
        True,
        _weibull_log_pdf,
        lambda x, shape: np.exp(-(x**shape)),
        lambda p, shape: (-np.log1p(-p)) ** (1 / shape),
    ),
    "lognormal": Lifetime(True, _lognormal_log_pdf, _lognormal_survival, _lognormal_quantile),
    "gamma": Lifetime(True, _gamma_log_pdf, _gamma_survival, _gamma_quantile),
}


def match_sum(family: Family, shape: np.ndarray, n: int) -> tuple[Family, np.ndarray, np.ndarray]:
    """Return the law of the sum of `n` durations of scale 1: family, shape, and logarithm of its location.

    Sums are exact for exponential and gamma. Others have the law with their mean and variance: lognormal ones a lognormal law (Fenton and
    Wilkinson), Weibull ones a gamma law.

    Examples
    --------
    >>> import numpy as np
    >>> family, shape, location = match_sum("exponential", np.ones(1), 3)
    >>> family, shape.tolist(), np.exp(location).round(6).tolist()
    ('gamma', [3.0], [3.0])
    """
    from scipy.special import gamma

    if n == 1:
        return family, shape, np.zeros_like(shape)
    match family:
        case "lognormal":
            variance = np.log1p(np.expm1(shape**2) / n)
            return "lognormal", np.sqrt(variance), math.log(n) + (shape**2 - variance) / 2
        case "weibull":
            mean = gamma(1 + 1 / shape)
            return "gamma", n * mean**2 / (gamma(1 + 2 / shape) - mean**2), np.log(n * mean)
        case "gamma":
            return "gamma", n * shape, np.full_like(shape, math.log(n))
        case "exponential":
            return "gamma", np.full_like(shape, float(n)), np.full_like(shape, math.log(n))
