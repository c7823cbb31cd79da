"""From estimates of strata to one: weights, intervals and whether they can be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simdeploy.statistics.intervals import paired_proportions_limit, proportion_interval
from simdeploy.statistics.sample import Sample

# Cochran's rule: Student's interval of a mean needs 25 times as many values as the square of their skewness, so the
# skewness of the mean is at most 1/5.
MOST_SKEWED = 0.2

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


class _Stratum(NamedTuple):
    """One stratum of each case, in columns."""

    n: np.ndarray
    centre: np.ndarray
    variance: np.ndarray  # of a value
    below: np.ndarray  # distance of the lower limit
    above: np.ndarray
    usual: np.ndarray  # distance of Student's limits
    third: np.ndarray  # third central moment of a value, apart from lumps


def combine(sample: Sample, *, is_rate: bool, confidence_level: float) -> Combined:
    r"""Estimate the mean of each case (row of a sample), or the rate of values that are 1 and 0.

    Notes
    -----
    With the known probabilities :math:`p_k` of the strata the estimate is :math:`\sum_k w_k \bar x_k`, where
    :math:`w_k \propto p_k q_k` and :math:`q_k` is the share of a stratum's worlds that have a value (Cochran 1977 [1]_,
    section 5.3). Each stratum has an interval :math:`(l_k, u_k)` of its own: Student's for a mean, the exact one for a
    rate. They are combined to :math:`\hat\theta - (\sum w_k^2 (\bar x_k - l_k)^2)^{1/2}` and
    :math:`\hat\theta + (\sum w_k^2 (u_k - \bar x_k)^2)^{1/2}` (Zou and Donner 2008 [2]_), which is the interval itself
    for a single stratum and keeps what is exact in each of several. Where some worlds lack a value, the variance of
    :math:`q_k` is added.

    A condition that is decided world by world makes :math:`q_k` uncertain, too. Its exact limits, one stratum at a time, move
    the estimate; these distances are combined with the others in the same way. Values of a stratum in which the
    condition never held are unknown: between 0 and 1 for a rate, so a mean has no limits then.

    A mean whose values contain the lump of an event, such as the price of an escape, has an interval by Student only as
    far as the rest of the values goes: the lump's part of the squared half-width is replaced by that of the exact limits
    of the event's rate, where that is larger. So a mean without a single escape among n worlds has the upper limit that
    n worlds without one allow.

    A limit of a mean can be trusted unless the skewness of the estimate, apart from lumps, is above 1/5 on its side:
    Cochran's rule [1]_, section 2.15, for several strata. Of values that are skewed to the right, the upper limit errs
    too often and the lower one too seldom, because a sample with a low mean has a small standard deviation as well.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    .. [2] Zou, G. Y. and Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
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
    parts = [_describe(sample, place, is_rate=is_rate, level=confidence_level) for place in range(sample.strata.n)]
    part = _Stratum(*(np.stack(column, axis=1) for column in zip(*parts, strict=True)))
    n, has_some = part.n.sum(axis=1), part.n > 0
    if sample.strata.n == 1:
        weights = has_some.astype(float)
    else:
        shares = part.n / np.maximum(sample.strata.counts, 1)
        weights = np.broadcast_to(sample.strata.probabilities, part.n.shape) * shares
        with np.errstate(invalid="ignore", divide="ignore"):
            weights = weights / weights.sum(axis=1, keepdims=True)
    # A stratum without a value adds nothing; one with too few has an unknown limit.
    counts = weights > 0

    def add(terms: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.where(counts, terms, 0.0).sum(axis=1)
        return total

    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.where(n > 0, add(weights * part.centre), np.nan)
        of_shares = np.zeros(len(n))
        if sample.strata.n > 1:
            off = np.where(counts, weights * (part.centre - estimate[:, None]), 0.0) ** 2
            spread = np.where(shares > 0, (1 - shares) / np.maximum(shares, 1e-300), 0.0)
            of_shares = (off * spread / np.maximum(sample.strata.counts, 1)).sum(axis=1)
        variance = add(weights**2 * part.variance / part.n) + of_shares
        error = np.where(n > 1, np.sqrt(variance), np.nan)
        down = up = _normal_quantile(confidence_level) ** 2 * of_shares
        if sample.selects is not None and sample.strata.n > 1:
            down, up = _reach_of_selection(sample, sample.selects, part, is_rate=is_rate, level=confidence_level)
        low = estimate - np.sqrt(add((weights * part.below) ** 2) + down)
        high = estimate + np.sqrt(add((weights * part.above) ** 2) + up)
        usual = np.sqrt(add((weights * part.usual) ** 2) + (down + up) / 2)
        wider = np.where(usual > 0, np.maximum((high - low) / 2 / usual, 1.0), 1.0)
        scale = np.sqrt(add(weights**2 * part.variance * (part.n - 1) / part.n**2)) * wider
        varies = scale > _NOTHING * np.abs(estimate)
        skewness = np.where(varies, add(weights**3 * part.third / part.n**2) / scale**3, 0.0)
    if sample.strata.n == 1:  # to the last digit
        low, high = estimate - part.below[:, 0], estimate + part.above[:, 0]
    if is_rate and not sample.is_difference:
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    is_complete = is_rate | (sample.n_expected >= _FEWEST_OF_A_KIND)
    trusts_low = ~np.isnan(low) & is_complete & (is_rate | (skewness >= -MOST_SKEWED))
    trusts_high = ~np.isnan(high) & is_complete & (is_rate | (skewness <= MOST_SKEWED))
    return Combined(estimate, low, high, n, error, skewness, trusts_low, trusts_high)


def _normal_quantile(confidence_level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence_level) / 2))


