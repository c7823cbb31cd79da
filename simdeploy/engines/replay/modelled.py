"""Nodes and a prober that follow the laws of a fleet after the record ends."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simdeploy.engines.reference.node import Node
from simdeploy.engines.reference.prober import Prober, Seen, View
from simdeploy.engines.replay.ledger import UnknownFateError
from simdeploy.engines.replay.node import ReplayedNode
from simdeploy.engines.replay.prober import ReplayedProber
from simdeploy.engines.replay.silences import Silences
from simdeploy.engines.schema import RUNNING
from simdeploy.rules.health import HealthRecord

if TYPE_CHECKING:
    import simpy

    from simdeploy.engines.recording import NodeFate, Span
    from simdeploy.engines.reference.clock import Process

_FOR_EVER = 1 << 62


class ModelledNode(ReplayedNode):
    """A node that repeats its record, and then follows a model."""

    __slots__ = ("silences",)

    silences: Silences  # of all nodes

    @property
    def known_until_ns(self) -> int:
        """Forever: outages at other times than recorded don't matter here."""
        return _FOR_EVER

    def _update(self) -> Process:
        known = self._known
        is_complete = known.verdict_ns is not None or known.has_failed
        if known.is_repeated_only and self._repeats and self._listeners.wave_gates is None and is_complete:
            return self._repeat()
        return Node._update(self)  # noqa: SLF001 - as any node does, with what is on record below

    def _start(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Make the recorded attempts, then others; if only silence is on record, those of a world with as long a silence."""
        self._tries += 1
        known, is_first = self._known, self._tries == 1
        if is_first and known.start != "silent" and not known.is_repeated_only:
            return (yield from self._start_as_recorded(deadline))
        self._ledger.record_unknown()
        is_silent = is_first and known.start_ns >= 0
        first = self.silences.find_first(self._site.world, self.number) if is_silent else 0
        if first is None:
            return (yield from self._hang(0, deadline))
        self.fate.attempts += first
        try:
            return (yield from Node._start(self, deadline))  # noqa: SLF001
        finally:
            self.fate.attempts -= first

    def _validate(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        try:
            return (yield from super()._validate(deadline))
        except UnknownFateError:
            self._ledger.record_unknown()
        if self._known.has_failed:
            return "unhealthy"
        return (yield from self._go_on_healthy())

    def _go_on_healthy(self) -> Generator[simpy.Event, Any, str]:
        """Continue the observation: a node without recorded windows was healthy until its record ends."""
        record = HealthRecord(self.rule)
        start = self.fate.started_ns or 0
        while start + self.rule.interval_ns <= self._site.env.now:
            start += self.rule.interval_ns
            if record.add(True) == "running":
                self._resolve(RUNNING, "healthy")
                return ""
        return (yield from self._observe(record, start, self.deadline_ns))


class ModelledProber(ReplayedProber):
    """Returns recorded windows, and otherwise those of a model."""

    def can_look_ahead(self, number: int) -> bool:
        """Return whether a node's future windows are independent of all events until then."""
        return Prober.can_look_ahead(self, number)

    def _are_alike(self, number: int, start: int, end: int) -> bool:  # noqa: ARG002
        """Return False: recorded windows differ."""
        return False

    def look_at(self, number: int, fate: NodeFate, start: int, end: int) -> Seen:
        """Judge a recorded window, or a modelled one."""
        seen = super().look_at(number, fate, start, end)
        self._record_unknown(number, fate)
        return seen

    def record_windows(self, number: int, fate: NodeFate, start: int, span: Span) -> None:
        """Record windows that were judged ahead; a node that failed or was interrupted needed no later ones."""
        super().record_windows(number, fate, start, span)
        self._record_unknown(number, fate)

    def _record_unknown(self, number: int, fate: NodeFate) -> None:
        """Record that a node needed a window that is not on record, if it did."""
        if fate.windows * self._per_window > len(self._known.nodes[number].windows or ()):
            self._ledger.record_unknown()

    def _see(self, number: int, fate: NodeFate, window: int, start: int, end: int) -> View:
        """Return a recorded window, or a modelled one."""
        try:
            return super()._see(number, fate, window, start, end)
        except UnknownFateError:
            return Prober._see(self, number, fate, window, start, end)  # noqa: SLF001

    def look_at_old(self, number: int, fate: NodeFate, start: int, end: int, requests: int) -> Seen | None:
        """Return the window of a node on the old version at the same time, recorded or modelled."""
        seen = self._known.old_windows.get((number, end))
        if (seen is not None and seen.requests == requests) or self._is_as_recorded():
            return super().look_at_old(number, fate, start, end, requests)
        self._ledger.record_unknown()
        return Prober.look_at_old(self, number, fate, start, end, requests)

    def look_at_running(self, number: int, fate: NodeFate, start: int, end: int, look: int) -> tuple[int, int]:
        """Return the window of a running node at the same time after its dispatch, recorded or modelled."""
        is_seen = (number, end - (fate.dispatched_ns or 0)) in self._known.running_windows
        if is_seen or self._is_as_recorded():
            return super().look_at_running(number, fate, start, end, look)
        self._ledger.record_unknown()
        return Prober.look_at_running(self, number, fate, start, end, look)
