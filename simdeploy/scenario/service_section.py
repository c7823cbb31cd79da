"""The keys of ``fleet`` about requests: which nodes serve them, and their number by the time of day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BeforeValidator, Field

from simdeploy.api.values import Kind, choice
from simdeploy.errors import InputError, Path, Problem, collect, raise_if_any, shorten
from simdeploy.scenario.parts import Costs
from simdeploy.scenario.section import ReadBy, Section, optional, validation_error
from simdeploy.scenario.values import SHARED, duration_ns, hour_suspicions, number, read_value
from simdeploy.units import write_duration
from simdeploy.world.fleet import Across, Fleet, SharedService
from simdeploy.world.traffic import DAY_NS, Traffic

_MOST = 10**6
_TIME = Kind("a time of day from 0h, below 24h, such as 8h30m", duration_ns, {SHARED: "Duration"})
_FACTOR = number(float, 0, _MOST)
_PAIR = "a time of day and a factor, such as [8h, 1]"


def _read_service(value: object) -> object:
    if value is None or value == "local":
        return None
    if not isinstance(value, Mapping):
        meant = (str(value), ("local", "shared"))
        hint = "write {shared: {capacity: 1.4}}" if value == "shared" else None
        allowed = "local, or {shared: {capacity: 1.4}}"
        problem = Problem(
            "unknown value", found=shorten(value), allowed=allowed, hint=hint, meant=None if hint else meant
        )
        raise validation_error([problem])
    return value


local = BeforeValidator(_read_service)


def _allow_local(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"const": "local"}, *schema["anyOf"]]


def local_field(description: str) -> Any:
    """Declare a field that defaults to a local service."""
    return Field(default="local", description=description, json_schema_extra=_allow_local)


class SharedServiceSection(Section):
    """A service whose nodes take over the requests of those that are out of service."""

    capacity: Annotated[float, number(float, 0, _MOST, above_low=True)] = Field(
        description="Requests that a node can serve, as a multiple of its requests_per_second."
    )
    across: Annotated[Across, choice(*get_args(Across))] = optional(
        "fleet", "Nodes that share their requests: the fleet, or those of each zone or class."
    )

    def build(self) -> SharedService:
        """Return the value for the world."""
        return SharedService(self.capacity, self.across)


class ServiceSection(Section):
    """Who serves the requests of a node that is out of service."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("capacity", "across"), "a key of shared: service: {shared: {capacity: 1.4, across: zone}}"
    )

    shared: SharedServiceSection = Field(
        description="Other nodes of its pool serve the requests, up to their capacity."
    )


def _read_curve(raw: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(raw, list) or not raw:
        example = "a list of pairs, such as [[0h, 0.2], [8h, 1]]"
        raise InputError(Problem("not a list of pairs", found=shorten(raw), allowed=example))
    points: list[tuple[int, float]] = []
    problems: list[Problem] = []
    before: int | None = None
    for place, pair in enumerate(raw):
        if not isinstance(pair, list) or len(pair) != 2:
            problems.append(Problem("not a pair", (place,), found=shorten(pair), allowed=_PAIR))
            continue
        time: int | None = None
        factor: float | None = None
        with collect(problems, prefix=(place, 0)):
            time = read_value(_TIME, pair[0])
        with collect(problems, prefix=(place, 1)):
            factor = read_value(_FACTOR, pair[1])
        if time is not None and time >= DAY_NS:
            allowed = "a time of day from 0h, below 24h"
            problems.append(Problem("too late", (place, 0), found=shorten(pair[0]), allowed=allowed))
        elif time is not None and before is not None and time <= before:
            allowed = f"a time after {write_duration(before)}"
            problems.append(Problem("times must rise", (place, 0), found=shorten(pair[0]), allowed=allowed))
        else:
            before = before if time is None else time
        if time is not None and factor is not None:
            points.append((time, factor))
    raise_if_any(problems)
    return tuple(points)


_PAIRS = {
    "type": "array",
    "prefixItems": [dict(_TIME.schema), dict(_FACTOR.schema)],
    "minItems": 2,
    "maxItems": 2,
}
_DAY_CURVE = ReadBy(_read_curve, {"type": "array", "items": _PAIRS, "minItems": 1})


class TrafficSection(Section):
    """Traffic by the time of day."""

    daily: Annotated[tuple[tuple[int, float], ...], _DAY_CURVE] = Field(
        description="Times of day and factors on requests_per_second, interpolated linearly, also across midnight."
    )

    def build(self) -> Traffic:
        """Return the value for the world."""
        times, factors = zip(*self.daily, strict=True)
        return Traffic(times, factors)


def request_suspicions(stated: Mapping[str, Any], fleet: Fleet, costs: Costs | None) -> Iterator[Problem]:
    """Warn about bare numbers meant as hours, keys without effect, and a service that is always overloaded.

    `stated` is the section `fleet` of the file.
    """
    has_traffic = any(behaviour.traffic for behaviour in fleet.behaviours)
    if has_traffic:
        yield from _hour_suspicions(stated, ("fleet",))
        for place, node_class in enumerate(stated["classes"] if fleet.classes else ()):
            yield from _hour_suspicions(node_class, ("fleet", "classes", place))
    service, where = fleet.service, ("fleet", "service")
    if service is None and costs is not None and costs.shed_request:
        yield Problem("no effect: in a local service no request is shed", ("costs", "shed_request"))
    if service is not None and costs is not None and costs.lost_request:
        yield Problem("no effect: in a shared service no request is lost", ("costs", "lost_request"))
    if not (has_traffic or service):
        return
    if not fleet.has_requests:
        if has_traffic:
            yield Problem("no effect: there are no requests", ("fleet", "traffic"))
        if service is not None:
            yield Problem("no effect: there are no requests", where)
    elif service is not None:
        if (service.across == "zone" and fleet.zones == 1) or (service.across == "class" and not fleet.classes):
            message = f"no effect: the fleet has no {'zones' if service.across == 'zone' else 'classes'}"
            yield Problem(message, (*where, "shared", "across"), found=service.across)
        lowest = min(min(b.traffic.factors) if b.traffic else 1.0 for b in fleet.behaviours)
        if service.capacity < lowest:
            message = f"below the demand of {lowest:g} at any hour: requests are shed even while all nodes serve"
            yield Problem(message, (*where, "shared", "capacity"), found=f"{service.capacity:g}")


def _hour_suspicions(behaviour: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    traffic = behaviour.get("traffic")
    if isinstance(traffic, Mapping):
        for place, (time, _) in enumerate(traffic["daily"]):
            yield from hour_suspicions(time, (*path, "traffic", "daily", place, 0))
