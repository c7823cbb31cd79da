"""A table of nodes as they were seen, indexed by their places in the update order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.counted import Counts
from simdeploy.analysis.advice.drawing import FAILS, RUNS
from simdeploy.analysis.advice.laws import FOREVER
from simdeploy.analysis.advice.observed import NO, UNKNOWN, YES, Observed
from simdeploy.engines.looks import NOT_THERE
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import NODE_STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.rollouts import Rollouts

# Times agree if they differ by no more than this.
HALF_SECOND_NS = NS_PER_S // 2

PENDING, STARTING, VALIDATING, RUNNING, FAILED, SKIPPED = (
    NODE_STATUSES.index(name) for name in ("pending", "starting", "validating", "running", "failed", "skipped")
)


@dataclass(frozen=True, eq=False)
class NodeTable:
    """What was seen of each node, in the update order."""

    # `PENDING`, `STARTING` (in flight, if `started` is unknown), `VALIDATING`, `RUNNING`, `FAILED` or `SKIPPED`.
    status: np.ndarray
    # Whether the node was dispatched: `NO`, `YES` or `UNKNOWN`. A node that can't be reached at its turn is not.
    dispatched: np.ndarray
    started: np.ndarray  # whether the node started: `NO`, `YES` or `UNKNOWN`
    # dispatched_ns, started_ns, resolved_ns: nanoseconds after the start of the rollout; NaN where unknown
    dispatched_ns: np.ndarray
    started_ns: np.ndarray
    resolved_ns: np.ndarray
    # zones, classes: their numbers, class 0 for nodes without one; None if the table doesn't have them
    zones: np.ndarray | None
    classes: np.ndarray | None
    rows: np.ndarray  # row of the table, from 1
    names: np.ndarray  # object: names of nodes in the table; None for a node without a row
    is_ordered: bool  # whether the place of each node is known, including those that wait
    n_turns: int  # nodes that had their turn, which come first
    # For each node (requests, failed requests) of its windows, from the first; empty without counts.
    windows: tuple[tuple[tuple[int, int], ...], ...] = ()
    widths: np.ndarray | None = None  # factors by which the tolerance of each node's times is larger

    @cached_property
    def slack_ns(self) -> np.ndarray:
        """The tolerance of each node's times."""
        return HALF_SECOND_NS * (np.ones(len(self.status)) if self.widths is None else self.widths)

    def dispatch_slack_ns(self, sizes: Sequence[int]) -> np.ndarray:
        """Return the tolerance of each node's dispatch: the largest of the verdicts in earlier waves."""
        slack, widest, first = np.zeros(len(self.status)), float(HALF_SECOND_NS), 0
        for size in sizes:
            slack[first : first + size] = widest
            widest = max(widest, float(self.slack_ns[first : first + size].max()))
            first += size
        return slack

    @cached_property
    def counts(self) -> list[Counts]:
        """The distinct counts of windows."""
        return [Counts(windows) for windows in dict.fromkeys(self.windows) if windows]

    @cached_property
    def _counts_of(self) -> np.ndarray:
        """Index of each node's counts in `counts`, from 1; 0 without counts."""
        places = {counts.windows: place for place, counts in enumerate(self.counts, start=1)}
        windows = self.windows or ((),) * len(self.status)
        return np.array([places.get(each, 0) for each in windows], dtype=np.int64)

    @property
    def knows_verdicts(self) -> bool:
        """Whether it is known when each verdict came."""
        return not bool(np.isnan(self.resolved_ns[self.are_resolved]).any())

    def after_ns(self, at_ns: int) -> np.ndarray:
        """Return the earliest time of each node's verdict in worlds that agree with the table at `at_ns`."""
        earliest_ns: np.ndarray = np.where(self.are_resolved, self.resolved_ns - self.slack_ns - 1, at_ns)
        return np.where(np.isnan(earliest_ns), -np.inf, earliest_ns)

    @property
    def are_resolved(self) -> np.ndarray:
        """Which nodes have a verdict."""
        are_resolved: np.ndarray = np.isin(self.status, (RUNNING, FAILED))
        return are_resolved

    @property
    def last_ns(self) -> float:
        """The last instant that is known; NaN without one."""
        times = np.concatenate([self.dispatched_ns, self.started_ns, self.resolved_ns])
        times = times[~np.isnan(times)]
        return float(times.max()) if len(times) else float("nan")

    def count(self) -> list[tuple[int, dict[str, int]]]:
        """Return the numbers of updated and failed nodes over time; empty unless the time of every verdict is known."""
        resolved = self.resolved_ns[self.are_resolved]
        if np.isnan(resolved).any():
            return []
        counts = [(0, {"updated_nodes": 0, "failed_nodes": 0})]
        for at_ns in np.unique(resolved).tolist():
            by_then = {
                name: int(((self.status == status) & (self.resolved_ns <= at_ns)).sum())
                for name, status in (("updated_nodes", RUNNING), ("failed_nodes", FAILED))
            }
            counts.append((int(at_ns), by_then))
        return counts

    def dispatch_of(self, places: slice) -> float:
        """Return when the nodes of a wave were dispatched (the middle of their times); NaN if unknown."""
        times = self.dispatched_ns[places]
        times = times[~np.isnan(times)]
        return float((times.min() + times.max()) / 2) if len(times) else float("nan")

    def agree(
        self,
        rollouts: Rollouts,
        look: np.ndarray,  # NODE_LOOK at the time of observation, shape (worlds, nodes)
        sizes: Sequence[int],  # as for `match`
    ) -> np.ndarray:
        """Return which worlds look like the table."""
        nodes, agree = self.match(rollouts, sizes)
        n = self.n_turns
        later = np.take_along_axis(look, rollouts.order[:, n:], axis=1)
        agree &= ((later["dispatched_ns"] == NOT_THERE) & (later["resolved_ns"] == NOT_THERE)).all(axis=1)
        return agree & self.fit(np.take_along_axis(look, nodes, axis=1), slice(n), sizes).all(axis=1)

    def fit(
        self,
        look: np.ndarray,  # NODE_LOOK at the time of observation, shape (worlds, nodes), in the order of the rows
        places: slice,  # of the rows; only nodes that had their turn
        sizes: Sequence[int],
    ) -> np.ndarray:
        """Return which nodes look like their rows."""
        has_verdict = look["resolved_ns"] != NOT_THERE
        status = np.where(has_verdict, np.where(look["status"] == RUNNING, RUNNING, FAILED), STARTING)
        fit: np.ndarray = status == np.where(self.are_resolved, self.status, STARTING)[places]
        fit &= (look["status"] == SKIPPED) | (self.status != SKIPPED)[places]
        dispatched = self.dispatched[places]
        fit &= (dispatched == UNKNOWN) | ((look["dispatched_ns"] != NOT_THERE) == (dispatched == YES))
        started = self.started[places]
        fit &= (started == UNKNOWN) | ((look["started_ns"] != NOT_THERE) == (started == YES))
        slacks = self.dispatch_slack_ns(sizes), self.slack_ns, self.slack_ns
        for name, slack in zip(("dispatched_ns", "started_ns", "resolved_ns"), slacks, strict=True):
            seen = getattr(self, name)[places]
            known = ~np.isnan(seen)
            fit[:, known] &= np.abs(look[name][:, known] - seen[known]) <= slack[places][known]
        return fit

    def match(
        self,
        rollouts: Rollouts,
        sizes: Sequence[int],  # numbers of nodes that are dispatched together
    ) -> tuple[np.ndarray, np.ndarray]:
        """Match the nodes of worlds with those of the table: by class and zone, among nodes dispatched together.

        Return the nodes' numbers in the order of the table, shape (worlds, turns), and which worlds have such nodes.
        """
        n = self.n_turns
        nodes = rollouts.order[:, :n]
        agree = np.ones(len(nodes), dtype=bool)
        seen = self._keys(self.zones, self.classes, rollouts)
        if seen is None:
            return nodes, agree
        zones, classes = nodes % rollouts.scenario.fleet.zones, np.take_along_axis(rollouts.law_places, nodes, 1) // 2
        keys = self._keys(zones, classes, rollouts)
        if keys is None or bool((keys == seen[:n]).all()):
            return nodes, agree
        nodes = nodes.copy()
        first = 0
        for size in sizes:
            if first >= n:
                break
            places = slice(first, min(first + size, n))
            of_world = np.argsort(keys[:, places], axis=1, kind="stable")
            of_table = np.argsort(seen[places], kind="stable")
            agree &= (np.take_along_axis(keys[:, places], of_world, 1) == seen[places][of_table]).all(axis=1)
            nodes[:, places.start + of_table] = np.take_along_axis(nodes[:, places], of_world, 1)
            first += size
        return nodes, agree

    def _keys(self, zones: np.ndarray | None, classes: np.ndarray | None, rollouts: Rollouts) -> np.ndarray | None:
        """Return one number for each combination of zone and class, as far as the table has them."""
        keys: np.ndarray | None = None
        if self.zones is not None:
            keys = zones
        if self.classes is not None and classes is not None:
            keys = classes if keys is None else classes * rollouts.scenario.fleet.zones + keys
        return keys

    def bound(self, starts_ns: np.ndarray, places: slice, at_ns: int, times_slack: int = 1) -> Observed:
        """Return what was seen of nodes, in times after their dispatch in each world; `times_slack` multiplies the tolerance.

        `starts_ns` are the dispatches, shape (worlds, nodes), or (worlds, 1) if all are at once.
        """
        begin = starts_ns
        status, started = self.status[places], self.started[places]
        started_ns, resolved_ns = self.started_ns[places], self.resolved_ns[places]
        end, slack = at_ns - begin, times_slack * self.slack_ns[places]
        verdict = np.select([status == RUNNING, status == FAILED], [RUNS, FAILS], -1)
        is_open = verdict < 0
        knows_start, knows_verdict = ~np.isnan(started_ns), ~np.isnan(resolved_ns)
        # Intervals are (low, high].
        start_low = np.where(knows_start, started_ns - slack - 1 - begin, -1.0)
        start_high = np.where(knows_start, np.minimum(started_ns + slack - begin, end), end)
        start_low = np.where(started == NO, -1.0, start_low)
        low = np.where(knows_verdict, resolved_ns - slack - 1 - begin, -1.0)
        high = np.where(knows_verdict, np.minimum(resolved_ns + slack - begin, end), end)
        low, high = np.where(is_open, end, low), np.where(is_open, FOREVER, high)
        shape = low.shape
        return Observed(
            np.broadcast_to(verdict, shape).copy(),
            np.broadcast_to(started, shape).copy(),
            np.broadcast_to(start_low, shape).copy(),
            np.broadcast_to(start_high, shape).copy(),
            low.copy(),
            high.copy(),
            np.broadcast_to(self._counts_of[places], shape).copy(),
        )
