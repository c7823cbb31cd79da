"""Slots: limits on the nodes in flight, in total and per zone (model section 4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from simdeploy.engines.reference.node import NOT_HEARD, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simdeploy.engines.reference.site import Site


class Slots:
    """The slots of a rollout; every node that has its turn takes one."""

    def __init__(
        self,
        site: Site,
        delay_ns: int,  # how long a slot stays taken after its node has given it up
        *,
        failed_nodes_hold: bool,  # whether failed nodes keep their slots for good
    ) -> None:
        self._site = site
        self._delay_ns = delay_ns
        self._failed_nodes_hold = failed_nodes_hold
        self.holders: set[int] = set()  # numbers of the nodes with a slot
        self._taken = 0
        self._taken_of_zone: dict[int, int] = {}
        self.delayed = 0  # slots that were given up and are not free yet
        self.surging: set[int] = set()  # numbers of the nodes that take a place of `surge`

    def count_free(self, nodes: Sequence[Node], first: int, most: int, *, is_bounded: bool) -> int:
        """Return how many nodes find a slot, from place `first` of the order on, at most `most`.

        A node whose zone is full blocks those behind it. `is_bounded`: whether `max_parallel` limits them.
        """
        if is_bounded:
            most = min(most, self._site.terms.plan.parallel - self._taken)
        if self._site.terms.plan.per_zone >= self._site.terms.plan.total:
            return max(most, 0)
        wanted: dict[int, int] = {}
        for count in range(most):
            zone = self._zone_of(nodes[first + count])
            wanted[zone] = wanted.get(zone, 0) + 1
            if self._taken_of_zone.get(zone, 0) + wanted[zone] > self._site.terms.plan.per_zone:
                return count
        return max(most, 0)

    def take(self, nodes: Iterable[Node]) -> None:
        """Give each node a slot."""
        if not self._site.terms.plan.has_slots:
            return
        for node in nodes:
            self.holders.add(node.number)
            self._add(node, 1)

    def resolve(self, node: Node) -> None:
        """Free the slot of a node that has its verdict, unless it keeps it for good."""
        if not (self._needs_slot(node) and self._failed_nodes_hold and self.are_held_by(node)):
            self.give_up(node)

    def are_held_by(self, node: Node) -> bool:
        """Tell whether a node may hold a slot after its failure: it was dispatched, and doesn't roll back by itself."""
        goes_back = self._site.goes_back_by_itself and node.fate.failed_reason != NOT_HEARD
        return node.fate.ever_failed and node.fate.dispatched_ns is not None and not goes_back

    def give_up(self, node: Node) -> None:
        """Free a node's slot, if it has one: after the delay, or at once if the node didn't need it."""
        if node.number not in self.holders:
            return
        self.holders.remove(node.number)
        if not self._delay_ns or not self._needs_slot(node):
            self._free(node)
        else:
            self.delayed += 1
            self._site.env.call_at(self._site.env.now + self._delay_ns, partial(self._free_delayed, node))

    def why_none_is_free(self, node: Node, *, is_bounded: bool) -> str | None:
        """Say which slots failed nodes hold so that a node never finds one, given that no others are taken; None if it does."""
        if is_bounded and self._taken >= self._site.terms.plan.parallel:
            return "failed nodes hold all slots"
        zone = self._zone_of(node)
        if self._taken_of_zone.get(zone, 0) >= self._site.terms.plan.per_zone:
            return f"failed nodes hold all slots of zone {zone}"
        return None

    def _needs_slot(self, node: Node) -> bool:
        """Tell whether a node needed its slot: skipped nodes, and canaries outside a list, don't."""
        plan = self._site.terms.plan
        is_apart = plan.canaries > 0 and not plan.is_list and node.fate.wave == 1
        return node.fate.dispatched_ns is not None and not is_apart

    def _free_delayed(self, node: Node) -> None:
        self.delayed -= 1
        self._free(node)

    def _free(self, node: Node) -> None:
        self._add(node, -1)
        if node.fate.surged and self._needs_slot(node):  # canaries outside a list keep their place until their verdict
            self.surging.discard(node.number)
        self._site.ring()

    def _add(self, node: Node, slots: int) -> None:
        zone = self._zone_of(node)
        self._taken += slots
        self._taken_of_zone[zone] = self._taken_of_zone.get(zone, 0) + slots

    def _zone_of(self, node: Node) -> int:
        return int(self._site.world.zone_of[node.number])
