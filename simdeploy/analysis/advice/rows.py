"""Problems of rows of tables."""

from __future__ import annotations

from typing import Any

from simdeploy.errors import Problem, shorten


def row_problem(
    table: str, row: int, column: str, message: str, found: Any = None, allowed: str | None = None
) -> Problem:
    """Return a problem of a row, which is counted from 1."""
    shown = None if found is None else shorten(found)
    return Problem(message, (table, f"row {row}", column), found=shown, allowed=allowed)
