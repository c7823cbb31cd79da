"""Censored durations in groups that share a random scale: the likelihood, with the scale integrated out.

A duration is the group's scale (lognormal with median 1) times a variable from a family. A node's duration is the sum of its attempts;
its last attempt may not have ended. An attempt may also hang forever (a cure model).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

from simdeploy.statistics.censored import Durations, Ended, Grouped, Terms
from simdeploy.statistics.lifetimes import LIFETIMES, Family, match_sum
from simdeploy.statistics.maximizing import Maximum, maximize

# Indices of a point's parameters: logarithms of location, shape, spread of the scale, and fraction of hangs.
LOCATION, SHAPE, SPREAD, HANG = range(4)
# A spread or a fraction with this logarithm counts as 0.
LEAST_LOG = -14.0

_MOST_AT_ONCE = 1_000_000
_POINTS, _WEIGHTS = np.polynomial.hermite.hermgauss(7)
_LOG_WEIGHTS = np.log(_WEIGHTS) + _POINTS**2 - 0.5 * math.log(math.pi)
_NEWTON_STEPS = 5
_DELTA = 1e-3
_AROUND = np.array([-_DELTA, 0.0, _DELTA])
_TINY = 1e-300


class SharedScale:
    """The likelihood of durations under a family: a function of points in rows.

    Groups are independent; the integral over a group's scale is by adaptive Gauss-Hermite quadrature around its mode.

    Examples
    --------
    >>> import numpy as np
    >>> durations = Durations(np.repeat([0, 1], 2), np.array([40.0, 60.0, 45.0, 50.0]), np.ones(4, int), np.array([True] * 3 + [False]))
    >>> best = SharedScale("exponential", durations).fit(np.array([4.0, 0.0, LEAST_LOG, LEAST_LOG]), fixed=(SHAPE, SPREAD, HANG))
    >>> round(float(np.exp(best.x[LOCATION])))  # 195 s of waiting for three ends
    65
    """

    def __init__(self, family: Family, data: Durations) -> None:
        self.family = family
        self.grouped = Grouped(data)
        self._width = max(1, len(self.grouped.still_open), self.grouped.n)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the log-likelihood."""
        most = max(1, _MOST_AT_ONCE // (self._width * len(_POINTS)))
        return np.concatenate([self._integrate(points[at : at + most])[0] for at in range(0, len(points), most)])

    def find_scales(self, point: np.ndarray) -> np.ndarray:
        """Return for each group of `grouped.names` the most probable logarithm of its scale."""
        _, z = self._integrate(point[None])
        scales: np.ndarray = z[0] * math.exp(max(point[SPREAD], LEAST_LOG))
        return scales

    def fit(self, start: np.ndarray, *, fixed: tuple[int, ...] = ()) -> Maximum:
        """Return the maximum; without a spread if that fits as well."""
        best = maximize(self, start, fixed=fixed)
        if SPREAD in fixed:
            return best
        flat = best.x.copy()
        flat[SPREAD] = LEAST_LOG
        none = maximize(self, flat, fixed=(*fixed, SPREAD))
        return best if best.value > none.value + 1e-4 else none

    def _integrate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-likelihood of each point, and each group's most probable standard score."""
        with np.errstate(all="ignore"):
            hang = np.exp(np.minimum(points[:, HANG], -1e-9))
            location, spread = points[:, LOCATION, None], np.exp(np.maximum(points[:, SPREAD, None], LEAST_LOG))
            terms = _AtShape(self.family, self.grouped, np.exp(points[:, SHAPE]), hang)

            def log_joint(z: np.ndarray) -> np.ndarray:
                return terms(location[:, :, None] + spread[:, :, None] * z) - z**2 / 2

            centre, information = terms.guess()
            weight = spread**2 * information
            z = np.where(information > 0, (centre - location) / spread * weight / (1 + weight), 0.0)
            if not np.isfinite(z).all():
                z = np.nan_to_num(z)
            for _ in range(_NEWTON_STEPS):
                values = log_joint(z[:, :, None] + _AROUND)
                slope = (values[:, :, 2] - values[:, :, 0]) / (2 * _DELTA)
                curvature = np.maximum((2 * values[:, :, 1] - values[:, :, 0] - values[:, :, 2]) / _DELTA**2, 0.5)
                move = slope / curvature
                move = np.minimum(np.maximum(np.where(np.isnan(move), 0.0, move), -1.0), 1.0)
                z = z + move
                if np.abs(move).max(initial=0.0) < 1e-3:
                    break
            deviation = 1 / np.sqrt(curvature)
            values = log_joint(z[:, :, None] + math.sqrt(2) * deviation[:, :, None] * _POINTS) + _LOG_WEIGHTS
            highest = values.max(axis=2)
            each = highest + np.log(np.exp(values - highest[:, :, None]).sum(axis=2)) + np.log(deviation)
            total = each.sum(axis=1) + self.grouped.n_ended_attempts * np.log1p(-hang)
        return np.where(np.isfinite(total), total, -np.inf), z


class _AtShape:
    """The log-likelihood of each group as a function of its log scale, at several shapes and fractions of hangs."""

    def __init__(self, family: Family, grouped: Grouped, shape: np.ndarray, hang: np.ndarray) -> None:
        self._family, self._grouped = family, grouped
        self._shape, self._hang = shape[:, None, None], hang[:, None, None]
        if family == "weibull":
            different, places = np.unique(shape, return_inverse=True)
            self._powers = np.array([grouped.sum_powers(each) for each in different])[places][:, :, None]
        self._laws: dict[int, tuple[Family, np.ndarray, np.ndarray]] = {}

    def guess(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each group's mode, and the information there, as if all rows were first attempts that ended."""
        shape = self._shape[:, :, 0]
        first = next((each for each in self._grouped.ended if each.attempts == 1), None)
        if first is None:
            return np.zeros((len(shape), self._grouped.n)), np.zeros((len(shape), self._grouped.n))
        match self._family:
            case "exponential":
                return np.log(first.times / first.rows) + 0 * shape, first.rows + 0 * shape
            case "gamma":
                return np.log(first.times / first.rows) + 0 * shape, first.rows * shape
            case "weibull":
                return np.log(self._powers[:, :, 0] / first.rows) / shape, first.rows * shape**2
            case "lognormal":
                return first.logs / first.rows + 0 * shape, first.rows / shape**2

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """Return the log-likelihood at the log scales `v`, by point, group and node of the quadrature."""
        total = sum((self._log_density(each, v) for each in self._grouped.ended), np.zeros_like(v))
        still_open = self._grouped.still_open
        if len(still_open):
            each = self._log_open(still_open, v[:, still_open.group]) * still_open.counts[:, None]
            total[:, still_open.group[still_open.starts]] += np.add.reduceat(each, still_open.starts, axis=1)
        return total

    def _law_of_sum(self, n: int) -> tuple[Family, np.ndarray, np.ndarray]:
        """Return the law of the sum of `n` attempts of scale 1, as `match_sum` does."""
        if n not in self._laws:
            self._laws[n] = match_sum(self._family, self._shape, n)
        return self._laws[n]

    def _log_density(self, ended: Ended, v: np.ndarray) -> np.ndarray:
        family, shape, location = self._law_of_sum(ended.attempts)
        v = v + location
        rows, logs, times = ended.rows[:, None], ended.logs[:, None], ended.times[:, None]
        density: np.ndarray
        match family:
            case "exponential":
                density = -rows * v - times * np.exp(-v)
            case "weibull":
                density = rows * (np.log(shape) - shape * v) + (shape - 1) * logs - self._powers * np.exp(-shape * v)
            case "lognormal":
                squares = ended.log_squares[:, None] - 2 * v * logs + rows * v**2
                density = -rows * (np.log(shape) + 0.5 * math.log(2 * math.pi)) - logs - squares / (2 * shape**2)
            case "gamma":
                constant = shape * np.log(shape) - gammaln(shape)
                density = rows * (constant - shape * v) + (shape - 1) * logs - times * shape * np.exp(-v)
        return density

    def _log_open(self, terms: Terms, v: np.ndarray) -> np.ndarray:
        """Return the log-probabilities that the last attempt has not ended but the ones before have."""
        x = terms.log_time[:, None] - v
        survival = np.empty_like(x)
        for n, rows in terms.by_attempts:
            survival[:, rows] = self._survival(n, x[:, rows])
        probability = self._hang + (1 - self._hang) * survival
        for n, rows in terms.by_attempts:
            if n > 1:
                probability[:, rows] -= self._survival(n - 1, x[:, rows])
        logs: np.ndarray = np.log(np.maximum(probability, _TINY))
        return logs

    def _survival(self, attempts: int, log_x: np.ndarray) -> np.ndarray:
        """Return the probabilities that sums of `attempts` attempts of scale 1 are above exp(`log_x`)."""
        family, shape, location = self._law_of_sum(attempts)
        return LIFETIMES[family].survival(np.exp(log_x - location), shape)
