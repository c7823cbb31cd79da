"""The common rule by which requirements are judged: exact at the limit, with its guarantee, and in every analysis."""

import math
from dataclasses import replace

import numpy as np
import pytest

from simdeploy import Scenario, check, estimate_regret, replicate, sweep, vary_switches
from simdeploy.analysis.asking.judging import MET, MISSED, UNDECIDED, fewest_observations, join, judge, plan_looks
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import is_never_negative
from simdeploy.analysis.discovery.breaking import judge_worlds
from simdeploy.analysis.tuning.findings import judge_candidates, settle
from simdeploy.engines.running import run_block
from simdeploy.scenario.measures import Measure, Requirement, parse_requirement
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.estimators import estimate_values
from simdeploy.statistics.intervals import proportion_interval
from simdeploy.statistics.nonnegative import limit_from_below
from simdeploy.statistics.sample import UNBOUNDED, Sample, Strata, as_sample
from simdeploy.validation import oracles

# Limits that can never stop a rollout are intended here.
REPETITIONS = 1000
LEVEL = 0.95
# 5 % and four standard errors of a proportion.
MOST_WRONG = 0.05 + 4 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def verdict_of(values, requirement, error=0.05):
    """Judge one case."""
    return judge(np.asarray(values, dtype=float)[None], requirement, error).verdict.item()


# -- one verdict -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["false_alarm <= {}", "false_alarm >= {}"])
def test_a_rate_is_tested_exactly(text):
    """A rate is decided exactly if the binomial tail at the limit is at most the allowed error. [oracle]"""
    from scipy.stats import binom

    n, limit, error = 60, 0.3, 0.02
    requirement = parse_requirement(text.format(limit))
    rows = np.tri(n + 1, n, -1)  # with 0, 1, ..., n successes
    for successes, verdict in enumerate(judge(rows, requirement, error).verdict):
        few = binom.cdf(successes, n, limit) <= error
        many = binom.sf(successes - 1, n, limit) <= error
        met, missed = (few, many) if requirement.at_least is None else (many, few)
        assert verdict == (MET if met else MISSED if missed else UNDECIDED)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.05])
@pytest.mark.parametrize("sign", ["<=", ">="])
def test_a_quantile_is_a_rate(quantile, sign):
    """A quantile is decided like the rate of values up to (or below) the limit against its probability. [oracle]"""
    rng = np.random.default_rng(4)
    error = 0.03
    for n in (3, 40, 150):
        values = np.round(rng.exponential(10, n))  # with ties
        for limit in range(40):
            requirement = parse_requirement(f"p{100 * quantile:g} makespan_s {sign} {limit}")
            below = int((values <= limit).sum() if sign == "<=" else (values < limit).sum())
            low, high = proportion_interval(below, n, 1 - 2 * error)
            met, missed = (low >= quantile, high < quantile) if sign == "<=" else (high <= quantile, low > quantile)
            expected = MET if met else MISSED if missed else UNDECIDED
            assert verdict_of(values, requirement, error) == expected, (n, limit)


@pytest.mark.parametrize("text", ["false_alarm <= 1%", "false_alarm >= 1%"])
def test_a_rate_at_its_limit_meets_it_in_any_order(text):
    """One of a hundred is exactly 1 %, wherever it stands. [property]"""
    rows, requirement = np.eye(100), parse_requirement(text)
    estimates = judge(rows, requirement, 0.05).estimate
    assert set(estimates.tolist()) == {0.01}
    assert not requirement.is_broken_by(estimates).any()
    assert {estimate_values(row, requirement.measure, 0.9).estimate for row in rows} == {0.01}


def test_a_mean_needs_enough_observations():
    """A mean is not judged before 1,000 observations and 2.8 times their squared skewness. [contract]"""
    requirement = parse_requirement("makespan_s <= 100")
    assert [verdict_of(np.ones(n), requirement, 0.01) for n in (999, 1000)] == [UNDECIDED, MET]
    # One in n: skewness (n - 2) / sqrt(n - 1), so that its square is about n.
    rare = judge(np.repeat([0.0, 1.0], [1999, 1])[None], requirement, 0.01)
    assert rare.fewest.item() == pytest.approx(1998**2 / 1999 / 0.8**2, rel=0.01)


