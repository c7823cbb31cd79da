"""Ranking and selection against the papers: transcribed formulas, and guarantees counted on known means."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize, stats

from simdeploy.errors import InputError
from simdeploy.statistics.sample import Sample, Strata
from simdeploy.statistics.selection import kim_nelson, screen, screening, select_kim_nelson, select_ocba
from simdeploy.statistics.selection.kim_nelson import find_eta
from simdeploy.statistics.selection.ocba import allocate, estimate_probability, share_out

REPETITIONS = 250


def kept_often_enough(times, promised, repetitions=REPETITIONS):
    """Return whether a guarantee was kept, less four standard errors of a proportion."""
    return times / repetitions >= promised - 4 * math.sqrt(promised * (1 - promised) / repetitions)


def slippage(k, gap):
    """Make the least favourable means: the best is 0, all others are worse by exactly the gap."""
    return np.where(np.arange(k) == 0, 0.0, gap)


def sampler(means, seed, *, correlation=0.0, draw=None):
    """Make a sampler of known means: noise of variance 1, `correlation` of it shared by all candidates of a world."""
    draw = draw or (lambda generator, size: generator.normal(size=size))

    def sample(candidates, first, count):
        generator = np.random.default_rng((seed, first))
        shared, own = draw(generator, count), draw(generator, (len(means), count))
        noise = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
        return means[candidates, None] + noise[candidates]

    return sample


def choose(sample, candidates, indifference=0.5, alpha=0.1, n0=10, **how):
    """Select by Kim and Nelson's procedure."""
    return select_kim_nelson(sample, candidates, indifference=indifference, alpha=alpha, n0=n0, **how)


def of_matrix(values):
    """Make a sampler that reads a matrix, and counts requests."""

    def sample(candidates, first, count):
        sample.asked.append((tuple(int(candidate) for candidate in candidates), first, count))
        return values[candidates, first : first + count]

    sample.asked = []
    return sample


def exponential(generator, size):
    return generator.exponential(size=size) - 1


def rare(generator, size):
    """One world in fifty is expensive; mean 0, variance 1."""
    return (np.where(generator.random(size) < 0.02, 1.0, 0.0) - 0.02) / math.sqrt(0.02 * 0.98)


# -- Kim and Nelson --------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("k", [5, 20, 100])
def test_the_best_is_selected_as_often_as_promised(k, correlation):
    """In the least favourable configuration the best is selected with probability 1 - alpha, with and without common worlds. [oracle]"""
    means = slippage(k, 0.5)
    right = 0
    for seed in range(REPETITIONS):
        sample = sampler(means, seed, correlation=correlation)
        selection = choose(sample, np.arange(k))
        assert selection.is_decided
        right += selection.best == 0
    assert kept_often_enough(right, 0.9)


@pytest.mark.parametrize(("draw", "batch"), [(exponential, 10), (rare, 100)])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_batches_of_skewed_observations(draw, batch, correlation):
    """Averages of skewed costs and of rare events keep the guarantee as well. [oracle]"""
    gap = 0.5 / math.sqrt(batch)
    right = 0
    for seed in range(REPETITIONS):
        sample = sampler(slippage(10, gap), seed, correlation=correlation, draw=draw)
        selection = choose(sample, np.arange(10), indifference=gap, batch=batch)
        right += selection.best == 0
    assert kept_often_enough(right, 0.9)


def test_screening_and_selection_share_the_error():
    """Screening with one half of alpha and selecting from new observations with the other finds the best. [oracle]"""
    k, n, right = 100, 25, 0
    means = slippage(k, 0.5)
    for seed in range(REPETITIONS):
        sample = sampler(means, seed, correlation=0.3)
        kept = screen(sample(np.arange(k), 0, n), alpha=0.05)
        rest = np.flatnonzero(kept)
        selection = choose(sample, rest, alpha=0.05, start=n)
        right += selection.best == 0
    assert kept_often_enough(right, 0.9)


def test_the_selected_is_within_the_indifference():
    """For any means, the selected candidate is rarely worse than the best by more than the indifference. [oracle]"""
    good = 0
    for seed in range(REPETITIONS):
        means = np.random.default_rng((seed, 7)).normal(scale=0.5, size=15)
        sample = sampler(means, seed, correlation=0.5)
        selection = choose(sample, np.arange(15))
        good += means[selection.best] <= means.min() + 0.5
    assert kept_often_enough(good, 0.9)


