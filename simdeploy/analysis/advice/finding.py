"""The first replication in which a node does what was seen."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.drawing import Nodes, draw_lives
from simdeploy.analysis.advice.laws import FOREVER, NodeLaw
from simdeploy.analysis.advice.observed import UNKNOWN, YES, Observed
from simdeploy.analysis.advice.seen_chances import split
from simdeploy.analysis.advice.tables import Tables, tabulate
from simdeploy.engines.choice import why_not_compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.counted import Counts

# The most fates drawn at a time.
_MOST_AT_ONCE = 1 << 18
# For fewer tries than this, loading the compiled code doesn't pay off.
_FEWEST_COMPILED = 1e6
# The least chance of what is looked for, and the most tries: for laws with tables, which compiled code tries, and others.
_LEAST_WITH_TABLES, _LEAST = 5e-6, 5e-5
_MOST_WITH_TABLES, _MOST = 1 << 21, 1 << 18
# The most by which times that are drawn roughly may be off.
_OFF_NS = 5e6


@dataclass(frozen=True)
class Supply:
    """Replication numbers that the nodes of a kind's worlds try, instead of the number of their world.

    The nodes of world w try ``first + (per_world w + t) mod n`` for t = 0, 1, 2, ... A node whose fate has a chance far above
    1 / `per_world` finds a replication among numbers that no other world tries.
    """

    # first, n: the range of numbers
    first: int
    n: int
    per_world: int

    def of(self, worlds: np.ndarray, number: np.ndarray | int) -> np.ndarray:
        """Return the replications to try, by world and number of the try."""
        replications: np.ndarray = self.first + (self.per_world * worlds + np.asarray(number)) % self.n
        return replications


def least_chances(laws: Sequence[NodeLaw]) -> np.ndarray:
    """Return the chance, by law, below which it would take too long to find a replication."""
    return np.array([_LEAST_WITH_TABLES if tabulate(law) else _LEAST for law in laws])


def is_worth_compiling(chances: np.ndarray) -> bool:
    """Return whether compiled code is faster at these chances, including the time to load it; the results are the same."""
    is_sooner = "numba" in sys.modules or float((1 / chances).sum()) >= _FEWEST_COMPILED
    return is_sooner and why_not_compiled() is None


def find_replications(
    laws: Sequence[NodeLaw],
    nodes: Nodes,
    supply: Supply,
    seed: int,
    wanted: Observed,
    counts: Sequence[Counts] = (),  # of health windows, with which replications must agree, too
    *,
    is_compiled: bool,  # whether compiled code tries, where a law has tables
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each node the first replication in which its start and its verdict are as they were seen.

    Return the replications, -1 if none was found, and the times of the verdicts, nanoseconds after the dispatch.
    """
    n = len(nodes.numbers)
    replications, times = np.full(n, -1, dtype=np.int64), np.zeros(n)
    for place, law in enumerate(laws):
        chosen = np.flatnonzero(nodes.laws == place)
        if not len(chosen):
            continue
        tables = tabulate(law)
        of_law = nodes.take(chosen), supply, seed, wanted.take(chosen), counts
        if tables is None:
            replications[chosen], times[chosen] = _find(laws, *of_law, _MOST)
        elif is_compiled:
            replications[chosen], times[chosen] = _find_compiled(law, tables, *of_law)
        else:
            replications[chosen], times[chosen] = _find(laws, *of_law, _MOST_WITH_TABLES)
    return replications, times


