"""Differences of all pairs of policies in the same worlds, with limits that can hold simultaneously."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simdeploy.scenario.measures import Measure
from simdeploy.statistics.combining import combine, never_differ
from simdeploy.statistics.estimators import estimate_cases
from simdeploy.statistics.sample import Sample, as_sample

# The most values that are compared at once.
_MOST_AT_ONCE = 1_000_000


@dataclass(frozen=True, eq=False)
class Pairs:
    """Differences of all pairs of policies, as matrices: row minus column."""

    estimate: np.ndarray  # mean difference; 0 on the diagonal, NaN for two policies without a common replication
    n: np.ndarray  # replications in which both have a value
    lower: np.ndarray  # lower limits, each separately; NaN on the diagonal and with too few replications
    is_trusted: np.ndarray  # whether a limit's error is at most its nominal one

    @property
    def is_sure(self) -> np.ndarray:
        """Whether a verdict may rest on a limit, because it is trusted or nothing differed in enough worlds."""
        is_sure: np.ndarray = self.is_trusted | never_differ(self.lower, self.lower.T, self.n)
        return is_sure


def pair_policies(values: np.ndarray | Sample, *, is_rate: bool, error: float) -> Pairs:
    r"""Return all differences of policies within replications, with lower limits.

    Values have shape (policies, replications), NaN if missing. Each lower limit is wrong with probability `error`,
    below 1/2. All K limits together err with at most K times as much (Bonferroni), whatever the dependence between
    policies. The upper limits are ``-lower.T``.

    Notes
    -----
    For means: :math:`\bar D - t_{n-1, 1-\epsilon} S_D / \sqrt n` of the paired differences (Law 2015 [1]_, section
    10.2.1). For rates: `paired_proportions_limit`, conservative for every n. For several strata see `combine`.

    Time is quadratic in the policies and linear in the replications.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition. McGraw-Hill.

    Examples
    --------
    >>> pairs = pair_policies(np.array([[1.0, 2.0, 6.0], [1.0, 1.0, 4.0]]), is_rate=False, error=0.05)
    >>> pairs.estimate.tolist(), pairs.n.tolist()
    ([[0.0, 1.0], [-1.0, 0.0]], [[3, 3], [3, 3]])
    """
    sample = as_sample(values)
    size = len(sample)
    numbers = {name: np.zeros((size, size)) for name in ("estimate", "lower")}
    n, is_trusted = np.zeros((size, size), np.int64), np.zeros((size, size), dtype=bool)
    rows, columns = np.triu_indices(size)
    some = max(_MOST_AT_ONCE // max(sample.values.shape[-1], 1), 1)
    for start in range(0, len(rows), some):
        row, column = rows[start : start + some], columns[start : start + some]
        combined = combine(sample[row] - sample[column], is_rate=is_rate, confidence_level=1 - 2 * error)
        numbers["estimate"][column, row], numbers["estimate"][row, column] = -combined.estimate, combined.estimate + 0.0
        numbers["lower"][column, row], numbers["lower"][row, column] = -combined.high, combined.low
        n[column, row] = n[row, column] = combined.n
        is_trusted[column, row], is_trusted[row, column] = combined.trusts_high, combined.trusts_low
    np.fill_diagonal(numbers["lower"], np.nan)
    return Pairs(**numbers, n=n, is_trusted=is_trusted)


@dataclass(frozen=True, eq=False)
class Gaps:
    """How much worse the row's policy is than the column's; negative if it is better.

    NaN with too few values, and for limits on the diagonal.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sure_low: np.ndarray  # the limits on which a verdict may rest, as in `Pairs.is_sure`; others are infinite
    sure_high: np.ndarray
    trusted_low: np.ndarray  # the limits that can be trusted
    trusted_high: np.ndarray

    @property
    def is_trusted(self) -> np.ndarray:
        """Whether both limits can be trusted."""
        is_trusted: np.ndarray = np.isfinite(self.trusted_low) & np.isfinite(self.trusted_high)
        return is_trusted


def estimate_gaps(
    values: np.ndarray | Sample,
    measure: Measure,
    *,
    direction: Literal["min", "max"],
    confidence_level: float,
    together: int = 1,
) -> Gaps:
    r"""Estimate how much worse each policy (row of values) is than each other one in the same worlds.

    `together` intervals hold together with the confidence level: each errs with :math:`(1 - level) / together`
    (Bonferroni's inequality). Means and rates have the two-sided intervals of paired differences from
    `pair_policies`. Quantiles have no paired difference: the gap is that of the two estimates, and its interval
    spans the differences between two intervals that hold together by the same inequality.

    Examples
    --------
    >>> gaps = estimate_gaps(
    ...     np.array([[100.0, 110.0], [60.0, 70.0]]), Measure("makespan_s"), direction="min", confidence_level=0.95
    ... )
    >>> gaps.estimate.tolist(), round(float(gaps.low[0, 1]), 1)
    ([[0.0, 40.0], [-40.0, 0.0]], 31.6)
    """
    error = (1 - confidence_level) / together
    if measure.kind == "quantile":
        estimates = np.array([each[:3] for each in estimate_cases(as_sample(values), measure, 1 - error / 2)])
        estimate = estimates[:, None, 0] - estimates[None, :, 0]
        low = estimates[:, None, 1] - estimates[None, :, 2]
        np.fill_diagonal(low, np.nan)
        is_trusted = is_sure = ~np.isnan(low)
    else:
        pairs = pair_policies(values, is_rate=measure.kind == "rate", error=error / 2)
        estimate, low, is_trusted, is_sure = pairs.estimate, pairs.lower, pairs.is_trusted, pairs.is_sure
    lower = [low, *(np.where(is_used, low, -np.inf) for is_used in (is_sure, is_trusted))]
    if direction == "max":
        estimate, lower = estimate.T, [limits.T for limits in lower]
    return Gaps(estimate, *(each for limits in lower for each in (limits, -limits.T)))
