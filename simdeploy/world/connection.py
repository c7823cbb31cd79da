"""The line between a node and the control plane: online and offline spells, which change nothing else (model section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.world.availability import Processes
    from simdeploy.world.distributions import Distribution


@dataclass(frozen=True)
class Connection:
    """An alternating renewal process of online and offline times.

    Attributes
    ----------
    online, offline : Distribution
        Seconds.
    """

    online: Distribution
    offline: Distribution


class Lines:
    """When the nodes of a fleet are online.

    Parameters
    ----------
    processes : sequence of Processes or None
        By node number; None for a node that is always online.
    """

    def __init__(self, processes: Sequence[Processes | None]) -> None:
        self._processes = processes
        self.ever_break = any(processes)

    def is_online(self, node: int, t: int) -> bool:
        """Return whether anything passes between a node and the control plane at t."""
        process = self._processes[node]
        return process is None or not process.bad_at(node, t)

    def online_again(self, node: int, t: int) -> int:
        """Return the first instant from t on at which the node is online."""
        process = self._processes[node]
        if process is None or not process.bad_at(node, t):
            return t
        return process.of(node).good_again(t)
