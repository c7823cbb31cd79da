"""One node: it starts, is validated window by window, runs or fails, and may roll back (model section 3)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from simdeploy.engines.recording import NodeFate, count_windows, cut_span
from simdeploy.engines.schema import (
    FAILED,
    REMOVED,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    SKIPPED,
    STARTING,
    STOPPED,
    VALIDATING,
)
from simdeploy.rules.health import HealthRecord, HealthRule

if TYPE_CHECKING:
    import simpy

    from simdeploy.engines.reference.clock import Process, Routine
    from simdeploy.engines.reference.prober import Prober, Seen
    from simdeploy.engines.reference.site import Site


NOT_HEARD = "not heard of by the deadline"
NO_DEADLINE_NS = 1 << 62
_TAKEN_FOR_RUNNING = "counted as running, but silent"


class Expectations(Protocol):
    """Notifications that reach the controller at once."""

    def record_deadline(self, node: Node, deadline_ns: int) -> None:
        """Record a node's deadline."""

    def give_up_slot(self, node: Node) -> None:
        """Record that a node doesn't need its slot any more."""

    def record_failed_try(self) -> None:
        """Record that a node's try has failed and another follows."""

    def record_next_try(self) -> None:
        """Record that a node's next try begins."""


class Verdicts(Protocol):
    """The transmission of a node's verdict."""

    def report_verdict(self, node: Node) -> None:
        """Report that a node is resolved."""

    def report_start(self, node: Node) -> None:
        """Report that a node has started."""


class RollbackProgress(Protocol):
    """Notifications of the rollback."""

    def record_rollback_start(self) -> None:
        """Record that a node has begun to roll back."""

    def record_rollback_end(self, node: Node) -> None:
        """Record that a node's rollback has ended, successfully or not."""


class Gates(Protocol):
    """Notifications of the gates of waves, and queries."""

    def record_start(self, node: Node) -> bool:
        """Record that a node has started; return whether it fails at once."""

    def record_window(self, node: Node, seen: Seen, start: int, end: int) -> None:
        """Record a window that ended."""

    def complete_observation(self, node: Node) -> bool:
        """Record that a node is observed long enough; return whether it may run at once."""

    def record_passed_deadline(self, node: Node) -> None:
        """Record that a waiting node's deadline has passed."""


class Listeners:
    """The receivers of the nodes' notifications; the engine sets them later, because they refer to nodes, too."""

    controller: Expectations
    line: Verdicts
    rollback: RollbackProgress
    wave_gates: Gates | None


