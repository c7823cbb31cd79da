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
def own_screen(console: Console, draw_again: Callable[[], None]) -> Iterator[Callable[[float], list[str]]]:
    """Take over the terminal on standard input; restore it at the end, on errors and signals, and while stopped.

    Yields a function that waits for keys for at most the given seconds, and returns their meanings: "quit" at the end of
    input. A signal to end the process takes effect after the terminal is restored, and one to stop it while keys are awaited.
    When a stopped process continues, its screen is empty, and `draw_again` is called.
    """
    fd = sys.stdin.fileno()
    saved = termios.tcgetattr(fd)
    asked, ask = os.pipe()

    def enter() -> None:
        tty.setcbreak(fd, termios.TCSANOW)
        console.set_alt_screen(True)
        console.show_cursor(False)

    def leave() -> None:
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcsetattr(fd, termios.TCSANOW, saved)
            console.show_cursor(True)
            console.set_alt_screen(False)

    def ask_to_stop(_number: int, _: FrameType | None) -> None:
        os.write(ask, b".")  # no more, because the signal may interrupt a frame that is being written

    def stop() -> None:
        os.read(asked, 1024)
        leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # returns when the process is continued
        signal.signal(signal.SIGTSTP, ask_to_stop)
        enter()
        draw_again()

    def read_keys(timeout_s: float) -> list[str]:
        ready, _, _ = select.select([fd, asked], [], [], timeout_s)
        if asked in ready:
            stop()
            return []
        return _read_keys(fd) if ready else []

    handlers = {**dict.fromkeys(_ENDING, _raise_ended), signal.SIGTSTP: ask_to_stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    ended = None
    try:
        enter()
        yield read_keys
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
        os.close(asked)
        os.close(ask)
    if ended is not None:
        signal.signal(ended, signal.SIG_DFL)
        os.kill(os.getpid(), ended)


def _read_keys(fd: int) -> list[str]:
    block = os.read(fd, 1024)
    if not block:
        return ["quit"]
    return [_KEYS[key] for key in _KEY.findall(block.decode(errors="ignore")) if key in _KEYS]


def measure_screen() -> os.terminal_size:
    """Return columns and lines of the terminal on standard output, as they are now."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size if size.columns and size.lines else _FALLBACK
