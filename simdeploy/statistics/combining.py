"""From estimates of strata to one: weights, intervals and whether they can be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simdeploy.statistics.heavy_tails import reach_of_tails
from simdeploy.statistics.intervals import paired_proportions_limit, proportion_interval
from simdeploy.statistics.moments import Moments, find_moments
from simdeploy.statistics.sample import Sample, weigh

# Cochran's rule: Student's interval of a mean needs 25 times as many values as the square of their skewness, so the
# skewness of the mean is at most 1/5.
MOST_SKEWED = 0.2

# Fewer costs don't show how skewed they are, and look harmless where their mean errs most.
_FEWEST_VALUES = 40

# Of the estimate: deviations that small are rounding errors.
_NOTHING = 1e-12

# Fewer expected worlds of a kind of release say little of its mean.
_FEWEST_OF_A_KIND = 20


class Combined(NamedTuple):
    """Estimates of several cases with their intervals; NaN where unknown."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray  # values
    standard_error: np.ndarray
    skewness: np.ndarray  # of the estimate of a mean, apart from lumps; otherwise 0
    trusts_low: np.ndarray  # whether the limit errs as seldom as it says
    trusts_high: np.ndarray

    def as_fractions(self) -> Combined:
        """Return the same with limits between 0 and 1."""
        return self._replace(low=np.maximum(self.low, 0.0), high=np.minimum(self.high, 1.0))


class Parts(NamedTuple):
    """The strata of each case: arrays of shape (cases, strata)."""

    n: np.ndarray
    centre: np.ndarray
    variance: np.ndarray  # of a value
    below: np.ndarray  # distance of the lower limit
    above: np.ndarray
    usual: np.ndarray  # distance of Student's limits
    third: np.ndarray  # third central moment of a value, apart from lumps

    def with_known(self, rates: np.ndarray) -> Parts:
        """Return the strata of rates with those that are known without simulation; NaN where they aren't."""
        replaces = ~np.isnan(rates) & (self.n > 0)
        centre = np.where(replaces, rates, self.centre)
        variance, below, above, usual = (
            np.where(replaces, 0.0, a) for a in (self.variance, self.below, self.above, self.usual)
        )
        return Parts(self.n, centre, variance, below, above, usual, self.third)


class Design(NamedTuple):
    """What is known of the strata beforehand."""

    probabilities: np.ndarray  # shape (strata,) or (cases, strata)
    counts: np.ndarray  # of worlds; the same shapes
    selects: np.ndarray | None = None  # as of a `Sample`

    @property
    def n(self) -> int:
        """Number of strata."""
        return int(self.probabilities.shape[-1])


def combine(sample: Sample, *, is_rate: bool, confidence_level: float) -> Combined:
    """Estimate the mean of each case (row of a sample), or the rate of values that are 1 and 0.

    Notes
    -----
    Each stratum has an interval of its own, Student's for a mean and the exact one for a rate; they are combined by the method of Zou
    and Donner (2008 [1]_). Lumps of priced verdicts have the exact limits of their rates. A limit of a mean is trusted unless the
    skewness of the estimate, apart from lumps, is above 1/5 on its side. `docs/methods.md`, "Kinds of release", has the formulas.

    References
    ----------
    .. [1] Zou, G. Y. and Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
       Statistics in Medicine 27(10), 1693-1702.

    Examples
    --------
    >>> from simdeploy.statistics.sample import Strata
    >>> strata = Strata(np.array([0, 0, 0, 0, 1, 1]), np.array([0.9, 0.1]))
    >>> values, certain = np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]]), np.array([True, False])
    >>> escaped = Sample(values, strata, np.full(1, np.inf), is_certain=certain)
    >>> combined = combine(escaped, is_rate=True, confidence_level=0.95)
    >>> combined.estimate.round(3).tolist(), combined.high.round(3).tolist()
    ([0.05], [0.099])
    """
    combined = _combine(sample, is_rate=is_rate, confidence_level=confidence_level)
    are_trusted = combined.trusts_low & combined.trusts_high
    if are_trusted.all() or all(np.isnan(lump.rates).all() for lump in sample.lumps):
        return combined
    drawn = _combine(sample.as_drawn(), is_rate=is_rate, confidence_level=confidence_level)
    takes_low, takes_high = drawn.trusts_low & ~combined.trusts_low, drawn.trusts_high & ~combined.trusts_high
    return combined._replace(
        low=np.where(takes_low, np.minimum(drawn.low, combined.low), combined.low),
        high=np.where(takes_high, np.maximum(drawn.high, combined.high), combined.high),
        trusts_low=combined.trusts_low | takes_low,
        trusts_high=combined.trusts_high | takes_high,
    )


