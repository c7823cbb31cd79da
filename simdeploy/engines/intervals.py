"""Intervals of time per node, as columns of whole nanoseconds: unions, lengths, and counts over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from simdeploy.units import NS_PER_S

FOREVER = 1 << 62


class Intervals(NamedTuple):
    """Half-open intervals [start, end), one row each, in nanoseconds."""

    node: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]]) -> Intervals:
        """Make intervals from (node, start, end)."""
        columns = np.array(list(rows), dtype=np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2])

    def clipped(self, start: np.ndarray | int, end: np.ndarray | int) -> Intervals:
        """Return the parts within [start, end), which may differ from row to row; empty ones are dropped."""
        first, last = np.maximum(self.start, start), np.minimum(self.end, end)
        keep = first < last
        return Intervals(self.node[keep], first[keep], last[keep])

    def rows(self, chosen: np.ndarray) -> Intervals:
        """Return the rows selected by a mask."""
        return Intervals(self.node[chosen], self.start[chosen], self.end[chosen])

    def and_also(self, other: Intervals) -> Intervals:
        """Return the rows of both."""
        if not len(other.node) or not len(self.node):
            return self if len(self.node) else other
        return Intervals(
            np.concatenate([self.node, other.node]),
            np.concatenate([self.start, other.start]),
            np.concatenate([self.end, other.end]),
        )

    def union(self) -> Intervals:
        """Merge the intervals of each node that overlap or touch; sorted by node and start."""
        if not len(self.node):
            return self
        node = np.concatenate([self.node, self.node])
        time = np.concatenate([self.start, self.end])
        change = np.repeat([1, -1], len(self.start))
        # The stable sort keeps starts before ends at the same instant, so intervals that touch become one.
        order = np.lexsort((time, node))
        node, time, change = node[order], time[order], change[order]
        depth = np.cumsum(change)
        begins = (change == 1) & (depth == 1)
        ends = depth == 0
        return Intervals(node[begins], time[begins], time[ends])

    def meet(self, other: Intervals) -> Intervals:
        """Return the intersection per node; the intervals of each operand must not overlap."""
        both = self._of_nodes_in(other).and_also(other._of_nodes_in(self))
        if not len(both.node):
            return both
        node = np.concatenate([both.node, both.node])
        time = np.concatenate([both.end, both.start])
        change = np.repeat([-1, 1], len(both.start))
        # The stable sort keeps ends before starts at the same instant, so intervals that touch have no intersection.
        order = np.lexsort((time, node))
        node, time, change = node[order], time[order], change[order]
        depth = np.cumsum(change)
        begins = (change == 1) & (depth == 2)
        ends = (change == -1) & (depth == 1)
        return Intervals(node[begins], time[begins], time[ends])

    def _of_nodes_in(self, other: Intervals) -> Intervals:
        """Return the rows of nodes that `other` has rows of, too."""
        is_there = np.zeros(max(self.node.max(initial=-1), other.node.max(initial=-1)) + 1, bool)
        is_there[other.node] = True
        return self.rows(is_there[self.node])

    def outside(self, start: np.ndarray, end: np.ndarray) -> Intervals:
        """Return the parts of [start, end) of each node outside its intervals, which must be a union."""
        inside = self.clipped(start[self.node], end[self.node])
        nodes = np.arange(len(start))
        # The gaps lie between the end of one interval and the start of the next.
        before = np.concatenate([nodes, inside.node])
        begins = np.concatenate([start, inside.end])
        after = np.concatenate([inside.node, nodes])
        ends = np.concatenate([inside.start, end])
        first, last = np.lexsort((begins, before)), np.lexsort((ends, after))
        gaps = Intervals(before[first], begins[first], ends[last])
        return gaps.clipped(0, FOREVER)

    def total_s(self, horizon_ns: int = FOREVER) -> float:
        """Return the sum of the lengths up to the horizon, seconds."""
        return sum_s(np.minimum(self.end, horizon_ns) - np.minimum(self.start, horizon_ns))

    def count_at(self, times_ns: np.ndarray) -> np.ndarray:
        """Return the number of intervals that contain each of some instants."""
        begun, ended = np.sort(self.start), np.sort(self.end)
        return np.searchsorted(begun, times_ns, side="right") - np.searchsorted(ended, times_ns, side="right")

    def count_changes(self, until_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the instants, up to and including `until_ns`, at which the number of nodes in an interval changes.

        They increase; the counts are those at the end of each instant.
        """
        time = np.concatenate([self.start, self.end])
        change = np.repeat([1, -1], len(self.start))
        keep = time <= until_ns
        time, change = time[keep], change[keep]
        order = np.argsort(time)
        time, counts = time[order], change[order].cumsum()
        is_last = np.ones(len(time), bool)  # of its instant
        is_last[:-1] = time[1:] > time[:-1]
        return time[is_last], counts[is_last]


def distinct(times_ns: np.ndarray) -> np.ndarray:
    """Return the distinct times, sorted; `np.unique` hashes whole numbers, which is much slower for many."""
    ordered = np.sort(times_ns)
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] > ordered[:-1]
    return ordered[is_first]


def or_forever(times_ns: Sequence[int | None]) -> np.ndarray:
    """Return times as a column, with `FOREVER` for None."""
    return np.array([FOREVER if time is None else time for time in times_ns], dtype=np.int64)


def sum_s(lengths_ns: np.ndarray) -> float:
    """Return the sum of nanoseconds in seconds; whole seconds and the rest are summed separately, because 64 bits may overflow."""
    if not len(lengths_ns):
        return 0.0
    seconds, rest = np.divmod(lengths_ns, NS_PER_S)
    return float(int(seconds.sum()) + int(rest.sum()) / NS_PER_S)
