"""The fleet's expected error rate over time: requests to nodes in service, and the failed ones among them.

A node in service fails a fraction ``1 - (1 - baseline)(1 - release)(1 - degraded)`` of its requests (model section 3). Expanded,
this is a sum of terms that each hold during intervals. The requests of a node, relative to its requests per second, change with
traffic and the load of its pool in the same way for all nodes of a group.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.engines.intervals import FOREVER, Intervals, distinct

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.engines.service import Service


class Rates(NamedTuple):
    """Expected requests and failed requests per second at given instants, of nodes on one version or of all."""

    requests: np.ndarray
    failed: np.ndarray

    @property
    def error_rate(self) -> np.ndarray:
        """Failed requests per request; NaN without requests."""
        with np.errstate(invalid="ignore"):
            return np.where(self.requests > 0, self.failed / self.requests, np.nan)

    def under(self, load: np.ndarray, shed: np.ndarray) -> Rates:
        """Return the rates under `load` times as many requests, with a fraction of them shed."""
        return Rates(self.requests * load, (self.failed + shed * (self.requests - self.failed)) * load)

    def __add__(self, other: object) -> Rates:
        """Return the sum of the rates."""
        if not isinstance(other, Rates):
            return NotImplemented
        return Rates(self.requests + other.requests, self.failed + other.failed)


class ErrorRates:
    """Expected requests and failed requests per second over one rollout."""

    def __init__(self, recording: Recording, service: Service) -> None:
        world = recording.world
        requests = np.array([float(behaviour.requests_per_second) for behaviour in world.behaviours])[world.class_of]
        baseline = np.array(world.baseline)
        added = np.array(world.affected) * (world.release.error_rate if world.release else 0.0)
        started, back_from = service.exposure_bounds
        shown_from = np.full(world.n_nodes, FOREVER)
        for node in np.flatnonzero((added > 0) & (started < FOREVER)).tolist():
            shown_from[node] = min(int(started[node]) + world.after_ns(node), FOREVER)

        def split(intervals: Intervals) -> tuple[Intervals, Intervals, Intervals]:
            """Return the parts on the old version, on the new one, and those on the new one in which the release's failures show."""
            node = intervals.node
            on_old = intervals.clipped(0, started[node]).and_also(intervals.clipped(back_from[node], FOREVER))
            on_new = intervals.clipped(started[node], back_from[node])
            return on_old, on_new, on_new.clipped(shown_from[on_new.node], FOREVER)

        degraded, beside = service.degraded, service.beside
        within = degraded.meet(service.in_service)
        on_old, on_new, shown = split(service.in_service)
        degraded_on_old, degraded_on_new, degraded_shown = split(within)
        level = np.array([b.flapping.error_rate if b.flapping else 0.0 for b in world.behaviours])[world.class_of]

        self._requests = service.requests
        group_of, n_groups = self._requests.group_of, self._requests.n_groups
        self._old: list[_Sum] = []
        self._new: list[_Sum] = []
        # A node may count twice on the old version: by itself, and beside a restarted instance.
        of_old = (on_old, degraded_on_old), (beside, beside.meet(degraded))
        for totals, parts in ((self._old, of_old), (self._new, ((on_new, degraded_on_new),))):
            for number in range(n_groups):
                total = _Sum(group_of, number)
                for intervals, while_degraded in parts:
                    total.add(intervals, requests, requests * baseline)
                    total.add(while_degraded, None, requests * (1 - baseline) * level)
                totals.append(total)
        for total in self._new:
            total.add(shown, None, requests * (1 - baseline) * added)
            total.add(degraded_shown, None, -requests * (1 - baseline) * added * level)
        shows = shown_from[shown.node]
        times = np.concatenate([within.start, within.end, shows, self._requests.bends_ns])
        # Instants up to the horizon at which error rates change without an event: the release's failures show, a degraded spell
        # begins or ends, or the slope of traffic changes.
        self.changes_ns = distinct(times[times <= service.end_ns])

    def at(self, times_ns: np.ndarray) -> tuple[Rates, Rates]:
        """Return the rates of nodes on the old version and of those on the new one, once each instant has settled."""
        load, shed = self._requests.loads_at(times_ns)
        old, new = (
            [
                total.at(times_ns).under(of_group, shed_by_group)
                for total, of_group, shed_by_group in zip(totals, load, shed, strict=True)
            ]
            for totals in (self._old, self._new)
        )
        return sum(old[1:], old[0]), sum(new[1:], new[0])


@dataclass
class _Sum:
    """A sum of terms of one group's nodes that hold during intervals."""

    group_of: np.ndarray
    group: int
    _times: list[np.ndarray] = field(default_factory=list)
    _requests: list[np.ndarray] = field(default_factory=list)
    _failed: list[np.ndarray] = field(default_factory=list)
    _terms: list[np.ndarray] = field(default_factory=list)

    def add(self, intervals: Intervals, requests: np.ndarray | None, failed: np.ndarray) -> None:
        """Add a term of each interval: requests and failed requests per second of its node."""
        intervals = intervals.rows(self.group_of[intervals.node] == self.group)
        of_failed = failed[intervals.node]
        of_requests = np.zeros(len(of_failed)) if requests is None else requests[intervals.node]
        is_term = ((of_failed != 0).astype(np.int64) << 32) + (of_requests != 0)
        for sign, times in ((1, intervals.start), (-1, intervals.end)):
            self._times.append(times)
            self._requests.append(sign * of_requests)
            self._failed.append(sign * of_failed)
            self._terms.append(sign * is_term)

    def at(self, times_ns: np.ndarray) -> Rates:
        """Return the sums at some instants."""
        times = np.concatenate(self._times)
        order = np.argsort(times, kind="stable")
        place = np.searchsorted(times[order], times_ns, side="right")

        def sums(columns: list[np.ndarray]) -> np.ndarray:
            values = np.concatenate(columns)[order]
            return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])

        # Counting the terms shows where all have ended, although rounding leaves a small sum.
        terms = sums(self._terms)
        requests = np.where(terms & 0xFFFFFFFF, sums(self._requests), 0.0)
        failed = np.where(terms >> 32, sums(self._failed), 0.0)
        return Rates(np.maximum(requests, 0.0)[place], np.clip(failed, 0.0, requests)[place])
