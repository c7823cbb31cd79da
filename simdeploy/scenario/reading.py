"""From plain data to the parts of a scenario, with all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from simdeploy.api.check import MISSING
from simdeploy.errors import Path, Problem, listed, shorten
from simdeploy.records.histories import PastRollouts
from simdeploy.rules.deployment_types import fill_versions
from simdeploy.rules.gates.gate import MOST_GATED_REQUESTS
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.change_windows_section import build_change_windows, change_window_suspicions
from simdeploy.scenario.file_model import CostsSection, DeploymentSection, HealthSection, OperatorSection, ScenarioFile
from simdeploy.scenario.files import Files
from simdeploy.scenario.fleet_section import build_fleet
from simdeploy.scenario.node_lists import unknown_nodes
from simdeploy.scenario.orchestrator_section import build_orchestrator, orchestrator_problems
from simdeploy.scenario.parts import Costs, FrozenMapping, Identity, ScenarioPolicy
from simdeploy.scenario.past_rollouts import past_problems
from simdeploy.scenario.plain import read_once
from simdeploy.scenario.policies import PolicyReading, Surroundings, read_policy, version_suspicions
from simdeploy.scenario.policy_checks import health_problems, policy_problems
from simdeploy.scenario.release_section import build_release
from simdeploy.scenario.requirements_section import cross_check_requirements
from simdeploy.scenario.section import is_explained, key_reader, problems_of, unknown_keys
from simdeploy.scenario.service_section import request_suspicions
from simdeploy.scenario.suspicions import PolicySuspicions, fleet_suspicions, process_suspicions, start_suspicions
from simdeploy.units import NS_PER_S, format_duration
from simdeploy.world.fleet import Fleet, peak_rate
from simdeploy.world.operator import Operator, ScriptedAct
from simdeploy.world.release import ReleaseKind

_MAX_REQUESTS = 10**12


@dataclass
class Reading:
    """Parts of a scenario, with problems."""

    parts: dict[str, Any] = field(default_factory=dict)  # a scenario's fields by name, as far as they are valid
    surroundings: Surroundings | None = None  # context for further policies
    errors: list[Problem] = field(default_factory=list)  # without file and line, as are warnings
    warnings: list[Problem] = field(default_factory=list)
    sections: dict[str, SectionReading] = field(default_factory=dict)  # by name, as far as they are valid


class SectionReading(NamedTuple):
    """A section of a file, and the part of a scenario that is made of it alone, if there is one."""

    section: Any
    part: Any


def read_parts(raw: object, files: Files, known: Mapping[str, Any] | None = None) -> Reading:
    """Check everything, and build all valid parts.

    An invalid section doesn't prevent checks of the others. Sections `known` from the same data are not read again.
    """
    reading = Reading()
    if not isinstance(raw, Mapping):
        allowed = "the keys " + ", ".join(ScenarioFile.model_fields)
        reading.errors.append(Problem("not a scenario", found=shorten(raw), allowed=allowed))
        return reading
    reading.sections = _read_sections(raw, files, reading.errors, known or {})
    sections = {name: read.section for name, read in reading.sections.items()}
    parts = reading.parts
    parts.update({part: reading.sections[name].part for name, (part, _) in _BUILDERS.items() if name in sections})
    if "fleet" in sections:
        section = sections["fleet"]
        parts["past"] = section.records and replace(section.records, is_resampled=section.resample is not None)
    if "identity" in parts:
        reading.warnings += version_suspicions(parts["identity"], ("deployment",))
    _read_policies(sections, reading, files)
    _cross_check(reading, sections)
    if not reading.errors:
        _suspect(raw, reading)
    return reading


def _read_sections(
    raw: Mapping[str, Any], files: Files, errors: list[Problem], known: Mapping[str, SectionReading]
) -> dict[str, SectionReading]:
    """Read every section on its own, so that a bad one leaves the others."""
    fields = ScenarioFile.model_fields
    unknown = unknown_keys(raw, fields)
    errors += unknown
    sections: dict[str, SectionReading] = {}
    for name, key in fields.items():
        if name in known:
            sections[name] = known[name]
            continue
        value = raw.get(name)
        if value is None and key.is_required():
            missing = Problem(MISSING, (name,))
            if not is_explained(missing, unknown):
                errors.append(missing)
            continue
        if value is None:
            sections[name] = _read_default(name)
            continue
        try:
            sections[name] = _read_section(value, name, files=files)
        except ValidationError as error:
            errors += problems_of(error, (name,))
    return sections


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
        script=tuple(ScriptedAct(act.at, act.do) for act in section.script or ()),
        change_windows=build_change_windows(section.change_windows),
    )


def _costs(section: CostsSection | None) -> Costs | None:
    return None if section is None else Costs(**section.model_dump())


def _identity(section: DeploymentSection) -> Identity:
    # The API shows an id, for which the file has no key.
    versions = fill_versions(section.type, section.from_version, section.to_version)
    known = section.model_dump() | dict(zip(("from_version", "to_version"), versions, strict=True))
    return Identity(id=f"{section.job_id}-{known['to_version']}", **known)


# By section, the name of the part that is made of it alone, and how.
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


def _read_policies(sections: Mapping[str, Any], reading: Reading, files: Files) -> None:
    # Where identity or interval can't be read, policies are still checked, under stand-ins.
    deployment = sections.get("deployment") or DeploymentSection()
    interval_ns = reading.parts.get("health_interval_ns") or HealthSection().interval
    stated = tuple(sorted(deployment.model_fields_set))
    fleet: Fleet | None = reading.parts.get("fleet")
    identity = reading.parts.get("identity") or _identity(deployment)
    around = Surroundings(identity, stated, interval_ns, files, None if fleet is None else fleet.nodes)
    reading.surroundings = around
    policies: dict[str, ScenarioPolicy] = {}
    for name, raw in sections.get("policies", {}).items():
        if not name.strip():
            reading.errors.append(Problem("a policy without a name", ("policies", name)))
        result: PolicyReading = read_policy(name, raw, around, ("policies", name))
        reading.errors += result.problems
        reading.warnings += result.warnings
        if result.policy is not None:
            policies[name] = result.policy
        elif result.stand_in is not None and "health_interval_ns" in reading.parts:
            reading.errors += health_problems(result.stand_in, ("policies", name))
    reading.parts["policies"] = FrozenMapping(policies)


def _cross_check(reading: Reading, sections: Mapping[str, Any]) -> None:
    """Compare the parts that could be read with each other."""
    parts, errors = reading.parts, reading.errors
    fleet: Fleet | None = parts.get("fleet")
    release: tuple[ReleaseKind, ...] = parts.get("release", ())
    orchestrator: Orchestrator | None = parts.get("orchestrator")
    policies: Mapping[str, ScenarioPolicy] = parts["policies"]
    if orchestrator is not None:
        errors += orchestrator_problems(orchestrator)
    if fleet is not None:
        for kind in release:
            errors += affects_problems(kind, fleet)
        intervals_ns = [policy.policy.interval_ns for policy in policies.values()]
        errors += request_problems(fleet, [*intervals_ns, parts.get("health_interval_ns", 0)])
    past: PastRollouts | None = getattr(sections.get("fleet"), "records", None)
    if past is None and getattr(sections.get("fleet"), "resample", None):
        errors.append(Problem("has no effect without `records`", ("fleet", "resample")))
    if past is not None and fleet is not None and {"operator", "release", "identity"} <= parts.keys():
        errors += past_problems(past, fleet, release, parts["operator"], parts["identity"].type)
    errors += cross_check_requirements(
        parts.get("requirements", ()),
        policies=tuple(sections.get("policies", ())),
        kinds=tuple(kind.name for kind in release) or None,
        has_costs=parts.get("costs") is not None,
    )
    if "health_interval_ns" in parts:
        for name, policy in policies.items():
            errors += health_problems(policy, ("policies", name))
    if fleet is not None and orchestrator is not None:
        for name, policy in policies.items():
            errors += policy_problems(policy, ("policies", name), fleet, policy.orchestrator or orchestrator)


def _suspect(raw: Mapping[str, Any], reading: Reading) -> None:
    parts = reading.parts
    fleet, orchestrator, policies = parts["fleet"], parts["orchestrator"], parts["policies"]
    reading.warnings += fleet_suspicions(fleet, parts["release"], orchestrator)
    reading.warnings += request_suspicions(raw["fleet"], fleet, parts.get("costs"))
    reading.warnings += process_suspicions(raw, orchestrator, policies)
    reading.warnings += change_window_suspicions(raw, parts["operator"].change_windows)
    reading.warnings += start_suspicions(raw, fleet, parts["operator"].change_windows)
    for name, policy in policies.items():
        reading.warnings += PolicySuspicions(policy, ("policies", name), fleet, policy.orchestrator or orchestrator)


def affects_problems(kind: ReleaseKind, fleet: Fleet) -> Iterator[Problem]:
    """Look for classes, zones and nodes that don't exist."""
    affects = kind.affects
    path = ("release", kind.name, "affects", affects.by)
    names = tuple(node_class.name for node_class in fleet.classes)
    known, allowed = set(names), listed(names) or "none: the fleet has no classes"
    for number, member in enumerate(affects.members):
        if affects.by == "classes" and member not in known:
            meant = (str(member), names)
            yield Problem("no such class", (*path, number), found=shorten(member), allowed=allowed, meant=meant)
        if affects.by == "zones" and isinstance(member, int) and member >= fleet.zones:
            zones = f"0 to {fleet.zones - 1}"
            yield Problem("no such zone", (*path, number), found=str(member), allowed=zones)
    if affects.by == "nodes":
        yield from unknown_nodes([int(member) for member in affects.members], fleet.nodes, path)


