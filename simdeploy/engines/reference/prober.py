"""The prober: counts a window's failed requests and says whether it was healthy (model sections 3 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from simdeploy.world.binomial import failed_requests, failed_requests_of
from simdeploy.world.levels import mean_level
from simdeploy.world.streams import WORD_LIMIT, Stream
from simdeploy.world.traffic import count_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simdeploy.engines.recording import NodeFate, Windows
    from simdeploy.engines.reference.load import Load
    from simdeploy.rules.health import HealthRecord, HealthRule
    from simdeploy.world.realized import World


class Seen(NamedTuple):
    """What was seen in one window."""

    requests: int
    failed: int
    was_up: bool
    healthy: bool
    place: int  # among the windows that are recorded


# Requests, failed ones, whether the node was up, whether the window is healthy.
View = tuple[int, int, bool, bool]
_MOST_AHEAD = 32  # windows: a node may go back before it has had more


@dataclass(slots=True)
class Ahead:
    """Windows that a node will have unless somebody interrupts it.

    Attributes
    ----------
    first_end, interval : int
        When the first one ends, and how long each takes.
    verdict : {'running', 'failed'} or None
        That the last one leads to.
    """

    first_end: int
    interval: int
    seen: list[View] = field(default_factory=list)
    verdict: Literal["running", "failed"] | None = None

    @property
    def end(self) -> int:
        """When the last one ends."""
        return self.first_end + (len(self.seen) - 1) * self.interval

    def ended_by(self, now: int) -> list[View]:
        """Return those that have ended."""
        return self.seen if now >= self.end else self.seen[: (now - self.first_end) // self.interval + 1]


class Prober:
    """Looks at nodes, one window at a time."""

    def __init__(
        self, world: World, rule: HealthRule, load: Load, windows: Windows, compared: Windows, *, nodes_count: bool
    ) -> None:
        self._world = world
        self._load = load
        self._windows = windows
        self._compared = compared
        self._nodes_count = nodes_count
        self._interval_ns = rule.interval_ns
        # Per class, where all windows meet the same: requests of a window, and the most failed ones of a healthy one.
        self._same: list[tuple[int, int, float] | None] = []
        for behaviour in world.behaviours:
            requests = rule.requests_per_window(behaviour.requests_per_second)
            varies = world.service is not None or behaviour.traffic is not None
            self._same.append(None if varies else (requests, rule.allowed_failures(requests), 0.0))
        self._vary = None in self._same
        self._rates = [float(behaviour.requests_per_second) for behaviour in world.behaviours]
        self._degraded = [b.flapping.error_rate if b.flapping else None for b in world.behaviours]
        self._allows = cache(rule.allowed_failures)

    def foresees(self, number: int) -> bool:
        """Return whether nothing that may happen meanwhile changes what a node's windows see."""
        return self._world.service is None and not self._world.is_disturbed(number)

    def looks_at(self, number: int, fate: NodeFate, start: int, end: int) -> Seen:
        """Judge a node's window from `start` to `end`, which is now: up throughout, and few enough failed requests."""
        requests, failed, was_up, healthy = self._see(number, fate, fate.windows, start, end)
        place = self._windows.add(end, number, requests, failed, healthy=healthy, up=was_up, counted=self._nodes_count)
        fate.windows += 1
        return Seen(requests, failed, was_up, healthy, place)

    def looks_ahead(self, number: int, fate: NodeFate, record: HealthRecord, start: int, deadline: int) -> Ahead:
        """Judge a node's next windows, the first of which begins at `start`: as many as it needs at least, or fewer until it fails."""
        interval = self._interval_ns
        n = min(record.least_needed, (deadline - start) // interval, _MOST_AHEAD)
        ahead = Ahead(start + interval, interval)
        for view in self._foresee(number, fate, start, n):
            ahead.seen.append(view)
            ahead.verdict = record.add(view[-1])
            if ahead.verdict is not None:
                break
        return ahead

    def saw(self, number: int, fate: NodeFate, ahead: Ahead, now: int) -> None:
        """Record those windows of a look ahead that have ended by now."""
        seen = ahead.ended_by(now)
        self._windows.extend(ahead.first_end, ahead.interval, number, seen, counted=self._nodes_count)
        fate.windows += len(seen)

    def _see(self, number: int, fate: NodeFate, window: int, start: int, end: int) -> View:
        """Return requests and failed requests of a window, whether the node was up, and whether the window is healthy."""
        world = self._world
        requests, allowed, shed = self._meets(number, start, end)
        failed = 0
        if requests:
            level = self._level(number, fate, start, end, shed)
            failed = failed_requests(requests, level, world.window_uniform(number, window), once=self._vary)
        was_up = world.was_up(number, start, end)
        return requests, failed, was_up, failed <= allowed and was_up

    def _foresee(self, number: int, fate: NodeFate, start: int, n: int) -> Iterator[View]:
        """Return what n windows will see."""
        world, interval, first = self._world, self._interval_ns, fate.windows
        same = self._same[world.class_numbers[number]]
        if same is None or world.added_level(number) or not world.is_quiet_until(number, start + n * interval):
            for place in range(n):
                begin = start + place * interval
                yield self._see(number, fate, first + place, begin, begin + interval)
            return
        # The node is up, and all windows are alike.
        requests, allowed, _ = same
        uniforms = world.window_uniforms(number, first, n)
        for failed in failed_requests_of(requests, world.baseline[number], uniforms) if requests else [0] * n:
            yield requests, failed, True, failed <= allowed

    def looks_at_old(self, number: int, fate: NodeFate, start: int, end: int, requests: int) -> Seen | None:
        """Count the failed ones of as many requests of a node on the old version; None if it was not up throughout."""
        world = self._world
        if not world.was_up(number, start, end):
            return None
        _, _, shed = self._meets(number, start, end)
        failed = 0
        if requests:
            u = world.draws.draw(Stream.OLD_WINDOW, number, end // self._interval_ns % WORD_LIMIT)
            failed = failed_requests(requests, self._level(number, fate, start, end, shed), u, once=self._vary)
        healthy = failed <= self._allows(requests)
        place = self._compared.add(end, number, requests, failed, healthy=healthy, up=True, counted=False)
        return Seen(requests, failed, True, healthy, place)

    def watches(self, number: int, fate: NodeFate, start: int, end: int, look: int) -> tuple[int, int]:
        """Count requests and failed requests of a running node; none where it was not up throughout."""
        world = self._world
        if not world.was_up(number, start, end):
            return 0, 0
        requests, allowed, shed = self._meets(number, start, end)
        failed = 0
        if requests:
            u = world.draws.draw(Stream.WATCHED_WINDOW, number, look)
            failed = failed_requests(requests, self._level(number, fate, start, end, shed), u, once=self._vary)
        self._windows.add(end, number, requests, failed, healthy=failed <= allowed, up=True, counted=True)
        fate.windows += 1
        return requests, failed

    def _meets(self, number: int, start: int, end: int) -> tuple[int, int, float]:
        """Return the requests of a window, the most failed ones of a healthy one, and the fraction that is shed."""
        of_class = self._world.class_numbers[number]
        same = self._same[of_class]
        if same is not None:
            return same
        seconds, shed = self._load.over(number, start, end)
        requests = count_requests(self._rates[of_class], seconds)
        return requests, self._allows(requests), shed

    def _level(self, number: int, fate: NodeFate, start: int, end: int, shed: float) -> float:
        """Return the fraction of a window's requests that fail on average: of those served by the node's level, and those shed."""
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
