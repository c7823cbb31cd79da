"""Combines the estimates of strata: weights, intervals, and whether these can be trusted."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from simdeploy.statistics.intervals import proportion_interval
from simdeploy.statistics.levels import normal_quantile, unseen_events
from simdeploy.statistics.moments import zero_if_unknown
from simdeploy.statistics.parts import Parts, describe_means, describe_rates
from simdeploy.statistics.sample import UNBOUNDED, Sample, count_for_trust, weigh
from simdeploy.vocabulary import FEWEST_OF_A_KIND, FEWEST_WORLDS, LARGEST_WEIGHT

# The most skewed mean whose limits can be trusted: about that of two equal values among many that are 0.
MOST_SKEWED = 0.8

# With fewer values, the sample skewness is unreliable: it is smallest when the mean is furthest off. Levels above 95 % need more.
_FEWEST_VALUES = 60

# Under a condition fewer values count than worlds, and no value may have a larger weight among them.
_LARGEST_OF_SOME = 1 / 200

# If all of this many values are equal, they still miss an event of one rollout in 200 with probability 1/150.
_FEWEST_EQUAL = 1000

# Deviations below this fraction of the estimate are rounding errors.
_NOTHING = 1e-12


class Combined(NamedTuple):
    """Estimates of several cases with their intervals; NaN where unknown."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray  # number of values
    standard_error: np.ndarray
    skewness: np.ndarray  # of the estimate of a mean, which decides on trust; otherwise 0
    trusts_low: np.ndarray  # whether the limit's error is at most its nominal one
    trusts_high: np.ndarray
    raised: np.ndarray | float = 0.0  # by how much `at_least` raised the lower limit

    @property
    def half_width(self) -> np.ndarray:
        """Half the width of the interval before `at_least`."""
        width: np.ndarray = self.high - self.low + self.raised
        return width / 2

    def at_least(self, least: float) -> Combined:
        """Return the same with lower limits of at least this; the half-width, which precision is about, doesn't change."""
        low = np.maximum(self.low, least)
        return self._replace(low=low, raised=low - self.low)

    def as_fractions(self) -> Combined:
        """Return the same with limits between 0 and 1."""
        return self._replace(low=np.maximum(self.low, 0.0), high=np.minimum(self.high, 1.0))


def never_differ(low: Any, high: Any, n: Any) -> Any:
    """Return where nothing differed in enough worlds, which verdicts treat as equality although other worlds may differ."""
    return (low == 0) & (high == 0) & (n >= _FEWEST_VALUES)


def enough_of_each(probabilities: np.ndarray, n: int) -> np.ndarray:
    """Return how many of n worlds each kind of release (a stratum) needs for trusted means; 0 for all if n is too small.

    Examples
    --------
    >>> enough_of_each(np.array([0.85, 0.15]), 400).tolist()
    [255, 45]
    """
    highest = np.atleast_2d(probabilities).max(axis=0)
    enough: np.ndarray = np.ceil(highest / LARGEST_WEIGHT * (n >= FEWEST_WORLDS)).astype(np.int64)
    return enough


class Design(NamedTuple):
    """What is known of the strata without their values."""

    probabilities: np.ndarray  # shape (strata,) or (cases, strata)
    counts: np.ndarray  # numbers of worlds, same shape
    simulated: np.ndarray  # numbers of rollouts that didn't fail, same shape
    covers: np.ndarray | bool = True  # this and the next five as in `Sample`
    selects: np.ndarray | None = None
    is_certain: np.ndarray | None = None
    bounds: tuple[float, float] = UNBOUNDED
    is_difference: bool = False
    spread: np.ndarray | None = None
    has_lumps: bool = False  # whether limits already allow for rare values

    @property
    def n(self) -> int:
        """Number of strata."""
        return int(self.probabilities.shape[-1])


