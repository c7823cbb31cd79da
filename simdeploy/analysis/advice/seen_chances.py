r"""The chance of what was seen of a node: when it started, its verdict, and when that came.

In the notation of `simdeploy.analysis.advice.laws`: a node that started at :math:`T_k` and gets its verdict V after m windows gets it at
:math:`T_k + m i`. So with bounds a, b on the start and l, u on the verdict,

.. math::

    P(a < T \le b, \; l < V \le u, \text{ runs})
        = \sum_k c_k \sum_m R_m \, [G_k(\min(b, u - m i, d - m i)) - G_k(\max(a, l - m i))]^+

and likewise for failures, with :math:`U_m`. For a node without a verdict at time e, m is the number of windows that ended by then, and
:math:`S_m`, the chance that they don't decide, replaces :math:`R_m`. The same holds for a node that is undecided at its deadline d.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.advice.drawing import FAILS, RUNS, Nodes
from simdeploy.analysis.advice.observed import NO, YES, Observed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simdeploy.analysis.advice.counted import Counts
    from simdeploy.analysis.advice.laws import NodeLaw, Windows

_NOTHING = 1e-15


def find_chances(laws: Sequence[NodeLaw], nodes: Nodes, seen: Observed, counts: Sequence[Counts] = ()) -> np.ndarray:
    """Return the chance of what was seen of each node, given what its rollout shares and the request `counts` of windows."""
    chances = np.zeros(len(nodes.numbers))
    for place, law, chosen in split(nodes, laws, seen):
        for share, part in law.parts or ((1.0, law),):
            windows = counts[place - 1].chances_of(part) if place else part.windows
            for verdict, find in ((RUNS, _chance_running), (FAILS, _chance_failed), (-1, _chance_undecided)):
                alike = chosen[seen.verdict[chosen] == verdict]
                if len(alike):
                    some = nodes.take(alike)
                    chance = _Chance(part, windows, seen.take(alike), some.slowdown, some.start_failure)
                    chances[alike] += share * find(chance)
    return np.clip(chances, 0.0, 1.0)


def split(nodes: Nodes, laws: Sequence[NodeLaw], seen: Observed) -> Iterator[tuple[int, NodeLaw, np.ndarray]]:
    """Group nodes by counts and law; yield the index of the counts (0: none), the law, and the indices of the nodes."""
    keys = nodes.laws * (int(seen.windows.max(initial=0)) + 1) + seen.windows
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order], append=-1)) + 1
    for first, last in zip([0, *ends.tolist()], ends.tolist(), strict=False):
        chosen = order[first:last]
        yield int(seen.windows[chosen[0]]), laws[int(nodes.laws[chosen[0]])], chosen


class _Chance:
    """Sums over attempts and windows, for nodes with the same law."""

    def __init__(
        self, law: NodeLaw, windows: Windows, seen: Observed, slowdown: np.ndarray, start_failure: np.ndarray
    ) -> None:
        self.law, self.seen, self.rule = law, seen, law.rule
        self._slowdown = slowdown
        self.hang, self.failure = law.hang, np.asarray(law.failure(start_failure), dtype=float)
        again = (1 - self.hang) * self.failure
        self.reached = [again**number for number in range(law.behaviour.start_attempts)]
        self.may_start, self.may_not = seen.started != NO, seen.started != YES
        self.running, self.failed, self.left = windows.running, windows.failed, windows.left
        self.interval = float(self.rule.interval_ns)
        self.deadline = float(self.rule.deadline_ns)
        self.from_dispatch = self.rule.is_checked and self.rule.deadline_from_dispatch
        self.from_start = self.rule.is_checked and not self.rule.deadline_from_dispatch

    def within(self, attempts: int, low: Any, high: Any) -> np.ndarray:
        """Return the chance that the last of `attempts` attempts ends in (low, high]."""
        low, high = np.broadcast_arrays(np.maximum(low, -1.0), high)
        chance, places = np.zeros(low.shape), np.flatnonzero(high > low)
        if len(places):
            by = self.law.within
            slowdown = np.broadcast_to(self._slowdown, low.shape)[places]
            chance[places] = by(attempts, high[places], slowdown) - by(attempts, low[places], slowdown)
        return chance

    def expected_ends(self, low: Any, high: Any) -> np.ndarray:
        """Return the expected number of attempts that end in (low, high]."""
        total = np.zeros(len(self.may_start))
        for number, reached in enumerate(self.reached, start=1):
            total += reached * self.within(number, low, high)
        return total

    def chance_of_starting(self, low: Any, high: Any, chance: float) -> np.ndarray:
        """Return the chance that a node starts both in (low, high] and within the observed bounds, times `chance`."""
        if chance <= _NOTHING:
            return np.zeros(len(self.may_start))
        total = self.expected_ends(np.maximum(low, self.seen.start_low), np.minimum(high, self.seen.start_high))
        return np.where(self.may_start, chance * (1 - self.hang) * (1 - self.failure) * total, 0.0)

    def chance_of_hanging(self, low: Any, high: Any) -> np.ndarray:
        """Return the chance that an attempt that hangs ends in (low, high]."""
        if not self.hang:
            return np.zeros(len(self.may_not))
        return np.where(self.may_not, self.hang * self.expected_ends(low, high), 0.0)

    def chance_of_failing(self, low: Any, high: Any) -> np.ndarray:
        """Return the chance that the last attempt fails in (low, high]."""
        lost = (1 - self.hang) * self.failure * self.reached[-1] * self.within(len(self.reached), low, high)
        return np.where(self.may_not, lost, 0.0)

    def chance_of_silence(self, until: Any) -> np.ndarray:
        """Return the chance that no attempt has started the node, and not all have failed, by some time."""
        none, total = np.full(len(self.may_not), -1.0), np.zeros(len(self.may_not))
        for number, reached in enumerate(self.reached, start=1):
            total += (1 - self.hang) * (1 - self.failure) * reached * self.within(number, none, until)
        total += (1 - self.hang) * self.failure * self.reached[-1] * self.within(len(self.reached), none, until)
        return np.where(self.may_not, 1 - total, 0.0)


def _chance_running(chance: _Chance) -> np.ndarray:
    seen, total = chance.seen, np.zeros(len(chance.seen.low))
    for m, runs in enumerate(chance.running):
        length = m * chance.interval
        high = np.minimum(seen.high, chance.deadline) if chance.from_dispatch else seen.high
        total += chance.chance_of_starting(seen.low - length, high - length, float(runs))
    if not chance.rule.is_checked:  # without checks, a node that hangs counts as running
        total += chance.chance_of_hanging(seen.low, seen.high)
    return total


def _chance_failed(chance: _Chance) -> np.ndarray:
    seen, total = chance.seen, np.zeros(len(chance.seen.low))
    high = np.minimum(seen.high, chance.deadline) if chance.from_dispatch else seen.high
    for m, fails in enumerate(chance.failed):
        length = m * chance.interval
        total += chance.chance_of_starting(seen.low - length, high - length, float(fails))
    total += chance.chance_of_failing(seen.low, high)
    if chance.from_start:
        total += chance.chance_of_starting(
            seen.low - chance.deadline, seen.high - chance.deadline, float(chance.left[-1])
        )
        total += chance.chance_of_hanging(seen.low - chance.deadline, seen.high - chance.deadline)
    elif chance.from_dispatch:
        meets = (seen.low < chance.deadline) & (chance.deadline <= seen.high)
        if meets.any():
            end = np.full(len(total), chance.deadline)
            total += np.where(meets, _chance_validating(chance, end) + chance.chance_of_silence(end), 0.0)
    return total


def _chance_undecided(chance: _Chance) -> np.ndarray:
    end, begin = chance.seen.low, np.full(len(chance.seen.low), -1.0)
    total: np.ndarray = _chance_validating(chance, end) + chance.chance_of_silence(end)
    if chance.from_dispatch:
        total[end >= chance.deadline] = 0.0
    else:  # a node that hangs gets a verdict, too
        total -= chance.chance_of_hanging(begin, end - chance.deadline if chance.from_start else end)
    return total


def _chance_validating(chance: _Chance, end: np.ndarray) -> np.ndarray:
    """Return the chance that a node has started, and that its windows until some time don't decide."""
    if not chance.rule.is_checked or chance.rule.windows_needed == 0:
        return np.zeros(len(end))
    total, last = np.zeros(len(end)), len(chance.left) - 1
    for m, left in enumerate(chance.left):
        low, high = end - (m + 1) * chance.interval, end - m * chance.interval
        if m == last and chance.from_start:
            low = end - chance.deadline
        total += chance.chance_of_starting(low, high, float(left))
    return total
