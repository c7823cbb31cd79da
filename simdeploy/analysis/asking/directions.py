"""Which way is better: what lets policies be ranked."""

from __future__ import annotations

from typing import Any, Literal

from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS

Direction = Literal["min", "max"]

# What isn't here has no better side that holds for every release. Failed nodes of a defective release are what a health
# check is for; rollouts that were stopped are restored at some time, and which ones those are depends on the policy.
_RESPONSES: dict[str, Direction] = {
    "makespan_s": "min",
    "peak_exposed_nodes": "min",
    "blast_radius": "min",
    "defective_node_s": "min",
    "failed_requests_excess": "min",
    "unavailable_node_s": "min",
    "min_in_service_fraction": "max",
    "unavailable_excess_node_s": "min",
    **dict.fromkeys(COSTS, "min"),
}
_VERDICTS: dict[str, Direction] = {
    "completed_good": "max",
    "stopped_defective": "max",
    "false_alarm": "min",
    "escaped": "min",
}


def find_direction(measure: Measure) -> Direction | None:
    """Say whether less or more of a measure is better; None where neither is.

    Examples
    --------
    >>> [find_direction(Measure(name)) for name in ("makespan_s", "completed_good", "waves")]
    ['min', 'max', None]
    """
    return (_VERDICTS if measure.kind == "rate" else _RESPONSES).get(measure.of)


def read_direction(direction: Any, measure: Measure) -> Direction:
    """Return whether less or more of a measure is better: as it is said, or else as `find_direction` knows it, or less.

    Raises
    ------
    InputError
        If it is neither "min" nor "max".

    Examples
    --------
    >>> read_direction(None, Measure("waves")), read_direction("max", Measure("waves"))
    ('min', 'max')
    """
    if direction is None:
        return find_direction(measure) or "min"
    if direction not in ("min", "max"):
        hint, allowed = nearest(direction, ("min", "max")), '"min" or "max"'
        problem = Problem("not a direction", ("direction",), found=shorten(direction), allowed=allowed, hint=hint)
        raise InputError(problem)
    return "min" if direction == "min" else "max"
