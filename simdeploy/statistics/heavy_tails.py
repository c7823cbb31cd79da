"""Means of values that look lognormal: samples rarely contain the extremes of a heavy tail, so their variance is too small."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np

from simdeploy.statistics.moments import Moments, join_columns, zero_if_unknown
from simdeploy.statistics.skewness import COCHRAN

# The shape of a tail follows from the distances from the median, in interquartile ranges, of two quantiles: the one of probability
# `_CHECK`, and the one that `_BEYOND` values exceed.
_QUARTILE, _CHECK = 0.25, 0.1
_QUARTILES = np.array([_QUARTILE, 0.5, 1 - _QUARTILE])[:, None, None]
_BEYOND = 5
# Values with a larger sigma may not be lognormal, and lognormal limits would be exaggerated.
_MOST_SIGMA = 2.5
# Added to sigma after division by the number of values, because small samples underestimate it.
_OF_FEW = 8.0
# If the sigmas from both quantiles differ by more (the second number over sqrt(n) is added), the law is another one, for example bimodal.
_APART, _APART_OF_FEW = 0.3, 6.0
_FEWEST = 10
# This many values show the shape of a law well enough.
SHOWN = 400


def reach_of_tails(
    values: Sequence[np.ndarray], moments: Moments, quantile: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the distances of the limits of a mean below and above it, by case and stratum, for values that look lognormal.

    The distance is 0 on a side of the median where they don't. `values` has an array for each stratum, with a row for each case; the
    first `SHOWN` columns suffice. `moments` are those of all values, and `quantile` is Student's.

    Notes
    -----
    For shifted lognormal values :math:`a + b e^{\sigma Z}` (Aitchison and Brown 1957 [1]_) the ratio of
    :math:`q_{1-p} - q_{1/2}` to :math:`q_{3/4} - q_{1/4}` is that of :math:`e^{\sigma z_{1-p}} - 1` to
    :math:`e^{\sigma z_{3/4}} - e^{-\sigma z_{3/4}}`, whatever a and b. Values look lognormal if the ratios for p = 0.1 and p = 5/n
    give about the same sigma, and if their number is too small for this sigma by Cochran's rule. The sigma of 5/n plus 8/n gives
    the mean and the variance beyond the median. The lower limit of values that are never negative is at least 0.

    References
    ----------
    .. [1] Aitchison, J. and Brown, J. A. C. (1957). The Lognormal Distribution. Cambridge University Press.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> from simdeploy.statistics.moments import find_moments
    >>> normal = ndtri((np.arange(200) + 0.5) / 200)
    >>> values = np.stack([np.exp(1.5 * normal), normal])
    >>> low, high = reach_of_tails([values], find_moments(values[:, None]), np.full((2, 1), 1.97))
    >>> low[:, 0].tolist(), high[:, 0].round(2).tolist()
    ([0.0, 0.0], [1.17, 0.0])
    """
    if max(of.shape[-1] for of in values) < _FEWEST:
        return np.zeros(quantile.shape), np.zeros(quantile.shape)
    values = [take_shown(of) for of in values]
    n, deepest, middle, width, depths = _find_depths(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = _find_sigma(n, deepest, depths / width, moments.n)
    if not sigma.any():
        return np.zeros(quantile.shape), np.zeros(quantile.shape)
    others = [of[::-1] for of in _describe_halves(values, n, middle)]
    off = moments.mean - middle
    low, high = _reach_of_sides(sigma, deepest, depths[1], others, np.stack([-off, off]), moments, quantile)
    is_negative = join_columns((of < 0).any(axis=-1) for of in values)
    return np.where(is_negative, low, np.minimum(low, moments.mean)), high


def _describe_halves(values: Sequence[np.ndarray], n: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and mean squares of the distances below and above the median; values on the other side count as 0."""
    sums = np.empty((2, 2, *n.shape))
    for place, of in enumerate(values):
        off = of - middle[:, place, None]
        for side, sign in enumerate((-1, 1)):
            half = np.fmax(sign * off, 0.0)  # 0 for NaN
            sums[0, side, :, place], sums[1, side, :, place] = half.sum(axis=-1), (half * half).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means, squares = sums / n
    return means, squares


def _find_sigma(n: np.ndarray, deepest: np.ndarray, ratios: np.ndarray, n_all: np.ndarray) -> np.ndarray:
    """Return the sigma of each side on which values look lognormal, given the ratios at two quantiles; 0 otherwise."""
    check, deep = _solve_sigma(ratios[0], _CHECK), np.zeros(ratios[1].shape)
    if not check.any():
        return check
    for p in set(deepest.ravel().tolist()):
        is_deepest = deepest == p
        deep[:, is_deepest] = _solve_sigma(ratios[1][:, is_deepest], p)
    agree = np.abs(check - deep) < _APART + _APART_OF_FEW / np.sqrt(n)
    looks_so = agree & (check > 0) & (deep > 0) & _needs_larger_sample(deep, n_all) & (n >= _FEWEST)
    return np.where(looks_so, np.minimum(deep + _OF_FEW / n, _MOST_SIGMA), 0.0)


def _reach_of_sides(
    sigma: np.ndarray,
    deepest: np.ndarray,
    depth: np.ndarray,
    others: Sequence[np.ndarray],
    centre: np.ndarray,
    moments: Moments,
    quantile: np.ndarray,
) -> np.ndarray:
    """Return by side the distance of the limit from the mean, which is `centre` beyond the median.

    `others` are the mean and the mean square of the half on the other side.
    """
    from scipy.special import ndtr, ndtri

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit = depth / np.expm1(-ndtri(deepest) * sigma)
        first, second = np.exp(sigma**2 / 2) * ndtr(sigma), np.exp(2 * sigma**2) * ndtr(2 * sigma)
        mean = unit * (first - 0.5) - others[0]
        variance = unit**2 * (second - 2 * first + 0.5) + others[1] - mean**2
        reach = np.maximum(mean - centre, 0.0) + quantile * np.sqrt(np.fmax(moments.variance, variance) / moments.n)
    return np.where(sigma > 0, zero_if_unknown(reach), 0.0)


_SIGMAS = np.linspace(0.0025, 4, 1600)


def _solve_sigma(ratio: np.ndarray, p: float) -> np.ndarray:
    """Return the sigma of lognormal values with a quantile at this distance from the median, in interquartile ranges; 0 if none has."""
    return zero_if_unknown(np.interp(ratio, _ratios(p), _SIGMAS, left=0.0, right=0.0))


@lru_cache(maxsize=128)
def _ratios(p: float) -> np.ndarray:
    """Return the distance of the quantile from the median, in interquartile ranges, for each of `_SIGMAS`."""
    from scipy.special import ndtri

    ratios: np.ndarray = np.expm1(-ndtri(p) * _SIGMAS) / (2 * np.sinh(-ndtri(_QUARTILE) * _SIGMAS))
    return ratios


def _needs_larger_sample(sigma: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return whether Student's interval of the mean needs more than n lognormal values by Cochran's rule."""
    growth = np.exp(np.minimum(sigma, _MOST_SIGMA) ** 2)
    needs: np.ndarray = COCHRAN * (growth + 2) ** 2 * (growth - 1) > n
    return needs


def take_shown(values: np.ndarray) -> np.ndarray:
    """Return the first `SHOWN` values of each row; others are NaN, or left out if no row has a gap before them.

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
    values: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return by case and stratum: number of values, smaller probability, median, interquartile range, and depths of two quantiles.

    Depths are the distances of the quantiles of both probabilities from the median, by probability and side (below, above).
    """
    n = join_columns((~np.isnan(of)).sum(axis=-1) for of in values)
    deepest = np.minimum(_BEYOND / np.maximum(n, 1), _CHECK)
    probabilities = np.empty((7, *n.shape))
    probabilities[:3] = _QUARTILES
    probabilities[3], probabilities[4] = _CHECK, deepest
    probabilities[5:] = 1 - probabilities[3:5]
    # All strata side by side, each sorted with NaN last.
    ordered = np.concatenate([np.sort(of, axis=-1) for of in values], axis=-1)
    first = np.array([0, *accumulate(of.shape[-1] for of in values[:-1])])
    rows, last = np.arange(len(n))[:, None], np.maximum(n - 1, 0)

    def at(places: np.ndarray) -> np.ndarray:
        found: np.ndarray = ordered[rows, np.minimum(first + places, ordered.shape[-1] - 1)]
        return found

    places = probabilities * last
    under = places.astype(np.int64)
    lesser, greater = at(under), at(np.minimum(under + 1, last))
    quantiles = lesser + (places - under) * (greater - lesser)
    lower, middle, upper = quantiles[:3]
    depths = np.stack([middle - quantiles[3:5], quantiles[5:] - middle], axis=1)
    return n, deepest, middle, upper - lower, depths
