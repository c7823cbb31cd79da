"""Estimates with their intervals, and paired differences: the basis of all analyses."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from simdeploy.statistics.combining import Combined, combine, never_differ
from simdeploy.statistics.intervals import quantile_interval
from simdeploy.statistics.sample import Sample, as_sample

if TYPE_CHECKING:
    from simdeploy.scenario.measures import Measure

# Relative error of a sum of weights.
_NEARLY = 1 - 1e-12
_MOST_AT_ONCE = 1_000_000  # values of the cases of which quantiles are estimated at once


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
        if sample.strata.n == 1:
            return [_estimate_quantile(case, quantile, confidence_level) for case in sample]
        step = max(1, _MOST_AT_ONCE // max(sample.values.shape[-1], 1))
        parts = [sample[first : first + step] for first in range(0, len(sample), step)]
        return [each for part in parts for each in _estimate_quantiles(part, quantile, confidence_level)]
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
    """Estimate a quantile of a case with one stratum."""
    known = ~np.isnan(sample.values) & (sample.weights > 0)
    n = int(known.sum())
    if not n:
        return NO_ESTIMATE
    ordered = np.sort(sample.values[known])
    estimate = float(ordered[quantile_place(n, quantile)])
    low, high = quantile_interval(ordered, quantile, confidence_level)
    return Estimate(estimate, low, high, n, math.nan, not math.isnan(low), not math.isnan(high))


def _estimate_quantiles(sample: Sample, quantile: float, confidence_level: float) -> list[Estimate]:
    """Estimate a quantile of each case with several strata."""
    if not sample.values.shape[1]:
        return [NO_ESTIMATE] * len(sample)
    n = (~np.isnan(sample.values) & (sample.weights > 0)).sum(axis=1)
    estimates = find_quantiles(sample, quantile)
    lows, highs = _limits_of_quantiles(sample, quantile, confidence_level)
    return [
        Estimate(estimate, low, high, count, math.nan, not math.isnan(low), not math.isnan(high))
        if count
        else NO_ESTIMATE
        for estimate, low, high, count in zip(*(each.tolist() for each in (estimates, lows, highs, n)), strict=True)
    ]


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


def _limits_of_quantiles(sample: Sample, quantile: float, confidence_level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of a quantile of several strata, by inverting the limits of the share of values below, for all cases at once."""
    # Each case's different values in ascending order; NaN come last.
    ordered = np.sort(sample.values.astype(float), axis=1)
    is_repeated = ordered[:, 1:] == ordered[:, :-1]
    ordered[:, 1:][is_repeated] = np.nan
    ordered.sort(axis=1)
    n = (~np.isnan(ordered)).sum(axis=1)
    cases, last = np.arange(len(sample)), ordered.shape[1] - 1
    plain = replace(sample, lumps=(), is_certain=np.zeros(1, dtype=bool))

    def share_below(values: np.ndarray, end: Literal["low", "high"]) -> np.ndarray:
        """Return a limit of the share of values up to one value of each case."""
        is_below = np.where(np.isnan(sample.values), np.nan, sample.values <= values[:, None])
        combined = combine(replace(plain, values=is_below), is_rate=True, confidence_level=confidence_level)
        share: np.ndarray = getattr(combined, end)
        return share

    def first(end: Literal["low", "high"]) -> np.ndarray:
        """Return the first value at which the share below is high enough; NaN if that holds for none or for all."""
        start, stop = np.zeros_like(n), n
        while (is_open := start < stop).any():
            middle = (start + stop) // 2
            reaches = share_below(ordered[cases, np.minimum(middle, last)], end) >= quantile
            start, stop = np.where(is_open & ~reaches, middle + 1, start), np.where(is_open & reaches, middle, stop)
        is_found = (start < n) & ~(share_below(np.full(len(sample), -math.inf), end) >= quantile)
        return np.where(is_found, ordered[cases, np.minimum(start, last)], np.nan)

    return first("high"), first("low")


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
