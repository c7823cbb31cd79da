"""The prober: it counts a window's failed requests and decides whether it was healthy (model sections 3 and 8)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.engines.recording import (
    WINDOW,
    NodeFate,
    Span,
    Windows,
    are_healthy,
    count_windows,
    cut_span,
    pack_window,
)
from simdeploy.world.binomial import failed_requests, failed_requests_of, find_table
from simdeploy.world.blocks import Blocks
from simdeploy.world.distributions import Constant
from simdeploy.world.levels import mean_level
from simdeploy.world.streams import WORD_LIMIT, Stream
from simdeploy.world.traffic import count_requests

if TYPE_CHECKING:
    from simdeploy.engines.reference.load import PooledRequests
    from simdeploy.rules.health import HealthRecord, HealthRule, NodeVerdict
    from simdeploy.world.realized import World


class Seen(NamedTuple):
    """The result of one window."""

    requests: int
    failed: int
    was_up: bool
    healthy: bool
    place: int  # among the recorded windows


# Requests, failed ones, whether the node was up, whether the window is healthy.
View = tuple[int, int, bool, bool]
_MOST_AHEAD = 32  # windows judged at once; a rollback may make further ones useless


class Prober:
    """Looks at nodes, one window at a time."""

    def __init__(
        self,
        world: World,
        rule: HealthRule,
        load: PooledRequests | None,
        windows: Windows,
        compared: Windows,
        *,
        nodes_count: bool,
    ) -> None:
        self._world = world
        self._load = load
        self._windows = windows
        self._compared = compared
        self._nodes_count = nodes_count
        self._interval_ns = rule.interval_ns
        # By class, if all windows have the same requests: their number, most failures of a healthy window, and shed fraction.
        self._fixed_requests: list[tuple[int, int, float] | None] = []
        for behaviour in world.behaviours:
            requests = rule.requests_per_window(behaviour.requests_per_second)
            varies = world.service is not None or behaviour.traffic is not None
            self._fixed_requests.append(None if varies else (requests, rule.allowed_failures(requests), 0.0))
        self._rates = [float(behaviour.requests_per_second) for behaviour in world.behaviours]
        self._degraded = [b.flapping.error_rate if b.flapping else None for b in world.behaviours]
        self._allowed_failures = cache(rule.allowed_failures)
        # By class: whether hardly any windows of different nodes have the same requests and error rate.
        self._differ = [
            same is None or not isinstance(b.error_rate, Constant)
            for same, b in zip(self._fixed_requests, world.behaviours, strict=True)
        ]
        # By class: whether requests and error rate are the same in all windows of a node; and the cdf of failed requests, if
        # it is the same for all nodes.
        release_adds = world.release is not None and world.release.error_rate > 0
        self._never_changes = [
            same is not None and not (release_adds or b.flapping or b.crash or b.zone_outage or b.down)
            for same, b in zip(self._fixed_requests, world.behaviours, strict=True)
        ]
        self._tables = [
            find_table(same[0], b.error_rate.value) if same is not None and isinstance(b.error_rate, Constant) else None
            for same, b in zip(self._fixed_requests, world.behaviours, strict=True)
        ]
        self._can_always_look_ahead = world.service is None and not any(b.crash for b in world.behaviours)
        self._first_windows: Blocks[Span] = Blocks(world.n_nodes)

    def can_look_ahead(self, number: int) -> bool:
        """Return whether a node's future windows are independent of all events until then."""
        return self._can_always_look_ahead or (self._world.service is None and not self._world.is_disturbed(number))

    def look_at(self, number: int, fate: NodeFate, start: int, end: int) -> Seen:
        """Judge a node's window that ends now: healthy if it was up throughout with few enough failed requests."""
        requests, failed, was_up, healthy = self._see(number, fate, fate.windows, start, end)
        place = self._windows.add(end, number, requests, failed, healthy=healthy, up=was_up, counted=self._nodes_count)
        fate.windows += 1
        return Seen(requests, failed, was_up, healthy, place)

    def look_ahead(
        self, number: int, fate: NodeFate, record: HealthRecord, start: int, deadline: int
    ) -> tuple[Span, NodeVerdict]:
        """Judge a node's next windows, from `start` on: the fewest that it can need for its verdict, or fewer until it fails.

        Return the windows, valid unless the node is interrupted, and the verdict after the last one.
        """
        needed = min(record.least_needed, _MOST_AHEAD)
        n = min(needed, (deadline - start) // self._interval_ns)
        if not self._are_alike(number, start, start + n * self._interval_ns):
            span = self._see_many(number, fate, start, n)
        elif fate.windows == 0 and self._tables[self._world.class_numbers[number]] is not None:
            span = self._first_windows.take(number, needed, self._see_first)
            if n < needed:
                span = cut_span(span, n)
        else:
            span = self._see_alike(number, fate.windows, n, is_usual=record.healthy == fate.windows)
        n_seen, verdict = record.add_all(are_healthy(span))
        return span if n_seen == n else cut_span(span, n_seen), verdict

    def record_windows(self, number: int, fate: NodeFate, start: int, span: Span) -> None:
        """Record windows that were judged ahead, from `start` on."""
        fate.windows += count_windows(span)
        self._windows.extend(number, start + self._interval_ns, self._interval_ns, span, counted=self._nodes_count)

    def _see(self, number: int, fate: NodeFate, window: int, start: int, end: int) -> View:
        """Return requests and failed requests of a window, whether the node was up, and whether the window is healthy."""
        world = self._world
        requests, allowed, shed = self._find_requests(number, start, end)
        failed = 0
        if requests:
            level = self._level(number, fate, start, end, shed)
            failed = failed_requests(
                requests, level, world.window_uniform(number, window), once=self._differ[world.class_numbers[number]]
            )
        was_up = world.was_up(number, start, end)
        return requests, failed, was_up, failed <= allowed and was_up

    def _see_many(self, number: int, fate: NodeFate, start: int, n: int) -> Span:
        """Look at n windows one by one."""
        interval, first = self._interval_ns, fate.windows
        begins = range(start, start + n * interval, interval)
        span = bytearray()
        for place, begin in enumerate(begins):
            requests, failed, up, healthy = self._see(number, fate, first + place, begin, begin + interval)
            span += pack_window(requests, failed, healthy, up)
        return bytes(span)

    def _are_alike(self, number: int, start: int, end: int) -> bool:
        """Tell whether a node is up, with its usual error rate, from `start` to `end`."""
        of_class = self._world.class_numbers[number]
        return self._never_changes[of_class] or (
            self._fixed_requests[of_class] is not None
            and not self._world.added_level(number)
            and self._world.is_quiet(number, start, end)
        )

    def _see_alike(self, number: int, first: int, n: int, *, is_usual: bool) -> Span:
        """Judge n windows with the same requests and error rate at once; `is_usual`: most nodes have such windows."""
        world = self._world
        requests, allowed, _ = self._find_requests(number, 0, 0)  # as any other window
        uniforms = world.window_uniforms(number, first, n, is_usual=is_usual)
        once = self._differ[world.class_numbers[number]]
        failed = failed_requests_of(requests, world.baseline[number], uniforms, once=once)
        return b"".join([pack_window(requests, count, count <= allowed, True) for count in failed])

    def _see_first(self, nodes: np.ndarray, n: int) -> list[Span]:
        """Judge the first n windows of many nodes at once, if their class has a table."""
        world, windows = self._world, np.zeros((len(nodes), n), WINDOW)
        uniforms, classes = world.first_window_uniforms(nodes, n), world.class_of[nodes]
        for number, (same, table) in enumerate(zip(self._fixed_requests, self._tables, strict=True)):
            if same is None or table is None:
                continue
            requests, allowed, _ = same
            places = np.flatnonzero(classes == number)
            failed = np.searchsorted(table, uniforms[places])
            for name, values in (
                ("requests", requests),
                ("failed", failed),
                ("healthy", failed <= allowed),
                ("up", True),
            ):
                windows[name][places] = values
        of_all, size = windows.tobytes(), n * WINDOW.itemsize
        return [of_all[first : first + size] for first in range(0, len(of_all), size)]

    def look_at_old(self, number: int, fate: NodeFate, start: int, end: int, requests: int) -> Seen | None:
        """Count the failures among as many requests of a node on the old version; None if it wasn't up throughout."""
        world = self._world
        if not world.was_up(number, start, end):
            return None
        _, _, shed = self._find_requests(number, start, end)
        failed = 0
        if requests:
            u = world.draws.draw(Stream.OLD_WINDOW, number, end // self._interval_ns % WORD_LIMIT)
            failed = failed_requests(
                requests, self._level(number, fate, start, end, shed), u, once=self._differ[world.class_numbers[number]]
            )
        healthy = failed <= self._allowed_failures(requests)
        place = self._compared.add(end, number, requests, failed, healthy=healthy, up=True, counted=False)
        return Seen(requests, failed, True, healthy, place)

    def look_at_running(self, number: int, fate: NodeFate, start: int, end: int, look: int) -> tuple[int, int]:
        """Count requests and failed requests of a running node; none if it wasn't up throughout."""
        world = self._world
        if not world.was_up(number, start, end):
            return 0, 0
        requests, allowed, shed = self._find_requests(number, start, end)
        failed = 0
        if requests:
            u = world.draws.draw(Stream.WATCHED_WINDOW, number, look)
            failed = failed_requests(
                requests, self._level(number, fate, start, end, shed), u, once=self._differ[world.class_numbers[number]]
            )
        self._windows.add(end, number, requests, failed, healthy=failed <= allowed, up=True, counted=True)
        fate.windows += 1
        return requests, failed

    def _find_requests(self, number: int, start: int, end: int) -> tuple[int, int, float]:
        """Return the requests of a window, the most failures of a healthy one, and the fraction that is shed."""
        of_class = self._world.class_numbers[number]
        same = self._fixed_requests[of_class]
        if same is not None:
            return same
        if self._load is None:
            seconds, shed = self._world.traffic_between(of_class, start, end), 0.0
        else:
            seconds, shed = self._load.over(number, start, end)
        requests = count_requests(self._rates[of_class], seconds)
        return requests, self._allowed_failures(requests), shed

    def _level(self, number: int, fate: NodeFate, start: int, end: int, shed: float) -> float:
        """Return the expected fraction of failed requests in a window: failures of the node, and shed requests."""
        level = self._own_level(number, fate, start, end, self._degraded[self._world.class_numbers[number]])
        return 1 - (1 - level) * (1 - shed) if shed else level

    def _own_level(self, number: int, fate: NodeFate, start: int, end: int, degraded_level: float | None) -> float:
        """Return the time-average of the node's error level over the window."""
        world = self._world
        added = world.added_level(number)
        if not added and (degraded_level is None or world.is_undegraded_until(number, end)):
            return world.baseline[number]
        shown_from = end
        if fate.started_ns is None:
            added = 0.0
        elif added:
            shown_from = min(max(fate.started_ns + world.after_ns(number), start), end)
        degraded = both = 0
        if degraded_level is not None:
            for spell_start, spell_end in world.degraded_spells(number, start, end):
                degraded += spell_end - spell_start
                both += max(spell_end - max(spell_start, shown_from), 0)
        return mean_level(
            world.baseline[number], added, degraded_level or 0.0, end - start, end - shown_from, degraded, both
        )
