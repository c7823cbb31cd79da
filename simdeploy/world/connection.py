"""The line between a node and the control plane: online and offline spells, which don't affect the node (model section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.world.availability import Processes
    from simdeploy.world.distributions import Distribution
    from simdeploy.world.spells import Spell


@dataclass(frozen=True)
class Connection:
    """An alternating renewal process of online and offline times."""

    # online, offline: seconds
    online: Distribution
    offline: Distribution


class Lines:
    """When the nodes of a fleet are online, from the turn of each on.

    A node's process begins at its turn, so a node that is online at its turn under one policy is so under any other. This is
    possible because the process is stationary, and nothing depends on it earlier.
    """

    def __init__(
        self,
        processes: Sequence[Processes | None],  # by node number; None for a node that is always online
    ) -> None:
        self._processes = processes
        self._turns = [0] * len(processes)
        self.ever_break = any(processes)

    def begin(self, node: int, t: int) -> None:
        """Record that a node's turn is at t; without a record it is 0."""
        self._turns[node] = t

    def is_online(self, node: int, t: int) -> bool:
        """Return whether a node and the control plane can reach each other at t."""
        process = self._processes[node]
        return process is None or not process.bad_at(node, t - self._turns[node])

    def online_again(self, node: int, t: int) -> int:
        """Return the first instant from t on at which the node is online."""
        process, turn = self._processes[node], self._turns[node]
        if process is None or not process.bad_at(node, t - turn):
            return t
        return turn + process.of(node).good_again(t - turn)

    def offline_spells(self, node: int, end: int) -> Iterator[Spell]:
        """Yield the offline spells of a node from its turn to `end`."""
        process, turn = self._processes[node], self._turns[node]
        spells = iter(()) if process is None else process.bad_spells(node, 0, end - turn)
        return ((turn + start, turn + until) for start, until in spells)
