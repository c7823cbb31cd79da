"""The ``fleet`` section."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler

from simdeploy.api.values import Flag, choice
from simdeploy.errors import InputError, Problem, nearest
from simdeploy.records.histories import PastRollouts
from simdeploy.scenario import values
from simdeploy.scenario.files import briefly
from simdeploy.scenario.laws import DurationLaw, FactorLaw, ProbabilityLaw
from simdeploy.scenario.node_lists import node_list, unknown_nodes
from simdeploy.scenario.past_rollouts import RECORDS
from simdeploy.scenario.section import OrNone, Section, none_field, optional, problems_of, validation_error
from simdeploy.scenario.service_section import ServiceSection, TrafficSection, local, local_field
from simdeploy.units import NS_PER_S
from simdeploy.world.connection import Connection
from simdeploy.world.fleet import Behaviour, Flapping, Fleet, NodeClass, Order, Outages

# An alternating process with shorter cycles would take forever to simulate.
_MIN_CYCLE_S = 1e-3


def _check_lasts(time: Any) -> Any:
    """Check that one of the two times of an alternating process, a law or nanoseconds, is not always 0."""
    mean_s = time / NS_PER_S if isinstance(time, int) else time.mean
    if mean_s <= 0:
        raise validation_error([Problem("too short: the mean must be above 0", found=f"{mean_s:g} s")])
    return time


def _check_cycle(time: Any, info: ValidationInfo) -> Any:
    """Check the sum of both times, at the second; the first is the only other key read so far, if it is valid."""
    for first in info.data.values():
        mean_s = (first + time) / NS_PER_S if isinstance(time, int) else first.mean + time.mean
        if mean_s < _MIN_CYCLE_S:
            message = "too short: the mean cycle must be at least 1ms"
            raise validation_error([Problem(message, found=f"{mean_s:g} s")])
    return time


_LASTS, _CYCLE = AfterValidator(_check_lasts), AfterValidator(_check_cycle)


class FlappingSection(Section):
    """Alternating good and degraded periods, exponential."""

    good: Annotated[values.DurationNs, _LASTS] = Field(description="Mean length of a good period.")
    degraded: Annotated[values.DurationNs, _LASTS, _CYCLE] = Field(description="Mean length of a degraded period.")
    error_rate: values.Probability = Field(description="Fraction of requests that fail while degraded.")

    def build(self) -> Flapping:
        """Return the value for the world."""
        return Flapping(self.good / NS_PER_S, self.degraded / NS_PER_S, self.error_rate)


class ZoneOutageSection(Section):
    """Up and repair times of a zone."""

    up: Annotated[DurationLaw, _LASTS] = Field(description="Time from a repair to the next failure.")
    repair: Annotated[DurationLaw, _CYCLE] = Field(description="Time from a failure to its repair.")

    def build(self) -> Outages:
        """Return the value for the world."""
        return Outages(self.up, self.repair)


class CrashSection(ZoneOutageSection):
    """Up and repair times of a node."""

    renewed_by_update: Flag = optional(False, "A successful start begins a new up time.")

    def build(self) -> Outages:
        """Return the value for the world."""
        return Outages(self.up, self.repair, self.renewed_by_update)


class ConnectionSection(Section):
    """Online and offline times of a node; while offline it serves, but can't communicate with the control plane."""

    online: Annotated[DurationLaw, _LASTS] = Field(description="Time from coming online to going offline.")
    offline: Annotated[DurationLaw, _CYCLE] = Field(description="Time from going offline to coming online.")

    def build(self) -> Connection:
        """Return the value for the world."""
        return Connection(self.online, self.offline)


