"""The first replication in which a node does what was seen."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.drawing import Nodes, draw_fates
from simdeploy.analysis.advice.tables import tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.laws import NodeLaw
    from simdeploy.analysis.advice.tables import Tables

# Fates that are drawn at a time.
_MOST_AT_ONCE = 1 << 18
# Fewer tries than this are not worth the loading of compiled code.
_FEWEST_COMPILED = 1e6
# Chances of what is looked for, and the most tries.
_LEAST_COMPILED, _LEAST_PLAIN = 5e-6, 5e-5
_MOST_COMPILED, _MOST_PLAIN = 1 << 21, 1 << 18
# Times that are drawn roughly are nowhere off by more than this.
_OFF_NS = 5e6


@dataclass(frozen=True)
class Supply:
    """Numbers of replications for the nodes of the worlds of a kind, which do not take those of their world.

    The nodes of world w try ``first + (per_world w + t) mod n`` for t = 0, 1, 2, ... Whoever does what has a chance far above
    1 / `per_world` finds it among numbers that no other world tries.

    Attributes
    ----------
    first, n : int
        Numbers that there are.
    per_world : int
    """

    first: int
    n: int
    per_world: int

    def of(self, worlds: np.ndarray, number: np.ndarray | int) -> np.ndarray:
        """Return the replications of a try."""
        found: np.ndarray = self.first + (self.per_world * worlds + np.asarray(number)) % self.n
        return found


def least_chances(laws: Sequence[NodeLaw]) -> np.ndarray:
    """Return the chance, by law, below which it would take too long to find a node that does what is wanted."""
    has_numba = find_spec("numba") is not None
    return np.array([_LEAST_COMPILED if has_numba and tabulate(law) else _LEAST_PLAIN for law in laws])


def is_worth_compiling(chances: np.ndarray) -> bool:
    """Return whether compiled code finds nodes with these chances earlier, its loading included; both find the same."""
    if find_spec("numba") is None or not len(chances):
        return False
    # Rarer ones may take more tries than there are without it.
    is_rare = float(chances.min()) < 2 * _LEAST_PLAIN
    return is_rare or "numba" in sys.modules or float((1 / chances).sum()) >= _FEWEST_COMPILED


def find_replications(
    laws: Sequence[NodeLaw],
    nodes: Nodes,
    supply: Supply,
    seed: int,
    *,
    verdicts: np.ndarray,
    after_ns: np.ndarray,
    until_ns: np.ndarray,
    is_compiled: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each node the first replication in which it gets a verdict within some time.

    Parameters
    ----------
    verdicts : ndarray of int
        The wanted one; -1 for any.
    after_ns, until_ns : ndarray of float
        Bounds of its time after the dispatch; the first is outside.
    is_compiled : bool
        Whether compiled code tries, where a law has tables.

    Returns
    -------
    replications : ndarray of int
        -1 if none was found.
    times_ns : ndarray of float
    """
    n = len(nodes.numbers)
    found, times = np.full(n, -1, dtype=np.int64), np.zeros(n)
    for place, law in enumerate(laws):
        chosen = np.flatnonzero(nodes.laws == place)
        tables = tabulate(law) if is_compiled and len(chosen) else None
        of_law = nodes.take(chosen), supply, seed, verdicts[chosen], after_ns[chosen], until_ns[chosen]
        if tables is not None:
            found[chosen], times[chosen] = _find_compiled(law, tables, *of_law)
        elif len(chosen):
            found[chosen], times[chosen] = _find(laws, *of_law)
    return found, times


def _find_compiled(
    law: NodeLaw,
    tables: Tables,
    nodes: Nodes,
    supply: Supply,
    seed: int,
    verdicts: np.ndarray,
    after_ns: np.ndarray,
    until_ns: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Let compiled code find replications in which alike nodes do about what is wanted, until they really do."""
    from simdeploy.analysis.advice.trying import find_tries

    n, rule = len(nodes.numbers), law.rule
    found, times = np.full(n, -1, dtype=np.int64), np.zeros(n)
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
    failures = np.stack([np.broadcast_to(part.failure(nodes.start_failure), n) for part in parts])
    share = law.share if law.parts else 1.0
    off_ns = tables.off_ns * law.behaviour.start_attempts * nodes.slowdown
    left, from_try = np.arange(n), np.zeros(n, dtype=np.int64)
    while len(left):
        of_left = nodes.take(left)
        tries = find_tries(
            np.uint64(seed),
            supply.first,
            supply.n,
            supply.per_world,
            _MOST_COMPILED,
            of_left.numbers.astype(np.int64),
            of_left.worlds.astype(np.int64),
            from_try[left],
            verdicts[left].astype(np.int64),
            after_ns[left] - off_ns[left],
            until_ns[left] + off_ns[left],
            of_left.slowdown.astype(float),
            np.ascontiguousarray(failures[:, left]),
            float(share),
            law.behaviour.start_attempts,
            of_rule,
            tables.arrays,
        )
        left, tries = left[tries >= 0], tries[tries >= 0]
        replications = supply.of(nodes.worlds[left], tries)
        of_left = nodes.take(left)
        alike = Nodes(of_left.numbers, of_left.worlds, np.zeros_like(left), of_left.slowdown, of_left.start_failure)
        got, at = draw_fates([law], alike, seed, replications)
        fits = (at > after_ns[left]) & (at <= until_ns[left]) & ((verdicts[left] < 0) | (got == verdicts[left]))
        found[left[fits]], times[left[fits]] = replications[fits], at[fits]
        from_try[left] = tries + 1
        left = left[~fits]
    return found, times


def _find(
    laws: Sequence[NodeLaw],
    nodes: Nodes,
    supply: Supply,
    seed: int,
    verdicts: np.ndarray,
    after_ns: np.ndarray,
    until_ns: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    n = len(nodes.numbers)
    found, times = np.zeros(n, dtype=np.int64), np.zeros(n)
    left, first, at_once = np.arange(n), 0, 1
    while len(left) and first < _MOST_PLAIN:
        at_once = min(max(_MOST_AT_ONCE // len(left), 1), 2 * at_once, _MOST_PLAIN - first)
        tries = np.tile(np.arange(first, first + at_once), len(left))
        tried = np.repeat(left, at_once)
        replications = supply.of(nodes.worlds[tried], tries)
        got, at = draw_fates(laws, nodes.take(tried), seed, replications, roughly=True)
        fits = (at > after_ns[tried] - _OFF_NS) & (at <= until_ns[tried] + _OFF_NS)
        likely = np.flatnonzero(fits & ((verdicts[tried] < 0) | (got == verdicts[tried])))
        got[likely], at[likely] = draw_fates(laws, nodes.take(tried[likely]), seed, replications[likely])
        fits[:] = False
        wanted = tried[likely]
        is_right = (verdicts[wanted] < 0) | (got[likely] == verdicts[wanted])
        fits[likely] = (at[likely] > after_ns[wanted]) & (at[likely] <= until_ns[wanted]) & is_right
        by_node = fits.reshape(len(left), at_once)
        has_one = by_node.any(axis=1)
        places = by_node.argmax(axis=1)[has_one] + np.flatnonzero(has_one) * at_once
        found[left[has_one]], times[left[has_one]] = replications[places], at[places]
        left, first = left[~has_one], first + at_once
    found[left] = -1
    return found, times
