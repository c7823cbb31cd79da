"""Trusted 95 % intervals cover at least 93 %, for laws with known means, rates and quantiles."""

from dataclasses import replace

import numpy as np
import pytest
from coverage_of_intervals import INTERVALS, SIZES, TRUSTED_FROM, UNSEEN, count_repetitions, measure_coverage
from scipy import stats
from scipy.special import ndtri

from simdeploy.statistics.combining import Design, combine, enough_of_each, join_parts
from simdeploy.statistics.heavy_tails import reach_of_tails
from simdeploy.statistics.moments import find_moments
from simdeploy.statistics.parts import Parts
from simdeploy.statistics.sample import Lump, Sample, Strata, as_sample

REPETITIONS = 1000


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("n", SIZES)
def test_coverage(n, name):
    """Trusted intervals cover at least 93 %, less four standard errors; those of too few worlds are never trusted. [oracle]"""
    repetitions = count_repetitions(name, REPETITIONS)
    trusted, covered = measure_coverage(name, n, repetitions)
    assert covered >= 0.93 * trusted - 4 * (0.93 * 0.07 * trusted) ** 0.5
    if n < TRUSTED_FROM.get(name, 400):
        assert not trusted
    else:
        assert trusted > (0.5 if n == max(SIZES) else 0.05) * repetitions


def test_unseen_values_are_not_covered():
    """Without a rare value in the sample, the interval of a mean is trusted and misses it, as documented. [oracle]"""
    n, name = 400, next(iter(UNSEEN))
    trusted, covered = measure_coverage(name, n, REPETITIONS)
    share = 0.995**n  # of samples without one
    assert abs(trusted - covered - share * REPETITIONS) <= 4 * (share * (1 - share) * REPETITIONS) ** 0.5


def limits(sample):
    """Return the only interval of a mean, and whether it is trusted."""
    found = combine(sample, is_rate=False, confidence_level=0.95)
    return found.low.item(), found.high.item(), bool(found.trusts_low.all() and found.trusts_high.all())


@pytest.mark.parametrize(
    ("counts", "is_trusted"),
    [((399,), False), ((400,), True), ((254, 146), False), ((255, 145), True), ((255, 100), False)],
)
def test_a_mean_takes_400_worlds(counts, is_trusted):
    """Means are not trusted below 400 worlds, or if one counts for more than 1 in 300 releases. [contract]"""
    probabilities = np.array([0.85, 0.15]) if len(counts) > 1 else np.ones(1)
    strata = Strata(np.repeat(range(len(counts)), counts), probabilities)
    values = np.random.default_rng(4).normal(10, 1, (1, sum(counts)))
    assert limits(Sample(values, strata, np.full(1, np.inf)))[2] == is_trusted
    assert is_trusted == (sum(counts) >= 400 and bool((enough_of_each(probabilities, 400) <= counts).all()))


def test_limits_allow_for_unseen_values():
    """A limit's squared distance is Student's plus that of the farthest value, at the rate that 400 worlds may miss. [oracle]"""
    values = np.linspace(-1, 1, 400)  # without skewness or a tail
    usual = stats.t.ppf(0.975, 399) * stats.sem(values)
    low, high, _ = limits(as_sample(values[None]))
    assert high == pytest.approx(np.hypot(usual, (stats.chi2.ppf(0.975, 4) / 2 - 1) / 400))
    assert low == pytest.approx(-high)


def test_few_fractions_reach_as_far_as_unseen_ones():
    """Fractions lie between 0 and 1, so below 400 worlds limits that allow for unseen ones can be trusted. [oracle]"""
    values = np.linspace(0.1, 0.3, 100)[None]
    strata, unbounded = Strata(np.zeros(100, np.int64), np.ones(1)), limits(as_sample(values))
    low, high, is_trusted = limits(Sample(values, strata, np.full(1, np.inf), bounds=(0.0, 1.0)))
    rate = 1 - 0.025 ** (1 / 100)  # of 0 of 100
    assert (is_trusted, unbounded[2]) == (True, False)
    assert high - 0.2 == pytest.approx(np.hypot(unbounded[1] - 0.2, 0.8 * rate))
    assert 0.2 - low == pytest.approx(np.hypot(0.2 - unbounded[0], 0.2 * rate))


