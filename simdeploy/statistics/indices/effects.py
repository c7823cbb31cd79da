"""Morris' elementary effects: what a response changes by if one factor moves through its range."""

from __future__ import annotations

import numpy as np

MORRIS = ("mu_star", "mu", "sigma")


def effect_moments(places: np.ndarray, moved: np.ndarray, responses: np.ndarray) -> np.ndarray:
    r"""Return by trajectory what the indices are averages of.

    Parameters
    ----------
    places : ndarray of float, shape (trajectories, points of each, levers)
        Where in its range each lever is, from 0 to 1.
    moved : ndarray of int, shape (trajectories, levers)
        At which step each lever moves.
    responses : ndarray of float, shape (trajectories, points of each)

    Returns
    -------
    ndarray of float, shape (trajectories, 3, levers)
        The elementary effect :math:`(y(x + e_i \Delta) - y(x)) / \Delta` of Morris (1991), section 2, with the
        distance as a part of the factor's range; its absolute value; its square.
    """
    change = np.take_along_axis(np.diff(responses, axis=1), moved, axis=1)
    steps = np.diff(places, axis=1)
    distance = np.take_along_axis(steps, moved[:, None, :], axis=1)[:, 0, :]
    effects = change / distance
    return np.stack([effects, np.abs(effects), effects**2], axis=1)


def effect_indices(means: np.ndarray, n: int) -> np.ndarray:
    r"""Return Morris' indices from the means of `effect_moments` over n trajectories.

    Parameters
    ----------
    means : ndarray of float, shape (..., 3, levers)
    n : int

    Returns
    -------
    ndarray of float, shape (..., 3, levers)
        :math:`\mu^*`, the mean absolute effect of Campolongo, Cariboni and Saltelli (2007), section 3; :math:`\mu` and
        :math:`\sigma`, mean and standard deviation of Morris (1991), section 3.
    """
    effect, absolute, square = np.moveaxis(means, -2, 0)
    variance = np.maximum(square - effect**2, 0) * n / (n - 1)
    return np.stack([absolute, effect, np.sqrt(variance)], axis=-2)
