"""Flight Control: the rollout policy of a Fleet.

Devices are updated in the batches of a list; a batch's limit in percent includes earlier batches, and is rounded to the nearest
number. Before the next batch, and after the last one, the share of a batch's devices that succeeded must reach
`successThreshold`, which the next batch may override; otherwise the rollout is suspended. Without a list all devices are
updated at once, and nothing is judged. Disconnected devices are left to the last batch. A disruption budget limits how many
devices of a group are unavailable at once. A device on which the update fails goes back to its previous version.
Source: flightctl/flightctl: docs/user/using/managing-fleets.md, docs/user/references/device-api-statuses.md,
internal/rollout/device_selection (consts.go, reconciler.go, batch_sequence_selector.go), api/core/v1beta1/validation.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.manifests import choose_among, find_manifests, refuse_without
from simdeploy.dialects.reading import Group, Reading, or_else
from simdeploy.errors import plural
from simdeploy.units import NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.manifests import Manifest
    from simdeploy.dialects.source import Source

_PERCENT = re.compile(r"(\d{1,3})%")
_MOST_FAILED = 10.0
_TAKEN_BACK = (
    "the agent of a device takes back an update that fails; here the device stays as it is, unless you set this switch"
)
_DEADLINE_NS = 24 * 3600 * NS_PER_S


def recognises(source: Source) -> bool:
    """Tell whether a text is a Fleet."""
    return bool(_find_fleets(source))


def _find_fleets(source: Source) -> list[Manifest]:
    """Return the Fleets of a file; other projects have objects of that kind, too."""
    fleets = [manifest for manifest in find_manifests(source) if manifest.kind == "Fleet"]
    groups = [str(fleet.data.get("apiVersion")).rpartition("/")[0] for fleet in fleets]
    return [fleet for fleet, group in zip(fleets, groups, strict=True) if group in ("", "flightctl.io")]


def read(reading: Reading) -> PolicyImport:
    """Read the rollout policy of a Fleet: the only one, the one that the variable `object` names, or the first."""
    fleet = choose_among(reading, _find_fleets(reading.source))
    if fleet is None:
        raise refuse_without(reading, "Fleet")
    spec = Group(reading, fleet.document, fleet.path, name="").group("spec")
    policy = spec.group("rolloutPolicy")
    spec.note_misspelt()
    _note_schedules(spec)
    if not policy.data:
        reading.note("spec.rolloutPolicy", "exact", "not given: all devices are updated at once")
        reading.note("node_local_rollback", "approximate", _TAKEN_BACK)
        return reading.finish({"strategy": "immediate"}, {"on_failure": "continue"}, nodes=reading.nodes(None))
    limits, switches = _read_batches(policy)
    budget = _read_budget(policy.group("disruptionBudget"))
    deadline_ns = or_else(policy.duration("defaultUpdateTimeout", 1), _DEADLINE_NS)
    policy.approximate("defaultUpdateTimeout", f"a device has failed after {write_duration(deadline_ns)}")
    policy.note_rest()
    reading.note("no_auto_rollback", "exact", "a suspended rollout is never rolled back")
    reading.note("node_local_rollback", "approximate", _TAKEN_BACK)
    return reading.finish(
        {
            "strategy": "rolling",
            **limits,
            **budget,
            "health_check": {"deadline": write_duration(deadline_ns)},
            "no_auto_rollback": True,
        },
        switches,
        nodes=reading.nodes(None),
    )


def _note_schedules(spec: Group) -> None:
    """Note that devices have schedules, if the template of their specs, of which nothing else matters here, can be read."""
    template = spec.data.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        text = "schedules of downloads and updates; use the scenario's change windows instead"
        spec.group("template").group("spec").no_counterparts({"updatePolicy": text})


def _read_batches(policy: Group) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the waves with the percentage of each that may fail, and the switches that interpret them."""
    selection = policy.group("deviceSelection")
    most = or_else(_read_threshold(policy), _MOST_FAILED)
    if not selection.data:
        selection.exact("sequence", "all devices are updated at once")
        policy.no_counterparts({"successThreshold": "without batches nothing is judged"})
        offline = "a device that is disconnected is updated when it is back"
        policy.reading.note("unreachable_nodes", "approximate", offline)
        return {"waves": [{"until": "100%"}]}, {"unreachable_nodes": "wait", "on_failure": "continue"}
    selection.text("strategy", "BatchSequence")
    selection.exact("strategy", "one batch after the other")
    batches = selection.groups("sequence")
    stated = [_read_own_threshold(batch, number) for number, batch in enumerate(batches)]
    following = [most if percent is None else percent for percent in stated[1:]] + [most]
    sizes: list[dict[str, Any] | None] = []
    for batch in batches:
        sizes.append(_read_batch(batch, is_first=not any(sizes)))
    pairs = zip(sizes, following, strict=False)
    waves = [(wave, percent) for wave, percent in pairs if wave is not None] + [({"until": "100%"}, most)]
    selection.exact("sequence", "all other devices follow as a last batch")
    selection.note_rest()
    text = f"the rollout stops if more than {most:g} % of a batch have failed at its end"
    policy.exact("successThreshold", text)
    offline = "a device that is disconnected is left to the last batch; here it is passed over"
    policy.reading.note("unreachable_nodes", "approximate", offline)
    switches = {
        "wave_rounding": "nearest",
        "failed_percent_of": "wave",
        "limits_judged": "wave_end",
        "unreachable_nodes": "skip",
        "on_failure": "pause",
    }
    if all(percent == most for _, percent in waves):
        plain = [wave.get("size", wave) for wave, _ in waves]
        return {"waves": plain, "max_failed_nodes_percent": most}, switches
    return {"waves": [{**wave, "max_failed_nodes_percent": percent} for wave, percent in waves]}, switches


