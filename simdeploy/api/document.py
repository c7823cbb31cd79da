"""A deployment in JSON: the body of ``GET deployment``, a deployment object, or a bare spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from simdeploy.api.check import MISSING, build, build_spec, contradictions, misspelt, not_a_group, unknown_keys_in
from simdeploy.api.deployment import Deployment
from simdeploy.api.files import read_text
from simdeploy.api.json_text import locate, parse_json
from simdeploy.api.spec import SPEC_TYPES, DeploymentSpec, Spec
from simdeploy.api.values import PLACEHOLDER, PLACEHOLDER_MESSAGE
from simdeploy.api.wire import Dialect, canonical_json
from simdeploy.errors import MOST_PROBLEMS, InputError, Path, Problem, cut, format_path, nearest, shorten

WRAPPERS: tuple[Dialect, ...] = ("deployment", "rollout")
WRAPPED = '{"deployment": {"spec": ...}} or {"rollout": {"spec": ...}}'
_FORMS = '{"deployment": {...}} or {"rollout": {...}}, a deployment with a "spec", or a spec with a "strategy"'

_DURATIONS = ("deadline", "min_healthy_time", "interval")
_KEYS: dict[str, Dialect] = {
    "min_healthy_time": "deployment",
    "interval": "rollout",
    "success_threshold": "rollout",
    "failure_threshold": "rollout",
}
_SET = "set 'dialect: deployment' or 'dialect: rollout' beside the file in a scenario, dialect=... in Python"
_HOW = f"{_SET}, or wrap the spec: {WRAPPED}"

_IDENTITY = {
    "id": "the deployment's id",
    "job_id": "the job's id",
    "job_type": "the job's type, such as daemon",
    "namespace": "the job's namespace, such as default",
}


@dataclass(frozen=True)
class DeploymentDocument:
    """A parsed JSON document."""

    spec: Spec
    dialect: Dialect
    deployment: Deployment | None = None  # the whole object; None if the text was a bare spec
    warnings: tuple[Problem, ...] = ()  # unknown keys, which are kept, with file and line
    wrapper: Dialect | None = None  # the key around the object, as in a response body
    beside: Mapping[str, Any] = field(default_factory=dict, hash=False)  # unknown keys beside the wrapper
    # The policy's own orchestrator, beside a bare spec, unchecked.
    orchestrator: Any = field(default=None, hash=False)

    def to_json(self) -> str:
        """Return the canonical JSON text, with exactly the keys that were read."""
        value = (self.deployment or self.spec).to_dict()
        if self.orchestrator is not None:
            value["orchestrator"] = self.orchestrator
        return canonical_json(value if self.wrapper is None else {**self.beside, self.wrapper: value})


def read_deployment(path: str | os.PathLike[str], *, dialect: Dialect | None = None) -> DeploymentDocument:
    """Read a deployment or a spec from a JSON file.

    Parameters
    ----------
    path : path
        The body of ``GET deployment``, a deployment object, or a bare spec.
    dialect : {'deployment', 'rollout', 'general'}, optional
        By default as the spec states it, or recognised from keys that only one dialect has. If given, durations may also have
        the other dialect's form (a number is seconds for deployment, nanoseconds for rollout).

    Raises
    ------
    InputError
        With all problems and their lines.

    Examples
    --------
    >>> import pathlib, tempfile, simdeploy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "spec.json")
    ...     _ = path.write_text('{"strategy": "rolling", "max_parallel": 4, "health_check": {"deadline": "5m"}}')
    ...     document = simdeploy.read_deployment(path)
    >>> document.dialect, document.spec.max_parallel, document.spec.health_check.deadline
    ('deployment', 4, '5m')
    """
    return parse_deployment(read_text(path), file=os.fspath(path), dialect=dialect)


def parse_deployment(text: str, *, file: str | None = None, dialect: Dialect | None = None) -> DeploymentDocument:
    """Read a deployment or a spec from JSON text; messages name `file`.

    Raises
    ------
    InputError
        As `read_deployment`.

    Examples
    --------
    >>> parse_deployment('{"strategy": "rolling", "health_check": {"deadline": "5m"}}').dialect
    'deployment'
    """
    if dialect is not None and dialect not in SPEC_TYPES:
        raise InputError(Problem("unknown dialect", found=shorten(dialect), allowed=", ".join(SPEC_TYPES)))
    text = text.removeprefix("\ufeff")
    body = parse_json(text, file=file)
    document, problems = read_body(body, dialect)
    if document is None:
        raise InputError(locate(cut(problems), text, file=file))
    # Unknown keys are legal here, so the allowed keys are not listed.
    kept = [replace(problem, allowed=None) for problem in cut(problems)]
    return replace(document, warnings=tuple(locate(kept, text, file=file)))


def read_body(body: object, dialect: Dialect | None) -> tuple[DeploymentDocument | None, list[Problem]]:
    """Read plain data; return the document and its warnings, or None and all problems."""
    if not isinstance(body, dict):
        return None, [Problem("not an object", found=shorten(body), allowed=_FORMS)]
    wrappers = [key for key in WRAPPERS if key in body]
    if len(wrappers) > 1:
        return None, [Problem("both a deployment and a rollout", allowed=_FORMS)]
    if wrappers:
        return _read_wrapped(body, wrappers[0], dialect)
    if "spec" in body:
        return _read_deployment_object(body, (), dialect, None)
    if body.keys() & DeploymentSpec.model_fields.keys():
        keys = {key: value for key, value in body.items() if key != "orchestrator"}
        spec, problems, warnings = _read_spec(keys, (), dialect, None)
        if spec is None:
            return None, problems
        return DeploymentDocument(spec, spec.dialect, orchestrator=body.get("orchestrator")), warnings
    hints = (nearest(key, [*WRAPPERS, "spec", "strategy"]) for key in islice(body, MOST_PROBLEMS))
    return None, [Problem("neither a deployment nor a spec", allowed=_FORMS, hint=next(filter(None, hints), None))]


def _read_wrapped(
    body: Mapping[str, Any], wrapper: Dialect, dialect: Dialect | None
) -> tuple[DeploymentDocument | None, list[Problem]]:
    document, problems = _read_deployment_object(body[wrapper], (wrapper,), dialect, wrapper)
    if document is None:
        return None, problems
    beside = {key: value for key, value in body.items() if key != wrapper}
    warnings = [Problem("unknown key", path=(key,), meant=(key, (wrapper,))) for key in beside]
    return replace(document, wrapper=wrapper, beside=beside), warnings + problems


def _read_deployment_object(
    raw: object, path: Path, dialect: Dialect | None, wrapper: Dialect | None
) -> tuple[DeploymentDocument | None, list[Problem]]:
    if not isinstance(raw, dict):
        return None, [not_a_group(raw, path)]
    spec, problems, warnings = _read_spec(raw.get("spec"), (*path, "spec"), dialect, wrapper)
    # An invalid spec is replaced, so that everything beside it is checked nevertheless.
    stand_in = spec or DeploymentSpec(strategy="immediate")
    deployment, others = build(Deployment, {**raw, "spec": stand_in})
    problems += (problem.at(prefix=path) for problem in others)
    if any(problem.message == PLACEHOLDER_MESSAGE for problem in problems):
        problems += (problem.at(prefix=path) for problem in placeholders(raw))
    if deployment is None or problems:
        return None, problems
    warnings += (problem.at(prefix=path) for problem in unknown_keys_in(raw, Deployment))
    return DeploymentDocument(deployment.spec, deployment.spec.dialect, deployment), warnings


def _read_spec(
    raw: object, path: Path, dialect: Dialect | None, wrapper: Dialect | None
) -> tuple[Spec | None, list[Problem], list[Problem]]:
    """Return the spec (None if there are problems), the problems and the warnings."""
    if raw is None:
        return None, [Problem(MISSING, path=path, allowed='a spec with at least a "strategy"')], []
    if not isinstance(raw, dict):
        return None, [not_a_group(raw, path)], []
    stated = raw.get("dialect")
    if isinstance(stated, str) and stated in SPEC_TYPES:
        raw = {key: value for key, value in raw.items() if key != "dialect"}
        dialect = dialect or stated
    recognised = dialect or recognise(raw, wrapper)
    if isinstance(recognised, Problem):
        return None, [problem.at(prefix=path) for problem in without_dialect(raw, recognised)], []
    spec, problems = build_spec(raw, dialect=recognised)
    warnings = unknown_keys_in(raw, SPEC_TYPES[recognised])
    return (
        spec,
        [problem.at(prefix=path) for problem in problems],
        [problem.at(prefix=path) for problem in warnings],
    )


def without_dialect(raw: Mapping[str, Any], problem: Problem) -> list[Problem]:
    """Return the problems of a spec of unknown dialect: only misspelt keys if there are any, as they may be the missing evidence."""
    others = contradictions(raw)
    slip = None if "strategy" in raw else misspelt("strategy", raw)
    slips = [Problem(MISSING, ("strategy",), hint=slip)] if slip else []
    slips += [other for other in others if other.hint]
    return slips or [problem, *others]


def recognise(spec: Mapping[str, Any], wrapper: Dialect | None) -> Dialect | Problem:
    """Return the dialect of a spec, or a problem if there is no evidence or contradicting evidence.

    Evidence: the wrapping key, health check keys that only one dialect has, and the form of durations: a string
    (deployment) or a number (rollout).

    Examples
    --------
    >>> recognise({"strategy": "rolling", "health_check": {"deadline": "5m"}}, None)
    'deployment'
    """
    evidence: dict[Dialect, list[str]] = {"deployment": [], "rollout": []}
    keys: dict[Dialect, list[str]] = {"deployment": [], "rollout": []}  # of the health check
    if wrapper is not None:
        evidence[wrapper].append(f"the key {wrapper}")
    health_check = spec.get("health_check")
    if isinstance(health_check, Mapping):
        for key in health_check:
            if key in _KEYS:
                evidence[_KEYS[key]].append(format_path(("health_check", key)))
                keys[_KEYS[key]].append(key)
        for key in _DURATIONS:
            value = health_check.get(key)
            if isinstance(value, str) and value:
                evidence["deployment"].append(f"the string in {format_path(('health_check', key))}")
                keys["deployment"].append(key)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                evidence["rollout"].append(f"the number in {format_path(('health_check', key))}")
                keys["rollout"].append(key)
    spoken = [dialect for dialect, signs in evidence.items() if signs]
    if len(spoken) == 1:
        return spoken[0]
    if not spoken:
        return Problem("the dialect is ambiguous: deployment or rollout", hint=_HOW)
    mix = "; ".join(f"{dialect}: {', '.join(signs)}" for dialect, signs in evidence.items())
    message = "keys of both dialects, deployment and rollout"
    if wrapper is None:
        return Problem(message, found=mix, hint=_SET)
    other: Dialect = "rollout" if wrapper == "deployment" else "deployment"
    # Nothing else, because this is also said of requests, where nothing else is possible.
    hint = f"write it as the {wrapper} dialect does, or the key around it as '{other}'"
    return Problem(message, ("health_check", keys[other][0]), found=mix, hint=hint)


def placeholders(deployment: Mapping[str, Any]) -> list[Problem]:
    """List text fields that still hold the documentation's placeholder "string".

    It may also be a real name, so call this only if a duration or time in the same body is the placeholder.
    """
    status = deployment.get("status")
    status = status if isinstance(status, Mapping) else {}
    canary_nodes = status.get("canary_nodes")
    places_of_placeholders: list[tuple[Path, str]] = [
        ((key,), allowed) for key, allowed in _IDENTITY.items() if deployment.get(key) == PLACEHOLDER
    ]
    if status.get("message") == PLACEHOLDER:
        places_of_placeholders.append((("status", "message"), "the reason for the state"))
    if isinstance(canary_nodes, list):
        places = (index for index, node in enumerate(canary_nodes) if node == PLACEHOLDER)
        places_of_placeholders += [
            (("status", "canary_nodes", index), "a node's name") for index in islice(places, MOST_PROBLEMS)
        ]
    return [
        Problem(PLACEHOLDER_MESSAGE, path=path, found=repr(PLACEHOLDER), allowed=allowed)
        for path, allowed in places_of_placeholders
    ]
