"""When the nodes of a table are dispatched: a wave or batch at once; under sliding pacing each node when a slot is free.

The first nodes take all slots. From then on the k-th turn comes with the k-th verdict, which frees a slot.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.observed import NO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simdeploy.analysis.advice.node_table import NodeTable
    from simdeploy.rules.waves import Plan


def together(plan: Plan) -> tuple[int, ...]:
    """Return the sizes of groups that are dispatched together: waves, or single nodes under sliding pacing."""
    return (1,) * plan.total if plan.has_slots else plan.sizes


def count_at_once(plan: Plan, wave: int) -> int:
    """Return how many nodes of a wave are dispatched at its start."""
    is_sliding = plan.pacing == "sliding" and wave >= (plan.canaries > 0)
    return min(plan.sizes[wave], plan.parallel) if is_sliding else plan.sizes[wave]


def follows_clock(plan: Plan, wave: int) -> bool:
    """Return whether a wave is followed by a batch that starts by the clock."""
    return plan.pacing == "rate" and wave >= (plan.canaries > 0)


def list_waves(plan: Plan, table: NodeTable) -> list[tuple[int, slice]]:
    """Return the numbers of the waves that were dispatched, with the places of the nodes dispatched at their start."""
    first, waves = 0, []
    for wave, size in enumerate(plan.sizes):
        if first >= table.n_turns:
            break
        waves.append((wave, slice(first, min(first + count_at_once(plan, wave), table.n_turns))))
        first += size
    return waves


def list_steps(plan: Plan, table: NodeTable) -> list[tuple[int, slice]]:
    """Return the steps of a proposal: the waves of `list_waves`, then single nodes whose turns depend on earlier verdicts."""
    waves = list_waves(plan, table)
    if not waves:
        return []
    wave, first = waves[-1]
    return waves + [(wave, slice(place, place + 1)) for place in range(first.stop, table.n_turns)]


def find_turns(
    table: NodeTable,
    first: slice,  # places of those that were dispatched at the start
) -> np.ndarray:
    """Return when nodes had their turn, from the times of other nodes' verdicts."""
    resolved = np.where(table.are_resolved, table.resolved_ns, np.inf).tolist()
    is_passed_over = (table.dispatched == NO) & ~table.are_resolved
    slots = np.where(is_passed_over, 0.0, resolved)[first].tolist()
    heapq.heapify(slots)
    turns = []
    for place in range(first.stop, table.n_turns):
        turns.append(slots[0])
        if not is_passed_over[place]:
            heapq.heapreplace(slots, resolved[place])
    return np.array(turns)


class Turns:
    """Turns of nodes in several worlds, in groups: as many nodes at a time as have their turn before any of them gets a verdict."""

    def __init__(
        self,
        verdicts_ns: np.ndarray,  # times of the verdicts of the first nodes, shape (worlds, slots)
        first: int,  # place of the next node
        after_ns: np.ndarray,  # the instant after which each node gets its verdict
    ) -> None:
        self._slots, self._first, self._after_ns = np.sort(verdicts_ns, axis=1), first, after_ns
        self.begin = verdicts_ns[:, :0]  # turns of the current group, by world and node

    def follow(self, n_turns: int, are_possible: Callable[[], np.ndarray]) -> Iterator[slice]:
        """Yield the places of each group, until all nodes have had their turn, or no world is possible any more.

        Call `end` for each group before asking for the next.
        """
        while self._first < n_turns:
            possible = are_possible()
            if not possible.any():
                return
            after = np.minimum.accumulate(self._after_ns[self._first : n_turns][: self._slots.shape[1]])
            latest = self._slots[possible][:, : len(after)].max(axis=0)
            n = max(int((latest <= after).cumprod().sum()), 1)
            self.begin = self._slots[:, :n]
            yield slice(self._first, self._first + n)
            self._first += n

    def end(self, verdicts_ns: np.ndarray) -> None:
        """Set the times of the current group's verdicts, which free their slots."""
        self._slots = np.sort(np.concatenate([self._slots[:, verdicts_ns.shape[1] :], verdicts_ns], axis=1), axis=1)
