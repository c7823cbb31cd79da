"""Nominal 95 % intervals that are trusted cover at least 93 %, on laws whose means, rates and quantiles are known."""

from __future__ import annotations

import numpy as np
import pytest
from coverage_of_intervals import INTERVALS, SIZES, measure_coverage

from simdeploy.statistics.combining import combine
from simdeploy.statistics.sample import Lump, Sample, Strata, as_sample

REPETITIONS = 1000


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("n", SIZES)
def test_coverage(n, name):
    """Of the intervals that are trusted at least 93 % cover, less four standard errors; those of 400 seldom aren't. [oracle]"""
    trusted, covered = measure_coverage(name, n, REPETITIONS if "knowing" not in name else REPETITIONS // 10)
    assert covered >= 0.93 * trusted - 4 * (0.93 * 0.07 * trusted) ** 0.5
    if n == max(SIZES) and "or 100" not in name:
        assert trusted > 0.5 * (REPETITIONS if "knowing" not in name else REPETITIONS // 10)


def limits(sample):
    """Return the only interval of a mean, and whether it is trusted."""
    found = combine(sample, is_rate=False, confidence_level=0.95)
    return found.low.item(), found.high.item(), bool(found.trusts_low.all() and found.trusts_high.all())


@pytest.mark.parametrize(("n", "is_trusted"), [(400, False), (999, False), (1000, True)])
def test_equal_values_say_little_of_others(n, is_trusted):
    """Where all values are the same, others may be rare: a mean of so few isn't trusted, nor is a difference. [contract]"""
    equal = as_sample(np.full((1, n), 60.0))
    assert limits(equal) == (60, 60, is_trusted)
    assert limits(equal - as_sample(np.full((1, n), 50.0))) == (10, 10, is_trusted)
    assert limits(as_sample(np.r_[np.full(n - 1, 60.0), 60 + 1e-12][None]))[2] == is_trusted


def test_equal_differences_of_values_that_vary():
    """A rare world in which policies differ otherwise is allowed for within the range of their values; none differs by 0. [oracle]"""
    values = np.random.default_rng(1).permutation(np.linspace(0, 50, 400))[None]
    low, high, is_trusted = limits(as_sample(values + 60) - as_sample(values))
    reach = 50 * (1 - 0.025 ** (1 / 400))  # of 0 of 400
    assert (low, high) == pytest.approx((60 - reach, 60 + reach))
    assert is_trusted
    assert limits(as_sample(values) - as_sample(values)) == (0, 0, False)


def test_what_is_known_beforehand_needs_no_spread():
    """A cost that only a verdict has doesn't vary where its rate is known, and its mean is exact. [oracle]"""
    lump = Lump(np.array([500.0]), np.zeros((1, 400)), np.array([[0.002]]))
    known = Sample(np.ones((1, 400)), Strata(np.zeros(400, np.int64), np.ones(1)), np.full(1, np.inf), (lump,))
    assert not limits(known)[2]
    certain = Sample(known.values, known.strata, known.n_expected, known.lumps, np.ones(1, dtype=bool))
    assert limits(certain)[2]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_equal_fractions_have_limits(fraction):
    """If all fractions are the same, the mean is off by no more than the rate of others allows, each 0 or 1. [oracle]"""
    values = np.full((1, 400), fraction)
    sample = Sample(values, Strata(np.zeros(400, np.int64), np.ones(1)), np.full(1, np.inf), bounds=(0.0, 1.0))
    low, high, is_trusted = limits(sample)
    rate = 1 - 0.025 ** (1 / 400)  # of 0 of 400
    assert (low, high) == pytest.approx((fraction * (1 - rate), fraction + (1 - fraction) * rate))
    assert is_trusted
