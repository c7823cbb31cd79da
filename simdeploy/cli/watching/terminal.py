"""A terminal to play on: keys without Enter, a separate screen, and a restored terminal however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

# Letters in addition to the arrows, because a connection may lose their escape sequences.
_KEYS = {
    " ": "pause", "+": "faster", "=": "faster", "-": "slower", ">": "next", ".": "next", "<": "previous", ",": "previous",
    "0": "restart", "q": "quit", "Q": "quit", "\x1b[C": "next", "\x1b[D": "previous", "\x1b[A": "faster", "\x1b[B": "slower",
    "\x1bOC": "next", "\x1bOD": "previous", "\x1bOA": "faster", "\x1bOB": "slower",
}  # fmt: skip
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|.", re.DOTALL)
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_FALLBACK = os.terminal_size((80, 24))


class _EndedError(BaseException):
    """A signal to end the process, as an exception, so that the terminal is restored first."""

    def __init__(self, number: int) -> None:
        self.number = number


def _raise_ended(number: int, _: FrameType | None) -> NoReturn:
    raise _EndedError(number)


@contextlib.contextmanager
def own_screen(console: Console, draw_again: Callable[[], None]) -> Iterator[None]:
    """Take over the terminal on standard input; restore it at the end, on errors and signals, and while stopped.

    A signal to end the process takes effect after the terminal is restored. When a stopped process continues, its screen is
    empty, and `draw_again` is called.
    """
    fd = sys.stdin.fileno()
    saved = termios.tcgetattr(fd)

    def enter() -> None:
        tty.setcbreak(fd, termios.TCSANOW)
        console.set_alt_screen(True)
        console.show_cursor(False)

    def leave() -> None:
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcsetattr(fd, termios.TCSANOW, saved)
            console.show_cursor(True)
            console.set_alt_screen(False)

    def stop(number: int, _: FrameType | None) -> None:
        leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # returns when the process is continued
        signal.signal(number, stop)
        enter()
        draw_again()

    handlers = {**dict.fromkeys(_ENDING, _raise_ended), signal.SIGTSTP: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    ended = None
    try:
        enter()
        yield
    except _EndedError as error:
        ended = error.number
    finally:
        # No signal may interrupt this.
        before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        leave()
        for number, handler in before.items():
            signal.signal(number, handler)
    if ended is not None:
        signal.signal(ended, signal.SIG_DFL)
        os.kill(os.getpid(), ended)


def read_keys(timeout_s: float) -> list[str]:
    """Wait for keys on standard input; return their meanings: "quit" at the end of input."""
    fd = sys.stdin.fileno()
    is_there, _, _ = select.select([fd], [], [], timeout_s)
    if not is_there:
        return []
    block = os.read(fd, 1024)
    if not block:
        return ["quit"]
    return [_KEYS[key] for key in _KEY.findall(block.decode(errors="ignore")) if key in _KEYS]


def measure_screen() -> os.terminal_size:
    """Return columns and lines of the terminal on standard output, as they are now."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size if size.columns and size.lines else _FALLBACK
