"""Whether two changes together do something else than each by itself: differences of differences, many at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simdeploy.statistics.estimators import moments
from simdeploy.statistics.intervals import mean_interval


class Interaction(NamedTuple):
    """A difference of differences with its interval, and the probability of one as large where there is none."""

    estimate: float
    low: float
    high: float
    p_value: float


def estimate_interaction(
    none: np.ndarray, first: np.ndarray, second: np.ndarray, both: np.ndarray, *, confidence_level: float
) -> Interaction:
    r"""Estimate what two changes do together beyond what each does by itself.

    Parameters
    ----------
    none, first, second, both : ndarray of float
        A quantity in the same replications: without the changes, with each of them, and with both.
    confidence_level : float
        Of the interval by itself.

    Returns
    -------
    Interaction
        NaN below two replications in which all four are known.

    Notes
    -----
    The mean of :math:`D = f_{ab} - f_a - f_b + f_0` (twice the interaction effect of a two-by-two factorial design,
    Law 2015 [1]_, section 12.2), taken within replications, with Student's t interval and the two-sided p-value of
    Student's test of 0. If all D are the same the p-value is 1 where they are 0, and 0 elsewhere.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> none, first = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    >>> estimate_interaction(none, first, first, np.array([3.0, 4.0]), confidence_level=0.95)
    Interaction(estimate=0.0, low=0.0, high=0.0, p_value=1.0)
    """
    from scipy.special import stdtr

    found = both - first - second + none
    found = found[~np.isnan(found)]
    mean, standard_error = moments(found)
    if len(found) < 2:
        return Interaction(mean, math.nan, math.nan, math.nan)
    low, high = mean_interval(mean, standard_error, len(found), confidence_level)
    if standard_error == 0:
        p_value = 1.0 if mean == 0 else 0.0
    else:
        p_value = 2 * float(stdtr(len(found) - 1, -abs(mean) / standard_error))
    return Interaction(mean, low, high, p_value)


def adjust_by_holm(p_values: np.ndarray) -> np.ndarray:
    r"""Return p-values that may all be held against one level: whatever is below it is so with that error in all.

    Parameters
    ----------
    p_values : ndarray of float
        NaN where there was no test.

    Returns
    -------
    ndarray of float
        With the m tests in ascending order :math:`\max_{i \le j} \min(1, (m - i + 1) p_{(i)})` (Holm 1979 [1]_): the
        probability of any false finding is at most the level, however the tests depend on each other.

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics
       6(2), 65-70.

    Examples
    --------
    >>> adjust_by_holm(np.array([0.04, 0.01, np.nan, 0.03])).tolist()
    [0.06, 0.03, nan, 0.06]
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values, kind="stable")[: int((~np.isnan(p_values)).sum())]
    multiplied = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiplied), 1.0)
    return adjusted
