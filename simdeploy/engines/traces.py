"""Traces: a few quantities of many rollouts at common instants, as whole numbers.

Nodes are counted. Error rates are counted in steps of `STEP`, because the engines add their terms in different orders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simdeploy.vocabulary import TRACED

# The rows of a trace.
QUANTITIES = TRACED
UPDATED, FAILED, EXPOSED, IN_SERVICE, ERROR_RATE, ERROR_RATE_NEW, SHED = range(len(QUANTITIES))

STEP = 0.00001
UNKNOWN = -1
# A rate just below the middle between two steps is rounded up, because the engines' sums may differ in their last digits.
MIDDLE = 0.5 + 1e-6

NO_RELEASE = -1
BROKEN = -2


@dataclass(frozen=True)
class Grid:
    """Instants from 0 on, `every_ns` apart."""

    every_ns: int
    n_times: int

    @property
    def times_ns(self) -> np.ndarray:
        """The instants."""
        return np.arange(self.n_times) * self.every_ns

    @property
    def last_ns(self) -> int:
        """The last instant."""
        return (self.n_times - 1) * self.every_ns


@dataclass(frozen=True)
class Traces:
    """Traces of several policies over consecutive replications."""

    values: np.ndarray  # int32, shape (policies, replications, quantities, times): `UNKNOWN` without requests
    # int32, shape (policies, replications): the actual release's number; `NO_RELEASE` without one, `BROKEN` if the
    # replication failed.
    kinds: np.ndarray
    error: str = ""  # of the first replication that failed; otherwise empty
