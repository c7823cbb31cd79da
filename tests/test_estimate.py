"""Estimates and intervals: by hand, against brute force and closed forms, and their coverage."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from refusals import refused
from scipy import stats
from small import rolling, small

from simdeploy.analysis import compare, summarize_grid
from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.estimates.estimating import ESTIMATE_COLUMNS, estimate
from simdeploy.analysis.estimates.precision_result import precision_frame
from simdeploy.analysis.estimates.targets import Target
from simdeploy.errors import InputError
from simdeploy.experiments import read_store, replicate
from simdeploy.experiments.sweep import sweep
from simdeploy.plotting.comparison import plot_estimates
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.estimators import (
    estimate_cases,
    estimate_difference,
    estimate_rows,
    estimate_values,
    quantile_place,
)
from simdeploy.statistics.intervals import quantile_interval
from simdeploy.statistics.sample import as_sample
from simdeploy.statistics.skewness import fewest_of_a_mean, standardised_moment
from simdeploy.validation import oracles

REPETITIONS = 2000
COVERAGE_ERROR = 4 * math.sqrt(0.95 * 0.05 / REPETITIONS)
COSTS = Costs(failed_request=0, unavailable_node_hour=0, hour_of_delay=3600, false_alarm=10, escape=100)


def table(**columns):
    """Make a table of replications of the policies a and b, half of the rows each."""
    n = len(next(iter(columns.values()))) // 2
    return pd.DataFrame({"policy": ["a"] * n + ["b"] * n, "replication": [*range(n), *range(n)], **columns})


SMALL = table(
    makespan_s=[2.0, 4.0, 9.0, 3.0, 1.0, 1.0, 4.0, 5.0],
    verdict=["completed_good", "escaped", "stopped_defective", "false_alarm", *["completed_good"] * 4],
    release=["fine", "bad", "bad", "fine", *["fine"] * 4],
    failed_requests_excess=[0.0] * 8,
    unavailable_excess_node_s=[0.0] * 8,
)


@pytest.mark.usefixtures("students_limits")
def test_estimates_by_hand():
    """A mean, a rate, a conditional rate, a median and a mean cost are those computed by hand. [oracle]"""
    measures = ["makespan_s", "escaped", "escaped given defective", "p50 makespan_s", "cost"]
    rows = estimate(SMALL, measures, costs=COSTS).estimates.query("policy == 'a'").set_index("measure")
    assert rows["estimate"].tolist() == [4.5, 0.25, 0.5, 3.0, pytest.approx((2 + 104 + 0 + 13) / 4)]
    assert rows["n"].tolist() == [4, 4, 2, 4, 4]
    # 2, 4, 9, 3: squared deviations 6.25 + .25 + 20.25 + 2.25 = 29; 3.182446 is the 97.5 % quantile of t with 3 degrees.
    assert rows.loc["makespan_s", "standard_error"] == pytest.approx(math.sqrt(29 / 3 / 4))
    assert rows.loc["makespan_s", "half_width"] == pytest.approx(3.182446 * math.sqrt(29 / 12), rel=1e-6)
    # Of 1 of 2 the limits p have P(K = 2) = p^2 and P(K = 0) = (1 - p)^2 of 0.025.
    assert rows.loc["escaped given defective", "low"] == pytest.approx(1 - math.sqrt(0.975))
    assert rows.loc["escaped given defective", "high"] == pytest.approx(math.sqrt(0.975))
    # The median of four is beyond the outermost of them with probability 2 / 16, so it has no 95 % interval.
    assert rows.loc["p50 makespan_s", ["low", "high", "half_width", "standard_error"]].isna().all()
    half = estimate(SMALL, "p50 makespan_s", confidence_level=0.8).estimates.iloc[0]
    assert (half["low"], half["high"], half["half_width"]) == (2.0, 9.0, 3.5)


@pytest.mark.usefixtures("students_limits")
def test_lower_limits_are_not_negative_unless_values_are():
    """Where no value is negative, limits start at 0, in every analysis; half-widths and differences don't change. [contract]"""
    reach = 3.182446 * math.sqrt(29 / 12)
    excess = [-1.0, 1.0, 4.0, 8.0, 0.0, 0.0, 0.0, 0.0]
    rows = SMALL.assign(case=[0] * 4 + [1] * 4, scenario="x", unavailable_excess_node_s=excess)
    found = estimate(rows, ["makespan_s", "unavailable_excess_node_s"]).estimates.query("policy == 'a'")
    assert found["low"].tolist() == [0, pytest.approx(3 - 3.182446 * math.sqrt(46 / 12))]
    assert found["half_width"].iloc[0] == pytest.approx(reach)
    assert found["high"].iloc[0] == pytest.approx(4.5 + reach)
    cell = summarize_grid(rows).cells.iloc[0]
    for name in ("low", "high", "half_width"):
        assert cell[f"makespan_s_{name}"] == found[name].iloc[0]
        assert cell[f"unavailable_excess_node_s_{name}"] == found[name].iloc[1]
    compared = compare(rows.drop(columns=["case", "scenario"]))
    of_makespan = compared.estimates.query("policy == 'a' and response == 'makespan_s'").iloc[0]
    assert (of_makespan["low"], of_makespan["half_width"]) == (0, found["half_width"].iloc[0])
    assert compared.differences.query("response == 'makespan_s'").iloc[0]["low"] < 0
    first = precision_frame(Values(rows, ["makespan_s"]), [Target(Measure("makespan_s"), 1.0)], 0.95).iloc[0]
    assert first["n_needed"] == pytest.approx(4 * reach**2)
    weighted = estimate(rows.assign(weight=[0.5, 1.0, 1.5, 1.0] * 2), "makespan_s").estimates
    assert not weighted["low"].lt(0).any()


