"""Which candidate was selected, in a sentence, and the rounds that it took as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.report.tables import Column, make_table

if TYPE_CHECKING:
    from simdeploy.result import Table
    from simdeploy.statistics.selection.selected import Selection

_ROUNDS = (
    Column("round", "round"),
    Column("survivors", "candidates still in", "count"),
    Column("n", "observations of each", "count"),
    Column("n_observations", "observations in all", "count"),
)


def tell(selection: Selection) -> str:
    """Say which candidate is chosen, and how far that can be relied on."""
    total = len(selection.candidates)
    if total == 1:
        return f"Candidate {selection.best} is the only one."
    if selection.is_decided:
        sure = f"with probability {selection.probability_correct:.4g} or more"
        return f"Candidate {selection.best} is the best of {total} {sure}."
    if math.isnan(selection.probability_correct):
        lowest = f"of which candidate {selection.best} has the lowest mean"
        return f"Undecided between {len(selection.survivors)} of {total} candidates, {lowest}."
    sure = f"with probability {selection.probability_correct:.4g} or so"
    return f"Candidate {selection.best} has the lowest mean of {total}, and is the best {sure}."


def tabulate(selection: Selection) -> tuple[Table, ...]:
    """Return the rounds."""
    return (make_table("Rounds", selection.rounds, _ROUNDS),)
