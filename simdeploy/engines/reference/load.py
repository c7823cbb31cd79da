"""The requests that a node receives if it shares those of its pool (model section 3)."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from simdeploy.units import NS_PER_S
from simdeploy.world.pools import integrate, pools_of
from simdeploy.world.traffic import TrafficPiece

if TYPE_CHECKING:
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.world.realized import World

# Constant traffic, for a class without any.
_STEADY = TrafficPiece(0, 1 << 62, 1.0, 0.0)


class PooledRequests:
    """The requests of nodes that share those of their pool.

    Pools are followed change by change in order of time, so no query may precede the last change.
    """

    def __init__(self, world: World, traits: TypeTraits) -> None:
        if world.service is None:
            raise AssertionError
        self._world = world
        pool_of = pools_of(world).tolist()
        pools = [_Pool(world, world.service.capacity) for _ in range(max(pool_of) + 1)]
        self._pool_of = [pools[number] for number in pool_of]
        # By node: the end of its last window, where the next one mostly begins, and the sums there.
        self._last_looks = [(-1, 0.0, 0.0)] * world.n_nodes
        # By node: the instances that serve unless it is down: the old one, the new one, or both.
        self._instances = [int(not traits.begins)] * world.n_nodes
        self._is_missed = [not traits.begins] * world.n_nodes
        self._is_up = [not world.is_down(node, 0) for node in range(world.n_nodes)]
        for node, number in enumerate(world.class_numbers):
            pool = self._pool_of[node]
            pool.miss(number, int(self._is_missed[node]))
            pool.serving[number] += self._is_missed[node] and self._is_up[node]
        # Heap of times at which nodes may go down or come up next; entries with an outdated version are ignored.
        self._versions = [0] * world.n_nodes
        self._changes = [
            (world.may_change_at(node, 0), node, 0) for node in range(world.n_nodes) if world.may_go_down(node)
        ]
        heapify(self._changes)

    def over(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return the integral of demand per serving node over a window, seconds, and the fraction that is shed."""
        if self._changes:
            self._follow(end)
        pool = self._pool_of[node]
        looked_at, met_before, shed_before = self._last_looks[node]
        if looked_at != start:
            met_before, shed_before = pool.sums_at(start)
        met, shed = pool.sums_at(end)
        self._last_looks[node] = (end, met, shed)
        seconds = met - met_before
        return seconds, (shed - shed_before) / seconds if seconds > 0 else 0.0

    def stop_serving(self, node: int, t: int) -> None:
        """Record that a node doesn't serve any more."""
        self._put(node, t, missed=self._is_missed[node], instances=0)

    def start_new(self, node: int, t: int) -> None:
        """Record that a node serves the new version unless it is down, is missed, and crashes at the release's rate."""
        self._crashes_change(node, t)
        self._put(node, t, missed=True, instances=self._instances[node] + 1)

    def stop_old(self, node: int, t: int) -> None:
        """Record that the old instance of a node that was updated beside it doesn't serve any more."""
        self._put(node, t, missed=self._is_missed[node], instances=self._instances[node] - 1)

    def begin_rollback(self, node: int, t: int, *, keeps_old: bool) -> None:
        """Record that at most the old instance of a node still serves, and that it crashes at its former rate."""
        self._crashes_change(node, t)
        self._put(node, t, missed=self._is_missed[node], instances=int(keeps_old))

    def serve_again(self, node: int, t: int) -> None:
        """Record that a node serves again, unless it is down."""
        self._put(node, t, missed=self._is_missed[node], instances=1)

    def remove(self, node: int, t: int) -> None:
        """Record that a node isn't missed any more."""
        self._put(node, t, missed=False, instances=self._instances[node])

    def _crashes_change(self, node: int, t: int) -> None:
        """Record that a node's crash rate changes now."""
        if not self._world.may_go_down(node):
            return
        self._follow(t)
        self._versions[node] += 1
        heappush(self._changes, (t, node, self._versions[node]))  # it may crash at once

    def _put(self, node: int, t: int, *, missed: bool, instances: int) -> None:
        """Set whether a node is missed from t on, and the number of its instances that serve unless it is down."""
        self._follow(t)
        was_missed, before = self._is_missed[node], self._instances[node]
        if missed == was_missed and instances == before:
            return
        self._is_missed[node], self._instances[node] = missed, instances
        pool, number = self._pool_of[node], self._world.class_numbers[node]
        pool.reach(t)
        if missed != was_missed:
            pool.miss(number, missed - was_missed)
        if self._is_up[node]:
            pool.serving[number] += missed * instances - was_missed * before

    def _follow(self, t: int) -> None:
        """Apply crashes and repairs of nodes up to a time."""
        changes, world = self._changes, self._world
        while changes and changes[0][0] <= t:
            at, node, version = heappop(changes)
            if version != self._versions[node]:
                continue
            heappush(changes, (world.may_change_at(node, at), node, version))
            is_up = not world.is_down(node, at)
            if is_up != self._is_up[node]:
                self._is_up[node] = is_up
                pool = self._pool_of[node]
                pool.reach(at)
                if self._is_missed[node]:
                    pool.serving[world.class_numbers[node]] += self._instances[node] * (1 if is_up else -1)


