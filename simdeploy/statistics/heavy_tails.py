"""Means of values that look lognormal: a sample shows too little of a heavy tail, so its variance says too little, too."""

from __future__ import annotations

import numpy as np

from simdeploy.statistics.moments import Moments
from simdeploy.statistics.skewness import COCHRAN

# Quantiles are compared at these distances from the median, in standard deviations of a normal law: those of 25, 10 and 5 %.
_DEPTHS = np.array([0.6744897501960817, 1.2815515655446004, 1.6448536269514722])
_PROBABILITIES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
# Beyond this, values may be something else, which lognormal limits would exaggerate.
_MOST_SIGMA = 2.0
# Divided by the number of values, what is added to sigma, since few values show too little of it.
_OF_FEW = 6.0
# Sigmas of three depths that differ by more, of n values, are those of another law, such as one with two peaks.
_APART, _APART_OF_FEW = 0.3, 6.0
_FEWEST = 10
# So many values show the shape of a law well enough.
SHOWN = 400


def reach_of_tails(values: np.ndarray, moments: Moments, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return how far below and above their mean the limits of the mean of values lie, row by row, if they are lognormal; 0 on a
    side to which they don't look so. The first `SHOWN` values suffice; `moments` are those of all, and `quantile` is Student's.

    Notes
    -----
    Of shifted lognormal values :math:`a + b e^{\sigma Z}` the ratio of :math:`q_{1-p} - q_{1/2}` to :math:`q_{1/2} - q_p` is
    :math:`e^{\sigma z_p}`, whatever a and b (Aitchison and Brown 1957 [1]_, section 6.2). Values look lognormal if it says the same
    of three p, about the same sigma, for which their number is too small by Cochran's rule; the median of the three gives their mean and
    variance. Of n values 6/n is added to sigma.

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
    ([0.0, 0.0], [1.35, 0.0])
    """
    if values.shape[-1] < _FEWEST:
        return np.zeros(len(values)), np.zeros(len(values))
    n, lower, middle, upper = _find_depths(values)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sigmas = np.log(upper / lower) / _DEPTHS[:, None]
        sigmas = np.where(np.isfinite(sigmas), sigmas, 0.0)
        sizes = np.abs(sigmas) + _OF_FEW / n
        sigma = np.minimum(np.median(sizes, axis=0), _MOST_SIGMA)
        is_right = (sigmas > 0).all(axis=0)
        agree = np.ptp(sigmas, axis=0) < _APART + _APART_OF_FEW / np.sqrt(n)
        looks_so = (
            agree & (is_right | (sigmas < 0).all(axis=0)) & _needs_more(sizes.min(axis=0), moments.n) & (n >= _FEWEST)
        )
        unit = np.where(is_right, upper[1], lower[1]) / np.expm1(_DEPTHS[1] * sigma)
        growth = np.exp(sigma**2 / 2)
        sd = unit * growth * np.sqrt(np.expm1(sigma**2))
        off = np.where(is_right, moments.mean - middle, middle - moments.mean)  # of the sample's mean, towards the tail
        reach = unit * (growth - 1) - off + quantile * sd / np.sqrt(moments.n)
    reach = np.where(looks_so, np.nan_to_num(np.maximum(reach, 0.0)), 0.0)
    return np.where(is_right, 0.0, reach), np.where(is_right, reach, 0.0)


def reach_of_two_tails(values: np.ndarray, moments: Moments, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the same for differences, which may have a tail on either side, judged by that side alone.

    Notes
    -----
    Of lognormal values the ratio of :math:`q_{1-p} - q_{1/2}` to :math:`q_{3/4} - q_{1/2}` is that of :math:`e^{\sigma z_p} - 1`
    to :math:`e^{\sigma z_{3/4}} - 1`. The limit replaces what the values beyond the median contribute to the mean and to the
    variance by what lognormal ones do.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> from simdeploy.statistics.moments import find_moments
    >>> half = np.exp(1.5 * ndtri((np.arange(100) + 100.5) / 200)) - 1
    >>> values = np.concatenate([half, -half])[None]
    >>> low, high = reach_of_two_tails(values, find_moments(values), np.full(1, 1.97))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([1.64], [1.64])
    """
    if values.shape[-1] < _FEWEST:
        return np.zeros(len(values)), np.zeros(len(values))
    n, lower, middle, upper = _find_depths(values)
    sides = ((-1, lower), (1, upper))
    below, above = (_reach_of_side(sign * (values - middle[:, None]), side, moments, quantile) for sign, side in sides)
    return np.where(n < _FEWEST, 0.0, below), np.where(n < _FEWEST, 0.0, above)


def _reach_of_side(beyond: np.ndarray, depths: np.ndarray, moments: Moments, quantile: np.ndarray) -> np.ndarray:
    """Return how far the limit lies on the side where values are positive."""
    from scipy.special import ndtr

    n = moments.n
    tail = np.fmax(beyond, 0.0)  # 0 for NaN
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sigmas = np.stack([_solve_sigma(depths[place] / depths[0], place) for place in (1, 2)])
        sigma = np.minimum(sigmas.mean(axis=0) + _OF_FEW / n, _MOST_SIGMA)
        agree = np.ptp(sigmas, axis=0) < _APART + _APART_OF_FEW / np.sqrt(np.minimum(n, SHOWN))
        looks_so = agree & (sigmas > 0).all(axis=0) & _needs_more(sigmas.min(axis=0), n)
        unit = depths[1] / np.expm1(_DEPTHS[1] * sigma)
        first, second = np.exp(sigma**2 / 2) * ndtr(sigma), np.exp(2 * sigma**2) * ndtr(2 * sigma)
        missing = unit * (first - 0.5) - tail.sum(axis=-1) / n
        more_variance = unit**2 * (second - 2 * first + 0.5) - (tail**2).sum(axis=-1) / n
        variance = moments.variance + np.maximum(more_variance, 0.0)
        reach = np.maximum(missing, 0.0) + quantile * np.sqrt(variance / n)
    return np.where(looks_so, np.nan_to_num(reach), 0.0)


_SIGMAS = np.linspace(0.0025, 2.5, 1000)
_RATIOS = np.expm1(_DEPTHS[:, None] * _SIGMAS) / np.expm1(_DEPTHS[0] * _SIGMAS)


def _solve_sigma(ratio: np.ndarray, place: int) -> np.ndarray:
    """Return the sigma of lognormal values for which the distances of two quantiles have a ratio; 0 if it is below a normal law's."""
    sigma: np.ndarray = np.interp(ratio, _RATIOS[place], _SIGMAS, left=0.0)
    return np.where(np.isfinite(ratio), sigma, 0.0)


def _needs_more(sigma: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return whether Cochran's rule wants more than n lognormal values for Student's interval of their mean."""
    growth = np.exp(np.minimum(sigma, _MOST_SIGMA) ** 2)
    needs: np.ndarray = COCHRAN * (growth + 2) ** 2 * (growth - 1) > n
    return needs


def _find_depths(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of the first values of each row, how far three of their quantiles lie below the median, the median, and how
    far the opposite ones lie above it.
    """
    known = ~np.isnan(values)
    if values.shape[-1] > SHOWN:
        is_full = known[:, :SHOWN].all()
        values = values[:, :SHOWN] if is_full else np.where(known.cumsum(axis=-1) <= SHOWN, values, np.nan)
    n = np.minimum(known.sum(axis=-1), SHOWN)
    ordered = np.sort(values, axis=-1)  # NaN come last
    places = _PROBABILITIES[:, None] * np.maximum(n - 1, 0)
    below = np.floor(places).astype(np.int64)
    rows, last = np.arange(len(values)), np.maximum(n - 1, 0)
    lesser, greater = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    quantiles = lesser + (places - below) * (greater - lesser)
    middle = quantiles[3]
    return n, middle - quantiles[2::-1], middle, quantiles[4:] - middle