def _read_own_threshold(batch: Group, number: int) -> float | None:
    """Return the percentage of the previous batch that may have failed when this one starts; None if it states none."""
    most = _read_threshold(batch)
    if number == 0:
        batch.no_counterparts({"successThreshold": "without effect: there is no batch before it to judge"})
    elif most is not None:
        text = f"the rollout stops before this batch if more than {most:g} % of the previous one have failed"
        batch.exact("successThreshold", text)
    return most


def _read_batch(batch: Group, *, is_first: bool) -> dict[str, Any] | None:
    """Return a wave; None if the number of its devices is 0 or unknown; the first one has at least one node in any fleet."""
    selective = "selector" in batch
    batch.no_counterparts({"selector": "nodes have no labels: the batch takes the next nodes in the fleet's order"})
    percent = _read_percent(batch, "limit")
    nodes = batch.reading.given_nodes
    wave: dict[str, Any] | None = None
    if "limit" not in batch and selective:
        batch.approximate("limit", "the batch takes all devices that match; how many is unknown, so it is left out")
    elif "limit" not in batch:
        batch.exact("limit", "the batch takes all devices that are left")
        wave = {"until": "100%"}
    elif percent is not None and percent <= 100:
        text = f"up to {percent} % of the fleet, with the batches before"
        is_empty = percent == 0 if nodes is None else nodes * percent < 50
        wave = None if is_empty else {"until": f"{percent}%"}
        least = 1 if is_empty or not is_first or nodes is not None else -(-50 // percent)
        few = (
            f"; here at least 1 device, in Flight Control none if the fleet has fewer than {least:,}"
            if least > 1
            else ""
        )
        if selective:
            batch.approximate("limit", f"{text}, instead of the devices that match{few}")
        elif few:
            batch.approximate("limit", f"{text}{few}")
        else:
            batch.exact("limit", f"{text}{': none' if is_empty else ''}")
    elif percent is None and isinstance(batch.data["limit"], int):
        count = batch.whole("limit", 1)
        batch.exact("limit", plural(or_else(count, 1), "node"))
        wave = {"size": count}
    else:
        message = "not a number of devices" if percent is None else "too large"
        batch.refuse("limit", message, allowed='a whole number, or text such as "50%", at most "100%"')
    batch.note_rest()
    return wave


def _read_percent(group: Group, key: str) -> int | None:
    """Return a whole percentage; None, without a problem, if the value is none."""
    value = group.value(key)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _read_threshold(group: Group) -> float | None:
    """Return the percentage of a batch that may fail; None if not given."""
    percent = _read_percent(group, "successThreshold")
    if "successThreshold" in group and (percent is None or percent > 100):
        message = "not a percent" if percent is None else "too large"
        group.refuse("successThreshold", message, allowed='text such as "90%", at most "100%"')
    return None if percent is None else float(100 - percent)


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
        text = f"at most {plural(most, 'node')} {whose} in flight; nodes down otherwise don't count"
        budget.approximate("maxUnavailable", text)
        bounds.append(most)
    least = budget.whole("minAvailable", 0)
    size = _read_size(budget, grouped=grouped) if least is not None else None
    if least is not None and size is not None:
        left = max(size - least, 1)
        budget.approximate("minAvailable", f"at most {left:,} of {plural(size, 'node')} {whose} in flight")
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
