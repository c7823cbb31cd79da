"""Which columns of a table a measure is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.pricing import find_responses
from simdeploy.scenario.measures import PASSED, SORTS, Measure
from simdeploy.vocabulary import COSTS, STATES, VERDICTS

if TYPE_CHECKING:
    from simdeploy.scenario.parts import Costs


def find_columns(measure: Measure, costs: Costs | None) -> tuple[str, ...]:
    """Return the columns of the table that a measure needs."""
    columns: list[str] = [] if measure.kind == "rate" else [measure.of]
    if measure.of in COSTS:
        columns = ["verdict", *find_responses(costs)]
    for event in (measure.of if measure.kind == "rate" else None, measure.given):
        if event in VERDICTS:
            columns.append("verdict")
        elif event in STATES:
            columns.append("state")
        elif event == PASSED:
            columns += ["waves", "state"]
        elif event is not None:
            columns += ["release", "verdict"]
    return tuple(columns)


def names_kind(measure: Measure) -> bool:
    """Return whether a measure names a kind of release."""
    events = (measure.of if measure.kind == "rate" else None, measure.given)
    return any(event not in (*VERDICTS, *STATES, *SORTS, PASSED, None) for event in events)
