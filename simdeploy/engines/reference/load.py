"""The requests that a node meets: its own, by the time of day, or a share of its pool's (model section 3)."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Protocol

from simdeploy.units import NS_PER_S
from simdeploy.world.pools import integrate, pools_of
from simdeploy.world.traffic import DAY_NS

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.world.realized import World


class Load(Protocol):
    """Requests of nodes, and what they are told of nodes that come and go."""

    def over(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return how many seconds of requests a node meets within [start, end), which is not ahead, and what fraction is shed."""

    def leaves_service(self, node: int, t: int) -> None:
        """Take note that a node does not serve any more, whether it is down or not."""

    def enters_service(self, node: int, t: int) -> None:
        """Take note that a node serves, unless it is down."""

    def is_missed(self, node: int, t: int, *, missed: bool) -> None:
        """Take note that a node is missed from now on, or not any more."""

    def crashes_change(self, node: int, t: int) -> None:
        """Note that an update changes a node's crashes from now on."""


class OwnRequests:
    """Every node has requests of its own, which nobody else serves."""

    def __init__(self, world: World) -> None:
        self._world = world

    def over(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return the integral of the node's traffic; nothing is shed."""
        return self._world.traffic_between(self._world.class_numbers[node], start, end), 0.0

    def leaves_service(self, node: int, t: int) -> None:
        """Do nothing."""

    def enters_service(self, node: int, t: int) -> None:
        """Do nothing."""

    def is_missed(self, node: int, t: int, *, missed: bool) -> None:
        """Do nothing."""

    def crashes_change(self, node: int, t: int) -> None:
        """Do nothing."""


class PooledRequests:
    """The nodes of a pool share its requests.

    A pool is followed change by change, in order of time; whatever is asked lies behind the last one.
    """

    def __init__(self, world: World, traits: TypeTraits) -> None:
        if world.service is None:
            raise AssertionError
        self._world = world
        self._pool_of = pools_of(world).tolist()
        n_pools = max(self._pool_of) + 1
        self._pools = [_Pool(world, world.service.capacity) for _ in range(n_pools)]
        self._serves = [not traits.begins] * world.n_nodes
        self._is_missed = [not traits.begins] * world.n_nodes
        self._is_up = [not world.is_down(node, 0) for node in range(world.n_nodes)]
        for node, number in enumerate(world.class_numbers):
            pool = self._pools[self._pool_of[node]]
            pool.missed[number] += self._is_missed[node]
            pool.serving[number] += self._is_missed[node] and self._is_up[node]
        for pool in self._pools:
            pool.begin()
        # When nodes may go down or come up next; entries of which the node has a later version don't count.
        self._versions = [0] * world.n_nodes
        self._changes = [
            (world.may_change_at(node, 0), node, 0) for node in range(world.n_nodes) if world.may_go_down(node)
        ]
        heapify(self._changes)

    def over(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return the integral of demand over what serves; what exceeds the capacity is shed."""
        self._follow(end)
        pool = self._pools[self._pool_of[node]]
        (met_before, shed_before), (met, shed) = pool.sums_at(start), pool.sums_at(end)
        seconds = met - met_before
        return seconds, (shed - shed_before) / seconds if seconds > 0 else 0.0

    def leaves_service(self, node: int, t: int) -> None:
        """Take note that a node does not serve any more, whether it is down or not."""
        self._follow(t)
        if self._serves[node]:
            self._count(node, t, -1, served=self._is_missed[node] and self._is_up[node])
            self._serves[node] = False

    def enters_service(self, node: int, t: int) -> None:
        """Take note that a node serves, unless it is down."""
        self._follow(t)
        if not self._serves[node]:
            self._serves[node] = True
            self._count(node, t, 1, served=self._is_missed[node] and self._is_up[node])

    def is_missed(self, node: int, t: int, *, missed: bool) -> None:
        """Take note that a node is missed from now on, or not any more."""
        self._follow(t)
        if self._is_missed[node] != missed:
            self._is_missed[node] = missed
            self._count(node, t, 1 if missed else -1, served=self._serves[node] and self._is_up[node], of_demand=True)

    def crashes_change(self, node: int, t: int) -> None:
        """Note that an update changes a node's crashes from now on."""
        if not self._world.may_go_down(node):
            return
        self._follow(t)
        self._versions[node] += 1
        heappush(self._changes, (self._world.may_change_at(node, t), node, self._versions[node]))

    def _follow(self, t: int) -> None:
        """Let nodes go down and come up, up to a time."""
        changes, world = self._changes, self._world
        while changes and changes[0][0] <= t:
            at, node, version = heappop(changes)
            if version != self._versions[node]:
                continue
            heappush(changes, (world.may_change_at(node, at), node, version))
            is_up = not world.is_down(node, at)
            if is_up != self._is_up[node]:
                self._is_up[node] = is_up
                self._count(node, at, 1 if is_up else -1, served=self._is_missed[node] and self._serves[node])

    def _count(self, node: int, t: int, change: int, *, served: bool, of_demand: bool = False) -> None:
        pool, number = self._pools[self._pool_of[node]], self._world.class_numbers[node]
        pool.reach(t)
        pool.missed[number] += change * of_demand
        pool.serving[number] += change * served
        pool.begin()


class _Pool:
    """One pool: running sums of the seconds of requests that a node of it met, and of those that were shed."""

    def __init__(self, world: World, capacity: float) -> None:
        self._capacity = capacity
        self._world = world
        self._rates = [float(behaviour.requests_per_second) for behaviour in world.behaviours]
        self.missed = [0] * len(self._rates)
        self.serving = [0] * len(self._rates)
        # Where pieces begin, and the sums there.
        self._times, self._met, self._shed = [0], [0.0], [0.0]
        self._weights = [0.0] * len(self._rates)
        self._served = 0.0
        self._past: list[tuple[list[float], float]] = []

    def begin(self) -> None:
        """Begin a piece with the counts as they are now."""
        self._weights = [count * rate for count, rate in zip(self.missed, self._rates, strict=True)]
        self._served = 0.0
        for count, rate in zip(self.serving, self._rates, strict=True):
            self._served += count * rate

    def reach(self, t: int) -> None:
        """End the present piece at a time."""
        if t > self._times[-1]:
            met, shed = self._within(len(self._past), t)
            self._past.append((self._weights, self._served))
            self._times.append(t)
            self._met.append(met)
            self._shed.append(shed)

    def sums_at(self, t: int) -> tuple[float, float]:
        """Return the sums up to a time."""
        return self._within(bisect_right(self._times, t) - 1, t)

    def _within(self, place: int, t: int) -> tuple[float, float]:
        """Add to the sums at the start of a piece what lies between there and a time."""
        start, met, shed = self._times[place], self._met[place], self._shed[place]
        weights, served = self._past[place] if place < len(self._past) else (self._weights, self._served)
        if served == 0 or t == start:
            return met, shed
        world, number_of = self._world, range(len(weights))
        first = world.starts_at_ns + start
        points = world.traffic_points
        before = self._demand(weights, number_of, first)
        last = world.starts_at_ns + t
        while first < last:
            day, rest = divmod(first, DAY_NS)
            following = bisect_right(points, rest)
            end = last
            if points:
                end = min(last, day * DAY_NS + (points[following] if following < len(points) else DAY_NS + points[0]))
            after = self._demand(weights, number_of, end)
            added, beyond = integrate(before / served, after / served, self._capacity, (end - first) / NS_PER_S)
            met += added
            shed += beyond
            first, before = end, after
        return met, shed

    def _demand(self, weights: list[float], number_of: range, t: int) -> float:
        demand = 0.0
        for number in number_of:
            traffic = self._world.behaviours[number].traffic
            demand += weights[number] if traffic is None else weights[number] * traffic.factor_at(t)
        return demand
