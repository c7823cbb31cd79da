"""What was seen of nodes: when they started, their verdicts and when these came, and how many of their requests failed."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simdeploy.analysis.advice.laws import FOREVER

NO, YES, UNKNOWN = 0, 1, -1


@dataclass(frozen=True, eq=False)
class Observed:
    """What was seen of nodes, in columns of any shape. Times are nanoseconds after the dispatch, intervals (low, high]."""

    verdict: np.ndarray  # -1 for none yet
    started: np.ndarray  # `NO`, `YES` or `UNKNOWN`; without a verdict: whether it has started so far
    # start_low, start_high: when it started, if it did
    start_low: np.ndarray
    start_high: np.ndarray
    # low, high: when it got its verdict
    low: np.ndarray
    high: np.ndarray
    windows: np.ndarray  # index of its windows' counts in a list, from 1; 0 without counts

    @classmethod
    def of_verdicts(cls, verdict: np.ndarray, low: np.ndarray, high: np.ndarray) -> Observed:
        """Return nodes with unknown starts."""
        ends = np.full(len(verdict), -1.0), np.full(len(verdict), FOREVER)
        return cls(verdict, np.full(len(verdict), UNKNOWN), *ends, low, high, np.zeros(len(verdict), int))

    @property
    def in_the_end(self) -> Observed:
        """What was seen, as a condition on whole lives: a node without a verdict that has not started so far may start later."""
        is_open = self.verdict < 0
        may_start = is_open & (self.started != YES)
        started = np.where(may_start, UNKNOWN, self.started)
        start_low = np.where(is_open & (self.started == NO), self.low, self.start_low)
        start_high = np.where(may_start, FOREVER, self.start_high)
        return Observed(self.verdict, started, start_low, start_high, self.low, self.high, self.windows)

    @property
    def flat(self) -> Observed:
        """The same with one-dimensional columns."""
        return Observed(*(getattr(self, column.name).ravel() for column in fields(self)))

    def take(self, places: np.ndarray | tuple[np.ndarray, ...]) -> Observed:
        """Return some of them."""
        return Observed(*(getattr(self, column.name)[places] for column in fields(self)))


@dataclass(frozen=True)
class Total:
    """Requests to all nodes on a version, or only to those of one wave, that no health window judged."""

    version: str
    requests: int
    failed: int
    wave: int | None  # index in the plan
    # from_ns, to_ns: when the requests came, nanoseconds after the start
    from_ns: float
    to_ns: float
    row: int  # of the table, from 1
