"""Weighted replications, from a table made under a tilt: estimates, and whether their weights can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.errors import plural
from simdeploy.statistics.estimators import Estimate
from simdeploy.statistics.intervals import mean_interval
from simdeploy.statistics.levels import events_beyond_one

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure

# Shape of the generalised Pareto distribution beyond which an average of weights converges too slowly [1]_.
_HEAVIEST = 0.7
# The least effective hits: as expected beforehand, or if that is unknown, as found. The second number applies to those found
# even if enough were expected.
FEWEST_HITS = 50
_FEWEST_FOUND = 20
_FEWEST_OF_LIMIT = 5
# Least effective hits found, relative to those expected. In 49 runs whose estimates were right, the least was 0.23; where a way to the
# event was missed, it was 0.09 to 0.18.
_LEAST_FOUND = 0.2
_LARGEST_SHARE = 0.1
_TAIL_NEEDS = 5
_LAST_DIGITS = 1e-9
_OFF_BY = 3.0


@dataclass(frozen=True)
class Diagnosis:
    r"""Quality of the weights of one estimate."""

    n: int  # replications
    mean_weight: float  # of all weights, 1 in expectation
    mean_weight_error: float  # its standard error
    effective_n: float  # (sum w)^2 / sum w^2: the number of unweighted replications with as much information on a mean
    n_hits: int  # replications that contribute: the event happened
    effective_hits: float  # the same as `effective_n` over the contributions
    largest_share: float  # largest share of one replication in the sum of contributions
    k_hat: float  # shape of the generalised Pareto distribution of the largest contributions; NaN if there are too few
    doubts: tuple[str, ...]  # why the estimate can't be trusted; empty if it can

    @property
    def is_trusted(self) -> bool:
        """Whether the estimate can be trusted."""
        return not self.doubts


def diagnose(weights: np.ndarray, contributions: np.ndarray, expected_hits: float | None = None) -> Diagnosis:
    r"""Diagnose the weights of all replications, and the contribution of each to an estimate.

    A contribution is the weight times the value, 0 if the event didn't happen. `expected_hits` is the expected effective
    number of hits, judging by other replications.

    Notes
    -----
    Doubts are: fewer than 50 effective hits expected (or found, if no expectation is known), or fewer than 20 or a fifth of those expected
    found; one replication with more than a tenth of the sum; :math:`\hat k > 0.7`, from the largest min(0.2 h, :math:`3\sqrt h`) of h contributions (Vehtari et
    al. 2024 [1]_, section 2.2 and eq. 8), fitted as in Zhang and Stephens (2009 [2]_); and a mean weight more than 3 standard errors
    from 1 (`is_mean_off`). These may all fail to show that the event was rarely or never met: a tilt that misses one way in which the
    event happens underestimates its probability, even with perfect weights.

    If only hits found decided, an estimate with 40 hits on average would be stated only when it has more than 50, that is, when it is too
    high: its intervals would cover 87 % of the time instead of 95 %.

    References
    ----------
    .. [1] Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal
       of Machine Learning Research 25(72), 1-58.
    .. [2] Zhang, J. and Stephens, M. A. (2009). A new and efficient estimation method for the generalized Pareto
       distribution. Technometrics 51(3), 316-325.

    Examples
    --------
    >>> diagnose(np.ones(1000), np.r_[np.ones(200), np.zeros(800)]).is_trusted
    True
    >>> diagnose(np.ones(10), np.zeros(10)).doubts
    ('the event occurred in none of the 10 replications',)
    """
    n, hits = len(weights), contributions[contributions != 0]
    mean, error = plain_mean(weights)
    effective_n, effective_hits = effective_size(weights), effective_size(hits)
    share = float(np.abs(hits).max() / np.abs(hits).sum()) if len(hits) else math.nan
    k_hat = tail_shape(np.abs(hits))
    doubts = []
    if not len(hits):
        doubts.append(f"the event occurred in none of the {plural(n, 'replication')}")
    else:
        fewest = FEWEST_HITS if expected_hits is None else _FEWEST_FOUND
        if expected_hits is not None and expected_hits < FEWEST_HITS:
            doubts.append(
                f"too few rollouts with the event are expected: effectively {expected_hits:.3g}, and {FEWEST_HITS} are needed"
            )
        elif effective_hits < fewest:
            doubts.append(
                f"too few rollouts have the event: {len(hits):,}, effectively {effective_hits:.3g}, and {fewest} are needed"
            )
        elif expected_hits is not None and effective_hits < _LEAST_FOUND * expected_hits:
            doubts.append(
                f"far fewer rollouts have the event than expected: effectively {effective_hits:.3g} instead of {expected_hits:.3g}, "
                "so the largest weights may be missing"
            )
        if share > _LARGEST_SHARE:
            doubts.append(f"one replication has {100 * share:.3g} % of the total weight")
        if k_hat > _HEAVIEST:
            doubts.append(f"a few weights dominate (k-hat {k_hat:.2f}, at most {_HEAVIEST})")
        if is_mean_off(weights):
            doubts.append(f"the mean weight is {mean:.3g} instead of 1")
    return Diagnosis(n, mean, error, effective_n, len(hits), effective_hits, share, k_hat, tuple(doubts))


def is_mean_off(weights: np.ndarray) -> bool:
    """Return whether the mean weight is more than 3 standard errors from its expectation, 1.

    Then some draws that are common without the tilt are very rare with it, so their effect is unknown. No minimum effective
    number of replications is required, because that number is lowest when most draws are missed.

    Examples
    --------
    >>> is_mean_off(np.ones(10)), is_mean_off(np.array([0.1, 0.2, 0.1, 0.3]))
    (False, True)
    """
    if len(weights) < 2:
        return False
    mean, error = plain_mean(weights)
    return abs(mean - 1) > _OFF_BY * error + _LAST_DIGITS


def weighted_limit(weights: np.ndarray, contributions: np.ndarray, confidence_level: float) -> float:
    r"""Return an upper limit of a probability from few weighted hits; 1 if the weights themselves are in doubt.

    Notes
    -----
    The number of effective hits h is treated as a Poisson count (Bohm and Zech 2014 [1]_): the limit is the mean
    contribution times :math:`\chi^2_{2h + 2} / 2h`. It needs 5 effective hits.

    References
    ----------
    .. [1] Bohm, G. and Zech, G. (2014). Statistics of weighted Poisson events and its applications. Nuclear Instruments
       and Methods in Physics Research A 748, 1-6.

    Examples
    --------
    >>> contributions = np.r_[np.full(20, 1e-6), np.zeros(980)]
    >>> round(weighted_limit(np.ones(1000), contributions, 0.95) * 1e8, 2)
    3.09
    """
    from scipy.special import chdtri

    hits = effective_size(contributions)
    if hits < _FEWEST_OF_LIMIT or is_mean_off(weights) or tail_shape(contributions[contributions > 0]) > _HEAVIEST:
        return 1.0
    ratio_at_most = float(chdtri(2 * hits + 2, (1 - confidence_level) / 2)) / (2 * hits)
    return min(float(contributions.mean()) * ratio_at_most, 1.0)


def effective_size(weights: np.ndarray) -> float:
    """Return the number of equal weights with the same information.

    Examples
    --------
    >>> effective_size(np.array([2.0, 2.0, 0.0])), effective_size(np.array([]))
    (2.0, 0.0)
    """
    largest = np.abs(weights).max(initial=0.0)
    if not largest:
        return 0.0
    scaled = weights / largest  # squares of very small weights would be 0
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def tail_shape(values: np.ndarray) -> float:
    """Fit a generalised Pareto distribution to the largest values; return its shape, NaN with too few values.

    If the largest values repeat, the distribution is bounded, and the shape is minus infinity.

    Examples
    --------
    >>> tail = tail_shape((1 - (np.arange(4000) + 0.5) / 4000) ** -0.8)
    >>> round(tail, 1)
    0.8
    """
    n = len(values)
    n_tail = int(min(0.2 * n, 3 * math.sqrt(n)))
    if n_tail < _TAIL_NEEDS:
        return math.nan
    ordered = np.sort(values)
    beyond = ordered[-n_tail:] - ordered[-n_tail - 1]
    # Equal weights may differ in their last digits, if factors were multiplied in another order; that is not a tail.
    digits = _LAST_DIGITS * ordered[-1]
    beyond = beyond[beyond > digits]
    if len(beyond) < _TAIL_NEEDS or ordered[-1] - ordered[-_TAIL_NEEDS] <= digits:
        return -math.inf
    return _pareto_shape(beyond / beyond[-1])


def _pareto_shape(x: np.ndarray) -> float:
    """Return Zhang and Stephens' estimate of the shape for ascending x > 0: a mean over a grid of their parameter."""
    n = len(x)
    n_grid = 30 + int(math.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    places = np.arange(1, n_grid + 1)
    grid = 1 / x[-1] + (1 - np.sqrt(n_grid / (places - 0.5))) / (3 * quartile)
    shapes = np.log1p(-grid[:, np.newaxis] * x).mean(axis=1)
    log_profile = n * (np.log(-grid / shapes) - shapes - 1)
    posterior = np.exp(log_profile - log_profile.max())
    at = float((grid * posterior).sum() / posterior.sum())
    return float(np.log1p(-at * x).mean())


class Weighted(NamedTuple):
    """An estimate, and the diagnosis of its weights."""

    estimate: Estimate
    diagnosis: Diagnosis


def estimate_weighted(values: np.ndarray, weights: np.ndarray, measure: Measure, confidence_level: float) -> Weighted:
    r"""Estimate a measure from weighted values, as from `Values`; without an interval if weights can't be trusted.

    Notes
    -----
    A rate of all replications is :math:`\sum w x / n`, which is unbiased. A mean or a conditional measure is the ratio
    :math:`\sum w x / \sum w` over the replications with a value, with the error of a ratio (Owen 2013 [1]_, section
    9.2); its bias falls with 1/n. A quantile is that of the weighted values. Its interval lies between the values at which
    the weighted proportion below is one half-width lower and higher (Woodruff 1952 [2]_).

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
    """Return the mean contribution of replications, and its standard error."""
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


def log_interval(
    value: float, error: float, degrees: float, confidence_level: float, beyond: float = 0.0
) -> tuple[float, float]:
    r"""Return an interval of a positive number on a log scale: from :math:`p e^{-t s/p}` to :math:`p e^{\sqrt{(t s)^2 + b^2}/p}`.

    It suits estimates of small probabilities, which are skewed, and is always above 0. `beyond`, b, is what a sample with too few large
    values may lack (`find_beyond`).

    Examples
    --------
    >>> low, high = log_interval(1e-6, 1e-7, 1000, 0.95)
    >>> round(low * 1e6, 2), round(high * 1e6, 2)
    (0.82, 1.22)
    """
    from scipy.special import stdtrit

    if not value > 0 or math.isnan(error):
        return math.nan, math.nan
    reach = float(stdtrit(degrees, (1 + confidence_level) / 2)) * error
    down, up = (min(distance / value, 700.0) for distance in (reach, math.hypot(reach, beyond)))
    return value * math.exp(-down), value * math.exp(up)


def find_beyond(values: np.ndarray, confidence_level: float) -> float:
    """Return by how much a mean rises if values as large as the largest are as frequent as the upper limit of their rate.

    Examples
    --------
    >>> round(find_beyond(np.array([0.0, 0.0, 0.0, 4.0]), 0.95), 3)
    3.429
    """
    if not len(values):
        return 0.0
    return events_beyond_one(confidence_level) / len(values) * float(values.max() - values.mean())


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