def _reach_of_selection(
    sample: Sample, selects: np.ndarray, part: _Stratum, *, is_rate: bool, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances that uncertain shares of worlds with a value add below and above the estimate."""
    shares = part.n / np.maximum(sample.strata.counts, 1)
    limits = proportion_interval(part.n, np.broadcast_to(sample.strata.counts, part.n.shape), level)
    probabilities = np.where(selects, sample.strata.probabilities, 0.0)
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


def _describe(sample: Sample, place: int, *, is_rate: bool, level: float) -> _Stratum:
    values = sample.values[:, sample.strata.columns[place]]
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    if not values.shape[1]:
        nothing = np.full(len(values), np.nan)
        return _Stratum(n, *([nothing] * 6))
    # Taken from the first one on, so that values that are all the same have an error of exactly 0.
    first = values[np.arange(len(values)), known.argmax(axis=1)][:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = np.where(known, values - first, 0.0)
        mean = shifted.sum(axis=1) / n
        deviations = np.where(known, shifted - mean[:, None], 0.0)
        variance = np.where(n > 1, (deviations**2).sum(axis=1) / (n - 1), np.nan)
    centre = first[:, 0] + mean
    if is_rate:
        third = np.zeros(len(values))
        if sample.is_certain[min(place, len(sample.is_certain) - 1)]:
            return _Stratum(n, centre, variance, third, third, third, third)
        below, above, centre = _limits_of_a_rate(sample, values, n, level)
        return _Stratum(n, centre, variance, below, above, below, third)
    reach = _student_quantile(n, level) * np.sqrt(variance / np.maximum(n, 1))
    below, above = reach.copy(), reach.copy()
    rest = deviations
    for lump in sample.lumps:
        size = float(lump.sizes[place])
        if size:
            happened = np.where(known, lump.happened[:, sample.strata.columns[place]], np.nan)
            known_rate = lump.rates[:, place]
            is_unseen = ~(np.nan_to_num(happened) != 0).any(axis=1)
            off = np.where(is_unseen & ~np.isnan(known_rate), np.abs(size * known_rate), 0.0)
            *wider, rate = _widen(sample, happened, n, size, level, below, above)
            below, above = (
                np.where(np.isnan(known_rate), new, np.sqrt(old**2 + off**2))
                for old, new in zip((below, above), wider, strict=True)
            )
            is_inside = known & np.isnan(known_rate)[:, None]
            rest = rest - size * np.where(is_inside, happened - rate[:, None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        third = (rest**3).sum(axis=1) / n
    return _Stratum(n, centre, variance, below, above, reach, third)


def _limits_of_a_rate(
    sample: Sample, values: np.ndarray, n: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distances of the limits from the rate, and the rate to the last digit, whatever the order of values."""
    more, less = (values > 0).sum(axis=1), (values < 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (more - less) / n
        low, high = _limits(more, less, n, level, is_difference=sample.is_difference)
        return rate - low, high - rate, rate


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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Replace a lump's part of the distances by that of its exact limits, where that is larger; also return its rate."""
    more, less = (happened > 0).sum(axis=1), (happened < 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (more - less) / n
        variance = ((more + less) / n - rate**2) * n / np.maximum(n - 1, 1)
        usual = (_student_quantile(n, level) * size) ** 2 * variance / np.maximum(n, 1)
        low, high = _limits(more, less, n, level, is_difference=sample.is_difference)
        down, up = (size * (rate - low)) ** 2, (size * (high - rate)) ** 2
        if size < 0:
            down, up = up, down
        wider = (np.sqrt(old**2 + np.maximum(new - usual, 0)) for old, new in ((below, down), (above, up)))
        return *wider, rate


def _student_quantile(n: np.ndarray, level: float) -> np.ndarray:
    from scipy.special import stdtrit

    quantile: np.ndarray = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), np.nan)
    return quantile
