"""Attempts that all take the same time in a rollout: which rows show that, which attempts hang, and how rollouts differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.calibration.parameters import FEWEST_FOR_SPREAD, find_drop
from simdeploy.statistics.censored import Durations
from simdeploy.statistics.intervals import mean_interval
from simdeploy.statistics.maximizing import profile
from simdeploy.statistics.shared_scale import HANG, LEAST_LOG, LOCATION, SHAPE, SPREAD, SharedScale

if TYPE_CHECKING:
    Limits = tuple[float, float, float]  # an estimate and its interval

# Durations are equal if their logarithms differ by less than this.
_EQUAL = 1e-6
# In a rollout in which no attempt ended, attempts hang that were watched for longer than a prediction interval at this level allows.
_PREDICTION_LEVEL = 0.99


@dataclass(frozen=True)
class Constant:
    """The time of a rollout's attempts, as logarithms."""

    means: np.ndarray  # by rollout in which an attempt ended
    least: np.ndarray  # by rollout in which none ended, unless its attempts hang: how long the time is at least
    hangs: np.ndarray  # by row, whether the last attempt hangs: it was watched for longer
    may_differ: bool  # whether there are enough rollouts to estimate how much they differ

    @property
    def spread(self) -> float:
        """The standard deviation between rollouts; NaN for a single one."""
        spread = float(self.means.std(ddof=1)) if len(self.means) > 1 else math.nan
        return 0.0 if spread <= _EQUAL else spread

    def fit(self, confidence_level: float) -> tuple[Limits, Limits]:
        """Return the median of rollouts, in seconds, and the standard deviation of logarithms, with their intervals."""
        mean, spread, n = float(self.means.mean()), self.spread, len(self.means)
        if not spread:
            return (math.exp(mean),) * 3, (0.0, 0.0, 0.0)
        if not self.may_differ or not len(self.least):
            low, high = mean_interval(mean, spread / math.sqrt(n), n, confidence_level)
            with np.errstate(over="ignore"):
                median = np.exp([mean, low, high]).tolist()
            return tuple(median), _spread_limits(spread, n, confidence_level)
        # Rollouts are the observations, censored if no attempt ended.
        times, count = np.exp(np.concatenate([self.means, self.least])), n + len(self.least)
        rows = Durations(np.arange(count), times, np.ones(count, dtype=int), np.arange(count) < n)
        model, fixed = SharedScale("lognormal", rows), (SPREAD, HANG)
        best = model.fit(np.array([mean, math.log(spread), LEAST_LOG, 2 * LEAST_LOG]), fixed=fixed)
        drop = find_drop(n, confidence_level)
        limits = [profile(model, best, place, drop=drop, fixed=fixed) for place in (LOCATION, SHAPE)]
        with np.errstate(over="ignore"):
            median, sigma = np.exp(np.column_stack([best.x[[LOCATION, SHAPE]], limits])).tolist()
        return tuple(median), tuple(sigma)


def find_constant(data: Durations, *, may_vary: bool) -> Constant | None:
    """Return the time that all attempts of a rollout take; None if times differ.

    The time of several attempts must be a multiple. If groups may not vary, no attempt hangs, and all groups must have the same time.
    """
    groups, means, within = average_logs(data.of(data.ended))
    is_seen, is_open = np.isin(data.group, groups), ~data.ended
    n_rollouts = len(np.unique(data.group))
    may_differ = n_rollouts >= FEWEST_FOR_SPREAD and (len(means) >= FEWEST_FOR_SPREAD or np.ptp(means) > _EQUAL)
    usual = np.full(len(data), _find_slowest(means) if may_differ else means.max())
    usual[is_seen] = means[np.searchsorted(groups, data.group[is_seen])]
    logs = np.log(data.time)
    with np.errstate(divide="ignore"):
        is_too_short = is_open & is_seen & (logs < usual + np.log(data.attempts - 1) - _EQUAL)
    hangs = is_open & (logs > usual + np.log(data.attempts) + _EQUAL)
    if within >= _EQUAL or is_too_short.any():
        return None
    if not may_vary and (np.ptp(means) > _EQUAL or hangs.any()):
        return None
    longest = np.full(data.group.max() + 1, -np.inf)
    np.maximum.at(longest, data.group, logs - np.log(data.attempts))
    return Constant(means, longest[np.setdiff1d(data.group[~is_seen], data.group[hangs])], hangs, bool(may_differ))


def average_logs(rows: Durations) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the groups, the means of their logarithms per attempt, and the standard deviation within groups."""
    logs = np.log(rows.time / rows.attempts)
    groups, at = np.unique(rows.group, return_inverse=True)
    means = np.bincount(at, logs) / np.bincount(at)
    freedom = len(logs) - len(groups)
    within = math.sqrt(float(((logs - means[at]) ** 2).sum()) / freedom) if freedom else float(logs.std())
    return groups, means, within


def _find_slowest(means: np.ndarray) -> float:
    """Return the longest plausible time in a rollout in which no attempt ended."""
    n = len(means)
    error = float(means.std(ddof=1)) * math.sqrt(1 + 1 / n)
    return mean_interval(float(means.mean()), error, n, _PREDICTION_LEVEL)[1]


def _spread_limits(spread: float, n: int, confidence_level: float) -> Limits:
    """Return the standard deviation of normal observations with its interval."""
    from scipy.special import chdtri

    tail = (1 - confidence_level) / 2
    low, high = (spread * math.sqrt((n - 1) / chdtri(n - 1, p)) if n > 1 else math.nan for p in (tail, 1 - tail))
    return spread, low, high
