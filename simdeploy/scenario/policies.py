"""Policies from a scenario, a caller or a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from simdeploy.api import (
    DeploymentDocument,
    Dialect,
    Spec,
    parse_deployment,
    spec_from_dict,
    spec_problems,
    unknown_keys,
)
from simdeploy.api.document import read_body
from simdeploy.api.files import is_file, read_text
from simdeploy.api.json_text import locate
from simdeploy.api.spec import SPEC_TYPES
from simdeploy.dialects import PolicyImport, policy_from_spec
from simdeploy.dialects.expanso import is_deployment
from simdeploy.dialects.importing import import_source, recognise
from simdeploy.dialects.source import Source
from simdeploy.errors import InputError, Path, Problem, cut, is_printable, name_problems, not_among, shorten
from simdeploy.rules.deployment_types import doubt_versions, fill_versions
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.rules.policy import Policy
from simdeploy.scenario.files import Files, without_contents
from simdeploy.scenario.orchestrator_section import OrchestratorSection, build_orchestrator, orchestrator_problems
from simdeploy.scenario.parts import Identity, ScenarioPolicy
from simdeploy.scenario.plain import read_once
from simdeploy.scenario.section import located, problems_of
from simdeploy.scenario.yaml_text import parse_yaml

_IDENTITY_KEYS = ("type", "id", "job_id", "job_type", "namespace", "from_version", "to_version")

_BESIDE_FILE = ("dialect", "orchestrator")

YAML_ENDINGS = (".yaml", ".yml")
POLICY_ENDINGS = (".json", *YAML_ENDINGS)


@dataclass(frozen=True)
class Surroundings:
    """Context that a policy takes from its scenario."""

    identity: Identity
    stated: tuple[str, ...]  # identity keys that the scenario states; a JSON file should not contradict them
    interval_ns: int  # evaluation window, if the dialect states none
    files: Files
    nodes: int | None = None  # of the fleet, if valid


@dataclass(frozen=True)
class PolicyReading:
    """A policy or its problems, with paths from the policy's name.

    `stand_in` allows checks against the fleet if only keys outside the health check are invalid.
    """

    policy: ScenarioPolicy | None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    stand_in: ScenarioPolicy | None = None


def read_policy(name: str, raw: object, around: Surroundings, prefix: Path = ()) -> PolicyReading:
    """Read a policy of a scenario file: an inline spec, or the name of a file."""
    if not is_printable(name):
        return PolicyReading(None, name_problems(name, prefix))
    if not isinstance(raw, Mapping):
        allowed = "a deployment spec such as {strategy: rolling, ...}, or {file: deployment.json}"
        return PolicyReading(None, [Problem("not a deployment spec", prefix, found=shorten(raw), allowed=allowed)])
    dialect = raw.get("dialect")
    if dialect is not None and (not isinstance(dialect, str) or dialect not in SPEC_TYPES):
        return PolicyReading(None, [not_among("unknown dialect", (*prefix, "dialect"), dialect, SPEC_TYPES)])
    orchestrator, problems = _read_orchestrator(raw.get("orchestrator"), prefix)
    if raw.get("file") is not None:
        reading = _read_file(name, raw, around, prefix)
        if problems:
            return replace(reading, policy=None, problems=[*problems, *reading.problems])
        if reading.policy is None or orchestrator is None:
            return reading
        return replace(reading, policy=replace(reading.policy, orchestrator=orchestrator))
    keys = {key: value for key, value in raw.items() if key not in ("dialect", "file", "orchestrator")}
    spec, policy, more = _read_spec(keys, dialect or "deployment", around.interval_ns)
    problems += [problem.at(prefix=prefix) for problem in more]
    if spec is not None and policy is not None and not problems:
        return PolicyReading(ScenarioPolicy(name, spec, policy, around.identity, orchestrator))
    stand_in = None
    if keys.get("strategy") in ("rolling", "canary"):
        health_check = {"strategy": "rolling", "health_check": keys.get("health_check")}
        plain, _ = spec_from_dict(health_check, dialect=dialect or "deployment")
        stand_in = _policy(name, plain, around.identity, around) if plain else None
    return PolicyReading(None, problems, stand_in=stand_in)


@read_once
def _read_spec(
    keys: Mapping[str, Any], dialect: Dialect, interval_ns: int
) -> tuple[Spec | None, Policy | None, Sequence[Problem]]:
    spec, problems = spec_from_dict(keys, dialect=dialect)
    return spec, None if spec is None else policy_from_spec(spec, interval_ns=interval_ns), problems


def _read_orchestrator(raw: object, prefix: Path) -> tuple[Orchestrator | None, list[Problem]]:
    """Read a policy's own orchestrator: a preset, or a preset with switches."""
    if raw is None:
        return None, []
    path = (*prefix, "orchestrator")
    try:
        orchestrator = build_orchestrator(OrchestratorSection.model_validate(raw))
    except ValidationError as error:
        return None, problems_of(error, path)
    return orchestrator, [problem.at(prefix=prefix) for problem in orchestrator_problems(orchestrator)]


