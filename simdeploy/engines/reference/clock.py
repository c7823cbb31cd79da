"""Two things that SimPy's clock lacks here: the end of an instant, and a countdown that can be frozen."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import MethodType
from typing import Any

import simpy

# SimPy's own priorities are 0 (urgent) and 1 (normal); at one instant a higher number comes later.
_AFTER_EVERYTHING = 2

Process = Generator[simpy.Event, Any, None]


class Clock(simpy.Environment):
    """SimPy's environment, counting whole nanoseconds."""

    def __init__(self) -> None:
        super().__init__()
        # SimPy binds it early, too, but not in a subclass.
        self.timeout = MethodType(simpy.Timeout, self)  # type: ignore[method-assign]

    @property
    def now(self) -> int:
        """The present instant, nanoseconds after the start."""
        return self._now  # type: ignore[return-value]


class Settled(simpy.Event):
    """An event at the present instant, or some time later, that comes after everything else that happens then."""

    def __init__(self, env: Clock, delay_ns: int = 0) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority=_AFTER_EVERYTHING, delay=delay_ns)  # type: ignore[arg-type]


class Countdown:
    """Calls back after a time that does not run while it is frozen."""

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
        """Let the clock run on."""
        if self._process is None:
            self._since = self._env.now
            self._process = self._env.process(self._run())

    @property
    def is_running(self) -> bool:
        """Whether it will call back, if nobody stops it."""
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
