r"""Nodes whose health windows were counted: the chance of the counts, and replications that agree with them.

If :math:`k_j` of the :math:`n_j` requests of window j failed, that has a binomial probability at the error level :math:`p_j(\theta)`.
:math:`\theta` are the node's own parameters: its level of errors, whether the release affects it, and after what time that shows. The
binomial probability replaces the chance of a healthy window in the recursion of `simdeploy.analysis.advice.laws`. It is divided by its
maximum over all levels, which is the same number for all worlds.

A node takes the first replication in which it does what was seen, each counted window has the health that was seen, and another uniform
number is below

.. math:: \prod_j \frac{b(k_j; n_j, p_j(\theta))}{h_j(\theta)} \bigg/ \max_\theta

where :math:`h_j` is the chance that the window is (un)healthy. So :math:`\theta` has its distribution given the counts (von
Neumann's rejection), although the counts in that replication differ from those that were seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simdeploy.analysis.advice.drawing import Nodes, draw_own_numbers, split_affected
from simdeploy.analysis.advice.laws import TINY, NodeLaw, Windows, decide, error_levels, healthy_chances, steps_of
from simdeploy.world.streams import Stream, uniforms


@dataclass(frozen=True)
class Counts:
    """Request counts of a node's health windows, from its first."""

    windows: tuple[tuple[int, int], ...]  # (requests, failed requests) of each

    def chances_of(self, law: NodeLaw) -> Windows:
        """Return the chance of each verdict after each number of windows, jointly with the counts."""
        return _windows_of(law, self.windows)

    def best_ratio(self, law: NodeLaw) -> float:
        """Return the maximum, over levels of errors, of the chance of the counts over the chance of the windows' health."""
        return max(_best_ratio(part, self.windows) for _, part in law.parts or ((1.0, law),))

    def accept(self, law: NodeLaw, nodes: Nodes, seed: int, replications: np.ndarray) -> np.ndarray:
        """Return which replications agree with the counts."""
        accepted = np.zeros(len(replications), dtype=bool)
        best = self.best_ratio(law)
        for part, places in split_affected(law, nodes.numbers, seed, replications):
            if len(places):
                numbers, chosen_replications = nodes.numbers[places], replications[places]
                accepted[places] = self._accept(part, numbers, seed, chosen_replications, best)
        return accepted

    def _accept(
        self, law: NodeLaw, numbers: np.ndarray, seed: int, replications: np.ndarray, best: float
    ) -> np.ndarray:
        levels, after_ns = draw_own_numbers(law, numbers, seed, replications)
        healthy = _healthy(law, self.windows)
        of_windows = healthy_chances(law.behaviour, law.kind, law.rule, np.arange(len(healthy)), levels, after_ns)
        ratios = _ratios(law, self.windows, levels, after_ns)
        ratio, agrees = np.ones(len(numbers)), np.ones(len(numbers), dtype=bool)
        for window, is_healthy in enumerate(healthy.tolist()):
            chance = np.broadcast_to(of_windows[:, window], len(numbers))
            u = uniforms(seed, replications, Stream.WINDOW, numbers, window)
            agrees &= (u <= chance) == is_healthy
            of_health = chance if is_healthy else 1 - chance
            ratio *= np.broadcast_to(ratios[:, window], len(numbers)) / np.maximum(of_health, TINY)
        u = uniforms(seed, replications, Stream.SEEN_VERDICT, numbers)
        are_accepted: np.ndarray = agrees & (u * best <= ratio)
        return are_accepted


def _healthy(law: NodeLaw, windows: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return which windows were healthy."""
    return np.array([failed <= law.rule.allowed_failures(requests) for requests, failed in windows], dtype=bool)


def _ratios(law: NodeLaw, windows: tuple[tuple[int, int], ...], levels: np.ndarray, after_ns: np.ndarray) -> np.ndarray:
    """Return the chance of each count relative to its maximum over levels, by node and window."""
    places = np.arange(len(windows))
    p = error_levels(law.kind, law.rule, places, levels, after_ns)
    return relative_binomial(np.array([n for n, _ in windows]), np.array([k for _, k in windows]), p)


def relative_binomial(requests: np.ndarray, failed: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the chance that `failed` of `requests` fail at some levels, relative to its maximum over levels.

    Examples
    --------
    >>> relative_binomial(np.array([10]), np.array([2]), np.array([0.2, 0.0])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(np.exp(log_relative_binomial(requests, failed, levels)))


def log_relative_binomial(requests: np.ndarray, failed: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the logarithm of `relative_binomial`."""
    from scipy.special import xlog1py, xlogy

    best = failed / np.maximum(requests, 1)
    with np.errstate(divide="ignore"):
        logs = xlogy(failed, levels) + xlog1py(requests - failed, -levels)
    log_ratios: np.ndarray = logs - xlogy(failed, best) - xlog1py(requests - failed, -best)
    return log_ratios


@lru_cache(maxsize=4096)
def _windows_of(law: NodeLaw, windows: tuple[tuple[int, int], ...]) -> Windows:
    rule, (levels, after_ns) = law.rule, steps_of(law.behaviour, law.kind)
    most = rule.deadline_ns // rule.interval_ns
    healthy = healthy_chances(law.behaviour, law.kind, rule, np.arange(most), levels, after_ns).copy()
    unhealthy = 1 - healthy
    n = min(len(windows), most)
    ratios, seen = _ratios(law, windows, levels, after_ns)[:, :n], _healthy(law, windows)[:n]
    healthy[:, :n], unhealthy[:, :n] = np.where(seen, ratios, 0.0), np.where(seen, 0.0, ratios)
    decided = decide(rule, healthy, unhealthy)
    # A node with an earlier verdict would have fewer windows than were counted.
    is_late = np.arange(most + 1) >= len(windows)
    return Windows(decided.running * is_late, decided.failed * is_late, decided.left * is_late)


@lru_cache(maxsize=4096)
def _best_ratio(law: NodeLaw, windows: tuple[tuple[int, int], ...]) -> float:
    levels, after_ns = steps_of(law.behaviour, law.kind, finely=True)
    chances = healthy_chances(law.behaviour, law.kind, law.rule, np.arange(len(windows)), levels, after_ns)
    of_health = np.where(_healthy(law, windows), chances, 1 - chances)
    ratios = _ratios(law, windows, levels, after_ns) / np.maximum(of_health, TINY)
    return float(np.where(of_health > 0, ratios, 0.0).prod(axis=1).max())
