"""Problems in the rows of a table, and reading of seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from simdeploy.errors import Problem, not_among, raise_if_any, shorten
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, exact, round_half_up


@dataclass(frozen=True)
class RowProblems:
    """Collects the problems in the rows of a table; rows are counted from 1."""

    table: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, row: int, column: str, message: str, found: Any = None, allowed: str | None = None) -> None:
        """Add a problem of a row."""
        shown = None if found is None else shorten(found)
        self.problems.append(Problem(message, self._path(row, column), found=shown, allowed=allowed))

    def add_unknown(self, row: int, column: str, message: str, found: str, known: Any) -> None:
        """Add the problem that a value is not among the known ones, with what was probably meant."""
        self.problems.append(not_among(message, self._path(row, column), found, known))

    def raise_if_any(self) -> None:
        """Raise `InputError` if there are problems."""
        raise_if_any(self.problems)

    def _path(self, row: int, column: str) -> tuple[str, str, str]:
        return self.table, f"row {row}", column


def read_seconds(value: Any) -> int | None:
    """Convert seconds to nanoseconds; None if the value isn't a number, is negative or too large."""
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return round_half_up(exact(seconds) * NS_PER_S) if 0 <= seconds < MAX_DURATION_NS / NS_PER_S else None
