"""The selected candidate in words, and the rounds as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.report.tables import Column, make_table

if TYPE_CHECKING:
    from simdeploy.result import Table
    from simdeploy.statistics.selection.selected import Selection

_ROUNDS = (
    Column("round", "round"),
    Column("survivors", "candidates left", "count"),
    Column("n", "observations each", "count"),
    Column("n_observations", "total observations", "count"),
)


def tell(selection: Selection) -> str:
    """Say which candidate is selected, and with which probability it is the best."""
    total, best = len(selection.candidates), selection.best
    if total == 1:
        return f"Candidate {best} is the only one."
    if selection.is_decided:
        return f"Candidate {best} is the best of {total} with probability at least {selection.probability_correct:.4g}."
    if math.isnan(selection.probability_correct):
        n_left = len(selection.survivors)
        return f"Undecided: {n_left} of {total} candidates remain, candidate {best} has the lowest mean."
    probability = f"{selection.probability_correct:.4g}"
    return f"Candidate {best} has the lowest mean of {total} and is the best with probability about {probability}."


def tabulate(selection: Selection) -> tuple[Table, ...]:
    """Return the rounds."""
    return (make_table("Rounds", selection.rounds, _ROUNDS),)