def test_many_fractions_reach_as_far_as_unseen_ones():
    """From 400 worlds on, limits reach as far as unseen fractions, unless the sample shows some as far out. [oracle]"""
    values = np.linspace(0.1, 0.3, 400)[None]
    low, high, is_trusted = limits(replace(as_sample(values), bounds=(0.0, 1.0)))
    usual = stats.t.ppf(0.975, 399) * stats.sem(values[0])
    rate = 1 - 0.025 ** (1 / 400)
    assert is_trusted
    assert (high - 0.2, 0.2 - low) == pytest.approx((np.hypot(usual, 0.8 * rate), np.hypot(usual, 0.2 * rate)))
    values[0, ::20] = np.repeat([0.0, 1.0], 10)
    sample = as_sample(values)
    assert limits(replace(sample, bounds=(0.0, 1.0))) == limits(sample)


def fractions(values):
    """Return values between 0 and 1 as a sample."""
    return replace(as_sample(values), bounds=(0.0, 1.0))


@pytest.mark.parametrize("n", [100, 400])
def test_differences_of_fractions_reach_as_far_as_unseen_ones(n):
    """A difference of fractions may be anything between -1 and 1 in a world that the sample lacks. [oracle]"""
    rng = np.random.default_rng(5)
    differences = np.linspace(-0.1, 0.3, n)[None]
    others = rng.uniform(0.2, 0.6, (1, n))
    low, high, is_trusted = limits(fractions(others + differences) - fractions(others))
    student = limits(as_sample(others + differences) - as_sample(others))
    # From 400 worlds on, the term for unseen values includes that for values as far out as the farthest one.
    usual = stats.t.ppf(0.975, n - 1) * stats.sem(differences[0]) if n >= 400 else student[1] - 0.1
    rate = 1 - 0.025 ** (1 / n)
    assert is_trusted
    assert (high - 0.1, 0.1 - low) == pytest.approx((np.hypot(usual, 0.9 * rate), np.hypot(usual, 1.1 * rate)))


def test_differences_of_fractions_that_are_shown_reach_no_further():
    """Where many worlds show differences of -1 and 1, limits are those of any other measure. [oracle]"""
    first = np.random.default_rng(5).uniform(0.4, 0.5, (1, 400))
    second = first - 0.1
    first[0, ::40], second[0, ::40] = np.repeat([[0.0, 1.0], [1.0, 0.0]], 5, axis=1)
    assert limits(fractions(first) - fractions(second)) == limits(as_sample(first) - as_sample(second))


def test_equal_differences_of_fractions():
    """Equal differences leave room up to -1 and 1, except that policies that never differ have untrusted limits of 0. [contract]"""
    values = np.random.default_rng(5).choice([0.8, 0.9], (1, 2000))
    rate = 1 - 0.025 ** (1 / 2000)
    equal = limits(fractions(values) - fractions(values - 0.5))
    assert equal == (pytest.approx(0.5 - 1.5 * rate), pytest.approx(0.5 + 0.5 * rate), True)
    assert limits(fractions(values) - fractions(values)) == (0, 0, False)


@pytest.mark.parametrize(("n", "is_trusted"), [(400, False), (999, False), (1000, True)])
def test_equal_values_say_little_of_others(n, is_trusted):
    """Equal values may hide rare ones, so a mean of few, or a difference, isn't trusted. [contract]"""
    equal = as_sample(np.full((1, n), 60.0))
    assert limits(equal) == (60, 60, is_trusted)
    assert limits(equal - as_sample(np.full((1, n), 50.0))) == (10, 10, is_trusted)
    assert limits(as_sample(np.r_[np.full(n - 1, 60.0), 60 + 1e-12][None]))[2] == is_trusted


def test_equal_differences_of_values_that_vary():
    """Limits allow for a rare world with another difference, within the range of the values. [oracle]"""
    values = np.random.default_rng(1).permutation(np.linspace(0, 50, 400))[None]
    low, high, is_trusted = limits(as_sample(values + 60) - as_sample(values))
    reach = 50 * (1 - 0.025 ** (1 / 400))  # of 0 of 400
    assert (low, high) == pytest.approx((60 - reach, 60 + reach))
    assert is_trusted
    assert limits(as_sample(values) - as_sample(values)) == (0, 0, False)


