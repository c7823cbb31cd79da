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
    """What is known of a node; times from its dispatch on, unless said otherwise.

    Attributes
    ----------
    dispatched_ns : int or None
        After the start of the rollout; None if it never was.
    start : {'started', 'failed', 'silent', 'hangs'}
    start_ns : int
        When it started, and so on; -1 for a node of which nothing is known.
    windows : tuple of SeenWindow or None
        Those in a row from its start on; None if there are none on record.
    verdict_ns : int or None
        When a node that started was resolved; None if it was not.
    has_failed : bool
        Whether its verdict was that it failed, started or not.
    watched_ns : int
        How far it is known, if it started.
    is_repeated_only : bool
        Whether it is known only under the very same health check, because its tries are not told apart.
    down_at_turn_ns : int or None
        After the start of the rollout: when it was found down at its turn. -1: at an unknown time.
    outages : tuple of Outage
        Of the node or its zone, in order.
    attempts : int or None
        To start, as far as it is known; None if they were not counted.
    """

    dispatched_ns: int | None = None
    start: Start = "silent"
    start_ns: int = -1
    windows: tuple[SeenWindow, ...] | None = ()
    verdict_ns: int | None = None
    has_failed: bool = False
    watched_ns: int = -1
    is_repeated_only: bool = False
    down_at_turn_ns: int | None = None
    outages: tuple[Outage, ...] = ()
    attempts: int | None = None


@dataclass(frozen=True)
class KnownRollout:
    """What is known of a rollout.

    Attributes
    ----------
    nodes : tuple of KnownNode
        All of the fleet, in the order of dispatch.
    zone_of, class_of : tuple of int
        By position.
    class_names : tuple of str
        By position; empty for a node in no class.
    zones : int
    policy, orchestrator
        Those it was run by; None if they are not on record.
    interval_ns : int
        Of its health windows.
    type_name : str
        Of the deployment.
    acts : tuple of ScriptedAct
        What people did.
    promote_after_ns : int or None
        How long after the canaries (and their bake time) they were promoted by people; None if they were not.
    old_windows : mapping
        By position and end of a window, after the start of the rollout: what was seen of a node on the old version.
    running_windows : mapping
        The same of a running node; the end is counted from its dispatch.
    release : str or None
        Its kind.
    is_defective : bool or None
        Whether it was; None if nobody knows.
    starts_at_ns : int
        Time of the day at which the rollout started, since midnight.
    """

    nodes: tuple[KnownNode, ...]
    zone_of: tuple[int, ...]
    class_of: tuple[int, ...]
    class_names: tuple[str, ...]
    zones: int
    policy: Policy | None
    orchestrator: Orchestrator | None
    interval_ns: int
    type_name: str = "update"
    acts: tuple[ScriptedAct, ...] = ()
    promote_after_ns: int | None = None
    old_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    running_windows: dict[tuple[int, int], SeenWindow] = field(default_factory=dict)
    release: str | None = None
    is_defective: bool | None = None
    starts_at_ns: int = 0
