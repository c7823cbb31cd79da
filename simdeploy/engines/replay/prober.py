"""A prober that repeats recorded windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.reference.prober import Prober, Seen, View
from simdeploy.engines.replay.known import KnownRollout, SeenWindow
from simdeploy.engines.replay.ledger import Ledger, UnknownFateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.engines.recording import NodeFate
    from simdeploy.engines.reference.site import Site
    from simdeploy.engines.replay.node import ReplayedNode


def _add(windows: Sequence[SeenWindow]) -> SeenWindow:
    return SeenWindow(
        sum(window.requests for window in windows),
        sum(window.failed for window in windows),
        all(window.up for window in windows),
    )


class ReplayedProber(Prober):
    """Takes the windows of nodes from their records."""

    def __init__(
        self,
        site: Site,
        known: KnownRollout,
        ledger: Ledger,
        *,
        per_window: int,  # recorded windows per window of the policy
        same_gate: bool,  # whether the gate is the recorded one
        nodes_count: bool,
    ) -> None:
        super().__init__(site.world, site.rule, site.load, site.windows, site.compared, nodes_count=nodes_count)
        self._known = known
        self._ledger = ledger
        self._per_window = per_window
        self._same_gate = same_gate
        self.nodes: list[ReplayedNode] = []

    def can_look_ahead(self, number: int) -> bool:  # noqa: ARG002
        """Return False: the record may end at any window."""
        return False

    def _see(self, number: int, fate: NodeFate, window: int, start: int, end: int) -> View:  # noqa: ARG002
        """Return the recorded window at the same time after the node's start."""
        windows, first = self._known.nodes[number].windows or (), window * self._per_window
        parts = windows[first : first + self._per_window]
        if len(parts) < self._per_window or end > self.nodes[number].known_until_ns:
            raise UnknownFateError
        requests, failed, up = parts[0] if self._per_window == 1 else _add(parts)
        return requests, failed, up, failed <= self._allowed_failures(requests) and up

    def look_at_old(self, number: int, fate: NodeFate, start: int, end: int, requests: int) -> Seen | None:  # noqa: ARG002
        """Return the recorded window of a node on the old version at the same time."""
        seen = self._known.old_windows.get((number, end))
        if seen is None or seen.requests != requests:
            if not self._is_as_recorded():
                self._ledger.record_unknown()
            return None
        healthy = seen.failed <= self._allowed_failures(requests)
        place = self._compared.add(end, number, requests, seen.failed, healthy=healthy, up=True, counted=False)
        return Seen(requests, seen.failed, True, healthy, place)

    def look_at_running(self, number: int, fate: NodeFate, start: int, end: int, look: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the recorded window of a running node at the same time after its dispatch."""
        after = end - (fate.dispatched_ns or 0)
        seen = self._known.running_windows.get((number, after))
        if seen is None:
            if not self._is_as_recorded():
                self._ledger.record_unknown()
            return 0, 0
        self._windows.add(
            end,
            number,
            seen.requests,
            seen.failed,
            healthy=seen.failed <= self._allowed_failures(seen.requests),
            up=True,
            counted=True,
        )
        fate.windows += 1
        return seen.requests, seen.failed

    def _is_as_recorded(self) -> bool:
        """Whether everything so far was as recorded, so a missing window means that the node was down."""
        if not self._same_gate:
            return False
        for node, known in zip(self.nodes, self._known.nodes, strict=True):
            if node.fate.dispatched_ns != known.dispatched_ns and (
                node.fate.dispatched_ns is not None or (known.dispatched_ns or 0) < self._ledger.site.env.now
            ):
                return False
        return True
