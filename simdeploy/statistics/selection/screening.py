"""Subset selection: eliminate candidates that can't be the best, from one matrix of paired observations."""

from __future__ import annotations

import numpy as np

from simdeploy.errors import raise_if_any
from simdeploy.statistics.sample import Sample, as_sample
from simdeploy.statistics.selection.selected import error_probability_problems, number_problems

# Each candidate is compared with this many of those with the lowest means. More rivals take longer but eliminate hardly
# any more, because a candidate that survives the hundred best survives nearly all.
MOST_RIVALS = 100


def screen(
    values: np.ndarray | Sample, *, alpha: float, rivals: np.ndarray | None = None, family: int | None = None
) -> np.ndarray:
    r"""Eliminate candidates that are clearly not the best, and keep the best with a stated probability.

    Parameters
    ----------
    values : ndarray of float, shape (k, n), or Sample
        Observation `n` of candidate `k`; lower is better. A column has the observations in one random world (common random
        numbers); columns are independent. They should be nearly normal: average skewed ones over several worlds.
    alpha : float
        Largest probability of eliminating the best, below 0.5.
    rivals : ndarray of int, optional
        Rows with which to compare the others; by default the 100 with the lowest means. If candidates must meet
        requirements, pass those known to meet them, because others may have lower means but must not eliminate any.
    family : int, optional
        Number of candidates that share `alpha`; by default k. If candidates were eliminated before by the same
        observations, pass the original number.

    Returns
    -------
    ndarray of bool, shape (k,)
        Whether each candidate is kept; at least one is.

    Raises
    ------
    InputError
        If `alpha` is out of its range, or `n` is below 2.
    ValueError
        If `values` is not a matrix of finite numbers.

    Notes
    -----
    The procedure "screen to the best" of Nelson, Swann, Goldsman and Song (2001 [1]_), in its form for common random numbers
    (Kim and Nelson 2006 [2]_). A candidate is kept iff its mean exceeds that of no rival by more than the margin of their paired
    difference, Student's with error :math:`\alpha/(k-1)`. The best is eliminated with probability at most :math:`\alpha`, whatever the
    dependence, exactly for normal differences. `docs/methods.md` has the equation.

    References
    ----------
    .. [1] Nelson, B. L., Swann, J., Goldsman, D. and Song, W. (2001). Simple procedures for selecting the best
       simulated system when the number of alternatives is large. Operations Research 49(6), 950-963.
    .. [2] Kim, S.-H. and Nelson, B. L. (2006). Selecting the best system. In: Henderson, S. G. and Nelson, B. L.
       (eds), Handbooks in Operations Research and Management Science 13: Simulation, chapter 17. Elsevier.

    Examples
    --------
    >>> import numpy as np
    >>> world = np.random.default_rng(0).normal(size=20)
    >>> values = np.array([[10.0], [10.1], [12.0]]) + world + np.random.default_rng(1).normal(scale=0.5, size=(3, 20))
    >>> screen(values, alpha=0.05)
    array([ True,  True, False])
    """
    from scipy.special import stdtrit

    sample = as_sample(values)
    if sample.values.ndim != 2 or not len(sample) or np.isinf(sample.values).any() or _has_missing_values(sample):
        raise ValueError("values must be a matrix of finite numbers, one row per candidate")
    k, counts = len(sample), sample.strata.counts[sample.strata.counts > 0]
    raise_if_any(error_probability_problems(alpha) + number_problems("n", int(counts.min()), 2))
    if k == 1:
        return np.ones(1, dtype=bool)
    means = sample.means()
    if rivals is None:
        rivals = np.arange(k)
    rivals = rivals[np.argsort(means[rivals], kind="stable")[:MOST_RIVALS]]
    degrees = int(counts.min()) - 1
    margins = stdtrit(degrees, 1 - alpha / ((family or k) - 1)) * np.sqrt(variances_of_means(sample, rivals))
    kept: np.ndarray = (means[:, None] - means[rivals] <= margins).all(axis=1)
    return kept


def _has_missing_values(sample: Sample) -> bool:
    """Return whether values are missing other than in whole strata in which a condition does not hold."""
    missing = [np.isnan(sample.values[:, columns]) for columns in sample.strata.columns]
    return all(of.all() for of in missing) or any(of.any() and not of.all() for of in missing)


def variances_of_means(sample: Sample, rivals: np.ndarray) -> np.ndarray:
    """Return the variance of the mean difference of each row from each rival.

    Missing values, which are those of whole strata in which a condition does not hold, count as 0.
    """
    from scipy.spatial.distance import cdist

    total = np.zeros((len(sample), len(rivals)))
    shares = sample.strata.probabilities * [
        not np.isnan(sample.values[:, columns]).all() for columns in sample.strata.columns
    ]
    shares = shares / shares.sum()
    for share, columns in zip(shares, sample.strata.columns, strict=True):
        values = np.nan_to_num(sample.values[:, columns])
        n = values.shape[1]
        if share and n > 1:
            # From the differences, because var(i) + var(j) - 2 cov(i, j) loses precision if common random numbers work well.
            centred = values - values.mean(axis=1, keepdims=True)
            total += share**2 * cdist(centred, centred[rivals], "sqeuclidean") / ((n - 1) * n)
    return total