class BehaviourSection(Section):
    """Behaviour of nodes: keys that a class may override."""

    nullable = ("flapping", "crash", "zone_outage", "traffic", "connection")

    requests_per_second: values.ExactNumber = optional(0, "Requests per second to each node.")
    traffic: Annotated[TrafficSection | None, OrNone] = none_field("Traffic by the time of day.")
    rollback_duration: DurationLaw | None = optional(None, "Rollback time per node; default: update_duration.")
    rollback_failure: values.Probability = optional(0, "Probability that a node's rollback fails.")
    slowdown: FactorLaw = optional(
        1, "Factor on every update_duration, drawn once per replication (a slow registry); not on rollbacks."
    )
    start_failure: ProbabilityLaw = optional(
        0,
        "Probability that a start attempt fails, known at its end; a distribution is drawn once per "
        "replication (correlated failures).",
    )
    start_attempts: values.Attempts = optional(1, "Start attempts, each of update_duration, before a node fails.")
    start_hang: values.Probability = optional(0, "Probability per attempt that the node is silent until the deadline.")
    error_rate: ProbabilityLaw = optional(
        0, "Baseline fraction of failed requests; a distribution is drawn once per node."
    )
    flapping: Annotated[FlappingSection | None, OrNone] = none_field(
        "Alternating good and degraded periods, exponential."
    )
    crash: Annotated[CrashSection | None, OrNone] = none_field("Crashes and repairs of each node.")
    zone_outage: Annotated[ZoneOutageSection | None, OrNone] = none_field("Outages of whole zones.")
    connection: Annotated[ConnectionSection | None, OrNone] = none_field(
        "Online and offline times of each node's connection to the control plane."
    )


def _complete_class(schema: dict[str, Any]) -> None:
    # A key that a class leaves out has the fleet's value, not a default.
    for key in schema["properties"].values():
        key.pop("default", None)
    schema["oneOf"] = [{"required": [key]} for key in _CHOICES]


# A class has exactly one of these.
_CHOICES = ("share", "nodes")


