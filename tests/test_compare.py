"""Estimates, intervals and paired differences against hand-made tables, scipy and their own coverage."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from refusals import refused
from scipy import special, stats
from small import IMMEDIATE, rolling, small

import simdeploy
from simdeploy.analysis import compare, estimate, estimate_costs, estimate_regret, summarize_grid
from simdeploy.analysis.comparison.measured import name_rows
from simdeploy.errors import InputError
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.intervals import (
    mean_interval,
    paired_proportions_interval,
    paired_proportions_limit,
    proportion_interval,
)
from simdeploy.vocabulary import COSTS, STATES, VERDICTS

pytestmark = pytest.mark.usefixtures("few_worlds_suffice")


def responses(**columns):
    """Make a table of replications of the policies a and b, by default three each."""
    n = len(next(iter(columns.values()))) // 2
    return pd.DataFrame({"policy": ["a"] * n + ["b"] * n, "replication": [*range(n), *range(n)], **columns})


def row(frame, policy, response, level=None):
    """Return the one row of a policy, response and level, whatever became of the rollouts."""
    rows = frame[frame["policy"].eq(policy) & frame["response"].eq(response)]
    rows = rows[rows["given"].isna() | rows["response"].eq("verdict")]
    rows = rows[rows["level"].isna() if level is None else rows["level"].eq(level)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("call", [compare, lambda table: estimate(table, "cost"), estimate_costs, estimate_regret])
def test_anything_but_a_table_is_refused(call):
    """A scenario's path, or nothing, instead of a table is an input error with the allowed types. [contract]"""
    for other in ("scenario.yaml", None):
        assert "no table of replications" in str(refused(call, other))


def test_one_pair_is_singular():
    """Below a policy stands the number of pairs, in the right grammatical number. [contract]"""
    for n, pairs in ((1, "1 pair"), (2, "2 pairs")):
        _, differences, *_ = compare(responses(makespan_s=[60.0, 90.0] * n)).summarize()
        assert differences.rows[0][0].splitlines() == ["b", pairs]


@pytest.mark.usefixtures("students_limits")
def test_mean_by_hand():
    """A mean, its standard error and its t interval are those computed by hand. [oracle]"""
    found = row(compare(responses(makespan_s=[2.0, 4.0, 9.0, 1.0, 1.0, 4.0])).estimates, "a", "makespan_s")
    # 2, 4, 9: mean 5, squared deviations 9 + 1 + 16 = 26, s = sqrt(13); the 97.5 % quantile of t with 2 degrees of
    # freedom is 4.302653 (any table).
    assert found["estimate"] == 5.0
    assert found["standard_error"] == pytest.approx(math.sqrt(13 / 3))
    assert found["half_width"] == pytest.approx(4.302653 * math.sqrt(13 / 3), rel=1e-6)
    assert found["low"] == 0  # instead of 5 - 9, because no makespan is negative
    assert found["high"] == pytest.approx(5 + found["half_width"])
    assert found["n"] == 3


@pytest.mark.usefixtures("students_limits")
def test_paired_difference_by_hand():
    """A difference is policy less baseline within replications, and the variance that pairing removed is exact. [oracle]"""
    found = row(compare(responses(makespan_s=[2.0, 4.0, 9.0, 1.0, 1.0, 4.0])).differences, "b", "makespan_s")
    # D = -1, -3, -5: mean -3, variance 4. Var(a) = 13, Var(b) = 3.
    assert found["baseline"] == "a"
    assert found["estimate"] == -3.0
    assert found["standard_error"] == pytest.approx(2 / math.sqrt(3))
    assert found["half_width"] == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert found["variance_removed_fraction"] == pytest.approx(1 - 4 / 16)


def test_proportions_by_hand():
    """Every verdict has its proportion of the releases that could get it, also if none did. [oracle]"""
    verdict = ["escaped", "escaped", "false_alarm", None, *["completed_good"] * 4]
    comparison = compare(responses(verdict=verdict))
    estimates = comparison.estimates[comparison.estimates["policy"].eq("a")].set_index("level")
    assert list(estimates.index) == list(VERDICTS)
    assert estimates["n"].to_dict() == {"completed_good": 1, "stopped_defective": 2, "false_alarm": 1, "escaped": 2}
    assert estimates["given"].tolist() == ["good", "defective", "good", "defective"]
    assert estimates["estimate"].tolist() == [0, 0, 1, 1]
    # With 0 of n the upper limit is 1 - (alpha / 2) ** (1 / n).
    assert estimates.loc["stopped_defective", "low"] == 0
    assert estimates.loc["stopped_defective", "high"] == pytest.approx(1 - 0.025 ** (1 / 2))
    difference = row(comparison.differences, "b", "verdict", "completed_good")
    assert (difference["n"], difference["estimate"]) == (1, 1.0)


