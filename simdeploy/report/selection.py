"""Which candidate was selected, in a sentence, and the rounds that it took as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.result import Table

if TYPE_CHECKING:
    from simdeploy.statistics.selection.selected import Selection


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
    header = ("round", "candidates still in", "observations of each", "observations in all")
    rows = selection.rounds.itertuples(index=False)
    words = tuple((str(row.round), f"{row.survivors:,}", f"{row.n:,}", f"{row.n_observations:,}") for row in rows)
    return (Table("Rounds", header, words),)
