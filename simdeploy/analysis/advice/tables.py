"""Laws of nodes as tables, from which compiled code draws approximate fates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simdeploy.analysis.advice.laws import NodeLaw, healthy_chances
from simdeploy.units import NS_PER_S
from simdeploy.world.distributions import Constant, Distribution, Empirical

# Quantiles are interpolated between this many levels, and in each tail between as many log levels.
_QUANTILES = 4097
_TAIL = 0.02
_LEAST_LEVEL = 2.0**-54
_MOST_WINDOWS = 400


@dataclass(frozen=True, eq=False)
class Tables:
    """The law of a node that the release affects, and, if it affects only a share, that of the others."""

    # float, shape (3, levels), nanoseconds: by level; by log level in the lower tail; by log (1 - level) in the upper one.
    durations: np.ndarray
    # tail, log_least: the level at which a tail begins, and the least log level
    tail: float
    log_least: float
    off_ns: float  # the largest error of a duration
    hang: np.ndarray  # by part
    # float, shape (parts, levels of errors, windows): the chance of a healthy window; one level if that is constant.
    healthy: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, float, float, np.ndarray, np.ndarray]:
        """All but the tolerance."""
        return self.durations, self.tail, self.log_least, self.hang, self.healthy


@lru_cache(maxsize=64)
def tabulate(law: NodeLaw) -> Tables | None:
    """Return the tables of a law; None if durations have steps, or if nodes differ in more than their levels of errors."""
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
    """Return bounds on the chances of healthy windows: a table, and the row of each node given its uniform number; None without tables.

    The table has shape (levels, windows). A node's chances are at most those of its row, and at least those of the next row.
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
