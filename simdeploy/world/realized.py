"""One replication's world: everything random that happens to each node, in any order of queries (model sections 2 and 3).

Everything is a function of (scenario, seed, replication). No number is drawn "next": an engine may query a node's
second attempt or its ninth window in any order and gets the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from simdeploy.units import NS_PER_S
from simdeploy.world.availability import (
    CONNECTION_STREAMS,
    CRASH_STREAMS,
    FLAP_STREAMS,
    ZONE_STREAMS,
    BadForGood,
    Processes,
)
from simdeploy.world.blocks import Blocks
from simdeploy.world.connection import Lines
from simdeploy.world.dealing import deal_classes, find_affected, order_nodes, pick_release
from simdeploy.world.distributions import Distribution, Exponential, sample_ns
from simdeploy.world.draws import Draws, Lineage
from simdeploy.world.levels import either
from simdeploy.world.spells import Spell, Spells, SpellStreams
from simdeploy.world.streams import Stream
from simdeploy.world.tilt import NO_TILT, Tilt, bend, odds_times
from simdeploy.world.traffic import STEADY, Traffic

if TYPE_CHECKING:
    from simdeploy.world.fleet import Behaviour, Fleet
    from simdeploy.world.operator import Operator
    from simdeploy.world.release import ReleaseKind

T = TypeVar("T")

# Looking up members of an enumeration is slow in Python 3.11, and these are needed for each node.
_START_HANG, _START_FAILURE = Stream.START_HANG, Stream.START_FAILURE
_ROLLBACK_FAILURE, _WINDOW = Stream.ROLLBACK_FAILURE, Stream.WINDOW


class World:
    """The nodes, release and people of one replication."""

    def __init__(
        self,
        fleet: Fleet,
        release: Sequence[ReleaseKind],  # possible kinds of the new version; empty if there is none (restart, stop)
        operator: Operator,
        seed: int,
        replication: int,
        *,
        tilt: Tilt = NO_TILT,  # probabilities other than the scenario's
        lineage: Lineage | None = None,  # as for `Draws`
        starts_at_ns: int = 0,  # the time of the day, nanoseconds since midnight
    ) -> None:
        self.n_nodes = n = fleet.nodes
        self.service = fleet.service
        self.starts_at_ns = starts_at_ns
        self.draws = Draws(seed, replication, n, lineage)
        self.tilt = tilt
        self._nodes = np.arange(n)
        self.behaviours = fleet.behaviours  # by class; class 0 is the fleet's own
        self.zone_of = self._nodes % fleet.zones
        self.class_of = deal_classes(fleet, self.draws)
        self.class_numbers: list[int] = self.class_of.tolist()  # for quick access
        self.behaviour_of: list[Behaviour] = self._per_node(self.behaviours)
        self.anything_goes_down = any(b.crash or b.zone_outage or b.down for b in self.behaviours)
        self.order = order_nodes(fleet, self.draws)  # node numbers
        self.release = pick_release(release, tilt, self.draws)  # the actual one
        # By node: whether the release can affect it, and its error rate without the release and degraded spells.
        self.affected = find_affected(fleet, self.release, self.class_of, self.draws, tilt).tolist()
        self.baseline: list[float] = self._fill_by_class(
            Stream.ERROR_RATE, lambda b, u: b.error_rate.quantile(u)
        ).tolist()

        self._slowdown = [
            float(b.slowdown.quantile(self._draw_tilted(Stream.SLOWDOWN, tilt.slowdown))) for b in self.behaviours
        ]
        level = self._draw_tilted(Stream.START_FAILURE_LEVEL, tilt.start_failure_level)
        start_failure = [float(b.start_failure.quantile(level)) for b in self.behaviours]
        added = (self.release.start_failure, self.release.start_hang) if self.release else (0.0, 0.0)
        # Per class: for nodes that the release doesn't affect, and for those that it does.
        self.true_start_failure = [(p, either(p, added[0])) for p in start_failure]
        self.true_start_hang = [(b.start_hang, either(b.start_hang, added[1])) for b in self.behaviours]
        self._p_start_failure = _tilted(self.true_start_failure, tilt.start_failure)
        self._p_start_hang = _tilted(self.true_start_hang, tilt.start_hang)
        self._p_rollback_failure = [odds_times(b.rollback_failure, tilt.rollback_failure) for b in self.behaviours]

        self._start_ns: Blocks[int] = Blocks(n)
        self._rollback_ns: Blocks[int] = Blocks(n)
        self._after_ns: Blocks[int] = Blocks(n)
        # By class, then by node.
        self._crash_of_class = [
            BadForGood(self._nodes[self.class_of == number]) if b.down else process
            for number, (b, process) in enumerate(
                zip(self.behaviours, self._processes_of(_crash_laws, CRASH_STREAMS), strict=True)
            )
        ]
        self._flapping_of_class = self._processes_of(_flapping_laws, FLAP_STREAMS)
        self._zones_of_class = self._zone_processes(fleet)
        self._crash = self._per_node(self._crash_of_class)
        self._flapping = self._per_node(self._flapping_of_class)
        self._zones = self._per_node(self._zones_of_class)
        self.lines = Lines(self._per_node(self._processes_of(_connection_laws, CONNECTION_STREAMS)))

        self.promote_after_ns = int(
            sample_ns(operator.promote_after, self._draw_tilted(Stream.PROMOTE_AFTER, tilt.promote_after))
        )
        detection = self._draw_tilted(Stream.ESCAPE_DETECTION, tilt.escape_detection)
        self.escape_detection_ns = int(sample_ns(operator.escape_detection, detection))
        self.undo_after_ns = int(sample_ns(operator.undo_after, detection))
        self.operator_uniform = self._draw_shared(Stream.OPERATOR_DECISION)

    # -- one node, one attempt ---------------------------------------------------------------------

    def start_ns(self, node: int, attempt: int) -> int:
        """Return the duration of an attempt to start, nanoseconds."""
        return self._start_ns.take(node, attempt, self._start_block)

    def start_hangs(self, node: int, attempt: int) -> bool:
        """Return whether an attempt leaves the node silent."""
        p = self._p_start_hang[self.class_numbers[node]][self.affected[node]]
        return p > 0 and self.draws.draw(_START_HANG, node, attempt) < p

    def start_fails(self, node: int, attempt: int) -> bool:
        """Return whether an attempt that did not hang fails."""
        p = self._p_start_failure[self.class_numbers[node]][self.affected[node]]
        return p > 0 and self.draws.draw(_START_FAILURE, node, attempt) < p

    def attempts_of(self, number: int, nodes: np.ndarray, attempts: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return durations of attempts of nodes of a class, whether they hang and whether others fail; shape (nodes, attempts)."""
        is_affected = np.array(self.affected)[nodes].astype(np.int64)[:, np.newaxis]
        u = bend(self.draws.table(Stream.UPDATE_DURATION, nodes, attempts), self.tilt.update_duration)
        p_hang, p_failure = np.array([self._p_start_hang[number], self._p_start_failure[number]])
        return (
            sample_ns(self.behaviours[number].update_duration, u, self._slowdown[number]),
            self.draws.table(_START_HANG, nodes, attempts) < p_hang[is_affected],
            self.draws.table(_START_FAILURE, nodes, attempts) < p_failure[is_affected],
        )

    def rollback_ns(self, node: int) -> int:
        """Return the duration of a rollback, nanoseconds."""
        return self._rollback_ns.take(node, 0, self._rollback_block)

    def rollback_fails(self, node: int) -> bool:
        """Return whether a rollback fails."""
        p = self._p_rollback_failure[self.class_numbers[node]]
        return p > 0 and self.draws.draw(_ROLLBACK_FAILURE, node, 0) < p

    def window_uniform(self, node: int, window: int) -> float:
        """Return the uniform that decides a window's failed requests."""
        return self.draws.draw(_WINDOW, node, window)

    def window_uniforms(self, node: int, first: int, n: int, *, is_usual: bool) -> list[float]:
        """Return the uniforms of n windows; `is_usual`: most nodes need theirs, too."""
        return self.draws.series(_WINDOW, node, first, n, is_usual=is_usual)

    def first_window_uniforms(self, nodes: np.ndarray, n: int) -> np.ndarray:
        """Return the uniforms of the first n windows of some nodes, shape (nodes, n)."""
        return self.draws.first(_WINDOW, nodes, n)

    # -- what the release adds ---------------------------------------------------------------------

    def added_level(self, node: int) -> float:
        """Return the fraction of failed requests that the release adds on a node once it shows, 0 to 1."""
        return self.release.error_rate if self.release and self.affected[node] else 0.0

    def after_ns(self, node: int) -> int:
        """Return the exposure after which the release's failures show on a node, nanoseconds."""
        return self._after_ns.take(node, 0, self._after_block)

    def crash_rate(self, node: int) -> float:
        """Return the factor on the crash rate of a node while it is exposed."""
        return self.release.crash_rate if self.release and self.affected[node] else 1.0

    # -- requests by the time of day ----------------------------------------------------------------

    def traffic_of(self, number: int) -> Traffic:
        """Return the traffic of a class."""
        return self.behaviours[number].traffic or STEADY

    def traffic_between(self, number: int, start: int, end: int) -> float:
        """Return the integral of a class's traffic over [start, end), seconds."""
        traffic = self.behaviours[number].traffic
        if traffic is None:
            return (end - start) / NS_PER_S
        return traffic.between(self.starts_at_ns + start, self.starts_at_ns + end)

    # -- up or down, degraded or not ---------------------------------------------------------------

    def is_down(self, node: int, t: int) -> bool:
        """Return whether a node is down at t: crashed, or its zone is out."""
        crash, zone = self._crash[node], self._zones[node]
        return bool(crash and crash.bad_at(node, t)) or bool(zone and zone.bad_at(int(self.zone_of[node]), t))

    def is_down_for_good(self, node: int) -> bool:
        """Return whether a node is never up."""
        return self.behaviour_of[node].down

    def up_again(self, node: int, t: int) -> int:
        """Return the first instant from t on at which the node is up and online; it must not be down for good."""
        crash, zone = self._crash[node], self._zones[node]
        while self.is_down(node, t) or not self.lines.is_online(node, t):
            t = crash.of(node).good_again(t) if crash else t
            t = zone.of(int(self.zone_of[node])).good_again(t) if zone else t
            t = self.lines.online_again(node, t)
        return t

    def may_change_at(self, node: int, t: int) -> int:
        """Return the first instant after t at which a node may go down or come up, unless something changes it."""
        crash, zone = self._crash[node], self._zones[node]
        ends = [crash.ends_at(node, t)] if crash else []
        if zone:
            ends.append(zone.ends_at(int(self.zone_of[node]), t))
        return min(ends)

    def was_up(self, node: int, start: int, end: int) -> bool:
        """Return whether a node was up throughout [start, end)."""
        crash, zone = self._crash[node], self._zones[node]
        if crash and not crash.is_good_until(node, end) and any(crash.bad_spells(node, start, end)):
            return False
        return not (zone and any(zone.bad_spells(int(self.zone_of[node]), start, end)))

    def down_spells(self, node: int, start: int, end: int) -> Iterator[Spell]:
        """Yield a node's crashed spells in [start, end), then those in which its zone is out."""
        crash, zone = self._crash[node], self._zones[node]
        if crash:
            yield from crash.bad_spells(node, start, end)
        if zone:
            yield from zone.bad_spells(int(self.zone_of[node]), start, end)

    @property
    def any_crash_was_changed(self) -> bool:
        """Whether the updates so far have changed when any node crashes."""
        return any(crash.any_is_changed for crash in self._crash_of_class if crash)

    def all_down_spells(self, end: int, *, undisturbed: bool = False) -> Spells:
        """Return the down spells of all nodes within [0, end); `undisturbed`: as if no node had been updated."""
        crashes = [crash.all_bad_spells(end, undisturbed=undisturbed) for crash in self._crash_of_class if crash]
        outages = [
            self._of_nodes(number, zone.all_bad_spells(end)) for number, zone in enumerate(self._zones_of_class) if zone
        ]
        return Spells.joined(crashes + outages)

    def _of_nodes(self, number: int, spells: Spells) -> Spells:
        """Turn spells of zones into spells of the nodes of a class in them."""
        nodes = self._nodes[self.class_of == number]
        nodes = nodes[np.argsort(self.zone_of[nodes])]
        first, last = (np.searchsorted(self.zone_of[nodes], spells.subject, side=side) for side in ("left", "right"))
        lengths = last - first
        row = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[row]
        return Spells(nodes[place], spells.start[row], spells.end[row])

    def is_undegraded_until(self, node: int, end: int) -> bool:
        """Return True if a node is known at once not to be degraded before `end`."""
        flapping = self._flapping[node]
        return flapping is None or flapping.is_good_until(node, end)

    def is_quiet(self, node: int, start: int, end: int) -> bool:
        """Return whether a node is neither down nor degraded within [start, end)."""
        flapping = self._flapping[node]
        if flapping and not flapping.is_good_until(node, end) and any(flapping.bad_spells(node, start, end)):
            return False
        return self.was_up(node, start, end)

    def degraded_spells(self, node: int, start: int, end: int) -> Iterator[Spell]:
        """Yield the degraded spells of a node within [start, end)."""
        flapping = self._flapping[node]
        return flapping.bad_spells(node, start, end) if flapping else iter(())

    def all_degraded_spells(self, end: int) -> Spells:
        """Return the degraded spells of all nodes within [0, end)."""
        return Spells.joined([flapping.all_bad_spells(end) for flapping in self._flapping_of_class if flapping])

    def may_go_down(self, node: int) -> bool:
        """Return whether a node can be down at all."""
        return self._crash[node] is not None or self._zones[node] is not None

    def note_start(self, node: int, t: int) -> None:
        """Record that a node has begun to serve the new version: its up time may be renewed, and its crash rate change."""
        crash = self._crash[node]
        if crash is None:
            return
        outages = self.behaviour_of[node].crash
        if outages is not None and outages.renewed_by_update:
            crash.of(node).renew(t, self.crash_rate(node))
        elif self.crash_rate(node) != 1.0:
            crash.of(node).set_rate(t, self.crash_rate(node))

    def note_rollback(self, node: int, t: int) -> None:
        """Record that a node's rollback has begun."""
        crash = self._crash[node]
        if crash is not None and self.crash_rate(node) != 1.0:
            crash.of(node).set_rate(t, 1.0)

    def crashed_until(self, node: int, exposed_ns: int, back_ns: int, t: int, *, undisturbed: bool) -> int:
        """Return the end of the crash in progress at t if it began while the release raised the node's crash rate; otherwise t.

        The node was exposed from `exposed_ns` to `back_ns`. `undisturbed` is the node's crash at t as if it had not been updated.
        """
        crash = self._crash[node]
        if crash is None or self.crash_rate(node) <= 1.0:
            return t
        process = crash.undisturbed(node) if undisturbed else crash.of(node)
        if not process.bad_at(t):
            return t
        *_, (began_ns, _) = process.bad_spells(0, t + 1)
        return process.ends_at(t) if exposed_ns <= began_ns < back_ns else t

    def is_disturbed(self, node: int) -> bool:
        """Return whether an update affects when a node crashes."""
        crash = self.behaviour_of[node].crash
        return crash is not None and (crash.renewed_by_update or self.crash_rate(node) != 1.0)

    # -- how it is made ----------------------------------------------------------------------------

    def _draw_shared(self, stream: Stream) -> float:
        return self.draws.draw(stream, 0, 0)

    def _draw_tilted(self, stream: Stream, factor: float) -> float:
        return float(bend(self._draw_shared(stream), factor))

    def _fill_by_class(self, stream: Stream, value: Callable[[Behaviour, np.ndarray], np.ndarray]) -> np.ndarray:
        out = np.zeros(self.n_nodes)
        u = self.draws.fleet(stream, self.n_nodes)
        for number, behaviour in enumerate(self.behaviours):
            chosen = self.class_of == number
            out[chosen] = value(behaviour, u[chosen])
        return out

    def _sampled_block(
        self,
        nodes: np.ndarray,
        stream: Stream,
        index: int,
        law: Callable[[Behaviour], Distribution],
        scale: list[float],
        factor: float,
    ) -> list[int]:
        u = bend(self.draws.of_nodes(stream, nodes, index), factor)
        if len(self.behaviours) == 1:
            return _whole(sample_ns(law(self.behaviours[0]), u, scale[0]))
        out = np.zeros(len(nodes), dtype=np.int64)
        classes = self.class_of[nodes]
        for number, behaviour in enumerate(self.behaviours):
            chosen = classes == number
            out[chosen] = sample_ns(law(behaviour), u[chosen], scale[number])
        return _whole(out)

    def _start_block(self, nodes: np.ndarray, attempt: int) -> list[int]:
        factor = self.tilt.update_duration
        return self._sampled_block(
            nodes, Stream.UPDATE_DURATION, attempt, lambda b: b.update_duration, self._slowdown, factor
        )

    def _rollback_block(self, nodes: np.ndarray, index: int) -> list[int]:
        unscaled = [1.0] * len(self.behaviours)
        factor = self.tilt.rollback_duration
        return self._sampled_block(
            nodes, Stream.ROLLBACK_DURATION, index, lambda b: b.rollback_duration, unscaled, factor
        )

    def _after_block(self, nodes: np.ndarray, index: int) -> list[int]:
        if self.release is None:
            return [0] * len(nodes)
        return _whole(sample_ns(self.release.after, self.draws.of_nodes(Stream.AFTER, nodes, index)))

    def _processes_of(
        self, laws: Callable[[Behaviour], tuple[Distribution, Distribution] | None], streams: SpellStreams
    ) -> list[Processes | None]:
        by_class: list[Processes | None] = []
        for number, behaviour in enumerate(self.behaviours):
            pair = laws(behaviour)
            nodes = self._nodes[self.class_of == number]
            by_class.append(Processes(self.draws, nodes, *pair, streams) if pair else None)
        return by_class

    def _zone_processes(self, fleet: Fleet) -> list[Processes | None]:
        zones = np.arange(fleet.zones)
        return [
            Processes(self.draws, zones, b.zone_outage.up, b.zone_outage.repair, ZONE_STREAMS)
            if b.zone_outage
            else None
            for b in self.behaviours
        ]

    def _per_node(self, by_class: Sequence[T]) -> list[T]:
        """Spread values by class over the nodes."""
        return (
            [by_class[number] for number in self.class_numbers] if len(by_class) > 1 else [by_class[0]] * self.n_nodes
        )


def _tilted(pairs: list[tuple[float, float]], factor: float) -> list[tuple[float, float]]:
    return [(odds_times(plain, factor), odds_times(affected, factor)) for plain, affected in pairs]


def _whole(numbers: np.ndarray) -> list[int]:
    values: list[int] = numbers.tolist()
    return values


def _crash_laws(behaviour: Behaviour) -> tuple[Distribution, Distribution] | None:
    crash = behaviour.crash
    return (crash.up, crash.repair) if crash else None


def _flapping_laws(behaviour: Behaviour) -> tuple[Distribution, Distribution] | None:
    spells = behaviour.flapping
    return (Exponential(spells.good_s), Exponential(spells.degraded_s)) if spells else None


def _connection_laws(behaviour: Behaviour) -> tuple[Distribution, Distribution] | None:
    line = behaviour.connection
    return (line.online, line.offline) if line else None
