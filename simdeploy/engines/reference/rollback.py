"""The rollback: a second deployment after a stop, or once people notice an escape (model section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simdeploy.engines.recording import History, StatusFields
from simdeploy.engines.schema import ROLLBACK_FAILED

if TYPE_CHECKING:
    from simdeploy.engines.reference.line import Line
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.site import Site


class Rollback:
    """Rolls nodes back in one or several waves, each after the previous one has ended."""

    def __init__(self, site: Site, line: Line) -> None:
        self._site = site
        self._line = line
        self._may_send_ns: int | None = 0  # when the next wave may be sent; None while a wave rolls back
        self._nodes_to_roll_back: Sequence[Node] = ()
        self.is_requested = False  # whether a rollback was requested
        self._waves = 0
        self._numbers: frozenset[int] = frozenset()
        self._in_wave: set[int] = set()
        self._sent = self._returned = self._failed = 0
        self._completed_ns: int | None = None
        self._last_return_ns: int | None = None
        # Includes nodes that roll back by themselves.
        self._n_rolling_back = 0
        self._any_failed = False
        self.history: History | None = None  # None until there is something to roll back
        self.nodes: list[Node] = []  # the nodes of the rollback, in the order of their dispatch
        self.ended_ns: int | None = None  # when the last node's rollback ended, successfully or not

    @property
    def restored_ns(self) -> int | None:
        """When service was restored; None if a node's rollback failed, or nothing was rolled back."""
        return None if self._any_failed else self.ended_ns

    def request(self, touched: Sequence[Node]) -> None:
        """Request the rollback of all touched nodes, from this instant on."""
        self._nodes_to_roll_back = touched
        self.is_requested = True
        self._site.ring()

    def record_rollback_start(self) -> None:
        """Record that a node has begun to roll back, by itself or not."""
        self._n_rolling_back += 1

    def record_rollback_end(self, node: Node) -> None:
        """Record that a node's rollback has ended, successfully or not."""
        failed = node.fate.status == ROLLBACK_FAILED
        self._n_rolling_back -= 1
        self._any_failed |= failed
        if node.number in self._numbers:
            self._in_wave.discard(node.number)
            self._returned += not failed
            self._failed += failed
            self._last_return_ns = self._site.env.now
        if self.is_requested:
            self._site.ring()

    def act(self) -> None:
        """At the end of an instant: begin, send the next wave, or end."""
        self._line.act()
        if self.ended_ns is not None:
            return
        if self._waves == 0:
            # Nodes that roll back by themselves are not rolled back again, but service isn't restored before they are.
            self.nodes = [node for node in self._nodes_to_roll_back if node.fate.back_from_ns is None]
            self._numbers = frozenset(node.number for node in self.nodes)
            self.history = History(total_nodes=len(self.nodes)) if self.nodes else None
        self._pass_over_waves()
        while self._sent < len(self.nodes) and not self._in_wave:
            if self._may_send_ns is None:
                delay_ns = self._site.terms.policy.rollback_delay_ns
                self._may_send_ns = self._site.env.now + delay_ns
                if delay_ns:
                    self._site.env.call_at(self._may_send_ns, self._end_pause)
            if self._may_send_ns > self._site.env.now:
                break
            self._send()
            self._pass_over_waves()
        if self._sent == len(self.nodes) and not self._in_wave and self._n_rolling_back == 0:
            self.ended_ns = self._site.env.now
        self._note()

    def _end_pause(self) -> None:
        if self.ended_ns is None:
            self._site.ring()

    def _pass_over_waves(self) -> None:
        """Pass over the next waves if all their nodes have rolled back by themselves."""
        while self._sent < len(self.nodes) and all(node.fate.back_until_ns is not None for node in self._next_wave):
            self._sent += len(self._next_wave)

    @property
    def _next_wave(self) -> Sequence[Node]:
        return self.nodes[self._sent : self._sent + self._site.terms.plan.rollback]

    def _send(self) -> None:
        wave = self._next_wave
        self._sent += len(wave)
        self._waves += 1
        self._may_send_ns = None
        for node in wave:
            self._line.send_back(node)
        # A node that rolled back by itself before its turn may have ended already; an order may still be on its way.
        self._in_wave = {node.number for node in wave if node.fate.back_until_ns is None}

    def _note(self) -> None:
        if self.history is None:
            return
        is_over = self._returned + self._failed == len(self.nodes)
        if is_over and self._completed_ns is None:
            self._completed_ns = self._site.env.now
        message = f"{self._returned} of {len(self.nodes)} nodes rolled back"
        if self._failed:
            message += f", {self._failed} failed to roll back"
        self.history.settle(
            self._site.env.now,
            StatusFields(
                state=("failed" if self._failed else "completed") if is_over else "in_progress",
                message=message,
                current_wave=self._waves,
                updated_nodes=self._returned,
                failed_nodes=self._failed,
                canary_promoted=False,
                awaited_nodes=None,
                completed_ns=self._completed_ns,
                last_progress_ns=self._last_return_ns,
                health_check_deadline_ns=None,
                healthy_deadline_ns=None,
            ),
        )
