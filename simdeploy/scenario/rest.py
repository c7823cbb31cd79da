"""The sections of a file other than the fleet, and their checks that don't depend on the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from simdeploy.api.check import MISSING
from simdeploy.errors import Problem
from simdeploy.rules.deployment_types import fill_versions
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.change_windows_section import build_change_windows, change_window_suspicions
from simdeploy.scenario.file_model import CostsSection, DeploymentSection, HealthSection, OperatorSection, ScenarioFile
from simdeploy.scenario.files import Files
from simdeploy.scenario.fleet_section import build_fleet
from simdeploy.scenario.orchestrator_section import build_orchestrator, orchestrator_problems
from simdeploy.scenario.parts import Costs, FrozenMapping, Identity, ScenarioPolicy
from simdeploy.scenario.plain import read_once
from simdeploy.scenario.policies import PolicyReading, Surroundings, read_policy, version_suspicions
from simdeploy.scenario.policy_checks import health_problems
from simdeploy.scenario.release_section import build_release
from simdeploy.scenario.requirements_section import cross_check_requirements
from simdeploy.scenario.section import is_explained, key_reader, problems_of, unknown_keys
from simdeploy.scenario.suspicions import PolicySuspicions
from simdeploy.scenario.switch_suspicions import process_suspicions
from simdeploy.world.operator import Operator, ScriptedAct

_NO_FILES = Files("")

REST = tuple(name for name in ScenarioFile.model_fields if name != "fleet")


class SectionReading(NamedTuple):
    """A section of a file, and the part of a scenario built from it alone, if there is one."""

    section: Any
    part: Any


@dataclass(frozen=True)
class RestReading:
    """All sections but the fleet, with their problems.

    `errors` and `warnings` are pairs: problems to report before those of the fleet, and after them.
    """

    sections: Mapping[str, SectionReading]  # by name, as far as they are valid
    parts: Mapping[str, Any]  # fields of a scenario by name, likewise
    surroundings: Surroundings  # context for further policies
    misread: Mapping[str, Sequence[Problem]]  # by section; unknown ones are under ""
    errors: tuple[Sequence[Problem], Sequence[Problem]]
    warnings: tuple[Sequence[Problem], Sequence[Problem]]
    of_policies: Mapping[str, Sequence[Problem]]  # warnings by policy, before those about its fleet


@read_once
def read_rest(
    raw: Mapping[str, Any],
    *,
    files: Files,
    nodes: int | None,
    known: Mapping[str, SectionReading],
) -> RestReading:
    """Read and check everything but the fleet; files of policies are read for a fleet of `nodes`, if known.

    An invalid section doesn't prevent checks of the others. Sections `known` from the same data are not read again.
    """
    unknown = unknown_keys(raw, ScenarioFile.model_fields)
    misread: dict[str, Sequence[Problem]] = {"": unknown} if unknown else {}
    sections = dict(known)
    for name in REST:
        if name not in sections:
            section = read_section(raw, name, files, misread)
            if section is not None:
                sections[name] = section
    parts = {part: sections[name].part for name, (part, _) in _BUILDERS.items() if name in sections}
    stated: Mapping[str, Any] = sections["policies"].section if "policies" in sections else {}
    if isinstance(stated.get("strategy"), str):
        hint = "write its keys below a name of your choice: policies: {NAME: {strategy: ...}}"
        misread["policies"], stated = [Problem("a policy without a name", ("policies",), hint=hint)], {}
    surroundings = _find_surroundings(sections, parts, *((files, nodes) if _name_files(stated) else (_NO_FILES, None)))
    policies = {name: read_policy(name, policy, surroundings, ("policies", name)) for name, policy in stated.items()}
    parts["policies"] = FrozenMapping(
        {name: reading.policy for name, reading in policies.items() if reading.policy is not None}
    )
    errors = tuple(_policy_problems(policies, parts)), tuple(_cross_check(parts, tuple(stated)))
    early = version_suspicions(parts["identity"], ("deployment",)) if "identity" in parts else []
    early += [warning for reading in policies.values() for warning in reading.warnings]
    late: Sequence[Problem] = ()
    of_policies: dict[str, Sequence[Problem]] = {}
    if not misread and not any(errors):
        late = tuple(_find_suspicions(raw, parts))
        for name, policy in parts["policies"].items():
            orchestrator = policy.orchestrator or parts["orchestrator"]
            of_policies[name] = tuple(PolicySuspicions(policy, ("policies", name), orchestrator))
    return RestReading(sections, parts, surroundings, misread, errors, (tuple(early), late), of_policies)


def read_section(
    raw: Mapping[str, Any], name: str, files: Files | None, misread: dict[str, Sequence[Problem]]
) -> SectionReading | None:
    """Read one section, so that an invalid one doesn't affect others; its problems go to `misread`, under its name."""
    value = raw.get(name)
    if value is None:
        if not ScenarioFile.model_fields[name].is_required():
            return _read_default(name)
        missing = Problem(MISSING, (name,))
        if not is_explained(missing, unknown_keys(raw, ScenarioFile.model_fields)):
            misread[name] = [missing]
        return None
    try:
        return _read_section(value, name, files=files)
    except ValidationError as error:
        misread[name] = problems_of(error, (name,))
        return None


