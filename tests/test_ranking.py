"""Simultaneous comparison of all policies: pairs, the best and its rivals, against slow transcriptions and their coverage."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on
from hypothesis import given, settings, strategies as st
from matplotlib.figure import Figure
from scipy import stats

from simdeploy.analysis import compare
from simdeploy.analysis.asking.verdicts import CONTAINS_0, find_direction
from simdeploy.analysis.comparison.ranking import TOO_WIDE, rank_policies
from simdeploy.errors import InputError
from simdeploy.plotting.comparison import plot_ranking
from simdeploy.scenario.measures import Measure
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.estimators import estimate_difference
from simdeploy.statistics.pairs import pair_policies
from simdeploy.statistics.sample import Sample, Strata, as_sample
from simdeploy.vocabulary import COSTS, RESPONSES, STATES

pytestmark = pytest.mark.usefixtures("few_values_suffice")

N_REPETITIONS = 400
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / N_REPETITIONS)
COSTS_OF_TIME = Costs(0, 0, hour_of_delay=3600, false_alarm=0, escape=0)


def table(values, response="makespan_s", names="abcdefgh", **columns):
    """Make a table of replications of values by policy and replication."""
    rows = [
        {"policy": names[place], "replication": number, response: value}
        for place, row in enumerate(values)
        for number, value in enumerate(row)
    ]
    return pd.DataFrame(rows).assign(**columns)


# Costs of three rollouts: the best policy, one certainly more expensive, and one possibly as good.
BEST, DEAR, CLOSE = [1.0, 2.0, 3.0], [9.0, 10.1, 11.2], [2.0, 1.0, 4.0]


def rows_of(frame, response, level=None):
    """Return the rows of a response and level."""
    rows = frame[frame["response"].eq(response)]
    return rows[rows["level"].isna() if level is None else rows["level"].eq(level)]


# -- pairs -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("students_limits")
def test_a_pair_by_hand():
    """The interval of one of three pairs is the paired t at a third of the error. [oracle]"""
    comparison = compare(table([[2.0, 4.0, 9.0], [1.0, 1.0, 4.0], [0.0, 0.0, 1.0]]))
    found = rows_of(comparison.pairs, "makespan_s").set_index(["policy", "other"]).loc["a", "b"]
    # Differences 1, 3, 5: mean 3, variance 4, standard error 2 / sqrt(3).
    half_width = stats.t.ppf(1 - 0.05 / 3 / 2, 2) * 2 / math.sqrt(3)
    assert (found["estimate"], found["n"]) == (3.0, 3)
    assert (found["low"], found["high"]) == pytest.approx((3 - half_width, 3 + half_width))


def test_pairs_are_those_of_one_at_a_time():
    """All pairs at once equal the pairs taken one by one, also with missing values. [oracle]"""
    rng = np.random.default_rng(1)
    values = rng.lognormal(0, 1, size=(5, 40))
    values[rng.random(values.shape) < 0.2] = np.nan
    pairs = pair_policies(values, is_rate=False, error=0.01)
    limits = pairs.lower
    for one, other in combinations(range(5), 2):
        expected = estimate_difference(values[one], values[other], Measure("cost"), 0.98)
        assert pairs.n[one, other] == pairs.n[other, one] == expected.n
        assert pairs.estimate[one, other] == pytest.approx(expected.estimate)
        assert (limits[one, other], -limits[other, one]) == pytest.approx((expected.low, expected.high))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.floats(1e-4, 0.4))
def test_the_limit_of_a_rate_has_the_sign_of_an_exact_test(more, less, same, error):
    """A policy certainly has more exactly if McNemar's exact test, at nine tenths of the error, says so. [oracle]"""
    if more + less + same == 0:
        return
    values = np.array([[1.0] * more + [0.0] * (less + same), [0.0] * more + [1.0] * less + [0.0] * same])
    limits = pair_policies(values, is_rate=True, error=error).lower
    assert -1 <= limits[0, 1] <= (more - less) / (more + less + same) <= -limits[1, 0] <= 1
    p = stats.binomtest(more, more + less, alternative="greater").pvalue if more + less else 1.0
    if abs(p - 0.9 * error) > 1e-9:
        assert (limits[0, 1] > 0) == (p < 0.9 * error)


def test_the_limit_of_a_rate_by_hand():
    """If two policies differ in no world, the limit is that of a rate of 0 in n. [oracle]"""
    limits = pair_policies(np.zeros((2, 100)), is_rate=True, error=0.025).lower
    assert limits[0, 1] == pytest.approx(-(1 - 0.025 ** (1 / 100)))
    assert np.isnan(np.diag(limits)).all()