def transcribed(values, indifference, alpha, n0, looks):
    """Select as in the paper, pair by pair, turned round for minimisation; `looks` are the r at which it screens."""
    k = len(values)
    eta = 0.5 * ((2 * alpha / (k - 1)) ** (-2 / (n0 - 1)) - 1)
    h2 = 2 * eta * (n0 - 1)
    s2 = [[np.var(values[i, :n0] - values[j, :n0], ddof=1) for j in range(k)] for i in range(k)]
    standing, used = set(range(k)), {}
    for r in looks:
        means = {i: values[i, :r].mean() for i in standing}
        used |= dict.fromkeys(standing, r)

        def stays(i, means=means, r=r, old=frozenset(standing)):
            return all(
                means[i] <= means[j] + max(0, indifference / (2 * r) * (h2 * s2[i][j] / indifference**2 - r))
                for j in old - {i}
            )

        standing = {i for i in standing if stays(i)}
        if len(standing) == 1:
            return standing.pop(), [used[i] for i in range(k)]
    raise AssertionError("not decided")


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_procedure_of_the_paper(seed):
    """Choice and numbers of observations are those of a slow transcription with the same looks. [oracle]"""
    generator = np.random.default_rng(seed)
    k, n0, alpha = int(generator.integers(2, 6)), int(generator.integers(3, 12)), float(generator.choice([0.05, 0.2]))
    means = generator.normal(scale=0.5, size=k)
    values = means[:, None] + generator.normal(size=(k, 4000)) * generator.uniform(0.2, 1.5, size=(k, 1))
    looks = [n0]
    while looks[-1] < 3000:
        looks.append(kim_nelson.next_look(looks[-1]))
    selection = choose(of_matrix(values), range(k), indifference=0.8, alpha=alpha, n0=n0)
    # The last look is where the widest triangle closes, if that comes before the next one.
    looks = sorted({*looks, *selection.rounds["n"]})
    assert (selection.best, selection.n_used.tolist()) == transcribed(values, 0.8, alpha, n0, looks)


