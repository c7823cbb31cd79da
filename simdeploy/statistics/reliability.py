r"""How good forecast probabilities were: the Brier score, its parts, and calibration.

Forecasts in a cluster (here a rollout) depend on each other, so the bootstrap resamples whole clusters [1]_.

The Brier score [2]_ is the mean of :math:`(p - o)^2`, where o is 1 if the event happened and 0 otherwise. If forecasts are grouped by p,
and group k has a share :math:`w_k` of them, mean forecast :math:`p_k` and frequency :math:`o_k`, Murphy's parts [3]_ are

.. math:: \mathrm{BS} = \sum_k w_k (p_k - o_k)^2 - \sum_k w_k (o_k - \bar o)^2 + \bar o (1 - \bar o) + \ldots

reliability (0 is best), resolution (large is best) and uncertainty; the omitted terms are due to different forecasts within a group.

References
----------
.. [1] Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge, section 3.8.
.. [2] Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78(1), 1-3.
.. [3] Murphy, A. H. (1973). A new vector partition of the probability score. Journal of Applied Meteorology 12, 595-600.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_RESAMPLES, _AT_ONCE = 2000, 200


@dataclass(frozen=True)
class Parts:
    """The Brier score and its parts."""

    brier: float
    reliability: float
    resolution: float
    uncertainty: float


def decompose_brier(
    called: np.ndarray,  # probabilities
    happened: np.ndarray,  # 1 or 0
    groups: np.ndarray,  # from 0
) -> Parts:
    """Return the Brier score and its parts.

    Examples
    --------
    >>> called, happened = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 0])
    >>> parts = decompose_brier(called, happened, np.array([0, 0, 1, 1]))
    >>> round(parts.reliability - parts.resolution + parts.uncertainty - parts.brier, 12)
    0.0
    """
    counts = np.bincount(groups)
    full = counts > 0
    p, o = (np.bincount(groups, x)[full] / counts[full] for x in (called, happened))
    share = counts[full] / len(groups)
    base = float((share * o).sum())
    return Parts(
        float(((called - happened) ** 2).mean()),
        float((share * (p - o) ** 2).sum()),
        float((share * (o - base) ** 2).sum()),
        base * (1 - base),
    )


def resample_mean(
    values: np.ndarray, clusters: np.ndarray, confidence_level: float, seed: int
) -> tuple[float, float, float]:
    """Return the mean, with a bootstrap interval from samples of clusters; NaN with fewer than two clusters.

    Examples
    --------
    >>> mean, low, high = resample_mean(np.array([0.0, 0.0, 1.0]), np.array([0, 0, 1]), 0.95, seed=0)
    >>> round(mean, 3), low, high
    (0.333, 0.0, 1.0)
    """
    _, place, counts = np.unique(clusters, return_inverse=True, return_counts=True)
    sums, n = np.bincount(place, values), len(counts)
    if n < 2:
        return float(values.mean()) if n else math.nan, math.nan, math.nan
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, n, (_AT_ONCE, n)) for _ in range(_RESAMPLES // _AT_ONCE))
    drawn = np.concatenate([sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1) for chosen in draws])
    low, high = np.quantile(drawn, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(values.mean()), float(low), float(high)
