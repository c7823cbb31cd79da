"""A rollout as known from its record, in the form for replays: nodes by position, times in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.world.operator import ScriptedAct

# What happened to a node at `start_ns`. started: it started. failed: its last attempt failed. silent: nothing had been heard
# until then, and the rest is unknown. hangs: its attempt ended, and nothing will ever be heard.
Start = Literal["started", "failed", "silent", "hangs"]


class SeenWindow(NamedTuple):
    """The result of a health window."""

    requests: int
    failed: int
    up: bool


class Outage(NamedTuple):
    """When a node was down, nanoseconds after the start of the rollout."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class KnownNode:
    """The known part of a node's fate; times are counted from its dispatch unless stated otherwise."""

    dispatched_ns: int | None = None  # after the start of the rollout; None if it never was
    start: Start = "silent"
    start_ns: int = -1  # time of `start`; -1 if nothing is known of the node
    windows: tuple[SeenWindow, ...] | None = ()  # consecutive windows from its start on; None if none are on record
    verdict_ns: int | None = None  # when a node that started was resolved; None if it wasn't
    has_failed: bool = False  # whether its verdict is a failure, started or not
    watched_ns: int = -1  # until when it is known, if it started
    # Whether it is known only under the same health check, as tries can't be distinguished.
    is_repeated_only: bool = False
    # When it was found down at its turn, after the rollout's start; -1: at an unknown time.
    down_at_turn_ns: int | None = None
    outages: tuple[Outage, ...] = ()  # of the node or its zone, in order
    attempts: int | None = None  # attempts to start; None if unknown


@dataclass(frozen=True)
class KnownRollout:
    """The known part of a rollout."""

    nodes: tuple[KnownNode, ...]  # all of the fleet, in the order of dispatch
    zone_of: tuple[int, ...]  # by position, as the next two
    class_of: tuple[int, ...]
    class_names: tuple[str, ...]  # empty for a node in no class
    zones: int
    # policy, orchestrator: those that it was run by; None if not on record
    policy: Policy | None
    orchestrator: Orchestrator | None
    interval_ns: int  # of its health windows
    type_name: str = "update"  # of the deployment
    acts: tuple[ScriptedAct, ...] = ()  # acts of people
    # How long after their bake time people promoted the canaries; None if they didn't.
    promote_after_ns: int | None = None
    # Windows of nodes on the old version, by position and end of the window after the start of the rollout.
    old_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    # Windows of running nodes, by position and end of the window after the node's dispatch.
    running_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    release: str | None = None  # its kind
    is_defective: bool | None = None  # None if unknown
    starts_at_ns: int = 0  # time of the day at which the rollout started, since midnight
