"""Estimates with their intervals, and paired differences: the basis of all analyses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.statistics.combining import Combined, combine, never_differ
from simdeploy.statistics.intervals import quantile_interval
from simdeploy.statistics.sample import Sample, as_sample

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure

# Relative error of a sum of weights.
_NEARLY = 1 - 1e-12


class Estimate(NamedTuple):
    """An estimate over `n` observations with its interval; NaN where unknown, as is the standard error of a quantile.

    `trusts_low` and `trusts_high` are false for a limit that may err more often than its nominal level, because the values
    are too skewed or too few. `raised` says by how much the lower limit was raised to the least possible value.
    """

    estimate: float
    low: float
    high: float
    n: int
    standard_error: float
    trusts_low: bool = True
    trusts_high: bool = True
    raised: float = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether both limits can be trusted."""
        return self.trusts_low and self.trusts_high

    @property
    def limits(self) -> tuple[float, float]:
        """The limits on which a verdict may rest: `trusted_limits`, or 0 and 0 if nothing differed in enough worlds."""
        return (0.0, 0.0) if never_differ(self.low, self.high, self.n) else self.trusted_limits

    @property
    def trusted_limits(self) -> tuple[float, float]:
        """The limits; a limit that can't be trusted is infinite."""
        return self.low if self.trusts_low else -math.inf, self.high if self.trusts_high else math.inf

    @property
    def half_width(self) -> float:
        """Half the width of the interval before its lower limit was raised."""
        return (self.high - self.low + self.raised) / 2

    def to_row(self) -> dict[str, Any]:
        """Return the cells of a table, including the half-width."""
        cells = {name: getattr(self, name) for name in ("estimate", "low", "high", "half_width", "n")}
        return {**cells, "standard_error": self.standard_error, "is_trusted": self.is_trusted}


NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan, 0, math.nan, trusts_low=False, trusts_high=False)


def estimate_values(values: np.ndarray | Sample, measure: Measure, confidence_level: float) -> Estimate:
    """Estimate a measure from its values, as from `Values.sample` for one case; NaN is ignored.

    A mean has Student's t interval, wider if values are skewed or far out; a rate the exact interval of Clopper and Pearson; a quantile
    the interval between two order statistics (`simdeploy.statistics.intervals`). For several strata see `combine`.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> estimate, low, *_ = estimate_values(np.array([60.0, 80.0, np.nan]), Measure("makespan_s"), 0.5)
    >>> round(estimate, 6), round(low, 6)
    (70.0, 56.899416)
    """
    return estimate_cases(as_sample(values)[None], measure, confidence_level)[0]


def estimate_cases(sample: Sample, measure: Measure, confidence_level: float) -> list[Estimate]:
    """Estimate a measure of several cases at once, with the results of `estimate_values` for each.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> cases = as_sample(np.array([[60.0, 80.0, np.nan], [1.0, 2.0, 6.0]]))
    >>> [each.estimate for each in estimate_cases(cases, Measure("makespan_s"), 0.95)]
    [70.0, 3.0]
    """
    if measure.kind == "quantile":
        quantile = float(measure.quantile or 0.5)
        return [_estimate_quantile(case, quantile, confidence_level) for case in sample]
    rows = _combine(sample, measure, confidence_level)
    columns = [np.broadcast_to(getattr(rows, name), rows.n.shape) for name in Estimate._fields]
    return [Estimate(*cells) for cells in zip(*(column.tolist() for column in columns), strict=True)]


def _combine(sample: Sample, measure: Measure, confidence_level: float) -> Combined:
    combined = combine(sample, is_rate=measure.kind == "rate", confidence_level=confidence_level)
    is_fraction = measure.is_fraction and not sample.is_difference
    return combined.as_fractions() if is_fraction else combined.at_least(sample.least)


def estimate_rows(values: np.ndarray | Sample, measure: Measure, confidence_level: float) -> Combined:
    """Estimate a measure of several cases, one per row, as `estimate_values` does.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> rows = np.array([[1.0, 0.0, np.nan], [1.0, 1.0, 1.0]])
    >>> estimate_rows(rows, Measure("escaped"), 0.95).estimate.tolist()
    [0.5, 1.0]
    """
    sample = as_sample(values)
    if measure.kind != "quantile":
        return _combine(sample, measure, confidence_level)
    estimates = estimate_cases(sample, measure, confidence_level)
    columns = {name: np.array([getattr(row, name) for row in estimates]) for name in Estimate._fields}
    return Combined(**columns, skewness=np.zeros(len(estimates)))


def _estimate_quantile(sample: Sample, quantile: float, confidence_level: float) -> Estimate:
    known = ~np.isnan(sample.values) & (sample.weights > 0)
    n = int(known.sum())
    if not n:
        return NO_ESTIMATE
    if sample.strata.n == 1:
        ordered = np.sort(sample.values[known])
        estimate = float(ordered[quantile_place(n, quantile)])
        low, high = quantile_interval(ordered, quantile, confidence_level)
    else:
        estimate = float(find_quantiles(sample[None], quantile)[0])
        low, high = _limits_of_quantile(sample, quantile, confidence_level)
    return Estimate(estimate, low, high, n, math.nan, not math.isnan(low), not math.isnan(high))


