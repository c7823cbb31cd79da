"""Change windows in a run: waiting for the next opening, and a countdown that stops meanwhile (model section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from simdeploy.engines.reference.clock import Clock, Countdown, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.reference.site import Site
    from simdeploy.world.change_windows import Calendar


class OpenHours:
    """When nodes may be dispatched: always without a calendar."""

    def __init__(self, site: Site, calendar: Calendar | None) -> None:
        self._site = site
        self.calendar = calendar
        self._rings_at: int | None = None
        self.is_awaited = False  # whether the next opening lets something be dispatched

    @property
    def are_now(self) -> bool:
        """Whether nodes may be dispatched now."""
        return self.calendar is None or self.calendar.is_open(self._site.env.now)

    def name_next(self) -> str:
        """Name the next opening by weekday and time of the day."""
        if self.calendar is None:
            raise AssertionError(self)
        return self.calendar.name(self.calendar.next_opening(self._site.env.now))

    def await_next(self) -> None:
        """Wake the control plane when a window opens."""
        if self.calendar is None:
            raise AssertionError(self)
        self.is_awaited = True
        opens_at = self.calendar.next_opening(self._site.env.now)
        if self._rings_at != opens_at:
            self._rings_at = opens_at
            self._site.env.ring_at(opens_at)


class OpenCountdown(Countdown):
    """A countdown that runs only while a window is open, and reports when it stops and continues."""

    def __init__(
        self,
        env: Clock,
        duration_ns: int,
        callback: Callable[[], None],
        *,
        calendar: Calendar,
        on_change: Callable[[], None],
        frozen: bool,
    ) -> None:
        self._calendar = calendar
        self._on_change = on_change
        super().__init__(env, duration_ns, callback, frozen=frozen)

    def _count(self, start: int, end: int) -> int:
        return self._calendar.open_time(start, end)

    def _run(self) -> Process:
        due = self._calendar.when_open_for(self._env.now, self._left)
        try:
            while (change := self._calendar.next_change(self._env.now)) < due:
                yield self._env.timeout(change - self._env.now)
                self._on_change()
            yield self._env.timeout(due - self._env.now)
        except simpy.Interrupt:
            return
        self._callback()
