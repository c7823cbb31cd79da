"""Conversion of plain data to the parts of a scenario, with all checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from simdeploy.errors import Path, Problem, listed, shorten
from simdeploy.records.histories import PastRollouts
from simdeploy.rules.gates.gate import MOST_GATED_REQUESTS
from simdeploy.rules.orchestrator import Orchestrator
from simdeploy.scenario.file_model import ScenarioFile
from simdeploy.scenario.files import Files
from simdeploy.scenario.fleet_suspicions import fleet_suspicions, idle_key_suspicions, start_suspicions
from simdeploy.scenario.node_lists import unknown_nodes
from simdeploy.scenario.parts import ScenarioPolicy
from simdeploy.scenario.past_rollouts import past_problems
from simdeploy.scenario.policies import Surroundings
from simdeploy.scenario.policy_checks import policy_problems
from simdeploy.scenario.rest import REST, RestReading, SectionReading, read_rest, read_section
from simdeploy.scenario.service_section import request_suspicions
from simdeploy.scenario.suspicions import PolicyInFleetSuspicions
from simdeploy.scenario.switch_suspicions import idle_switch_suspicions, pacing_suspicions, waiting_suspicions
from simdeploy.units import NS_PER_S, write_duration
from simdeploy.world.fleet import Fleet, peak_rate
from simdeploy.world.release import ReleaseKind

_MAX_REQUESTS = 10**12


class Origin(NamedTuple):
    """The data and files that a scenario was read from, which `with_values` starts from."""

    raw: Mapping[str, Any]
    files: Files
    fleet: SectionReading
    rest: RestReading

    @property
    def surroundings(self) -> Surroundings:
        """Context for further policies."""
        return replace(self.rest.surroundings, files=self.files, nodes=self.fleet.part.nodes)


class Reading(NamedTuple):
    """The result of reading a scenario's data; problems are without file and line."""

    origin: Origin | None  # None if there are errors
    parts: Mapping[str, Any]  # a scenario's fields by name, as far as they are valid
    problems: Sequence[Problem]  # errors; or warnings, if there are none


def read_parts(raw: object, files: Files, before: Origin | None = None) -> Reading:
    """Check everything, and build all valid parts.

    An invalid section doesn't prevent checks of the others. Sections that are the same objects as in `before` are not read
    again.
    """
    if not isinstance(raw, Mapping):
        allowed = "the keys " + ", ".join(ScenarioFile.model_fields)
        return Reading(None, {}, [Problem("not a scenario", found=shorten(raw), allowed=allowed)])
    misread: dict[str, Sequence[Problem]] = {}
    if before is not None and raw.get("fleet") is before.raw["fleet"]:
        fleet: SectionReading | None = before.fleet
    else:
        fleet = read_section(raw, "fleet", files, misread)
    rest = _read_rest(raw, files, None if fleet is None else fleet.part.nodes, before)
    parts = dict(rest.parts)
    if fleet is not None:
        past: PastRollouts | None = fleet.section.records
        parts["fleet"] = fleet.part
        parts["past"] = past and replace(past, is_resampled=fleet.section.resample is not None)
    errors = [*rest.errors[0], *_fleet_problems(fleet, parts), *rest.errors[1], *_policy_problems(parts)]
    if fleet is None or rest.misread or errors:
        misread |= rest.misread
        unread = [problem for name in ("", *ScenarioFile.model_fields) for problem in misread.get(name, ())]
        return Reading(None, parts, unread + errors)
    warnings = [
        *rest.warnings[0],
        *_fleet_suspicions(raw, parts),
        *rest.warnings[1],
        *_policy_suspicions(raw, parts, rest),
    ]
    return Reading(Origin(raw, files, fleet, rest), parts, warnings)


def _read_rest(raw: Mapping[str, Any], files: Files, nodes: int | None, before: Origin | None) -> RestReading:
    known: dict[str, SectionReading] = {}
    if before is not None:
        known = {
            name: section for name, section in before.rest.sections.items() if raw.get(name) is before.raw.get(name)
        }
        if len(known) == len(REST) and before.rest.surroundings.nodes in (None, nodes):
            return before.rest
    stated = {name: value for name, value in raw.items() if name != "fleet"}
    return read_rest(stated, files=files, nodes=nodes, known=known)


