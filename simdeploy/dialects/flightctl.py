"""Flight Control: the rollout policy of a Fleet.

Devices go in batches of a list; a batch's limit as a percent counts what earlier batches took. After a batch, the share of its devices
that succeeded must reach `successThreshold`, else the rollout is suspended. A disruption budget bounds how many devices of a group are
unavailable at once. Source: flightctl/flightctl, docs/user/rollout-policies.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.reading import Group
from simdeploy.errors import Problem

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.reading import Reading
    from simdeploy.dialects.source import Source

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_DEFAULT_THRESHOLD = "95%"

# Devices report whether their update succeeded; nothing else is watched.
_HEALTH_CHECK = {"deadline": "1h"}


def recognises(source: Source) -> bool:
    """Tell whether a text is a Fleet."""
    return any(document.data.get("kind") == "Fleet" for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read the rollout policy of the first Fleet."""
    document = next((one for one in reading.source.groups if one.data.get("kind") == "Fleet"), None)
    if document is None:
        allowed = "a document with kind: Fleet"
        reading.problems.append(Problem("no Fleet", file=reading.source.file, allowed=allowed))
        return reading.finish({}, {})
    policy = Group(reading, document, ()).group("spec").group("rolloutPolicy")
    if not policy.data:
        policy.exact("deviceSelection", "no rollout policy: all devices are updated at once")
        return reading.finish({"strategy": "immediate"}, {"on_failure": "continue"}, nodes=reading.nodes(None))
    waves = _read_waves(policy.group("deviceSelection"))
    threshold = _read_threshold(policy)
    parallel = _read_budget(policy.group("disruptionBudget"), reading)
    policy.note_rest()
    reading.note(
        "health_check.deadline", "approximate", "not given: a device that doesn't report within 1 h counts as failed"
    )
    reading.note("no_auto_rollback", "exact", "a suspended rollout is never rolled back")
    return reading.finish(
        {
            "strategy": "rolling",
            "waves": waves,
            "max_parallel": parallel,
            "health_check": _HEALTH_CHECK,
            "max_failed_nodes_percent": None if threshold is None else 100 - threshold,
            "no_auto_rollback": True,
        },
        {"failed_percent_of": "wave", "limits_judged": "wave_end", "on_failure": "pause"},
        nodes=reading.nodes(None),
    )


def _read_waves(selection: Group) -> list[Any]:
    selection.text("strategy", "BatchSequence")
    selection.exact("strategy", "one batch after the other")
    waves: list[Any] = []
    for batch in selection.groups("sequence"):
        limit = batch.value("limit")
        if "selector" in batch:
            batch.no_counterpart(
                "selector", "nodes have no labels: the batch takes the next nodes in the fleet's order"
            )
        if limit is None:
            batch.approximate("limit", "not given: the batch takes all devices that match; here it is left out")
        elif (percent := _read_percent(batch, "limit")) is not None:
            batch.exact("limit", f"so many that {percent:g} % of the fleet have had their turn")
            waves.append({"until": f"{percent:g}%"})
        elif (count := batch.whole("limit", 1)) is not None:
            batch.exact("limit", f"{count:,} nodes")
            waves.append(count)
        batch.note_rest()
    selection.exact("sequence", "all other devices follow as a last batch")
    return [*waves, {"until": "100%"}]


def _read_percent(group: Group, key: str) -> float | None:
    """Return a percent; None, without a problem, if the value is no percent."""
    value = group.value(key)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def _read_threshold(policy: Group) -> float | None:
    if "successThreshold" not in policy:
        policy.exact(
            "successThreshold", f"not given: {_DEFAULT_THRESHOLD}, so more than 5 % failed of a batch stop the rollout"
        )
        return 95.0
    percent = _read_percent(policy, "successThreshold")
    if percent is None or not 0 <= percent <= 100:
        policy.refuse("successThreshold", "not a percent", allowed='text such as "95%"')
        return None
    policy.exact("successThreshold", f"more than {100 - percent:g} % failed of a batch stop the rollout, when it ends")
    return percent


def _read_budget(budget: Group, reading: Reading) -> int | None:
    """Return how many devices may be unavailable at once; None without a bound."""
    if not budget.data:
        return None
    grouped = bool(budget.items("groupBy"))
    if grouped:
        budget.approximate("groupBy", "nodes have no labels: the whole fleet is one group")
    most = budget.whole("maxUnavailable", 1)
    if most is not None:
        budget.approximate(
            "maxUnavailable", f"at most {most:,} nodes of the fleet are in flight" if grouped else _IN_FLIGHT
        )
    least = budget.whole("minAvailable", 1)
    if least is not None:
        nodes = reading.nodes(None, why="minAvailable bounds the nodes in flight by what is left of the fleet")
        if nodes is not None:
            left = max(nodes - least, 1)
            budget.approximate("minAvailable", f"at most {left:,} of {nodes:,} nodes are in flight")
            most = left if most is None else min(most, left)
    budget.note_rest()
    return most


_IN_FLIGHT = "so many nodes are in flight at most; nodes that are down for other reasons don't count"
