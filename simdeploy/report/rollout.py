"""How one rollout ended, in words, and its responses as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.report.wording import plural
from simdeploy.result import Table
from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from simdeploy.engines.one_rollout import OneRollout

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
    """Say how it ended, and how many requests were shed."""
    verdict, makespan_s = rollout.responses["verdict"], rollout.responses["makespan_s"]
    state = str(rollout.responses["state"])
    if math.isnan(makespan_s):
        message = rollout.deployment["status"]["message"]
        return f"The rollout never ends: it stays {state.replace('_', ' ')} ({message})."
    ended = _VERDICTS[verdict] if isinstance(verdict, str) else _ENDS[state]
    after = f" after {short_duration(makespan_s * NS_PER_S)}"
    shed_requests = rollout.responses["shed_requests"]
    n_shed = 0 if math.isnan(shed_requests) else round(shed_requests)
    shed = f"; the service shed {plural(n_shed, 'request')}" if n_shed else ""
    return f"{ended}{after}{shed}."


def tabulate(rollout: OneRollout) -> tuple[Table, ...]:
    """Return the responses."""
    rows = tuple((name, _word(name, value)) for name, value in rollout.responses.items())
    return (Table("Responses", ("response", "value"), rows),)


def _word(name: str, value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        number = f"{value:,.3f}".rstrip("0").rstrip(".")
        times = ("makespan_s", "stopped_at_s", "restored_at_s")
        return f"{number} ({short_duration(value * NS_PER_S)})" if name in times else number
    return f"{value:,}" if isinstance(value, int) else str(value)
