"""Bodies of the API's GET, one for each revision of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from simdeploy.api.deployment import Deployment, DeploymentStatus
from simdeploy.api.document import DeploymentDocument, read_body
from simdeploy.errors import InputError, Problem
from simdeploy.records.cells import in_utc
from simdeploy.records.content import Content, Document
from simdeploy.records.fields import Fields, instants, seconds_since
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
    created_ns: int | None
    updated_ns: int | None
    completed_ns: int | None
    file: str
    line: int | None


def recognises(content: Content) -> bool:
    """Return whether every document is a deployment with a status."""
    return bool(content.documents) and all(_is_deployment(each.data) for each in content.documents)


def _is_deployment(data: object) -> bool:
    for key in _envelope(data):
        data = data[key] if isinstance(data, dict) else None
    return isinstance(data, dict) and {"id", "spec", "status"} <= data.keys() and "apiVersion" not in data


def _envelope(data: object) -> tuple[str, ...]:
    """Return the key around the deployment in a body, if there is one."""
    return tuple(key for key in ("deployment", "rollout") if isinstance(data, dict) and key in data)[:1]


def read(contents: Sequence[Content]) -> list[Part]:
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
    status = Fields(content, document)[(*_envelope(document.data), "status")]
    return _Revision(
        document=body,
        deployment=deployment,
        status=deployment.status,
        created_ns=status.time("created_at"),
        updated_ns=status.time("updated_at"),
        completed_ns=status.time("completed_at"),
        file=content.file,
        line=content.line(document),
    )


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
    timed = [revision for revision in kept if revision.updated_ns is not None]
    stated = (time_ns for revision in kept for time_ns in (revision.created_ns, revision.updated_ns))
    starts = [time_ns for time_ns in stated if time_ns is not None]
    if not starts:
        dropped.append(Dropped(last.file, last.line, len(kept), f"deployment {name} has no times"))
        return None
    dropped += [
        Dropped(each.file, each.line, 1, "no updated_at: the time of its counts is unknown")
        for each in kept
        if each.updated_ns is None
    ]
    start = min(starts)
    ended = last.completed_ns
    if ended is None and last.status.state in TERMINAL_STATES:
        ended = last.updated_ns
    frame = pd.DataFrame(
        {
            "rollout": [name],
            "started_at": in_utc(instants([start])),
            "nodes": pd.array([last.status.total_nodes or None], dtype="Int64"),
            "policy": [write_policy(last.document)],
            **{name: [value] for name, value in read_health_times(last.deployment.spec).items()},
            "state": [last.status.state],
            "ended_s": [seconds_since(start, ended)],
            "watched_until_s": [seconds_since(start, max(starts))],
            ROW: [len(timed)],
        }
    )
    counts = pd.DataFrame(
        {
            "rollout": name,
            "time_s": [seconds_since(start, revision.updated_ns) for revision in timed],
            "state": pd.array([revision.status.state for revision in timed], dtype="str"),
            "updated_nodes": pd.array([revision.status.updated_nodes for revision in timed], dtype="Int64"),
            "failed_nodes": pd.array([revision.status.failed_nodes for revision in timed], dtype="Int64"),
            ROW: range(len(timed)),
        }
    )
    acts = pd.DataFrame(
        [{"rollout": name, **act, ROW: 0} for act in _acts(timed, start)], columns=["rollout", "time_s", "act", ROW]
    )
    lines = [revision.line for revision in (*timed, last)]
    return Part(last.file, {"rollouts": frame, "counts": counts, "acts": acts}, lines.__getitem__)


def _without_repetitions(revisions: list[_Revision], dropped: list[Dropped]) -> list[_Revision]:
    """Return distinct revisions in order; drop all that contradict each other, because it is unknown which is right."""
    ordered = sorted(revisions, key=lambda each: (each.status.revision or 0, each.updated_ns or 0))
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
        time_s = seconds_since(start, after.updated_ns)
        promoted = after.status.canary_promoted and not before.status.canary_promoted
        if promoted and not after.deployment.spec.effective("auto_promote"):
            acts.append({"time_s": time_s, "act": "promote"})
        if after.status.state == "canceled" and before.status.state != "canceled":
            acts.append({"time_s": time_s, "act": "cancel"})
    return acts
