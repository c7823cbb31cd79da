"""Messages between nodes and the control plane: verdicts one way, orders to roll back the other way (model section 4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from simdeploy.engines.reference.node import NO_DEADLINE_NS, Node

if TYPE_CHECKING:
    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.site import Site


class ControlPlane(Protocol):
    """The receiver of verdicts."""

    def receive_verdict(self, node: Node) -> None:
        """Record that a node is resolved."""

    def give_up_slot(self, node: Node) -> None:
        """Record that a node doesn't need its slot any more."""


class Line:
    """The lines of all nodes, each online or offline."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._nodes_reached: list[Node] = []
        self.control_plane: ControlPlane

    # -- from a node -------------------------------------------------------------------------------

    def report_verdict(self, node: Node) -> None:
        """Pass on a verdict: at once, at the end of the node's offline spell, or at its deadline."""
        lines, now = self._site.world.lines, self._site.env.now
        heard_ns = lines.online_again(node.number, now) if lines.ever_break else now
        # The control plane knows without a report that it could not dispatch a node.
        if heard_ns == now or node.fate.dispatched_ns is None:
            self._deliver(node)
        else:
            self._site.env.process(self._deliver_late(node, heard_ns))

    def report_start(self, node: Node) -> None:
        """Report that a node has started, if this frees its slot: at once, or at the end of its offline spell."""
        if not self._site.slot_is_free_at_start:
            return
        heard_ns = self._site.world.lines.online_again(node.number, self._site.env.now)
        if heard_ns == self._site.env.now:
            self.control_plane.give_up_slot(node)
        else:
            self._site.env.call_at(heard_ns, partial(self.control_plane.give_up_slot, node))

    def _deliver_late(self, node: Node, heard_ns: int) -> Process:
        env = self._site.env
        if heard_ns > node.deadline_ns:
            yield env.timeout(node.deadline_ns - env.now)
            # Deadlines don't matter once the rollout is over.
            if not self._site.is_over or node.fate.ever_failed:
                node.fail_unheard()
                self._deliver(node)
                return
        yield env.timeout(heard_ns - env.now)
        node.note_late_report()
        self._deliver(node)

    def _deliver(self, node: Node) -> None:
        node.fate.heard_ns = self._site.env.now
        node.deadline_ns = NO_DEADLINE_NS
        self.control_plane.receive_verdict(node)

    # -- to a node ---------------------------------------------------------------------------------

    def send_back(self, node: Node) -> None:
        """Order a node to roll back as soon as it is online."""
        at_ns = self._site.world.lines.online_again(node.number, self._site.env.now)
        if at_ns == self._site.env.now:
            node.roll_back()
        else:
            self._site.env.call_at(at_ns, partial(self._deliver_order, node))

    def _deliver_order(self, node: Node) -> None:
        self._nodes_reached.append(node)
        self._site.ring()

    def act(self) -> None:
        """At the end of an instant: roll back the nodes that an order has reached."""
        if not self._nodes_reached:
            return
        reached, self._nodes_reached = sorted(self._nodes_reached, key=lambda node: node.number), []
        for node in reached:
            node.roll_back()
