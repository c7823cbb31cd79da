"""The fleet and the behaviour of its nodes: the part of a scenario that no policy changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from simdeploy.units import exact, round_half_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from simdeploy.world.connection import Connection
    from simdeploy.world.distributions import Distribution
    from simdeploy.world.traffic import Traffic

Order = Literal["index", "random", "zone", "nodes"]
Across = Literal["fleet", "zone", "class"]


@dataclass(frozen=True)
class Flapping:
    """Degraded spells: an alternating process with exponential times."""

    # good_s, degraded_s: mean lengths of the two kinds of spell, seconds
    good_s: float
    degraded_s: float
    error_rate: float  # fraction of failed requests while degraded


@dataclass(frozen=True)
class Outages:
    """An alternating renewal process of up and repair times."""

    # up, repair: seconds
    up: Distribution
    repair: Distribution
    renewed_by_update: bool = False  # whether a successful start begins a new up time (crashes only)


@dataclass(frozen=True)
class Behaviour:
    """Behaviour of one class of nodes."""

    requests_per_second: Fraction  # per node
    # update_duration, rollback_duration: seconds of one attempt to start, and of a rollback
    update_duration: Distribution
    rollback_duration: Distribution
    rollback_failure: float  # probability that a rollback fails
    slowdown: Distribution  # factor on every `update_duration`, drawn once per replication
    start_failure: Distribution  # probability that an attempt to start fails, drawn once per replication
    start_attempts: int  # attempts before the node counts as failed
    start_hang: float  # probability that an attempt leaves the node silent until its deadline
    error_rate: Distribution  # fraction of failed requests, drawn once per node
    flapping: Flapping | None
    crash: Outages | None  # of the node itself
    zone_outage: Outages | None  # of the node's zone
    down: bool = False  # whether the nodes are out of service from the start, for good
    traffic: Traffic | None = None  # factor on the requests by the time of day; None for none
    connection: Connection | None = None  # the node's line to the control plane; None if it never breaks

    @property
    def may_be_unreachable(self) -> bool:
        """Whether nodes may be down or offline at their turn."""
        return self.down or any((self.crash, self.zone_outage, self.connection))


@dataclass(frozen=True)
class SharedService:
    """A service whose nodes take over the requests of those that are out of service."""

    capacity: float  # what a node can serve, as a multiple of its requests per second
    across: Across = "fleet"  # which nodes form a pool that shares its requests


@dataclass(frozen=True)
class NodeClass:
    """A part of the fleet with different behaviour: a share of it, or exact nodes."""

    name: str
    # Of the fleet: exactly round(share x nodes) nodes, halves up, among those that no class names.
    share: Fraction | None
    behaviour: Behaviour  # the fleet's, with the keys of the class replaced
    nodes: tuple[int, ...] = ()  # exactly these nodes; empty if there is a share

    def wanted(self, n_nodes: int) -> int:
        """Return how many nodes of a fleet of `n_nodes` the class has, if enough are left for its share."""
        return len(self.nodes) if self.share is None else round_half_up(self.share * n_nodes)


@dataclass(frozen=True)
class Fleet:
    """The nodes."""

    nodes: int
    zones: int  # node i is in zone ``i % zones``
    # Order in which nodes are updated. With ``nodes``, those in `first` go first, the others follow by number.
    order: Order
    behaviour: Behaviour  # of nodes in no class
    classes: tuple[NodeClass, ...]
    first: tuple[int, ...] = ()  # nodes that go first, in this order; empty unless the order is ``nodes``
    service: SharedService | None = None  # None if each node has its own requests, which no other node serves

    @property
    def behaviours(self) -> tuple[Behaviour, ...]:
        """Behaviours by class number: 0 is the fleet's own, then the classes in the file's order."""
        return (self.behaviour, *(node_class.behaviour for node_class in self.classes))

    @property
    def class_sizes(self) -> tuple[int, ...]:
        """Numbers of nodes by class number, as in `behaviours`; exact nodes may leave a share less than it wants."""
        left = self.nodes - sum(len(node_class.nodes) for node_class in self.classes)
        sizes = []
        for node_class in self.classes:
            wanted = node_class.wanted(self.nodes)
            sizes.append(wanted if node_class.share is None else min(wanted, left))
            left -= 0 if node_class.share is None else sizes[-1]
        return (left, *sizes)

    @property
    def has_requests(self) -> bool:
        """Whether any node has requests."""
        return any(behaviour.requests_per_second for behaviour in self.behaviours)


def peak_rate(behaviour: Behaviour) -> Fraction:
    """Return the most requests per second that a node of a local service has at any time of the day."""
    rate = behaviour.requests_per_second
    return rate * exact(max(behaviour.traffic.factors)) if behaviour.traffic else rate


def traffic_points(behaviours: Sequence[Behaviour]) -> list[int]:
    """Return the times of the day at which the slope of some class's traffic changes, sorted, nanoseconds since midnight."""
    return sorted(
        {int(start) for behaviour in behaviours if behaviour.traffic for start in behaviour.traffic.pieces[0]}
    )