@read_once
def _read_section(value: object, name: str, files: Files | None = None) -> SectionReading:
    section = _readers()[name].validate_python(value, context=files)
    return SectionReading(section, _BUILDERS[name][1](section) if name in _BUILDERS else None)


@cache
def _read_default(name: str) -> SectionReading:
    return _read_section(ScenarioFile.model_fields[name].default, name)


@lru_cache(maxsize=1)
def _readers() -> dict[str, TypeAdapter[Any]]:
    return {name: key_reader(key) for name, key in ScenarioFile.model_fields.items()}


def _operator(section: OperatorSection) -> Operator:
    return Operator(
        promote_after=section.promote_after,
        notices_defect=section.notices_defect,
        rejects_good=section.rejects_good,
        escape_detection=section.escape_detection,
        undo_after=section.escape_detection if section.undo_after is None else section.undo_after,
        script=tuple(ScriptedAct(act.at, act.do) for act in section.script or ()),
        change_windows=build_change_windows(section.change_windows),
    )


def _costs(section: CostsSection | None) -> Costs | None:
    return None if section is None else Costs(**section.model_dump())


def _identity(section: DeploymentSection) -> Identity:
    # The API shows an id, but the file has no key for it.
    versions = fill_versions(section.type, section.from_version, section.to_version)
    known = section.model_dump() | dict(zip(("from_version", "to_version"), versions, strict=True))
    return Identity(id=f"{section.job_id}-{known['to_version']}", **known)


# By section: the part of a scenario built from it alone, and its builder.
_BUILDERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "name": ("name", str),
    "description": ("description", str),
    "fleet": ("fleet", build_fleet),
    "release": ("release", build_release),
    "operator": ("operator", _operator),
    "orchestrator": ("orchestrator", build_orchestrator),
    "health": ("health_interval_ns", lambda health: health.interval),
    "deployment": ("identity", _identity),
    "costs": ("costs", _costs),
    "requirements": ("requirements", lambda requirements: tuple(section.build() for section in requirements)),
}


def _find_surroundings(
    sections: Mapping[str, SectionReading], parts: Mapping[str, Any], files: Files, nodes: int | None
) -> Surroundings:
    # If identity or interval are invalid, policies are still checked, with defaults.
    deployment = sections["deployment"].section if "deployment" in sections else DeploymentSection()
    identity = parts.get("identity") or _identity(deployment)
    interval_ns = parts.get("health_interval_ns") or HealthSection().interval
    return Surroundings(identity, tuple(sorted(deployment.model_fields_set)), interval_ns, files, nodes)


def _name_files(policies: Mapping[str, Any]) -> bool:
    return any(isinstance(policy, Mapping) and policy.get("file") is not None for policy in policies.values())


def _policy_problems(policies: Mapping[str, PolicyReading], parts: Mapping[str, Any]) -> Iterator[Problem]:
    for name, policy in policies.items():
        if not name.strip():
            yield Problem("a policy without a name", ("policies", name))
        yield from policy.problems
        if policy.policy is None and policy.stand_in is not None and "health_interval_ns" in parts:
            yield from health_problems(policy.stand_in, ("policies", name))
    orchestrator: Orchestrator | None = parts.get("orchestrator")
    if orchestrator is not None:
        yield from orchestrator_problems(orchestrator)


def _cross_check(parts: Mapping[str, Any], policies: tuple[str, ...]) -> Iterator[Problem]:
    yield from cross_check_requirements(
        parts.get("requirements", ()),
        policies=policies,
        kinds=tuple(kind.name for kind in parts.get("release", ())) or None,
        # None if that section is invalid.
        has_costs=parts["costs"] is not None if "costs" in parts else None,
    )
    valid: Mapping[str, ScenarioPolicy] = parts["policies"]
    if "health_interval_ns" in parts:
        for name, policy in valid.items():
            yield from health_problems(policy, ("policies", name))


def _find_suspicions(raw: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[Problem]:
    yield from process_suspicions(raw, parts["orchestrator"], parts["policies"])
    yield from change_window_suspicions(raw, parts["operator"].change_windows)
