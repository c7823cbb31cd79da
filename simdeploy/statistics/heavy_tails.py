"""Means of values that look lognormal: a sample shows too little of a heavy tail, so its variance says too little, too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from simdeploy.statistics.moments import Moments, zero_if_unknown
from simdeploy.statistics.skewness import COCHRAN

# The shape of a tail is read from the distances from the median of quantiles, that of this probability and that which so many values
# exceed, in units of the interquartile range.
_QUARTILE, _CHECK = 0.25, 0.1
_BEYOND = 5
# Beyond this, values may be something else, which lognormal limits would exaggerate.
_MOST_SIGMA = 2.5
# Divided by the number of values, what is added to sigma, since few values show too little of it.
_OF_FEW = 8.0
# Sigmas of two depths that differ by more, of n values, are those of another law, such as one with two peaks.
_APART, _APART_OF_FEW = 0.3, 6.0
_FEWEST = 10
# So many values show the shape of a law well enough.
SHOWN = 400


def reach_of_tails(values: np.ndarray, moments: Moments, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return how far below and above their mean the limits of the mean of values lie, row by row, if they are lognormal on that side
    of their median; 0 on a side on which they don't look so. The first `SHOWN` values suffice; `moments` are those of all, and
    `quantile` is Student's.

    Notes
    -----
    Of shifted lognormal values :math:`a + b e^{\sigma Z}` (Aitchison and Brown 1957 [1]_) the ratio of
    :math:`q_{1-p} - q_{1/2}` to :math:`q_{3/4} - q_{1/4}` is that of :math:`e^{\sigma z_{1-p}} - 1` to
    :math:`e^{\sigma z_{3/4}} - e^{-\sigma z_{3/4}}`, whatever a and b. Values look lognormal if it says about the same sigma of
    p = 0.1 and of 5/n, for which their number is too small by Cochran's rule. The sigma of 5/n, to which 8/n is added, gives the
    mean and the variance beyond the median. Of values that are never negative the lower limit is 0 at least.

    References
    ----------
    .. [1] Aitchison, J. and Brown, J. A. C. (1957). The Lognormal Distribution. Cambridge University Press.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> from simdeploy.statistics.moments import find_moments
    >>> normal = ndtri((np.arange(200) + 0.5) / 200)
    >>> values = np.stack([np.exp(1.5 * normal), normal])
    >>> low, high = reach_of_tails(values, find_moments(values), np.full(2, 1.97))
    >>> low.tolist(), high.round(2).tolist()
    ([0.0, 0.0], [1.17, 0.0])
    """
    if values.shape[-1] < _FEWEST:
        return np.zeros(len(values)), np.zeros(len(values))
    values = take_shown(values)
    n, deepest, middle, width, below, above = _find_depths(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        sigmas = [_find_sigma(n, deepest, depths / width, moments.n) for depths in (below, above)]
    if not any(sigma.any() for sigma in sigmas):
        return np.zeros(len(values)), np.zeros(len(values))
    off = values - middle[:, None]
    halves = [np.fmax(sign * off, 0.0) for sign in (-1, 1)]  # 0 for NaN
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [half.sum(axis=-1) / n for half in halves]
        squares = [(half * half).sum(axis=-1) / n for half in halves]
    reaches = []
    for side, depths in enumerate((below, above)):
        centre = moments.mean - middle if side else middle - moments.mean
        other = means[1 - side], squares[1 - side]
        reaches.append(_reach_of_side(sigmas[side], deepest, depths[1], other, centre, moments, quantile))
    is_negative = (values < 0).any(axis=-1)
    return np.where(is_negative, reaches[0], np.minimum(reaches[0], moments.mean)), reaches[1]


def _find_sigma(n: np.ndarray, deepest: np.ndarray, ratios: np.ndarray, n_all: np.ndarray) -> np.ndarray:
    """Return the sigma of a side on which values look lognormal, as two depths have these ratios to the interquartile range; 0 otherwise."""
    check, deep = _solve_sigma(ratios[0], _CHECK), np.zeros(len(n))
    for p in set(deepest.tolist()):
        is_so = deepest == p
        deep[is_so] = _solve_sigma(ratios[1][is_so], p)
    agree = np.abs(check - deep) < _APART + _APART_OF_FEW / np.sqrt(n)
    looks_so = agree & (check > 0) & (deep > 0) & _needs_more(deep, n_all) & (n >= _FEWEST)
    return np.where(looks_so, np.minimum(deep + _OF_FEW / n, _MOST_SIGMA), 0.0)


def _reach_of_side(
    sigma: np.ndarray,
    deepest: np.ndarray,
    depth: np.ndarray,
    other: tuple[np.ndarray, np.ndarray],
    centre: np.ndarray,
    moments: Moments,
    quantile: np.ndarray,
) -> np.ndarray:
    """Return how far the limit lies from the mean, which is `centre` beyond the median; the `other` half has a mean and a mean square."""
    from scipy.special import ndtr, ndtri

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit = depth / np.expm1(-ndtri(deepest) * sigma)
        first, second = np.exp(sigma**2 / 2) * ndtr(sigma), np.exp(2 * sigma**2) * ndtr(2 * sigma)
        mean = unit * (first - 0.5) - other[0]
        variance = unit**2 * (second - 2 * first + 0.5) + other[1] - mean**2
        reach = np.maximum(mean - centre, 0.0) + quantile * np.sqrt(np.fmax(moments.variance, variance) / moments.n)
    return np.where(sigma > 0, zero_if_unknown(reach), 0.0)


_SIGMAS = np.linspace(0.0025, 4, 1600)


def _solve_sigma(ratio: np.ndarray, p: float) -> np.ndarray:
    """Return the sigma of lognormal values of which a quantile has this distance from the median, in interquartile ranges; 0 if there is none."""
    sigma = np.interp(ratio, _ratios(p), _SIGMAS, left=0.0, right=0.0)
    return np.where(np.isfinite(ratio), sigma, 0.0)


@lru_cache(maxsize=128)
def _ratios(p: float) -> np.ndarray:
    """Return the distance of the quantile from the median, in interquartile ranges, for each of `_SIGMAS`."""
    from scipy.special import ndtri

    ratios: np.ndarray = np.expm1(-ndtri(p) * _SIGMAS) / (2 * np.sinh(-ndtri(_QUARTILE) * _SIGMAS))
    return ratios


def _needs_more(sigma: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return whether Cochran's rule wants more than n lognormal values for Student's interval of their mean."""
    growth = np.exp(np.minimum(sigma, _MOST_SIGMA) ** 2)
    needs: np.ndarray = COCHRAN * (growth + 2) ** 2 * (growth - 1) > n
    return needs


def take_shown(values: np.ndarray) -> np.ndarray:
    """Return the first `SHOWN` values of each row; others are NaN, or left out where no row has a gap among the first.

    Examples
    --------
    >>> take_shown(np.ones((2, SHOWN + 1))).shape[1] == SHOWN
    True
    """
    if values.shape[-1] <= SHOWN:
        return values
    known = ~np.isnan(values)
    return values[:, :SHOWN] if known[:, :SHOWN].all() else np.where(known.cumsum(axis=-1) <= SHOWN, values, np.nan)


def _find_depths(
    values: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return of each row of values their number, the smaller of two probabilities, the median, the interquartile range, and how far the
    quantiles of the two lie below and above the median.
    """
    n = (~np.isnan(values)).sum(axis=-1)
    deepest = np.minimum(_BEYOND / np.maximum(n, 1), _CHECK)
    tails = np.stack([np.full(len(n), _CHECK), deepest])
    ordered = np.sort(values, axis=-1)  # NaN come last
    rows, last = np.arange(len(values)), np.maximum(n - 1, 0)

    def find(probabilities: np.ndarray) -> np.ndarray:
        places = probabilities * last
        under = np.floor(places).astype(np.int64)
        lesser, greater = ordered[rows, under], ordered[rows, np.minimum(under + 1, last)]
        found: np.ndarray = lesser + (places - under) * (greater - lesser)
        return found

    first, middle, third = find(np.array([[_QUARTILE], [0.5], [1 - _QUARTILE]]))
    return n, deepest, middle, third - first, middle - find(tails), find(1 - tails) - middle
