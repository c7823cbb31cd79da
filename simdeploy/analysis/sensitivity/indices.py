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
    ndarray of float, shape (rows, 3 * levers + 3)
        Averages of them are all that `variance_indices` needs.
    """
    a, b, mixed = responses[:, 0], responses[:, 1], responses[:, 2:]
    change = mixed - a[:, None]
    products, squares = b[:, None] * change, change**2
    return np.concatenate([products, change, squares, np.stack([a, b, (a**2 + b**2) / 2], axis=1)], axis=1)


def variance_indices(means: np.ndarray) -> np.ndarray:
    r"""Return first and total order indices from the means of `variance_moments` over rows.

    Parameters
    ----------
    means : ndarray of float, shape (..., 3 * levers + 3)

    Returns
    -------
    ndarray of float, shape (..., 2, levers)
        With f less the mean of all f(A) and f(B):

        .. math:: S_i = \frac{1}{N V} \sum_j f(B)_j \, (f(A_B^{(i)})_j - f(A)_j), \qquad
                  T_i = \frac{1}{2 N V} \sum_j (f(A)_j - f(A_B^{(i)})_j)^2,

        the estimators (b) of Saltelli et al. (2010) and (f) of Jansen (1999), both in table 2 of Saltelli et al.; V is the
        variance of all f(A) and f(B). NaN if that is 0.
    """
    n_levers = (means.shape[-1] - 3) // 3
    products, change, squares = (means[..., part * n_levers : (part + 1) * n_levers] for part in range(3))
    mean_a, mean_b, mean_square = np.moveaxis(means[..., 3 * n_levers :], -1, 0)
    centre = ((mean_a + mean_b) / 2)[..., None]
    variance = np.maximum(mean_square[..., None] - centre**2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        indices: np.ndarray = np.stack([products - centre * change, squares / 2], axis=-2) / variance[..., None, :]
    return np.where(np.isfinite(indices), indices, np.nan)