def test_upper_bounds_of_skewed_means_err_as_stated():
    """For 1,000 lognormal values (sigma 1), an upper bound of 95 % errs about as stated, a lower one less often. [oracle]"""
    costs, error = np.random.default_rng(3).lognormal(0, 1, (4000, 1000)), 0.05
    standard_error = math.sqrt(error * (1 - error) / len(costs))
    at_most, at_least = (parse_requirement(f"makespan_s {sign} {math.exp(0.5)!r}") for sign in ("<=", ">="))
    wrongly_met = (judge(costs, at_most, error).verdict == MET).mean()
    assert abs(wrongly_met - error) <= 4 * standard_error
    assert (judge(costs, at_least, error).verdict == MET).mean() <= error


@pytest.mark.parametrize(
    "text", ["false_alarm <= 1%", "false_alarm >= 99%", "p95 makespan_s <= 1", "p5 makespan_s >= 1", "completed <= 40%"]
)
def test_the_fewest_observations(text):
    """The stated number of best observations meets a requirement, and one fewer doesn't. [property]"""
    requirement = parse_requirement(text)
    best = 1.0 if requirement.measure.kind == "quantile" or requirement.at_least is not None else 0.0
    for error in (0.05, 0.001):
        n = int(fewest_observations(requirement, error))
        assert [verdict_of(np.full(m, best), requirement, error) for m in (n - 1, n)] == [UNDECIDED, MET]


def test_a_rate_of_zero_can_not_be_shown():
    """No number of rollouts shows that a rate is 0; one may show that it isn't. [contract]"""
    never = parse_requirement("escaped <= 0")
    assert verdict_of(np.zeros(10_000), never) == UNDECIDED
    assert math.isinf(fewest_observations(never, 0.05))
    assert verdict_of([0.0, 1.0], never) == MISSED
    assert verdict_of([np.nan], never) == UNDECIDED


@pytest.mark.parametrize(
    "text", ["false_alarm <= 0.2", "p90 makespan_s <= 60", "p90 makespan_s >= 60", "makespan_s <= 50"]
)
def test_many_cases_are_judged_as_each_alone(text):
    """Cases judged together have the verdicts, estimates and bounds of each; unknown ones have none. [property]"""
    requirement = parse_requirement(text)
    rng = np.random.default_rng(5)
    rows = rng.exponential(rng.uniform(10, 90, (60, 1)), (60, 80))
    if requirement.measure.kind == "rate":
        rows = (rng.random((60, 80)) < rng.uniform(0, 0.5, (60, 1))).astype(float)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    unknown = np.arange(60) % 7 == 0
    judged = judge(rows, requirement, 0.05, unknown=unknown)
    assert set(judged.verdict[unknown]) == {UNDECIDED}
    for place, row in enumerate(rows):
        single = estimate_values(row, requirement.measure, 0.9)
        found = [getattr(judged, name)[place] for name in ("estimate", "low", "high", "n")]
        assert found == pytest.approx(list(single[:4]), nan_ok=True, rel=1e-15)
        assert unknown[place] or judged.verdict[place] == verdict_of(row, requirement)
    assert requirement.measure.kind == "mean" or len(set(judged.verdict)) == 3


# -- the guarantee -----------------------------------------------------------------------------------------------------


def follow(rows, requirement, *, most):
    """Look at repetitions as `check` does, and return the verdict of each."""
    looks = plan_looks(most)
    verdicts = np.full(len(rows), UNDECIDED)
    for look in looks:
        is_open = verdicts == UNDECIDED
        verdicts[is_open] = judge(rows[is_open, :look], requirement, (1 - LEVEL) / len(looks)).verdict
    return verdicts


def bernoulli(p):
    return lambda rng, shape: (rng.random(shape) < p).astype(float)


