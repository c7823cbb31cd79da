"""What a record says of a rollout, in the form in which it is replayed: nodes by position, times in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.world.operator import ScriptedAct

# started: it started then. failed: its last attempt had failed by then. silent: nothing had come of it until then, and whether
# anything ever does is not known. hangs: its attempt ended then, and nothing ever comes of it.
Start = Literal["started", "failed", "silent", "hangs"]


class SeenWindow(NamedTuple):
    """What a health window saw."""

    requests: int
    failed: int
    up: bool


class Outage(NamedTuple):
    """When a node was down, nanoseconds after the start of the rollout."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class KnownNode:
    """What is known of a node; times from its dispatch on, unless said otherwise."""

    dispatched_ns: int | None = None  # after the start of the rollout; None if it never was
    start: Start = "silent"
    start_ns: int = -1  # when it started, and so on; -1 for a node of which nothing is known
    windows: tuple[SeenWindow, ...] | None = ()  # those in a row from its start on; None if there are none on record
    verdict_ns: int | None = None  # when a node that started was resolved; None if it was not
    has_failed: bool = False  # whether its verdict was that it failed, started or not
    watched_ns: int = -1  # how far it is known, if it started
    is_repeated_only: bool = False  # whether only under the very same health check, as its tries are not told apart
    down_at_turn_ns: int | None = None  # after the start of the rollout: found down at its turn; -1: at an unknown time
    outages: tuple[Outage, ...] = ()  # of the node or its zone, in order
    attempts: int | None = None  # to start, as far as it is known; None if they were not counted


@dataclass(frozen=True)
class KnownRollout:
    """What is known of a rollout."""

    nodes: tuple[KnownNode, ...]  # all of the fleet, in the order of dispatch
    zone_of: tuple[int, ...]  # by position, as the next two
    class_of: tuple[int, ...]
    class_names: tuple[str, ...]  # empty for a node in no class
    zones: int
    # Those it was run by; None if they are not on record.
    policy: Policy | None
    orchestrator: Orchestrator | None
    interval_ns: int  # of its health windows
    type_name: str = "update"  # of the deployment
    acts: tuple[ScriptedAct, ...] = ()  # what people did
    # How long after the canaries (and their bake time) they were promoted by people; None if they were not.
    promote_after_ns: int | None = None
    # By position and end of a window, after the start of the rollout: what was seen of a node on the old version.
    old_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    # The same of a running node; the end is counted from its dispatch.
    running_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    release: str | None = None  # its kind
    is_defective: bool | None = None  # None if nobody knows
    starts_at_ns: int = 0  # time of the day at which the rollout started, since midnight
