"""Docker Swarm: how a service of a stack file is updated.

`parallelism` workers take one slot after the other. A worker waits, without a time limit, until the slot's new task runs or has
failed, and then for `delay`. A new task that ends within `monitor` after it began to run is a failure, as is one that never
runs. When failures exceed `max_failure_ratio` of the slots to update, the update pauses or rolls back; workers finish the slots
that they have begun. After the last slot, failures count for one more `monitor`. A rollback follows `rollback_config`, and
pauses if it fails. Sources: moby/swarmkit:manager/orchestrator/update/updater.go, api/defaults/service.go;
docker/cli:cli/compose/convert/service.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.reading import NOTHING_SERVED, Group, Reading, or_else
from simdeploy.dialects.source import Document, Source, Tagged
from simdeploy.errors import plural, shorten
from simdeploy.units import MAX_DURATION_NS, NS_PER_S, write_duration

if TYPE_CHECKING:
    from simdeploy.dialects.imported import PolicyImport

_PLACE = re.compile(r"\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])([^{}]*))?\})")
_OF_NO_ROLLBACK = {
    **dict.fromkeys(("failure_action", "monitor", "max_failure_ratio"), "a rollback is not watched"),
    "order": "a node that rolls back is out of service meanwhile",
}
_ASIDE = {
    "healthcheck": "a task runs once its check passes; the scenario says how long an update takes",
    "stop_grace_period": "the scenario says how long an update takes",
}
_MONITOR_NS = 5 * NS_PER_S
_DEADLINE_NS = 24 * 3600 * NS_PER_S


def recognises(source: Source) -> bool:
    """Tell whether a text is a stack file: one with services that have images, or say how to deploy."""
    return any(_services(document) for document in source.groups)


def read(reading: Reading) -> PolicyImport:
    """Read the service that the variable `service` names, or the first that says how to update."""
    document = next((each for each in reading.source.groups if _services(each)), None)
    if document is None:
        raise reading.nothing("a stack file with services")
    services = _services(document)
    deploying = [name for name, each in services.items() if isinstance(each.get("deploy"), dict)]
    updating = [name for name in deploying if services[name]["deploy"].get("update_config")]
    name = reading.choose("service", list(services), updating or deploying)
    service = Group(reading, document, ("services", name), evaluate=_evaluate)
    service.no_counterparts(_ASIDE)
    deploy = service.group("deploy")
    replicas = _read_replicas(deploy)
    policy, on_failure = _read_update(deploy.group("update_config"))
    policy |= _read_rollback(deploy.group("rollback_config"), used=on_failure == "rollback")
    deploy.no_counterparts(
        {"restart_policy": "a task that failed has failed, whether its slot is started again or not"}
    )
    deploy.note_misspelt()
    reading.note("fleet.order", "approximate", "Swarm takes slots in no particular order; a fleet's order is its own")
    return reading.finish(
        {"strategy": "rolling", **policy, "no_auto_rollback": None if on_failure == "rollback" else True},
        {"pacing": "sliding", "slot_until": "started", "on_failure": on_failure},
        nodes=reading.nodes(replicas),
    )


def _services(document: Document) -> dict[str, dict[str, Any]]:
    services = document.data.get("services")
    if not isinstance(services, dict):
        return {}
    named = {name: service for name, service in services.items() if isinstance(service, dict)}
    return (
        named
        if any("image" in service or "deploy" in service or "build" in service for service in named.values())
        else {}
    )


def _read_replicas(deploy: Group) -> int | None:
    mode = deploy.text("mode", "replicated", "global", "replicated-job", "global-job")
    if mode is not None and mode.endswith("-job"):
        deploy.refuse("mode", "jobs run once and are not updated", allowed="replicated, global")
    if "mode" in deploy:
        deploy.exact("mode", "one task on every node" if mode == "global" else "as many tasks as replicas")
    replicas = deploy.whole("replicas")
    if mode == "global":
        deploy.no_counterparts({"replicas": "without effect: there is one task on every node"})
        return None
    if replicas == 0 and deploy.reading.given_nodes is None:
        deploy.refuse("replicas", "there is nothing to update", allowed="1 or more", hint="pass --nodes N")
    text = "1 task" if replicas is None else "the number of nodes, unless the caller gives another"
    deploy.exact("replicas", text)
    return replicas or None


def _read_update(config: Group) -> tuple[dict[str, Any], str]:
    """Return the keys of a policy from the section, and what follows when too many tasks fail."""
    parallelism = or_else(config.whole("parallelism"), 1)
    config.exact("parallelism", f"slots at a time: {parallelism:,}" if parallelism else "all slots at once")
    delay_ns = or_else(config.duration("delay"), 0)
    config.exact("delay", f"a slot stays taken for {write_duration(delay_ns)} after its task has started or failed")
    action = or_else(config.text("failure_action", "pause", "continue", "rollback"), "pause")
    config.exact("failure_action", f"too many failures: {action}")
    monitor_ns = or_else(config.duration("monitor") or None, _MONITOR_NS)
    text = f"a task that ends, or serves nothing, within {write_duration(monitor_ns)} after its start has failed (rounded up to whole health windows)"
    config.approximate("monitor", text)
    ratio = or_else(config.number("max_failure_ratio", 0, 1), 0.0)
    if action == "continue":
        config.exact("max_failure_ratio", "without effect: the update goes on despite failures")
    else:
        config.exact("max_failure_ratio", f"more than {100 * ratio:g} % of the slots is too many")
    start_first = config.text("order", "start-first", "stop-first") == "start-first"
    config.exact("order", "the old task serves until the new one runs" if start_first else "the old task stops first")
    deadline = write_duration(max(_DEADLINE_NS, min(2 * monitor_ns, MAX_DURATION_NS)))
    config.reading.note("health_check.deadline", "approximate", f"Swarm waits forever for a task; here {deadline}")
    config.note_rest()
    health = {
        "deadline": deadline,
        "max_error_rate": NOTHING_SERVED,
        "min_healthy_time": write_duration(monitor_ns),
        "failure_threshold": 1,
    }
    policy = {
        "max_parallel": parallelism,
        "surge": (parallelism or "100%") if start_first else None,
        "slot_delay": write_duration(delay_ns) if delay_ns else None,
        "health_check": health,
        "max_failed_nodes_percent": None if action == "continue" else round(100 * ratio, 9),
    }
    return policy, action


def _read_rollback(config: Group, *, used: bool) -> dict[str, Any]:
    """Return the pace of a rollback; it matters only if failures lead to one."""
    if not used:
        config.note_rest("an update that fails doesn't roll back by itself")
        return {}
    parallelism = or_else(config.whole("parallelism"), 1)
    delay_ns = or_else(config.duration("delay"), 0)
    text = (
        f"{plural(parallelism, 'node')} at a time, each time waiting for all of them"
        if parallelism
        else "all nodes at once"
    )
    config.approximate("parallelism", text)
    config.approximate("delay", f"{write_duration(delay_ns)} between these groups of nodes")
    config.no_counterparts(_OF_NO_ROLLBACK)
    config.note_rest()
    return {
        "rollback_parallel": parallelism or "100%",
        "rollback_delay": write_duration(delay_ns) if delay_ns else None,
    }


# -- variables -------------------------------------------------------------------------------------


def _evaluate(value: Any, group: Group, key: str) -> Any:
    """Return a value with its variables replaced, as far as the caller or the file gives values."""
    if isinstance(value, Tagged):
        group.not_evaluated(key, f"{shorten(str(value))}: an unknown tag; treated as not given")
        return None
    if not isinstance(value, str) or "$" not in value:
        return value
    missing: list[str] = []

    def put(place: re.Match[str]) -> str:
        name = place[1] or place[2]
        if name is None:
            return "$"
        given, how, rest = group.reading.variable(name), place[3] or "", place[4] or ""
        known = given is not None and not (how.startswith(":") and given == "")
        if how.endswith("+"):
            return rest if known else ""
        if known:
            return given or ""
        if how.endswith("-"):
            return rest
        missing.append(name)
        return ""

    replaced = _PLACE.sub(put, value)
    if missing:
        name = missing[0]
        group.not_evaluated(key, f"{shorten(value)}: give its value with --var {name}=VALUE; treated as not given")
        return None
    return replaced
