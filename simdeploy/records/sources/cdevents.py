"""CDEvents: which releases were deployed, which were rolled back, and which caused an incident.

An event is an object with `context` and `subject`, by itself or as the `data` of a CloudEvent. `service.deployed` and
`service.upgraded` mean that a version runs: each is a rollout. `service.rolledback` and `service.removed` end the previous one of the
same service in the same environment. An `incident.detected` that names the artifact, or links to the event of its deployment, means
that the release was defective. Source: cdevents/spec, continuous-deployment.md, continuous-operations.md and links.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from simdeploy.api.times import format_time
from simdeploy.records.cells import in_utc
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import Fields, instants, seconds_since
from simdeploy.records.parts import ROW, Dropped, Part

KIND = "CDEvents"

_TYPE = re.compile(r"dev\.cdevents\.(?P<subject>\w+)\.(?P<predicate>\w+)(\..*)?")
_STARTS = ("service.deployed", "service.upgraded")
_ENDS = {"service.rolledback": "rollback", "service.removed": "removal"}
_INCIDENT = "incident.detected"


@dataclass
class _Event:
    fields: Fields
    kind: str
    time_ns: int
    id: str | None
    service: str | None
    environment: str | None
    artifact: str | None
    targets: list[str]
    file: str


@dataclass
class _Rollout:
    event: _Event
    state: str = "completed"
    defective: bool | None = None
    watched_until_ns: int = 0
    ended_ns: int | None = None
    row: int = field(default=0)


def recognises(content: Content) -> bool:
    """Return whether every document is an event of this kind."""
    return bool(content.documents) and all(_type(_unwrap(each.data)) is not None for each in content.documents)


def read(contents: Sequence[Content]) -> list[Part]:
    """Read the events of all files together, because a rollback may be in another file than its deployment."""
    events: list[_Event] = []
    dropped: list[Dropped] = []
    last_ns = 0
    for content in contents:
        others: dict[str, list[int | None]] = {}
        for document in content.documents:
            event = _read(content, document)
            last_ns = max(last_ns, event.time_ns)
            if event.kind in (*_STARTS, *_ENDS, _INCIDENT):
                events.append(event)
            else:
                others.setdefault(event.kind, []).append(event.fields.line)
        dropped += [
            Dropped(content.file, lines[0], len(lines), f"{kind}: not about a rollout")
            for kind, lines in others.items()
        ]
    events.sort(key=lambda event: event.time_ns)
    rollouts = _follow(events, last_ns, dropped)
    return [_make_part(contents[0].file, rollouts, dropped)]


def _unwrap(data: object) -> object:
    """Return the event in a CloudEvent; anything else unchanged."""
    if isinstance(data, dict) and "context" not in data and isinstance(data.get("data"), dict):
        return data["data"]
    return data


def _type(event: object) -> str | None:
    """Return the subject and predicate of an event, such as ``service.deployed``."""
    context = event.get("context") if isinstance(event, dict) else None
    text = context.get("type") if isinstance(context, dict) else None
    match = _TYPE.fullmatch(text) if isinstance(text, str) else None
    return f"{match['subject']}.{match['predicate']}" if match else None


def _read(content: Content, document: Document) -> _Event:
    fields = Fields(content, document)
    if fields.data is not _unwrap(fields.data):
        fields = fields[("data",)]
    time_ns = fields.time("context", "timestamp")
    if time_ns is None:
        fields["context", "timestamp"].refuse("missing", "a time such as 2026-03-02T08:00:00Z")
    kind = _type(fields.data) or ""
    about = ("subject", "content")
    is_incident = kind == _INCIDENT
    links = fields.items("context", "links") if is_incident else ()
    targets = (link.text(end, "contextId") for link in links for end in ("target", "from"))
    return _Event(
        fields=fields,
        kind=kind,
        time_ns=time_ns or 0,
        id=fields.text("context", "id"),
        service=fields.text(*about, "service", "id") if is_incident else fields.text("subject", "id"),
        environment=fields.text(*about, "environment", "id"),
        artifact=fields.text(*about, "artifactId"),
        targets=[target for target in targets if target],
        file=content.file,
    )


def _follow(events: Sequence[_Event], last_ns: int, dropped: list[Dropped]) -> list[_Rollout]:
    """Convert events, in order of time, to rollouts; drop those that belong to no earlier rollout."""
    rollouts: list[_Rollout] = []
    running: dict[tuple[str | None, str | None], _Rollout] = {}
    seen: set[tuple[object, ...]] = set()
    for event in events:
        key = (event.id, event.kind, event.time_ns, event.service, event.environment)
        if event.id is not None and key in seen:
            dropped.append(Dropped(event.file, event.fields.line, 1, "repeats an earlier event"))
            continue
        seen.add(key)
        place = (event.service, event.environment)
        if event.kind in _STARTS:
            if place in running:
                running[place].watched_until_ns = event.time_ns
            running[place] = _Rollout(event)
            rollouts.append(running[place])
        elif event.kind in _ENDS:
            ended = running.pop(place, None)
            if ended is None:
                reason = f"a {_ENDS[event.kind]} without a deployment before it"
                dropped.append(Dropped(event.file, event.fields.line, 1, reason))
                continue
            ended.watched_until_ns = event.time_ns
            if event.kind == "service.rolledback":
                ended.state, ended.ended_ns = "failed", event.time_ns
        else:
            unknown = _mark_defective(event, rollouts)
            if unknown is not None:
                dropped.append(Dropped(event.file, event.fields.line, 1, unknown))
    for rollout in running.values():
        rollout.watched_until_ns = last_ns
    return rollouts


def _mark_defective(incident: _Event, rollouts: Sequence[_Rollout]) -> str | None:
    """Mark the release that an incident names as defective; return the reason if there is none.

    An artifact is marked in every place where it was deployed, but only in the last rollout there: its name may lack the version.
    """
    if incident.artifact is None and not incident.targets:
        return "an incident that names no artifact: it may have any cause"
    places = set()
    for rollout in reversed(rollouts):
        event = rollout.event
        is_linked = event.id is not None and event.id in incident.targets
        is_named = incident.artifact is not None and event.artifact == incident.artifact
        is_there = incident.environment in (None, event.environment) and incident.service in (None, event.service)
        place = (event.service, event.environment)
        if is_linked or (is_named and is_there and place not in places):
            rollout.defective = True
            places.add(place)
    return None if places else "an incident of an artifact without a deployment before it"


def _make_part(file: str, rollouts: Sequence[_Rollout], dropped: list[Dropped]) -> Part:
    import pandas as pd

    names = [_name(rollout.event) for rollout in rollouts]
    frame = pd.DataFrame(
        {
            "rollout": pd.array(_make_unique(names), dtype="str"),
            "started_at": in_utc(instants(rollout.event.time_ns for rollout in rollouts)),
            "state": pd.array([rollout.state for rollout in rollouts], dtype="str"),
            "defective": pd.array([rollout.defective for rollout in rollouts], dtype="boolean"),
            "ended_s": [seconds_since(rollout.event.time_ns, rollout.ended_ns) for rollout in rollouts],
            "watched_until_s": [seconds_since(rollout.event.time_ns, rollout.watched_until_ns) for rollout in rollouts],
            ROW: range(len(rollouts)),
        }
    )
    lines = [rollout.event.fields.line for rollout in rollouts]
    return Part(file, {"rollouts": frame}, lines.__getitem__, dropped)


def _name(event: _Event) -> str:
    place = f" in {event.environment}" if event.environment else ""
    return f"{event.service}{place} at {format_time(event.time_ns)}"


def _make_unique(names: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return distinct