class _Pool:
    """One pool: running sums of the seconds of requests that each of its nodes received, and of those that were shed."""

    def __init__(self, world: World, capacity: float) -> None:
        self._capacity = capacity
        self._starts_at_ns = world.starts_at_ns
        self._traffic = [behaviour.traffic for behaviour in world.behaviours]
        self._rates = [float(behaviour.requests_per_second) for behaviour in world.behaviours]
        self._missed = [0] * len(self._rates)
        self.serving = [0] * len(self._rates)  # by class: serving instances; callers change it after `reach`
        self._look_at_traffic(0)
        self._piece = _Piece(0, 0.0, 0.0)
        self._pieces, self._begins = [self._piece], [0]

    def reach(self, t: int) -> None:
        """End the present piece at a time, unless it begins there."""
        if t > self._piece.start:
            self._piece = _Piece(t, *self.sums_at(t))
            self._pieces.append(self._piece)
            self._begins.append(t)
        self._piece.load = None

    def miss(self, number: int, change: int) -> None:
        """Change the number of missed nodes of a class; call `reach` first."""
        self._missed[number] += change

    def sums_at(self, t: int) -> tuple[float, float]:
        """Return the sums up to a time."""
        while t > self._bends_at:
            self.reach(self._bends_at)
            self._look_at_traffic(self._bends_at)
        piece = self._piece
        if t < piece.start:
            piece = self._pieces[bisect_right(self._begins, t) - 1]
        if t == piece.start:
            return piece.met, piece.shed
        load = piece.load
        if load is None:
            load = self._settle(piece)
        seconds = (t - piece.start) / NS_PER_S
        met, shed = integrate(load, load + piece.slope * seconds, self._capacity, seconds)
        return piece.met + met, piece.shed + shed

    def _look_at_traffic(self, t: int) -> None:
        """Set the traffic from a time on, and when its slope changes next."""
        at = self._starts_at_ns + t
        self._traffic_pieces = [traffic.piece_at(at) if traffic else _STEADY for traffic in self._traffic]
        self._bends_at = min(part.end_ns for part in self._traffic_pieces) - self._starts_at_ns

    def _settle(self, piece: _Piece) -> float:
        """Fix the counts of the present piece; return its load at the start."""
        at = self._starts_at_ns + piece.start
        demand = slope = serving = 0.0
        for part, rate, missed, serve in zip(
            self._traffic_pieces, self._rates, self._missed, self.serving, strict=True
        ):
            weight = missed * rate
            demand += weight * (part.factor + part.slope * ((at - part.start_ns) / NS_PER_S))
            slope += weight * part.slope
            serving += serve * rate
        piece.load, piece.slope = (demand / serving, slope / serving) if serving else (0.0, 0.0)
        return piece.load


class _Piece:
    """A span of time in which the same nodes of a pool are missed and serve, and traffic is linear."""

    __slots__ = ("load", "met", "shed", "slope", "start")

    def __init__(self, start: int, met: float, shed: float) -> None:
        self.start, self.met, self.shed = start, met, shed  # the sums at its start
        # Demand per serving node at the start, 0 if none serves; None until it is needed.
        self.load: float | None = None
        self.slope = 0.0  # its change per second
