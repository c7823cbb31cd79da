"""Allocations and deployments of Nomad, as its API and `nomad alloc status -json` write them.

A node is an allocation's place in its job, such as `web.front[3]`. Several allocations at the same place in a deployment, which happen
because Nomad reschedules failed ones, are attempts of one node. Source: hashicorp/nomad, api/allocations.go, api/tasks.go and
api/deployments.go; times named `...Time` are nanoseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeploy.records.cells import in_utc
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import Fields, instant, instants, seconds_since
from simdeploy.records.parts import ROW, Dropped, Part

KIND = "allocations and deployments of Nomad"

_STATES = {
    "successful": "completed",
    "failed": "failed",
    "cancelled": "canceled",
    "paused": "paused",
    "pending": "pending",
    "running": "in_progress",
    "blocked": "in_progress",
    "unblocking": "in_progress",
    "initializing": "pending",
}
_ENDED = ("completed", "failed", "canceled")


@dataclass(frozen=True)
class _Allocation:
    """An allocation, its start and its health as far as known; times in nanoseconds since 1970."""

    file: str
    line: int | None
    id: str
    rollout: str
    node: str
    group: str | None
    created_ns: int
    started_ns: int | None
    resolved_ns: int | None
    is_healthy: bool | None
    restarts: int | None
    client_status: str
    taken_back_ns: int | None
    modified_ns: int | None


def recognises(content: Content) -> bool:
    """Return whether every document is an allocation or a deployment."""
    return bool(content.documents) and all(
        _is_allocation(each.data) or _is_deployment(each.data) for each in content.documents
    )


def _is_allocation(data: object) -> bool:
    return isinstance(data, dict) and {"ID", "JobID", "ClientStatus", "DesiredStatus"} <= data.keys()


def _is_deployment(data: object) -> bool:
    return isinstance(data, dict) and {"ID", "JobID", "Status", "TaskGroups", "JobVersion"} <= data.keys()


def read(contents: Sequence[Content]) -> list[Part]:
    """Read the objects of all files together, because a list of allocations doesn't name its deployment."""
    dropped: list[Dropped] = []
    objects = [(content, document) for content in contents for document in content.documents]
    deployments = _read_deployments((each for each in objects if _is_deployment(each[1].data)), dropped)
    of_version = {(fields.text("JobID"), fields.whole("JobVersion")): name for name, fields in deployments.items()}
    allocations: dict[str, _Allocation] = {}
    for content, document in objects:
        if _is_allocation(document.data):
            _add(_read_allocation(Fields(content, document), of_version), allocations, dropped)
    ends = {name: _ended(fields) for name, fields in deployments.items()}
    by_node = _group(allocations.values(), ends, dropped)
    nodes = [_node_row(together) for together in by_node.values()]
    attempts = {each.id for together in by_node.values() for each in together}
    kept = [each for name, each in allocations.items() if name in attempts]
    parts = [_deployment_part(name, fields, kept) for name, fields in deployments.items()]
    return [*parts, _node_part(contents[0].file, nodes, kept, deployments, dropped)]


def _read_deployments(objects: Iterable[tuple[Content, Document]], dropped: list[Dropped]) -> dict[str, Fields]:
    """Return deployments by id; of several objects of a deployment, the last."""
    deployments: dict[str, Fields] = {}
    for content, document in objects:
        fields = Fields(content, document)
        name = fields.text("ID") or ""
        if not name:
            fields["ID",].refuse("missing", "the deployment's id")
        if name in deployments:
            older, newer = sorted((deployments[name], fields), key=_modified)
            dropped.append(Dropped(older.content.file, older.line, 1, "there is a later object of this deployment"))
            fields = newer
        deployments[name] = fields
    return deployments


def _modified(fields: Fields) -> tuple[int, int]:
    return fields.whole("ModifyIndex") or 0, fields.whole("ModifyTime") or 0


def _add(allocation: _Allocation | Dropped, allocations: dict[str, _Allocation], dropped: list[Dropped]) -> None:
    if isinstance(allocation, Dropped):
        dropped.append(allocation)
        return
    known = allocations.get(allocation.id)
    if known is not None:
        older, allocation = sorted((known, allocation), key=lambda each: each.modified_ns or 0)
        dropped.append(Dropped(older.file, older.line, 1, "there is a later object of this allocation"))
    allocations[allocation.id] = allocation