@given(st.integers(0, 2**32 - 1))
def test_a_look_at_every_observation(seed):
    """With the paper's looks, it stops at the paper's observation. [oracle]"""
    generator = np.random.default_rng(seed)
    values = np.array([[0.0], [0.3], [0.6]]) + generator.normal(size=(3, 3000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kim_nelson, "next_look", lambda r: r + 1)
        selection = choose(of_matrix(values), range(3), indifference=0.7, n0=5)
    assert (selection.best, selection.n_used.tolist()) == transcribed(values, 0.7, 0.1, 5, range(5, 3000))


@pytest.mark.parametrize(("k", "n0", "alpha"), [(10, 10, 0.05), (2, 20, 0.01), (5000, 50, 0.025), (3, 2, 0.4)])
def test_the_constant_solves_its_equation(k, n0, alpha):
    """Eta is the root of g(eta) = alpha / (k - 1), with g as the paper defines it for any c. [oracle]"""

    def log_g(eta, c=1):
        terms = [
            (-1) ** (term + 1)
            * (1 - (term == c) / 2)
            * math.pow(1 + 2 * eta * (2 * c - term) * term / c, -(n0 - 1) / 2)
            for term in range(1, c + 1)
        ]
        return math.log(math.fsum(terms))

    root = optimize.brentq(lambda x: log_g(math.exp(x)) - math.log(alpha / (k - 1)), -20, 20, xtol=1e-14)
    assert find_eta(k, n0, alpha) == pytest.approx(math.exp(root), rel=1e-9)


def test_the_constant_by_hand():
    """For ten candidates, ten batches and 5 % it is (90^(2/9) - 1) / 2. [oracle]"""
    assert find_eta(10, 10, 0.05) == pytest.approx((90 ** (2 / 9) - 1) / 2)


def test_wider_gaps_take_fewer_observations():
    """The further behind the others are, the fewer observations it takes. [property]"""
    totals = [
        sum(choose(sampler(slippage(10, gap), seed), np.arange(10)).n_observations for seed in range(50))
        for gap in (0.5, 1.0, 2.0)
    ]
    assert totals[0] > 1.2 * totals[1] > 1.2**2 * totals[2]


def test_observations_are_requested_once():
    """Each observation of a candidate is requested once, in order from `start`, in whole batches. [contract]"""
    generator = np.random.default_rng(1)
    sample = of_matrix(slippage(4, 0.2)[:, None] + generator.normal(size=(4, 40_000)))
    rows = []
    selection = choose(sample, [3, 1, 0], indifference=0.2, n0=4, batch=5, start=100, report=rows.append)
    for candidate, n_used in zip(selection.candidates, selection.n_used, strict=True):
        spans = [(first, first + count) for asked, first, count in sample.asked if candidate in asked]
        assert spans[0][0] == 100
        assert spans[-1][1] == 100 + n_used
        assert all(before[1] == after[0] for before, after in pairwise(spans))
        assert all((last - first) % 5 == 0 for first, last in spans)
    assert selection.n_observations == selection.n_used.sum() == selection.rounds["n_observations"].iloc[-1]
    assert [tuple(row) for row in rows] == [tuple(row) for row in selection.rounds.itertuples(index=False)]
    assert selection.rounds["survivors"].is_monotonic_decreasing
    frame = selection.to_frame()
    assert frame["candidate"].tolist() == [3, 1, 0]
    assert frame.loc[frame["survives"], "candidate"].tolist() == selection.survivors.tolist()


def test_a_used_up_budget_decides_nothing():
    """At `most` observations of a candidate it stops undecided, with the remaining candidates, the lowest mean first. [contract]"""
    sample = sampler(np.array([0.0, 0.0, 5.0]), 3)
    selection = choose(sample, [0, 1, 2], indifference=0.1, batch=2, most=101)
    assert not selection.is_decided
    assert math.isnan(selection.probability_correct)
    assert selection.n_used.tolist() == [100, 100, 20]
    assert set(selection.survivors) == {0, 1}
    assert selection.best == selection.survivors[0] == selection.means[:2].argmin()
    assert selection.answer.startswith("Undecided: 2 of 3 candidates remain")
    assert selection.to_dict()["probability_correct"] is None
    longer = choose(sample, [0, 1, 2], indifference=0.1, batch=2, budget=selection.n_needed)
    assert longer.is_decided
    assert selection.n_observations < longer.n_observations == longer.n_needed <= selection.n_needed


@pytest.mark.parametrize(
    ("is_decided", "probability", "words"),
    [
        (True, 0.95, "Candidate 1 is the best of 3 with probability at least 0.95."),
        (False, 0.875, "Candidate 1 has the lowest mean of 3 and is the best with probability about 0.875."),
        (False, math.nan, "Undecided: 2 of 3 candidates remain, candidate 1 has the lowest mean."),
    ],
)
def test_verdicts_are_data(is_decided, probability, words):
    """Every verdict of the answer is in to_dict(), and the words follow from it. [contract]"""
    sample = sampler(np.array([1.0, 0.0, 5.0]), 3)
    decided = choose(sample, [0, 1, 2], alpha=0.05)
    selection = replace(
        decided, is_decided=is_decided, probability_correct=probability, survivors=np.array([1, 0]), best=1
    )
    document = selection.to_dict()
    stated = None if math.isnan(probability) else probability
    assert (document["is_decided"], document["probability_correct"]) == (is_decided, stated)
    assert (document["best"], document["survivors"], document["candidates"]) == (1, [1, 0], [0, 1, 2])
    assert selection.answer == words


def test_a_race_ends_where_the_triangle_closes():
    """Candidates of equal means run until one observation after the triangle has closed, and are then decided. [oracle]"""
    difference = np.resize([1.0, -1.0], 5000)
    difference[0] += 1e-6
    selection = choose(of_matrix(np.stack([0 * difference, difference])), [0, 1], indifference=0.1, alpha=0.05)
    end = 2 * find_eta(2, 10, 0.05) * 9 * difference[:10].var(ddof=1) / 0.1**2
    assert selection.n_used.tolist() == [math.floor(end) + 1] * 2
    assert selection.survivors.tolist() == [0]


def test_equal_candidates_end_together():
    """Identical candidates all survive, the first of them is selected, and it is decided. [contract]"""
    generator = np.random.default_rng(5)
    world = generator.normal(size=5000)
    values = np.stack([world + 1, world * 0.9, world * 0.9, np.full(5000, 3.0)])
    selection = choose(of_matrix(values), [0, 2, 1, 3], indifference=0.1, alpha=0.05, n0=20)
    assert selection.is_decided
    assert selection.survivors.tolist() == [2, 1]
    assert selection.best == 2
    constants = choose(of_matrix(np.full((4, 100), 0.1)), range(4), indifference=0.1, alpha=0.05, n0=7)
    assert (constants.is_decided, constants.best, constants.n_observations) == (True, 0, 28)
    assert constants.survivors.tolist() == [0, 1, 2, 3]


def test_one_candidate_is_the_best():
    """A single candidate is selected without an observation, by both procedures and by screening. [contract]"""
    sample = of_matrix(np.zeros((9, 0)))
    for selection in (
        choose(sample, [8], indifference=1, alpha=0.05),
        select_ocba(sample, [8], budget=10, n0=5, step=1),
    ):
        assert (selection.best, selection.is_decided, selection.n_observations) == (8, True, 0)
        assert math.isnan(selection.means[0])
        assert len(selection.rounds) == 0
        assert selection.answer == "Candidate 8 is the only one."
        assert len(selection.summarize()) == 1
    assert sample.asked == []
    assert screen(np.zeros((1, 2)), alpha=0.05).tolist() == [True]


# -- screening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "correlation"), [(0.0, 0.0), (0.0, 0.8), (0.3, 0.5)])
@pytest.mark.parametrize("k", [2, 30, 300])
def test_screening_keeps_the_best(k, gap, correlation):
    """The best is kept with probability 1 - alpha, even if all others are as good. [oracle]"""
    kept = sum(
        screen(sampler(slippage(k, gap), seed, correlation=correlation)(np.arange(k), 0, 15), alpha=0.1)[0]
        for seed in range(1000)
    )
    assert kept_often_enough(kept, 0.9, 1000)


def test_screening_is_no_safer_than_stated():
    """Of two equal candidates the first is dropped exactly as often as allowed. [oracle]"""
    kept = sum(screen(sampler(np.zeros(2), seed)(np.arange(2), 0, 15), alpha=0.1)[0] for seed in range(2000))
    assert abs(kept / 2000 - 0.9) <= 4 * math.sqrt(0.09 / 2000)


def test_screening_is_the_rule_of_the_paper():
    """Up to a hundred candidates it is the paper's rule, pair by pair. [oracle]"""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        values = generator.normal(size=(40, 1)) * 0.4 + generator.normal(size=(40, 12)) + generator.normal(size=12)
        quantile = stats.t.ppf(1 - 0.05 / 39, 11)

        def beats(j, i, values=values, quantile=quantile):
            difference = values[i] - values[j]
            return difference.mean() > quantile * difference.std(ddof=1) / math.sqrt(12)

        expected = [not any(beats(j, i) for j in range(40) if j != i) for i in range(40)]
        assert 1 < sum(expected) < 40
        assert screen(values, alpha=0.05).tolist() == expected


def test_fewer_rivals_drop_fewer(monkeypatch):
    """Candidates kept against all rivals are kept against the most promising ones, which drop nearly all others. [property]"""
    generator = np.random.default_rng(2)
    values = generator.normal(size=(400, 1)) + generator.normal(size=(400, 10)) * generator.uniform(0.1, 2, (400, 1))
    some = screen(values, alpha=0.05)
    monkeypatch.setattr(screening, "MOST_RIVALS", 3)
    few = screen(values, alpha=0.05)
    monkeypatch.setattr(screening, "MOST_RIVALS", 400)
    all_of_them = screen(values, alpha=0.05)
    assert (all_of_them <= some).all()
    assert (some <= few).all()
    assert all_of_them.sum() < few.sum()
    assert some.sum() <= 1.1 * all_of_them.sum()


def test_only_rivals_drop_others():
    """A candidate that is no rival drops none, and without a rival all are kept. [contract]"""
    values = np.array([[0.0], [1.0], [2.0], [3.0]]) + np.random.default_rng(6).normal(scale=0.01, size=(4, 10))
    assert screen(values, alpha=0.05).tolist() == [True, False, False, False]
    assert screen(values, alpha=0.05, rivals=np.array([2])).tolist() == [True, True, True, False]
    assert screen(values, alpha=0.05, rivals=np.array([3, 1])).tolist() == [True, True, False, False]
    assert screen(values, alpha=0.05, rivals=np.array([], dtype=int)).all()


def test_screening_keeps_ties():
    """Equal candidates are kept together, in any memory order, and of constant ones only the lowest. [contract]"""
    row = np.random.default_rng(3).exponential(size=9) / 3
    for values in (np.stack([row, row, row + 9]), np.asfortranarray(np.stack([row, row, row + 9]))):
        assert screen(values, alpha=0.05).tolist() == [True, True, False]
    assert screen(np.full((5, 3), 0.1), alpha=0.05).all()
    assert screen(np.array([[0.3, 0.3], [0.1, 0.1], [0.1, 0.1]]), alpha=0.05).tolist() == [False, True, True]


# -- OCBA ------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_the_allocation_is_that_of_the_theorem(seed):
    """Ratios of the allocation are the theorem's, for each pair and for the best. [oracle]"""
    generator = np.random.default_rng(seed)
    k = int(generator.integers(2, 12))
    means, deviations = generator.normal(size=k), generator.uniform(0.1, 3, size=k)
    n = allocate(means, deviations**2, 1000)
    best = min(range(k), key=means.__getitem__)
    others = [i for i in range(k) if i != best]
    assert n.sum() == pytest.approx(1000)
    for i in others:
        gap, first = means[i] - means[best], means[others[0]] - means[best]
        assert n[i] / n[others[0]] == pytest.approx((deviations[i] / gap / (deviations[others[0]] / first)) ** 2)
    assert n[best] == pytest.approx(deviations[best] * math.sqrt(sum((n[i] / deviations[i]) ** 2 for i in others)))


def test_the_allocation_is_nearly_the_best():
    """No other allocation has a much lower approximate error probability, on the scale of exponents. [oracle]"""
    means, variances, total = np.array([0.0, 1.0, 1.5, 2.0, 3.0]), np.array([1.0, 2.0, 1.0, 4.0, 1.0]), 600

    def exponent(shares):
        n = np.exp(shares) / np.exp(shares).sum() * total
        return math.log(sum(stats.norm.sf(means[1:] / np.sqrt(variances[0] / n[0] + variances[1:] / n[1:]))))

    found = optimize.minimize(exponent, np.zeros(5), method="Nelder-Mead", options={"maxiter": 4000, "maxfev": 4000})
    n = allocate(means, variances, total)
    equal = exponent(np.zeros(5))
    assert exponent(np.log(n)) < found.fun + 0.2 * (equal - found.fun)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_ocba_beats_equal_allocation(correlation):
    """With as many observations it finds the best more often than equal allocation, by more than four standard errors. [oracle]"""
    means = np.arange(10) / 4.0
    n, gains = 20, []
    for seed in range(500):
        # Both in the same worlds, of which either takes the first ones.
        values = sampler(means, seed, correlation=correlation)(np.arange(10), 0, 10 * n)
        selection = select_ocba(of_matrix(values), range(10), budget=10 * n, n0=5, step=30)
        assert selection.n_used.sum() == selection.n_observations == 10 * n
        equal = values[:, :n].mean(axis=1).argmin()
        gains.append(float(selection.best == 0) - float(equal == 0))
    assert np.mean(gains) > 4 * np.std(gains) / math.sqrt(len(gains))


def test_ocba_reports_the_moments_of_its_sample():
    """Each candidate has the first worlds from `start` on, once; means and probability are those of all its worlds. [oracle]"""
    generator = np.random.default_rng(8)
    sample = of_matrix(1e6 + np.arange(5)[:, None] / 4 + generator.normal(size=(5, 500)))
    everything = sample(np.arange(5), 0, 500)
    selection = select_ocba(sample, [4, 0, 2], budget=250, n0=10, step=17, start=30)
    seen = [everything[id_, 30 : 30 + n] for id_, n in zip(selection.candidates, selection.n_used, strict=True)]
    means, variances = np.array([row.mean() for row in seen]), np.array([row.var(ddof=1) for row in seen])
    assert selection.means == pytest.approx(means, rel=1e-12)
    assert selection.probability_correct == pytest.approx(estimate_probability(means, variances, selection.n_used))
    assert selection.best == selection.candidates[means.argmin()] == selection.survivors[0]
    assert selection.rounds["n_observations"].tolist() == [*range(30, 250, 17), 250]
    assert selection.n_used.min() < selection.n_used.max()
    for id_, n_used in zip(selection.candidates, selection.n_used, strict=True):
        spans = [(first, first + count) for asked, first, count in sample.asked[1:] if id_ in asked]
        assert [edge for span in spans for edge in span][:: max(2 * len(spans) - 1, 1)] == [30, 30 + n_used]
        assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_the_probability_is_a_bound():
    """For known means and variances the estimate is exact for two candidates, and below the truth for more. [oracle]"""
    generator = np.random.default_rng(4)
    means, variances, n = np.array([0.0, 1.0, 1.2, 2.0]), np.array([4.0, 9.0, 1.0, 4.0]), np.array([20, 30, 5, 10])
    drawn = means + generator.normal(size=(40_000, 4)) * np.sqrt(variances / n)
    for k in (2, 4):
        right = (drawn[:, :k].argmin(axis=1) == 0).mean()
        error = math.sqrt(right * (1 - right) / len(drawn))
        bound = estimate_probability(means[:k], variances[:k], n[:k])
        assert bound <= right + 4 * error
        assert k > 2 or bound >= right - 4 * error


def test_candidates_equal_so_far_are_tied():
    """Candidates that differ in one world of five hundred have even odds until it occurs. [oracle]"""

    def sample(seed, candidates, first, count):
        worlds = np.random.default_rng(seed).random(200)[first : first + count]
        return worlds + 1000 * np.outer(candidates == seed % 2, worlds < 0.002)

    found = []
    for seed in range(300):
        selection = select_ocba(partial(sample, seed), [0, 1], n0=20, step=20, budget=200)
        found.append((selection.probability_correct, selection.best != seed % 2))
    stated, is_right = np.array(found, float).T
    assert set(stated[stated < 0.6]) == {0.5}
    assert stated.mean() <= is_right.mean() + 4 * is_right.std() / math.sqrt(len(found))


def test_an_allocation_without_variance():
    """Without variance all get the same; a certain lead has probability 1, a tie is split, never negative. [contract]"""
    none = np.zeros(3)
    assert allocate(np.array([1.0, 2.0, 3.0]), none, 30).tolist() == [10, 10, 10]
    assert allocate(np.ones(3), np.ones(3), 30) == pytest.approx(30 * np.array([2**0.5, 1, 1]) / (2 + 2**0.5))
    assert estimate_probability(np.array([1.0, 2.0]), none[:2], np.array([5, 5])) == 1
    assert estimate_probability(np.array([1.0, 1.0]), none[:2], np.array([5, 5])) == 0.5
    assert estimate_probability(np.ones(9), np.ones(9), np.full(9, 5)) == 0
    selection = select_ocba(of_matrix(np.full((4, 100), 0.1)), range(4), budget=50, n0=5, step=7)
    assert (selection.best, selection.n_observations) == (0, 50)
    assert selection.n_used.max() - selection.n_used.min() <= 1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.01, 9)), min_size=1, max_size=9), st.integers(1, 40))
