"""Pauses and ends of a rollout, and when service is restored after them (model section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.engines.recording import CONTROL_PLANE
from simdeploy.engines.reference.change_windows import OpenCountdown, OpenHours
from simdeploy.engines.reference.clock import Countdown
from simdeploy.engines.schema import STATE_PLACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.reference.dispatch import Dispatcher
    from simdeploy.engines.reference.rollback import Rollback
    from simdeploy.engines.reference.site import Site
    from simdeploy.rules.orchestrator import Orchestrator


class Course:
    """The state of a deployment, the clocks that a pause may freeze, and its end."""

    def __init__(
        self, site: Site, orchestrator: Orchestrator, dispatcher: Dispatcher, rollback: Rollback, hours: OpenHours
    ) -> None:
        self._site = site
        self._clocks_stop = orchestrator.paused_clocks == "stop"
        self._dispatcher = dispatcher
        self._rollback = rollback
        self._hours = hours
        self._clocks: list[Countdown] = []
        self.state = "in_progress"  # as in the API
        self.remark = ""  # the part of the deployment's message beside its progress
        self.makespan_ns: int | None = None  # None until the end

    @property
    def is_over(self) -> bool:
        """Whether the deployment has reached a state that it never leaves."""
        return self._site.is_over

    @property
    def is_paused(self) -> bool:
        """Whether it is paused."""
        return self.state == "paused"

    def say(self, reason: str, *, from_state: str | None = None, to_state: str | None = None) -> None:
        """Record an act of the control plane, which may change its state."""
        before, after = (STATE_PLACES[state or self.state] for state in (from_state, to_state))
        self._site.note(CONTROL_PLANE, before, after, len(self._dispatcher.waves), reason)

    # -- clocks ------------------------------------------------------------------------------------

    @property
    def any_clock_runs(self) -> bool:
        """Whether a countdown is running."""
        return any(clock.is_running for clock in self._clocks)

    def count_down(self, duration_ns: int, callback: Callable[[], None], *, in_open_hours: bool = False) -> None:
        """Start a countdown, replacing any other; with `in_open_hours` it runs only while a change window is open."""
        frozen = self.is_paused and self._clocks_stop
        env, calendar = self._site.env, self._hours.calendar
        if in_open_hours and calendar is not None:
            on_change = self._site.ring
            self._clocks = [
                OpenCountdown(env, duration_ns, callback, calendar=calendar, on_change=on_change, frozen=frozen)
            ]
        else:
            self._clocks = [Countdown(env, duration_ns, callback, frozen=frozen)]

    def cancel_clocks(self) -> None:
        """Cancel the countdown."""
        for clock in self._clocks:
            clock.cancel()
        self._clocks = []

    # -- pausing and ending ------------------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Pause the deployment."""
        self.say(reason, to_state="paused")
        self.state = "paused"
        if self._clocks_stop:
            for clock in self._clocks:
                clock.freeze()

    def resume(self, reason: str) -> None:
        """Resume after a pause."""
        self.say(reason, to_state="in_progress")
        self.state = "in_progress"
        for clock in self._clocks:
            clock.thaw()

    def end(self, state: str, reason: str, *, undo: bool) -> None:
        """End the deployment, and roll back the touched nodes: at once, or by hand later."""
        self.say(reason, to_state=state)
        self.state = state
        self.remark = reason
        self._site.is_over = True
        self.makespan_ns = self._site.env.now
        self.cancel_clocks()
        if not self._site.type.undone:
            return
        touched = self._dispatcher.touched
        if undo or (state != "completed" and not touched):
            self._rollback.request(touched)
        elif not self._site.by_hand and (state != "completed" or self._escaped):
            world = self._site.world
            delay_ns = world.escape_detection_ns if self._escaped else world.undo_after_ns
            Countdown(self._site.env, delay_ns, lambda: self._rollback.request(touched), frozen=False)

    def roll_back(self, reason: str) -> None:
        """Roll back the touched nodes, whatever the policy says; cancel the deployment first if it is not over."""
        if self.is_over:
            self.say(reason)
            self._rollback.request(self._dispatcher.touched)
        else:
            self.end("canceled", reason, undo=True)

    def why_not_roll_back(self) -> str | None:
        """Say why a rollback isn't possible; None if it is."""
        if not self._site.type.undone:
            return f"a deployment of type {self._site.type_name} can't be rolled back"
        if self._rollback.is_requested:
            return "the deployment is already rolled back"
        if not self._dispatcher.touched:
            return "no node was touched"
        if all(node.fate.back_from_ns is not None for node in self._dispatcher.touched):
            return "all touched nodes went back by themselves"
        return None

    @property
    def _escaped(self) -> bool:
        release = self._site.world.release
        return self.state == "completed" and release is not None and release.defective

    @property
    def horizon_ns(self) -> int | None:
        """When service is restored; None if it never is. Valid only at the end of the run."""
        if self.makespan_ns is None:
            return None
        if self.state == "completed" and not self._escaped:
            return self.makespan_ns
        if self._site.type.undone:
            return self._rollback.ended_ns
        return self.makespan_ns + (self._site.world.escape_detection_ns if self._escaped else 0)
