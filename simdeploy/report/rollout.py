"""How one rollout ended, in words, and its responses as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.errors import plural
from simdeploy.report.tables import tabulate_pairs
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from simdeploy.engines.one_rollout import OneRollout
    from simdeploy.result import Table

_VERDICTS = {
    "completed_good": "A good release completed",
    "stopped_defective": "A defective release was stopped",
    "false_alarm": "False alarm: a good release was stopped",
    "escaped": "Escape: a defective release completed",
}
# Without a verdict.
_ENDS = {
    "completed": "The rollout completed",
    "failed": "The rollout was stopped",
    "canceled": "The rollout was canceled",
}


def tell(rollout: OneRollout) -> str:
    """Say how the rollout ended, and how many requests were shed."""
    if math.isnan(rollout.responses["makespan_s"]):
        return f"{say_end(rollout.responses)} ({rollout.deployment['status']['message']})."
    shed_requests = rollout.responses["shed_requests"]
    n_shed = 0 if math.isnan(shed_requests) else round(shed_requests)
    shed = f"; the service shed {plural(n_shed, 'request')}" if n_shed else ""
    return f"{say_end(rollout.responses)}{shed}."


def say_end(responses: Mapping[str, Any]) -> str:
    """Say how a rollout with these responses ended, and when.

    Examples
    --------
    >>> say_end({"verdict": "false_alarm", "state": "failed", "makespan_s": 46.0})
    'False alarm: a good release was stopped after 46s'
    """
    verdict, makespan_s, state = responses["verdict"], responses["makespan_s"], str(responses["state"])
    if math.isnan(makespan_s):
        return f"The rollout never ends: it stays {state.replace('_', ' ')}"
    ended = _VERDICTS[verdict] if isinstance(verdict, str) else _ENDS[state]
    return f"{ended} after {short_duration(makespan_s * NS_PER_S)}"


def tabulate(rollout: OneRollout) -> tuple[Table, ...]:
    """Return the responses."""
    rows = [(name, _word(name, value)) for name, value in rollout.responses.items()]
    return (tabulate_pairs("Responses", "response", rows),)


def _word(name: str, value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        number = f"{value:,.3f}".rstrip("0").rstrip(".")
        times = ("makespan_s", "stopped_at_s", "restored_at_s")
        return f"{number} ({short_duration(value * NS_PER_S)})" if name in times else number
    return f"{value:,}" if isinstance(value, int) else str(value)
