"""Which way is better: what lets policies be ranked."""

from __future__ import annotations

from typing import Literal

from simdeploy.vocabulary import COSTS

Direction = Literal["lower", "higher"]

# What isn't here has no better side that holds for every release. Failed nodes of a defective release are what a health
# check is for; rollouts that were stopped are restored at some time, and which ones those are depends on the policy.
_RESPONSES: dict[str, Direction] = {
    "makespan_s": "lower",
    "peak_exposed_nodes": "lower",
    "blast_radius": "lower",
    "defective_node_s": "lower",
    "failed_requests_excess": "lower",
    "unavailable_node_s": "lower",
    "min_in_service_fraction": "higher",
    "unavailable_excess_node_s": "lower",
    **dict.fromkeys(COSTS, "lower"),
}
_VERDICTS: dict[str, Direction] = {
    "completed_good": "higher",
    "stopped_defective": "higher",
    "false_alarm": "lower",
    "escaped": "lower",
}


def find_direction(response: str, level: str | None) -> Direction | None:
    """Say whether lower or higher is better; None where neither is.

    Parameters
    ----------
    response : str
    level : str or None
        Of a category, whose proportion it is.

    Examples
    --------
    >>> find_direction("makespan_s", None), find_direction("verdict", "completed_good"), find_direction("waves", None)
    ('lower', 'higher', None)
    """
    return _RESPONSES.get(response) if level is None else _VERDICTS.get(level)
