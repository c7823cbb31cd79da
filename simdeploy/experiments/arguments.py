"""Arguments that several calls take, checked at the door."""

from __future__ import annotations

from simdeploy.engines import ENGINES
from simdeploy.errors import InputError, Problem, nearest, shorten

_MOST_REPLICATIONS = 1 << 32  # a replication's number is one 32-bit word of the generator's counter


def check_numbers(*, replications: object, seed: object, engine: object) -> None:
    """Raise an `InputError` with each of them that makes no sense."""
    problems = [
        Problem("not a whole number in its range", path=(name,), found=shorten(value), allowed=f"{low} to {high}")
        for name, value, low, high in (
            ("replications", replications, 1, _MOST_REPLICATIONS),
            ("seed", seed, 0, (1 << 64) - 1),
        )
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high
    ]
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
    if problems:
        raise InputError(problems)