def worlds(rng, n, means):
    """Draw skewed costs of policies that share most of their luck, plus rare expensive events of each."""
    shared = rng.lognormal(0, 1, n)
    own = rng.exponential(1.0, (len(means), n))
    return np.array(means)[:, None] + shared + own - 1


def assert_all_pairs_are_covered(draw, truth, *, is_rate):
    """Assert that all intervals of pairs, of 100 worlds each, hold at once as often as stated."""
    hits = 0
    for _ in range(N_REPETITIONS):
        limits = pair_policies(draw(), is_rate=is_rate, error=0.025 / 6).lower
        hits += not (limits > truth).any()
    assert hits / N_REPETITIONS >= LEAST


@pytest.mark.parametrize("means", [(0, 0, 0, 0), (0, 0.2, 0.5, 2)])
def test_coverage_of_all_pairs_of_means(means):
    """All six intervals hold at once as often as stated, for skewed costs in common worlds, n = 100. [oracle]"""
    rng = np.random.default_rng(2)
    truth = np.subtract.outer(means, means)
    assert_all_pairs_are_covered(lambda: worlds(rng, 100, means), truth, is_rate=False)


def draw_rates(rng, n, rates):
    """Draw events of policies that include those of stricter ones, and rare ones of their own."""
    luck = rng.random(n)
    return np.array([(luck < rate) | (rng.random(n) < 0.002) for rate in rates], dtype=np.float64)


@pytest.mark.parametrize("rates", [(0.01, 0.03, 0.05, 0.3), (0.0, 0.0, 0.02, 0.02), (0.5, 0.5, 0.52, 0.9)])
def test_coverage_of_all_pairs_of_rates(rates):
    """All six intervals of rates hold at once, even if one policy's events include another's, n = 100. [oracle]"""
    rng = np.random.default_rng(3)
    means = 1 - (1 - np.array(rates)) * (1 - 0.002)
    truth = np.subtract.outer(means, means)
    assert_all_pairs_are_covered(lambda: draw_rates(rng, 100, rates), truth, is_rate=True)


def draw_seldom_empty(rng, n, shares):
    """Draw fractions of 30 nodes in service, 28 or 29 of them, but none in these shares of the rollouts."""
    usual = rng.choice([29 / 30, 28 / 30], size=(len(shares), n), p=[0.95, 0.05])
    values = np.where(rng.random(usual.shape) < np.array(shares)[:, None], 0.0, usual)
    return replace(as_sample(values), bounds=(0.0, 1.0)), (1 - np.array(shares)) * (0.95 * 29 + 0.05 * 28) / 30


def test_rare_fractions_are_covered_together():
    """All trusted limits of pairs and of the ranking hold at once, though few samples show the rollouts without a node. [oracle]"""
    rng, hits, trusted, repetitions = np.random.default_rng(4), np.zeros(2), np.zeros(2), 200
    for _ in range(repetitions):
        sample, means = draw_seldom_empty(rng, 400, (0.001, 0.002, 0.003, 0.005))
        pairs = pair_policies(sample, is_rate=False, error=0.025 / 6)
        misses = (pairs.lower > np.subtract.outer(means, means)) & pairs.is_trusted
        ranking = rank_policies(sample, is_rate=False, direction="max", confidence_level=0.95)
        truth = means - [np.delete(means, place).max() for place in range(4)]
        apart = ((ranking.low > truth) | (ranking.high < truth)) & ranking.is_trusted
        hits += np.logical_not([misses.any(), apart.any()])
        trusted += pairs.is_trusted.sum() / 12, ranking.is_trusted.mean()
    assert (trusted > 0.5 * repetitions).all()
    assert (hits / repetitions >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / repetitions)).all()


# -- the best ----------------------------------------------------------------------------------------------------------


def slow_ranking(values, confidence_level):
    """Compare each policy with the best of the others by definition, with loops; lower is better, all complete."""
    size, n = values.shape
    t = stats.t.ppf(1 - (1 - confidence_level) / (size - 1), n - 1)

    def lower(i, j):
        difference = values[i] - values[j]
        return difference.mean() - t * difference.std(ddof=1) / math.sqrt(n)

    others = [[j for j in range(size) if j != i] for i in range(size)]

    def is_worse(i, j):
        # Only if the differences are not too skewed.
        return lower(i, j) > 0 and stats.skew(values[i] - values[j]) / math.sqrt(n) >= -0.6

    best = [i for i in range(size) if not any(is_worse(i, j) for j in others[i])]
    low = [min(max(lower(i, j) for j in others[i]), 0.0) if i in best else 0.0 for i in range(size)]
    high = [max([0.0, *(-lower(j, i) for j in best if j != i)]) for i in range(size)]
    estimate = [values[i].mean() - min(values[j].mean() for j in others[i]) for i in range(size)]
    return best, low, high, estimate