def _combine(sample: Sample, *, is_rate: bool, confidence_level: float) -> Combined:
    design = Design(sample.strata.probabilities, sample.strata.counts, sample.selects)
    parts = _rates(sample, confidence_level) if is_rate else _means(sample, confidence_level)
    found = join_parts(parts, design, is_rate=is_rate, confidence_level=confidence_level)
    if is_rate and not sample.is_difference:
        found = found.as_fractions()
    is_complete = is_rate | (sample.n_expected >= _FEWEST_OF_A_KIND)
    if sample.may_be_heavy:
        is_complete &= is_rate | (_find_size(parts, design) >= _FEWEST_VALUES)
    return found._replace(trusts_low=found.trusts_low & is_complete, trusts_high=found.trusts_high & is_complete)


def _find_size(parts: Parts, design: Design) -> np.ndarray:
    """Return how many values of a single stratum say as much, if those of all strata vary alike, rounded."""
    weights = weigh(design.probabilities, parts.n, design.counts)
    with np.errstate(divide="ignore"):
        size: np.ndarray = np.rint(1 / (weights**2 / np.maximum(parts.n, 1)).sum(axis=1))
    return size


def join_parts(parts: Parts, design: Design, *, is_rate: bool, confidence_level: float) -> Combined:
    """Return the estimates of cases from those of their strata, as `combine`.

    Examples
    --------
    >>> counts = np.array([[4, 2]])
    >>> rates = parts_of_rates(np.array([[0, 1]]), counts, 0.95)
    >>> joined = join_parts(rates, Design(np.array([0.9, 0.1]), counts), is_rate=True, confidence_level=0.95)
    >>> joined.estimate.round(3).tolist(), joined.high.round(3).tolist()
    ([0.05], [0.594])
    """
    n, shares = parts.n.sum(axis=1), parts.n / np.maximum(design.counts, 1)
    weights = weigh(design.probabilities, parts.n, design.counts)
    # A stratum without a value adds nothing; one with too few has an unknown limit.
    counts = weights > 0

    def add(terms: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.where(counts, terms, 0.0).sum(axis=1)
        return total

    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.where(n > 0, add(weights * parts.centre), np.nan)
        of_shares = np.zeros(len(n))
        if design.n > 1:
            off = np.where(counts, weights * (parts.centre - estimate[:, None]), 0.0) ** 2
            spread = np.where(shares > 0, (1 - shares) / np.maximum(shares, 1e-300), 0.0)
            of_shares = (off * spread / np.maximum(design.counts, 1)).sum(axis=1)
        variance = add(weights**2 * parts.variance / parts.n) + of_shares
        error = np.where(n > 1, np.sqrt(variance), np.nan)
        down = up = _normal_quantile(confidence_level) ** 2 * of_shares
        if design.selects is not None and design.n > 1:
            down, up = _reach_of_selection(design, design.selects, parts, is_rate=is_rate, level=confidence_level)
        low = estimate - np.sqrt(add((weights * parts.below) ** 2) + down)
        high = estimate + np.sqrt(add((weights * parts.above) ** 2) + up)
        usual = np.sqrt(add((weights * parts.usual) ** 2) + (down + up) / 2)
        wider = np.where(usual > 0, np.maximum((high - low) / 2 / usual, 1.0), 1.0)
        scale = np.sqrt(add(weights**2 * parts.variance * (parts.n - 1) / parts.n**2)) * wider
        varies = scale > _NOTHING * np.abs(estimate)
        skewness = np.where(varies, add(weights**3 * parts.third / parts.n**2) / scale**3, 0.0)
    if design.n == 1:  # to the last digit
        low, high = estimate - parts.below[:, 0], estimate + parts.above[:, 0]
    trusts_low = ~np.isnan(low) & (is_rate | (skewness >= -MOST_SKEWED))
    trusts_high = ~np.isnan(high) & (is_rate | (skewness <= MOST_SKEWED))
    return Combined(estimate, low, high, n, error, skewness, trusts_low, trusts_high)


def _normal_quantile(confidence_level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence_level) / 2))


