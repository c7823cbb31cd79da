"""Parameters with their notes, and intervals that treat rollouts as the observations."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.statistics.intervals import mean_interval

if TYPE_CHECKING:
    from simdeploy.analysis.calibration.result import Source

# With fewer rollouts no spread is estimated.
FEWEST_FOR_SPREAD = 5
NO_SPREAD = "too few rollouts to know how much it varies from one to the next"


@dataclass(frozen=True)
class Parameter:
    """A row of `Calibration.parameters`."""

    path: str
    estimate: float
    low: float
    high: float
    n_rollouts: int
    n_nodes: int
    source: Source = "fitted"
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return it by column."""
        return asdict(self)


def find_drop(n_rollouts: int, confidence_level: float) -> float:
    """Return how far a profile log-likelihood may fall within the interval.

    Half the squared quantile of Student's t with ``n_rollouts - 1`` degrees of freedom: with many rollouts the usual chi-squared limit,
    with few it allows for estimated spreads.

    Examples
    --------
    >>> round(find_drop(10**6, 0.95), 3), round(find_drop(10, 0.95), 3)
    (1.921, 2.559)
    """
    from scipy.special import stdtrit

    return float(stdtrit(n_rollouts - 1, (1 + confidence_level) / 2)) ** 2 / 2 if n_rollouts > 1 else math.inf


def ratio_interval(counted: np.ndarray, total: np.ndarray, confidence_level: float) -> tuple[float, float, float]:
    """Return the ratio of two sums over rollouts, with Student's interval from the variation between rollouts; never negative.

    Examples
    --------
    >>> import numpy as np
    >>> [round(limit, 3) for limit in ratio_interval(np.array([1, 3, 2]), np.array([20, 20, 20]), 0.95)]
    [0.1, 0.0, 0.224]
    """
    counted, total = np.asarray(counted, float), np.asarray(total, float)
    n = len(total)
    estimate = float(counted.sum() / total.sum())
    if n < 2:
        return estimate, math.nan, math.nan
    errors = counted - estimate * total
    low, high = mean_interval(
        estimate, math.sqrt(n / (n - 1) * float((errors**2).sum())) / float(total.sum()), n, confidence_level
    )
    return estimate, max(low, 0.0), high
