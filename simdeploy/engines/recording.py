"""The output of an engine: plain columns of numbers, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from simdeploy.world.realized import World


CONTROL_PLANE = -1  # the node number of acts of the control plane


class Moves(NamedTuple):
    """Changes of nodes' statuses and acts of the control plane, in order of time; statuses as places in `EVENT_WORDS`."""

    time_ns: np.ndarray
    round: np.ndarray  # of an instant
    node: np.ndarray  # `CONTROL_PLANE` if none
    from_status: np.ndarray
    to_status: np.ndarray
    wave: np.ndarray
    reason: list[str]


class Transitions:
    """Collects `Moves`.

    Numbers are packed into bytes, because the garbage collector would traverse lists.
    """

    _PACK = Struct("=6q").pack

    def __init__(self) -> None:
        self._numbers = bytearray()
        self._reasons: list[str] = []

    def add(
        self, time_ns: int, round_: int, node: int, from_status: int, to_status: int, wave: int, reason: str
    ) -> None:
        """Add a row."""
        self._numbers += self._PACK(time_ns, round_, node, from_status, to_status, wave)
        self._reasons.append(reason)

    @cached_property
    def columns(self) -> Moves:
        """All rows as columns, made on first access; no rows may be added later."""
        numbers = np.frombuffer(bytes(self._numbers), np.int64).reshape(-1, 6).T.copy()
        return Moves._make([*numbers, self._reasons])


# A window as bytes: requests, failed ones, whether it is healthy, whether the node was up.
WINDOW = np.dtype([("requests", "i8"), ("failed", "i8"), ("healthy", "?"), ("up", "?")])
_HEALTHY = 16  # offset of `healthy` in a window
pack_window = Struct("=2q2?").pack
# Consecutive windows of one node.
Span: TypeAlias = bytes


def count_windows(span: Span) -> int:
    """Return how many windows a span has."""
    return len(span) // WINDOW.itemsize


def cut_span(span: Span, n: int) -> Span:
    """Return the first n windows of a span."""
    return span[: n * WINDOW.itemsize]


def are_healthy(span: Span) -> Sequence[int]:
    """Return whether each window of a span is healthy."""
    return span[_HEALTHY :: WINDOW.itemsize]


class Windows:
    """Health windows that ended, in columns, in no particular order.

    A window is `counted` if the verdict on its node, its wave or the running nodes used it. Columns are made on first access, after
    which no windows may be added: first windows that were added one by one, then those of spans, packed as in `Transitions`.
    """

    _PACK_ONE = Struct("=4q3?").pack
    _ONE = np.dtype([("end_ns", "i8"), ("node", "i8"), *WINDOW.descr, ("counted", "?")])
    _PACK_SPAN = Struct("=5q").pack

    def __init__(self) -> None:
        self._singles = bytearray()
        # For each span: node, end of the first window, interval, whether its windows are counted, and their number; then all windows.
        self._spans = bytearray()
        self._of_spans = bytearray()

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:
        """Add one window; return its place."""
        self._singles += self._PACK_ONE(end_ns, node, requests, failed, healthy, up, counted)
        return len(self._singles) // self._ONE.itemsize - 1

    def count(self, place: int) -> None:
        """Record that a window that was added is counted."""
        self._singles[(place + 1) * self._ONE.itemsize - 1] = True  # `counted` is the last field

    def extend(self, node: int, first_end: int, interval: int, span: Span, *, counted: bool) -> None:
        """Add the windows of a span."""
        self._spans += self._PACK_SPAN(node, first_end, interval, counted, count_windows(span))
        self._of_spans += span

    @cached_property
    def _rows(self) -> np.ndarray:
        """The windows that were added one by one."""
        return np.frombuffer(bytes(self._singles), self._ONE)

    @cached_property
    def _rows_of_spans(self) -> np.ndarray:
        return np.frombuffer(bytes(self._of_spans), WINDOW)

    @cached_property
    def _columns_of_spans(self) -> np.ndarray:
        return np.frombuffer(bytes(self._spans), np.int64).reshape(-1, 5).T

    @cached_property
    def end_ns(self) -> np.ndarray:
        """When each window ended."""
        lengths = self._columns_of_spans[4]
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.concatenate([self._rows["end_ns"], self._repeat(1) + place * self._repeat(2)])

    @cached_property
    def node(self) -> np.ndarray:
        """The node of each window."""
        return np.concatenate([self._rows["node"], self._repeat(0)])

    @cached_property
    def requests(self) -> np.ndarray:
        """The requests of each window."""
        return self._join("requests")

    @cached_property
    def failed(self) -> np.ndarray:
        """The failed requests of each window."""
        return self._join("failed")

    @cached_property
    def healthy(self) -> np.ndarray:
        """Whether each window was healthy."""
        return self._join("healthy")

    @cached_property
    def up(self) -> np.ndarray:
        """Whether the node was up throughout each window."""
        return self._join("up")

    @cached_property
    def counted(self) -> np.ndarray:
        """Whether each window was counted."""
        return np.concatenate([self._rows["counted"], self._repeat(3).astype(bool)])

    def _repeat(self, place: int) -> np.ndarray:
        """Return a field of each span, repeated for each of its windows."""
        return np.repeat(self._columns_of_spans[place], self._columns_of_spans[4])

    def _join(self, name: str) -> np.ndarray:
        """Return a column of windows that were added one by one, and of those of spans."""
        return np.concatenate([self._rows[name], self._rows_of_spans[name]])