def _reach_of_selection(
    design: Design, selects: np.ndarray, part: Parts, *, is_rate: bool, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances that uncertain shares of worlds with a value add below and above the estimate."""
    shares = part.n / np.maximum(design.counts, 1)
    limits = proportion_interval(part.n, np.broadcast_to(design.counts, part.n.shape), level)
    probabilities = np.where(selects, design.probabilities, 0.0)
    weights = probabilities * shares
    total = weights.sum(axis=1, keepdims=True)
    amount = np.where(weights > 0, weights * part.centre, 0.0)
    estimate = amount.sum(axis=1, keepdims=True) / total
    reaches = []
    for least_or_most in (0.0, 1.0):
        centre = np.where(part.n > 0, part.centre, least_or_most if is_rate else np.nan)
        moved = [
            (amount.sum(axis=1, keepdims=True) - amount + probabilities * limit * centre)
            / (total - weights + probabilities * limit)
            - estimate
            for limit in limits
        ]
        furthest = np.max(moved, axis=0) if least_or_most else -np.min(moved, axis=0)
        reaches.append(np.where(probabilities > 0, np.maximum(furthest, 0.0) ** 2, 0.0).sum(axis=1))
    return reaches[0], reaches[1]


def parts_of_means(moments: Moments, level: float) -> Parts:
    """Describe the strata of means, whose limits are Student's."""
    reach = _student_quantile(moments.n, level) * np.sqrt(moments.variance / np.maximum(moments.n, 1))
    return Parts(moments.n, moments.mean, moments.variance, reach, reach, reach, moments.third)


def parts_of_rates(
    more: np.ndarray,
    n: np.ndarray,
    level: float,
    *,
    less: np.ndarray | None = None,
    is_certain: np.ndarray | None = None,
) -> Parts:
    """Describe the strata of rates, or of differences of rates with `less`, whose limits are exact: to the last digit,
    whatever the order of values; no limits where the rate `is_certain`.
    """
    fewer: np.ndarray = np.zeros_like(more) if less is None else less
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (more - fewer) / n
        low, high = _limits(more, fewer, n, level, is_difference=less is not None)
        below, above = rate - low, high - rate
        variance = np.where(n > 1, ((more + fewer) / n - rate**2) * n / np.maximum(n - 1, 1), np.nan)
    if is_certain is not None:
        below, above = np.where(is_certain, 0.0, below), np.where(is_certain, 0.0, above)
    return Parts(n, rate, variance, below, above, below, np.zeros(rate.shape))


def _rates(sample: Sample, level: float) -> Parts:
    of_strata = [sample.values[:, columns] for columns in sample.strata.columns]
    counts = [
        ((values > 0).sum(axis=1), (values < 0).sum(axis=1), (~np.isnan(values)).sum(axis=1)) for values in of_strata
    ]
    more, less, n = (np.stack(column, axis=1) for column in zip(*counts, strict=True))
    is_certain = np.resize(sample.is_certain, sample.strata.n)
    parts = parts_of_rates(more, n, level, less=less if sample.is_difference else None, is_certain=is_certain)
    for place in np.flatnonzero(is_certain):  # known rates are no 1 and 0
        moments = find_moments(of_strata[place])
        parts.centre[:, place], parts.variance[:, place] = moments.mean, moments.variance
    return parts


def _means(sample: Sample, level: float) -> Parts:
    parts = [_mean(sample, place, level) for place in range(sample.strata.n)]
    return Parts(*(np.stack(column, axis=1) for column in zip(*parts, strict=True)))


def _mean(sample: Sample, place: int, level: float) -> Parts:
    """Describe one stratum of each case."""
    values = sample.values[:, sample.strata.columns[place]]
    part = parts_of_means(find_moments(values), level)
    below, above, rest = part.below, part.above, values
    for lump in sample.lumps:
        size = float(lump.sizes[place])
        if size:
            happened = np.where(np.isnan(values), np.nan, lump.happened[:, sample.strata.columns[place]])
            rate, is_drawn = lump.rates[:, place], np.isnan(lump.rates[:, place])
            rarer, chances = lump.find_rarer(sample.strata)
            found = [
                _squared_reach_of_few(values, is_so, size * chance, level)
                for is_so, chance in (
                    (np.nan_to_num(happened) != 0, rate),
                    (rarer[:, sample.strata.columns[place]], chances[:, place]),
                )
            ]
            off = np.where(is_drawn, 0.0, np.maximum(*found))
            wider = _widen(sample, happened, part.n, size, level, below, above)
            below, above = (
                np.where(is_drawn, new, np.sqrt(old**2 + off)) for old, new in zip((below, above), wider, strict=True)
            )
            rest = rest - size * np.where(is_drawn[:, None], happened, 0.0)
    moments = find_moments(rest)
    part = part._replace(below=below, above=above, third=moments.third)
    return _allow_for_tails(part, rest, moments.variance, level) if sample.may_be_heavy else part


def _allow_for_tails(part: Parts, rest: np.ndarray, variance: np.ndarray, level: float) -> Parts:
    """Widen limits of means whose values, apart from lumps, look lognormal."""
    quantile = _student_quantile(part.n, level)
    usual = quantile * np.sqrt(variance / np.maximum(part.n, 1))
    below, above = (
        np.sqrt(old**2 + np.maximum(tail**2 - usual**2, 0.0))
        for old, tail in zip((part.below, part.above), reach_of_tails(rest, quantile), strict=True)
    )
    return part._replace(below=below, above=above)


def _squared_reach_of_few(values: np.ndarray, is_so: np.ndarray, most: np.ndarray, level: float) -> np.ndarray:
    """Return what is to be added to the squared distances of limits because an event whose rate is known, or its absence, was seen few
    times, so that it is not well known what else it costs: Student's distance by these worlds alone, up to `most`, the distance if none
    was seen.
    """
    events = np.where(is_so, values, np.nan)
    k, _, variance, _ = find_moments(events)
    n = np.maximum((~np.isnan(values)).sum(axis=1), 1)
    excess = _student_quantile(k, level) ** 2 - _student_quantile(n, level) ** 2
    found = np.where(k > 1, k / n**2 * variance * excess, np.inf)
    reach: np.ndarray = np.minimum(np.maximum(found, 0.0), most**2)
    return reach


def _limits(
    more: np.ndarray, less: np.ndarray, n: np.ndarray, level: float, *, is_difference: bool
) -> tuple[np.ndarray, np.ndarray]:
    if not is_difference:
        return proportion_interval(more, n, level)
    tail = (1 - level) / 2
    return paired_proportions_limit(more, less, n, tail), -paired_proportions_limit(less, more, n, tail)


def _widen(
    sample: Sample,
    happened: np.ndarray,
    n: np.ndarray,
    size: float,
    level: float,
    below: np.ndarray,
    above: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Replace a lump's part of the distances by that of its exact limits, where that is larger."""
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

    quantile: np.ndarray = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), np.nan)
    return quantile
