"""One estimate of weighted replications: what `estimators` does, for a table that was made under a tilt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.statistics.estimators import Estimate
from simdeploy.statistics.intervals import mean_interval
from simdeploy.statistics.weights import Diagnosis, diagnose

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure


class Weighted(NamedTuple):
    """An estimate, and what is to be thought of its weights."""

    estimate: Estimate
    diagnosis: Diagnosis


def estimate_weighted(values: np.ndarray, weights: np.ndarray, measure: Measure, confidence_level: float) -> Weighted:
    r"""Estimate a measure from weighted values.

    Parameters
    ----------
    values : ndarray of float
        As `Values.of` gives them for one case; those that are NaN are left out.
    weights : ndarray of float
        Of the same replications; NaN where one failed.
    measure : Measure
    confidence_level : float

    Returns
    -------
    Weighted
        Without an interval where the weights can't be trusted.

    Notes
    -----
    A rate of all replications is :math:`\sum w x / n`, which is unbiased. Everything else, a mean or what is `given`, is the
    ratio :math:`\sum w x / \sum w` over the replications that have a value, with the error of a ratio (Owen 2013 [1]_,
    section 9.2); its bias falls with 1/n. A quantile is that of the weighted values, between those at which the weighted
    proportion below is one half-width lower and higher (Woodruff 1952 [2]_).

    References
    ----------
    .. [1] Owen, A. B. (2013). Monte Carlo theory, methods and examples. Chapter 9.
    .. [2] Woodruff, R. S. (1952). Confidence intervals for medians and other position measures. Journal of the American
       Statistical Association 47(260), 635-646.

    Examples
    --------
    >>> from simdeploy.scenario.measures import Measure
    >>> values, weights = np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.5, 1.5, 1.5, 0.5])
    >>> estimate_weighted(values, weights, Measure("escaped"), 0.95).estimate.estimate
    0.25
    """
    made = ~np.isnan(weights)
    has_value = made & ~np.isnan(values)
    w, x = weights[has_value], values[has_value]
    n = len(x)
    if measure.kind == "quantile":
        estimate = _quantile(x, w, measure.quantile or 0.5, confidence_level)
        diagnosis = diagnose(weights[made], np.where(has_value, weights, 0.0)[made])
    elif measure.kind == "rate":
        is_whole = n == int(made.sum())
        value, error = plain_mean(w * x) if is_whole else ratio(w * x, w)
        low, high = log_interval(value, error, n - 1, confidence_level)
        estimate = Estimate(value, low, min(high, 1.0), n, error)
        diagnosis = diagnose(weights[made], np.where(has_value, weights * values, 0.0)[made])
    else:
        value, error = ratio(w * x, w)
        estimate = Estimate(value, *mean_interval(value, error, n, confidence_level), n, error)
        diagnosis = diagnose(weights[made], np.where(has_value, weights, 0.0)[made])
    if not diagnosis.is_trusted:
        estimate = estimate._replace(low=math.nan, high=math.nan)
    return Weighted(estimate, diagnosis)


def plain_mean(contributions: np.ndarray) -> tuple[float, float]:
    """Return the mean of what replications contribute, and its standard error."""
    n = len(contributions)
    if n < 2:
        return (float(contributions.mean()) if n else math.nan), math.nan
    return float(contributions.mean()), float(contributions.std(ddof=1)) / math.sqrt(n)


def ratio(upper: np.ndarray, lower: np.ndarray) -> tuple[float, float]:
    """Return the ratio of two sums over the same replications, and its standard error by the delta method.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    (0.5, 0.0)
    """
    n, below = len(lower), float(lower.sum())
    if n < 2 or not below:
        return math.nan, math.nan
    value = float(upper.sum()) / below
    residuals = upper - value * lower
    return value, math.sqrt(float((residuals**2).sum()) * n / (n - 1)) / below


def log_interval(value: float, error: float, degrees: int, confidence_level: float) -> tuple[float, float]:
    r"""Return an interval of a positive number that is as far below as above, in proportion: :math:`p e^{\pm t s/p}`.

    Estimates of small probabilities are skewed, and this doesn't go below 0.

    Examples
    --------
    >>> low, high = log_interval(1e-6, 1e-7, 1000, 0.95)
    >>> round(low * 1e6, 2), round(high * 1e6, 2)
    (0.82, 1.22)
    """
    from scipy.special import stdtrit

    if not value > 0 or math.isnan(error):
        return math.nan, math.nan
    reach = min(float(stdtrit(degrees, (1 + confidence_level) / 2)) * error / value, 700.0)
    return value * math.exp(-reach), value * math.exp(reach)


def _quantile(x: np.ndarray, w: np.ndarray, quantile: float, confidence_level: float) -> Estimate:
    n = len(x)
    if n < 2 or not w.sum():
        return Estimate(math.nan, math.nan, math.nan, n, math.nan)
    order = np.argsort(x, kind="stable")
    ordered, below = x[order], np.cumsum(w[order]) / w.sum()
    value = float(ordered[_place(below, quantile)])
    _, error = ratio(w * (x <= value), w)
    low, high = mean_interval(quantile, error, n, confidence_level)
    low, high = (float(ordered[_place(below, end)]) if 0 < end < 1 else math.nan for end in (low, high))
    return Estimate(value, low, high, n, math.nan)


def _place(below: np.ndarray, quantile: float) -> int:
    return min(int(np.searchsorted(below, quantile * (1 - 1e-12))), len(below) - 1)
