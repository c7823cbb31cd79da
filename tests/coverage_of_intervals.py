"""How often trusted intervals contain the truth, for samples from laws with known means, rates and quantiles."""

from dataclasses import replace
from functools import cache

import numpy as np

from simdeploy.analysis.costs.knowing import KIND, WORLD, estimate_values_of_knowing
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.combining import combine, enough_of_each
from simdeploy.statistics.estimators import estimate_rows
from simdeploy.statistics.sample import Lump, Sample, Strata, as_sample

SIZES = (100, 400, 600, 1000)
LEVEL = 0.95
MEAN_OF_LOGNORMAL = np.exp(0.5)
PRICE, DEFECTIVE = 1000.0, np.array([0.9, 0.1])
PAIR = (2.0, 1.0)
KINDS = np.array([0.85, 0.15])


def make_generator(n):
    """Return the random numbers for samples of size n."""
    return np.random.default_rng([n, 7])


def covers(found, truth):
    """Return by repetition whether the interval covers, and whether it is trusted."""
    return (found.low <= truth) & (truth <= found.high), found.trusts_low & found.trusts_high


def of_means(draw, truth):
    """Return a function that measures intervals of the mean of a law."""
    return lambda rng, shape: covers(combine(as_sample(draw(rng, shape)), is_rate=False, confidence_level=LEVEL), truth)


def draw_waves(rng, shape):
    """Draw makespans of two waves of five nodes, each as long as its slowest node: lognormal, sigma 1."""
    return rng.lognormal(0, 1, (*shape, 2, 5)).max(axis=-1).sum(axis=-1)


@cache
def mean_of_waves():
    """Integrate the mean of the makespans: of the largest of five, twice."""
    grid = np.linspace(-9, 9, 200_001)
    from scipy.special import ndtr

    below = ndtr(grid) ** 5
    return 2 * float(((1 - below) * np.exp(grid)).sum() * (grid[1] - grid[0]))


def waves(rng, shape):
    return of_means(draw_waves, mean_of_waves())(rng, shape)