def test_columns_and_types():
    """The columns have the same types for any question, with the case's columns first. [contract]"""
    for measures in (["makespan_s"], ["p50 waves given good"], ["escaped", "makespan_s given failed"]):
        frame = estimate(SMALL.assign(waves=2, state="failed"), measures).estimates
        assert list(frame) == ["policy", *ESTIMATE_COLUMNS]
        assert {name: str(frame[name].dtype) for name in ESTIMATE_COLUMNS} == ESTIMATE_COLUMNS
    row = estimate(SMALL, "p50 makespan_s given good").estimates.iloc[0]
    assert row[["measure", "of", "quantile", "given"]].tolist() == [
        "p50 makespan_s given good",
        "makespan_s",
        0.5,
        "good",
    ]


def test_the_answer_agrees_with_the_json():
    """The first measure is lowest and highest in the answer where it is in the JSON. [contract]"""
    found = estimate(SMALL, "makespan_s")
    rows = found.to_dict()["estimates"]
    ends = [min(rows, key=lambda row: row["estimate"]), max(rows, key=lambda row: row["estimate"])]
    lowest, highest = found.answer.split(", highest ")
    assert [f"for {row['policy']}" in part for row, part in zip(ends, (lowest, highest), strict=True)] == [True, True]


def test_too_few_values():
    """Without a value an estimate is NaN, with one it has no interval; failed replications are counted. [contract]"""
    few = table(makespan_s=[1.0, np.nan, np.nan, np.nan], verdict=[None] * 4, status=["ok", "failed", "ok", "ok"])
    found = estimate(few, ["makespan_s", "escaped", "p50 makespan_s"])
    rows = found.estimates.set_index(["policy", "measure"])
    assert rows["n"].tolist() == [1, 0, 1, 0, 0, 0]
    assert rows["n_left_out"].tolist() == [1, 1, 1, 0, 0, 0]
    assert rows.loc[("a", "makespan_s"), "estimate"] == 1
    assert rows.loc["a", ["low", "high", "half_width", "standard_error"]].isna().all(axis=None)
    assert rows.loc["b", ["estimate", "low", "high", "half_width", "standard_error"]].isna().all(axis=None)
    assert estimate(few, "escaped").answer == "No replication has a value for escapes."
    assert found.to_dict()["estimates"][1]["estimate"] is None


