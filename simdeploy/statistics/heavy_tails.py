"""Means of values that look lognormal: a sample shows too little of a heavy tail, so its variance says too little, too."""

from __future__ import annotations

import numpy as np

# Quantiles are compared at these distances from the median, in standard deviations of a normal law: those of 25, 10 and 5 %.
_DEPTHS = np.array([0.6744897501960817, 1.2815515655446004, 1.6448536269514722])
_PROBABILITIES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
# Exponential values look lognormal with 0.79; what is less skewed has a variance that a sample shows.
_LEAST_SIGMA = 0.8
# Beyond this, values may be something else, which lognormal limits would exaggerate.
_MOST_SIGMA = 2.0
# Divided by n, what is added to sigma, since few values show too little of it.
_OF_FEW = 4.0
_FEWEST = 10


def reach_of_tails(values: np.ndarray, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return how far below and above their mean the limits of the mean of values lie, row by row, if they are lognormal; 0 on a
    side to which they don't look so. NaN is ignored; `quantile` is Student's, by row.

    Notes
    -----
    Of shifted lognormal values :math:`a + b e^{\sigma Z}` the ratio of :math:`q_{1-p} - q_{1/2}` to :math:`q_{1/2} - q_p` is
    :math:`e^{\sigma z_p}`, whatever a and b (Aitchison and Brown 1957 [1]_, section 6.2). Values look lognormal if it says the same
    of three p, a sigma above 0.8; the median of the three gives their mean and variance. Of n values 4/n is added to sigma.

    References
    ----------
    .. [1] Aitchison, J. and Brown, J. A. C. (1957). The Lognormal Distribution. Cambridge University Press.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> values = np.exp(1.5 * ndtri((np.arange(200) + 0.5) / 200))
    >>> low, high = reach_of_tails(np.stack([values, ndtri((np.arange(200) + 0.5) / 200)]), np.full(2, 1.97))
    >>> low.tolist(), high.round(2).tolist()
    ([0.0, 0.0], [1.31, 0.0])
    """
    n = (~np.isnan(values)).sum(axis=-1)
    nothing = np.zeros(len(values))
    if values.shape[-1] < _FEWEST:
        return nothing, nothing
    low5, low10, low25, middle, high75, high90, high95 = _quantiles(values, n)
    lower, upper = (
        np.stack([middle - low25, middle - low10, middle - low5]),
        np.stack([high75, high90, high95]) - middle,
    )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sigmas = np.log(upper / lower) / _DEPTHS[:, None]
        sigmas = np.where(np.isfinite(sigmas), sigmas, 0.0)
        sizes = np.abs(sigmas) + _OF_FEW / n
        sigma = np.minimum(np.median(sizes, axis=0), _MOST_SIGMA)
        looks_so = (sizes.min(axis=0) > _LEAST_SIGMA) & (n >= _FEWEST)
        is_right = (sigmas > 0).all(axis=0)
        looks_so &= is_right | (sigmas < 0).all(axis=0)
        unit = np.where(is_right, upper[1], lower[1]) / np.expm1(_DEPTHS[1] * sigma)
        growth = np.exp(sigma**2 / 2)
        sd = unit * growth * np.sqrt(np.expm1(sigma**2))
        mean = np.nansum(values, axis=-1) / n
        off = np.where(is_right, mean - middle, middle - mean)  # of the sample's mean, towards the tail
        reach = unit * (growth - 1) - off + quantile * sd / np.sqrt(n)
    reach = np.where(looks_so, np.nan_to_num(np.maximum(reach, 0.0)), 0.0)
    return np.where(is_right, 0.0, reach), np.where(is_right, reach, 0.0)


def _quantiles(values: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return seven quantiles of each row, between order statistics."""
    ordered = np.sort(values, axis=-1)  # NaN come last
    places = _PROBABILITIES[:, None] * np.maximum(n - 1, 0)
    below = np.floor(places).astype(np.int64)
    rows, last = np.arange(len(values)), np.maximum(n - 1, 0)
    first, second = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    quantiles: np.ndarray = first + (places - below) * (second - first)
    return quantiles