def _fleet_problems(section: SectionReading | None, parts: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare the fleet with the parts that are valid."""
    if section is None:
        return
    fleet: Fleet = section.part
    release: tuple[ReleaseKind, ...] = parts.get("release", ())
    for kind in release:
        yield from affects_problems(kind, fleet)
    intervals_ns = [policy.policy.interval_ns for policy in parts["policies"].values()]
    yield from request_problems(fleet, [*intervals_ns, parts.get("health_interval_ns", 0)])
    past: PastRollouts | None = section.section.records
    if past is None and section.section.resample:
        yield Problem("has no effect without `records`", ("fleet", "resample"))
    if past is not None and {"operator", "release", "identity"} <= parts.keys():
        yield from past_problems(past, fleet, release, parts["operator"], parts["identity"].type)


def _policy_problems(parts: Mapping[str, Any]) -> Iterator[Problem]:
    fleet: Fleet | None = parts.get("fleet")
    orchestrator: Orchestrator | None = parts.get("orchestrator")
    policies: Mapping[str, ScenarioPolicy] = parts["policies"]
    if fleet is not None and orchestrator is not None:
        for name, policy in policies.items():
            yield from policy_problems(policy, ("policies", name), fleet, policy.orchestrator or orchestrator)


def _fleet_suspicions(raw: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[Problem]:
    fleet: Fleet = parts["fleet"]
    types = {policy.identity.type for policy in parts["policies"].values()}
    yield from fleet_suspicions(fleet, parts["release"], parts["orchestrator"], types)
    yield from request_suspicions(raw["fleet"], fleet, parts["costs"])
    if fleet.classes:
        yield from idle_key_suspicions(raw["fleet"]["classes"])


def _policy_suspicions(raw: Mapping[str, Any], parts: Mapping[str, Any], rest: RestReading) -> Iterator[Problem]:
    fleet, release, orchestrator = parts["fleet"], parts["release"], parts["orchestrator"]
    yield from start_suspicions(raw, fleet, parts["operator"].change_windows)
    followers = [policy for policy in parts["policies"].values() if policy.orchestrator is None]
    if followers:
        yield from waiting_suspicions(orchestrator, fleet)
        yield from pacing_suspicions(orchestrator, followers, fleet)
        yield from idle_switch_suspicions(orchestrator, followers)
    for name, policy in parts["policies"].items():
        yield from rest.of_policies.get(name, ())
        of_policy = policy.orchestrator or orchestrator
        yield from PolicyInFleetSuspicions(policy, ("policies", name), of_policy, fleet, release)


def affects_problems(kind: ReleaseKind, fleet: Fleet) -> Iterator[Problem]:
    """List classes, zones and nodes that don't exist."""
    affects = kind.affects
    if not affects.members:
        return
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
    """Limit the requests of one window; in a shared service a single node may receive those of the whole fleet."""
    most = _MAX_REQUESTS
    if fleet.service is not None or any(behaviour.traffic for behaviour in fleet.behaviours):
        most = MOST_GATED_REQUESTS  # these are compared with an error rate in 64-bit integers
    longest_ns = max(intervals_ns, default=0)
    window_ns = longest_ns * (1 if fleet.service is None else fleet.nodes)
    for number, behaviour in enumerate(fleet.behaviours):
        rate = peak_rate(behaviour)
        if rate.numerator * window_ns <= most * NS_PER_S * rate.denominator:  # faster than fractions
            continue
        is_inherited = number > 0 and behaviour.requests_per_second == fleet.behaviour.requests_per_second
        if not is_inherited:
            path: Path = ("fleet", *(("classes", number - 1) if number else ()), "requests_per_second")
            where = " of a node that serves the whole fleet's" if fleet.service is not None else ""
            message = f"more than {most:,} requests in a window of {write_duration(longest_ns)}{where}"
            yield Problem(message, path, found=f"{float(behaviour.requests_per_second):g}")