@pytest.mark.usefixtures("students_limits", "few_values_suffice")
@pytest.mark.parametrize("seed", range(20))
def test_the_ranking_is_the_definition(seed):
    """Sets, intervals, estimates and ranks are those of a transcription with loops. [oracle]"""
    rng = np.random.default_rng(seed)
    values = worlds(rng, 30, rng.normal(0, 0.5, rng.integers(2, 8)))
    best, low, high, estimate = slow_ranking(values, 0.9)
    found = rank_policies(values, is_rate=False, direction="min", confidence_level=0.9)
    assert np.flatnonzero(found.is_among_best).tolist() == best
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.estimate == pytest.approx(estimate)
    assert found.rank.tolist() == stats.rankdata(values.mean(axis=1), method="min").tolist()


def assert_the_best_is_covered(draw, truth, *, is_rate, direction):
    """Assert that the first policy is among the best, and all intervals hold at once, as often as stated."""
    kept = held = 0
    for _ in range(N_REPETITIONS):
        found = rank_policies(draw(), is_rate=is_rate, direction=direction, confidence_level=0.95)
        kept += found.is_among_best[0]
        held += ((found.low <= truth) & (truth <= found.high)).all()
    assert kept / N_REPETITIONS >= LEAST
    assert held / N_REPETITIONS >= LEAST


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("means", [(0, 0, 0, 0, 0), (0, 0.3, 0.3, 0.3, 0.3), (0, 0.1, 0.5, 1, 3)])
def test_coverage_of_the_best(means, direction):
    """The best is among the best, and all intervals hold at once, as often as stated, n = 100. [oracle]"""
    rng = np.random.default_rng(4)
    sign = 1 if direction == "min" else -1
    truth = [sign * (mean - min(means[:i] + means[i + 1 :])) for i, mean in enumerate(means)]
    assert_the_best_is_covered(lambda: sign * worlds(rng, 100, means), truth, is_rate=False, direction=direction)


@pytest.mark.parametrize("rates", [(0.0, 0.0, 0.0), (0.01, 0.03, 0.06), (0.01, 0.01, 0.01)])
def test_coverage_of_the_best_rate(rates):
    """The policy with the lowest rate is among the best, and all intervals hold, for rare events, n = 200. [oracle]"""
    rng = np.random.default_rng(5)
    means = 1 - (1 - np.array(rates)) * (1 - 0.002)
    truth = [mean - np.delete(means, i).min() for i, mean in enumerate(means)]
    assert_the_best_is_covered(lambda: draw_rates(rng, 200, rates), truth, is_rate=True, direction="min")


@pytest.mark.usefixtures("few_values_suffice")
def test_identical_policies_share_a_rank():
    """Identical policies share the first rank, may all be the best, and differ by exactly 0. [contract]"""
    ranking = rows_of(compare(table([[0.1, 0.7, 0.3]] * 2 + [[5.1, 5.7, 5.3]])).ranking, "makespan_s").set_index(
        "policy"
    )
    assert ranking["rank"].tolist() == [1, 1, 3]
    assert ranking["is_among_best"].tolist() == [True, True, False]
    assert ranking.loc["a", ["estimate", "low", "high"]].tolist() == [0, 0, 0]
    assert ranking.loc["c", "low"] == 0
    assert ranking.loc["c", "estimate"] == pytest.approx(5)


def test_policies_without_values_are_not_ranked():
    """A policy that never ends has no rank in the makespan, and the others are compared without it. [contract]"""
    values = np.random.default_rng(6).normal([[1.0], [3.0], [2.0]], 0.1, (3, 20))
    values[1] = np.nan
    comparison = compare(table(values))
    ranking = rows_of(comparison.ranking, "makespan_s").set_index("policy")
    assert ranking["rank"].tolist() == [1, pd.NA, 2]
    assert ranking["is_among_best"].isna().tolist() == [False, True, False]
    assert ranking.loc["b", ["estimate", "low", "high"]].isna().all()
    alone = rank_policies(values[[0, 2]], is_rate=False, direction="min", confidence_level=0.95)
    assert ranking.loc[["a", "c"], "high"].tolist() == alone.high.tolist()
    pairs = rows_of(comparison.pairs, "makespan_s").set_index(["policy", "other"])
    assert pairs.loc["a", "b"][["estimate", "low", "high"]].isna().all()
    assert pairs.loc[("a", "b"), "n"] == 0


