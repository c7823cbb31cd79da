"""Processes on a terminal of their own, and waiting for their output rather than for a time."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time

TIMEOUT_S = 60
END = r"(?!)"  # is never shown


@contextlib.contextmanager
def on_terminal(command, *, columns=100, stdout=subprocess.PIPE, has_keys=False, term="xterm"):
    """Start a process with a terminal for messages and keys; yield it and the terminal's other end, and clean up both."""
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=inner if has_keys else None,
        stdout=stdout or inner,
        stderr=inner,
        text=True,
        env={**os.environ, "COLUMNS": str(columns), "TERM": term, "PYTHONUNBUFFERED": ""},
        start_new_session=True,
    )
    os.close(inner)
    try:
        yield process, terminal
    finally:
        with contextlib.suppress(ProcessLookupError):  # it and its workers
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
        os.close(terminal)


def read_until(terminal, pattern):
    """Return a terminal's output up to a pattern or the end; fail on timeout."""
    shown, end = b"", time.monotonic() + TIMEOUT_S
    while not re.search(pattern, shown.decode(errors="ignore")):
        is_there, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert is_there, f"{pattern} was not shown in {TIMEOUT_S} s, but at last: {shown[-200:]!r}"
        try:
            block = os.read(terminal, 65536)
        except OSError:
            break
        if not block:
            break
        shown += block
    return shown.decode()