class Node:
    """A node of the fleet and its fate so far."""

    __slots__ = ("_listeners", "_prober", "_routine", "_site", "deadline_ns", "fate", "number", "rule")

    _prober: Prober
    rule: HealthRule  # set at its dispatch, because the policy may change

    def __init__(self, site: Site, listeners: Listeners, number: int) -> None:
        self._site = site
        self._listeners = listeners
        self.number = number
        self.fate = NodeFate()
        self._routine: Routine | None = None
        # When its verdict must be heard; `NO_DEADLINE_NS` without a deadline, before it is known, or once the verdict was heard.
        self.deadline_ns = NO_DEADLINE_NS

    def dispatch(self, *, surged: bool) -> None:
        """Begin to update the node, beside its old instance or instead of it."""
        self.fate.dispatched_ns = self._site.env.now
        self.fate.surged = surged
        self._prober = self._site.prober
        self.rule = self._site.terms.rule_of(self.fate.wave)
        life = self._leave() if self._site.type.leaves else self._update()
        self._routine = self._site.env.begin(self._roll_back_failed(life) if self._site.goes_back_by_itself else life)

    def skip(self, reason: str) -> None:
        """Skip the node: it is neither failed nor touched."""
        self._set_status(SKIPPED, reason)

    def fail(self, reason: str) -> None:
        """Fail, for good: a failed node still counts after it has rolled back."""
        self.fate.failed_ns = self._site.env.now
        self.fate.failed_reason = reason
        self._resolve(FAILED, reason)

    def note_late_report(self) -> None:
        """Note that the verdict was heard later than the node got it."""
        self._site.note(self.number, self.fate.status, self.fate.status, self.fate.wave, "heard of")

    def fail_unheard(self) -> None:
        """Fail at the deadline because no verdict was heard, unless the node has failed already."""
        self.fate.unheard = True
        if not self.fate.ever_failed:
            self.fate.failed_ns = self._site.env.now
            self.fate.failed_reason = NOT_HEARD
            self._set_status(FAILED, NOT_HEARD)

    def run_by_gate(self, reason: str) -> None:
        """Become running by a gate's verdict."""
        self._stop_waiting()
        self._resolve(RUNNING, reason)

    def fail_by_gate(self, reason: str) -> None:
        """Fail by a gate's verdict."""
        self._stop_waiting()
        self.fail(reason)
        if self._site.goes_back_by_itself:
            self._begin_rollback("rolls back by itself")
            self._routine = self._site.env.begin(self._finish_rollback())

    def _stop_waiting(self) -> None:
        if self._routine is not None:
            self._routine.stop()

    def roll_back(self) -> None:
        """Roll back to the old version, whatever the node is doing, unless it has already."""
        if self.fate.back_from_ns is None:
            self._stop_waiting()
            self._routine = self._site.env.begin(self._run_rollback("rollback"))

    def _roll_back_failed(self, life: Process) -> Process:
        """Roll back after a life that ends in failure."""
        yield from life
        if self.fate.ever_failed:
            yield from self._run_rollback("rolls back by itself")

    def _leave(self) -> Process:
        """Serve for the update duration, then leave for good, without start and windows."""
        self._set_status(STARTING, "dispatched")
        yield self._site.env.timeout(self._site.world.start_ns(self.number, 0))
        if self._site.load is not None:
            self._site.load.remove(self.number, self._site.env.now)
        self._resolve(STOPPED, "stopped")

    def _update(self) -> Process:
        site, fate = self._site, self.fate
        self._set_status(STARTING, "dispatched beside its old instance" if fate.surged else "dispatched")
        if site.load is not None and not site.type.begins and not fate.surged:
            site.load.stop_serving(self.number, site.env.now)
        for number in range(2, self.rule.retries + 3):
            deadline = self._begin_try()
            why_not = (yield from self._start(deadline)) or (yield from self._serve(deadline))
            if not why_not:
                return
            is_tried_again = fate.started_ns is None or self.rule.retries_unhealthy
            if why_not == _TAKEN_FOR_RUNNING or not is_tried_again or number > self.rule.retries + 1:
                break
            self.deadline_ns = NO_DEADLINE_NS
            self._set_status(STARTING, f"{why_not}; is tried again")
            self._listeners.controller.record_failed_try()
            yield site.env.timeout(self.rule.retry_delay_ns)
            self._listeners.controller.record_next_try()
            self._set_status(STARTING, f"try {number} of {self.rule.retries + 1}")
        if why_not == _TAKEN_FOR_RUNNING:
            self._resolve(RUNNING, why_not)
        else:
            self.fail(why_not)

    def _begin_try(self) -> int | None:
        """Set the time by which the node must have its verdict, and return it; None if its clock doesn't run yet."""
        if not (self.rule.is_checked and self.rule.deadline_from_dispatch):
            return None
        self.deadline_ns = self._site.env.now + self.rule.deadline_ns
        self._listeners.controller.record_deadline(self, self.deadline_ns)
        return self.deadline_ns

    def _serve(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Start, and be judged; return why the node isn't healthy, empty if it has its verdict."""
        site = self._site
        # A node that is tried again because it was unhealthy has been serving all the time.
        if self.fate.started_ns is None:
            self.fate.started_ns = site.env.now
            site.world.note_start(self.number, site.env.now)
            if site.load is not None:
                site.load.start_new(self.number, site.env.now)
            self._listeners.line.report_start(self)
        if self._listeners.wave_gates is not None:
            yield from self._go_before_gate(self._listeners.wave_gates, deadline)
        elif self.rule.windows_needed == 0:
            if deadline is None and self.rule.is_checked:
                self.deadline_ns = site.env.now + self.rule.deadline_ns
            self._resolve(RUNNING, "started")
        else:
            return (yield from self._validate(deadline))
        return ""

    def _start(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Make as many attempts to start as allowed; return why none succeeded, empty if one did."""
        fate, world, env = self.fate, self._site.world, self._site.env
        for attempt in range(fate.attempts, fate.attempts + world.behaviour_of[self.number].start_attempts):
            fate.attempts = attempt + 1
            duration = world.start_ns(self.number, attempt)
            if world.start_hangs(self.number, attempt):
                return (yield from self._hang(duration, deadline))
            if deadline is not None and env.now + duration > deadline:
                yield env.timeout(deadline - env.now)
                return "deadline passed while starting"
            yield env.timeout(duration)
            if not world.start_fails(self.number, attempt):
                return ""
        return "did not start"

    def _hang(self, duration: int, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Stay silent until the deadline; `immediate`, which checks nothing, counts the node as running."""
        env = self._site.env
        if not self.rule.is_checked:
            yield env.timeout(duration)
            return _TAKEN_FOR_RUNNING
        if deadline is None:
            deadline = self.deadline_ns = env.now + duration + self.rule.deadline_ns
        yield env.timeout(deadline - env.now)
        return "silent until the deadline"

    def _validate(self, deadline: int | None) -> Generator[simpy.Event, Any, str]:
        """Be validated from now on; return why the node isn't healthy, as `_serve`."""
        deadline = self._begin_validation(deadline)
        return self._observe(HealthRecord(self.rule), self._site.env.now, deadline)

    def _observe(self, record: HealthRecord, start: int, deadline: int) -> Generator[simpy.Event, Any, str]:
        """Be judged window by window, from `start` on; return why the node isn't healthy."""
        env, prober, interval = self._site.env, self._prober, self.rule.interval_ns
        can_look_ahead = prober.can_look_ahead(self.number)
        while start + interval <= deadline:
            if can_look_ahead:
                # Nothing else depends on single windows, so all are judged at once.
                span, verdict = prober.look_ahead(self.number, self.fate, record, start, deadline)
                try:
                    yield env.timeout(count_windows(span) * interval)
                except GeneratorExit:
                    span = cut_span(span, (env.now - start) // interval)
                    raise
                finally:
                    prober.record_windows(self.number, self.fate, start, span)
            else:
                end = start + interval
                yield env.timeout(end - env.now)
                verdict = record.add(prober.look_at(self.number, self.fate, start, end).healthy)
            if verdict == "running":
                self._resolve(RUNNING, "healthy")
                return ""
            if verdict == "failed":
                return "unhealthy"
            start = env.now
        yield env.timeout(deadline - start)
        return "not healthy by the deadline"

    def _begin_validation(self, deadline: int | None) -> int:
        """Begin validation now; return the deadline."""
        self._set_status(VALIDATING, "started")
        if deadline is None:
            deadline = self._site.env.now + self.rule.deadline_ns
            self._listeners.controller.record_deadline(self, deadline)
        self.deadline_ns = deadline
        return deadline

    def _go_before_gate(self, gates: Gates, deadline: int | None) -> Process:
        """Stay up for the required time, and wait for the verdict on the node's wave, window by window."""
        env = self._site.env
        deadline = self._begin_validation(deadline)
        if gates.record_start(self):
            self.fail("its wave failed the gate")
            return
        record = HealthRecord(self.rule)
        is_observed = self.rule.windows_needed == 0
        if is_observed and self._may_run(gates, "started"):
            return
        start, interval = env.now, self.rule.interval_ns
        while start + interval <= deadline:
            yield env.timeout(interval)
            seen = self._prober.look_at(self.number, self.fate, start, start + interval)
            gates.record_window(self, seen, start, start + interval)
            start += interval
            if is_observed:
                continue
            verdict = record.add(seen.healthy)
            if verdict == "failed":
                self.fail("unhealthy")
                return
            is_observed = verdict == "running"
            if is_observed and self._may_run(gates, "passed by the gate"):
                return
        yield env.timeout(deadline - start)
        if not is_observed:
            self.fail("not healthy by the deadline")
            return
        gates.record_passed_deadline(self)
        yield env.event()  # wait until the gate settles the node

    def _may_run(self, gates: Gates, reason: str) -> bool:
        """Run if the gate has passed the wave; otherwise wait for it, without a slot."""
        if gates.complete_observation(self):
            self._resolve(RUNNING, reason)
            return True
        self._listeners.controller.give_up_slot(self)
        return False

    def _run_rollback(self, reason: str) -> Process:
        self._begin_rollback(reason)
        yield from self._finish_rollback()

    def _begin_rollback(self, reason: str) -> None:
        site, fate = self._site, self.fate
        fate.back_from_ns = site.env.now
        self._listeners.rollback.record_rollback_start()
        site.world.note_rollback(self.number, site.env.now)
        if site.load is not None:
            site.load.begin_rollback(self.number, site.env.now, keeps_old=fate.keeps_old)
        self._set_status(ROLLING_BACK, reason)

    def _finish_rollback(self) -> Process:
        site, fate = self._site, self.fate
        yield site.env.timeout(site.world.rollback_ns(self.number))
        fate.back_until_ns = site.env.now
        if site.world.rollback_fails(self.number):
            self._set_status(ROLLBACK_FAILED, "rollback failed")
        else:
            if site.load is not None and site.type.begins:
                site.load.remove(self.number, site.env.now)
            elif site.load is not None:
                site.load.serve_again(self.number, site.env.now)
            self._set_status(REMOVED if site.type.begins else ROLLED_BACK, "back")
        self._listeners.rollback.record_rollback_end(self)

    def _resolve(self, status: int, reason: str) -> None:
        self.fate.resolved_ns = self._site.env.now
        if status == RUNNING and self.fate.surged:
            self.fate.replaced_ns = self._site.env.now
            if self._site.load is not None:
                self._site.load.stop_old(self.number, self._site.env.now)
        self._set_status(status, reason)
        self._listeners.line.report_verdict(self)

    def _set_status(self, status: int, reason: str) -> None:
        self._site.note(self.number, self.fate.status, status, self.fate.wave, reason)
        self.fate.status = status
        self.fate.reason = reason