def test_false_alarms_are_counted_as_in_a_sweep():
    """`compare`, `summarize_grid` and `estimate` agree on false alarms, escapes, and makespans of completed rollouts. [property]"""
    verdicts = ["completed_good", "false_alarm", "stopped_defective", "escaped", "escaped", "completed_good"]
    table = pd.DataFrame({"policy": "a", "case": 0, "scenario": "s", "replication": range(6), "verdict": verdicts})
    table = table.assign(makespan_s=[60.0, 5.0, 7.0, 80.0, 90.0, 70.0], release=["g", "g", "b", "b", "b", "g"])
    cell = summarize_grid(table).cells.iloc[0]
    measures = ["false_alarm given good", "escaped given defective", "makespan_s given completed_good"]
    found = compare(table).estimates
    of_compare = [found.set_index(name_rows(found)).loc[measure, "estimate"] for measure in measures]
    of_estimate = estimate(table, measures).estimates["estimate"].tolist()
    assert of_compare == of_estimate == [1 / 3, 2 / 3, 65.0]
    assert [cell[f"{name}_estimate"] for name in ("false_alarm", "escape", "completed_makespan_s")] == of_compare


def test_a_policy_that_stops_early_is_not_quick():
    """Without verdicts the fastest policy is that with the shortest completed rollouts. [contract]"""
    states = ["failed", "failed", "completed", "completed", "completed", "completed"]
    table = responses(state=states, makespan_s=[1.0, 2.0, 99.0, 50.0, 51.0, 52.0])
    found = compare(table)
    assert found.judged_by == ("makespan_s given completed",)
    assert found.ranking.query("given == 'completed'").set_index("policy")["rank"].to_dict() == {"a": 2, "b": 1}
    assert found.answer.startswith("b has the shortest mean makespan if completed: ")


def test_intervals_are_those_of_scipy():
    """The t and Clopper-Pearson intervals equal scipy's, for all counts of several sizes. [oracle]"""
    for n in (1, 2, 7, 50):
        for successes in range(n + 1):
            for level in (0.5, 0.95, 0.999):
                exact = stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="exact")
                assert proportion_interval(successes, n, level) == pytest.approx((exact.low, exact.high), abs=1e-12)
    for n in (2, 3, 100):
        expected = stats.t.interval(0.9, n - 1, loc=3.0, scale=0.7)
        assert mean_interval(3.0, 0.7, n, 0.9) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_paired_proportions_cover_exactly(level):
    """Over all outcomes of 20 pairs, any pair of proportions is covered with at least the stated level. [oracle]"""
    n = 20
    outcomes = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    limits = [paired_proportions_interval(b, c, n, level) for b, c in outcomes]
    low, high = np.array(limits).T
    counts = np.array([[b, c, n - b - c] for b, c in outcomes])
    for first in np.linspace(0, 1, 21):
        for second in np.linspace(0, 1 - first, 21):
            chances = stats.multinomial.pmf(counts, n, [first, second, max(0.0, 1 - first - second)])
            covers = (low <= first - second + 1e-12) & (first - second - 1e-12 <= high)
            assert chances[covers].sum() >= level - 1e-9, (first, second)


@pytest.mark.parametrize("error", [0.05, 0.025, 0.0005])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 30])
def test_a_limit_of_paired_proportions_never_errs_too_often(n, error):
    """With the truth just below a limit, the probability of higher limits is at most the error. [oracle]"""
    gained, lost = np.array([(b, c) for b in range(n + 1) for c in range(n + 1 - b)]).T
    limits = paired_proportions_limit(gained, lost, n, error)
    counts = np.stack([gained, lost, n - gained - lost], axis=1)
    logs = special.gammaln(n + 1) - special.gammaln(counts + 1).sum(axis=1)
    for difference in np.unique(limits[limits > -1]) - 1e-9:
        errs = limits > difference
        least = max(0.0, -difference)
        shares = np.concatenate([[0, 1e-4, 1e-3], np.linspace(0.01, 1, 20)])
        second = least + shares * ((1 - difference) / 2 - least)
        chances = np.stack([difference + second, second, np.maximum(0.0, 1 - difference - 2 * second)])
        each = np.exp(logs[errs, None] + special.xlogy(counts[errs, :, None], chances).sum(axis=1))
        assert (each.sum(axis=0) <= error * (1 + 1e-6)).all(), (difference, second)