def test_shares_are_whole_and_complete(candidates, extra):
    """Exactly the available observations are allocated, none to candidates that have their share. [property]"""
    n = np.array([count for count, _ in candidates])
    weights = np.array([weight for _, weight in candidates])
    targets = weights / weights.sum() * (n.sum() + extra)
    more = share_out(targets, n)
    assert more.sum() == extra
    assert (more >= 0).all()
    assert (more[n > targets + 1e-6] == 0).all()


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"indifference": 0}, "indifference"),
        ({"indifference": math.nan}, "indifference"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 0.5}, "alpha"),
        ({"n0": 1}, "n0"),
        ({"batch": 0}, "batch"),
        ({"start": -1}, "start"),
        ({"most": 19}, "most"),
        ({"candidates": []}, "candidates"),
        ({"candidates": [1, 1]}, "candidates"),
        ({"candidates": [0.5, 1]}, "candidates"),
        ({"candidates": range(4001)}, "candidates"),
    ],
)
def test_kim_nelson_refuses_before_it_samples(changes, named):
    """`select_kim_nelson` reports an argument out of range by name before anything is sampled. [contract]"""
    sample = of_matrix(np.zeros((5000, 100)))
    arguments = {"candidates": range(3), "indifference": 1.0, "alpha": 0.1, "n0": 10, "batch": 2} | changes
    with pytest.raises(InputError, match=rf"^{named}\b"):
        select_kim_nelson(sample, arguments.pop("candidates"), **arguments)
    assert sample.asked == []