def combine(sample: Sample, *, is_rate: bool, confidence_level: float) -> Combined:
    """Estimate the mean of each case (row of a sample), or the rate of values that are 1 and 0.

    Notes
    -----
    The intervals of the strata (for a mean Student's, wider if values are skewed; for a rate the exact one) are combined by the method of
    Zou and Donner (2008 [1]_). Lumps of priced verdicts have the exact limits of their rates. A limit of a mean is trusted unless the
    skewness of the estimate, apart from lumps and from tails that it allows for, is above 0.8 on its side. `docs/methods.md`, "Kinds of
    release", has the formulas.

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
    strata = sample.strata
    design = Design(
        strata.probabilities,
        strata.counts,
        sample.counts,
        sample.covers,
        sample.selects,
        sample.is_certain,
        sample.bounds,
        sample.is_difference,
        sample.spread,
        has_lumps=bool(sample.lumps),
    )
    parts = describe_rates(sample, confidence_level) if is_rate else describe_means(sample, confidence_level)
    combined = join_parts(parts, design, is_rate=is_rate, confidence_level=confidence_level)
    if is_rate and not sample.is_difference:
        combined = combined.as_fractions()
    is_complete = is_rate | (sample.n_expected >= FEWEST_OF_A_KIND)
    return combined._replace(
        trusts_low=combined.trusts_low & is_complete, trusts_high=combined.trusts_high & is_complete
    )


def join_parts(parts: Parts, design: Design, *, is_rate: bool, confidence_level: float) -> Combined:
    """Return the estimates of cases from those of their strata, as `combine` does from a sample.

    Examples
    --------
    >>> from simdeploy.statistics.parts import parts_of_rates
    >>> counts = np.array([[4, 2]])
    >>> rates = parts_of_rates(np.array([[0, 1]]), counts, 0.95)
    >>> joined = join_parts(rates, Design(np.array([0.9, 0.1]), counts, counts), is_rate=True, confidence_level=0.95)
    >>> joined.estimate.round(3).tolist(), joined.high.round(3).tolist()
    ([0.05], [0.594])
    """
    simulated = np.maximum(design.simulated, 1)
    shares, weights = parts.n / simulated, weigh(design.probabilities, parts.n, design.simulated, design.covers)
    # A stratum without a value, or that doesn't occur, adds nothing; one with too few values has an unknown limit.
    counts = weights > 0
    n = np.where(counts, parts.n, 0).sum(axis=1)
    all_count = bool(counts.all())

    def add(terms: np.ndarray) -> np.ndarray:
        total: np.ndarray = (terms if all_count else np.where(counts, terms, 0.0)).sum(axis=1)
        return total

    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = np.where(n > 0, add(weights * parts.centre), np.nan)
        of_shares = np.zeros(len(n))
        if design.n > 1:
            off = np.where(counts, weights * (parts.centre - estimate[:, None]), 0.0) ** 2
            spread = np.where(shares > 0, (1 - shares) / np.maximum(shares, 1e-300), 0.0)
            of_shares = (off * spread / simulated).sum(axis=1)
        squared_weights, squared_n = weights**2, parts.n**2
        variance = add(squared_weights * parts.variance / parts.n) + of_shares
        error = np.where(n > 1, np.sqrt(variance), np.nan)
        if design.n == 1:  # avoid rounding errors
            low, high = estimate - parts.below[:, 0], estimate + parts.above[:, 0]
        else:
            down = up = normal_quantile(confidence_level) ** 2 * of_shares
            if design.selects is not None:
                down, up = _reach_of_selection(design, design.selects, parts, is_rate=is_rate, level=confidence_level)
            low = estimate - np.sqrt(add((weights * parts.below) ** 2) + down)
            high = estimate + np.sqrt(add((weights * parts.above) ** 2) + up)
        third = add(weights**3 * parts.third / squared_n)
        scale = np.sqrt(add(squared_weights * parts.variance * (parts.n - 1) / squared_n))
        varies = scale > _NOTHING * np.abs(estimate)
        skewness = np.where(varies, third / scale**3, 0.0)
    combined = Combined(estimate, low, high, n, error, skewness, ~np.isnan(low), ~np.isnan(high))
    if is_rate:
        return combined
    return _trust_means(combined, weights, varies, parts, design, confidence_level)


def _limit_unseen(weights: np.ndarray, n: np.ndarray, level: float) -> np.ndarray:
    r"""Return the exact upper limit of the rate of an event that no value shows, in whichever strata it may occur.

    This is the largest :math:`\sum w_k p_k` with :math:`\prod (1 - p_k)^{n_k} = (1 - level) / 2`.
    """
    chance = unseen_events(level)
    order = np.argsort(-weights / np.maximum(n, 1), axis=1, kind="stable")
    weights, n = np.take_along_axis(weights, order, axis=1), np.take_along_axis(n, order, axis=1)
    # With a Lagrange multiplier c, 1 - p is c n / w in the strata where that is below 1: those with the largest w / n.
    with np.errstate(invalid="ignore", divide="ignore"):
        log_c = (np.cumsum(n * np.log(weights / n), axis=1) - chance) / np.cumsum(n, axis=1)
        c = np.exp(log_c)
        limits = np.where(c * n < weights, np.cumsum(weights, axis=1) - c * np.cumsum(n, axis=1), 0.0)
    most: np.ndarray = np.fmax.reduce(limits, axis=1)
    return most


def _count_informative(weights: np.ndarray, parts: Parts) -> np.ndarray:
    """Return how many values of a single stratum tell as much about the variance of a mean: Satterthwaite's degrees of freedom.

    Lumps have limits of their own. If nothing else varies, the strata count as if they had the same variance.
    """
    n = np.maximum(parts.n, 1)
    is_varied = parts.rest > (_NOTHING * parts.centre) ** 2
    shares = weights**2 / n * np.where(is_varied.any(axis=1, keepdims=True), np.where(is_varied, parts.rest, 0.0), 1.0)
    with np.errstate(invalid="ignore"):
        return zero_if_unknown(shares.sum(axis=1) ** 2 / (shares**2 / n).sum(axis=1))


def _trust_means(
    combined: Combined,
    weights: np.ndarray,
    varies: np.ndarray,
    parts: Parts,
    design: Design,
    level: float,
) -> Combined:
    """Decide which limits of means can be trusted, and widen limits for rare values that the sample may lack.

    Few worlds miss rare values, so their limits are not trusted unless values are known beforehand, or limits allow for the worst value
    at the largest rate at which n values may miss it. They do so for fractions and their differences, for other equal differences except
    0 (the worst value is at the end of the range of the values that they are differences of), and if only some strata have equal values.
    """
    n = parts.n
    is_certain = np.zeros(1, dtype=bool) if design.is_certain is None else design.is_certain
    unknown = np.where(is_certain, 0.0, weights)
    is_known = ~varies & ~unknown.any(axis=1)
    is_equal = ~varies & ~is_known
    counted = count_for_trust(design.counts, design.simulated)
    is_few = counted.sum(axis=-1) < FEWEST_WORLDS
    is_few |= (np.where(unknown > 0, design.probabilities, 0.0) > LARGEST_WEIGHT * counted).any(axis=1)
    is_bounded = all(math.isfinite(bound) for bound in design.bounds)
    any_equal = bool(is_equal.any())
    most = np.zeros(len(n))
    if any_equal or is_bounded:
        most = _limit_unseen(unknown, n, level)
    size = _count_informative(weights, parts)
    with np.errstate(divide="ignore"):
        if any_equal:
            size = np.where(is_equal, -unseen_events(level) / np.log1p(-most), size)
    fewest = np.full(len(n), _FEWEST_VALUES * max(normal_quantile(level) / normal_quantile(0.95), 1.0))
    if is_bounded:
        # Many worlds that show values as far out as the bound allow for them already.
        shown = [np.where(is_few, 0.0, ((weights * of) ** 2).sum(axis=1)) for of in (parts.of_least, parts.of_most)]
        down, up = (
            np.sqrt(np.maximum((most * (bound - combined.estimate)) ** 2 - of, 0.0))
            for bound, of in zip(design.bounds, shown, strict=True)
        )
        fewest[is_equal], is_few = 0, np.zeros(len(n), dtype=bool)
        if design.is_difference:
            # Policies that never differ are called equal by their limits of 0, which can't be trusted.
            never_differs = is_equal & (combined.estimate == 0)
            down, up = np.where(never_differs, 0.0, (down, up))
            fewest[never_differs] = np.inf
    else:
        is_few |= (np.where(unknown > 0, weights, 0.0) > _LARGEST_OF_SOME * n).any(axis=1)
        spread = np.zeros(len(n)) if design.spread is None else zero_if_unknown(design.spread)
        down = up = np.where(is_equal & (combined.estimate != 0), most * spread, 0.0)
        fewest[is_equal & ~(down > _NOTHING * np.abs(combined.estimate))] = _FEWEST_EQUAL
    is_flat = parts.variance <= (_NOTHING * parts.centre) ** 2
    is_partly = varies[:, None] & is_flat & (unknown > 0) & (not design.has_lumps)
    if is_partly.any():
        unseen = _limit_unseen(np.where(is_partly, weights, 0.0), n, level)
        below, above = (
            [np.abs(bound - combined.estimate) for bound in design.bounds] if is_bounded else [spread, spread]
        )
        down, up = np.maximum(down, unseen * below), np.maximum(up, unseen * above)
    estimate, low, high = combined.estimate, combined.low, combined.high
    if down.any() or up.any():
        low = np.where(down > 0, estimate - np.hypot(estimate - low, down), low)
        high = np.where(up > 0, estimate + np.hypot(high - estimate, up), high)
    is_enough = is_known | ((np.rint(size) >= fewest) & ~is_few)
    return combined._replace(
        low=low,
        high=high,
        trusts_low=combined.trusts_low & is_enough & (combined.skewness >= -MOST_SKEWED),
        trusts_high=combined.trusts_high & is_enough & (combined.skewness <= MOST_SKEWED),
    )


def _reach_of_selection(
    design: Design, selects: np.ndarray, part: Parts, *, is_rate: bool, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances below and above the estimate that are due to uncertain shares of worlds with a value."""
    shares = part.n / np.maximum(design.simulated, 1)
    limits = proportion_interval(part.n, np.broadcast_to(design.simulated, part.n.shape), level)
    probabilities = np.where(selects, design.probabilities, 0.0)
    weights = probabilities * shares
    total = weights.sum(axis=1, keepdims=True)
    amount = np.where(weights > 0, weights * part.centre, 0.0)
    estimate = amount.sum(axis=1, keepdims=True) / total
    bounds = (0.0, 1.0) if is_rate else design.bounds
    reaches = []
    # In a stratum in which the condition never held, values are unknown, so a mean has no limits unless its values are bounded.
    for is_most, bound in enumerate(bounds if np.isfinite(bounds).all() else (np.nan, np.nan)):
        centre = np.where(part.n > 0, part.centre, bound)
        moved = [
            (amount.sum(axis=1, keepdims=True) - amount + probabilities * limit * centre)
            / (total - weights + probabilities * limit)
            - estimate
            for limit in limits
        ]
        furthest = np.max(moved, axis=0) if is_most else -np.min(moved, axis=0)
        reaches.append(np.where(probabilities > 0, np.maximum(furthest, 0.0) ** 2, 0.0).sum(axis=1))
    return reaches[0], reaches[1]
