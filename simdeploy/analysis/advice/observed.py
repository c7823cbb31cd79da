"""What was seen of nodes: when they started, when they got which verdict, and how many of their requests failed."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simdeploy.analysis.advice.laws import FOREVER

NO, YES, UNKNOWN = 0, 1, -1


@dataclass(frozen=True, eq=False)
class Observed:
    """What was seen of nodes, in columns of any shape; times in nanoseconds after the dispatch, the first of an interval outside it."""

    verdict: np.ndarray  # -1 for none yet
    started: np.ndarray  # `NO`, `YES` or `UNKNOWN`; of a node without a verdict, whether it has so far
    # start_low, start_high: when it started, if it did
    start_low: np.ndarray
    start_high: np.ndarray
    # low, high: when it got its verdict
    low: np.ndarray
    high: np.ndarray
    windows: np.ndarray  # place of the counts of its windows in a list, from 1; 0 without any

    @classmethod
    def of_verdicts(cls, verdict: np.ndarray, low: np.ndarray, high: np.ndarray) -> Observed:
        """Return nodes of which nobody saw when they started."""
        ends = np.full(len(verdict), -1.0), np.full(len(verdict), FOREVER)
        return cls(verdict, np.full(len(verdict), UNKNOWN), *ends, low, high, np.zeros(len(verdict), int))

    @property
    def in_the_end(self) -> Observed:
        """The same, of lives that end with a verdict: who has not started so far may do so later."""
        is_open = self.verdict < 0
        may_start = is_open & (self.started != YES)
        started = np.where(may_start, UNKNOWN, self.started)
        start_low = np.where(is_open & (self.started == NO), self.low, self.start_low)
        start_high = np.where(may_start, FOREVER, self.start_high)
        return Observed(self.verdict, started, start_low, start_high, self.low, self.high, self.windows)

    @property
    def flat(self) -> Observed:
        """The same, one node after the other."""
        return Observed(*(getattr(self, column.name).ravel() for column in fields(self)))

    def take(self, places: np.ndarray | tuple[np.ndarray, ...]) -> Observed:
        """Return some of them."""
        return Observed(*(getattr(self, column.name)[places] for column in fields(self)))


@dataclass(frozen=True)
class Total:
    """Requests to all nodes on one version, or those of one wave, that no health window judged."""

    version: str
    requests: int
    failed: int
    wave: int | None  # place in the plan
    # from_ns, to_ns: when they came, nanoseconds after the start
    from_ns: float
    to_ns: float
    row: int  # of the table, from 1