def _find_compiled(
    law: NodeLaw,
    tables: Tables,
    nodes: Nodes,
    supply: Supply,
    seed: int,
    wanted: Observed,
    counts: Sequence[Counts],
) -> tuple[np.ndarray, np.ndarray]:
    """Find replications with compiled code, which matches approximately; continue until the exact check agrees."""
    from simdeploy.analysis.advice.trying import find_tries

    n, rule = len(nodes.numbers), law.rule
    matched, times = np.full(n, -1, dtype=np.int64), np.zeros(n)
    of_rule = (
        rule.is_checked,
        rule.deadline_from_dispatch,
        float(rule.deadline_ns),
        float(rule.interval_ns),
        int(rule.windows_needed),
        int(rule.failure_threshold or 0),
        rule.consecutive,
        rule.cumulative,
    )
    parts = [part for _, part in law.parts] or [law]
    failures = np.stack([np.broadcast_to(part.failure(nodes.start_failure), n) for part in parts], axis=1)
    share = law.share if law.parts else 1.0
    of_law = float(share), law.behaviour.start_attempts, of_rule, tables.arrays
    numbers = supply.first, supply.n, supply.per_world
    off_ns = tables.off_ns * law.behaviour.start_attempts * nodes.slowdown
    left, from_try = np.arange(n), np.zeros(n, dtype=np.int64)
    while len(left):
        of_left, seen, off = nodes.take(left), wanted.take(left), off_ns[left]
        whose = of_left.numbers.astype(np.int64), of_left.worlds.astype(np.int64), from_try[left]
        verdicts = seen.verdict.astype(np.int64), seen.low - off, seen.high + off
        starts = seen.started.astype(np.int64), seen.start_low - off, seen.start_high + off
        slowdown = of_left.slowdown.astype(float)
        tries = find_tries(
            np.uint64(seed),
            numbers,
            _MOST_WITH_TABLES,
            whose,
            (*verdicts, *starts),
            slowdown,
            np.ascontiguousarray(failures[left]),
            of_law,
        )
        left, tries = left[tries >= 0], tries[tries >= 0]
        replications = supply.of(nodes.worlds[left], tries)
        of_left = nodes.take(left)
        alike = replace(of_left, laws=np.zeros_like(left))
        lives = draw_lives([law], alike, seed, replications)
        fits = fit(wanted.take(left), *lives)
        fits &= _agree([law], alike, wanted.take(left), counts, seed, replications)
        matched[left[fits]], times[left[fits]] = replications[fits], lives[1][fits]
        from_try[left] = tries + 1
        left = left[~fits]
    return matched, times


def fit(
    wanted: Observed, verdicts: np.ndarray, times: np.ndarray, starts: np.ndarray, off_ns: float = 0.0
) -> np.ndarray:
    """Return which nodes do what is wanted, within a tolerance of the times."""
    fits = (times > wanted.low - off_ns) & (times <= wanted.high + off_ns)
    fits &= (wanted.verdict < 0) | (verdicts == wanted.verdict)
    has_started = starts < FOREVER
    fits &= (wanted.started == UNKNOWN) | ((wanted.started == YES) == has_started)
    in_time = (starts > wanted.start_low - off_ns) & (starts <= wanted.start_high + off_ns)
    are_possible: np.ndarray = fits & (in_time | ~has_started)
    return are_possible


def _agree(
    laws: Sequence[NodeLaw],
    nodes: Nodes,
    wanted: Observed,
    counts: Sequence[Counts],
    seed: int,
    replications: np.ndarray,
) -> np.ndarray:
    """Return which replications agree with the counts of windows."""
    agree = np.ones(len(replications), dtype=bool)
    if counts:
        for place, law, chosen in split(nodes, laws, wanted):
            if place:
                agree[chosen] = counts[place - 1].accept(law, nodes.take(chosen), seed, replications[chosen])
    return agree


def _find(
    laws: Sequence[NodeLaw],
    nodes: Nodes,
    supply: Supply,
    seed: int,
    wanted: Observed,
    counts: Sequence[Counts],
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    n = len(nodes.numbers)
    matched, times = np.zeros(n, dtype=np.int64), np.zeros(n)
    left, first, at_once = np.arange(n), 0, 1
    while len(left) and first < most:
        at_once = min(max(_MOST_AT_ONCE // len(left), 1), 2 * at_once, most - first)
        tries = np.tile(np.arange(first, first + at_once), len(left))
        tried = np.repeat(left, at_once)
        replications = supply.of(nodes.worlds[tried], tries)
        roughly = draw_lives(laws, nodes.take(tried), seed, replications, roughly=True)
        likely = np.flatnonzero(fit(wanted.take(tried), *roughly, _OFF_NS))
        lives = draw_lives(laws, nodes.take(tried[likely]), seed, replications[likely])
        fits, at = np.zeros(len(tried), dtype=bool), np.zeros(len(tried))
        of_likely = nodes.take(tried[likely]), wanted.take(tried[likely])
        agree = _agree(laws, *of_likely, counts, seed, replications[likely])
        fits[likely], at[likely] = agree & fit(of_likely[1], *lives), lives[1]
        by_node = fits.reshape(len(left), at_once)
        has_one = by_node.any(axis=1)
        places = by_node.argmax(axis=1)[has_one] + np.flatnonzero(has_one) * at_once
        matched[left[has_one]], times[left[has_one]] = replications[places], at[places]
        left, first = left[~has_one], first + at_once
    matched[left] = -1
    return matched, times