def test_policies_that_share_no_world_cannot_be_told_apart():
    """Two policies without a common replication may both be the best, without an interval. [contract]"""
    nothing = [np.nan] * 3
    values = np.array([[1.0, 1.1, 1.2, *nothing], [*nothing, 9.0, 9.1, 9.2]])
    found = rank_policies(values, is_rate=False, direction="min", confidence_level=0.95)
    assert found.is_among_best.all()
    assert np.isnan([found.low, found.high, found.estimate]).all()
    assert found.rank.tolist() == [1, 2]
    # With worlds by kind of release, each mean is weighted by the kind's probability.
    often, seldom = [1.0, np.nan], [20.0, 20.0, 20.0, np.nan]
    strata = Strata(np.array([0, 0, 1, 1, 1, 1]), np.array([0.9, 0.1]))
    values = np.array([[*often, *seldom], np.where(np.isnan([*often, *seldom]), 9.0, np.nan)])
    sample = Sample(values, strata, np.full(2, np.inf))
    ranks = rank_policies(sample, is_rate=False, direction="min", confidence_level=0.95).rank
    assert ranks.tolist() == [1, 2]


def test_an_excluded_policy_is_nobodys_rival():
    """The limits of a policy don't depend on one that isn't the best, even without common worlds. [contract]"""
    values = np.random.default_rng(9).normal([[1.0], [9.0], [2.0]], 0.1, (3, 20))
    values[1, :10], values[2, 10:] = np.nan, np.nan
    found = rank_policies(values, is_rate=False, direction="min", confidence_level=0.95)
    assert found.is_among_best.tolist() == [True, False, False]
    assert np.isfinite(found.high).all()
    assert 0.8 < found.estimate[2] < found.high[2] < 1.3


def test_one_replication_is_inconclusive():
    """With one replication there are estimates and ranks, but no intervals, and every policy may be the best. [contract]"""
    comparison = compare(table([[1.0], [2.0], [3.0]]))
    ranking = rows_of(comparison.ranking, "makespan_s")
    assert ranking["rank"].tolist() == [1, 2, 3]
    assert ranking["is_among_best"].all()
    assert ranking[["low", "high"]].isna().all(axis=None)
    assert comparison.pairs[["low", "high"]].isna().all(axis=None)
    assert "but every other policy may be as good" in comparison.answer


def test_one_policy_is_the_best_of_one():
    """A single policy has rank 1 and no rivals, and there are no pairs. [contract]"""
    comparison = compare(table([[1.0, 2.0]]))
    row = rows_of(comparison.ranking, "makespan_s").iloc[0]
    assert (row["rank"], row["is_among_best"]) == (1, True)
    assert math.isnan(row["estimate"])
    assert comparison.pairs.empty
    assert list(comparison.pairs.dtypes.astype(str)) == ["str"] * 5 + ["float64"] * 3 + ["int64", "bool", "str"]


def test_directions():
    """Costs are better if lower, the fraction in service if higher; states and words have no better side. [contract]"""
    assert {find_direction(Measure(name)) for name in COSTS} == {"min"}
    assert {find_direction(Measure(state)) for state in STATES} == {None}
    assert find_direction(Measure("min_in_service_fraction")) == "max"
    assert all(find_direction(Measure(name)) is None for name, dtype in RESPONSES.items() if dtype == "str")


def test_a_hundred_policies():
    """A hundred policies have 4,950 pairs and 100 ranks, and the sentence names a few. [contract]"""
    values = np.random.default_rng(7).normal(100, 1, (100, 50))
    comparison = compare(table(values, names=[f"p{number}" for number in range(100)]))
    assert len(rows_of(comparison.pairs, "makespan_s")) == 4950
    assert sorted(rows_of(comparison.ranking, "makespan_s")["rank"]) == list(range(1, 101))
    assert len(comparison.answer) <= 240


# -- words -------------------------------------------------------------------------------------------------------------


def costs_by_policy(*values):
    """Compare made-up costs."""
    responses = table(values, verdict="escaped", failed_requests_excess=0.0, unavailable_excess_node_s=0.0)
    return compare(responses, costs=COSTS_OF_TIME)