def _group(
    allocations: Iterable[_Allocation],
    ends: Mapping[str, int | None],  # of rollouts
    dropped: list[Dropped],
) -> dict[tuple[str, str], list[_Allocation]]:
    """Return the attempts of each node, in order; drop allocations that Nomad created later, for other reasons."""
    by_node: dict[tuple[str, str], list[_Allocation]] = {}
    for each in sorted(allocations, key=lambda each: each.created_ns):
        earlier, end_ns = by_node.get((each.rollout, each.node)), ends.get(each.rollout)
        if earlier and earlier[-1].is_healthy:
            dropped.append(Dropped(each.file, each.line, 1, "replaces a healthy allocation: not an attempt"))
        elif end_ns is not None and each.created_ns > end_ns:
            dropped.append(Dropped(each.file, each.line, 1, "created after the end of its deployment"))
        else:
            by_node.setdefault((each.rollout, each.node), []).append(each)
    return by_node


def _read_allocation(fields: Fields, of_version: Mapping[tuple[Any, Any], str]) -> _Allocation | Dropped:
    job, version = fields.text("JobID"), fields.whole("JobVersion")
    version = fields.whole("Job", "Version") if version is None else version
    identity, created_ns = fields.text("ID"), fields.time_ns("CreateTime")
    if identity is None or job is None or created_ns is None:
        return Dropped(fields.content.file, fields.line, 1, "an allocation without ID, JobID or CreateTime")
    # Lists of allocations don't name the deployment.
    rollout = fields.text("DeploymentID") or of_version.get((job, version)) or f"{job} version {version}"
    is_healthy = fields.flag("DeploymentStatus", "Healthy")
    resolved_ns = fields.time("DeploymentStatus", "Timestamp") if is_healthy is not None else None
    last_tasks = _name_last_tasks(fields)
    tasks = [task for task in fields.items("TaskStates") if task.path[-1] not in last_tasks]
    events = [event for task in tasks for event in task.items("Events")]
    killed = [time for event in events if event.text("Type") == "Killing" and (time := event.time_ns("Time"))]
    modified_ns = fields.time_ns("ModifyTime")
    is_stopped = fields.text("DesiredStatus") in ("stop", "evict")
    return _Allocation(
        file=fields.content.file,
        line=fields.line,
        id=identity,
        rollout=rollout,
        node=fields.text("Name") or identity,
        group=fields.text("TaskGroup"),
        created_ns=created_ns,
        started_ns=_started(tasks, resolved_ns, is_healthy=is_healthy is True),
        resolved_ns=resolved_ns,
        is_healthy=is_healthy,
        restarts=_restarts(tasks, resolved_ns),
        client_status=fields.text("ClientStatus") or "",
        taken_back_ns=min(killed, default=modified_ns) if is_stopped else None,
        modified_ns=modified_ns,
    )


def _name_last_tasks(fields: Fields) -> set[str | None]:
    """Return the tasks of an allocation that run only after the others, if it says so; lists of allocations don't."""
    groups = [each for each in fields.items("Job", "TaskGroups") if each.text("Name") == fields.text("TaskGroup")]
    tasks = [task for group in groups for task in group.items("Tasks")]
    return {task.text("Name") for task in tasks if task.text("Lifecycle", "Hook") == "poststop"}


def _started(tasks: Sequence[Fields], until_ns: int | None, *, is_healthy: bool) -> int | None:
    """Return the latest of the tasks' last starts before the verdict; None if a task didn't start, or its start is unknown."""
    if is_healthy:
        # Tasks that never started run only after the others.
        tasks = [task for task in tasks if _started_task(task, None) is not None]
    starts = [_started_task(task, until_ns) for task in tasks]
    known = [start for start in starts if start is not None]
    return max(known) if known and len(known) == len(starts) else None


def _started_task(task: Fields, until_ns: int | None) -> int | None:
    # Nomad keeps the last ten events of a task.
    events = [event.time_ns("Time") for event in task.items("Events") if event.text("Type") == "Started"]
    times = [
        time
        for time in (*events, task.time("StartedAt"))
        if time is not None and (until_ns is None or time <= until_ns)
    ]
    return max(times, default=None)


