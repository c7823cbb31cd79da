"""Additions to SimPy's clock: processes with fewer events, the end of an instant, and a countdown that can be frozen."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import MethodType
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]

_step = simpy.Environment.step  # calling it through `super()` would double its time


class Clock(simpy.Environment):
    """SimPy's environment in whole nanoseconds, where immediate starts and the end of an instant need no events."""

    def __init__(
        self,
        # Called at the end of each instant with a ring, after all other events; it may cause more at the same instant.
        settle: Callable[[], None],
    ) -> None:
        super().__init__()
        # SimPy binds it in advance, too, but not in a subclass.
        self.timeout = MethodType(simpy.Timeout, self)  # type: ignore[method-assign]
        self.settle = settle
        self._beginners: list[Routine] = []
        self.is_rung = False  # whether `settle` is called at the end of this instant

    # The present instant, nanoseconds after the start; read so often that SimPy's property would take 5 % of the time.
    now: int = 0

    def begin(self, generator: Process) -> Routine:
        """Start a generator before any further event, and after those started earlier."""
        routine = Routine(generator)
        self._beginners.append(routine)
        return routine

    def call_at(self, t: int, callback: Callable[[], None]) -> None:
        """Call back at a later instant."""
        self.timeout(t - self._now).callbacks.append(lambda _: callback())

    def ring_at(self, t: int) -> None:
        """Have `settle` called at the end of a later instant."""
        self.timeout(t - self._now).callbacks.append(self._ring)

    def _ring(self, _: simpy.Event) -> None:
        self.is_rung = True

    def peek(self) -> float:
        """Return the time of the next event."""
        return self._now if self._beginners or self.is_rung else super().peek()

    def step(self) -> None:
        """Process the next event."""
        if self._beginners:
            beginners, self._beginners = self._beginners, []
            for routine in beginners:
                routine.go_on()
        elif self.is_rung and not (self._queue and self._queue[0][0] == self._now):
            self.is_rung = False
            self.settle()
        else:
            if self._queue:
                self.now = self._queue[0][0]  # type: ignore[assignment]
            _step(self)


class Routine:
    """A generator that continues when the event that it has yielded happens.

    SimPy's processes do the same, but need two more events: one to begin, and one for others that wait for the end.
    """

    __slots__ = ("_awaited", "_generator")

    def __init__(self, generator: Process) -> None:
        self._generator = generator
        self._awaited: simpy.Event | None = None

    def go_on(self, _: simpy.Event | None = None) -> None:
        """Continue up to the next event."""
        self._awaited = awaited = next(self._generator, None)
        if awaited is not None:
            awaited.callbacks.append(self.go_on)

    def stop(self) -> None:
        """Stop the generator where it is, unless it has ended."""
        if self._awaited is not None:
            self._awaited.callbacks.remove(self.go_on)
            self._awaited = None
        self._generator.close()


class Countdown:
    """Calls back after a time that stops while the countdown is frozen."""

    def __init__(self, env: Clock, duration_ns: int, callback: Callable[[], None], *, frozen: bool) -> None:
        self._env = env
        self._left = duration_ns
        self._callback = callback
        self._since = 0
        self._process: simpy.Process | None = None
        if not frozen:
            self.thaw()

    def freeze(self) -> None:
        """Stop the clock."""
        if self._process is not None and self._process.is_alive:
            self._left -= self._count(self._since, self._env.now)
            self.cancel()

    def thaw(self) -> None:
        """Let the clock continue."""
        if self._process is None:
            self._since = self._env.now
            self._process = self._env.process(self._run())

    @property
    def is_running(self) -> bool:
        """Whether it will call back unless it is stopped."""
        return self._process is not None and self._process.is_alive

    def cancel(self) -> None:
        """End it without calling back."""
        if self._process is not None and self._process.is_alive:
            self._process.interrupt()
        self._process = None

    def _count(self, start: int, end: int) -> int:
        """Return how much of a span of time the clock counts."""
        return end - start

    def _run(self) -> Process:
        try:
            yield self._env.timeout(self._left)
        except simpy.Interrupt:
            return
        self._callback()
