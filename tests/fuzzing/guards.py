"""Guards around a case: a hang, excessive memory or access outside its folder is a failure, and does no harm."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil

# Far above what any case needs, so that only a hang or a flood gets there, on a busy machine, too.
HANG_S = 60.0
MOST_MEMORY = 400_000_000
_MOST_ADDRESSES = 6_000_000_000
_MODULES = tuple({sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2])})


class TooLong(BaseException):
    """Time is up. It is no `Exception`, so that handlers of these don't catch it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in the block on timeout, also while it waits; may be nested, and keeps other alarms."""

    def ring(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))


@contextlib.contextmanager
def bounded_addresses() -> Iterator[None]:
    """Make an allocation of many gigabytes fail at once, before it harms the machine."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + _MOST_ADDRESSES, hard))
    except (ImportError, OSError, ValueError):  # not on every system
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def peak_memory() -> int:
    """Return the most memory that this process ever had, in bytes."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


_watching: list[Watch] = []  # the active watch


@cache
def _hear_for_good() -> None:
    """Install the audit hook once; it can't be removed, and sees thousands of events of each later test."""

    def on_event(event: str, args: tuple[Any, ...]) -> None:
        if _watching:
            _watching[-1].on_event(event, args)

    sys.addaudithook(on_event)


class Watch:
    """Records what the process does in a block: files opened outside a folder, sockets, programs, pickles."""

    def __init__(self) -> None:
        self._folder = ""
        self._thread = 0
        self.seen: list[str] = []

    @contextlib.contextmanager
    def on(self, folder: Path) -> Iterator[list[str]]:
        """Watch the block; the yielded list grows."""
        _hear_for_good()
        self.seen = []
        self._folder, self._thread = os.path.realpath(folder), threading.get_ident()
        _watching.append(self)
        try:
            yield self.seen
        finally:
            _watching.remove(self)

    def on_event(self, event: str, args: tuple[Any, ...]) -> None:
        """Record an event of the watching thread."""
        if threading.get_ident() != self._thread:
            return
        if event.partition(".")[0] in ("socket", "subprocess", "pickle") or event in (
            "os.system",
            "os.exec",
            "os.fork",
        ):
            self.seen.append(event)
        elif event in ("open", "os.remove", "os.rename", "os.truncate", "os.mkdir", "os.rmdir"):
            path = args[0]
            if isinstance(path, str | bytes | os.PathLike) and not self._may(os.fsdecode(path), args):
                self.seen.append(f"{event} {os.fsdecode(path)!r}")

    def _may(self, path: str, args: tuple[Any, ...]) -> bool:
        try:
            if isinstance(args[-1], int) and args[-1] & getattr(os, "O_NOFOLLOW", 0):  # a link isn't followed
                real = str(Path(os.path.realpath(Path(path).parent)) / Path(path).name)
            else:
                real = os.path.realpath(path)
        except ValueError:  # a NUL
            return True
        # Modules are imported when they are first needed.
        return real == os.devnull or real.startswith((self._folder, *_MODULES))
