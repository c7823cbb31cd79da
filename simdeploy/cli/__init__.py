"""The command line: one file per subcommand; `options` and `study` are shared.

Other packages use only `main`. Commands import heavy modules when they run, so that ``--help`` is quick.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def main() -> None:
    """Run a command and exit with its code."""
    try:
        # Garbage collection finds hardly anything, and threads for linear algebra have nothing to do; together they would take
        # some tenths of a second.
        gc.set_threshold(100_000, 20, 50)
        atexit.register(gc.freeze)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import signal

        from simdeploy.cli.app import app

        # Exit by an exception, so that temporary files are removed and worker processes are ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _prepare_streams()
        app.main(prog_name="simdeploy")
    except KeyboardInterrupt:
        # Ctrl-C while modules are being imported; later the application handles it.
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def _prepare_streams() -> None:
    """Make writes to standard output and error safe for any character, and all streams safe to use if they are closed."""
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - open until the exit
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the exit
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        messages = io.BufferedWriter(_Messages(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(messages, sys.stderr.encoding, sys.stderr.errors, line_buffering=True)


class _Messages(io.FileIO):
    """Standard error, without exceptions: a command whose messages can't be written must still write its files."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes
