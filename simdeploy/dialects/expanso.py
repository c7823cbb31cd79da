"""Expanso: the policy of a job or a deployment, in either dialect of its API, or in the form of its published examples.

A job spec has the policy in `deployment` (durations are text, `max_parallel` a number of nodes) or, in newer versions, in
`rollout` (whole nanoseconds, a percent); a GET body has it in `deployment.spec`. The published examples have `auto_rollback`,
and a probe instead of limits; neither is in the schemas. The policy keeps its dialect, and the scenario's orchestrator
interprets it. Sources: docs.expanso.io, schemas api.GetDeploymentResponse, types.JobSpec and types.RolloutSpec;
expanso-io/examples.expanso.io, examples/.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.api.check import build_spec
from simdeploy.api.document import recognise, without_dialect
from simdeploy.dialects.imported import UNKNOWN
from simdeploy.dialects.reading import LIKE, Group, Reading
from simdeploy.dialects.specs import policy_from_spec
from simdeploy.errors import Path, Problem, nearest, plural
from simdeploy.units import write_duration

if TYPE_CHECKING:
    from simdeploy.api.spec import Spec
    from simdeploy.api.wire import Dialect
    from simdeploy.dialects.imported import PolicyImport
    from simdeploy.dialects.source import Document, Source

_DIALECTS: tuple[Dialect, ...] = ("deployment", "rollout")
_STRATEGIES = ("immediate", "rolling", "canary")
_ASSUMED_DEADLINE = "5m"
_MEANINGS = {
    "max_parallel": {"deployment": "nodes in a wave; 0: all at once", "rollout": "percent of the nodes in a wave"},
    "max_failed_nodes": {},
    "max_failed_nodes_percent": {},
    "no_auto_rollback": {},
}
# Keys of health checks in the schemas, as opposed to the probes of the published examples.
_OF_SCHEMAS = ("deadline", "max_error_rate", "min_healthy_time", "gate")
_HEALTH_DEFAULTS = ("max_error_rate", "min_healthy_time", "interval", "success_threshold", "failure_threshold")


def recognises(source: Source) -> bool:
    """Tell whether a text is a job or a deployment of Expanso, or the spec of a deployment."""
    return any(_find(document.data) is not None for document in source.groups)


def is_deployment(source: Source) -> bool:
    """Tell whether a text is a deployment of the API or its spec, which `simdeploy.api` reads without an import."""
    places = [place for document in source.groups if (place := _find(document.data)) is not None]
    return bool(places) and not places[0][2]


def _find(data: dict[str, Any]) -> tuple[Path, Dialect | None, bool] | None:
    """Return the path to the spec, the key around it, and whether it is in a job; None if there is no spec."""
    if "apiVersion" in data or data.get("dialect") == "general":
        return None
    for around in ((), ("job",), ("spec",), ("job", "spec")):
        place: Any = data
        for key in around:
            place = place.get(key) if isinstance(place, dict) else None
        for wrapper in _DIALECTS if isinstance(place, dict) else ():
            inner = place.get(wrapper)
            if isinstance(inner, dict) and isinstance(inner.get("spec"), dict) and not around:
                return (wrapper, "spec"), wrapper, False
            if isinstance(inner, dict) and "strategy" in inner and not isinstance(inner["strategy"], dict):
                return (*around, wrapper), wrapper, True
    spec = data.get("spec")
    if isinstance(spec, dict) and spec.get("strategy") in _STRATEGIES:
        return ("spec",), None, False
    return ((), None, False) if data.get("strategy") in _STRATEGIES else None


def read(reading: Reading) -> PolicyImport:
    """Read the policy of the job or deployment that the variable `job` names, or of the first."""
    places = [(document, place) for document in reading.source.groups if (place := _find(document.data)) is not None]
    if not places:
        allowed = 'a job with "deployment" or "rollout", a deployment with a "spec", or a spec with a "strategy"'
        raise reading.nothing(allowed)
    names = [_name(document, number) for number, (document, _) in enumerate(places, 1)]
    document, (path, wrapper, _) = places[names.index(reading.choose("job", names))]
    spec = Group(reading, document, path)
    raw, is_example = _translate_example(spec)
    dialect = _dialect(document, raw, wrapper, is_example=is_example)
    beside: dict[str, Any] = {key: raw.pop(key) for key in ("dialect", "orchestrator") if key in raw and not path}
    for key in beside:
        spec.exact(key, "the same in a scenario")
    policy: dict[str, Any] = {}
    if isinstance(dialect, Problem):
        for problem in without_dialect(raw, dialect):
            _refuse(reading, document, path, problem)
    else:
        built, problems = build_spec(raw, dialect=dialect)
        for problem in problems:
            _refuse(reading, document, path, problem)
        if built is not None:
            _refuse_impossible(spec, built)
            policy = {**_note_spec(spec, built, dialect), **beside}
    nodes = _read_around(reading, document, path, wrapper)
    return reading.finish(policy, None, nodes=nodes)


def _name(document: Document, number: int) -> str:
    """Return the name of a document's job; its number if it has none."""
    job = document.data.get("job", document.data)
    name = job.get("name") if isinstance(job, dict) else None
    return name if isinstance(name, str) else str(number)


def _refuse(reading: Reading, document: Document, path: Path, problem: Problem) -> None:
    where = (*path, *problem.path)
    reading.problems.append(replace(problem, path=where, file=reading.source.file, line=document.line(where)))


def _refuse_impossible(spec: Group, built: Spec) -> None:
    """Add a problem if no node can become healthy before the deadline, in any scenario."""
    # The shortest window is the most permissive: the scenario's may divide every duration.
    policy = policy_from_spec(built, interval_ns=1)
    needed_ns = policy.windows_needed * policy.interval_ns
    if policy.strategy == "immediate" or policy.deadline_ns is None or needed_ns <= policy.deadline_ns:
        return
    is_time = policy.success_threshold is None
    cause, needed = "min_healthy_time" if is_time else "success_threshold", write_duration(needed_ns)
    check = spec.group("health_check")
    which = cause if cause in check else f"the default {cause}"
    message = f"no node can become healthy in time: {which} needs {needed}"
    check.refuse("deadline", message, allowed=f"at least {needed if is_time else f'{needed_ns} ({needed})'}")


def _dialect(
    document: Document, raw: dict[str, Any], wrapper: Dialect | None, *, is_example: bool
) -> Dialect | Problem:
    if document.data.get("dialect") in _DIALECTS:
        return "rollout" if document.data["dialect"] == "rollout" else "deployment"
    return "deployment" if is_example else recognise(raw, wrapper)


def _translate_example(spec: Group) -> tuple[dict[str, Any], bool]:
    """Return a spec with the fields that only published examples have translated, and whether it had any."""
    raw = dict(spec.data)
    check = raw.get("health_check")
    probe = spec.group("health_check") if isinstance(check, dict) else None
    is_probe = probe is not None and any(key in probe.data for key in ("type", "endpoint"))
    if "auto_rollback" in raw:
        del raw["auto_rollback"]
        rolls_back = spec.flag("auto_rollback")
        if rolls_back is not None:
            text = f"no_auto_rollback: {str(not rolls_back).lower()}; neither schema has this field"
            spec.exact("auto_rollback", text)
            raw.setdefault("no_auto_rollback", not rolls_back)
    if probe is None or not is_probe:
        return raw, "auto_rollback" in spec.data
    known = {key: value for key, value in probe.data.items() if key in _OF_SCHEMAS}
    if "deadline" not in known:
        known["deadline"] = _ASSUMED_DEADLINE
        text = f"not given: {_ASSUMED_DEADLINE} assumed; the schemas require it and have no default"
        probe.approximate("deadline", text)
    for key in probe.data:
        if key == "interval":
            interval = probe.duration(key, 1)
            length = "unknown" if interval is None else write_duration(interval)
            text = "not a policy's in this dialect; set health.interval of the scenario"
            probe.approximate(key, f"{length}: {text}")
        elif key not in known:
            text = "windows of requests judge a node" if key in ("type", "endpoint") else _UNKNOWN
            probe.no_counterpart(key, text)
    return {**raw, "health_check": known}, True


_UNKNOWN = "unknown to the API's schema; left out"


def _note_spec(spec: Group, built: Spec, dialect: Dialect) -> dict[str, Any]:
    """Note every field and the defaults, and return the policy."""
    policy = _note_fields(spec, built, list(_MEANINGS), dialect)
    if built.health_check is not None:
        check = spec.group("health_check")
        policy["health_check"] = _note_fields(check, built.health_check, list(_HEALTH_DEFAULTS), dialect)
    spec.note_rest(_UNKNOWN)
    return {"dialect": dialect, **policy}


def _note_fields(group: Group, built: Any, defaults: list[str], dialect: Dialect) -> dict[str, Any]:
    values = built.to_dict()
    known = {key: value for key, value in values.items() if key in type(built).model_fields}
    for key, value in known.items():
        if isinstance(value, dict) or key not in group.data:
            continue
        meaning = _MEANINGS.get(key, {}).get(dialect)
        group.exact(key, f"{_show(key, value)}{f': {meaning}' if meaning else ''}")
    for key in values:
        if key not in known:
            meant = nearest(key, type(built).model_fields, LIKE)
            group.no_counterpart(key, f"{UNKNOWN}; {meant}" if meant else _UNKNOWN)
    for key in defaults:
        if key in type(built).model_fields and key not in known and built.effective(key) is not None:
            group.exact(key, f"not given: {_show(key, built.effective(key))}")
    return known


def _show(key: str, value: object) -> str:
    if key in ("deadline", "interval") and isinstance(value, int):
        return write_duration(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_around(reading: Reading, document: Document, path: Path, wrapper: Dialect | None) -> int | None:
    """Read the keys of a deployment beside its spec; return the number of nodes."""
    if not path or path[-1] != "spec":
        return reading.nodes(None)
    body = Group(reading, document, path[:-1], name=wrapper)
    kind = body.value("type")
    if kind is not None and kind != "update":
        body.approximate("type", f"{kind}: an import is an update; the scenario's deployment.type says otherwise")
    status = body.data.get("status")
    total = body.group("status").whole("total_nodes") if isinstance(status, dict) else None
    if total:
        body.group("status").exact("total_nodes", plural(total, "node"))
    return reading.nodes(total or None)