def test_known_parts_need_no_spread():
    """A cost caused by verdicts of known rate doesn't vary, and its mean is exact. [oracle]"""
    lump = Lump(np.array([500.0]), np.zeros((1, 400)), np.array([[0.002]]))
    known = Sample(np.ones((1, 400)), Strata(np.zeros(400, np.int64), np.ones(1)), np.full(1, np.inf), (lump,))
    assert not limits(known)[2]
    certain = Sample(known.values, known.strata, known.n_expected, known.lumps, np.ones(1, dtype=bool))
    assert limits(certain)[2]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_equal_fractions_have_limits(fraction):
    """If all fractions are equal, the mean is off by at most the rate of unseen ones, each 0 or 1. [oracle]"""
    values = np.full((1, 400), fraction)
    sample = Sample(values, Strata(np.zeros(400, np.int64), np.ones(1)), np.full(1, np.inf), bounds=(0.0, 1.0))
    low, high, is_trusted = limits(sample)
    rate = 1 - 0.025 ** (1 / 400)  # of 0 of 400
    assert (low, high) == pytest.approx((fraction * (1 - rate), fraction + (1 - fraction) * rate))
    assert is_trusted


W, N = np.array([0.9, 0.1]), (398, 2)
KINDS = Strata(np.repeat([0, 1], N), W)


def most_unseen(weights, counts):
    """Search a grid for the highest rate of an event that this many worlds of each of two kinds miss in 2.5 % of samples."""
    first = np.linspace(0, 1 - 0.025 ** (1 / counts[0]), 200_001)
    second = 1 - (0.025 / (1 - first) ** counts[0]) ** (1 / counts[1])
    return float((weights[0] * first + weights[1] * np.clip(second, 0, 1)).max())


@pytest.mark.parametrize("counts", [(398, 2), (200, 200), (40, 3), (20, 20)])
def test_an_unseen_event_may_lie_in_the_kind_with_few_worlds(counts):
    """Equal fractions and differences are off by the highest exact limit over all rates by kind. [oracle]"""
    strata, most = Strata(np.repeat([0, 1], counts), W), most_unseen(W, counts)
    sample = Sample(np.zeros((1, sum(counts))), strata, np.full(1, np.inf), bounds=(0.0, 1.0))
    assert limits(sample) == (0, pytest.approx(most, rel=1e-5), True)
    assert most >= 0.1 * (1 - 0.025 ** (1 / counts[1]))
    varied = np.random.default_rng(1).permutation(np.linspace(0, 50, sum(counts)))[None]
    shifted = Sample(varied + 60, strata, np.full(1, np.inf)) - Sample(varied, strata, np.full(1, np.inf))
    assert limits(shifted)[:2] == pytest.approx((60 - 50 * most, 60 + 50 * most))


def test_a_kind_that_is_known_has_no_unseen_event():
    """If all values of a kind are known, unseen ones can only be of the other kind. [oracle]"""
    known = np.array([True, False])
    sample = Sample(np.zeros((1, 400)), KINDS, np.full(1, np.inf), is_certain=known, bounds=(0.0, 1.0))
    assert limits(sample) == (0, pytest.approx(0.1 * (1 - 0.025**0.5)), True)


def test_equal_values_of_a_small_kind_are_not_trusted():
    """A thousand equal values suffice for one kind, but not if two of them represent a tenth of the releases. [contract]"""
    for n, is_trusted in (((1998, 2), False), ((9000, 1000), True)):
        strata = Strata(np.repeat([0, 1], n), W)
        assert limits(Sample(np.full((1, sum(n)), 5.0), strata, np.full(1, np.inf)))[2] == is_trusted


@pytest.mark.parametrize(("n", "is_trusted"), [((363, 37), False), ((300, 100), True)])
def test_only_kinds_that_vary_count(n, is_trusted):
    """If only a rare kind's values vary, the many values of the other kind make no limits trusted. [contract]"""
    values = np.concatenate([np.full(n[0], 5.0), np.linspace(0, 1, n[1])])
    strata = Strata(np.repeat([0, 1], n), np.array([0.99, 0.01]))
    assert limits(Sample(values[None], strata, np.full(1, np.inf)))[2] == is_trusted


def test_rare_values_of_a_rare_kind_are_covered():
    """With 100 worlds of a kind, trusted limits allow for values that 3 % of them have, though good releases vary, too. [oracle]"""
    rng, repetitions, n = np.random.default_rng(3), 1000, (300, 100)
    values = rng.normal(5, 1, (repetitions, sum(n)))
    values[:, n[0] :] += 1000 * (rng.random((repetitions, n[1])) < 0.03)
    strata = Strata(np.repeat([0, 1], n), np.array([0.99, 0.01]))
    found = combine(Sample(values, strata, np.full(repetitions, np.inf)), is_rate=False, confidence_level=0.95)
    trusted = found.trusts_low & found.trusts_high
    covers = (found.low <= 5.3) & (found.high >= 5.3)
    assert trusted.mean() > 0.9
    assert covers[trusted].mean() >= 0.93 - 4 * (0.93 * 0.07 / trusted.sum()) ** 0.5