def test_a_limit_of_few_pairs_that_differ():
    """If 2 of 60 pairs differ, the interval is that of two exact limits, not twice as wide. [oracle]"""
    low, high = paired_proportions_interval(2, 0, 60, 0.95)
    gains, losses = (proportion_interval(k, 60, 0.975) for k in (2, 0))
    assert low == pytest.approx(gains[0] - losses[1], rel=1e-9)
    assert -0.07 < low < 0 < high < 0.13


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.floats(0.01, 0.999))
def test_paired_proportions_are_antisymmetric(gained, lost, same, level):
    """Swapping the policies mirrors the interval, which lies in [-1, 1] and is never empty. [property]"""
    low, high = paired_proportions_interval(gained, lost, gained + lost + same, level)
    other_low, other_high = paired_proportions_interval(lost, gained, gained + lost + same, level)
    if gained + lost + same == 0:
        assert all(map(math.isnan, (low, high, other_low, other_high)))
    else:
        assert -1 <= low < high <= 1
        assert (other_low, other_high) == pytest.approx((-high, -low))


def covered(truth, low, high):
    """Count the intervals that contain the truth."""
    return int(((np.asarray(low) <= truth) & (truth <= np.asarray(high))).sum())


@pytest.mark.parametrize(
    ("both", "first", "second"), [(0.2, 0.15, 0.05), (0.9, 0.02, 0.01), (0.3, 0.2, 0.2), (0.05, 0.02, 0.0)]
)
def test_coverage_of_a_paired_difference_of_proportions(both, first, second):
    """The interval covers as often as stated, even if one policy's events include the other's. [oracle]"""
    cells = np.random.default_rng(3).multinomial(100, [both, first, second, 1 - both - first - second], size=2000)
    limits = [paired_proportions_interval(int(b), int(c), 100, 0.95) for _, b, c, _ in cells]
    hits = covered(first - second, *zip(*limits, strict=True))
    assert hits >= 2000 * 0.95 - 4 * math.sqrt(2000 * 0.95 * 0.05)


def test_pairs_are_matched_by_replication():
    """Replications are paired by number; those of only one policy are in no pair. [contract]"""
    table = pd.DataFrame(
        {
            "policy": ["a", "a", "a", "b", "b", "b"],
            "replication": [0, 1, 2, 3, 2, 1],
            "makespan_s": [10.0, 20.0, 30.0, 1000.0, 33.0, 22.0],
        }
    )
    found = row(compare(table).differences, "b", "makespan_s")
    assert (found["n"], found["estimate"]) == (2, 2.5)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_order_of_rows_is_irrelevant(shuffler, n):
    """Shuffled rows give the same estimates and differences, bit for bit. [property]"""
    numbers = np.random.default_rng(n).normal(size=2 * n)
    table = responses(makespan_s=numbers, verdict=[VERDICTS[int(10 * abs(x)) % 4] for x in numbers])
    order = list(range(2 * n))
    shuffler.shuffle(order)
    expected, found = compare(table, baseline="a").to_frame(), compare(table.iloc[order], baseline="a").to_frame()
    keys = ["baseline", "policy", "response", "level"]
    expected, found = (frame.sort_values(keys, ignore_index=True) for frame in (expected, found))
    pd.testing.assert_frame_equal(expected, found, check_exact=True)


def test_common_worlds_remove_variance():
    """For two policies that share most of their noise, the variance removed follows from their correlation. [oracle]"""
    rng = np.random.default_rng(4)
    shared, own = rng.normal(0, 3, 4000), rng.normal(0, 1, (2, 4000))
    table = responses(makespan_s=np.concatenate([shared + own[0], shared + own[1]]))
    found = row(compare(table).differences, "b", "makespan_s")
    # Var(X) = Var(Y) = 10, Var(X - Y) = 2, so 1 - 2/20. The correlation r = 0.9 has a standard error of (1 - r^2) / sqrt(n).
    assert abs(found["variance_removed_fraction"] - 0.9) <= 4 * (1 - 0.9**2) / math.sqrt(4000)


