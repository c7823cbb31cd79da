"""When nodes served, or were out of service: intervals derived from a recording (model section 5)."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.intervals import FOREVER, Intervals, or_forever
from simdeploy.engines.requests import Requests
from simdeploy.engines.schema import REMOVED, ROLLBACK_FAILED, STOPPED
from simdeploy.rules.deployment_types import TYPES
from simdeploy.units import NS_PER_S
from simdeploy.world.pools import pools_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.engines.recording import Recording


class Service:
    """The nodes' service over one rollout."""

    def __init__(
        self,
        recording: Recording,
        *,
        open_end_ns: int | None = None,  # the end of all intervals if there is no horizon
    ) -> None:
        self._recording = recording
        self._type = TYPES[recording.type_name]
        # The end: the horizon, or without one `open_end_ns`, by default the last event.
        if recording.horizon_ns is not None:
            self.end_ns = recording.horizon_ns
        elif open_end_ns is not None:
            self.end_ns = open_end_ns
        else:
            self.end_ns = int(recording.transitions.columns.time_ns[-1])
        fates = recording.fates
        self._status = np.array([fate.status for fate in fates], dtype=np.int64)
        self._dispatched = or_forever([fate.dispatched_ns for fate in fates])
        self._started = or_forever([fate.started_ns for fate in fates])
        self._resolved = or_forever([fate.resolved_ns for fate in fates])
        self._back_from = or_forever([fate.back_from_ns for fate in fates])
        self._back_until = or_forever([fate.back_until_ns for fate in fates])
        self._surged = np.array([fate.surged for fate in fates], dtype=bool)
        self._replaced = or_forever([fate.replaced_ns for fate in fates])

    @property
    def touched_nodes(self) -> int:
        """Nodes that were dispatched."""
        return int(np.count_nonzero(self._dispatched < FOREVER))

    @property
    def unrestored_nodes(self) -> int:
        """Nodes that the rollout leaves out of service."""
        return int(np.count_nonzero(self._out_by_status.end == FOREVER))

    @cached_property
    def exposed(self) -> Intervals:
        """From a successful start of the new version to the start of its rollback, down or not."""
        if not self._type.releases:
            return Intervals.of(())
        return self._intervals(self._started, self._back_from)

    @cached_property
    def defective(self) -> Intervals:
        """The exposure of affected nodes to a defective release."""
        world = self._recording.world
        if world.release is None or not world.release.defective:
            return Intervals.of(())
        return self.exposed.rows(np.array(world.affected)[self.exposed.node])

    @cached_property
    def out_of_service(self) -> Intervals:
        """When a missed node did not serve for any reason, up to one instant beyond the end, so that the end is settled."""
        return self._out_by_status.and_also(self.down).clipped(0, self.end_ns + 1).union()

    @cached_property
    def down(self) -> Intervals:
        """When a missed node was crashed or its zone out, up to one instant beyond the end, so that the end is settled."""
        return self._find_down(undisturbed=False)

    @cached_property
    def down_anyway(self) -> Intervals:
        """When the same nodes would have been down without the rollout."""
        return self._find_down(undisturbed=True) if self._recording.world.any_crash_was_changed else self.down

    @cached_property
    def down_after(self) -> Intervals:
        """From the end on, how long nodes that were rolled back stay down because they crashed under a release that crashes more."""
        return self._find_down_after(undisturbed=False)

    @cached_property
    def down_after_anyway(self) -> Intervals:
        """The same without the rollout: crashes that began in the same time."""
        return self._find_down_after(undisturbed=True)

    @cached_property
    def unavailable(self) -> Intervals:
        """When a missed node did not serve, up to the end, and after it where that counts."""
        until_the_end = self.out_of_service.clipped(0, self.end_ns)
        is_known = self._recording.horizon_ns is not None
        return until_the_end.and_also(self.down_after) if is_known else until_the_end

    def _find_down_after(self, *, undisturbed: bool) -> Intervals:
        world = self._recording.world
        # Nobody misses a node that was removed.
        if world.release is None or world.release.crash_rate <= 1 or self._type.begins:
            return Intervals.of(())
        was_exposed = (self._started < FOREVER) & (self._back_until < FOREVER) & (self._status != ROLLBACK_FAILED)
        return Intervals.of(
            (node, self.end_ns, world.crashed_until(node, exposed_ns, back_ns, self.end_ns, undisturbed=undisturbed))
            for node, exposed_ns, back_ns in zip(
                np.flatnonzero(was_exposed).tolist(),
                self._started[was_exposed].tolist(),
                self._back_from[was_exposed].tolist(),
                strict=True,
            )
        )

    @cached_property
    def in_service(self) -> Intervals:
        """When a missed node served, up to one instant beyond the end, so that the end is settled."""
        return self.out_of_service.outside(*self._missed_bounds)

    @cached_property
    def beside(self) -> Intervals:
        """When the old instance of a node of a shared service served beside the new one."""
        if self._recording.world.service is None or not self._surged.any():
            return Intervals.of(())
        until = np.minimum(self._replaced, self._back_from)
        return self._intervals(np.where(self._surged, self._started, FOREVER), until).meet(self.in_service)

    @cached_property
    def requests(self) -> Requests:
        """The requests of nodes that are missed."""
        # A weak reference avoids a cycle, so that a large recording is freed at once.
        service = weakref.proxy(self)
        return Requests(
            self._recording.world,
            lambda: service.missed(),  # noqa: PLW0108 - a method would keep this
            lambda: service.in_service.and_also(service.beside),
            self.end_ns,
        )

    @cached_property
    def requests_anyway(self) -> Requests:
        """The requests of missed nodes if only those were out of service that would be down without the rollout."""
        service = weakref.proxy(self)
        return Requests(
            self._recording.world,
            lambda: service.missed(),  # noqa: PLW0108
            lambda: service.served_anyway(),  # noqa: PLW0108
            self.end_ns,
        )

    @cached_property
    def _missed_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        missed_from = np.zeros(len(self._started), np.int64)
        missed_until = np.full(len(self._started), self.end_ns + 1)
        if self._type.begins:
            missed_from = self._started
            missed_until = np.where(self._status == REMOVED, np.minimum(self._back_until, missed_until), missed_until)
        if self._type.leaves:
            missed_until = np.where(self._status == STOPPED, np.minimum(self._resolved, missed_until), missed_until)
        return missed_from, missed_until

    def served_anyway(self) -> Intervals:
        """Return when missed nodes would have served without the rollout."""
        return self.down_anyway.outside(*self._missed_bounds)

    def missed(self) -> Intervals:
        """Return when each node is missed."""
        missed_from, missed_until = self._missed_bounds
        if self._type.leaves and self._recording.world.service is not None:
            missed_until = self._with_their_pools(missed_until)
        return self._intervals(missed_from, missed_until)

    def _with_their_pools(self, missed_until: np.ndarray) -> np.ndarray:
        """End the missing of nodes that are down for good when the last other node of their pool has left."""
        world = self._recording.world
        is_away = np.array([world.is_down_for_good(node) for node in range(world.n_nodes)])
        pools = pools_of(world)
        last = np.full(int(pools.max()) + 1, -1)
        np.maximum.at(last, pools[~is_away], missed_until[~is_away])
        return np.where(is_away & (last[pools] >= 0), last[pools], missed_until)

    @property
    def exposure_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Start and end of each node's exposure; `FOREVER` without any."""
        if not self._type.releases:
            never = np.full(len(self._started), FOREVER)
            return never, never
        # A node that never started may roll back nevertheless.
        return self._started, np.where(self._started < FOREVER, self._back_from, FOREVER)

    @cached_property
    def degraded(self) -> Intervals:
        """Degraded spells of nodes, in service or not."""
        until = self.end_ns + 1
        return Intervals(*self._recording.world.all_degraded_spells(until)).clipped(0, until).union()

    @cached_property
    def _out_by_status(self) -> Intervals:
        if self._type.leaves:
            return Intervals.of(())
        back = np.where(self._status == ROLLBACK_FAILED, FOREVER, self._back_until)
        has_started = self._started < FOREVER
        keeps_old = self._surged & (self._replaced == FOREVER)
        going_back = self._intervals(np.where(has_started & ~keeps_old, self._back_from, FOREVER), back)
        if self._type.begins:
            # A new node is not missed before its first successful start.
            return going_back
        since = np.where(self._surged, self._replaced, self._dispatched)
        return self._intervals(since, np.where(has_started, self._started, back)).and_also(going_back)

    def _within_scope(self, down: Intervals) -> Intervals:
        """Leave out the times at which the node is not missed."""
        if self._type.begins:
            removed = np.where(self._status == REMOVED, self._back_until, FOREVER)
            return down.clipped(self._started[down.node], removed[down.node])
        if self._type.leaves:
            left = np.where(self._status == STOPPED, self._resolved, FOREVER)
            return down.clipped(0, left[down.node])
        return down

    def _find_down(self, *, undisturbed: bool) -> Intervals:
        if not self._recording.world.anything_goes_down:
            return Intervals.of(())
        until = self.end_ns + 1
        down = Intervals(*self._recording.world.all_down_spells(until, undisturbed=undisturbed))
        return self._within_scope(down).clipped(0, until).union()

    def _intervals(self, start: np.ndarray, end: np.ndarray) -> Intervals:
        return Intervals(np.arange(len(start)), start, end).clipped(0, FOREVER)

    def seconds_per_node(self, intervals: Intervals) -> np.ndarray:
        """Return how long each node was in its intervals, seconds."""
        lengths_s = (intervals.end - intervals.start) / NS_PER_S
        n_nodes = self._recording.world.n_nodes
        # For empty input, bincount returns integers.
        return np.bincount(intervals.node, weights=lengths_s, minlength=n_nodes).astype(np.float64)

    def added_failures(self) -> float:
        """Return the expected failed requests that the release added up to the horizon.

        The integral, over nodes exposed and in service, of served requests x added error rate, where the added error rate is
        the error rate minus that without the release.
        """
        world = self._recording.world
        total = 0.0
        if world.release is None or world.release.error_rate == 0:
            return total
        for node, start, end in zip(
            self.exposed.node.tolist(), self.exposed.start.tolist(), self.exposed.end.tolist(), strict=True
        ):
            added = world.added_level(node)
            shown_from, until = start + world.after_ns(node), min(end, self.end_ns)
            if added and shown_from < until:
                behaviour = world.behaviour_of[node]
                served, degraded = self._served(node, shown_from, until)
                if behaviour.flapping:
                    served -= behaviour.flapping.error_rate * degraded
                rate = float(behaviour.requests_per_second)
                total += rate * (1 - world.baseline[node]) * added * served / NS_PER_S
        return total

    def _served(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return the nanoseconds of its requests that a node served within [start, end), in total and while degraded."""
        world, between = self._recording.world, self.requests.between
        degraded = list(world.degraded_spells(node, start, end))
        up = [(start, end)]
        if world.may_go_down(node):
            down = Intervals.of((0, a, b) for a, b in world.down_spells(node, start, end)).union()
            up = list(_rows(down.outside(np.array([start]), np.array([end]))))
        served, degraded_ns = 0.0, 0.0
        for since, until in up:
            served += between(node, since, until)
            degraded_ns += sum(
                between(node, max(a, since), min(b, until)) for a, b in degraded if a < until and b > since
            )
        return served, degraded_ns


def _rows(intervals: Intervals) -> Iterator[tuple[int, int]]:
    return zip(intervals.start.tolist(), intervals.end.tolist(), strict=True)