def exponential(rng, shape):
    return rng.exponential(1.0, shape)


def lognormal(rng, shape):
    return np.exp(rng.standard_normal(shape) - 0.5)


P95 = -math.log(0.05)


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (bernoulli(0.01), "false_alarm <= 0.01"),
        (bernoulli(0.01), "false_alarm >= 0.01"),
        (bernoulli(0.5), "false_alarm <= 0.5"),
        (exponential, f"p95 makespan_s <= {P95!r}"),
        (exponential, f"p95 makespan_s >= {P95!r}"),
        (exponential, "makespan_s <= 1"),
        (lognormal, "makespan_s <= 1"),
        (lognormal, "makespan_s >= 1"),
    ],
)
def test_looking_often_does_not_mislead(draw, text):
    """With the truth at the limit each of the two verdicts is reached in at most 5 % of the repetitions. [oracle]"""
    rng = np.random.default_rng(20260301)
    verdicts = follow(draw(rng, (REPETITIONS, 6400)), parse_requirement(text), most=6400)
    shares = [(verdicts == verdict).mean() for verdict in (MET, MISSED)]
    assert max(shares) <= MOST_WRONG
    # The test is not vacuous: both do happen.
    assert min(shares) > 0


def rare_and_dear(rng, shape):
    return 50.0 * (rng.random(shape) < 0.02)


@pytest.mark.parametrize(
    ("draw", "text", "most"),
    [
        (bernoulli(0.005), "escaped {} 0.005", 0.05),
        (exponential, f"p95 makespan_s {{}} {P95!r}", 0.05),
        # Student's bounds of skewed values err more often than stated, the more the fewer values there are.
        (exponential, "makespan_s {} 1", 0.06),
        (lognormal, "makespan_s {} 1", 0.075),
        (rare_and_dear, "cost {} 1", 0.06),
    ],
)
@pytest.mark.parametrize("n", [1000, 3000])
def test_one_look_errs_as_often_as_stated(draw, text, most, n):
    """With the truth at the limit, either verdict is wrong in at most 5 % of looks, for means in as many as documented. [oracle]"""
    rows = draw(np.random.default_rng(31), (REPETITIONS, n))
    for sign in ("<=", ">="):
        verdicts = judge(rows, parse_requirement(text.format(sign)), 1 - LEVEL).verdict
        for verdict in (MET, MISSED):
            assert (verdicts == verdict).mean() <= most + 4 * math.sqrt(most * (1 - most) / REPETITIONS)


def test_a_limit_that_is_not_near_is_decided():
    """A rate of a fifth of its limit is nearly always shown to be met, one of twice the limit not to be. [property]"""
    rng = np.random.default_rng(8)
    for rate, expected in ((0.01, MET), (0.1, MISSED)):
        verdicts = follow(bernoulli(rate)(rng, (300, 3200)), parse_requirement("false_alarm <= 0.05"), most=3200)
        assert (verdicts == expected).mean() >= 0.97


def test_the_guarantee_on_the_engine():
    """For rollouts with a rate of stops exactly at the limit, at most 5 % of the checks are wrong. [oracle]"""
    most, failure, limit = 200, 0.15, 2
    scenario = Scenario.from_dict(
        {
            "name": "failing",
            "fleet": {"nodes": 20, "update_duration": "30s", "start_failure": failure},
            "policies": {"p": {"strategy": "immediate", "max_failed_nodes": limit, "max_failed_nodes_percent": 100}},
        }
    )
    truth = oracles.stop_probability(20, failure, limit)
    block = run_block(scenario, [scenario.policy()], seed=11, first=0, count=REPETITIONS * most, engine="compiled")
    states = np.array([*block.words["state"], ""])[block.codes["state"][block.index[0]]]
    stops = (states == "failed").astype(float).reshape(REPETITIONS, most)
    assert abs(stops.mean() - truth) <= 4 * math.sqrt(truth * (1 - truth) / stops.size)
    for requirement in (Requirement(Measure("failed"), at_most=truth), Requirement(Measure("failed"), at_least=truth)):
        verdicts = follow(stops, requirement, most=most)
        for verdict in (MET, MISSED):
            assert (verdicts == verdict).mean() <= MOST_WRONG