def request_problems(fleet: Fleet, intervals_ns: Iterable[int]) -> Iterator[Problem]:
    """Limit the requests of one window: of a shared service, if one node of a pool has to meet them all."""
    most = _MAX_REQUESTS
    if fleet.service is not None or any(behaviour.traffic for behaviour in fleet.behaviours):
        most = MOST_GATED_REQUESTS  # compared with an error rate in whole numbers
    longest_ns = max(intervals_ns, default=0)
    paths: list[Path] = [("fleet", "requests_per_second")]
    paths += [("fleet", "classes", number, "requests_per_second") for number in range(len(fleet.classes))]
    for path, behaviour in zip(paths, fleet.behaviours, strict=True):
        rate, window_ns = peak_rate(behaviour), longest_ns * (1 if fleet.service is None else fleet.nodes)
        if rate.numerator * window_ns <= most * NS_PER_S * rate.denominator:  # faster than fractions
            continue
        inherited = len(path) > len(paths[0]) and behaviour.requests_per_second == fleet.behaviour.requests_per_second
        if not inherited:
            where = " of a node that serves the whole fleet's" if fleet.service is not None else ""
            message = f"more than {most:,} requests in a window of {format_duration(longest_ns)}{where}"
            yield Problem(message, path, found=f"{float(behaviour.requests_per_second):g}")
