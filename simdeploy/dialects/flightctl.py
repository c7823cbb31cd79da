"""Flight Control: the rollout policy of a Fleet.

Devices go in batches of a list; a batch's limit as a percent counts what earlier batches took. After a batch, the share of its devices
that succeeded must reach `successThreshold`, else the rollout is suspended. A disruption budget bounds how many devices of a group are
unavailable at once. Source: flightctl/flightctl:docs/user/rollout-policies.md.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.reading import Group, Reading, or_else
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Source

_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)%")
_THRESHOLD = 95.0
_DEADLINE_NS = 3600 * NS_PER_S


def recognises(source: Source) -> bool:
    """Tell whether a text is a Fleet."""
    return any(document.data.get("kind") == "Fleet" for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read the rollout policy of the first Fleet."""
    document = next((one for one in reading.source.groups if one.data.get("kind") == "Fleet"), None)
    if document is None:
        raise reading.nothing("a document with kind: Fleet")
    policy = Group(reading, document, ()).group("spec").group("rolloutPolicy")
    if not policy.data:
        reading.note("spec.rolloutPolicy", "exact", "not given: all devices are updated at once")
        return reading.finish({"strategy": "immediate"}, {"on_failure": "continue"}, nodes=reading.nodes(None))
    waves = _read_waves(policy.group("deviceSelection"))
    percent = _read_threshold(policy)
    budget = _read_budget(policy.group("disruptionBudget"))
    deadline_ns = or_else(policy.duration("defaultUpdateTimeout", 1), _DEADLINE_NS)
    policy.approximate("defaultUpdateTimeout", f"a device has failed after {write_duration(deadline_ns)}")
    policy.note_rest()
    reading.note("no_auto_rollback", "exact", "a suspended rollout is never rolled back")
    return reading.finish(
        {
            "strategy": "rolling",
            "waves": waves,
            **budget,
            "health_check": {"deadline": write_duration(deadline_ns)},
            "max_failed_nodes_percent": percent,
            "no_auto_rollback": True,
        },
        {"failed_percent_of": "wave", "limits_judged": "wave_end", "on_failure": "pause"},
        nodes=reading.nodes(None),
    )


def _read_waves(selection: Group) -> list[Any]:
    if not selection.data:
        selection.exact("sequence", "all devices are one batch")
        return [{"until": "100%"}]
    selection.text("strategy", "BatchSequence")
    selection.exact("strategy", "one batch after the other")
    waves: list[Any] = []
    for batch in selection.groups("sequence"):
        selective = "selector" in batch
        batch.no_counterparts({"selector": "nodes have no labels: the batch takes the next nodes in the fleet's order"})
        percent = _read_percent(batch, "limit")
        if "limit" not in batch and selective:
            batch.approximate("limit", "the batch takes all devices that match; how many is unknown, so it is left out")
        elif "limit" not in batch:
            batch.exact("limit", "the batch takes all devices that are left")
            waves.append({"until": "100%"})
        elif percent is not None and percent <= 100:
            text = f"up to {percent:g} % of the fleet, with the batches before"
            if selective:
                batch.approximate("limit", f"{text}, instead of the devices that match")
            else:
                batch.exact("limit", text)
            waves.append({"until": f"{percent:g}%"})
        elif percent is None and isinstance(batch.data["limit"], int):
            count = batch.whole("limit", 1)
            batch.exact("limit", f"{count} node{'s' * (count != 1)}")
            waves.append(count)
        else:
            batch.refuse("limit", "not a number of devices", allowed='a whole number, or text such as "50%"')
        batch.note_rest()
    selection.exact("sequence", "all other devices follow as a last batch")
    selection.note_rest()
    return [*waves, {"until": "100%"}]


def _read_percent(group: Group, key: str) -> float | None:
    """Return a percent; None, without a problem, if the value is no percent."""
    value = group.value(key)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def _read_threshold(policy: Group) -> float:
    """Return the percentage of a batch that may fail, exact in decimals: 0.1 beside a threshold of 99.9 %."""
    percent = _read_percent(policy, "successThreshold")
    if "successThreshold" in policy and (percent is None or percent > 100):
        policy.refuse("successThreshold", "not a percent", allowed='text such as "95%"')
    most = float(100 - Decimal(str(or_else(percent, _THRESHOLD))))
    policy.exact("successThreshold", f"the rollout stops if more than {most:g} % of a batch have failed at its end")
    return most


def _read_budget(budget: Group) -> dict[str, int]:
    """Return how many devices may be unavailable at once: of the fleet, or of each zone for each group."""
    if not budget.data:
        return {}
    grouped = bool(budget.items("groupBy"))
    whose = "of a zone" if grouped else "of the fleet"
    if grouped:
        budget.approximate("groupBy", "zones stand for groups: nodes have no labels")
    bounds: list[int] = []
    most = budget.whole("maxUnavailable", 1)
    if most is not None:
        text = f"at most {most:,} nodes {whose} are in flight; nodes down otherwise don't count"
        budget.approximate("maxUnavailable", text)
        bounds.append(most)
    least = budget.whole("minAvailable", 0)
    size = _read_size(budget, grouped=grouped) if least is not None else None
    if least is not None and size is not None:
        left = max(size - least, 1)
        budget.approximate("minAvailable", f"at most {left:,} of {size:,} nodes {whose} are in flight")
        bounds.append(left)
    budget.note_rest()
    return {"max_parallel_per_zone" if grouped else "max_parallel": min(bounds)} if bounds else {}


def _read_size(budget: Group, *, grouped: bool) -> int | None:
    """Return how many devices a group has."""
    reading = budget.reading
    if not grouped:
        return reading.nodes(None, why="minAvailable bounds the nodes in flight by what is left of the fleet")
    nodes, zones = reading.nodes(None), reading.variable("zones")
    if nodes is None or zones is None or not zones.isdecimal() or int(zones) < 1:
        budget.not_evaluated("minAvailable", "depends on the size of a group: pass --nodes N and --var zones=Z")
        return None
    return nodes // int(zones)