@pytest.mark.parametrize("by_kind", [False, True])
@pytest.mark.parametrize(("n", "is_trusted"), [(60, False), (190, False), (250, True)])
def test_few_values_under_a_condition_are_not_trusted(n, is_trusted, by_kind):
    """Few values may show none of those that 2 % of them are, however many worlds there are without a value. [oracle]"""
    rng, repetitions = np.random.default_rng(6), 500
    values = np.full((repetitions, 1000), np.nan)
    values[:, :n] = rng.normal(10, 1, (repetitions, n)) + 100 * (rng.random((repetitions, n)) < 0.02)
    kinds = Strata((np.arange(1000) >= n).astype(int), np.array([0.1, 0.9]))
    sample = Sample(values, kinds, np.full(repetitions, np.inf)) if by_kind else as_sample(values)
    found = combine(sample, is_rate=False, confidence_level=0.95)
    trusted = found.trusts_low & found.trusts_high
    covers = (found.low <= 12) & (found.high >= 12)
    assert trusted.mean() > 0.9 if is_trusted else not trusted.any()
    assert covers[trusted].sum() >= 0.93 * trusted.sum() - 4 * (0.93 * 0.07 * trusted.sum()) ** 0.5


@pytest.mark.parametrize(("skewness", "is_trusted"), [(0.75, True), (0.85, False)])
def test_each_side_is_trusted_for_itself(skewness, is_trusted):
    """A mean with skewness above 0.8 has no trusted limit on that side. [contract]"""
    n = 400
    parts = Parts(*np.array([n, 10, n, 1, 1, skewness * n**2 * ((n - 1) / n) ** 1.5, n])[:, None, None])
    design = Design(np.ones(1), np.array([[n]]), np.array([[n]]))
    found = join_parts(parts, design, is_rate=False, confidence_level=0.95)
    assert (found.trusts_low.item(), found.trusts_high.item()) == (True, is_trusted)
    mirrored = join_parts(parts._replace(third=-parts.third), design, is_rate=False, confidence_level=0.95)
    assert (mirrored.trusts_low.item(), mirrored.trusts_high.item()) == (is_trusted, True)


def test_a_tail_that_limits_allow_for_is_trusted():
    """For values that look lognormal the upper limit is farther out and trusted, despite a skewness above 0.8. [contract]"""
    values = np.exp(1.8 * ndtri((np.arange(60) + 0.5) / 60))
    found = combine(as_sample(values[None]), is_rate=False, confidence_level=0.95)
    assert found.skewness.item() == 0
    assert found.high.item() - values.mean() > 2 * (values.mean() - found.low.item())
    low, high = reach_of_tails([values[None]], find_moments(values[None, None]), np.full((1, 1), 2.0))
    assert low == 0 < high


def test_tails_of_mirrored_values_are_mirrored():
    """Values times -1 have the reaches of both sides exchanged. [property]"""
    values = np.random.default_rng(2).lognormal(0, 1.5, (200, 60)) - 2 * np.random.default_rng(3).lognormal(
        0, 1, (200, 60)
    )
    quantile = np.full((200, 1), 2.0)
    low, high = reach_of_tails([values], find_moments(values[:, None]), quantile)
    mirrored = reach_of_tails([-values], find_moments(-values[:, None]), quantile)
    assert (low > 0).any()
    assert (high > 0).any()
    np.testing.assert_allclose(mirrored, (high, low), rtol=1e-9)


def test_means_of_nonnegative_values_are_nonnegative():
    """A long lower tail reaches only to 0 if no value is negative. [property]"""
    values = 60 - np.minimum(np.random.default_rng(1).lognormal(0, 2.5, (500, 60)), 60)
    quantile = np.full((500, 1), 2.0)
    (low,) = reach_of_tails([values], find_moments(values[:, None]), quantile)[0].T
    assert (low == values.mean(axis=1)).any()
    assert (low <= values.mean(axis=1) + 1e-9).all()
    (lower,) = reach_of_tails([values - 100], find_moments(values[:, None] - 100), quantile)[0].T
    assert (lower > values.mean(axis=1)).any()
