"""An exact lower limit of the mean of nonnegative values, also for small samples."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.statistics.sample import Sample


def limit_from_below(sample: Sample, error: float) -> np.ndarray:
    r"""Return for each case a lower limit of the mean, which errs with probability at most `error` whatever the law of the values.

    Values must not be negative. A stratum without values is left out; the limit is NaN if only some worlds of a stratum have a value.

    Notes
    -----
    Anderson (1969 [1]_): the mean is :math:`\int (1 - F)`, and with probability :math:`1 - \epsilon`, F nowhere exceeds the empirical
    distribution function of n values by more than :math:`\sqrt{\log(1 / \epsilon) / (2 n)}` (Massart 1990 [2]_), for
    :math:`\epsilon \le 1/2`. The error is divided equally among strata.

    References
    ----------
    .. [1] Anderson, T. W. (1969). Confidence limits for the expected value of an arbitrary bounded random variable with a continuous
       distribution function. Bulletin of the International Statistical Institute 43, 249-251.
    .. [2] Massart, P. (1990). The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality. Annals of Probability 18(3), 1269-1283.

    Examples
    --------
    >>> from simdeploy.statistics.sample import as_sample
    >>> limit_from_below(as_sample(np.full((1, 100), 136.0)), 0.0125).round(1).tolist()
    [115.9]
    """
    drawn = sample.as_drawn()
    _, weights = drawn.means_by_stratum()
    limits = [_limit(drawn.values[:, columns], error / drawn.strata.n) for columns in drawn.strata.columns]
    total: np.ndarray = np.where(weights > 0, weights * np.stack(limits, axis=1), 0.0).sum(axis=1)
    return np.where(weights.any(axis=1), total, np.nan)


def _limit(values: np.ndarray, error: float) -> np.ndarray:
    n = max(values.shape[1], 1)
    above = 1 - np.arange(values.shape[1]) / n - math.sqrt(math.log(1 / error) / (2 * n))
    limit: np.ndarray = (np.diff(np.sort(values, axis=1), axis=1, prepend=0.0) * np.maximum(above, 0.0)).sum(axis=1)
    return limit
