"""Counts whose probability varies from group to group: the beta-binomial distribution."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, expit, logit, xlog1py, xlogy

from simdeploy.statistics.maximizing import Maximum, maximize

# Logarithm of a spread that counts as 0.
LEAST_LOG_SD = -14.0


class BetaBinomial:
    """The likelihood of counts (`counted` of `total`) in groups whose probabilities have a beta distribution.

    Parameters of a point are the logit of the mean and the logarithm of the standard deviation.

    Examples
    --------
    >>> counts = BetaBinomial([0, 3, 1, 6, 0, 2], [20] * 6)
    >>> best = counts.fit()
    >>> mean, sd = counts.read(best.x)
    >>> round(mean, 3), round(sd, 3)
    (0.099, 0.089)
    """

    def __init__(
        self,
        counted: object,  # one number per group
        total: object,  # one number per group; groups with 0 are ignored
    ) -> None:
        totals = np.asarray(total, dtype=float)
        counts = np.asarray(counted, dtype=float)
        is_known = totals > 0
        # Equal pairs are computed once; fleets of constant size have few distinct ones.
        pairs, self._of, self._times = np.unique(
            np.stack([counts[is_known], totals[is_known]], axis=1), axis=0, return_inverse=True, return_counts=True
        )
        self._counted, self._total = pairs[:, 0], pairs[:, 1]
        self._rest = self._total - self._counted
        # Differences of large logarithms lose precision; the first order in 1 / size is accurate enough then.
        self._large_size = np.maximum(1e5, 1e3 * self._total**1.5)
        self.n_groups = int(is_known.sum())

    @property
    def pooled(self) -> float:
        """The fraction over all groups."""
        return float((self._counted * self._times).sum() / (self._total * self._times).sum())

    def read(self, x: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of a point; 0 for a negligible spread."""
        return float(expit(x[0])), float(np.exp(x[1])) if x[1] > LEAST_LOG_SD + 2 else 0.0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of points in rows."""
        total = self._by_pair(points) @ self._times
        return np.where(np.isfinite(total), total, -np.inf)

    def by_group(self, points: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each group with a total, by point."""
        return self._by_pair(points)[:, self._of.reshape(-1)]

    def _by_pair(self, points: np.ndarray) -> np.ndarray:
        mean = expit(points[:, :1])
        variance = np.exp(2 * np.maximum(points[:, 1:2], LEAST_LOG_SD))
        with np.errstate(divide="ignore", invalid="ignore"):
            size = mean * (1 - mean) / variance - 1
            counted, rest = self._counted, self._rest
            alpha, beta = mean * size, (1 - mean) * size
            each = betaln(alpha + counted, beta + rest) - betaln(alpha, beta)
            is_near = size > self._large_size
            if is_near.any():
                binomial = xlogy(counted, mean) + xlog1py(rest, -mean)
                each = np.where(is_near, binomial + _spread_term(counted, rest, mean, size), each)
        return np.where(size > 0, each, -np.inf)

    def fit(self) -> Maximum:
        """Return the maximum of the likelihood."""
        n = float((self._total * self._times).sum())
        mean = min(max(self.pooled, 0.25 / n), 1 - 0.25 / n)
        starts = [np.array([logit(mean), np.log(share * mean * (1 - mean)) / 2]) for share in (0.001, 0.02, 0.2)]
        start = max(starts, key=lambda point: float(self(point[None])[0]))
        best = maximize(self, start)
        none = maximize(self, np.array([logit(mean), LEAST_LOG_SD]), fixed=(1,))
        # The spread is 0 unless the data vary more than by chance.
        return best if best.value > none.value + 1e-4 else none


def _spread_term(counted: np.ndarray, rest: np.ndarray, mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return log beta-binomial minus log binomial, to the first order in 1 / size."""
    total = counted + rest
    with np.errstate(divide="ignore", invalid="ignore"):
        term = counted * (counted - 1) / (2 * mean) + rest * (rest - 1) / (2 * (1 - mean)) - total * (total - 1) / 2
    small: np.ndarray = term / size
    return small if np.isfinite(small).all() else np.nan_to_num(small)