@pytest.mark.parametrize("changes", [{"budget": 29}, {"n0": 1}, {"step": 0}, {"start": -1}])
def test_ocba_refuses_before_it_samples(changes):
    """`select_ocba` reports an argument out of range by name before anything is sampled. [contract]"""
    sample = of_matrix(np.zeros((3, 100)))
    with pytest.raises(InputError, match=rf"^{next(iter(changes))}\b"):
        select_ocba(sample, range(3), **({"budget": 60, "n0": 10, "step": 5} | changes))
    assert sample.asked == []


def test_a_missing_value_is_no_observation():
    """NaN is refused with its candidate and number, and so is another shape. [contract]"""
    values = np.zeros((3, 100))
    values[2, 13] = math.nan
    with pytest.raises(ValueError, match="observation 13 of candidate 2 is nan"):
        choose(of_matrix(values), [1, 2], indifference=1, n0=5, start=10)
    with pytest.raises(ValueError, match="observation 13 of candidate 2 is nan"):
        select_ocba(of_matrix(values), [1, 2], budget=40, n0=20, step=5)
    with pytest.raises(ValueError, match="shape"):
        select_ocba(of_matrix(values), [1, 2], budget=300, n0=150, step=5)
    with pytest.raises(ValueError, match="finite"):
        screen(values, alpha=0.05)
    with pytest.raises(InputError, match="alpha: invalid probability of error"):
        screen(np.zeros((2, 2)), alpha=0.6)
    with pytest.raises(InputError, match="n: too few"):
        screen(np.zeros((2, 1)), alpha=0.1)


