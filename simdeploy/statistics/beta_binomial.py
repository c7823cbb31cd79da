"""Counts whose probability varies from group to group: the beta-binomial distribution."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, gammaln, logit, xlogy

from simdeploy.statistics.maximizing import Maximum, maximize, profile

# Logits of correlations that count as 0 and as 1. A beta distribution needs one below 1.
_LEAST, _MOST = -28.0, 9.0
_MOST_OF_SD = 14.0  # logit of twice a standard deviation that counts as 1 / 2
_LARGE = 200.0  # for Stirling's series
_SMALLEST_LOGIT = -40.0  # of a mean
# The likelihood may have several maxima, so searches begin at the best of several points.
_CORRELATIONS = np.array([-16.0, -13.0, -10.0, -7.0, -4.0, -1.5, 1.0, 4.0])  # their logits
_POSITIONS = np.array([-12.0, -8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0, 12.0])  # logits of positions of the mean


class BetaBinomial:
    """The likelihood of counts (`counted` of `total`) in groups whose probabilities have a beta distribution.

    Parameters of a point are the logit of the mean, and the logit of the correlation within a group, which is the variance of the
    probabilities over its upper bound, mean * (1 - mean). So every point is valid.

    Examples
    --------
    >>> counts = BetaBinomial([0, 3, 1, 6, 0, 2], [20] * 6)
    >>> best = counts.fit()
    >>> mean, sd = counts.read(best.x)
    >>> round(mean, 3), round(sd, 3)
    (0.099, 0.089)
    >>> low, high = counts.limit_mean(best, drop=1.92)
    >>> round(low, 3), round(high, 3)
    (0.036, 0.266)
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
        known = np.stack([counts[is_known], totals[is_known]], axis=1)
        pairs, self._times = np.unique(known, axis=0, return_counts=True)
        self._counted, self._total = pairs[:, 0], pairs[:, 1]
        self._rest = self._total - self._counted
        self._numbers = np.array([self._counted, self._rest, self._total])[:, None]
        self.n_groups = int(is_known.sum())

    @property
    def pooled(self) -> float:
        """The fraction over all groups."""
        return float((self._counted * self._times).sum() / (self._total * self._times).sum())

    def read(self, x: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of a point; 0 for a negligible spread."""
        mean = float(expit(x[0]))
        return mean, float(np.sqrt(mean * (1 - mean) * expit(min(x[1], _MOST)))) if x[1] > _LEAST + 4 else 0.0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of points in rows."""
        total = self._by_pair(points) @ self._times
        return np.where(np.isfinite(total), total, -np.inf)

    def _by_pair(self, points: np.ndarray) -> np.ndarray:
        mean, rest = expit(points[:, :1]), expit(-points[:, :1])
        size = np.exp(-np.minimum(np.maximum(points[:, 1:2], _LEAST), _MOST))
        counted, others, total = _rise(np.array([mean * size, rest * size, size]), self._numbers)
        # Beyond the binomial probability, each outcome is more likely after others of its kind.
        each: np.ndarray = xlogy(self._counted, mean) + xlogy(self._rest, rest) + counted + others - total
        return each

    def fit(self) -> Maximum:
        """Return the maximum of the likelihood."""
        n = float((self._total * self._times).sum())
        mean = logit(min(max(self.pooled, 0.25 / n), 1 - 0.25 / n))
        starts = np.stack([np.full_like(_CORRELATIONS, mean), _CORRELATIONS], axis=1)
        best = maximize(self, starts[np.argmax(self(starts))])
        none = maximize(self, np.array([mean, _LEAST]), fixed=(1,))
        # The spread is 0 unless the data vary more than by chance.
        return best if best.value > none.value + 1e-4 else none

    def limit_mean(self, best: Maximum, *, drop: float) -> tuple[float, float]:
        """Return the profile-likelihood interval of the mean; `drop` as for `profile`."""
        starts = np.stack([np.zeros_like(_CORRELATIONS), _CORRELATIONS], axis=1)
        low, high = expit(profile(self, best, 0, drop=drop, lowest=_SMALLEST_LOGIT, starts=starts))
        return float(low), float(high)

    def limit_sd(self, best: Maximum, *, drop: float) -> tuple[float, float]:
        """Return the profile-likelihood interval of the standard deviation; `drop` as for `profile`."""

        def by_sd(points: np.ndarray) -> np.ndarray:
            return self(_from_sd(points))

        x = _to_sd(best.x)
        same = maximize(by_sd, x, fixed=() if 1 in best.free else (1,))
        starts = np.stack([_POSITIONS, np.zeros_like(_POSITIONS)], axis=1)
        low, high = expit(profile(by_sd, same, 1, drop=drop, lowest=_LEAST / 2, starts=starts)) / 2
        return float(low), float(high)


def _to_sd(x: np.ndarray) -> np.ndarray:
    """Return the point in coordinates of which one determines the standard deviation s.

    With s, the mean is between (1 - d) / 2 and (1 + d) / 2, where d = sqrt(1 - 4 s^2). The coordinates are the logit of its position
    between these, and the logit of 2 s. So every point is valid here, too.
    """
    correlation = min(max(x[1], _LEAST), _MOST)
    slack = 4 * expit(x[0]) * expit(-x[0])
    twice_sd = np.sqrt(slack * expit(correlation))
    width = np.sqrt((expit(x[0]) - expit(-x[0])) ** 2 + slack * expit(-correlation))
    # The position p has 4 p (1 - p) = slack * (1 - correlation) / d^2 and |2 p - 1| = |2 mean - 1| / d.
    from_middle = abs(expit(x[0]) - expit(-x[0])) / width
    position = 2 * np.log1p(from_middle) - np.log(slack * expit(-correlation) / width**2)
    return np.array([np.copysign(position, x[0]), np.log(twice_sd * (1 + twice_sd)) - 2 * np.log(width)])


def _from_sd(points: np.ndarray) -> np.ndarray:
    """Return points in the usual coordinates."""
    logits_of_position, logits_of_sd = points[:, 0], np.minimum(points[:, 1], _MOST_OF_SD)
    position, rest = expit(logits_of_position), expit(-logits_of_position)
    twice_sd = expit(logits_of_sd)
    width = np.sqrt(expit(-logits_of_sd) * (1 + twice_sd))
    edge = twice_sd**2 / (2 * (1 + width))
    mean = np.log((edge + width * position) / (edge + width * rest))
    correlation = 2 * np.log(twice_sd / (2 * width)) - np.log(position * rest)
    return np.array([mean, correlation]).T


def _rise(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the logarithm of x (x + 1) ... (x + n - 1) / x^n."""
    x = np.maximum(x, 1e-300)
    rise: np.ndarray = gammaln(x + n) - gammaln(x) - n * np.log(x)
    is_large = x > _LARGE
    if is_large.any():
        # Differences of large logarithms lose precision, unlike those of Stirling's series.
        series = (x + n - 0.5) * np.log1p(n / x) - n + (1 / (x + n) - 1 / x) / 12
        rise = np.where(is_large, series, rise)
    return rise
