"""Sensitivity indices, Morris' elementary effects and Sobol's, with their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SOBOL = ("first", "total")

MORRIS = ("mu_star", "mu", "sigma")
# Parts of the replications for the jackknife: fewer make intervals wide, more take time.
MOST_PARTS = 20


def variance_moments(responses: np.ndarray) -> np.ndarray:
    """Return by row the terms of the indices: shape (rows, 1 + 2 * levers).

    Responses, shape (rows, 2 + levers), are those of A, of B, and of A with each column from B. The terms are squared
    differences: of A and B, of B and the mixed ones, of A and the mixed ones. `variance_indices` needs only their
    averages.
    """
    a, b, mixed = responses[:, :1], responses[:, 1:2], responses[:, 2:]
    return np.concatenate([(a - b) ** 2, (b - mixed) ** 2, (a - mixed) ** 2], axis=1)


def variance_indices(means: np.ndarray) -> np.ndarray:
    r"""Return first and total order indices from the means of `variance_moments` over rows.

    Parameters
    ----------
    means : ndarray of float, shape (..., 1 + 2 * levers)

    Returns
    -------
    ndarray of float, shape (..., 2, levers)
        The estimators of Jansen (1999), (c) and (f) in table 2 of Saltelli et al. (2010),

        .. math:: S_i = 1 - \frac{1}{2 N V} \sum_j (f(B)_j - f(A_B^{(i)})_j)^2, \qquad
                  T_i = \frac{1}{2 N V} \sum_j (f(A)_j - f(A_B^{(i)})_j)^2,

        with the variance estimated in the same way, :math:`V = \frac{1}{2N} \sum_j (f(A)_j - f(B)_j)^2`. Random
        deviations common to A and B then cancel: a factor without effect has indices of exactly 0, one with the only
        effect exactly 1, and large indices lose most of their error. NaN if the variance is 0.

    References
    ----------
    Jansen, M. J. W. (1999). Analysis of variance designs for model output. Computer Physics Communications 117(1-2),
    35-43; and Saltelli et al. (2010), as at `design_sensitivity`.

    Examples
    --------
    >>> a, b = np.array([0.0, 2.0]), np.array([1.0, 5.0])
    >>> indices = variance_indices(variance_moments(np.stack([a, b, b, a], axis=1)).mean(axis=0))
    >>> indices.tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    n_levers = (means.shape[-1] - 1) // 2
    variance, of_b, of_a = means[..., :1], means[..., 1 : 1 + n_levers], means[..., 1 + n_levers :]
    with np.errstate(invalid="ignore", divide="ignore"):
        indices = np.stack([(variance - of_b) / variance, of_a / variance], axis=-2)
    return np.where(np.isfinite(indices), indices, np.nan)


def effect_moments(places: np.ndarray, moved: np.ndarray, responses: np.ndarray) -> np.ndarray:
    r"""Return by trajectory the terms whose averages are the indices: shape (trajectories, 3, factors).

    They are the elementary effect :math:`(y(x + e_i \Delta) - y(x)) / \Delta` of Morris (1991), section 2, with the
    distance as a fraction of the factor's range; its absolute value; its square. `places` are positions of each factor
    in its range, from 0 to 1, shape (trajectories, points of each, factors); `moved` is the step at which each factor
    moves; responses are by trajectory and point.
    """
    change = np.take_along_axis(np.diff(responses, axis=1), moved, axis=1)
    steps = np.diff(places, axis=1)
    distance = np.take_along_axis(steps, moved[:, None, :], axis=1)[:, 0, :]
    effects = change / distance
    return np.stack([effects, np.abs(effects), effects**2], axis=1)


def effect_indices(means: np.ndarray, n: int) -> np.ndarray:
    r"""Return Morris' indices from the means of `effect_moments` over n trajectories, both of shape (..., 3, levers).

    They are :math:`\mu^*`, the mean absolute effect of Campolongo, Cariboni and Saltelli (2007), section 3; :math:`\mu`
    and :math:`\sigma`, mean and standard deviation of Morris (1991), section 3.
    """
    effect, absolute, square = np.moveaxis(means, -2, 0)
    variance = np.maximum(square - effect**2, 0) * n / (n - 1)
    return np.stack([absolute, effect, np.sqrt(variance)], axis=-2)


def slope_moments(places: np.ndarray, moved: np.ndarray | None, responses: np.ndarray) -> np.ndarray:
    """Return by block the terms of `slopes`: shape (blocks, 4, factors).

    For each factor, a block has two points that differ in nothing else: before and after a step of a Morris trajectory,
    or A and A with the column from B of a Sobol row. The terms are step times change, squared step, and the changes of
    the response upwards and downwards as the factor rises. Steps are fractions of the range. Arguments are those of
    `effect_moments`; `moved` is None for Sobol's rows.
    """
    levers = np.arange(places.shape[2])
    if moved is None:
        step = places[:, 2 + levers, levers] - places[:, 0, :]
        change = responses[:, 2:] - responses[:, :1]
    else:
        step = np.take_along_axis(np.diff(places, axis=1), moved[:, None, :], axis=1)[:, 0, :]
        change = np.take_along_axis(np.diff(responses, axis=1), moved, axis=1)
    upwards = np.sign(step) * change
    return np.stack([step * change, step**2, np.maximum(upwards, 0), np.maximum(-upwards, 0)], axis=1)


def slopes(means: np.ndarray) -> np.ndarray:
    """Return least-squares slopes from the means of `slope_moments` over blocks, both of shape (..., levers).

    The slope is the average change of the response over the whole range. If all steps have equal length, as in Morris'
    design, it is his mean effect.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        slope: np.ndarray = means[..., 0, :] / means[..., 1, :]
    return slope


class Estimated(NamedTuple):
    """Indices with their errors; shapes as the statistic's."""

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
    r"""Estimate a function of means over blocks, with an interval for sampled blocks and sampled worlds.

    `moments`, shape (blocks, ...), are the terms to average, from all replications; `moments_without`, shape (parts,
    blocks, ...), the same without each part of the replications, with no parts for a deterministic function.
    `statistic` takes the means and the number of blocks. Without `has_error` the variation between replications is
    unknown, and there is no interval.

    Notes
    -----
    Both errors are jackknives (Efron and Stein 1981 [1]_). With :math:`\theta_{(j)}` without block j of n, the variance
    from the choice of points is :math:`\frac{n-1}{n} \sum_j (\theta_{(j)} - \bar\theta)^2`; with :math:`\theta_{(g)}`
    without part g of G, the variance from the worlds is the same expression with G. Their sum is too large by what both
    share (Cameron, Gelbach and Miller 2011 [2]_, who subtract it). The noise of few replications adds to effects and
    variances, a bias of order 1/r that the second jackknife removes: :math:`G\,\theta - (G-1)\,\bar\theta` (Quenouille
    1956 [3]_). Student's t has the degrees of freedom of Welch and Satterthwaite, for n - 1 and G - 1.

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
    # Relative to the first one, so that equal numbers have a variance of exactly 0.
    variance: np.ndarray = (n - 1) * (without - without[0]).var(axis=0)
    return variance