def find_quantiles(sample: Sample, quantile: float) -> np.ndarray:
    """Return a quantile of each case; values are weighted by the probabilities of their strata.

    Examples
    --------
    >>> from simdeploy.statistics.sample import Strata
    >>> strata = Strata(np.array([0, 0, 1, 1]), np.array([0.9, 0.1]))
    >>> sample = Sample(np.array([[1.0, 2.0, 8.0, 9.0]]), strata, np.full(1, np.inf))
    >>> [find_quantiles(sample, quantile).item() for quantile in (0.5, 0.92)]
    [2.0, 8.0]
    """
    order = np.argsort(sample.values, axis=1)  # NaN come last
    ordered = np.take_along_axis(sample.values, order, axis=1)
    n = (~np.isnan(ordered)).sum(axis=1)
    if sample.strata.n == 1:
        places = np.array(
            [quantile_place(int(count), quantile) if count else 0 for count in n.tolist()], dtype=np.int64
        )
    else:
        weights = np.take_along_axis(np.broadcast_to(sample.weights, sample.values.shape), order, axis=1)
        below = np.cumsum(np.where(np.isnan(ordered), 0.0, weights), axis=1)
        ordered = np.where(below[:, -1:] > 0, ordered, np.nan)
        is_below = below < _NEARLY * quantile * below[:, -1:]
        places = np.minimum(is_below.sum(axis=1), np.maximum(n - 1, 0))
    return np.take_along_axis(ordered, places[:, None], axis=1)[:, 0]


def _limits_of_quantile(sample: Sample, quantile: float, confidence_level: float) -> tuple[float, float]:
    """Return the limits of a quantile of several strata, by inverting the limits of the share of values below."""
    ordered = np.unique(sample.values[~np.isnan(sample.values)])
    plain = replace(sample, lumps=(), is_certain=np.zeros(1, dtype=bool))

    @cache
    def share_below(value: float) -> tuple[float, float]:
        is_below = np.where(np.isnan(sample.values), np.nan, sample.values <= value)
        combined = combine(replace(plain, values=is_below)[None], is_rate=True, confidence_level=confidence_level)
        return combined.low.item(), combined.high.item()

    def first(reaches: Callable[[tuple[float, float]], bool]) -> float:
        """Return the first value at which the share below is high enough; NaN if that holds for none or for all."""
        if reaches(share_below(-math.inf)):
            return math.nan
        start, stop = 0, len(ordered)
        while start < stop:
            middle = (start + stop) // 2
            start, stop = (start, middle) if reaches(share_below(ordered[middle])) else (middle + 1, stop)
        return float(ordered[start]) if start < len(ordered) else math.nan

    return first(lambda share: share[1] >= quantile), first(lambda share: share[0] >= quantile)


@lru_cache(maxsize=128)
def quantile_place(n: int, quantile: float) -> int:
    r"""Return the index of a quantile among n values in ascending order: that of :math:`X_{(\lceil nq \rceil)}`, from 0.

    The quantile is taken as its decimal notation.

    Examples
    --------
    >>> quantile_place(100, 0.07), math.ceil(100 * 0.07) - 1
    (6, 7)
    """
    return math.ceil(n * Fraction(str(quantile))) - 1


def estimate_difference(
    values: np.ndarray | Sample, others: np.ndarray | Sample, measure: Measure, confidence_level: float
) -> Estimate:
    r"""Estimate a measure of one policy minus that of another in the same worlds, from their values as from
    `Values.sample`.

    For a mean or a rate it is the difference over the replications in which both have a value: with Student's t
    interval, for a rate with the conservative one of `paired_proportions_interval`; for several strata see `combine`.
    For a quantile each policy has an interval of level :math:`1 - \alpha/2`, and the difference lies between their
    farthest ends with probability at least :math:`1 - \alpha`, by Bonferroni's inequality; `n` is then the smaller
    number of observations.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> found = estimate_difference(np.array([3.0, 5.0, 5.0]), np.array([1.0, 3.0, 2.0]), Measure("makespan_s"), 0.5)
    >>> found.n, round(found.estimate, 3), round(found.low, 3)
    (3, 2.333, 2.003)
    """
    first, second = as_sample(values)[None], as_sample(others)[None]
    return estimate_differences(first, second, measure, confidence_level)[0]


def estimate_differences(first: Sample, second: Sample, measure: Measure, confidence_level: float) -> list[Estimate]:
    """Estimate the differences of several pairs of cases at once, with the results of `estimate_difference` for each.

    Examples
    --------
    >>> import numpy as np
    >>> from simdeploy.scenario.measures import Measure
    >>> cases, others = as_sample(np.array([[3.0, 5.0], [2.0, 9.0]])), as_sample(np.array([[1.0, 3.0], [1.0, 3.0]]))
    >>> [each.estimate for each in estimate_differences(cases, others, Measure("makespan_s"), 0.95)]
    [2.0, 3.5]
    """
    if measure.kind != "quantile":
        return estimate_cases(first - second, measure, confidence_level)
    level = (1 + confidence_level) / 2
    differences = []
    for more, less in zip(*(estimate_cases(each, measure, level) for each in (first, second)), strict=True):
        ends = more.low - less.high, more.high - less.low
        are_trusted = (not math.isnan(end) for end in ends)
        differences.append(Estimate(more.estimate - less.estimate, *ends, min(more.n, less.n), math.nan, *are_trusted))
    return differences
