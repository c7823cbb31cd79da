"""One policy against the others: how much worse it is in the same worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simdeploy.scenario.measures import Measure
from simdeploy.statistics.estimators import estimate_values
from simdeploy.statistics.pairs import pair_policies


@dataclass(frozen=True, eq=False)
class Gaps:
    """How much worse the policy of the row is than that of the column: below 0 where it is better.

    Attributes
    ----------
    estimate, low, high : ndarray of float, shape (policies, policies)
        NaN where there is too little, and the limits on the diagonal.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def estimate_gaps(
    values: np.ndarray,
    measure: Measure,
    *,
    direction: Literal["min", "max"],
    confidence_level: float,
    together: int = 1,
) -> Gaps:
    r"""Estimate how much worse each policy is than each other one that met the same worlds.

    Parameters
    ----------
    values : ndarray of float, shape (policies, replications)
    measure : Measure
    direction : {'min', 'max'}
        Whether less or more of it is better.
    confidence_level : float
    together : int, default 1
        How many of the intervals are to hold together with this level: each errs with
        :math:`(1 - level) / together` (Bonferroni's inequality).

    Returns
    -------
    Gaps
        Of means and rates with the two-sided intervals that `Pairs.lower_limits` makes of paired differences. Quantiles
        have no paired difference: the gap is that of the two estimates, and its interval goes from the least to the
        largest difference between two intervals that hold together by the same inequality.

    Examples
    --------
    >>> gaps = estimate_gaps(
    ...     np.array([[100.0, 110.0], [60.0, 70.0]]), Measure("makespan_s"), direction="min", confidence_level=0.95
    ... )
    >>> gaps.estimate.tolist(), float(gaps.low[0, 1])
    ([[0.0, 40.0], [-40.0, 0.0]], 40.0)
    """
    error = (1 - confidence_level) / together
    if measure.kind == "quantile":
        own = np.array([estimate_values(each, measure, 1 - error / 2)[:3] for each in values])
        estimate = own[:, None, 0] - own[None, :, 0]
        low = own[:, None, 1] - own[None, :, 2]
        np.fill_diagonal(low, np.nan)
    else:
        pairs = pair_policies(values, is_rate=measure.kind == "rate")
        estimate, low = pairs.estimate, pairs.lower_limits(error / 2)
    return Gaps(estimate, low, -low.T) if direction == "min" else Gaps(estimate.T, low.T, -low)
