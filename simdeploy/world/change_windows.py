"""Change windows: the hours of the week in which nodes may be dispatched (model section 4)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from simdeploy.units import NS_PER_S

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 24 * HOUR_NS
WEEK_NS = 7 * DAY_NS

Span = tuple[int, int]  # [start, end)


@dataclass(frozen=True)
class ChangeWindow:
    """The same hours on some days of every week."""

    days: tuple[int, ...]  # on which it opens, 0 for Monday
    # from_ns, to_ns: nanoseconds since midnight; a window whose end is not after its start ends on the next day.
    from_ns: int
    to_ns: int


def weekly_openings(windows: Iterable[ChangeWindow]) -> tuple[Span, ...]:
    """Return when any window is open, nanoseconds since Monday 00:00: disjoint spans within one week, in order.

    Examples
    --------
    >>> friday_night = ChangeWindow(days=(4,), from_ns=22 * HOUR_NS, to_ns=4 * HOUR_NS)
    >>> [(start // HOUR_NS, end // HOUR_NS) for start, end in weekly_openings([friday_night])]
    [(118, 124)]
    """
    return _unite(tuple(windows))


@lru_cache(maxsize=64)
def _unite(windows: tuple[ChangeWindow, ...]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for window in windows:
        for day in window.days:
            start = day * DAY_NS + window.from_ns
            end = day * DAY_NS + window.to_ns + (0 if window.to_ns > window.from_ns else DAY_NS)
            spans += [(start, min(end, WEEK_NS)), (0, end - WEEK_NS)]
    united: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return tuple(united)


def is_always_open(windows: Iterable[ChangeWindow]) -> bool:
    """Tell whether at any time of the week some window is open."""
    return weekly_openings(windows) == ((0, WEEK_NS),)


class Calendar:
    """When change windows are open during a rollout; times are nanoseconds after its start.

    Examples
    --------
    >>> weekdays = ChangeWindow(days=(0, 1, 2, 3), from_ns=9 * HOUR_NS, to_ns=16 * HOUR_NS)
    >>> calendar = Calendar(weekly_openings([weekdays]), begins_ns=17 * HOUR_NS)
    >>> calendar.next_opening(0) // HOUR_NS, calendar.name(calendar.next_opening(0))
    (16, 'Tue 09:00')
    """

    def __init__(
        self,
        openings: tuple[Span, ...],  # as of `weekly_openings`; neither none nor the whole week
        begins_ns: int,  # when the rollout starts, nanoseconds since Monday 00:00
    ) -> None:
        self._openings = openings
        self._ends = [end for _, end in openings]
        self._begins = begins_ns
        self._per_week = sum(end - start for start, end in openings)

    def is_open(self, t: int) -> bool:
        """Tell whether a window is open at t; its start is included, its end isn't."""
        t = (t + self._begins) % WEEK_NS
        place = bisect_right(self._ends, t)  # of the first that ends after it
        return place < len(self._ends) and self._openings[place][0] <= t

    def next_opening(self, t: int) -> int:
        """Return the first instant from t on at which a window is open."""
        week, at = divmod(t + self._begins, WEEK_NS)
        opens = next((max(start, at) for start, end in self._openings if at < end), self._openings[0][0] + WEEK_NS)
        return week * WEEK_NS + opens - self._begins

    def next_change(self, t: int) -> int:
        """Return the first instant after t at which the windows close, or one of them opens."""
        if not self.is_open(t):
            return self.next_opening(t)
        week, at = divmod(t + self._begins, WEEK_NS)
        closes = next(end for start, end in self._openings if start <= at < end)
        if closes == WEEK_NS and self._openings[0][0] == 0:
            closes += self._openings[0][1]
        return week * WEEK_NS + closes - self._begins

    def open_time(self, start: int, end: int) -> int:
        """Return for how long a window is open within [start, end)."""
        return self._open_time_until(end) - self._open_time_until(start)

    def when_open_for(self, start: int, length: int) -> int:
        """Return the first instant t at which windows have been open for `length` within [start, t)."""
        if length <= 0:
            return start
        weeks, left = divmod(self._open_time_until(start) + length - 1, self._per_week)
        left += 1  # so that a time used up at the end of a window gives that instant, not the next opening
        for opens, closes in self._openings:
            if left <= closes - opens:
                return weeks * WEEK_NS + opens + left - self._begins
            left -= closes - opens
        raise AssertionError(left)

    def name(self, t: int) -> str:
        """Write an instant as weekday and time of the day."""
        at = (t + self._begins) % WEEK_NS
        days, rest = divmod(at, DAY_NS)
        hours, rest = divmod(rest, HOUR_NS)
        minutes, rest = divmod(rest, 60 * NS_PER_S)
        text = f"{DAYS[days].capitalize()} {hours:02d}:{minutes:02d}"
        if rest:
            text += f":{rest / NS_PER_S:012.9f}".rstrip("0").rstrip(".")
        return text

    def _open_time_until(self, t: int) -> int:
        """Return for how long windows are open between the Monday before the rollout and t."""
        weeks, at = divmod(t + self._begins, WEEK_NS)
        return weeks * self._per_week + sum(min(at, end) - start for start, end in self._openings if start < at)


def calendar_of(windows: tuple[ChangeWindow, ...], begins_ns: int) -> Calendar | None:
    """Return the calendar of a rollout that starts `begins_ns` after a Monday 00:00; None if nodes may always be dispatched."""
    if not windows or is_always_open(windows):
        return None
    return Calendar(weekly_openings(windows), begins_ns)
