"""How sure an index is: what it becomes without a block of the design, and without a part of the worlds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Parts that the replications are cut into: fewer than these make intervals wide, more make work.
MOST_PARTS = 20


class Estimated(NamedTuple):
    """Indices with their errors; shapes as the statistic's.

    Attributes
    ----------
    estimate, standard_error, half_width : ndarray of float
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    half_width: np.ndarray


def estimate_with_errors(
    moments: np.ndarray,
    moments_without: np.ndarray,
    statistic: Callable[[np.ndarray, int], np.ndarray],
    *,
    has_error: bool,
    confidence_level: float,
) -> Estimated:
    r"""Estimate a function of means over blocks, with an interval for both that blocks and worlds are a sample.

    Parameters
    ----------
    moments : ndarray of float, shape (blocks, ...)
        What is averaged, from all replications.
    moments_without : ndarray of float, shape (parts, blocks, ...)
        The same, each without one part of the replications; no parts for a function that isn't random.
    statistic : callable
        Of the means and of the number of blocks.
    has_error : bool
        Whether the replications tell how much they vary; otherwise there is no interval.
    confidence_level : float

    Notes
    -----
    Both are jackknives (Efron and Stein 1981 [1]_). With :math:`\theta_{(j)}` without block j of n the variance that the choice
    of the points adds is :math:`\frac{n-1}{n} \sum_j (\theta_{(j)} - \bar\theta)^2`; with :math:`\theta_{(g)}`
    without part g of G of the worlds theirs is the same in G. Their sum errs upwards, by the part that both share
    (Cameron, Gelbach and Miller 2011 [2]_, who subtract it). Noise of few replications looks like an effect and like
    variance; it makes an error of order 1/r, which the second jackknife takes away:
    :math:`G\,\theta - (G-1)\,\bar\theta` (Quenouille 1956 [3]_). Student's t has the degrees of freedom of Welch
    and Satterthwaite, for n - 1 and G - 1.

    References
    ----------
    .. [1] Efron, B. and Stein, C. (1981). The jackknife estimate of variance. Annals of Statistics 9(3), 586-596.
    .. [2] Cameron, A. C., Gelbach, J. B. and Miller, D. L. (2011). Robust inference with multiway clustering. Journal of
       Business & Economic Statistics 29(2), 238-249.
    .. [3] Quenouille, M. H. (1956). Notes on bias in estimation. Biometrika 43(3/4), 353-360.
    """
    from scipy.special import stdtrit

    n = len(moments)
    total = moments.sum(axis=0)
    whole = statistic(total / n, n)
    without_block = statistic((total - moments) / (n - 1), n - 1)
    of_blocks = _jackknife_variance(without_block)
    estimate, of_worlds = whole, np.zeros_like(whole)
    n_parts = len(moments_without)
    if n_parts:
        without_part = statistic(moments_without.mean(axis=1), n)
        estimate = n_parts * whole - (n_parts - 1) * without_part.mean(axis=0)
        of_worlds = _jackknife_variance(without_part)
    variance = of_blocks + of_worlds
    if not has_error:
        variance = np.full_like(variance, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = variance**2 / (of_blocks**2 / (n - 1) + of_worlds**2 / max(n_parts - 1, 1))
    freedom = np.where(np.isfinite(freedom), freedom, n - 1)
    error = np.sqrt(variance)
    return Estimated(estimate, error, stdtrit(freedom, (1 + confidence_level) / 2) * error)


def _jackknife_variance(without: np.ndarray) -> np.ndarray:
    n = len(without)
    # From the first one on, so that numbers that are all the same have a variance of exactly 0.
    variance: np.ndarray = (n - 1) * (without - without[0]).var(axis=0)
    return variance
