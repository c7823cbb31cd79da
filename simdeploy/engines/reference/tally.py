"""Counts of failures for limits, beyond those that a deployment shows: in a row, and by zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.engines.reference.node import Node
    from simdeploy.rules.limits import Limits


class Tally:
    """Counts failures in a row and by zone."""

    def __init__(self, zone_of: np.ndarray) -> None:
        self._zone_of = zone_of
        self._failed = np.zeros_like(np.bincount(zone_of))
        self._row_at = self._failures_now = 0
        self._ran_at = -1
        self.in_a_row = 0  # failures since a node last became running, including those of the same instant
        self.earlier_tries = 0  # failed tries of nodes that were tried again, if these count

    def add_try(self, now: int) -> None:
        """Add a failed try of a node that is tried again."""
        self.earlier_tries += 1
        self._add_failure(now)

    def _add_failure(self, now: int) -> None:
        if now != self._row_at:
            self._row_at, self._failures_now = now, 0
        self._failures_now += 1
        self.in_a_row += 1

    def add(self, node: Node, now: int) -> None:
        """Add a verdict that counts now."""
        if node.fate.ever_failed:
            self._failed[self._zone_of[node.number]] += 1
            self._add_failure(now)
        elif now != self._ran_at:
            self._ran_at = now
            self.in_a_row = self._failures_now if now == self._row_at else 0

    def list_zones(self, limits: Limits) -> list[tuple[int, int]]:
        """Return failed nodes and size of every zone with failures; a single (0, 0) without any, or if zones have no limit."""
        if limits.per_zone is None:
            return [(0, 0)]
        sizes = np.bincount(self._zone_of)
        return [(int(self._failed[zone]), int(sizes[zone])) for zone in np.flatnonzero(self._failed)] or [(0, 0)]