def test_too_few_observations_are_unknown():
    """One observation has no interval or variance, none has no mean: NaN, never 0. [contract]"""
    one = compare(responses(makespan_s=[5.0, 7.0], stopped_at_s=[np.nan, 3.0], verdict=["escaped", None]))
    single = row(one.estimates, "a", "makespan_s")
    assert single["estimate"] == 5.0
    assert single[["low", "high", "half_width", "standard_error"]].isna().all()
    none = row(one.estimates, "a", "stopped_at_s")
    assert none["n"] == 0
    assert none[["estimate", "low", "high", "half_width", "standard_error"]].isna().all()
    difference = row(one.differences, "b", "makespan_s")
    assert difference["estimate"] == 2.0
    assert difference[["low", "high", "standard_error", "variance_removed_fraction"]].isna().all()
    assert row(one.estimates, "b", "verdict", "escaped")[["estimate", "low", "high"]].isna().all()
    assert row(one.differences, "b", "verdict", "escaped")[["estimate", "low", "high"]].isna().all()
    assert math.isnan(row(one.estimates, "a", "verdict", "escaped")["standard_error"])


def test_equal_observations_have_no_variance():
    """Equal observations give a width of exactly 0 and no removed fraction. [contract]"""
    comparison = compare(responses(makespan_s=[0.1] * 7 + [0.3] * 7))
    assert row(comparison.estimates, "a", "makespan_s")["half_width"] == 0
    assert math.isnan(row(comparison.differences, "b", "makespan_s")["variance_removed_fraction"])


def test_failed_replications_are_left_out_and_counted():
    """A failed replication is in no mean and no pair, and the comparison counts it. [contract]"""
    table = responses(makespan_s=[1.0, 3.0, np.nan, 2.0, 4.0, 6.0], status=["ok", "ok", "failed", *["ok"] * 3])
    comparison = compare(table)
    assert comparison.n_failed == {"a": 1, "b": 0}
    assert comparison.n_replications == {"a": 3, "b": 3}
    assert row(comparison.estimates, "a", "makespan_s")["n"] == 2
    assert row(comparison.differences, "b", "makespan_s")["estimate"] == 1.0
    assert "1 failed" in comparison.summarize()[0].rows[0][0]


def test_all_states_are_there():
    """Each state of the API has a row, even if it did not occur, and proportions add up to 1. [contract]"""
    estimates = compare(responses(state=["completed", "failed", "failed", "canceled"])).estimates
    levels = estimates[estimates["policy"].eq("a")].set_index("level")
    assert list(levels.index) == list(STATES)
    assert levels["estimate"].sum() == 1


def test_a_table_read_back_from_csv_compares_the_same(tmp_path):
    """A table of replications from a CSV file gives the same comparison. [contract]"""
    table = responses(
        verdict=["escaped", None, "false_alarm", "escaped"], waves=pd.array([1, 2, 3, None], dtype="Int64")
    )
    table.to_csv(tmp_path / "r.csv", index=False)
    read = compare(pd.read_csv(tmp_path / "r.csv")).to_frame()
    pd.testing.assert_frame_equal(read, compare(table).to_frame())


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (pd.DataFrame({"policies": ["a"], "replication": [0]}), {}, "did you mean 'policies'"),
        (responses(verdict=["escaped", "good"]), {}, "unknown level"),
        (responses(makespan_s=[1.0, 2.0]), {"baseline": "A"}, "did you mean 'a'"),
        (responses(makespan_s=[1.0, 2.0]), {"confidence_level": 95}, "fraction between 0 and 1"),
        (responses(makespan_s=[1.0, 2.0]), {"confidence_level": True}, "fraction between 0 and 1"),
        (responses(makespan_s=[1.0, 2.0]), {"confidence_level": math.nan}, "fraction between 0 and 1"),
    ],
)
def test_invalid_tables_and_arguments(table, options, message):
    """An invalid table or argument is an input error in plain words. [contract]"""
    with pytest.raises(InputError, match=message):
        compare(table, **options)


def test_the_caller_keeps_the_table():
    """Comparing leaves the given table unchanged, and the result is frozen. [contract]"""
    table = responses(makespan_s=[1.0, 2.0, 3.0, 4.0])
    before = table.copy()
    comparison = compare(table)
    pd.testing.assert_frame_equal(table, before)
    with pytest.raises(AttributeError):
        comparison.baseline = "b"