@pytest.mark.usefixtures("few_values_suffice")
def test_words():
    """The answer names the lowest and the highest policy; the table has a line per policy. [contract]"""
    found = estimate(SMALL, ["makespan_s", "escaped given defective"])
    assert re.fullmatch(r"Makespan: lowest 2\.8 s \(95 % CI .*\) for b, highest 4\.5 s \(.*\) for a\.", found.answer)
    (words,) = found.summarize()
    assert words.header == ("policy", "makespan", "escapes of defective releases")
    assert [row[0] for row in words.rows] == ["a", "b"]
    assert words.rows[1][2] == "no value"
    assert estimate(SMALL[:4], "makespan_s").answer.startswith("Makespan: 4.5 s (")


@pytest.mark.usefixtures("few_values_suffice")
def test_the_answer_counts_ties():
    """Policies with the same estimate as the one that the answer names are counted. [contract]"""
    copies = [SMALL[SMALL["policy"].eq("b")].assign(policy=name) for name in "cd"]
    answer = estimate(pd.concat([SMALL, *copies]), "makespan_s").answer
    assert re.fullmatch(r"Makespan: lowest .* for b \(and 2 more\), highest .* for a\.", answer)
    # With fewer rollouts the interval is wider.
    rates = {"x": (20, 0), "y": (10, 0), "z": (20, 10)}
    verdicts = [
        (name, n, "false_alarm" if n < false else "completed_good")
        for name, (rows, false) in rates.items()
        for n in range(rows)
    ]
    table = pd.DataFrame(verdicts, columns=["policy", "replication", "verdict"])
    answer = estimate(table, "false_alarm").answer
    assert re.search(r"lowest 0[^,]* for x \(and 1 more\), highest 50", answer)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"measures": []}, "measures: nothing to estimate"),
        ({"measures": ["makespan"]}, "did you mean 'makespan_s'"),
        ({"measures": "cost"}, "no costs"),
        ({"measures": "waves"}, "waves: a table of replications needs this column"),
        ({"measures": "escaped given fnie"}, "did you mean 'fine'"),
        ({"measures": "escaped", "confidence_level": 95}, "confidence_level: invalid confidence level"),
        ({"measures": "escaped", "confidence_level": True}, "confidence_level: invalid confidence level"),
    ],
)
def test_invalid_questions(asked, message):
    """Invalid arguments are refused in plain words. [contract]"""
    assert message in str(refused(estimate, SMALL, **asked))


def test_a_sweep_has_the_estimates_of_compare(tmp_path):
    """In memory, stored, or as a table, each case has the means and rates that `compare` gives for its rows. [property]"""
    scenario = small({"nodes": 8, "requests_per_second": 0}, release=None, policies={"p": rolling(4)})
    vary = {"max_failed_nodes": [1, 3], "canary_percent": [None, 0]}
    result = sweep(scenario, "p", vary=vary, replications=30, engine="compiled", store=tmp_path / "s")
    found = estimate(result, ["makespan_s", "false_alarm"])
    for other in (read_store(tmp_path / "s"), result.to_frame()):
        pd.testing.assert_frame_equal(estimate(other, ["makespan_s", "false_alarm"]).estimates, found.estimates)
    assert found.case_columns == tuple(result.cases)
    assert found.computed_under["engine"] == "compiled"
    for case, rows in result.to_frame().groupby("case"):
        expected = compare(rows).estimates
        is_makespan = expected["response"].eq("makespan_s") & expected["given"].isna()
        expected = expected[is_makespan | expected["level"].eq("false_alarm")]
        of_case = found.estimates[found.estimates["case"].eq(case)].sort_values("of", ascending=False)
        for name in ("estimate", "low", "high", "n"):
            assert sorted(of_case[name]) == pytest.approx(sorted(expected[name])), name
    (words,) = found.summarize()
    assert words.rows[0][0] == "max_failed_nodes 1, canary_percent unset"