def _restarts(tasks: Sequence[Fields], until_ns: int | None) -> int | None:
    """Return the most restarts of a task before the verdict; None if unknown because of later restarts."""
    counts = [task.whole("Restarts") or 0 for task in tasks]
    last = [task.time("LastRestart") for task in tasks]
    if until_ns is not None and any(time is not None and time > until_ns for time in last):
        return None
    return max(counts, default=0)


def _node_row(together: Sequence[_Allocation]) -> dict[str, Any]:
    """Return the row of a node, whose allocations are tries; the last one counts."""
    last = together[-1]
    restarts = [each.restarts for each in together if each.restarts is not None]
    failed = last.is_healthy is False or (last.is_healthy is None and last.client_status in ("failed", "lost"))
    cause = None
    if failed:
        has_ended = last.client_status in ("failed", "lost", "complete")
        cause = "unhealthy" if last.started_ns is not None else "did_not_start" if has_ended else "silent"
    waiting = "validating" if last.started_ns is not None else "starting"
    return {
        "rollout": last.rollout,
        "node": last.node,
        "class": last.group,
        "status": "failed" if failed else "running" if last.is_healthy else waiting,
        "cause": cause,
        "attempts": len(together) + sum(restarts) if len(restarts) == len(together) else None,
        "dispatched_at": instant(together[0].created_ns),
        "started_at": instant(last.started_ns),
        "resolved_at": instant(last.resolved_ns),
        "watched_until": instant(last.taken_back_ns),
        "line": last.line,
    }


def _node_part(
    file: str,
    nodes: Sequence[Mapping[str, Any]],
    allocations: Iterable[_Allocation],
    deployments: Mapping[str, Fields],
    dropped: list[Dropped],
) -> Part:
    import pandas as pd

    lines = [row["line"] for row in nodes]
    if not nodes:
        return Part(file, {}, dropped=dropped)
    frame = pd.DataFrame(nodes).drop(columns="line").assign(**{ROW: range(len(nodes))})
    last: dict[str, int] = {}
    for each in allocations:
        last[each.rollout] = max(last.get(each.rollout, 0), each.modified_ns or each.created_ns)
    others = {name: time_ns for name, time_ns in last.items() if name not in deployments}
    ends = pd.DataFrame(
        {
            "rollout": pd.array(list(others), dtype="str"),
            "watched_until": instants(others.values()),
            ROW: 0,
        }
    )
    return Part(file, {"nodes": frame, "rollouts": ends}, lines.__getitem__, dropped)


def _ended(deployment: Fields) -> int | None:
    """Return when a deployment ended; None if it didn't, or if that is unknown."""
    return deployment.time_ns("ModifyTime") if _state(deployment) in _ENDED else None


def _state(deployment: Fields) -> str:
    status = deployment.text("Status") or ""
    if status not in _STATES:
        deployment["Status",].refuse("unknown status", ", ".join(_STATES))
    return _STATES[status]


def _deployment_part(name: str, fields: Fields, allocations: Iterable[_Allocation]) -> Part:
    import pandas as pd

    of_rollout = [each for each in allocations if each.rollout == name]
    created_ns, modified_ns = fields.time_ns("CreateTime"), fields.time_ns("ModifyTime")
    # Deployments have times only since Nomad 1.9.
    start = min([each.created_ns for each in of_rollout] if created_ns is None else [created_ns], default=None)
    last = max((each.modified_ns or 0 for each in of_rollout), default=0)
    until = max(last, modified_ns or 0) or None
    wanted = [group.whole("DesiredTotal") or 0 for group in fields.items("TaskGroups")]

    frame = pd.DataFrame(
        {
            "rollout": [name],
            "started_at": in_utc(instants([start])),
            "nodes": pd.array([sum(wanted) or None], dtype="Int64"),
            "state": [_state(fields)],
            "ended_s": [seconds_since(start, _ended(fields))],
            "watched_until_s": [seconds_since(start, until)],
            ROW: [0],
        }
    )
    return Part(fields.content.file, {"rollouts": frame}, lambda _: fields.line)
