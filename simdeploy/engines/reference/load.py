"""The requests that a node meets if it shares those of its pool (model section 3)."""

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

# The traffic of a class without any never bends.
_STEADY = TrafficPiece(0, 1 << 62, 1.0, 0.0)


class PooledRequests:
    """The nodes of a pool share its requests.

    A pool is followed change by change, in order of time; whatever is asked lies behind the last one.
    """

    def __init__(self, world: World, traits: TypeTraits) -> None:
        if world.service is None:
            raise AssertionError
        self._world = world
        pool_of = pools_of(world).tolist()
        pools = [_Pool(world, world.service.capacity) for _ in range(max(pool_of) + 1)]
        self._pool_of = [pools[number] for number in pool_of]
        # Of each node, the end of its last window and the sums there: the next window begins there.
        self._last_looks = [(-1, 0.0, 0.0)] * world.n_nodes
        # Instances of each node that serve unless it is down: its old one, its new one, or both.
        self._instances = [int(not traits.begins)] * world.n_nodes
        self._is_missed = [not traits.begins] * world.n_nodes
        self._is_up = [not world.is_down(node, 0) for node in range(world.n_nodes)]
        for node, number in enumerate(world.class_numbers):
            pool = self._pool_of[node]
            pool.miss(number, int(self._is_missed[node]))
            pool.serving[number] += self._is_missed[node] and self._is_up[node]
        # When nodes may go down or come up next; entries of which the node has a later version don't count.
        self._versions = [0] * world.n_nodes
        self._changes = [
            (world.may_change_at(node, 0), node, 0) for node in range(world.n_nodes) if world.may_go_down(node)
        ]
        heapify(self._changes)

    def over(self, node: int, start: int, end: int) -> tuple[float, float]:
        """Return the integral of demand over what serves; what exceeds the capacity is shed."""
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

    def leaves_service(self, node: int, t: int) -> None:
        """Take note that a node does not serve any more, whether it is down or not."""
        self._put(node, t, missed=self._is_missed[node], instances=0)

    def has_started(self, node: int, t: int) -> None:
        """Take note that a node serves the new version unless it is down, is missed, and crashes as the release has it."""
        self._crashes_change(node, t)
        self._put(node, t, missed=True, instances=self._instances[node] + 1)

    def old_stops(self, node: int, t: int) -> None:
        """Take note that the old instance of a node, which was updated beside it, does not serve any more."""
        self._put(node, t, missed=self._is_missed[node], instances=self._instances[node] - 1)

    def goes_back(self, node: int, t: int, *, keeps_old: bool) -> None:
        """Take note that only the old instance of a node still serves, if it is there, and that it crashes as it did before."""
        self._crashes_change(node, t)
        self._put(node, t, missed=self._is_missed[node], instances=int(keeps_old))

    def enters_service(self, node: int, t: int) -> None:
        """Take note that a node serves again, unless it is down."""
        self._put(node, t, missed=self._is_missed[node], instances=1)

    def is_gone(self, node: int, t: int) -> None:
        """Take note that a node is not missed any more."""
        self._put(node, t, missed=False, instances=self._instances[node])

    def _crashes_change(self, node: int, t: int) -> None:
        """Note that an update changes a node's crashes from now on."""
        if not self._world.may_go_down(node):
            return
        self._follow(t)
        self._versions[node] += 1
        heappush(self._changes, (self._world.may_change_at(node, t), node, self._versions[node]))

    def _put(self, node: int, t: int, *, missed: bool, instances: int) -> None:
        """Let a node be missed from now on or not, and so many instances of it serve, unless it is down."""
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
                pool = self._pool_of[node]
                pool.reach(at)
                if self._is_missed[node]:
                    pool.serving[world.class_numbers[node]] += self._instances[node] * (1 if is_up else -1)


class _Pool:
    """One pool: running sums of the seconds of requests that a node of it met, and of those that were shed."""

    def __init__(self, world: World, capacity: float) -> None:
        self._capacity = capacity
        self._starts_at_ns = world.starts_at_ns
        self._traffic = [behaviour.traffic for behaviour in world.behaviours]
        self._rates = [float(behaviour.requests_per_second) for behaviour in world.behaviours]
        self._missed = [0] * len(self._rates)
        self.serving = [0] * len(self._rates)  # instances of nodes by class; after `reach` it may be changed
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
        """Let more nodes of a class be missed, or less; after `reach`."""
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
        """Note the traffic from a time on, and when it bends next."""
        at = self._starts_at_ns + t
        self._traffic_pieces = [traffic.piece_at(at) if traffic else _STEADY for traffic in self._traffic]
        self._bends_at = min(part.end_ns for part in self._traffic_pieces) - self._starts_at_ns

    def _settle(self, piece: _Piece) -> float:
        """Take the counts as they are now for the present piece; return its load at the start."""
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
    """A span of time in which the same nodes of a pool are missed and serve, and traffic doesn't bend."""

    __slots__ = ("load", "met", "shed", "slope", "start")

    def __init__(self, start: int, met: float, shed: float) -> None:
        self.start, self.met, self.shed = start, met, shed  # the sums at its start
        # Demand over what serves at the start, 0 while nobody serves; None until somebody asks.
        self.load: float | None = None
        self.slope = 0.0  # its change per second
