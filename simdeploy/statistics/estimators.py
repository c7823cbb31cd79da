"""One estimate with its interval, and one paired difference: the basis of all analyses."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.statistics.intervals import (
    mean_interval,
    paired_proportions_interval,
    proportion_interval,
    quantile_interval,
)

if TYPE_CHECKING:
    import numpy as np

    from simdeploy.scenario.measures import Measure


class Estimate(NamedTuple):
    """An estimate over `n` observations with its interval; NaN where unknown, as is the standard error of a quantile."""

    estimate: float
    low: float
    high: float
    n: int
    standard_error: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    def to_row(self) -> dict[str, Any]:
        """Return the cells of a table, including the half-width."""
        return {**self._asdict(), "half_width": self.half_width}


def estimate_values(values: np.ndarray, measure: Measure, confidence_level: float) -> Estimate:
    """Estimate a measure from its values, as from `Values.of` for one case; NaN is ignored.

    A mean has Student's t interval, a rate the exact interval of Clopper and Pearson, a quantile the interval between
    two order statistics. See `simdeploy.statistics.intervals`.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> estimate_values(np.array([60.0, 80.0, np.nan]), Measure("makespan_s"), 0.5)[:2]
    (70.0, 60.0)
    """
    import numpy as np

    values = values[~np.isnan(values)]
    n = len(values)
    if measure.kind == "quantile":
        assert measure.quantile is not None  # noqa: S101 - so it is
        ordered = np.sort(values)
        estimate = float(ordered[quantile_place(n, measure.quantile)]) if n else math.nan
        return Estimate(estimate, *quantile_interval(ordered, measure.quantile, confidence_level), n, math.nan)
    mean, standard_error = moments(values)
    if measure.kind == "rate":
        successes = int(values.sum())
        # To the last digit, whatever the order of the values: 1 of 100 is no more than a limit of 1 %.
        rate = successes / n if n else math.nan
        return Estimate(rate, *proportion_interval(successes, n, confidence_level), n, standard_error)
    return Estimate(mean, *mean_interval(mean, standard_error, n, confidence_level), n, standard_error)


class EstimateRows(NamedTuple):
    """Estimates of several cases with their intervals; NaN where unknown."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def estimate_rows(values: np.ndarray, measure: Measure, confidence_level: float) -> EstimateRows:
    """Estimate a measure of several cases, one per row, as `estimate_values` does.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> rows = np.array([[1.0, 0.0, np.nan], [1.0, 1.0, 1.0]])
    >>> estimate_rows(rows, Measure("escaped"), 0.95).estimate.tolist()
    [0.5, 1.0]
    """
    import numpy as np

    if measure.kind == "rate":
        is_known = ~np.isnan(values)
        n, successes = is_known.sum(axis=1), np.where(is_known, values, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore"):
            low, high = proportion_interval(successes, n, confidence_level)
            return EstimateRows(successes / n, low, high, n)
    rows = [estimate_values(row, measure, confidence_level)[:4] for row in values]
    estimate, low, high, n = np.array(rows, dtype=float).reshape(-1, 4).T
    return EstimateRows(estimate, low, high, n.astype(np.int64))


def quantile_place(n: int, quantile: float) -> int:
    r"""Return the index of a quantile among n values in ascending order: that of :math:`X_{(\lceil nq \rceil)}`, from 0.

    The quantile is taken as its decimal notation.

    Examples
    --------
    >>> quantile_place(100, 0.07), math.ceil(100 * 0.07) - 1
    (6, 7)
    """
    return math.ceil(n * Fraction(str(quantile))) - 1


def estimate_difference(values: np.ndarray, others: np.ndarray, measure: Measure, confidence_level: float) -> Estimate:
    r"""Estimate a measure of one policy minus that of another in the same worlds, from their values as from `Values.of`.

    For a mean or a rate it is the difference over the replications in which both have a value: with Student's t
    interval, for a rate with the conservative one of `paired_proportions_interval`. For a quantile each policy has an
    interval of level :math:`1 - \alpha/2`, and the difference lies between their farthest ends with probability at
    least :math:`1 - \alpha`, by Bonferroni's inequality; `n` is then the smaller number of observations.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> estimate_difference(np.array([3.0, 5.0]), np.array([1.0, 3.0]), Measure("makespan_s"), 0.95)[:3]
    (2.0, 2.0, 2.0)
    """
    import numpy as np

    if measure.kind == "quantile":
        first, second = (estimate_values(v, measure, (1 + confidence_level) / 2) for v in (values, others))
        ends = first.low - second.high, first.high - second.low
        return Estimate(first.estimate - second.estimate, *ends, min(first.n, second.n), math.nan)
    difference = values - others
    difference = difference[~np.isnan(difference)]
    mean, standard_error = moments(difference)
    n = len(difference)
    if measure.kind == "rate":
        gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
        interval = paired_proportions_interval(gained, lost, n, confidence_level)
    else:
        interval = mean_interval(mean, standard_error, n, confidence_level)
    return Estimate(mean, *interval, n, standard_error)


def moments(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error, NaN below one and two observations."""
    n = len(values)
    if not n:
        return math.nan, math.nan
    # Taken from the first value on, so that observations that are all the same have an error of exactly 0.
    return float(values[0] + (values - values[0]).mean()), math.sqrt(variance(values) / n)


def variance(values: np.ndarray) -> float:
    """Return the sample variance, NaN below two observations."""
    if len(values) < 2:
        return math.nan
    return float((values - values[0]).var(ddof=1))