def test_quantile_interval_is_that_of_brute_force():
    """The order statistics are the innermost with at most half of the error in each tail, for every n and level. [oracle]"""
    for n in (1, 2, 5, 20, 71, 72, 100):
        ordered = np.arange(1.0, n + 1)
        for q in (0.01, 0.07, 0.5, 0.9, 0.95, 0.99):
            places, law = range(1, n + 1), stats.binom(n, q)
            below, above = law.cdf(np.arange(n)).tolist(), law.sf(np.arange(n)).tolist()
            for level in (0.5, 0.9, 0.95, 0.99):
                tail = (1 - level) / 2
                lows = [place for place in places if below[place - 1] <= tail]
                highs = [place for place in places if above[place - 1] <= tail]
                expected = (max(lows, default=math.nan), min(highs, default=math.nan))
                assert quantile_interval(ordered, q, level) == pytest.approx(expected, nan_ok=True), (n, q, level)
    assert math.isnan(quantile_interval(np.array([]), 0.5, 0.95)[0])


def test_the_place_of_a_quantile():
    """The place of a quantile with three decimals is ceil(nq) - 1 in exact arithmetic. [oracle]"""
    for n in (1, 7, 100, 1000, 12_345):
        for thousandths in range(1, 1000):
            place = -(-n * thousandths // 1000) - 1
            assert quantile_place(n, thousandths / 1000) == place, (n, thousandths)
            assert 0 <= place < n


def test_skewness_and_kurtosis():
    """Skewness and kurtosis of any scale equal scipy's row by row, without NaN; constant rows have the least values. [oracle]"""
    values = np.random.default_rng(1).lognormal(size=(5, 200)) * np.array([[1e-200], [1e-9], [1], [1e9], [1e200]])
    values[:, 150:] = np.nan
    for order, expected in ((3, stats.skew), (4, lambda v, axis: stats.kurtosis(v, axis, fisher=False))):
        found = standardised_moment(values, order)
        # Scipy loses powers of values this small or large.
        assert found == pytest.approx(expected(values[:, :150] / values[:, :1], axis=1), rel=1e-9)
        assert float(standardised_moment(values[2], order)) == pytest.approx(found[2])
    for constant in (0.0, 0.1, 1e300, np.nan):
        same = np.full((2, 7), constant)
        assert standardised_moment(same, 3).tolist() == [0, 0]
        assert standardised_moment(same, 4).tolist() == [1, 1]
    assert float(fewest_of_a_mean(np.array([0.0, 0.0, 0.0, 1.0]))) == pytest.approx(25 * 4 / 3)
    assert fewest_of_a_mean(np.zeros((3, 0))).tolist() == [0, 0, 0]


def test_a_quantile_is_the_order_statistic_of_the_decimal():
    """The q-quantile of n values is the ceil(nq)-th, also if nq is whole in decimals but not in binary. [oracle]"""
    for n in (7, 20, 100, 1000):
        values = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
        for percent in (5, 7, 14, 28, 29, 50, 55, 56, 57, 95, 99):
            found = estimate_values(values, Measure("cost", percent / 100), 0.95).estimate
            assert found == -(-n * percent // 100)


# -- coverage: 2,000 repetitions, nominal 95 %, at least 93.05 % of them, of Student's also at most 96.95 % -----------------


def coverage(values, text, truth):
    """Return how often the intervals of the rows cover the truth."""
    measure = parse_measure(text)
    found = estimate_cases(as_sample(values), measure, 0.95)
    assert len(found) == REPETITIONS
    return np.mean([one.low <= truth <= one.high for one in found])


def draw(seed, n):
    return np.random.default_rng(seed), (REPETITIONS, n)


@pytest.mark.parametrize(
    ("n", "law", "truth"),
    [
        (400, lambda rng, shape: rng.normal(100, 30, shape), 100),
        (400, lambda rng, shape: rng.exponential(60, shape), 60),
        (1000, lambda rng, shape: rng.lognormal(0, 1, shape), math.exp(0.5)),
        # A cost of one rollout in fifty has skewness 7, and 25 times its square is 1,200.
        (1200, lambda rng, shape: rng.exponential(20, shape) + 1000 * (rng.random(shape) < 0.02), 40),
    ],
    ids=["normal", "exponential", "lognormal", "rare"],
)
def test_coverage_of_a_mean(n, law, truth):
    """An interval covers as often as stated from 25 times the squared skewness on, and hardly more often. [oracle]"""
    rng, shape = draw(11, n)
    assert -COVERAGE_ERROR <= coverage(law(rng, shape), "cost", truth) - 0.95 <= COVERAGE_ERROR + 0.01


def test_a_mean_of_fractions_has_limits_from_0_to_1():
    """Student's interval of a fraction is cut at 0 % and 100 %, but not that of a difference. [contract]"""
    values = np.array([[1.0] * 9 + [0.1], [0.0] * 9 + [0.9]])
    measure = parse_measure("min_in_service_fraction")
    rows = estimate_rows(values, measure, 0.95)
    assert (rows.high[0], rows.low[1]) == (1, 0)
    assert [estimate_values(row, measure, 0.95)[1:3] for row in values] == [*zip(rows.low, rows.high, strict=True)]
    assert estimate_difference(values[0], values[1], measure, 0.95).high > 1


@pytest.mark.parametrize("p", [0.004, 0.05, 0.4])
def test_coverage_of_a_rate(p):
    """The exact interval of 250 rollouts covers at least as often as stated. [oracle]"""
    rng, shape = draw(12, 250)
    assert coverage((rng.random(shape) < p).astype(float), "escaped", p) >= 0.95 - COVERAGE_ERROR


@pytest.mark.parametrize(
    ("n", "text", "law", "truth"),
    [
        (30, "p50 cost", lambda rng, shape: rng.exponential(1, shape), math.log(2)),
        (100, "p95 cost", lambda rng, shape: rng.lognormal(0, 2, shape), math.exp(2 * 1.6448536269514722)),
        (400, "p99 cost", lambda rng, shape: rng.exponential(1, shape), math.log(100)),
        # Half of it an atom: most rollouts cost nothing.
        (100, "p80 cost", lambda rng, shape: np.maximum(rng.exponential(1, shape) - math.log(2), 0), math.log(5 / 2)),
        (100, "p40 cost", lambda rng, shape: np.maximum(rng.exponential(1, shape) - math.log(2), 0), 0.0),
    ],
    ids=["median", "p95", "p99", "beside an atom", "in an atom"],
)
def test_coverage_of_a_quantile(n, text, law, truth):
    """The interval between order statistics covers at least as often as stated, for any law. [oracle]"""
    rng, shape = draw(13, n)
    assert coverage(law(rng, shape), text, truth) >= 0.95 - COVERAGE_ERROR


def test_coverage_of_a_conditional_rate():
    """With a random number of defective rollouts, about 15 % of 200, their rate of escapes is covered. [oracle]"""
    rng, (repetitions, n) = draw(14, 200)
    is_bad, escapes = rng.random((repetitions, n)) < 0.15, rng.random((repetitions, n)) < 0.3
    verdict = np.where(is_bad, np.where(escapes, "escaped", "stopped_defective"), "false_alarm")
    frame = pd.DataFrame(
        {
            "policy": np.repeat(np.arange(repetitions), n).astype(str),
            "replication": np.tile(np.arange(n), repetitions),
            "release": np.where(is_bad, "bad", "fine").ravel(),
            "verdict": verdict.ravel(),
        }
    )
    rows = estimate(frame, "escaped given defective").estimates
    assert rows["n"].std() > 4
    assert rows["low"].le(0.3).mul(rows["high"].ge(0.3)).mean() >= 0.95 - COVERAGE_ERROR


# -- of the engine, against closed forms -------------------------------------------------------------------------------

NODES, MEAN_S, FAILURE, LIMIT = 4, 30.0, 0.1, 1
OF_THE_ENGINE = {
    "name": "closed",
    "fleet": {"nodes": NODES, "update_duration": {"exponential": {"mean": MEAN_S}}},
    "policies": {
        "waves": rolling(2, health_check={"deadline": "10h", "min_healthy_time": "0s"}),
        "at-once": {"strategy": "immediate"},
    },
}


def in_pieces(scenario, policy, n):
    """Replicate n times REPETITIONS, and name every n of them as a policy."""
    rollouts = replicate(scenario, policies=policy, replications=REPETITIONS * n, engine="compiled", seed=3)
    number = rollouts["replication"]
    return rollouts.assign(policy=(number // n).astype(str), replication=number % n)


def covers(rows, truth):
    """Return how often the intervals of a measure's rows cover the truth."""
    return (rows["low"].le(truth) & rows["high"].ge(truth)).mean()


def test_coverage_of_makespans_of_the_engine():
    """Mean makespans of 50 rollouts in waves, and medians and p90s of 60 all at once, cover the closed forms. [oracle]"""
    scenario = Scenario.from_dict(OF_THE_ENGINE)
    truth = oracles.exponential_barrier_makespan_s(MEAN_S, [2, 2])
    found = estimate(in_pieces(scenario, "waves", 50), "makespan_s").estimates
    # Limits on the skewed side are farther out, to allow for laws with longer tails than these.
    assert 0.95 - COVERAGE_ERROR <= covers(found, truth) <= 0.97 + COVERAGE_ERROR
    rows = estimate(in_pieces(scenario, "at-once", 60), ["p50 makespan_s", "p90 makespan_s"]).estimates
    for q, of_measure in rows.groupby("quantile"):
        # The last of N exponential times is below t with probability (1 - exp(-t / mean))^N.
        assert covers(of_measure, -MEAN_S * math.log(1 - q ** (1 / NODES))) >= 0.95 - COVERAGE_ERROR


@pytest.mark.filterwarnings("ignore:.*can never stop a rollout")
def test_coverage_of_false_alarms_of_the_engine():
    """Rates of false alarms of 60 rollouts cover the closed form of a limit on failed nodes. [oracle]"""
    limits = {"max_failed_nodes": LIMIT, "max_failed_nodes_percent": 100}
    values = {"fleet.start_failure": FAILURE, **{f"policies.waves.{key}": value for key, value in limits.items()}}
    scenario = Scenario.from_dict(OF_THE_ENGINE).with_values(values)
    truth = oracles.stop_probability(NODES, FAILURE, LIMIT)
    found = estimate(in_pieces(scenario, "waves", 60), "false_alarm given good").estimates
    assert covers(found, truth) >= 0.95 - COVERAGE_ERROR


# -- the picture -------------------------------------------------------------------------------------------------------


def test_picture():
    """Each policy has a line, a mark and its number of values; missing values are noted; an open side has an arrow. [contract]"""
    found = estimate(SMALL, ["makespan_s", "escaped given defective", "p50 makespan_s"])
    ax = plot_estimates(Figure().subplots(), found)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a\nn = 4", "b\nn = 4"]
    rows = found.estimates.iloc[[0, 3]]
    ends = [segment[:, 0].tolist() for lines in ax.collections for segment in lines.get_segments()]
    assert ends == rows[["low", "high"]].to_numpy().tolist()
    assert [line.get_xdata() for line in ax.lines] == [[value] for value in rows["estimate"]]
    ax = plot_estimates(Figure().subplots(), found, measure="escaped given defective")
    assert ax.get_xlabel() == "escapes of defective releases, 95 % CI"
    assert [text.get_text() for text in ax.texts] == ["no value"]
    ax = plot_estimates(Figure().subplots(), found, measure=Measure("makespan_s", 0.5))
    assert sum("arrow" in str(line.get_marker()) for line in ax.lines) == 4
    with pytest.raises(InputError, match=r"measure: the result has no such measure .*did you mean 'makespan_s'"):
        plot_estimates(Figure().subplots(), found, measure="makespan")