@pytest.mark.parametrize("side", ["at_most", "at_least"])
def test_settling_makes_few_false_verdicts(side):
    """Exactly at the limit, at most 5 % of requirements get a verdict over all looks, plus binomial error. [property]"""
    truth = 0.1
    requirement = Requirement(Measure("false_alarm"), **{side: truth})
    draws = bernoulli(truth)(np.random.default_rng(11), (REPETITIONS, 1600))
    done = 0

    def measure(numbers, count):
        nonlocal done
        done += count
        return {requirement.measure: as_sample(draws[numbers, done - count : done])}

    options = {"error": 0.05, "fewest": 100, "most": 1600}
    verdicts, end = settle(measure, np.arange(REPETITIONS), [requirement], **options)
    assert end == 1600
    # Exactly at the limit it is met, just beyond it is missed: either verdict is false for a neighbour.
    for verdict in (MET, MISSED):
        assert (verdicts == verdict).mean() <= MOST_WRONG


# -- the same everywhere -----------------------------------------------------------------------------------------------


def test_several_requirements_have_one_verdict():
    """Not met outweighs undecided, which outweighs met; without requirements it is met. [contract]"""
    rows = np.array([[MET, MET], [MET, UNDECIDED], [UNDECIDED, MISSED], [MISSED, MET]])
    assert join(rows).tolist() == [MET, UNDECIDED, MISSED, MISSED]
    assert join(np.zeros((2, 0), dtype="<U9")).tolist() == [MET, MET]


@pytest.fixture(scope="module")
def failing():
    """A scenario in which nearly every rollout fails under the strict policy, and few under the loose one."""
    strict, loose = ({"strategy": "immediate", "max_failed_nodes": n, "max_failed_nodes_percent": 100} for n in (0, 4))
    fleet = {"nodes": 20, "update_duration": {"exponential": {"mean": "30s"}}, "start_failure": 0.1}
    with pytest.warns(match="can never stop"):
        return Scenario.from_dict({"name": "failing", "fleet": fleet, "policies": {"strict": strict, "loose": loose}})


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("failed <= 20%", {MISSED, MET}),
        ("failed <= 8.8%", {MISSED, UNDECIDED}),
        ("p90 makespan_s <= 2m", {MET, MISSED}),
        ("failed >= 80%", {MISSED, MET}),
        # With a hundred values no mean is judged, in any analysis.
        ("makespan_s <= 1h", {UNDECIDED}),
        ("makespan_s <= 1s", {UNDECIDED}),
    ],
)
def test_the_same_values_get_the_same_verdict_everywhere(failing, text, verdicts):
    """A requirement on the same hundred rollouts is judged alike by check, switches, regret, discovery and tune. [property]"""
    n, names, requirement = 100, list(failing.policies), parse_requirement(text)
    how = {"replications": n, "engine": "compiled"}
    found = {
        "check": check(failing, requirements=text, most=n, engine="compiled").verdicts.set_index("policy")["verdict"]
    }
    switches = vary_switches(failing, of="blast_radius", requirements=text, pairs=False, **how)
    found["switches"] = switches.policies.set_index("policy")["verdict"]
    swept = sweep(failing, names, **how)
    found["regret"] = estimate_regret(swept, of="blast_radius", requirements=text).regrets.set_index("policy")[
        "verdict"
    ]
    values = Values(replicate(failing, **how), [requirement.measure])
    candidates = {requirement.measure: values.of(requirement.measure)}
    found["tune"] = dict(zip(names, judge_candidates(candidates, [requirement], 1 - LEVEL)[1], strict=True))
    known = judge_worlds(values, [requirement], confidence_level=LEVEL)
    of_check = {policy: found["check"][policy] for policy in names}
    assert set(of_check.values()) == verdicts
    assert {analysis: {policy: of[policy] for policy in names} for analysis, of in found.items()} == dict.fromkeys(
        found, of_check
    )
    assert known.is_undecided.tolist() == [of_check[policy] == UNDECIDED for policy in names]
    for is_broken, policy in zip(known.is_broken, names, strict=True):
        assert of_check[policy] == UNDECIDED or is_broken == (of_check[policy] == MISSED)