def imported_policy(name: str, imported: PolicyImport, around: Surroundings, path: Path = ()) -> PolicyReading:
    """Make a policy from an imported file; warn about values that were not evaluated and fields that may be misspelt."""
    reading = read_policy(name, imported.policy, around, path)
    policy = None if reading.policy is None else replace(reading.policy, is_imported=True)
    return replace(reading, policy=policy, warnings=[*reading.warnings, *imported.warnings()])


def _read_file(name: str, raw: Mapping[str, Any], around: Surroundings, prefix: Path) -> PolicyReading:
    message = f"not allowed beside `file`, except {', '.join(f'`{key}`' for key in _BESIDE_FILE)}"
    problems = [Problem(message, (*prefix, key)) for key in raw if key not in ("file", *_BESIDE_FILE)]
    file = raw["file"]
    if not isinstance(file, str) or not file.strip():
        problems.append(Problem("not a file name", (*prefix, "file"), found=shorten(file)))
        return PolicyReading(None, problems)
    try:
        text = around.files.text(file)
    except InputError as error:
        return PolicyReading(None, problems + [problem.at(prefix=(*prefix, "file")) for problem in error.problems])
    try:
        document = parse_policy(text, file=around.files.path(file), dialect=raw.get("dialect"), nodes=around.nodes)
    except InputError as error:
        return PolicyReading(None, problems + [without_contents(problem) for problem in error.problems])
    path = (*prefix, "file")
    if isinstance(document, PolicyImport):
        reading = imported_policy(name, document, around, path)
    else:
        reading = document_policy(name, document, around, path)
    return replace(reading, policy=None, problems=problems) if problems else reading


def document_policy(name: str, document: DeploymentDocument, around: Surroundings, path: Path = ()) -> PolicyReading:
    """Make a policy from a JSON document, whose type, ids and versions override the scenario's."""
    warnings = list(document.warnings)
    identity = around.identity
    for key in _IDENTITY_KEYS if document.deployment is not None else ():
        value = getattr(document.deployment, key)
        if value is None or value == "":
            continue
        if key in around.stated and value != getattr(around.identity, key):
            message = f"its {key} overrides deployment.{key}, {shorten(getattr(around.identity, key))}"
            warnings.append(Problem(message, path, found=shorten(value)))
        identity = replace(identity, **{key: value})
    if identity.type != around.identity.type:
        identity = _with_versions_of_type(identity, document, around)
    warnings += version_suspicions(identity, path) if identity != around.identity else ()
    orchestrator, problems = _read_orchestrator(document.orchestrator, path)
    if problems:
        return PolicyReading(None, problems)
    return PolicyReading(_policy(name, document.spec, identity, around, orchestrator), warnings=warnings)


