"""Sobol's indices: which part of the variance of a response each factor explains, alone and with all others."""

from __future__ import annotations

import numpy as np

SOBOL = ("first", "total")


def variance_moments(responses: np.ndarray) -> np.ndarray:
    """Return by row what the indices are made of.

    Parameters
    ----------
    responses : ndarray of float, shape (rows, 2 + levers)
        Of A, of B, and of A with each column from B.

    Returns
    -------
    ndarray of float, shape (rows, 1 + 2 * levers)
        Squared differences: of A and B, of B and the mixed ones, of A and the mixed ones. Averages of them are all that
        `variance_indices` needs.
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

        with the variance taken in the same way, :math:`V = \frac{1}{2N} \sum_j (f(A)_j - f(B)_j)^2`. What A and B happen to have in
        common is then above and below the line: a factor that does nothing has indices of exactly 0, one that does
        everything of exactly 1, and large indices lose most of their error. NaN if the variance is 0.

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
