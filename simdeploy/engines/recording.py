"""What an engine leaves behind: plain columns of numbers, before anything is computed from them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from simdeploy.world.realized import World


CONTROL_PLANE = -1  # the node number of what the control plane does


def _numbers() -> array[int]:
    return array("q")


def _flags() -> array[int]:
    return array("b")


@dataclass(slots=True)
class Transitions:
    """Changes of nodes' statuses and acts of the control plane (statuses as words), in columns.

    Arrays cost the garbage collector nothing, whatever the size of the fleet: it would visit every item of a list.
    """

    time_ns: array[int] = field(default_factory=_numbers)
    round: array[int] = field(default_factory=_numbers)
    node: array[int] = field(default_factory=_numbers)
    from_status: list[int | str] = field(default_factory=list)
    to_status: list[int | str] = field(default_factory=list)
    wave: array[int] = field(default_factory=_numbers)
    reason: list[str] = field(default_factory=list)

    def add(
        self, time_ns: int, round_: int, node: int, from_status: int | str, to_status: int | str, wave: int, reason: str
    ) -> None:
        """Add one row."""
        self.time_ns.append(time_ns)
        self.round.append(round_)
        self.node.append(node)
        self.from_status.append(from_status)
        self.to_status.append(to_status)
        self.wave.append(wave)
        self.reason.append(reason)


@dataclass(slots=True)
class Windows:
    """Health windows that ended, in columns, in no particular order.

    A window is `counted` if the verdict on its node, its wave or the running nodes used it.
    """

    end_ns: array[int] = field(default_factory=_numbers)
    node: array[int] = field(default_factory=_numbers)
    requests: array[int] = field(default_factory=_numbers)
    failed: array[int] = field(default_factory=_numbers)
    healthy: array[int] = field(default_factory=_flags)
    up: array[int] = field(default_factory=_flags)
    counted: array[int] = field(default_factory=_flags)

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:
        """Add one row; return its place."""
        self.end_ns.append(end_ns)
        self.node.append(node)
        self.requests.append(requests)
        self.failed.append(failed)
        self.healthy.append(healthy)
        self.up.append(up)
        self.counted.append(counted)
        return len(self.end_ns) - 1

    def extend(
        self, first_end: int, interval: int, node: int, seen: Sequence[tuple[int, int, bool, bool]], *, counted: bool
    ) -> None:
        """Add rows of one node, each an interval after the one before: requests, failed ones, whether up and healthy."""
        if not seen:
            return
        requests, failed, up, healthy = zip(*seen, strict=True)
        n = len(seen)
        self.end_ns.extend(range(first_end, first_end + n * interval, interval))
        self.node.extend([node] * n)
        self.requests.extend(requests)
        self.failed.extend(failed)
        self.healthy.extend(healthy)
        self.up.extend(up)
        self.counted.extend([counted] * n)


class NoWindows(Windows):
    """Health windows of a run in which nobody looks at them afterwards: none is kept."""

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:  # noqa: ARG002
        """Keep one place for all of them."""
        self.counted = array("b", [counted])
        return 0

    def extend(
        self, first_end: int, interval: int, node: int, seen: Sequence[tuple[int, int, bool, bool]], *, counted: bool
    ) -> None:
        """Keep nothing."""


class StatusFields(NamedTuple):
    """The fields of a deployment's status that change, times in nanoseconds after the epoch of the run."""

    state: str
    message: str
    current_wave: int
    updated_nodes: int
    failed_nodes: int
    canary_promoted: bool
    completed_ns: int | None
    last_progress_ns: int | None
    health_check_deadline_ns: int | None
    healthy_deadline_ns: int | None


@dataclass
class History:
    """The revisions of one deployment: what changed, one entry per settled instant with a change."""

    total_nodes: int
    revisions: list[tuple[int, StatusFields]] = field(default_factory=list)

    def settle(self, time_ns: int, fields: StatusFields) -> None:
        """Note the fields as they are now; several notes at one instant leave one revision."""
        revisions = self.revisions
        if revisions and revisions[-1][0] == time_ns:
            revisions.pop()
        if not revisions or revisions[-1][1] != fields:
            revisions.append((time_ns, fields))


@dataclass(slots=True)
class NodeFate:
    """What happened to one node; times in nanoseconds, None where it did not happen.

    `resolved_ns` is when the node itself got its verdict, `heard_ns` when the control plane acted on it: when that heard of it,
    or at the deadline where that was not soon enough (`unheard`); `counted_ns` when the deployment counted it. A node is `surged`
    if its old instance serves on while the new one starts, until `replaced_ns`.
    """

    status: int = 0
    wave: int = 0
    reason: str = ""
    attempts: int = 0
    windows: int = 0
    dispatched_ns: int | None = None
    started_ns: int | None = None
    resolved_ns: int | None = None
    failed_ns: int | None = None
    failed_reason: str = ""
    heard_ns: int | None = None
    counted_ns: int | None = None
    unheard: bool = False
    surged: bool = False
    replaced_ns: int | None = None
    back_from_ns: int | None = None
    back_until_ns: int | None = None

    @property
    def ever_failed(self) -> bool:
        """Whether the node has failed, even if it went back since."""
        return self.failed_ns is not None

    @property
    def keeps_old(self) -> bool:
        """Whether the node's old instance is still there beside the new one."""
        return self.surged and self.replaced_ns is None


@dataclass
class Recording:
    """Everything that one replication left behind.

    Attributes
    ----------
    fates : list of NodeFate
        By node number.
    windows, compared : Windows
        Of nodes on the new version, and of nodes on the old one that a gate compared them with.
    update, rollback : History
        Of the deployment, and of its rollback if there was one (None otherwise).
    rolled_back : list of int
        The nodes of that rollback, in the order of their dispatch.
    waves, updated_nodes, failed_nodes : int
        As the deployment counted them.
    horizon_ns : int or None
        End of the integrals.
    gate_requests : int or None
        Requests that gates of waves have looked at; None where nodes are judged by their own windows.
    weight : float or None
        Of the replication; None without a tilt.
    """

    world: World
    type_name: str
    fates: list[NodeFate]
    transitions: Transitions
    windows: Windows
    compared: Windows
    update: History
    rollback: History | None
    rolled_back: list[int]
    canaries: list[int]
    state: str
    waves: int
    updated_nodes: int
    failed_nodes: int
    makespan_ns: int | None
    restored_ns: int | None
    horizon_ns: int | None
    gate_requests: int | None
    weight: float | None = None