def test_to_frame_holds_both():
    """One table has every estimate, then every difference, and keeps the types. [contract]"""
    comparison = compare(responses(makespan_s=[1.0, 2.0, 3.0, 4.0]))
    frame = comparison.to_frame()
    assert frame["baseline"].isna().sum() == len(comparison.estimates)
    assert frame["n"].dtype == "int64"
    assert len(frame) == len(comparison.estimates) + len(comparison.differences)


def test_costs_are_quantities_like_responses():
    """With costs, the cost and its causes follow the responses in every table, and the result has the costs. [contract]"""
    n = 4
    table = responses(
        verdict=["escaped", "completed_good", "false_alarm", "completed_good"] * 2,
        makespan_s=[3600.0] * 2 * n,
        failed_requests_excess=[0.0] * 2 * n,
        unavailable_excess_node_s=[0.0] * 2 * n,
    )
    comparison = compare(table, costs=Costs(0, 0, hour_of_delay=10, false_alarm=100, escape=1000))
    assert row(comparison.estimates, "a", "cost")["estimate"] == 10 + 1100 / 4
    assert row(comparison.estimates, "a", "cost_escape")["estimate"] == 250
    assert row(comparison.differences, "b", "cost")["estimate"] == 0
    assert list(comparison.estimates["response"].unique())[-len(COSTS) :] == list(COSTS)
    assert set(COSTS) <= set(comparison.pairs["response"])
    assert set(COSTS) <= set(comparison.ranking["response"])
    assert comparison.computed_under["costs"]["escape"] == 1000
    assert "cost" in comparison.summarize()[0].header
    with pytest.raises(InputError, match="makespan_s: a table of replications needs this column"):
        compare(table.drop(columns="makespan_s"), costs=Costs(0, 0, 10, 100, 1000))


@pytest.mark.usefixtures("few_values_suffice")
@pytest.mark.parametrize(
    ("of_b", "verdict"),
    [
        ([0.1, 0.15, 0.2], "better"),
        ([0.9, 0.85, 0.8], "worse"),
        ([0.5, 0.5, 0.5], "equal"),
        ([0.1, 0.9, 0.5], "unclear"),
        ([np.nan] * 3, "unknown"),
    ],
)
def test_every_difference_has_a_verdict(of_b, verdict):
    """A difference to the baseline, and a pair, say which side is better, in either direction. [contract]"""
    for name, sign in (("blast_radius", 1), ("min_in_service_fraction", -1), ("touched_nodes", 0)):
        values = np.repeat([*[0.5] * 3, *of_b], 30)  # few fractions leave much room for unseen ones
        table = responses(**{name: values if sign >= 0 else 1 - values})
        found = compare(table)
        expected = verdict if sign else None
        assert found.to_dict()["differences"][0]["verdict"] == expected
        turned = {"better": "worse", "worse": "better"}.get(expected, expected)
        assert [one["verdict"] for one in found.to_dict()["pairs"]] == [turned]
        assert compare(table, baseline="b").to_dict()["differences"][0]["verdict"] == turned


def test_html_shows_names_as_they_are():
    """Policy names that look like markup are shown, not interpreted. [contract]"""
    table = responses(makespan_s=[1.0, 2.0, 3.0, 4.0]).replace({"policy": {"b": "<script>"}})
    text = compare(table)._repr_html_()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


# -- tables of sweeps, and costs that tables know ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def priced():
    """A scenario with costs and two policies."""
    fleet = {"nodes": 4, "update_duration": {"exponential": {"mean": "1m"}}, "start_failure": 0.05}
    policies = {"waves": rolling(2), "at-once": IMMEDIATE}
    return small(fleet, name="priced", release=None, costs={"hour_of_delay": 60, "false_alarm": 10}, policies=policies)


def test_a_sweep_over_policies_is_compared_like_replications(priced, tmp_path):
    """A sweep in memory, in a folder or as a frame is compared as its replications are. [property]"""
    policies, how = list(priced.policies), {"replications": 20, "engine": "compiled"}
    expected = compare(simdeploy.replicate(priced, **how)).to_dict()
    stored = simdeploy.sweep(priced, policies, store=tmp_path / "kept", **how)
    for table in (simdeploy.sweep(priced, policies, **how), stored, stored.to_frame()):
        assert compare(table).to_dict() == expected
    unknown = compare(simdeploy.read_store(tmp_path / "kept"), costs=priced.costs)
    pd.testing.assert_frame_equal(unknown.estimates, compare(stored).estimates)


