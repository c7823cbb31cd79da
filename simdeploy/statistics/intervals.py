"""Confidence intervals of a mean, a proportion, a quantile, and a difference of paired proportions.

Every function takes sufficient statistics and returns ``(low, high)``; NaN with too few observations.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np

_UNKNOWN = (math.nan, math.nan)

# The fraction of the error of a paired difference's limit that is spent on which of the two has more. The rest is spent
# on how often they differ, which moves the limit little and doesn't change its sign.
_SHARE_OF_SIGN = 0.9


def mean_interval(mean: float, standard_error: float, n: int, confidence_level: float) -> tuple[float, float]:
    r"""Return Student's t interval of a mean; NaN below two observations.

    The standard error is :math:`s / \sqrt{n}` with the sample standard deviation `s` (divisor n - 1).

    Notes
    -----
    :math:`\bar x \pm t_{n-1, 1-\alpha/2} \, s / \sqrt n` (Student 1908 [1]_). Exact for normal observations, and
    asymptotically for others; covers less than its level for few and very skewed observations.

    References
    ----------
    .. [1] Student (1908). The probable error of a mean. Biometrika 6(1), 1-25.

    Examples
    --------
    >>> low, high = mean_interval(10.0, 1.0, 2, 0.5)
    >>> round(low, 9), round(high, 9)
    (9.0, 11.0)
    """
    from scipy.special import stdtrit

    if n < 2:
        return _UNKNOWN
    half_width = float(stdtrit(n - 1, (1 + confidence_level) / 2)) * standard_error
    return mean - half_width, mean + half_width


@overload
def proportion_interval(successes: float, n: float, confidence_level: float) -> tuple[float, float]: ...
@overload
def proportion_interval(
    successes: np.ndarray, n: np.ndarray, confidence_level: float
) -> tuple[np.ndarray, np.ndarray]: ...
def proportion_interval(
    successes: float | np.ndarray, n: float | np.ndarray, confidence_level: float
) -> tuple[float, float] | tuple[np.ndarray, np.ndarray]:
    r"""Return the exact interval of Clopper and Pearson for one or many binomial proportions; NaN for 0 trials.

    Notes
    -----
    The proportions for which neither tail of the observed count is below :math:`\alpha / 2` (Clopper and Pearson 1934
    [1]_), as quantiles of the beta distribution, :math:`B(\alpha/2;\, k,\, n-k+1)` and
    :math:`B(1-\alpha/2;\, k+1,\, n-k)`. The coverage is at least the level for every proportion and n. With 0 of n the
    upper limit is :math:`1 - (\alpha/2)^{1/n}`.

    References
    ----------
    .. [1] Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case
       of the binomial. Biometrika 26(4), 404-413.

    Examples
    --------
    >>> low, high = proportion_interval(0, 1, 0.5)
    >>> low, round(high, 9)
    (0.0, 0.75)
    """
    from scipy.special import betaincinv

    tail = (1 - confidence_level) / 2
    k, n = np.asarray(successes), np.asarray(n)
    low = np.where(k > 0, betaincinv(np.where(k > 0, k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - tail), 1.0)
    low, high = (np.where(n > 0, limit, np.nan) for limit in (low, high))
    return (low, high) if low.ndim else (low.item(), high.item())


def quantile_interval(ordered: np.ndarray, quantile: float, confidence_level: float) -> tuple[float, float]:
    r"""Return the distribution-free interval of a quantile between two order statistics, from observations in ascending
    order.

    A side with too few observations is NaN: a 95 % interval of the 0.95 quantile needs 72.

    Notes
    -----
    :math:`(X_{(l)}, X_{(u)})` with the largest `l` for which :math:`P(K < l) \le \alpha/2` and the smallest `u` for
    which :math:`P(K \ge u) \le \alpha/2`, with `K` binomial with `n` trials and the quantile's probability: each tail
    errs with at most :math:`\alpha/2` for any distribution (David and Nagaraja 2003 [1]_, section 7.1). For
    distributions with atoms it covers more often.

    References
    ----------
    .. [1] David, H. A. and Nagaraja, H. N. (2003). Order Statistics, 3rd edition. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> quantile_interval(np.arange(1.0, 101.0), 0.5, 0.95)
    (40.0, 61.0)
    >>> quantile_interval(np.arange(1.0, 72.0), 0.95, 0.95)
    (63.0, nan)
    """
    from scipy.special import bdtr, bdtrc, bdtrik

    n, tail = len(ordered), (1 - confidence_level) / 2
    if n < 1:
        return _UNKNOWN
    # P(K < l) = bdtr(l - 1) is monotone in l, and the continuous inverse is at most one step off.
    low = int(max(bdtrik(tail, n, quantile), 0)) + 1
    while low > 0 and bdtr(low - 1, n, quantile) > tail:
        low -= 1
    high = int(max(bdtrik(1 - tail, n, quantile), 0))
    while high <= n and bdtrc(high - 1, n, quantile) > tail:
        high += 1
    return (
        float(ordered[low - 1]) if low > 0 else math.nan,
        float(ordered[high - 1]) if high <= n else math.nan,
    )


def paired_proportions_interval(
    gained: int | np.ndarray, lost: int | np.ndarray, n: int | np.ndarray, confidence_level: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return a conservative interval of a difference of paired proportions: its coverage is at least its level.

    The first proportion minus the second: of n pairs, `gained` have the property only in the first, `lost` only in the
    second. NaN for 0 pairs. For one pair of policies or many.

    Notes
    -----
    Two limits of `paired_proportions_limit`, each with half of the error. Simpler intervals, such as Wald's with
    adjusted counts, cover much less than their level if one policy's false alarms are a subset of the other's, which is
    common in shared worlds.

    Examples
    --------
    >>> low, high = paired_proportions_interval(20, 40, 160, 0.95)
    >>> round(float(low), 3), round(float(high), 3)
    (-0.263, -0.016)
    """
    tail = (1 - confidence_level) / 2
    return paired_proportions_limit(gained, lost, n, tail), -paired_proportions_limit(lost, gained, n, tail)


