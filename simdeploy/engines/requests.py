"""Requests over one rollout: those that nodes received, and those that were lost or shed (model section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.intervals import distinct
from simdeploy.units import NS_PER_S
from simdeploy.world.pools import integrate_many, pools_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.intervals import Intervals
    from simdeploy.world.realized import World


@dataclass(frozen=True)
class PoolLoad:
    """The load of one pool, piece by piece: within a piece the same nodes serve, and demand changes linearly."""

    times_ns: np.ndarray  # where pieces begin; the last one is the end
    # load, load_after: demand per serving node at the start and at the end of each piece; 0 while none serves
    load: np.ndarray
    load_after: np.ndarray
    served_s: np.ndarray  # integral of the served load up to the start of each piece
    shed: float  # shed requests
    lowest_ratio: float  # lowest capacity / demand; infinite without demand


class Requests:
    """The requests of nodes that are missed, over one rollout."""

    def __init__(
        self,
        world: World,
        # Returns when each node is missed, up to one instant beyond the end, so that the end is settled.
        missed: Callable[[], Intervals],
        # Returns when each node serves, once for each instance. In a local service both are called only for rates.
        serving: Callable[[], Intervals],
        end_ns: int,
    ) -> None:
        self._world = world
        self._find_missed, self._find_serving = missed, serving
        self._end_ns = end_ns
        self._rates = np.array([float(behaviour.requests_per_second) for behaviour in world.behaviours])

    @cached_property
    def _missed(self) -> Intervals:
        return self._find_missed()

    @cached_property
    def _serving(self) -> Intervals:
        return self._find_serving()

    def between(self, node: int, start: int, end: int) -> float:
        """Return the nanoseconds of its own requests that a node in service serves within [start, end)."""
        world = self._world
        if world.service is None:
            number = world.class_numbers[node]
            if world.behaviours[number].traffic is None:
                return end - start
            return world.traffic_between(number, start, end) * NS_PER_S
        pool = self.pools[int(self._pool_of[node])]
        first, last = self._served_at(pool, np.array([start, end]))
        return float(last - first) * NS_PER_S

    def lost_within(self, intervals: Intervals) -> float:
        """Return the requests of nodes during their intervals."""
        total = 0.0
        if not len(intervals.node):
            return total
        numbers = self._world.class_of[intervals.node]
        for number, rate in enumerate(self._rates.tolist()):
            of_class = numbers == number
            total += rate * float(self._seconds(number, intervals.start[of_class], intervals.end[of_class]).sum())
        return total

    def _seconds(self, number: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        traffic = self._world.behaviours[number].traffic
        if traffic is None:
            return np.asarray((end - start) / NS_PER_S)
        first = self._world.starts_at_ns
        seconds: np.ndarray = traffic.between_many(first + start, first + end)
        return seconds

    @cached_property
    def group_of(self) -> np.ndarray:
        """The number of each node's group: its nodes receive the same per request per second."""
        return self._world.class_of if self._world.service is None else self._pool_of

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self._rates) if self._world.service is None else int(self._pool_of.max()) + 1

    @property
    def bends_ns(self) -> np.ndarray:
        """The instants up to the end at which the slope of traffic changes."""
        return self._points(self._end_ns + 1)

    def loads_at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by group the load of a node in service, per request per second, and the fraction of it that is shed.

        Both have the shape (groups, times).
        """
        factors = self._factors(times)
        if self._world.service is None:
            return factors.T, np.zeros(factors.T.shape)
        load, shed = np.zeros((2, self.n_groups, len(times)))
        for pool in range(self.n_groups):
            demand, served = self._demand_at(pool, times, factors)
            np.divide(demand, served, out=load[pool], where=served > 0)
            np.divide(demand - self._per_node * served, demand, out=shed[pool], where=demand > 0)
        return load, np.clip(shed, 0.0, 1.0)

    def rates_at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return demand, lost requests and shed requests at some instants, per second."""
        factors = self._factors(times)
        if self._world.service is None:
            demand = (self._weights(self._missed, times) * factors).sum(axis=1)
            lost = demand - (self._weights(self._serving, times) * factors).sum(axis=1)
            return demand, np.maximum(lost, 0.0), np.zeros(len(times))
        demand, shed = np.zeros((2, len(times)))
        for pool in range(self.n_groups):
            of_pool, served = self._demand_at(pool, times, factors)
            demand += of_pool
            shed += np.maximum(of_pool - self._per_node * served, 0.0)
        return demand, np.zeros(len(times)), shed

    def highest_load_at(self, times: np.ndarray) -> np.ndarray:
        """Return the highest ratio of demand to capacity of all pools; infinite if no node serves one, NaN without pools."""
        if self._world.service is None:
            return np.full(len(times), np.nan)
        factors, highest = self._factors(times), np.zeros(len(times))
        for pool in range(self.n_groups):
            demand, served = self._demand_at(pool, times, factors)
            load = np.where(demand > 0, np.inf, 0.0)
            np.divide(demand, self._per_node * served, out=load, where=served > 0)
            highest = np.maximum(highest, load)
        return highest

    def _demand_at(self, pool: int, times: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missed, serving = (self._of_pool(intervals, pool) for intervals in (self._missed, self._serving))
        return (self._weights(missed, times) * factors).sum(axis=1), self._weights(serving, times).sum(axis=1)

    @cached_property
    def pools(self) -> list[PoolLoad]:
        """The load of every pool of a shared service."""
        n_pools = int(self._pool_of.max()) + 1
        return [self._follow(number) for number in range(n_pools)]

    @cached_property
    def _pool_of(self) -> np.ndarray:
        return pools_of(self._world)

    def _follow(self, pool: int) -> PoolLoad:
        end = self._end_ns
        missed, serving = (self._of_pool(intervals, pool) for intervals in (self._missed, self._serving))
        points = self._points(end)
        times = distinct(np.concatenate([[0, end], missed.start, missed.end, serving.start, serving.end, points]))
        times = times[times <= end]
        weights, served = self._weights(missed, times), self._weights(serving, times).sum(axis=1)
        factors = self._factors(times)
        # Demand at the start and at the end of each piece; the last piece is the settled instant of the end.
        before = (weights * factors).sum(axis=1)
        after, seconds = before.copy(), np.zeros(len(times))
        after[:-1] = (weights[:-1] * factors[1:]).sum(axis=1)
        seconds[:-1] = (times[1:] - times[:-1]) / NS_PER_S
        is_served, capacity = served > 0, self._per_node
        load, load_after, ratios = np.zeros(len(times)), np.zeros(len(times)), np.full(len(times), np.inf)
        np.divide(before, served, out=load, where=is_served)
        np.divide(after, served, out=load_after, where=is_served)
        met, beyond = integrate_many(load, load_after, capacity, seconds)
        peak = np.maximum(before, after)
        np.divide(capacity * served, peak, out=ratios, where=peak > 0)
        shed = np.where(is_served, served * beyond, (before + after) * 0.5 * seconds)
        served_s = np.concatenate([[0.0], np.cumsum((met - beyond)[:-1])])
        total, lowest = float(shed.sum()), float(ratios.min(initial=np.inf))
        return PoolLoad(times, load, load_after, served_s, total, lowest)

    @property
    def _per_node(self) -> float:
        return 0.0 if self._world.service is None else self._world.service.capacity

    def _of_pool(self, intervals: Intervals, pool: int) -> Intervals:
        return intervals.rows(self._pool_of[intervals.node] == pool)

    def _weights(self, intervals: Intervals, times: np.ndarray) -> np.ndarray:
        """Return the requests per second, without traffic, of nodes during their intervals, by time and class."""
        numbers = self._world.class_of[intervals.node]
        counts = np.zeros((len(times), len(self._rates)))
        for number in range(len(self._rates)):
            counts[:, number] = intervals.rows(numbers == number).count_at(times)
        weights: np.ndarray = counts * self._rates
        return weights

    def _factors(self, times: np.ndarray) -> np.ndarray:
        """Return the traffic by time and class."""
        first = self._world.starts_at_ns
        return np.stack(
            [self._world.traffic_of(number).factors_at(first + times) for number in range(len(self._rates))], axis=1
        )

    def _points(self, end: int) -> np.ndarray:
        first = self._world.starts_at_ns
        points = [
            behaviour.traffic.points_between(first, first + end) - first
            for behaviour in self._world.behaviours
            if behaviour.traffic
        ]
        return np.unique(np.concatenate([np.empty(0, np.int64), *points]))

    def _served_at(self, pool: PoolLoad, times: np.ndarray) -> np.ndarray:
        """Return the integral of what a node serves up to some times."""
        place = np.searchsorted(pool.times_ns, times, side="right") - 1
        start, following = pool.times_ns[place], np.minimum(place + 1, len(pool.times_ns) - 1)
        share = (times - start) / np.maximum(pool.times_ns[following] - start, 1)
        before = pool.load[place]
        here = before + (pool.load_after[place] - before) * share
        met, beyond = integrate_many(before, here, self._per_node, (times - start) / NS_PER_S)
        served: np.ndarray = pool.served_s[place] + (met - beyond)
        return served
