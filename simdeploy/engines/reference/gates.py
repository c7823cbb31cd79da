"""Gates in a run: their looks at waves, and the resulting verdicts (model section 8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simdeploy.rules.gates.judge import GateVerdict, Judge, Look, UnhealthyLooks
from simdeploy.rules.waves import USUAL_WATCH, WaveWatch
from simdeploy.world.streams import Stream

if TYPE_CHECKING:
    from simdeploy.engines.recording import Windows
    from simdeploy.engines.reference.clock import Process
    from simdeploy.engines.reference.dispatch import Wave
    from simdeploy.engines.reference.node import Node
    from simdeploy.engines.reference.prober import Seen
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.gates.gate import Gate


class WatchedWave:
    """One wave judged by a gate."""

    def __init__(self, wave: Wave, judge: Judge) -> None:
        self.wave = wave
        self.judge = judge
        self.nodes: list[Node] = []
        self.verdict: GateVerdict | None = None
        self.waiting: list[Node] = []  # nodes that are observed long enough and wait for the gate
        # By number of a new node: the node on the old version that it is compared with.
        self.partners: dict[int, Node] = {}
        self.has_begun = self.look_is_due = False
        self.requests = self.failed = self.old_failed = 0
        self._places: list[tuple[Windows, int]] = []

    def add(self, windows: Windows, place: int) -> None:
        """Record a window for the next look."""
        self._places.append((windows, place))

    def take_look(self) -> Look:
        """Return the evidence since the last look."""
        look = Look(self.requests, self.failed, self.old_failed)
        self.requests = self.failed = self.old_failed = 0
        for windows, place in self._places:
            windows.count(place)
        self._places.clear()
        return look


class WaveGates:
    """All waves of a rollout judged by a gate."""

    def __init__(self, site: Site, gate: Gate, watches: Sequence[WaveWatch]) -> None:
        self._site = site
        self._gate = gate
        self._watches = watches  # one per wave, or none
        self._waves: list[WatchedWave] = []
        self._unhealthy = UnhealthyLooks() if gate.of_rollout else None
        self._due: list[Node] = []
        self._alarm: str | None = None
        self._event_texts: list[str] = []
        self._has_ended = False

    @property
    def requests(self) -> int:
        """Requests examined so far."""
        return sum(watched.judge.requests for watched in self._waves)

    def take_alarm(self) -> str | None:
        """Return once why the rollout must stop; otherwise None."""
        alarm, self._alarm = self._alarm, None
        return alarm

    def end(self) -> None:
        """Stop looking."""
        self._has_ended = True

    # -- notifications -----------------------------------------------------------------------------

    def add_wave(self, wave: Wave, nodes: Sequence[Node], rest: Sequence[Node]) -> None:
        """Record an opened wave with its nodes, and the nodes after it."""
        number = len(self._waves)
        draws = self._site.world.draws
        watch = self._watches[number] if self._watches else USUAL_WATCH
        gate = self._gate.of_wave(watch, self._site.rule.interval_ns)
        judge = Judge(gate, lambda index: draws.draw(Stream.GATE_ORDER, number, index), self._unhealthy)
        watched = WatchedWave(wave, judge)
        self._waves.append(watched)
        watched.nodes = list(nodes)
        if not watch.by_gate:
            watched.verdict = "pass"
        elif self._gate.compares:
            if not self._site.type.begins:
                self._find_partners(watched, rest)
            watched.judge.can_compare = bool(watched.partners)

    def _find_partners(self, watched: WatchedWave, rest: Sequence[Node]) -> None:
        classes = self._site.world.class_numbers
        wanted = Counter(classes[node.number] for node in watched.nodes)
        partners: dict[int, list[Node]] = {number: [] for number in wanted}
        for node in reversed(rest):
            of_class = partners.get(classes[node.number])
            if of_class is not None and len(of_class) < wanted[classes[node.number]]:
                of_class.append(node)
                if all(len(partners[number]) == wanted[number] for number in wanted):
                    break
        left = {number: iter(of_class) for number, of_class in partners.items()}
        for node in watched.nodes:
            partner = next(left[classes[node.number]], None)
            if partner is not None:
                watched.partners[node.number] = partner

    def record_start(self, node: Node) -> bool:
        """Record that a node has started; return whether it fails at once, because its wave has failed."""
        watched = self._of(node)
        if not watched.has_begun:
            watched.has_begun = True
            self._site.env.process(self._schedule_looks(watched))
        return watched.verdict == "fail"

    def record_window(self, node: Node, seen: Seen, start: int, end: int) -> None:
        """Record a window that ended, unless the node was down, which says nothing about the release."""
        if not seen.was_up:
            return
        watched = self._of(node)
        if self._gate.compares:
            partner = watched.partners.get(node.number)
            if partner is None or partner.fate.dispatched_ns is not None:
                return
            old = self._site.prober.look_at_old(partner.number, partner.fate, start, end, seen.requests)
            if old is None:
                return
            watched.old_failed += old.failed
            watched.add(self._site.compared, old.place)
        watched.add(self._site.windows, seen.place)
        watched.requests += seen.requests
        watched.failed += seen.failed

    def complete_observation(self, node: Node) -> bool:
        """Record that a node is observed long enough; return whether it may run at once."""
        watched = self._of(node)
        if watched.verdict == "pass":
            return True
        watched.waiting.append(node)
        return False

    def record_passed_deadline(self, node: Node) -> None:
        """Record that a waiting node's deadline has passed."""
        self._due.append(node)
        self._site.ring()

    def _of(self, node: Node) -> WatchedWave:
        return self._waves[node.fate.wave - 1]

    def _schedule_looks(self, watched: WatchedWave) -> Process:
        while True:
            yield self._site.env.timeout(self._site.rule.interval_ns)
            if watched.verdict is not None or watched.wave.is_over or self._site.is_over or self._has_ended:
                return
            watched.look_is_due = True
            self._site.ring()

    # -- the end of an instant ---------------------------------------------------------------------

    def act(self) -> list[str]:
        """Look at the waves that are due, then settle nodes whose deadline has passed; return the texts of events."""
        for watched in self._waves:
            if watched.look_is_due:
                watched.look_is_due = False
                if not watched.wave.is_over and not self._site.is_over:
                    self._look(watched)
        due, self._due = sorted(self._due, key=lambda node: node.number), []
        for node in due:
            if node.fate.resolved_ns is None:
                self._settle_at_deadline(node)
        events, self._event_texts = self._event_texts, []
        return events

    def _look(self, watched: WatchedWave) -> None:
        verdict = watched.judge.take(watched.take_look(), is_over=self._is_observed(watched))
        if verdict is not None:
            self._speak(watched, verdict)

    def _is_observed(self, watched: WatchedWave) -> bool:
        """Tell whether the observation is over: no node is still observed, or a waiting node's deadline precedes the next look."""
        waiting = [node for node in watched.waiting if node.fate.resolved_ns is None]
        wave = watched.wave
        if wave.turns == wave.size and wave.unresolved == len(waiting):
            return True
        next_look = self._site.env.now + self._site.rule.interval_ns
        return any(node.deadline_ns < next_look for node in waiting)

    def _settle_at_deadline(self, node: Node) -> None:
        watched = self._of(node)
        verdict = None
        if not self._site.is_over and not watched.judge.can_tell:
            verdict = watched.judge.without_verdict()
        if verdict is None:
            node.fail_by_gate("not passed by the gate before the deadline")
        else:
            self._speak(watched, verdict)

    def _speak(self, watched: WatchedWave, verdict: GateVerdict) -> None:
        judge = watched.judge
        watched.verdict = verdict
        doubt = "" if judge.can_tell else ", undecided"
        name = self._gate.method.replace("_", " ")
        what = f"gate {name}{doubt}: {judge.failed} of {judge.requests} requests failed"
        self._event_texts.append(f"wave {watched.wave.number} {verdict}es" if verdict == "pass" else what)
        if verdict == "pass":
            for node in sorted(watched.waiting, key=lambda node: node.number):
                if node.fate.resolved_ns is None:
                    node.run_by_gate("passed by the gate")
            return
        self._alarm = what
        for node in sorted(watched.nodes, key=lambda node: node.number):
            if node.fate.started_ns is not None and node.fate.resolved_ns is None:
                node.fail_by_gate("its wave failed the gate")
