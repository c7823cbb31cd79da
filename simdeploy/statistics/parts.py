"""The contribution of each stratum to a mean or a rate: estimate, variance, and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simdeploy.statistics.heavy_tails import reach_of_tails, take_shown
from simdeploy.statistics.intervals import paired_proportions_interval, proportion_interval
from simdeploy.statistics.levels import events_beyond_one, normal_quantile
from simdeploy.statistics.moments import Moments, find_moments, join_columns, zero_if_unknown
from simdeploy.statistics.sample import Sample


class Parts(NamedTuple):
    """The strata of each case: arrays of shape (cases, strata)."""

    n: np.ndarray
    centre: np.ndarray
    variance: np.ndarray  # of a value
    below: np.ndarray  # distance of the lower limit from the estimate
    above: np.ndarray
    third: np.ndarray  # third central moment of a value, apart from lumps and from tails that limits allow for
    rest: np.ndarray  # variance of a value apart from lumps
    # By which distances `below` and `above` allow for values as far out as the farthest one.
    of_least: np.ndarray | float = 0.0
    of_most: np.ndarray | float = 0.0

    def with_known(self, rates: np.ndarray) -> Parts:
        """Return the strata with `rates` that are known without simulation; NaN for others."""
        replaces = ~np.isnan(rates) & (self.n > 0)
        centre = np.where(replaces, rates, self.centre)
        variance, below, above = (np.where(replaces, 0.0, a) for a in (self.variance, self.below, self.above))
        return Parts(self.n, centre, variance, below, above, self.third, variance)


def parts_of_means(moments: Moments, level: float) -> Parts:
    """Describe the strata of means, with Student's limits."""
    reach = _student_quantile(moments.n, level) * np.sqrt(moments.variance / np.maximum(moments.n, 1))
    return Parts(moments.n, moments.mean, moments.variance, reach, reach, moments.third, moments.variance)


def parts_of_rates(
    more: np.ndarray,
    n: np.ndarray,
    level: float,
    *,
    less: np.ndarray | None = None,
    is_certain: np.ndarray | None = None,
) -> Parts:
    """Describe the strata of rates, or with `less` of differences of rates, with exact limits; none if the rate `is_certain`.

    They don't depend on the order of values, not even in the last digit.
    """
    fewer: np.ndarray = np.zeros_like(more) if less is None else less
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (more - fewer) / n
        low, high = _limits(more, fewer, n, level, is_difference=less is not None)
        below, above = rate - low, high - rate
        variance = np.where(n > 1, ((more + fewer) / n - rate**2) * n / np.maximum(n - 1, 1), np.nan)
    if is_certain is not None:
        below, above = np.where(is_certain, 0.0, below), np.where(is_certain, 0.0, above)
    return Parts(n, rate, variance, below, above, np.zeros(rate.shape), variance)


def describe_rates(sample: Sample, level: float) -> Parts:
    """Describe the strata of a sample of values that are 1 and 0."""
    of_strata = [_take_worlds(sample.values, columns) for columns in sample.strata.columns]
    counts = [
        ((values > 0).sum(axis=1), (values < 0).sum(axis=1), (~np.isnan(values)).sum(axis=1)) for values in of_strata
    ]
    more, less, n = (join_columns(column) for column in zip(*counts, strict=True))
    is_certain = np.broadcast_to(sample.is_certain, more.shape)
    parts = parts_of_rates(more, n, level, less=less if sample.is_difference else None, is_certain=is_certain)
    for place in np.flatnonzero(is_certain.any(axis=0)):  # values that are known rates may be other than 1 and 0
        cases = is_certain[:, place]
        moments = find_moments(of_strata[place][cases])
        parts.centre[cases, place], parts.variance[cases, place] = moments.mean, moments.variance
    return parts


def describe_means(sample: Sample, level: float) -> Parts:
    """Describe the strata of a sample of any values."""
    values = [_take_worlds(sample.values, columns) for columns in sample.strata.columns]
    moments = [find_moments(of) for of in values]
    parts = parts_of_means(_join_moments(moments), level)
    if sample.lumps:
        described = [_set_lumps_apart(sample, place, of, parts, level) for place, of in enumerate(values)]
        below, above, rest = zip(*described, strict=True)
        parts = parts._replace(below=join_columns(below), above=join_columns(above))
        moments = [
            of_all if left is of else find_moments(left) for of_all, left, of in zip(moments, rest, values, strict=True)
        ]
        values = list(rest)
    return allow_for_tails(parts, values, _join_moments(moments), level)


def _take_worlds(values: np.ndarray, columns: Any) -> np.ndarray:
    """Return some worlds in their order in memory, so that each case has the same sums as by itself, to the last digit."""
    return np.ascontiguousarray(values) if isinstance(columns, slice) else values.take(columns, axis=1)


def _join_moments(moments: Sequence[Moments]) -> Moments:
    """Return the moments by case and stratum from those of strata."""
    return Moments(*(join_columns(column) for column in zip(*moments, strict=True)))


