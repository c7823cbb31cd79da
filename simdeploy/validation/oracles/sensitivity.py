"""Functions with known sensitivity indices: Ishigami's, and the makespan of a rollout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class SobolIndices(NamedTuple):
    """First and total order indices, fractions of the variance.

    Attributes
    ----------
    first, total : tuple of float

    Examples
    --------
    >>> from simdeploy.validation.oracles import ishigami_indices
    >>> [round(index, 4) for index in ishigami_indices().total]
    [0.5576, 0.4424, 0.2437]
    """

    first: tuple[float, ...]
    total: tuple[float, ...]


def ishigami(points: np.ndarray, *, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    r"""Ishigami's function of three factors.

    Parameters
    ----------
    points : array_like, shape (n, 3)
        Each factor is even on :math:`[-\pi, \pi]`.
    a, b : float

    Notes
    -----
    :math:`\sin x_1 + a \sin^2 x_2 + b\, x_3^4 \sin x_1` (Ishigami and Homma 1990 [1]_): one factor that acts alone, and one
    that acts only together with another.

    References
    ----------
    .. [1] Ishigami, T. and Homma, T. (1990). An importance quantification technique in uncertainty analysis for computer
       models. Proceedings of ISUMA '90, 398-403.

    Examples
    --------
    >>> ishigami([[math.pi / 2, 0.0, 1.0]]).round(3).tolist()
    [1.1]
    """
    x1, x2, x3 = np.asarray(points, dtype=np.float64).T
    values: np.ndarray = np.sin(x1) + a * np.sin(x2) ** 2 + b * x3**4 * np.sin(x1)
    return values


def ishigami_indices(*, a: float = 7.0, b: float = 0.1) -> SobolIndices:
    r"""Sobol indices of Ishigami's function.

    Parameters
    ----------
    a, b : float

    Notes
    -----
    By integration, :math:`V = a^2/8 + b\pi^4/5 + b^2\pi^8/18 + 1/2`, of which :math:`(1 + b\pi^4/5)^2/2` is the first
    factor's alone, :math:`a^2/8` the second's, and :math:`8 b^2\pi^8/225` the first and third's together.

    Examples
    --------
    >>> [round(index, 4) for index in ishigami_indices().first]
    [0.3139, 0.4424, 0.0]
    """
    alone = (1 + b * math.pi**4 / 5) ** 2 / 2, a**2 / 8, 0.0
    together = 8 * b**2 * math.pi**8 / 225
    variance = math.fsum(alone) + together
    first = tuple(part / variance for part in alone)
    return SobolIndices(first, (first[0] + together / variance, first[1], together / variance))


def rollout_time_indices(
    waves: tuple[int, int], update_s: tuple[float, float], healthy_s: Sequence[float]
) -> SobolIndices:
    r"""Sobol indices of the makespan of barrier waves in which nothing fails.

    Parameters
    ----------
    waves : tuple of int
        Least and largest number of waves, all equally likely.
    update_s : tuple of float
        Shortest and longest time that a start takes, seconds; even in between.
    healthy_s : sequence of float
        For how long a node has to be healthy, seconds, all equally likely; multiples of the window.

    Returns
    -------
    SobolIndices
        Of the number of waves, the update and the healthy time.

    Notes
    -----
    Where every start takes the same time the makespan is :math:`W (U + H)`. With :math:`S = U + H` the variance is :math:`E[W^2] E[S^2] - (E[W] E[S])^2`;
    the waves alone explain :math:`E[S]^2 \mathrm{Var}\,W`, the update :math:`E[W]^2 \mathrm{Var}\,U`. In all, that is with all
    others, the waves have :math:`E[S^2] \mathrm{Var}\,W` and the update :math:`E[W^2] \mathrm{Var}\,U`.

    Examples
    --------
    >>> indices = rollout_time_indices((5, 20), (30.0, 90.0), [10.0, 20.0, 30.0, 40.0])
    >>> [round(index, 3) for index in indices.first], [round(index, 3) for index in indices.total]
    ([0.671, 0.205, 0.085], [0.71, 0.233, 0.097])
    """
    n = waves[1] - waves[0] + 1
    mean_w, variance_w = (waves[0] + waves[1]) / 2, (n**2 - 1) / 12
    variances = ((update_s[1] - update_s[0]) ** 2 / 12, float(np.var(healthy_s)))
    mean_s, variance_s = math.fsum(update_s) / 2 + float(np.mean(healthy_s)), math.fsum(variances)
    square_w, square_s = variance_w + mean_w**2, variance_s + mean_s**2
    variance = square_w * square_s - (mean_w * mean_s) ** 2
    first = (mean_s**2 * variance_w, *(mean_w**2 * part for part in variances))
    total = (square_s * variance_w, *(square_w * part for part in variances))
    return SobolIndices(tuple(part / variance for part in first), tuple(part / variance for part in total))