OF_BEST = "2.0 per rollout (95 % CI 0.0 to 4.5)"


@pytest.mark.usefixtures("students_limits")
@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([BEST], f"a: mean cost {OF_BEST}."),
        ([BEST, DEAR], f"Use a: mean cost {OF_BEST}, lower than b."),
        (
            [BEST, [1.0, 2.5, 2.0]],
            "b has the lowest mean cost: 1.8 per rollout (95 % CI 0.0 to 3.7), but a may be as good.",
        ),
        ([BEST, DEAR, CLOSE], f"a has the lowest mean cost: {OF_BEST}, but c may be as good."),
        ([BEST] * 2, f"a and b have the same mean cost: {OF_BEST}."),
    ],
)
def test_the_answer_on_costs(values, answer):
    """The answer names the cheapest policy, and exactly those that may be as good. [contract]"""
    assert costs_by_policy(*values).answer == answer


def test_the_answer_if_nothing_ended():
    """If no rollout ended the sentence says so. [contract]"""
    answer = compare(table([[np.nan] * 3] * 2)).answer
    assert answer == "Makespan unknown for a and b: 100 % of their rollouts never end."


def test_the_answer_without_costs():
    """Without costs the sentence is about false alarms and escapes. [contract]"""
    verdicts = [["completed_good"] * 40, ["completed_good"] * 20 + ["false_alarm"] * 20]
    answer = compare(table(verdicts, "verdict")).answer
    assert answer == "a has the fewest false alarms: 0.0 % (95 % CI 0.0 to 8.8), fewer than b."
    defects = [["stopped_defective"] * 40, ["stopped_defective"] * 40]
    answer = compare(table([good + bad for good, bad in zip(verdicts, defects, strict=True)], "verdict")).answer
    assert answer.startswith("a has the fewest false alarms: 0.0 % (95 % CI 0.0 to 8.8), fewer than b. ")
    assert answer.endswith(" No difference in escapes was seen between a and b: 0.0 % (0.0 to 8.8).")


def test_the_ranking_is_shown_of_more_than_two():
    """For three policies the last table is the ranking, best first; for two there is none. [contract]"""
    *_, ranking = costs_by_policy(DEAR, BEST, CLOSE).summarize()
    assert [row[0] for row in ranking.rows] == ["b", "c", "a"]
    assert [row[-1] for row in ranking.rows] == ["may be", "may be", "no"]
    assert len(costs_by_policy([9.0, 10.1], [1.0, 2.0]).summarize()) == 2


def test_a_wide_interval_is_no_merit():
    """A policy that costs more than an excluded one, but varies too much to be excluded, is no rival of the best. [contract]"""
    rare = [10.0] * 59 + [17_000.0]
    found = costs_by_policy([10.0, 11.0] * 30, [25.0, 26.5] * 30, rare)
    assert found.answer.endswith(", lower than b; c is too uncertain to rule out.")
    rows = [(row[0], row[-1]) for row in found.summarize()[-1].rows]
    assert rows == [("a", "may be"), ("b", "no"), ("c", "not ruled out")]
    of_cost = found.ranking[found.ranking["response"].eq("cost")]
    assert of_cost["reason"].tolist() == [CONTAINS_0, "", TOO_WIDE]


@pytest.mark.parametrize(
    ("values", "verdicts", "sentence"),
    [
        ([BEST, DEAR, [9.1, 10.1, 11.1]], ["better", "worse", "worse"], "lower than b and c"),
        ([BEST, DEAR, CLOSE], ["unclear", "worse", "unclear"], "but c may be as good"),
        ([BEST] * 2, ["equal", "equal"], "a and b have the same mean cost"),
        ([[1.0, 2.0], [2.0, 1.0], [1.5, 1.6]], ["unclear"] * 3, "but c may be as good"),
        ([BEST, DEAR, [np.nan] * 3], ["better", "worse", "unknown"], "lower than b"),
        ([BEST, [np.nan] * 3], ["unknown", "unknown"], "a: mean cost 2.0 per rollout"),
        ([[np.nan] * 3] * 2, ["unknown", "unknown"], "Cost unknown for a and b"),
    ],
)
def test_every_verdict_of_the_answer_is_in_the_plain_form(values, verdicts, sentence):
    """`to_dict` has every verdict of the answer: the measure that decides, and each policy's standing. [contract]"""
    plain = costs_by_policy(*values).to_dict()
    assert plain["judged_by"] == ["cost"]
    rows = [row for row in plain["ranking"] if row["response"] == "cost"]
    assert [row["verdict"] for row in rows] == verdicts
    assert sentence in plain["answer"]
    never_ends = [row["policy"] for row in rows if row["unknown_fraction"] > 0]
    assert (f"Cost unknown for {' and '.join(never_ends)}: 100 %" in plain["answer"]) == bool(never_ends)
    assert ("lower than" in plain["answer"]) == ("better" in verdicts)
    assert ("may be as good" in plain["answer"]) == ("unclear" in verdicts)
    assert ("the same" in plain["answer"]) == ("equal" in verdicts)