def _set_lumps_apart(
    sample: Sample, place: int, values: np.ndarray, parts: Parts, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the limits' distances of one stratum including the effect of lumps, and its values without the lumps that were drawn."""
    columns = sample.strata.columns[place]
    n, below, above, rest = parts.n[:, place], parts.below[:, place], parts.above[:, place], values
    for lump in sample.lumps:
        size = float(lump.sizes[place])
        if not size:
            continue
        happened = np.where(np.isnan(values), np.nan, _take_worlds(lump.happened, columns))
        rate = lump.rates[:, place]
        is_drawn = np.isnan(rate)
        known, drawn = (below, above), (below, above)
        if not is_drawn.all():
            rarer, chances = lump.find_rarer(sample.strata)
            bounds = [
                _squared_reach_of_few(values, has_event, size * chance, level)
                for has_event, chance in (
                    (zero_if_unknown(happened) != 0, rate),
                    (rarer[:, columns], chances[:, place]),
                )
            ]
            off = np.where(is_drawn, 0.0, np.maximum(*bounds))
            known = np.sqrt(below**2 + off), np.sqrt(above**2 + off)
        if is_drawn.any():
            drawn = _widen(sample, happened, n, size, level, below, above)
            rest = rest - size * np.where(is_drawn[:, None], happened, 0.0)
        below, above = (np.where(is_drawn, new, old) for new, old in zip(drawn, known, strict=True))
    return below, above, rest


def allow_for_tails(parts: Parts, values: Sequence[np.ndarray], moments: Moments, level: float) -> Parts:
    """Widen limits of means on each side for tails that samples may not show.

    Three things widen them: lognormal tails (`reach_of_tails`); Johnson's (1978) shift, on the side to which values are skewed; and the
    assumption that values as far out as the farthest one are as frequent as they may be if n values show one. `values` are those of each
    stratum without lumps, of which the first `SHOWN` suffice; `moments` are those of all of them.
    """
    values = [take_shown(of) for of in values]
    n = np.maximum(moments.n, 1)
    quantile = _student_quantile(parts.n, level)
    usual = quantile * np.sqrt(moments.variance / n)
    usual_squared = usual**2
    low, high = reach_of_tails(values, moments, quantile)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = zero_if_unknown(moments.third / (6 * n * moments.variance)) * (1 + 2 * normal_quantile(level) ** 2)
    missed = events_beyond_one(level) / n
    least, most = (
        join_columns(extreme.reduce(of, axis=-1, initial=np.nan) for of in values) for extreme in (np.fmin, np.fmax)
    )
    of_least, of_most = (zero_if_unknown(missed * farthest) for farthest in (moments.mean - least, most - moments.mean))
    below, above = (
        np.sqrt(old**2 + (np.maximum(tail, usual) + skewed) ** 2 - usual_squared + of_farthest**2)
        for old, tail, skewed, of_farthest in (
            (parts.below, low, np.maximum(-shift, 0.0), of_least),
            (parts.above, high, np.maximum(shift, 0.0), of_most),
        )
    )
    allows = np.where(moments.third < 0, low, high) > usual
    third = np.where(allows, 0.0, moments.third)
    return parts._replace(
        below=below, above=above, third=third, rest=moments.variance, of_least=of_least, of_most=of_most
    )


def _squared_reach_of_few(values: np.ndarray, has_event: np.ndarray, most: np.ndarray, level: float) -> np.ndarray:
    """Return what to add to the squared distances of limits because an event with a known rate, or its absence, is rare in the sample.

    The rate is known, but what else the event costs is uncertain. The addition is Student's distance in the worlds with the event, and at
    most `most`, the distance if it was never seen.
    """
    events = np.where(has_event, values, np.nan)
    k, _, variance, _ = find_moments(events)
    n = np.maximum((~np.isnan(values)).sum(axis=1), 1)
    excess = _student_quantile(k, level) ** 2 - _student_quantile(n, level) ** 2
    squared = np.where(k > 1, k / n**2 * variance * excess, np.inf)
    reach: np.ndarray = np.minimum(np.maximum(squared, 0.0), most**2)
    return reach


def _limits(
    more: np.ndarray, less: np.ndarray, n: np.ndarray, level: float, *, is_difference: bool
) -> tuple[np.ndarray, np.ndarray]:
    return paired_proportions_interval(more, less, n, level) if is_difference else proportion_interval(more, n, level)


def _widen(
    sample: Sample,
    happened: np.ndarray,
    n: np.ndarray,
    size: float,
    level: float,
    below: np.ndarray,
    above: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Replace a lump's contribution to the distances by that of its exact limits, if larger."""
    more, less = (happened > 0).sum(axis=1), (happened < 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (more - less) / n
        variance = ((more + less) / n - rate**2) * n / np.maximum(n - 1, 1)
        usual = (_student_quantile(n, level) * size) ** 2 * variance / np.maximum(n, 1)
        low, high = _limits(more, less, n, level, is_difference=sample.is_difference)
        down, up = (size * (rate - low)) ** 2, (size * (high - rate)) ** 2
        if size < 0:
            down, up = up, down
        below, above = (np.sqrt(old**2 + np.maximum(new - usual, 0)) for old, new in ((below, down), (above, up)))
        return below, above


def _student_quantile(n: np.ndarray, level: float) -> np.ndarray:
    from scipy.special import stdtrit

    return np.where(n > 1, stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), np.nan)
