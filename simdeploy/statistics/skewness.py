"""Skewness of values, and how many of them Student's interval of their mean needs."""

from __future__ import annotations

from typing import Literal

import numpy as np

COCHRAN = 25
_SKEWNESS = 3
# Deviations below this fraction of the largest value are rounding errors.
_NOTHING = 1e-12


def standardised_moment(values: np.ndarray, order: Literal[3, 4]) -> np.ndarray:
    r"""Return the mean of a power of the standardised deviations from the mean, row by row; NaN is ignored.

    Order 3 is the skewness, 4 the kurtosis :math:`b_2`: :math:`m_k / m_2^{k/2}` of the central moments (Cramér 1946
    [1]_, section 27.4). Without variation or values it is the least possible absolute value: 0 for order 3, 1 for order 4.

    References
    ----------
    .. [1] Cramér, H. (1946). Mathematical Methods of Statistics. Princeton University Press.

    Examples
    --------
    >>> values = np.array([[0.0, 0.0, 0.0, 1.0, np.nan], [7.0, 7.0, 7.0, 7.0, 7.0]])
    >>> standardised_moment(values, 3).round(3).tolist(), standardised_moment(values, 4).round(3).tolist()
    ([1.155, 0.0], [2.333, 1.0])
    """
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=-1), 1)
    mean = np.where(known, values, 0.0).sum(axis=-1) / n
    deviations = np.where(known, values - mean[..., None], 0.0)
    # Scale deviations to at most 1, so that powers neither overflow nor underflow.
    scale = np.abs(deviations).max(axis=-1, initial=0.0)
    varies = scale > _NOTHING * np.where(known, np.abs(values), 0.0).max(axis=-1, initial=0.0)
    deviations = np.where(varies[..., None], deviations / np.where(varies, scale, 1.0)[..., None], 0.0)
    squares = deviations * deviations
    variance = np.where(varies, squares.sum(axis=-1) / n, 1.0)
    # Multiplication is thirty times as fast as `**`.
    powers = squares * (deviations if order == _SKEWNESS else squares)
    moments: np.ndarray = powers.sum(axis=-1) / n / variance ** (order / 2)
    return np.where(varies, moments, 1.0 - order % 2)


def fewest_of_a_mean(values: np.ndarray) -> np.ndarray:
    """Return how many values Student's interval of a mean needs for nearly nominal coverage, row by row.

    25 times the square of their skewness (Cochran 1977, *Sampling Techniques*, section 2.15); NaN is ignored.

    Examples
    --------
    >>> float(fewest_of_a_mean(np.array([0.0, 0.0, 0.0, 1.0])).round(3))
    33.333
    """
    return COCHRAN * standardised_moment(values, 3) ** 2
