"""Nodes' fates, drawn from replications."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.laws import FOREVER, NodeLaw, healthy_chances
from simdeploy.analysis.advice.tables import bound_levels
from simdeploy.world.distributions import Beta, Distribution, Gamma, sample_ns
from simdeploy.world.streams import Stream, block_uniforms, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence


RUNS, FAILS = 0, 1

# Distributions whose quantiles are slow to compute; except in the tails, they are interpolated between this many.
_SLOW = (Gamma, Beta)
_QUANTILES = 4097
_TAIL = 0.02
# A table of the windows' chances doesn't pay off for fewer nodes than this.
_FEWEST_BOUNDED = 4096
# Exceeds the rounding errors of levels and chances.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of several worlds, in columns."""

    # numbers, worlds: the node's number, and the index of its world
    numbers: np.ndarray
    worlds: np.ndarray
    laws: np.ndarray  # index of the node's law
    # slowdown, start_failure: of its world; the latter without what the release adds
    slowdown: np.ndarray
    start_failure: np.ndarray

    def take(self, places: np.ndarray) -> Nodes:
        """Return some of them."""
        return Nodes(*(getattr(self, column.name)[places] for column in fields(self)))


def draw_lives(
    laws: Sequence[NodeLaw], nodes: Nodes, seed: int, replications: np.ndarray, *, roughly: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each node's verdict in its replication, the time of the verdict, and the node's start, nanoseconds after its dispatch.

    A node that never starts has the start `FOREVER`. With `roughly`, times may be off by a few milliseconds.
    """
    verdicts = np.full(len(replications), FAILS, dtype=np.int8)
    times = np.full(len(replications), FOREVER)
    starts = np.full(len(replications), FOREVER)
    for place, law in enumerate(laws):
        chosen = np.flatnonzero(nodes.laws == place)
        for part, places in split_affected(law, nodes.numbers[chosen], seed, replications[chosen]):
            if len(places):
                of_part = chosen[places]
                verdicts[of_part], times[of_part], starts[of_part] = _draw(
                    part, nodes.take(of_part), seed, replications[of_part], roughly
                )
    return verdicts, times, starts


def split_affected(
    law: NodeLaw, numbers: np.ndarray, seed: int, replications: np.ndarray
) -> list[tuple[NodeLaw, np.ndarray]]:
    """Return the law of the affected nodes and that of the others, each with the indices of its nodes; one law if all are alike."""
    if not law.parts:
        return [(law, np.arange(len(numbers)))]
    is_affected = uniforms(seed, replications, Stream.AFFECTED, numbers) < law.share
    (_, of_affected), (_, of_others) = law.parts
    return [(of_affected, np.flatnonzero(is_affected)), (of_others, np.flatnonzero(~is_affected))]


def _draw(
    law: NodeLaw, nodes: Nodes, seed: int, replications: np.ndarray, roughly: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow nodes with the same law through their attempts to start and their health windows."""
    rule, n = law.rule, len(replications)
    deadline = float(rule.deadline_ns) if rule.is_checked else FOREVER
    verdicts, times = np.full(n, FAILS, dtype=np.int8), np.zeros(n)
    started = np.zeros(n, dtype=bool)
    left = np.arange(n)
    hang = law.hang
    for attempt in range(law.behaviour.start_attempts):
        if not len(left):
            break

        left_replications, left_nodes = replications[left], nodes.numbers[left]
        # One block of the generator has the numbers of both streams.
        u, u_failure = block_uniforms(seed, left_replications, Stream.UPDATE_DURATION.block, left_nodes, attempt)
        times[left] += _durations(law, u, nodes.slowdown[left], roughly)
        fails = u_failure < law.failure(nodes.start_failure[left])
        hangs = np.zeros(len(left), dtype=bool)
        if hang:
            hangs = uniforms(seed, left_replications, Stream.START_HANG, left_nodes, attempt) < hang
        is_late = times[left] > deadline if rule.deadline_from_dispatch else np.zeros(len(left), dtype=bool)
        if rule.is_checked:
            times[left[hangs]] = deadline if rule.deadline_from_dispatch else times[left[hangs]] + deadline
        else:
            verdicts[left[hangs]] = RUNS
        times[left[is_late & ~hangs]] = deadline
        started[left[~hangs & ~is_late & ~fails]] = True
        left = left[~hangs & ~is_late & fails]
    starts = np.where(started, times, FOREVER)
    _validate(law, nodes, seed, replications, np.flatnonzero(started), verdicts, times, roughly)
    return verdicts, times, starts


def _durations(law: NodeLaw, u: np.ndarray, slowdown: np.ndarray, roughly: bool) -> np.ndarray:
    duration = law.behaviour.update_duration
    if np.all(slowdown == 1.0) and not (roughly and isinstance(duration, _SLOW)):
        return sample_ns(duration, u).astype(float)
    seconds = _find_quantiles(duration, u, roughly)
    rounded: np.ndarray = np.floor(seconds * 1e9 * slowdown + 0.5)
    return rounded


def _find_quantiles(law: Distribution, u: np.ndarray, roughly: bool) -> np.ndarray:
    if not (roughly and isinstance(law, _SLOW)):
        exact: np.ndarray = np.asarray(law.quantile(u))
        return exact
    values: np.ndarray = np.interp(u, *_tabulate(law))
    is_tail = (u < _TAIL) | (u > 1 - _TAIL)
    values[is_tail] = law.quantile(u[is_tail])
    return values


@lru_cache(maxsize=64)
def _tabulate(law: Distribution) -> tuple[np.ndarray, np.ndarray]:
    levels = np.linspace(_TAIL, 1 - _TAIL, _QUANTILES)
    return levels, law.quantile(levels)


def _validate(
    law: NodeLaw,
    nodes: Nodes,
    seed: int,
    replications: np.ndarray,
    started: np.ndarray,
    verdicts: np.ndarray,
    times: np.ndarray,
    roughly: bool,
) -> None:
    """Follow started nodes through their health windows; updates `verdicts` and `times` in place."""
    rule = law.rule
    if not rule.is_checked or rule.windows_needed == 0:
        verdicts[started] = RUNS
        return
    most = rule.deadline_ns // rule.interval_ns
    windows = _Windows(law, nodes.numbers[started], seed, replications[started], roughly)
    deadline = np.full(len(started), float(rule.deadline_ns))
    if not rule.deadline_from_dispatch:
        deadline += times[started]
    ends = times[started]
    healthy, unhealthy = np.zeros(len(started), dtype=int), np.zeros(len(started), dtype=int)
    is_open = np.ones(len(started), dtype=bool)
    for window in range(most):
        is_late = is_open & (ends + rule.interval_ns > deadline)
        times[started[is_late]] = deadline[is_late]
        is_open &= ~is_late
        places = np.flatnonzero(is_open)
        if not len(places):
            return
        ends[places] += rule.interval_ns
        is_healthy = windows.are_healthy(window, places)
        good, bad = places[is_healthy], places[~is_healthy]
        healthy[good] += 1
        if not rule.cumulative:
            unhealthy[good] = 0
        unhealthy[bad] += 1
        if rule.consecutive:
            healthy[bad] = 0
        runs = good[healthy[good] >= rule.windows_needed]
        fails = bad[unhealthy[bad] >= rule.failure_threshold] if rule.failure_threshold is not None else bad[:0]
        verdicts[started[runs]] = RUNS
        for decided in (runs, fails):
            times[started[decided]] = ends[decided]
            is_open[decided] = False
    times[started[is_open]] = deadline[is_open]


class _Windows:
    """Health windows of nodes with the same law.

    Quantiles of the level of errors may be slow to compute. A table bounds the chance that a window is healthy, so a level is computed only
    if the window's random number is between these bounds.
    """

    def __init__(self, law: NodeLaw, numbers: np.ndarray, seed: int, replications: np.ndarray, roughly: bool) -> None:
        self._law, self._numbers, self._seed, self._replications = law, numbers, seed, replications
        self._roughly, self._bounds = roughly, None
        self._levels = self._after_ns = np.zeros(0)
        self._odd = np.full(len(numbers), np.nan)
        if len(numbers) >= _FEWEST_BOUNDED and law.constants[0] is None:
            self._bounds = bound_levels(law, uniforms(seed, replications, Stream.ERROR_RATE, numbers))
        if self._bounds is None:
            self._levels, self._after_ns = draw_own_numbers(law, numbers, seed, replications, roughly=roughly)

    def are_healthy(self, window: int, places: np.ndarray) -> np.ndarray:
        """Return which of some nodes have a healthy window."""
        if self._bounds is None:
            are_alike = len(self._levels) == 1
            parameters = (self._levels, self._after_ns) if are_alike else (self._levels[places], self._after_ns[places])
            low = high = np.broadcast_to(self._chances(window, *parameters), len(places))
        else:
            table, rows = self._bounds
            high, low = table[rows[places], window] + _ROUNDING, table[rows[places] + 1, window] - _ROUNDING
        is_healthy = np.ones(len(places), dtype=bool)
        asked = np.flatnonzero(low < 1)
        if len(asked):
            u = self._draw(window, places[asked])
            is_healthy[asked] = u <= low[asked]
            is_open = (u > low[asked]) & (u <= high[asked])
            if is_open.any():
                nodes = places[asked[is_open]]
                parameters = draw_own_numbers(
                    self._law, self._numbers[nodes], self._seed, self._replications[nodes], roughly=self._roughly
                )
                is_healthy[asked[is_open]] = u[is_open] <= self._chances(window, *parameters)
        return is_healthy

    def _draw(self, window: int, nodes: np.ndarray) -> np.ndarray:
        """Return the random numbers that decide some nodes' windows; each block has those of two consecutive windows."""
        drawn: np.ndarray = self._odd[nodes]
        if window % 2 == 0 or np.isnan(drawn).any():
            lanes = block_uniforms(
                self._seed, self._replications[nodes], Stream.WINDOW.block, self._numbers[nodes], window // 2
            )
            self._odd[:] = np.nan
            self._odd[nodes] = lanes[1]
            drawn = lanes[window % 2]
        return drawn

    def _chances(self, window: int, levels: np.ndarray, after_ns: np.ndarray) -> np.ndarray:
        law = self._law
        chances: np.ndarray = healthy_chances(law.behaviour, law.kind, law.rule, np.array([window]), levels, after_ns)
        return chances[:, 0]


def draw_own_numbers(
    law: NodeLaw, numbers: np.ndarray, seed: int, replications: np.ndarray, *, roughly: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return each node's level of errors, and the time after which the release shows; arrays of length 1 if all nodes have the same."""
    levels: Any
    after_ns: Any
    levels, after_ns = law.constants
    if levels is None:
        levels = _find_quantiles(
            law.behaviour.error_rate, uniforms(seed, replications, Stream.ERROR_RATE, numbers), roughly
        )
    if after_ns is None and law.kind is not None:
        after_ns = sample_ns(law.kind.after, uniforms(seed, replications, Stream.AFTER, numbers))
    shape = np.broadcast_shapes((1,), np.shape(levels), np.shape(after_ns))
    return np.broadcast_to(levels, shape), np.broadcast_to(np.asarray(after_ns, dtype=float), shape)
