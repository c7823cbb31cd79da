"""What an engine leaves behind: plain columns of numbers, before anything is computed from them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from simdeploy.world.realized import World


CONTROL_PLANE = -1  # the node number of what the control plane does


def _numbers() -> array[int]:
    return array("q")


def _flags() -> array[int]:
    return array("b")


class Transitions:
    """Changes of nodes' statuses and acts of the control plane, in order of time; statuses as places in `EVENT_WORDS`.

    They are kept one after the other in one list, because a row of its own would cost the garbage collector a visit each. Columns
    are made when they are first asked for, once all rows are there.

    Attributes
    ----------
    fields : list
        Of each row: time, round, node, status before, status after, wave, reason.
    """

    _N_COLUMNS = 7

    def __init__(self) -> None:
        self.fields: list[Any] = []

    @property
    def last_ns(self) -> int:
        """When the last one happened."""
        return int(self.fields[-self._N_COLUMNS])

    @cached_property
    def time_ns(self) -> np.ndarray:
        """When each happened."""
        return self._numbers(0)

    @cached_property
    def round(self) -> np.ndarray:
        """In which round of an instant."""
        return self._numbers(1)

    @cached_property
    def node(self) -> np.ndarray:
        """Which node; `CONTROL_PLANE` if none."""
        return self._numbers(2)

    @cached_property
    def from_status(self) -> np.ndarray:
        """The status before."""
        return self._numbers(3)

    @cached_property
    def to_status(self) -> np.ndarray:
        """The status after."""
        return self._numbers(4)

    @cached_property
    def wave(self) -> np.ndarray:
        """The wave."""
        return self._numbers(5)

    @property
    def reason(self) -> list[str]:
        """Why."""
        return self._column(6)

    def _column(self, place: int) -> list[Any]:
        return self.fields[place :: self._N_COLUMNS]

    def _numbers(self, place: int) -> np.ndarray:
        return np.array(self._column(place), np.int64)


# Of windows of one node, each an interval after the one before: requests, failed ones, whether each is healthy, whether the node was up.
Span = tuple[Sequence[int], Sequence[int], Sequence[bool], Sequence[bool]]


def cut_span(span: Span, n: int) -> Span:
    """Return the first n windows of a span."""
    requests, failed, healthy, up = span
    return requests[:n], failed[:n], healthy[:n], up[:n]


class Windows:
    """Health windows that ended, in columns, in no particular order.

    A window is `counted` if the verdict on its node, its wave or the running nodes used it. Columns are put together when they
    are first asked for, once all windows are there: those that were added one by one, then those of spans.
    """

    def __init__(self) -> None:
        self._end_ns, self._node, self._requests, self._failed = (_numbers() for _ in range(4))
        self._healthy, self._up, self._counted = (_flags() for _ in range(3))
        # One after the other: node, end of the first window, interval, windows, whether they are counted.
        self._spans: list[Any] = []

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:
        """Add one window; return its place."""
        self._end_ns.append(end_ns)
        self._node.append(node)
        self._requests.append(requests)
        self._failed.append(failed)
        self._healthy.append(healthy)
        self._up.append(up)
        self._counted.append(counted)
        return len(self._end_ns) - 1

    def count(self, place: int) -> None:
        """Take note that a window that was added is counted."""
        self._counted[place] = True

    def extend(self, node: int, first_end: int, interval: int, span: Span, *, counted: bool) -> None:
        """Add the windows of a span."""
        self._spans += (node, first_end, interval, span, counted)

    @cached_property
    def _lengths(self) -> np.ndarray:
        return np.array([len(failed) for _, failed, _, _ in self._spans[3::5]], np.int64)

    @cached_property
    def end_ns(self) -> np.ndarray:
        """When each window ended."""
        lengths = self._lengths
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.concatenate([self._end_ns, self._repeat(1) + place * self._repeat(2)])

    @cached_property
    def node(self) -> np.ndarray:
        """The node of each."""
        return np.concatenate([self._node, self._repeat(0)])

    @cached_property
    def requests(self) -> np.ndarray:
        """The requests of each."""
        return self._join(self._requests, 0)

    @cached_property
    def failed(self) -> np.ndarray:
        """The failed requests of each."""
        return self._join(self._failed, 1)

    @cached_property
    def healthy(self) -> np.ndarray:
        """Whether each was healthy."""
        return self._join(self._healthy, 2).astype(bool)

    @cached_property
    def up(self) -> np.ndarray:
        """Whether its node was up throughout."""
        return self._join(self._up, 3).astype(bool)

    @cached_property
    def counted(self) -> np.ndarray:
        """Whether it was counted."""
        return np.concatenate([self._counted, self._repeat(4)]).astype(bool)

    def _repeat(self, place: int) -> np.ndarray:
        """Return what holds for all windows of a span, once for each of them."""
        return np.repeat(np.array(self._spans[place::5], np.int64), self._lengths)

    def _join(self, singles: array[int], place: int) -> np.ndarray:
        """Return a column of windows that were added one by one, and of those of spans."""
        of_spans = chain.from_iterable([span[place] for span in self._spans[3::5]])
        return np.concatenate([singles, np.fromiter(of_spans, np.int64, count=int(self._lengths.sum()))])


class NoWindows(Windows):
    """Health windows of a run in which nobody looks at them afterwards: none is kept."""

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:  # noqa: ARG002
        """Keep none of them."""
        return 0

    def count(self, place: int) -> None:
        """Keep nothing."""

    def extend(self, node: int, first_end: int, interval: int, span: Span, *, counted: bool) -> None:
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
    """Everything that one replication left behind."""

    world: World
    type_name: str
    fates: list[NodeFate]  # by node number
    transitions: Transitions
    # windows, compared: of nodes on the new version, and of nodes on the old one that a gate compared them with
    windows: Windows
    compared: Windows
    # update, rollback: of the deployment, and of its rollback if there was one (None otherwise)
    update: History
    rollback: History | None
    rolled_back: list[int]  # the nodes of that rollback, in the order of their dispatch
    canaries: list[int]
    state: str
    # waves, updated_nodes, failed_nodes: as the deployment counted them
    waves: int
    updated_nodes: int
    failed_nodes: int
    makespan_ns: int | None
    restored_ns: int | None
    horizon_ns: int | None  # end of the integrals
    # Requests that gates of waves have looked at; None where nodes are judged by their own windows.
    gate_requests: int | None
    weight: float | None = None  # of the replication; None without a tilt