def paired_proportions_limit(
    gained: int | np.ndarray, lost: int | np.ndarray, n: int | np.ndarray, error: float
) -> np.ndarray:
    r"""Return a lower limit of a difference of paired proportions, for one pair of policies or many; NaN for 0 pairs.

    The difference lies below the limit with probability at most `error`; the other arguments are those of
    `paired_proportions_interval`.

    Notes
    -----
    The higher one of two limits, both based on those of Clopper and Pearson (1934 [1]_). With b pairs gained, c lost and
    m = b + c:

    - Given m, b is binomial with probability :math:`\theta`, the share of the first among the pairs that differ; m is
      binomial with :math:`q`; and the difference is :math:`(2\theta - 1)\,q`. Errors are :math:`0.9\,\epsilon` and
      :math:`0.05\,\epsilon` a side. If nothing is gained, the limit for :math:`\theta` is 0 whatever its error, and
      :math:`q` gets the whole error. The sign is that of McNemar's exact test (McNemar 1947 [2]_).
    - b and c are binomial, and the difference is that of their probabilities, with half of the error each. This one is
      higher where few pairs differ.

    Each errs with probability at most :math:`\epsilon`, mostly much less, and both err in the same outcomes. Summed over all outcomes
    of up to 90 pairs, the higher one never errs more often than nominal; the tests repeat this for up to 30.

    References
    ----------
    .. [1] Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case
       of the binomial. Biometrika 26(4), 404-413.
    .. [2] McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or
       percentages. Psychometrika 12(2), 153-157.

    Examples
    --------
    >>> paired_proportions_limit(3, 0, 3, 0.125).round(3), paired_proportions_limit(0, 0, 10, 0.05).round(3)
    (np.float64(-0.035), np.float64(-0.259))
    """
    from scipy.special import betaincinv

    gained, lost, n = np.asarray(gained), np.asarray(lost), np.asarray(n)
    differ, same = gained + lost, n - gained - lost
    tail = error * (1 - _SHARE_OF_SIGN) / 2
    # The beta distribution needs positive parameters; otherwise the limit is 0 or 1.
    share = betaincinv(np.maximum(gained, 1), lost + 1, error * _SHARE_OF_SIGN)
    direction = 2 * np.where(gained > 0, share, 0.0) - 1
    seldom = np.where(differ > 0, betaincinv(np.maximum(differ, 1), same + 1, tail), 0.0)
    tail_often = np.where(gained > 0, tail, error)
    often = np.where(same > 0, betaincinv(differ + 1, np.maximum(same, 1), 1 - tail_often), 1.0)
    of_sign = direction * np.where(direction < 0, often, seldom)
    gains = np.where(gained > 0, betaincinv(np.maximum(gained, 1), n - gained + 1, error / 2), 0.0)
    losses = np.where(lost < n, betaincinv(lost + 1, np.maximum(n - lost, 1), 1 - error / 2), 1.0)
    limits: np.ndarray = np.maximum(of_sign, gains - losses)
    return np.where(n > 0, limits, np.nan)