# -- rare events -------------------------------------------------------------------------------------------------------


def rare_costs(rng_seed):
    """Make a sampler: candidate 0 costs 1, candidate 1 costs 0.9 and once in 2,000 batches 2,000 more (0.9 + 1)."""

    def sample(candidates, first, count):
        u = np.random.default_rng(rng_seed).random(first + count)[first:]
        return np.array([np.full(count, 1.0), 0.9 + 2000 * (u < 1 / 2000)])[candidates]

    return sample


def test_a_rare_event_counts_before_it_occurs():
    """A candidate that is cheap until something rare happens is seldom selected, once that is allowed for. [statistical]"""
    wrong = {
        unseen: sum(choose(rare_costs(seed), [0, 1], alpha=0.05, n0=20, unseen=unseen).best == 1 for seed in range(40))
        for unseen in (None, 2000.0)
    }
    assert wrong[None] >= 35
    assert wrong[2000.0] <= 2 + 4 * np.sqrt(40 * 0.05 * 0.95)


@pytest.mark.parametrize("unseen", [None, 1e-9])
def test_updated_variances_keep_the_guarantee(unseen):
    """For normal observations the best is selected as often as promised, with variances of the first round or of all. [oracle]"""

    def right(seed):
        rng = np.random.default_rng(seed)
        pool = rng.normal(size=(5, 4000)) + np.array([0.0, 0.5, 0.5, 0.5, 0.5])[:, None]
        found = choose(of_matrix(pool), range(5), unseen=unseen)
        return found.best == 0

    n = 300
    assert sum(map(right, range(n))) / n >= 0.9 - 4 * np.sqrt(0.09 / n)


def test_screening_of_strata_is_that_of_their_weighted_means():
    """Candidates are kept unless a t test on weighted means of strata rules them out. [oracle]"""
    rng = np.random.default_rng(5)
    of, p = np.repeat([0, 1], [40, 10]), np.array([0.9, 0.1])
    values = rng.normal(size=(30, 50)) + rng.normal(size=50) + np.linspace(0, 1.5, 30)[:, None] + 5 * of
    kept = screen(Sample(values, Strata(of, p), np.ones(30, dtype=bool)), alpha=0.05)
    expected = np.ones(30, dtype=bool)
    for one, other in permutations(range(30), 2):
        parts = [(values[one] - values[other])[of == k] for k in (0, 1)]
        mean = sum(w * part.mean() for w, part in zip(p, parts, strict=True))
        error = math.sqrt(sum(w**2 * part.var(ddof=1) / len(part) for w, part in zip(p, parts, strict=True)))
        expected[one] &= mean <= stats.t.ppf(1 - 0.05 / 29, 9) * error
    assert 1 < kept.sum() < 30
    assert kept.tolist() == expected.tolist()