class ClassSection(BehaviourSection):
    """A part of the fleet; its keys override the fleet's."""

    model_config = ConfigDict(json_schema_extra=_complete_class)

    name: values.Name = Field(description="The class's name.")
    share: values.ExactProbability | None = optional(None, "Fraction of the fleet's nodes, at random; or use nodes.")
    nodes: Annotated[tuple[int, ...], node_list("nodes")] | None = optional(None, "Exactly these nodes; or use share.")
    down: Flag = optional(False, "Whether the nodes are out of service from the start, for good.")
    update_duration: DurationLaw | None = optional(None, "Duration of one start attempt.")

    @model_validator(mode="wrap")
    @classmethod
    def _has_nodes(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        problems = _choice_problems(raw, cls.model_fields) if isinstance(raw, dict) else []
        try:
            section = handler(raw)
        except ValidationError as error:
            problems += problems_of(error)
        if problems:
            raise validation_error(problems)
        return section


def _choice_problems(raw: dict[str, Any], known: Collection[str]) -> list[Problem]:
    given = [key for key in _CHOICES if raw.get(key) is not None]
    is_misspelt = not given and any(key not in known and nearest(key, _CHOICES) for key in raw)
    if len(given) == 1 or is_misspelt:
        return []
    message = f"exactly one of {' and '.join(_CHOICES)} is required"
    return [Problem(message, found=" and ".join(given) or "neither", allowed="{share: 0.1} or {nodes: [4]}")]


class FleetSection(BehaviourSection):
    """The nodes and how they behave."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "down": "a key of a class: classes: [{name: away, nodes: [4], down: true}]",
        "capacity": "a key of service: service: {shared: {capacity: 1.4}}",
        "shared": "a key of service: service: {shared: {capacity: 1.4}}",
        "daily": "a key of traffic: traffic: {daily: [[0h, 0.2], [8h, 1]]}",
    }

    nodes: values.Nodes = Field(description="Number of nodes.")
    zones: values.Zones = optional(1, "Number of zones; node i is in zone i mod zones.")
    order: Annotated[
        Literal["index", "random", "zone"] | tuple[int, ...], node_list("order", ("index", "random", "zone"))
    ] = optional("index", "Update order of the nodes; those in a list go first, the others follow by number.")
    update_duration: DurationLaw = Field(
        description="Duration of one start attempt; the node is out of service meanwhile."
    )
    service: Annotated[ServiceSection | None, local] = local_field(
        "Requests to a node out of service: local, they are lost; shared, other nodes serve them."
    )
    classes: Annotated[list[ClassSection] | None, OrNone] = none_field("Parts of the fleet that behave differently.")
    records: Annotated[PastRollouts, RECORDS] | None = optional(
        None, "File or folder of records: every replication is one of its rollouts."
    )
    resample: Annotated[Literal["rollouts"], choice("rollouts")] | None = optional(
        None, "Draw rollouts on record at random, instead of in order."
    )

    @field_validator("records")
    @classmethod
    def _records_fit(cls, records: PastRollouts | None, info: ValidationInfo) -> PastRollouts | None:
        if records is None or "nodes" not in info.data:
            return records
        try:
            return records.in_fleet(info.data["nodes"])
        except InputError as error:
            raise validation_error(map(briefly, error.problems)) from None

    @field_validator("zones")
    @classmethod
    def _zones_have_nodes(cls, zones: int, info: ValidationInfo) -> int:
        nodes = info.data.get("nodes")
        if nodes is not None and zones > nodes:
            raise validation_error([Problem("more zones than nodes", found=str(zones), allowed=f"1 to {nodes}")])
        return zones

    @field_validator("order")
    @classmethod
    def _order_has_nodes(cls, order: str | tuple[int, ...], info: ValidationInfo) -> str | tuple[int, ...]:
        if isinstance(order, tuple) and "nodes" in info.data:
            problems = list(unknown_nodes(order, info.data["nodes"], ()))
            if problems:
                raise validation_error(problems)
        return order

    @field_validator("classes")
    @classmethod
    def _classes_fit(cls, classes: list[ClassSection] | None, info: ValidationInfo) -> list[ClassSection] | None:
        problems: list[Problem] = []
        first: dict[str, int] = {}
        for number, section in enumerate(classes or ()):
            if section.name in first:
                message = f"duplicate name; first used by classes[{first[section.name]}]"
                problems.append(Problem(message, (number, "name"), found=repr(section.name)))
            first.setdefault(section.name, number)
        problems += _node_problems(classes or (), info.data.get("nodes"))
        total = sum(section.share or 0 for section in classes or ())
        if total > 1:
            message = f"the shares add up to {float(total):.12g}, more than 1"
            problems.append(Problem(message))
        if problems:
            raise validation_error(problems)
        return classes


def _node_problems(classes: Sequence[ClassSection], n_nodes: int | None) -> Iterator[Problem]:
    """List exact nodes that don't exist, or that several classes name."""
    first: dict[int, tuple[int, int]] = {}
    for number, section in enumerate(classes):
        nodes, path = section.nodes or (), (number, "nodes")
        if n_nodes is not None:
            yield from unknown_nodes(nodes, n_nodes, path)
        for position, node in enumerate(nodes):
            if node in first:
                other, place = first[node]
                message = f"a node of two classes; first named by classes[{other}].nodes[{place}]"
                yield Problem(message, (*path, position), found=str(node))
            first.setdefault(node, (number, position))


# Keys of a behaviour, and those of them that are sections.
_BEHAVIOUR = (*BehaviourSection.model_fields, "update_duration")
_SECTIONS = ("flapping", "crash", "zone_outage", "traffic", "connection")


def build_fleet(section: FleetSection) -> Fleet:
    """Build the fleet from a checked section."""
    keys = {name: getattr(section, name) for name in _BEHAVIOUR}
    classes = []
    for class_section in section.classes or ():
        overrides = {name: getattr(class_section, name) for name in class_section.model_fields_set if name in keys}
        # From the keys, because in the fleet's behaviour rollback_duration has already defaulted to the fleet's update_duration.
        behaviour = _behaviour(keys | overrides)
        if class_section.down:
            # Nodes that never serve can't degrade, crash or go offline.
            behaviour = replace(behaviour, flapping=None, crash=None, zone_outage=None, connection=None, down=True)
        classes.append(NodeClass(class_section.name, class_section.share, behaviour, class_section.nodes or ()))
    order: Order
    order, first = ("nodes", section.order) if isinstance(section.order, tuple) else (section.order, ())
    service = section.service.shared.build() if section.service else None
    return Fleet(section.nodes, section.zones, order, _behaviour(keys), tuple(classes), first, service)


def _behaviour(keys: Mapping[str, Any]) -> Behaviour:
    parts = dict(keys)
    if parts["rollback_duration"] is None:
        parts["rollback_duration"] = parts["update_duration"]
    for name in _SECTIONS:
        if parts[name] is not None:
            parts[name] = parts[name].build()
    return Behaviour(**parts)
