"""Telling how far a long call is."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[int, int], None]  # given how many replications are finished, and of how many


def as_reporter(progress: bool | Progress) -> Progress | None:
    """Return what is to be called: for True a counter on standard error, for False nothing."""
    if isinstance(progress, bool):
        return _write_counter if progress else None
    return progress


def _write_counter(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} replications" + ("\n" if done == total else ""))
    sys.stderr.flush()