def version_suspicions(identity: Identity, path: Path) -> list[Problem]:
    """Return problems of a deployment's versions."""
    doubt = doubt_versions(identity.type, identity.from_version, identity.to_version)
    found = f"{identity.from_version} to {identity.to_version}"
    return [] if doubt is None else [Problem(doubt, path, found=found)]


def _with_versions_of_type(identity: Identity, document: DeploymentDocument, around: Surroundings) -> Identity:
    """Return an identity whose type differs from the scenario's, with default versions of that type unless they are stated."""
    known = {
        key: getattr(identity, key) if key in around.stated or getattr(document.deployment, key) is not None else None
        for key in ("from_version", "to_version")
    }
    from_version, to_version = fill_versions(identity.type, **known)
    return replace(identity, from_version=from_version, to_version=to_version)


def spec_policy(name: str, spec: Spec, around: Surroundings) -> PolicyReading:
    """Make a policy from a spec."""
    problems = spec_problems(spec)
    if problems:
        return PolicyReading(None, problems)
    return PolicyReading(_policy(name, spec, around.identity, around), warnings=unknown_keys(spec))


def _policy(
    name: str, spec: Spec, identity: Identity, around: Surroundings, orchestrator: Orchestrator | None = None
) -> ScenarioPolicy:
    policy = policy_from_spec(spec, interval_ns=around.interval_ns)
    return ScenarioPolicy(name, spec, policy, identity, orchestrator)


def is_policy_file(policy: object) -> bool:
    """Whether this is a path, not the name of a policy: it ends like a policy's file, or there is such a file or pipe."""
    is_named_so = isinstance(policy, str) and (policy.lower().endswith(POLICY_ENDINGS) or is_file(policy))
    return is_named_so or isinstance(policy, os.PathLike)


def read_policy_file(path: str | os.PathLike[str], nodes: int | None = None) -> DeploymentDocument | PolicyImport:
    """Read a policy from a file: JSON or YAML of a dialect, or another orchestrator's file, recognised by its content.

    `nodes` is the number of nodes of its fleet.
    """
    return parse_policy(read_text(path), file=os.fspath(path), nodes=nodes)


def parse_policy(
    text: str, *, file: str, dialect: Dialect | None = None, nodes: int | None = None
) -> DeploymentDocument | PolicyImport:
    r"""Parse a policy from a file's text.

    A file of a dialect is YAML if its name ends with .yaml or .yml, and JSON if it ends with .json. Others, such as pipes, are
    JSON if they begin like it. It may have the keys `dialect` and `orchestrator` beside the spec, as in a scenario.

    Examples
    --------
    >>> parse_policy("dialect: rollout\nstrategy: immediate\n", file="now.yaml").dialect
    'rollout'
    """
    source = Source(text, file)
    kind = recognise(source)
    if kind is not None and not is_deployment(source):
        if dialect is not None:
            message = f"a file of kind {kind}, which has no dialect"
            raise InputError(Problem(message, ("dialect",), file=file, found=dialect, hint="leave `dialect` out"))
        return import_source(source, kind, nodes=nodes)
    ending = PurePath(file).suffix.lower()
    if ending == ".json" or (ending not in YAML_ENDINGS and source.is_json):
        document = parse_deployment(text, file=file, dialect=dialect)
        _, problems = _read_orchestrator(document.orchestrator, ())
        if problems:
            raise InputError(locate(problems, text.removeprefix("\ufeff"), file=file))
        return document
    body, positions = parse_yaml(text, file)
    made, problems = read_body(body, dialect)
    bad = problems if made is None else _read_orchestrator(made.orchestrator, ())[1]
    if made is None or bad:
        raise InputError(located(cut(bad), file, positions))
    # Unknown keys are legal here, so the allowed keys are not listed.
    kept = [replace(problem, allowed=None) for problem in cut(problems)]
    return replace(made, warnings=tuple(located(kept, file, positions)))