@pytest.mark.parametrize("strata", [None, "kinds"])
def test_cases_of_a_policy_are_compared_as_policies(priced, strata):
    """If a policy has several cases, each counts as a policy, named as in the summary of the grid. [contract]"""
    how = {"replications": 20, "engine": "compiled", "strata": strata}
    result = simdeploy.sweep(priced, "waves", vary={"max_parallel": [1, 2]}, **how)
    found = compare(result)
    assert found.policies == ("max_parallel 1", "max_parallel 2")
    frame = result.to_frame()
    one_by_one = compare(frame[frame["max_parallel"].eq(2)], requirements="false_alarm <= 1")
    makespan = row(found.estimates, "max_parallel 2", "makespan_s")["estimate"]
    assert makespan == row(one_by_one.estimates, "waves", "makespan_s")["estimate"]
    assert simdeploy.value_of_perfect_information(result).policy in found.policies
    of_policies = simdeploy.sweep(priced, list(priced.policies), vary={"max_parallel": [2]}, **how)
    assert compare(of_policies).policies == tuple(priced.policies)


@pytest.mark.parametrize("vary", [{"scenario.fleet.nodes": [2, 4]}, {"fleet.nodes": [2, 4], "max_parallel": [1, 2]}])
def test_worlds_are_not_compared(priced, vary):
    """Cases in different worlds are refused, and the right analysis is named. [contract]"""
    result = simdeploy.sweep(priced, "waves", vary=vary, replications=2, engine="compiled")
    with pytest.raises(InputError, match=r"a single world \(found scenario\.fleet\.nodes\); .*`estimate_regret`"):
        compare(result)


def test_tables_know_the_costs_of_their_scenario(priced):
    """Every analysis of costs finds the scenario's costs in the table, unless others are given. [contract]"""
    table = simdeploy.replicate(priced, replications=20, engine="compiled")
    result = simdeploy.sweep(priced, ["waves", "at-once"], replications=20, engine="compiled")
    other = Costs(0, 0, hour_of_delay=6, false_alarm=1, escape=0)
    analyses = [
        lambda t, **c: compare(t, **c).to_dict(),
        lambda t, **c: simdeploy.estimate(t, "cost", **c).to_dict(),
        lambda t, **c: simdeploy.estimate_costs(t, **c).to_dict(),
        lambda t, **c: simdeploy.pareto_front(t, {"cost": "min", "makespan_s": "min"}, **c).to_dict(),
        lambda t, **c: simdeploy.value_of_perfect_information(t, **c).to_dict(),
    ]
    for call in analyses:
        for responses in (table, result):
            assert call(responses) == call(responses, costs=priced.costs) != call(responses, costs=other)
        with pytest.raises(InputError, match=r"costs: no costs .*; allowed: the costs of a scenario"):
            call(table, costs={"hour_of_delay": 6})
    with pytest.raises(InputError, match="costs: no costs"):
        compare(table, costs={"priced": other})  # by scenario, which only `estimate_regret` accepts
    bare = table.copy()
    bare.attrs.clear()
    assert "cost" not in set(compare(bare).estimates["response"])
    with pytest.raises(InputError, match="no costs"):
        simdeploy.estimate(bare, "cost")


def test_scenarios_with_costs_of_their_own(priced):
    """Regrets over several scenarios use the costs of each; analyses that need one set of costs refuse. [contract]"""
    dearer = priced.with_values({"name": "dearer", "costs.hour_of_delay": 600})
    result = simdeploy.sweep([priced, dearer], ["waves", "at-once"], replications=10, engine="compiled")
    costs = {"priced": priced.costs, "dearer": dearer.costs}
    found, expected = (simdeploy.estimate_regret(result, **how) for how in ({}, {"costs": costs}))
    pd.testing.assert_frame_equal(found.regrets, expected.regrets)
    with pytest.raises(InputError, match="no costs"):
        simdeploy.estimate(result, "cost")


def test_the_baseline_is_in_the_first_row():
    """By default the policy of the table's first row is the baseline; the order of other rows is irrelevant. [contract]"""
    table = pd.DataFrame(
        {"policy": ["b", "a", "a", "b"], "replication": [0, 0, 1, 1], "makespan_s": [1.0, 2.0, 4.0, 3.0]}
    )
    assert compare(table).differences["baseline"].unique().tolist() == ["b"]