def escapes(rate):
    """Return a function that measures costs in worlds by kind, 30 % of them defective, some of which escape at a price."""

    def measure(rng, shape):
        repetitions, n = shape[0], (7 * shape[1] // 10, 3 * shape[1] // 10)
        escaped = np.hstack([np.zeros((repetitions, n[0])), rng.random((repetitions, n[1])) < rate])
        costs = 10 * rng.lognormal(0, 1, escaped.shape) + PRICE * escaped
        lump = Lump(np.array([0.0, PRICE]), escaped, np.full((repetitions, 2), np.nan))
        sample = Sample(
            costs,
            Strata(np.repeat([0, 1], n), DEFECTIVE),
            np.full(repetitions, float(n[1])),
            (lump,),
            np.zeros(2, dtype=bool),
        )
        truth = 10 * MEAN_OF_LOGNORMAL + PRICE * DEFECTIVE[1] * rate
        return covers(combine(sample, is_rate=False, confidence_level=LEVEL), truth)

    return measure


def differences(rng, shape):
    """Compare costs of two policies that share a part of each world, plus a lognormal part each."""
    common = rng.lognormal(0, 1, shape)
    first, second = (as_sample(common + factor * rng.lognormal(0, 1, shape)) for factor in PAIR)
    found = combine(first - second, is_rate=False, confidence_level=LEVEL)
    return covers(found, (PAIR[0] - PAIR[1]) * MEAN_OF_LOGNORMAL)


def very_skewed_differences(rng, shape):
    """Compare two policies with independent lognormal costs, sigma 2: a long tail on either side."""
    first, second = (as_sample(factor * rng.lognormal(0, 2, shape)) for factor in PAIR)
    return covers(combine(first - second, is_rate=False, confidence_level=LEVEL), (PAIR[0] - PAIR[1]) * np.exp(2))


def draw_mixed(share, factor=30.0):
    """Return a function that draws exponential values, some of them many times as large."""
    return lambda rng, shape: rng.exponential(np.where(rng.random(shape) < share, factor, 1.0))


def mixed_differences(rng, shape):
    """Compare two policies whose costs are much larger in 2 % of the rollouts, different ones for each."""
    first, second = (as_sample(factor * draw_mixed(0.02)(rng, shape)) for factor in PAIR)
    return covers(combine(first - second, is_rate=False, confidence_level=LEVEL), (PAIR[0] - PAIR[1]) * 1.58)


def draw_rare(share):
    """Return a function that draws values of about 10, or of 110 in a share of the rollouts."""
    return lambda rng, shape: rng.normal(10, 1, shape) + 100.0 * (rng.random(shape) < share)


def draw_fractions(rng, shape):
    """Draw fractions of 30 nodes in service: nearly always 29, sometimes 28, and seldom none."""
    return rng.choice([29 / 30, 28 / 30, 0], size=shape, p=[0.947, 0.05, 0.003])


MEAN_OF_FRACTIONS = (0.947 * 29 + 0.05 * 28) / 30


def of_fractions(draw, truth):
    """Return a function that measures intervals of the mean of values between 0 and 1, given how to draw values or samples."""

    def measure(rng, shape):
        sample = replace(as_sample(draw(rng, shape)), bounds=(0.0, 1.0))
        return covers(combine(sample, is_rate=False, confidence_level=LEVEL), truth)

    return measure


def of_differences_of_fractions(draw, other, truth):
    """Return a function that measures intervals of differences of two policies' fractions, given how to draw either one's."""

    def measure(rng, shape):
        first, second = (replace(as_sample(each(rng, shape)), bounds=(0.0, 1.0)) for each in (draw, other))
        return covers(combine(first - second, is_rate=False, confidence_level=LEVEL), truth)

    return measure


def draw_usual_fractions(rng, shape):
    """Draw such fractions without rollouts in which no node is in service."""
    return rng.choice([29 / 30, 28 / 30], size=shape, p=[0.947 / 0.997, 0.05 / 0.997])


def draw_by_kind(draw, other=lambda rng, shape: rng.normal(1, 0.1, shape)):
    """Return how to draw samples in worlds by kind: as few of the good kind as trusted means take; the others are about 1."""

    def draw_sample(rng, shape):
        repetitions, n = shape
        good = int(enough_of_each(KINDS, n)[0]) or n // 2
        values = np.hstack([draw(rng, (repetitions, good)), other(rng, (repetitions, n - good))])
        return Sample(values, Strata(np.repeat([0, 1], (good, n - good)), KINDS), np.full(repetitions, np.inf))

    return draw_sample


def draw_known_kind(draw):
    """Return how to draw fractions of good releases; in a world by kind of another release they are 0.5 or 0.6."""
    return draw_by_kind(draw, lambda rng, shape: rng.choice([0.5, 0.6], shape))


def of_means_by_kind(draw, truth):
    """Return a function that measures intervals of means in worlds by kind, given the mean of the good kind's law."""
    truth = float(KINDS @ (truth, 1))
    return lambda rng, shape: covers(
        combine(draw_by_kind(draw)(rng, shape), is_rate=False, confidence_level=LEVEL), truth
    )


def mixed_differences_by_kind(rng, shape):
    """Compare policies as in `mixed_differences`, in worlds by kind."""
    draw = draw_by_kind(draw_mixed(0.02 / KINDS[0]))
    first, second = (draw(rng, shape).scaled(factor) for factor in PAIR)
    return covers(combine(first - second, is_rate=False, confidence_level=LEVEL), 1 + 29 * 0.02)


def band(rng, shape):
    """Judge four means in common worlds together, as a trade-off does; trusted if all are."""
    level, found = 1 - (1 - LEVEL) / 4, []
    common = rng.lognormal(0, 1, shape)
    for factor in (1, 2, 4, 8):
        values = as_sample(common + factor * rng.lognormal(0, 1, shape))
        truth = (1 + factor) * MEAN_OF_LOGNORMAL
        found.append(covers(combine(values, is_rate=False, confidence_level=level), truth))
    hits, trusted = (np.all(each, axis=0) for each in zip(*found, strict=True))
    return hits, trusted


def quantiles(rng, shape):
    found = estimate_rows(rng.lognormal(0, 1, shape), Measure("makespan_s", quantile=0.9), LEVEL)
    return covers(found, np.exp(1.2815515655446004))


def conditional_rates(rng, shape):
    """Rates among the 30 % of rollouts in which a condition holds."""
    values = np.where(rng.random(shape) < 0.3, rng.random(shape) < 0.1, np.nan)
    return covers(estimate_rows(values, Measure("escaped"), LEVEL), 0.1)


def differences_of_rates(rng, shape):
    """Compare rates of two policies, where one policy's events include the other's."""
    events = rng.random(shape)
    first, second = (as_sample((events < rate).astype(float)) for rate in (0.2, 0.05))
    return covers(combine(first - second, is_rate=True, confidence_level=LEVEL), 0.15)


MEANS_BY_KIND, SHARES = np.array([[1.0, 9], [4, 4]]), np.array([0.7, 0.3])


def draw_policies(rng, n):
    kinds = (rng.random(n) < SHARES[1]).astype(int)
    return kinds, MEANS_BY_KIND[:, kinds] + rng.lognormal(0, 1, (2, n))


@cache
def worth_of_the_world():
    costs = draw_policies(np.random.default_rng(0), 4_000_000)[1]
    return costs.mean(axis=1).min() - costs.min(axis=0).mean()


@cache
def measure_knowing(repetitions, n):
    """Measure the values of knowing the world and the kind of release together, because one call estimates both."""
    truths = {WORLD: worth_of_the_world(), KIND: (MEANS_BY_KIND @ SHARES).min() - 0.7 * 1 - 0.3 * 4}
    rng, rows = make_generator(n), {name: [] for name in truths}
    for _ in range(repetitions):
        kinds, costs = draw_policies(rng, n)
        for name, row in estimate_values_of_knowing(costs, kinds, LEVEL).items():
            rows[name].append((row["low"] <= truths[name] <= row["high"], row["is_trusted"]))
    return {name: tuple(np.array(of_name).T) for name, of_name in rows.items()}


def knowing(name):
    """Return a function that measures the value of knowing the world, or the kind of release, with lognormal costs."""
    return lambda _, shape: measure_knowing(*shape)[name]


INTERVALS = {
    "mean, normal": of_means(lambda rng, shape: rng.normal(5, 1, shape), 5.0),
    "mean, exponential": of_means(lambda rng, shape: rng.exponential(5, shape), 5.0),
    "mean, lognormal": of_means(lambda rng, shape: rng.lognormal(0, 1, shape), MEAN_OF_LOGNORMAL),
    "mean, lognormal, sigma 2": of_means(lambda rng, shape: rng.lognormal(0, 2, shape), np.exp(2)),
    "mean, gamma, shape 0.1": of_means(lambda rng, shape: rng.gamma(0.1, 1, shape), 0.1),
    "mean, Pareto, shape 2.5": of_means(lambda rng, shape: rng.pareto(2.5, shape), 1 / 1.5),
    "makespan of two waves of five lognormal nodes": waves,
    "mean of 0, or 100 in 1 % of the rollouts": of_means(lambda rng, shape: 100.0 * (rng.random(shape) < 0.01), 1.0),
    "mean of about 10, or 110 in 1 % of the rollouts": of_means(draw_rare(0.01), 11.0),
    "mean of exponential values, 30 times larger in 2 % of the rollouts": of_means(draw_mixed(0.02), 1.58),
    "mean by kind of about 10, or 110 in 1 % of the rollouts, all good": of_means_by_kind(
        draw_rare(0.01 / KINDS[0]), 10 + 1 / KINDS[0]
    ),
    "mean by kind of exponential values, 30 times larger in 2 % of the rollouts, all good": of_means_by_kind(
        draw_mixed(0.02 / KINDS[0]), 1 + 29 * 0.02 / KINDS[0]
    ),
    "mean of fractions, nearly all 0.97, 0 in 0.3 % of the rollouts": of_fractions(draw_fractions, MEAN_OF_FRACTIONS),
    "mean by kind of such fractions of good releases": of_fractions(
        draw_known_kind(draw_fractions), float(KINDS @ (MEAN_OF_FRACTIONS, 0.55))
    ),
    "difference of such fractions from ones that are never 0": of_differences_of_fractions(
        draw_fractions, draw_usual_fractions, -0.003 * MEAN_OF_FRACTIONS / 0.997
    ),
    "difference of two such fractions": of_differences_of_fractions(draw_fractions, draw_fractions, 0.0),
    "difference by kind of such fractions from ones that are never 0": of_differences_of_fractions(
        draw_known_kind(draw_fractions),
        draw_known_kind(draw_usual_fractions),
        -0.003 * KINDS[0] * MEAN_OF_FRACTIONS / 0.997,
    ),
    "difference of such exponential values by kind": mixed_differences_by_kind,
    "cost, half of defective releases escape": escapes(0.5),
    "cost, 1 in 10,000 of defective releases escapes": escapes(1e-4),
    "difference of costs of two policies": differences,
    "difference of lognormal costs, sigma 2": very_skewed_differences,
    "difference of such exponential values": mixed_differences,
    "band of four means": band,
    "90 % quantile, lognormal": quantiles,
    "rate given an event of 30 %": conditional_rates,
    "difference of rates": differences_of_rates,
    "value of knowing the world": knowing(WORLD),
    "value of knowing the kind": knowing(KIND),
}

# The fewest of `SIZES` from which on an interval is often trusted, if that isn't 400; with fewer it never is.
TRUSTED_FROM = {
    "90 % quantile, lognormal": 100,
    "rate given an event of 30 %": 100,
    "difference of rates": 100,
    "mean of fractions, nearly all 0.97, 0 in 0.3 % of the rollouts": 100,
    "mean by kind of such fractions of good releases": 100,
    "difference of such fractions from ones that are never 0": 100,
    "difference of two such fractions": 100,
    "difference by kind of such fractions from ones that are never 0": 100,
}
# Means that depend on values too rare for 400 rollouts, so that nothing shows that limits are too narrow.
UNSEEN = {
    "mean of about 10, or 110 in 0.5 % of the rollouts": of_means(draw_rare(0.005), 10.5),
    "mean of exponential values, 30 times larger in 1 % of the rollouts": of_means(draw_mixed(0.01), 1.29),
}


def count_repetitions(name, n):
    """Return how many repetitions of samples of size n are affordable."""
    return n // 4 if "knowing" in name else n


def measure_coverage(name, n, repetitions):
    """Return how many intervals are trusted, and how many of these cover."""
    hits, trusted = (INTERVALS | UNSEEN)[name](make_generator(n), (repetitions, n))
    return int(trusted.sum()), int((hits & trusted).sum())
