"""Whose turn it is: waves, the order of nodes, and nodes that are down when their turn comes (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.waves import Plan


@dataclass
class Wave:
    """One wave: how many of its nodes have had their turn, and how many are not resolved yet.

    Attributes
    ----------
    number : int
        Counted from 1.
    size : int
        Nodes, skipped ones included.
    turns : int
        Nodes whose turn has come.
    unresolved, failed, holding : int
        Nodes without a verdict; failed ones; failed ones that keep their slot under sliding.
    """

    number: int
    size: int
    is_canary: bool
    turns: int = 0
    unresolved: int = 0
    failed: int = 0
    holding: int = 0

    @property
    def is_over(self) -> bool:
        """Whether every node of the wave has had its turn and is resolved."""
        return self.turns == self.size and self.unresolved == 0


class Dispatcher:
    """Gives nodes their turn, in order.

    Parameters
    ----------
    nodes : list of Node
        By number.
    gave_turns : callable or None
        Takes note of a wave, of the nodes whose turn has come, and of those whose turn has not.

    Attributes
    ----------
    waves : list of Wave
        Those that have been opened.
    waves_over : int
        How many of them are.
    touched : list of Node
        In the order of their dispatch.
    waited_in_vain : int
        Nodes that are waited for, and down for good.
    """

    def __init__(
        self,
        site: Site,
        orchestrator: Orchestrator,
        plan: Plan,
        nodes: list[Node],
        gave_turns: Callable[[Wave, Sequence[Node], Sequence[Node]], None] | None,
    ) -> None:
        self._site = site
        self._unreachable = orchestrator.unreachable_nodes
        self._plan = plan
        self._order = [nodes[number] for number in site.world.order]
        self._next = 0
        self._gave_turns = gave_turns
        self._up_again: list[Node] = []
        self.waves_over = 0
        self.waves: list[Wave] = []
        self.touched: list[Node] = []
        self.waited_in_vain = 0

    @property
    def left(self) -> int:
        """Nodes whose turn has not come."""
        return self._plan.total - self._next

    @property
    def any_returned(self) -> bool:
        """Whether nodes that were waited for are up again and not dispatched yet."""
        return bool(self._up_again)

    @property
    def held_back(self) -> int:
        """Nodes whose turn has come and that nothing will happen to by itself: down for good, or held back by a pause."""
        return self.waited_in_vain + len(self._up_again)

    def resolve(self, node: Node) -> Wave:
        """Take note that a node has its verdict, or needs none; return its wave."""
        wave = self.waves[node.fate.wave - 1]
        wave.unresolved -= 1
        self.waves_over += wave.is_over
        return wave

    def open_wave(self) -> Wave:
        """Open the next wave of the plan."""
        number = len(self.waves)
        self.waves.append(Wave(number + 1, self._plan.sizes[number], is_canary=number == 0 and self._plan.canaries > 0))
        return self.waves[-1]

    def give_turns(self, count: int) -> None:
        """Let the next nodes have their turn, as part of the wave that was opened last."""
        wave, now = self.waves[-1], self._site.env.now
        turns = self._order[self._next : self._next + count]
        self._next += len(turns)
        wave.turns += len(turns)
        wave.unresolved += len(turns)
        if self._gave_turns is not None:
            self._gave_turns(wave, turns, self._order[self._next :])
        for node in turns:
            node.fate.wave = wave.number
            if not self._site.world.is_down(node.number, now):
                self._dispatch(node)
            elif self._unreachable == "fail":
                node.fail("down when its turn came")
            elif self._unreachable == "skip":
                node.skip()
                self.resolve(node)
                self._site.ring()
            elif self._site.world.is_down_for_good(node.number):
                self.waited_in_vain += 1
            else:
                self._site.env.process(self._wait_for(node))

    def admit_returned(self) -> None:
        """Dispatch the nodes that were waited for and are up again."""
        if not self._up_again:
            return
        returned, self._up_again = sorted(self._up_again, key=lambda node: node.number), []
        for node in returned:
            if self._site.world.is_down(node.number, self._site.env.now):
                self._site.env.process(self._wait_for(node))
            else:
                self._dispatch(node)

    def _dispatch(self, node: Node) -> None:
        self.touched.append(node)
        node.dispatch()

    def _wait_for(self, node: Node) -> Process:
        now = self._site.env.now
        yield self._site.env.timeout(self._site.world.up_again(node.number, now) - now)
        if not self._site.is_over:
            self._up_again.append(node)
            self._site.ring()
