"""The nodes' turns: waves, the order of nodes, and nodes that can't be reached at their turn (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simdeploy.engines.reference.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.orchestrator import Orchestrator


@dataclass
class Wave:
    """One wave and the progress of its nodes."""

    number: int  # counted from 1
    size: int  # nodes, skipped ones included
    is_canary: bool
    turns: int = 0  # nodes whose turn has come
    in_flight: int = 0  # nodes whose verdict was not heard
    unresolved: int = 0  # nodes whose verdict does not count yet
    failed: int = 0  # failed, running: nodes whose verdict counts
    running: int = 0

    @property
    def is_over(self) -> bool:
        """Whether all nodes of the wave have had their turn and their verdicts count."""
        return self.turns == self.size and self.unresolved == 0

    @property
    def is_heard(self) -> bool:
        """Whether all nodes of the wave have had their turn and their verdicts were heard."""
        return self.turns == self.size and self.in_flight == 0


class Dispatcher:
    """Gives nodes their turn, in order."""

    def __init__(
        self,
        site: Site,
        orchestrator: Orchestrator,
        nodes: list[Node],  # by number
        slot_delay_ns: int,  # how long a slot stays taken after its node has given it up
        # Receives an opened wave, its nodes, and the nodes after it.
        opened: Callable[[Wave, Sequence[Node], Sequence[Node]], None] | None,
    ) -> None:
        self._site = site
        self._unreachable = orchestrator.unreachable_nodes
        self._order = [nodes[number] for number in site.world.order]
        self._next = 0
        self._opened = opened
        self.slots = Slots(site, slot_delay_ns, failed_nodes_hold=orchestrator.failed_node_holds_slot)
        self._up_again: list[Node] = []
        self.waves: list[Wave] = []  # opened waves
        self.waves_over = 0  # number of waves that are over
        self.lost_wave: Wave | None = None  # the last one that is over without a running node
        self.touched: list[Node] = []  # in the order of their dispatch
        self.unresolved = 0  # nodes whose turn has come and whose verdict does not count yet
        # waiting, waited_in_vain: unreachable nodes that the rollout waits for, and those of them that are down for good
        self.waiting = self.waited_in_vain = 0

    @property
    def left(self) -> int:
        """Nodes whose turn has not come."""
        return self._site.terms.plan.total - self._next

    @property
    def had_turn(self) -> list[Node]:
        """Nodes whose turn has come, in order."""
        return self._order[: self._next]

    @property
    def any_returned(self) -> bool:
        """Whether any node that the rollout waited for is up again but not dispatched yet."""
        return bool(self._up_again)

    @property
    def unreachable(self) -> int:
        """Nodes that are waited for because they are down or offline."""
        return self.waiting - len(self._up_again)

    @property
    def awaits_verdicts(self) -> bool:
        """Whether only verdicts are missing in the wave opened last: all its nodes have had their turn."""
        wave = self.waves[-1]
        return wave.turns == wave.size and not wave.is_heard and not self._up_again

    @property
    def held_back(self) -> int:
        """Nodes whose turn has come but that no event is scheduled for: down for good, or held back by a pause."""
        return self.waited_in_vain + len(self._up_again)

    def hear(self, node: Node) -> Wave:
        """Record that a node's verdict was heard, or that it needs none; return its wave."""
        wave = self.waves[node.fate.wave - 1]
        wave.in_flight -= 1
        if self.slots.holders:
            self.slots.resolve(node)
        return wave

    def resolve(self, node: Node) -> Wave:
        """Record that a node's verdict counts, or that it needs none; return its wave."""
        wave = self.waves[node.fate.wave - 1]
        wave.unresolved -= 1
        self.unresolved -= 1
        if node.fate.ever_failed:
            wave.failed += 1
        elif node.fate.dispatched_ns is not None:
            wave.running += 1
        if wave.is_over:
            self.waves_over += 1
            if not wave.running:
                self.lost_wave = wave
        return wave

    def open_wave(self) -> Wave:
        """Open the next wave of the plan."""
        number = len(self.waves)
        wave = Wave(
            number + 1,
            self._site.terms.plan.sizes[number],
            is_canary=number == 0 and self._site.terms.plan.canaries > 0,
        )
        self.waves.append(wave)
        if self._opened is not None:
            last = self._next + wave.size
            self._opened(wave, self._order[self._next : last], self._order[last:])
        return wave

    @property
    def may_open_wave(self) -> bool:
        """Whether the first node of the next wave finds a slot."""
        return self._count_free(1) > 0

    @property
    def turns_due(self) -> int:
        """Number of nodes of the wave opened last that find a slot."""
        left = self.waves[-1].size - self.waves[-1].turns
        return self._count_free(left) if left else 0

    def _count_free(self, most: int) -> int:
        return self.slots.count_free(self._order, self._next, most, is_bounded=self._is_bounded)

    def why_stuck(self) -> str | None:
        """Say why no slot will ever be free for the next node; None if one is or may become free."""
        if self.unresolved or not self.left or self.slots.delayed or not self._site.terms.plan.has_slots:
            return None
        return self.slots.why_none_is_free(self._order[self._next], is_bounded=self._is_bounded)

    @property
    def _is_bounded(self) -> bool:
        """Whether `max_parallel` limits the next nodes; it doesn't limit canaries, unless their wave is in a list."""
        plan = self._site.terms.plan
        return plan.is_list or (plan.pacing == "sliding" and self._next >= plan.canaries)

    def give_turns(self, count: int) -> None:
        """Give the next nodes their turn, as part of the wave opened last."""
        wave = self.waves[-1]
        turns = self._order[self._next : self._next + count]
        self._next += len(turns)
        wave.turns += len(turns)
        wave.in_flight += len(turns)
        wave.unresolved += len(turns)
        self.unresolved += len(turns)
        self.slots.take(turns)
        world, lines, now = self._site.world, self._site.world.lines, self._site.env.now
        may_be_unreachable = world.anything_goes_down or lines.ever_break
        for node in turns:
            node.fate.wave = wave.number
            if lines.ever_break:
                lines.begin(node.number, now)
            why = self._why_unreachable(node) if may_be_unreachable else ""
            if not why:
                self._dispatch(node)
            elif self._unreachable == "fail":
                node.fail(why)
            elif self._unreachable == "skip":
                node.skip(why)
                self.hear(node)
                self.resolve(node)
                self._site.ring()
            else:
                self.waiting += 1
                if world.is_down_for_good(node.number):
                    self.waited_in_vain += 1
                else:
                    self._wait_for(node)

    def admit_returned(self) -> None:
        """Dispatch nodes that the rollout waited for and that can be reached again."""
        if not self._up_again:
            return
        returned, self._up_again = sorted(self._up_again, key=lambda node: node.number), []
        for node in returned:
            if self._why_unreachable(node):
                self._wait_for(node)
            else:
                self.waiting -= 1
                self._dispatch(node)

    def _why_unreachable(self, node: Node) -> str:
        """Return why a node can't be dispatched now; empty if it can."""
        world, now = self._site.world, self._site.env.now
        if world.is_down(node.number, now):
            return "down when its turn came"
        return (
            ""
            if not world.lines.ever_break or world.lines.is_online(node.number, now)
            else "offline when its turn came"
        )

    def _dispatch(self, node: Node) -> None:
        self.touched.append(node)
        places = (
            self._site.terms.plan.canary_surge
            if self.waves[node.fate.wave - 1].is_canary
            else self._site.terms.plan.surge
        )
        surged = len(self.slots.surging) < places and self._site.type.replaces
        if surged:
            self.slots.surging.add(node.number)
        node.dispatch(surged=surged)

    def _wait_for(self, node: Node) -> None:
        env = self._site.env
        env.call_at(self._site.world.up_again(node.number, env.now), partial(self._is_up_again, node))

    def _is_up_again(self, node: Node) -> None:
        if not self._site.is_over:
            self._up_again.append(node)
            self._site.ring()