@pytest.mark.parametrize(
    ("columns", "judged_by"),
    [
        ({}, ["makespan_s"]),
        ({"verdict": None}, ["makespan_s"]),
        ({"state": "completed"}, ["makespan_s given completed"]),
        ({"verdict": "escaped"}, ["false_alarm given good", "escaped given defective"]),
    ],
)
def test_which_measure_decides(columns, judged_by):
    """Without costs policies are judged by their errors, and without verdicts by the time. [contract]"""
    plain = compare(table([[1.0, 2.0], [2.0, 4.0]], **columns)).to_dict()
    assert plain["judged_by"] == judged_by
    assert ("has the shortest mean makespan: " in plain["answer"]) == (judged_by == ["makespan_s"])


@pytest.mark.usefixtures("few_values_suffice")
def test_completing_only_easy_rollouts_is_not_fastest():
    """A policy that fails in hard worlds is compared in worlds that others complete, too, whatever its mean. [oracle]"""
    rng = np.random.default_rng(6)
    is_hard = np.arange(40) % 2 == 1
    lax = np.where(is_hard, 100.0, 10.0) + rng.normal(0, 0.1, 40)
    # Always about a second later, and failed in hard worlds.
    strict = np.where(is_hard, np.nan, lax + rng.normal(1, 0.1, 40))
    names, numbers = ["strict"] * 40 + ["lax"] * 40, [*range(40)] * 2
    makespans = np.concatenate([np.where(is_hard, 1.0, strict), lax])
    states = ["failed" if hard else "completed" for hard in is_hard] + ["completed"] * 40
    table = pd.DataFrame({"policy": names, "replication": numbers, "state": states, "makespan_s": makespans})
    found = compare(table)
    ranking = found.ranking.query("given == 'completed'").set_index("policy")
    assert found.estimates.query("given == 'completed'").set_index("policy")["estimate"].idxmin() == "strict"
    assert (ranking["rank"].to_dict(), ranking.loc["lax", "verdict"]) == ({"strict": 2, "lax": 1}, "better")
    assert ranking.loc["strict", "estimate"] == pytest.approx(1, abs=0.1)
    assert found.answer.startswith("In the same worlds, lax has the shortest mean makespan if completed: ")
    assert "shorter than strict" in found.answer


# -- the picture -------------------------------------------------------------------------------------------------------


def test_the_picture_of_a_ranking():
    """Policies are sorted from best to worst, and marks show which may be the best. [contract]"""
    ax = draw_on(plot_ranking, costs_by_policy(DEAR, BEST, CLOSE, [np.nan] * 3))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "c", "a"]
    best, rest = (line for line in ax.lines if line.get_marker() in ("o", "s"))
    assert (best.get_marker(), rest.get_marker()) == ("o", "s")
    assert list(best.get_ydata()) == [0, 1]
    assert list(rest.get_ydata()) == [2]


@pytest.mark.parametrize("name", ["makespan_s", "blast_radius", "false_alarm", "min_in_service_fraction"])
def test_what_can_be_ranked_can_be_drawn(name):
    """Times, fractions and rates have an axis in their own unit. [contract]"""
    responses = table(np.random.default_rng(8).random((3, 20)), "makespan_s", blast_radius=0.5, verdict="false_alarm")
    ax = plot_ranking(Figure().subplots(), compare(responses.assign(min_in_service_fraction=0.5)), of=name)
    assert ", 95 % CI for all together" in ax.get_xlabel().replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "message"),
    [("cost", "costs=scenario.costs"), ("makespan", "did you mean 'makespan_s'"), ("waves", "neither side")],
)
def test_what_cannot_be_drawn(name, message):
    """An unranked measure is an input error with advice. [contract]"""
    with pytest.raises(InputError, match=message):
        plot_ranking(Figure().subplots(), compare(table([[1.0, 2.0]] * 2)), of=name)