def test_an_exact_lower_limit_of_a_mean_of_rare_values():
    """If 1 % of the values make up half of the mean, the lower limit errs as rarely as stated. [oracle]"""
    rng, error, repetitions = np.random.default_rng(2), 0.1, 4000
    for n in (40, 100, 400):
        values = np.where(rng.random((repetitions, n)) < 0.01, 100.0, 1.0)
        limits = limit_from_below(
            Sample(values, Strata(np.zeros(n, np.int64), np.ones(1)), np.full(repetitions, np.inf)), error
        )
        assert (limits > 1.99).mean() <= error
        assert limits.min() > 0.5


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.0])
def test_an_exact_lower_limit_of_a_mean(sigma):
    """For few nonnegative values by kind, the lower limit errs as rarely as stated, and is close if they vary little. [oracle]"""
    rng, error, n, repetitions = np.random.default_rng(1), 0.1, (40, 20), 2000
    shares, sizes = np.array([0.9, 0.1]), np.array([1.0, 10.0])
    strata = Strata(np.repeat([0, 1], n), shares)
    values = sizes[strata.of] * rng.lognormal(-(sigma**2) / 2, sigma, (repetitions, sum(n)))
    limits = limit_from_below(Sample(values, strata, np.full(repetitions, np.inf)), error)
    truth = shares @ sizes
    assert (limits > truth).mean() <= error
    assert limits.min() >= (0.5 * truth if sigma == 0.1 else 0)
    gap = np.where(np.arange(sum(n)) == 0, np.nan, values[:1])
    assert np.isnan(limit_from_below(Sample(gap, strata, np.full(1, np.inf)), error)).all()


@pytest.mark.parametrize(
    ("text", "bounds", "verdict"),
    [
        ("cost <= 60", (0.0, math.inf), MISSED),
        ("cost <= 60", UNBOUNDED, UNDECIDED),
        ("cost <= 130", (0.0, math.inf), UNDECIDED),
        ("cost <= 1000", (0.0, math.inf), UNDECIDED),
        ("cost >= 1000", (0.0, math.inf), UNDECIDED),
    ],
)
def test_few_values_show_a_mean_to_be_too_high(text, bounds, verdict):
    """100 worlds can show that a nonnegative mean is far above its limit, but nothing else. [contract]"""
    sample = replace(as_sample(np.linspace(130, 140, 100)[None]), bounds=bounds)
    judged = judge(sample, parse_requirement(text), 0.0125)
    assert judged.verdict.item() == verdict
    assert judged.low.item() < 135 < judged.high.item()


def test_nonnegative_measures():
    """An excess is never negative unless nodes crash by themselves, as an update may then repair some. [oracle]"""
    fleet = {"nodes": 20, "update_duration": "1s"}
    health_check = {"deadline": "9m", "min_healthy_time": "1m"}
    policy = {"strategy": "rolling", "max_parallel": 2, "max_failed_nodes": 20, "max_failed_nodes_percent": 100}
    policy = {**policy, "health_check": health_check}
    costs = Costs(0, 10, hour_of_delay=0, false_alarm=0, escape=0)
    crash = {"up": "2h", "repair": "10m", "renewed_by_update": True}
    for goes_down in (False, True):
        raw = {"name": "s", "fleet": fleet | ({"crash": crash} if goes_down else {}), "policies": {"p": policy}}
        lowest = replicate(Scenario.from_dict(raw), replications=20)["unavailable_excess_node_s"].min()
        for measure in (Measure("cost"), Measure("unavailable_excess_node_s")):
            is_never = is_never_negative(measure, costs, goes_down=goes_down, sheds=False)
            assert is_never == (lowest >= 0) == (not goes_down)