class NoWindows(Windows):
    """Discards health windows, for runs whose windows are not needed afterwards."""

    def add(self, end_ns: int, node: int, requests: int, failed: int, *, healthy: bool, up: bool, counted: bool) -> int:  # noqa: ARG002
        """Keep nothing."""
        return 0

    def count(self, place: int) -> None:
        """Keep nothing."""

    def extend(self, node: int, first_end: int, interval: int, span: Span, *, counted: bool) -> None:
        """Keep nothing."""


class StatusFields(NamedTuple):
    """The fields of a deployment's status that change, times in nanoseconds after the epoch of the run.

    `awaited_nodes` is the number of unreachable nodes that the rollout waits for, which objects have in their message; None if it is over.
    """

    state: str
    message: str
    current_wave: int
    updated_nodes: int
    failed_nodes: int
    canary_promoted: bool
    awaited_nodes: int | None
    completed_ns: int | None
    last_progress_ns: int | None
    health_check_deadline_ns: int | None
    healthy_deadline_ns: int | None


# `StatusFields` as a plain tuple, which the garbage collector stops tracking.
_Fields: TypeAlias = tuple[str, str, int, int, int, bool, int | None, int | None, int | None, int | None, int | None]


class History:
    """The revisions of one deployment, one per settled instant with a change."""

    def __init__(self, total_nodes: int) -> None:
        self.total_nodes = total_nodes
        self.times_ns: list[int] = []  # when each revision was made
        self._rows: list[_Fields] = []

    def settle(self, time_ns: int, fields: _Fields) -> None:
        """Record the present fields; several calls at one instant leave one revision."""
        times, rows = self.times_ns, self._rows
        if times and times[-1] == time_ns:
            del times[-1], rows[-1]
        if not rows or fields != rows[-1]:
            times.append(time_ns)
            rows.append(fields)

    def __len__(self) -> int:
        return len(self._rows)

    def fields(self, revision: int) -> StatusFields:
        """Return the fields of a revision, counted from 0, or from the end if negative."""
        return StatusFields._make(self._rows[revision])

    @property
    def columns(self) -> dict[str, tuple[Any, ...]]:
        """Each field of all revisions."""
        return dict(zip(StatusFields._fields, zip(*self._rows, strict=True), strict=True))


@dataclass(slots=True)
class NodeFate:
    """The fate of one node; times in nanoseconds, None if it didn't happen.

    `resolved_ns` is when the node itself got its verdict, `heard_ns` when the control plane heard it, or the deadline if that was
    earlier (`unheard`), and `counted_ns` when the deployment counted it. A node is `surged` if its old instance serves while the
    new one starts, until `replaced_ns`.
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
        """Whether the node has ever failed, even if it rolled back later."""
        return self.failed_ns is not None

    @property
    def keeps_old(self) -> bool:
        """Whether the node's old instance is still there beside the new one."""
        return self.surged and self.replaced_ns is None


@dataclass
class Recording:
    """The recording of one replication."""

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
    # Requests that gates of waves have examined; None if nodes are judged by their own windows.
    gate_requests: int | None
    weight: float | None = None  # of the replication; None without a tilt
