"""Laws of nodes as tables, from which compiled code draws fates roughly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simdeploy.analysis.advice.laws import NodeLaw, healthy_chances
from simdeploy.units import NS_PER_S
from simdeploy.world.distributions import Constant, Distribution, Empirical

# Quantiles are interpolated between so many levels, in the tails between as many of their logarithms.
_QUANTILES = 4097
_TAIL = 0.02
_LEAST_LEVEL = 2.0**-54
_MOST_WINDOWS = 400


@dataclass(frozen=True, eq=False)
class Tables:
    """The law of a node that is affected by the release, and of one that isn't if only a share is."""

    # float, shape (3, levels): nanoseconds: by level, by the logarithm of the level in the lower tail, and of 1 less
    # the level in the upper one.
    durations: np.ndarray
    # tail, log_least: where the tails begin, and the logarithm of their least level
    tail: float
    log_least: float
    off_ns: float  # the most by which a duration may be off
    hang: np.ndarray  # by part
    # float, shape (parts, levels of errors, windows): the chance of a healthy window; one level if it is constant.
    healthy: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, float, float, np.ndarray, np.ndarray]:
        """All but the tolerance."""
        return self.durations, self.tail, self.log_least, self.hang, self.healthy


@lru_cache(maxsize=64)
def tabulate(law: NodeLaw) -> Tables | None:
    """Return the tables of a law; None if it has steps, or nodes differ in more than their levels of errors."""
    behaviour, rule = law.behaviour, law.rule
    parts = [part for _, part in law.parts] or [law]
    windows = rule.deadline_ns // rule.interval_ns if rule.is_checked and rule.windows_needed else 0
    has_steps = any(isinstance(quantity, Empirical) for quantity in (behaviour.update_duration, behaviour.error_rate))
    if has_steps or windows > _MOST_WINDOWS or any(part.constants[1] is None for part in parts):
        return None
    levels = np.array([0.5])
    if not isinstance(behaviour.error_rate, Constant):
        levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    errors = behaviour.error_rate.quantile(levels)
    healthy = np.ones((len(parts), len(levels), max(windows, 1)))
    if windows:
        for place, part in enumerate(parts):
            after_ns = np.full(len(levels), part.constants[1])
            healthy[place] = healthy_chances(behaviour, part.kind, rule, np.arange(windows), errors, after_ns)
    durations, off_ns = _tabulate_quantiles(behaviour.update_duration)
    hang = np.array([part.hang for part in parts])
    return Tables(durations, _TAIL, math.log(_LEAST_LEVEL), off_ns, hang, healthy)


def bound_levels(law: NodeLaw, u: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return bounds of the chances of healthy windows, given the uniform numbers of nodes' levels of errors; None without tables.

    The table has shape (levels, windows). A node's chances are at most those of its row, and at least those of the
    next.
    """
    tables = tabulate(law)
    if tables is None:
        return None
    (healthy,) = tables.healthy
    ends = np.ones((1, healthy.shape[1])), np.zeros((1, healthy.shape[1]))
    table = np.concatenate([ends[0], healthy, ends[1]])
    return table, (u * len(healthy) + 0.5).astype(np.int64)


@lru_cache(maxsize=64)
def _tabulate_quantiles(law: Distribution) -> tuple[np.ndarray, float]:
    logs = np.linspace(math.log(_LEAST_LEVEL), math.log(_TAIL), _QUANTILES)
    levels = np.linspace(_TAIL, 1 - _TAIL, _QUANTILES)

    def at(levels: np.ndarray, logs: np.ndarray) -> np.ndarray:
        tails = law.quantile(np.exp(logs)), law.inverse_survival(np.exp(logs))
        return NS_PER_S * np.stack([law.quantile(levels), *tails])

    table = at(levels, logs)
    between = at((levels[1:] + levels[:-1]) / 2, (logs[1:] + logs[:-1]) / 2)
    return table, 2 * float(np.abs(between - (table[:, 1:] + table[:, :-1]) / 2).max()) + 1e3
