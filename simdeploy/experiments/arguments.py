"""Arguments that several calls take, checked at the door."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from simdeploy.engines import ENGINES
from simdeploy.errors import InputError, Problem, nearest, shorten

_MOST_SEED = (1 << 64) - 1
_MOST_REPLICATIONS = 1 << 32  # a replication's number is one 32-bit word of the generator's counter

Progress = Callable[[int, int], None]  # given how many replications are finished, and of how many


def check_numbers(*, replications: Any, seed: Any, engine: object) -> range:
    """Return the numbers of the replications, or raise an `InputError` with each argument that makes no sense.

    Examples
    --------
    >>> check_numbers(replications=3, seed=0, engine="auto"), check_numbers(replications=range(3, 5), seed=0, engine="auto")
    (range(0, 3), range(3, 5))
    """
    problems = []
    numbers = range(replications) if _is_whole(replications) else replications
    if (
        not isinstance(numbers, range)
        or numbers.step != 1
        or not 0 <= numbers.start < numbers.stop <= _MOST_REPLICATIONS
    ):
        allowed = f"a number from 1 to {_MOST_REPLICATIONS}, or a range of consecutive numbers from 0 on"
        problems.append(
            Problem("not a number of replications", ("replications",), found=shorten(replications), allowed=allowed)
        )
    if not _is_whole(seed) or not 0 <= seed <= _MOST_SEED:
        allowed = f"0 to {_MOST_SEED}"
        problems.append(Problem("not a whole number in its range", ("seed",), found=shorten(seed), allowed=allowed))
    if engine not in ENGINES:
        allowed = ", ".join(ENGINES)
        problems.append(
            Problem(
                "unknown engine",
                path=("engine",),
                found=shorten(engine),
                allowed=allowed,
                hint=nearest(engine, ENGINES),
            )
        )
    if problems or not isinstance(numbers, range):
        raise InputError(problems)
    return numbers


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def as_reporter(progress: bool | Progress) -> Progress | None:
    """Return what is to be called: for True a counter on standard error, for False nothing."""
    if isinstance(progress, bool):
        return _write_counter if progress else None
    return progress


def _write_counter(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} replications" + ("\n" if done == total else ""))
    sys.stderr.flush()
