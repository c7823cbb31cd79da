"""Bodies of the API's GET, one for each revision of a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from simdeploy.api.deployment import Deployment, DeploymentStatus
from simdeploy.api.document import DeploymentDocument, read_body
from simdeploy.api.times import parse_time
from simdeploy.errors import InputError, Problem
from simdeploy.records.cells import in_utc
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import instants, seconds_since
from simdeploy.records.parts import ROW, Dropped, Part
from simdeploy.records.policies import read_health_times, write_policy
from simdeploy.vocabulary import TERMINAL_STATES

KIND = "deployment objects of the API"

_WITHOUT_RELEASE = ("rollback", "restart", "stop")


@dataclass(frozen=True)
class _Revision:
    document: DeploymentDocument
    deployment: Deployment
    status: DeploymentStatus
    file: str
    line: int | None

    @property
    def time_ns(self) -> int | None:
        return _parse(self.status.updated_at)


def recognises(content: Content, names: Mapping[str, str]) -> bool:  # noqa: ARG001 - has no columns
    """Return whether every document is a deployment with a status."""
    return bool(content.documents) and all(_is_deployment(each.data) for each in content.documents)


def _is_deployment(data: object) -> bool:
    if isinstance(data, dict):
        data = data.get("deployment", data.get("rollout", data))
    return isinstance(data, dict) and {"id", "spec", "status"} <= data.keys() and "apiVersion" not in data


def read(contents: Sequence[Content], names: Mapping[str, str]) -> list[Part]:  # noqa: ARG001 - has no columns
    """Read the revisions of all files together."""
    by_id: dict[str, list[_Revision]] = {}
    for content in contents:
        for document in content.documents:
            revision = _read(content, document)
            by_id.setdefault(str(revision.deployment.id), []).append(revision)
    dropped: list[Dropped] = []
    parts = [_make_part(name, revisions, dropped) for name, revisions in by_id.items()]
    kept = [part for part in parts if part is not None]
    return [*kept, Part(contents[0].file, {}, dropped=dropped)]


def _read(content: Content, document: Document) -> _Revision:
    body, problems = read_body(document.data, None)
    if body is None:
        raise InputError([_place(content, document, problem) for problem in problems])
    deployment = body.deployment
    if deployment is None or not deployment.id or deployment.status is None:
        raise InputError(content.problem(document, (), "no id or status", allowed="a deployment with id and status"))
    return _Revision(body, deployment, deployment.status, content.file, content.line(document))


def _place(content: Content, document: Document, problem: Problem) -> Problem:
    return replace(problem, file=content.file, line=content.line(document, problem.path))


def _make_part(name: str, revisions: list[_Revision], dropped: list[Dropped]) -> Part | None:
    import pandas as pd

    kept = _without_repetitions(revisions, dropped)
    if not kept:
        return None
    last = kept[-1]
    kind = last.deployment.type
    if kind in _WITHOUT_RELEASE:
        dropped.append(Dropped(last.file, last.line, len(kept), f"deployment {name} of type {kind}: releases nothing"))
        return None
    times = [revision.time_ns for revision in kept]
    created = [_parse(revision.status.created_at) for revision in kept]
    starts = [time_ns for time_ns in (*created, *times) if time_ns is not None]
    if not starts:
        dropped.append(Dropped(last.file, last.line, len(kept), f"deployment {name} has no times"))
        return None
    start = min(starts)
    ended = _parse(last.status.completed_at)
    if ended is None and last.status.state in TERMINAL_STATES:
        ended = times[-1]
    frame = pd.DataFrame(
        {
            "rollout": [name],
            "started_at": in_utc(instants([start])),
            "nodes": pd.array([last.status.total_nodes], dtype="Int64"),
            "policy": [write_policy(last.document)],
            **{name: [value] for name, value in read_health_times(last.deployment.spec).items()},
            "state": [last.status.state],
            "ended_s": [seconds_since(start, ended)],
            "watched_until_s": [seconds_since(start, max(starts))],
            ROW: [0],
        }
    )
    counts = pd.DataFrame(
        {
            "rollout": name,
            "time_s": [seconds_since(start, time_ns) for time_ns in times],
            "state": pd.array([revision.status.state for revision in kept], dtype="str"),
            "updated_nodes": pd.array([revision.status.updated_nodes for revision in kept], dtype="Int64"),
            "failed_nodes": pd.array([revision.status.failed_nodes for revision in kept], dtype="Int64"),
            ROW: range(len(kept)),
        }
    )
    acts = pd.DataFrame(
        [{"rollout": name, **act, ROW: 0} for act in _acts(kept, start)], columns=["rollout", "time_s", "act", ROW]
    )
    lines = [revision.line for revision in kept]
    return Part(last.file, {"rollouts": frame, "counts": counts, "acts": acts}, lines.__getitem__)


def _without_repetitions(revisions: list[_Revision], dropped: list[Dropped]) -> list[_Revision]:
    """Return distinct revisions in order; drop all that contradict each other, because it is unknown which is right."""
    ordered = sorted(revisions, key=lambda each: (each.status.revision or 0, each.time_ns or 0))
    by_number: dict[Any, list[_Revision]] = {}
    for place, each in enumerate(ordered):
        by_number.setdefault(("none", place) if each.status.revision is None else each.status.revision, []).append(each)
    kept = []
    for alike in by_number.values():
        if all(each.deployment == alike[0].deployment for each in alike):
            kept.append(alike[0])
            dropped += [Dropped(each.file, each.line, 1, "repeats an earlier revision") for each in alike[1:]]
        else:
            dropped += [
                Dropped(each.file, each.line, 1, "contradicts another object of the same revision") for each in alike
            ]
    return kept


def _acts(revisions: Sequence[_Revision], start: int) -> list[dict[str, Any]]:
    """Return the acts of people: promotions without `auto_promote`, and cancellation."""
    acts: list[dict[str, Any]] = []
    for before, after in pairwise(revisions):
        time_s = seconds_since(start, after.time_ns)
        promoted = after.status.canary_promoted and not before.status.canary_promoted
        if promoted and getattr(after.deployment.spec, "auto_promote", None) is False:
            acts.append({"time_s": time_s, "act": "promote"})
        if after.status.state == "canceled" and before.status.state != "canceled":
            acts.append({"time_s": time_s, "act": "cancel"})
    return acts


def _parse(time: str | None) -> int | None:
    return parse_time(time) if time else None
