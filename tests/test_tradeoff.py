"""The curves of thresholds against closed forms, and statements supported by their intervals."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from matplotlib.figure import Figure
from refusals import refused
from small import IMMEDIATE, maybe_bad, rolling, small

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.usual_measures import find_usual
from simdeploy.analysis.asking.verdicts import judge_change
from simdeploy.analysis.tradeoffs.curves import conclude, estimate_band, estimate_curves
from simdeploy.analysis.tradeoffs.lever_ranges import LeverRange, find_ranges
from simdeploy.analysis.tradeoffs.moving import Tradeoff, tradeoff
from simdeploy.errors import InputError
from simdeploy.experiments import sweep
from simdeploy.experiments.jobs import Job
from simdeploy.experiments.levers import Lever
from simdeploy.plotting import plot_tradeoff
from simdeploy.scenario import Scenario
from simdeploy.scenario.measures import Measure, parse_measure
from simdeploy.statistics.estimators import estimate_difference
from simdeploy.validation import oracles

NODES, FAILURE = 20, 0.1
COVERAGE_RUNS = 800
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / COVERAGE_RUNS)
FALSE_ALARM = Measure("false_alarm", given="good")
ESCAPED = Measure("escaped", given="defective")


def make(**changes):
    """Make a scenario of flaky starts, one wave, and no limit except `max_failed_nodes`."""
    check = {"deadline": "5m", "min_healthy_time": 0}
    policy = rolling(max_failed_nodes=2, max_failed_nodes_percent=99, health_check=check)
    raw = {
        "name": "flaky",
        "fleet": {"nodes": NODES, "update_duration": "30s", "start_failure": FAILURE},
        "policies": {"waves": policy},
    }
    return Scenario.from_dict(raw | changes)


def with_defects(**changes):
    """Make one with good and defective releases, 12 of whose nodes have traffic."""
    defaults = {"name": "both", "release": maybe_bad(error_rate=0.15), "policies": {"waves": rolling(4)}}
    return small({"error_rate": 0.004} | changes.pop("fleet", {}), **(defaults | changes))


# -- the band --------------------------------------------------------------------------------------------------------


def test_the_whole_band_of_a_limit_covers():
    """Over 800 repetitions of 40 rollouts all intervals of a curve of rates cover at once in at least 95 %. [oracle]"""
    limits, n = range(6), 40
    how = {"replications": COVERAGE_RUNS * n, "seed": 3, "engine": "compiled"}
    result = sweep(make(), "waves", vary={"max_failed_nodes": limits}, **how)
    measure = Measure("false_alarm")
    values = Values(result, [measure]).of(measure).reshape(len(limits), COVERAGE_RUNS, n)
    truths = [oracles.stop_probability(NODES, FAILURE, limit) for limit in limits]
    assert count_covered(values, measure, truths) >= LEAST


def test_the_whole_band_of_a_mean_covers():
    """Over 800 repetitions of 100 rollouts with exponential updates all t intervals of a curve cover at once. [oracle]"""
    sizes, n = (1, 2, 4, 8), 100
    fleet = {"nodes": 8, "update_duration": {"exponential": {"mean": 60}}}
    policies = {"waves": rolling(health_check={"deadline": "10h", "min_healthy_time": 0})}
    scenario = make(fleet=fleet, policies=policies)
    replications = COVERAGE_RUNS * n
    result = sweep(scenario, "waves", vary={"max_parallel": sizes}, replications=replications, engine="compiled")
    measure = Measure("makespan_s")
    values = Values(result, [measure]).of(measure).reshape(len(sizes), COVERAGE_RUNS, n)
    truths = [oracles.exponential_barrier_makespan_s(60, [size] * (8 // size)) for size in sizes]
    assert count_covered(values, measure, truths) >= LEAST


def count_covered(values, measure, truths):
    """Return the share of repetitions in which the whole band covers the true curve."""
    covered = 0
    for repetition in range(values.shape[1]):
        band = estimate_band({measure: values[:, repetition]}, 0.95)[measure]
        covered += all(point.low <= truth <= point.high for point, truth in zip(band, truths, strict=True))
    return covered / values.shape[1]


def test_the_band_is_shared_out_over_points_and_measures():
    """Each of the k m intervals of a curve has Bonferroni's level. [oracle]"""
    rng = np.random.default_rng(0)
    points = {Measure("makespan_s"): rng.exponential(size=(3, 50)), Measure("cost"): rng.exponential(size=(3, 50))}
    alone = {measure: estimate_band({measure: values[:1]}, 1 - 0.05 / 6) for measure, values in points.items()}
    together = estimate_band(points, 0.95)
    for measure in points:
        assert together[measure][0][1:3] == pytest.approx(alone[measure][measure][0][1:3])


def test_a_curve_is_the_sweep_of_its_lever():
    """A curve has the numbers of a sweep of its key, in the same worlds. [property]"""
    scenario = with_defects()
    found = tradeoff(scenario, replications=15, seed=5, engine="compiled")  # too few to divide by kind of release
    of_policy = {"max_failed_nodes", "max_failed_nodes_percent", "max_parallel"}
    of_check = {f"health_check.{name}" for name in ("max_error_rate", "min_healthy_time", "deadline")}
    assert {lever.name for lever in found.levers} == of_policy | of_check
    for lever in found.levers:
        curve = found.curves[found.curves["lever"].eq(lever.name)]
        numbers = curve["value"].drop_duplicates().tolist()
        alone = sweep(scenario, "waves", vary={lever.name: numbers}, replications=15, seed=5, engine="compiled")
        values = Values(alone, found.axes)
        for measure in found.axes:
            estimates = curve.loc[curve["measure"].eq(str(measure)), "estimate"].to_numpy()
            of_cases = values.of(measure)
            means = [np.nanmean(of) if not np.isnan(of).all() else np.nan for of in of_cases]
            np.testing.assert_allclose(estimates, means, rtol=1e-12)


def test_a_difference_of_quantiles_covers():
    """The interval of a difference of two quantiles covers at least as often as stated. [oracle]"""
    measure = Measure("makespan_s", quantile=0.5)
    rng = np.random.default_rng(1)
    samples = rng.exponential(size=(COVERAGE_RUNS, 2, 40)) * np.array([2.0, 1.0])[:, None]
    found = [estimate_difference(mine, its, measure, 0.95) for mine, its in samples]
    assert np.mean([one.low <= math.log(2) <= one.high for one in found]) >= LEAST


# -- ranges ----------------------------------------------------------------------------------------------------------

ROLLOUT = {
    "dialect": "rollout",
    "strategy": "canary",
    "canary_percent": 10,
    "auto_promote": True,
    "health_check": {"deadline": 300_000_000_000, "success_threshold": 4},
}


@pytest.mark.parametrize("policy", [{"strategy": "rolling", "health_check": {"deadline": "5m"}}, ROLLOUT])
def test_policy_and_default_are_on_every_curve(policy):
    """The policy's value is marked on every curve, the API's default where the key has one. [contract]"""
    preset = "expanso-rollout" if "dialect" in policy else "expanso"
    scenario = with_defects(policies={"p": policy}, orchestrator={"preset": preset})
    found = tradeoff(scenario, replications=2, engine="compiled")
    curves = found.curves.drop_duplicates(["lever", "value"]).set_index("lever")
    assert curves.groupby("lever")["is_current"].sum().eq(1).all()
    n_defaults = curves.groupby("lever")["is_default"].sum()
    without = {"health_check.deadline", "canary_percent"}
    assert {lever for lever, n in n_defaults.items() if n == 0} == without & set(n_defaults.index)
    assert n_defaults.max() == 1
    marked = {(lever, row.value) for lever, row in curves[curves["is_default"]].iterrows()}
    if "dialect" in policy:
        thresholds = {("health_check.success_threshold", 2), ("health_check.failure_threshold", 3)}
        assert marked >= thresholds | {("max_parallel", 10)}
        current = curves.loc[curves["is_current"], "value"]
        assert (current["health_check.success_threshold"], current["health_check.deadline"]) == (4, 300)
    else:
        assert marked >= {("health_check.min_healthy_time", 30), ("max_failed_nodes", 10), ("max_parallel", 12)}
    assert all(curves.loc[[lever.name], "value"].is_monotonic_increasing for lever in found.levers)


def test_ranges_leave_out_invalid_values(recwarn):
    """No value of a default range is refused or warned about, and an invalid default is left out. [contract]"""
    tight = {"strategy": "rolling", "health_check": {"deadline": "25s", "min_healthy_time": "10s"}}
    duration = {"uniform": {"low": 10, "high": 12}}
    fleet = {"nodes": 5, "requests_per_second": 0, "error_rate": 0, "update_duration": duration}
    scenario = with_defects(fleet=fleet, policies={"p": tight}, release=None)
    ranges = {one.lever.name: one for one in find_ranges(scenario, scenario.policy(), None)}
    assert ranges["health_check.min_healthy_time"].numbers == (0, 10)
    assert ranges["health_check.min_healthy_time"].default is None
    assert ranges["max_failed_nodes"].numbers == (0, 1, 2, 10)
    assert "health_check.max_error_rate" not in ranges  # no traffic
    tradeoff(scenario, replications=1, engine="compiled")
    larger = with_defects(fleet=fleet | {"nodes": 40}, policies={"p": tight | {"max_parallel": 8}}, release=None)
    tradeoff(larger, replications=1, engine="compiled")  # the API's default is all at once
    assert not recwarn


def test_zero_means_what_the_orchestrator_makes_of_it():
    """`max_parallel` 0 stands at the whole fleet, a limit of 0 at the default if a switch says so. [contract]"""
    scenario = with_defects(orchestrator={"explicit_zero_limit": "default"})
    vary = {"max_parallel": [0, 6], "max_failed_nodes": [0, 3]}
    parallel, failed = find_ranges(scenario, scenario.policy(), vary)
    assert (parallel.numbers, parallel.default, parallel.current) == ((4, 6, 12), 12, 4)
    assert (failed.numbers, failed.default, failed.current) == ((3, 10), 10, 10)


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_answer_names_a_better_limit():
    """For a limit that doesn't fit its fleet the answer names the nearest value that certainly stops fewer good releases. [oracle]"""
    truths = {limit: oracles.stop_probability(NODES, FAILURE, limit) for limit in (2, 6)}
    found = tradeoff(make(), vary={"max_failed_nodes": [0, 2, 6]}, replications=500, engine="compiled")
    assert truths[2] - truths[6] > 0.3
    assert found.improvement == {"lever": "max_failed_nodes", "value": 6, "current": 2}
    assert found.points.query("value == 6")["steps"].tolist() == [1]
    change = found.differences.query("value == 6").iloc[0]
    assert change["low"] <= truths[6] - truths[2] <= change["high"]
    assert "Use max_failed_nodes 6 instead of 2: false alarms from" in found.answer
    assert "10 (default)" in [row[0] for row in found.summarize()[0].rows]


def test_the_answer_does_not_recommend_what_costs_more():
    """A value that is better on both axes, but surely costs more, is named with its cost instead of "Use". [contract]"""
    prices = {"failed_request": 0, "unavailable_node_hour": 0, "hour_of_delay": 1000, "false_alarm": 0, "escape": 0}
    waves = rolling(2, max_failed_nodes=2, max_failed_nodes_percent=99)  # a stop saves time
    scenario = make(costs=prices, policies={"waves": waves})
    found = tradeoff(scenario, vary={"max_failed_nodes": [2, 6]}, replications=500, engine="compiled")
    cost = found.differences.query("measure == 'cost'").iloc[0]
    assert (cost["verdict"], found.improvement["value"]) == ("worse", 6)
    assert found.answer.startswith(f"max_failed_nodes 6 instead of 2 costs more (+{cost['low']:.1f} to ")
    assert "false alarms from" in found.answer


def test_a_tiny_rate_is_written_as_nothing():
    """A known rate that tables write as 0 is 0 in the answer, too. [contract]"""
    fleet = {"nodes": 1, "update_duration": 30, "requests_per_second": 5}
    policy = rolling(health_check={"deadline": "1m", "min_healthy_time": 0})
    made = small(fleet, release=maybe_bad(error_rate=0.5), policies={"p": policy})
    found = tradeoff(made, vary={"health_check.min_healthy_time": [0, 10]}, replications=20, engine="compiled")
    assert 0 < found.curves.query("measure == 'escaped given defective' and value == 10")["estimate"].item() < 1e-6
    assert "escapes from" in found.answer
    assert "e-" not in found.answer


def test_few_rollouts_are_inconclusive():
    """With three rollouts of each value nothing is called better, and the answer says so. [contract]"""
    found = tradeoff(with_defects(), replications=3, engine="compiled")
    assert found.improvement is None
    assert found.answer.startswith("No other value clearly improves ")
    assert " from " not in found.answer


def test_false_improvements_are_rare():
    """If no value differs from the policy, at most 5 % of 200 results name an improvement. [oracle]"""
    lever = Lever("max_failed_nodes", "whole")
    ranges = [LeverRange(lever, (0, 1, 2, 3), (0.0, 1.0, 2.0, 3.0), 1.0, 3.0)]
    rng = np.random.default_rng(2)
    n, mistakes = 200, 0
    for _ in range(n):
        worlds = rng.random((4, 60))
        values = {FALSE_ALARM: (worlds < 0.3).astype(float), Measure("makespan_s"): rng.exponential(size=(4, 60))}
        unknown = {measure: np.zeros(len(of)) for measure, of in values.items()}
        curves, differences = estimate_curves(ranges, values, unknown, 0.95)
        is_better = differences["verdict"].eq("better").any()
        assert is_better or conclude(curves, differences, tuple(values)).improvement is None
        mistakes += is_better
    assert mistakes / n <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / n)


def pretend(*intervals):
    """Make a result with one other value, with these intervals of differences in false alarms and makespan; None is unknown."""
    curve, changes = [], []
    for measure, ends in zip((FALSE_ALARM, Measure("makespan_s")), intervals, strict=True):
        low, high = ends or (math.nan, math.nan)
        point = {"lever": "max_failed_nodes", "measure": str(measure), "n": 9, "unknown_fraction": float(ends is None)}
        own = {"estimate": 0.5, "low": 0.4, "high": 0.6}
        curve += [point | own | {"value": 1.0, "is_default": False, "is_current": True}]
        curve += [point | own | {"value": 2.0, "is_default": True, "is_current": False}]
        verdict = judge_change(low, high, "min", unknown=ends is None)
        changes.append(curve[-1] | {"estimate": (low + high) / 2, "low": low, "high": high, "verdict": verdict})
    curves, differences = pd.DataFrame(curve), pd.DataFrame(changes)
    axes = (FALSE_ALARM, Measure("makespan_s"))
    lever = Lever("max_failed_nodes", "whole")
    concluded = conclude(curves, differences, axes)._asdict()
    return Tradeoff(curves, differences, **concluded, policy="p", levers=(lever,), axes=axes, confidence_level=0.95,
                    n_replications=9, n_failed=0, computed_under={})  # fmt: skip


LESS, MORE, NONE, WITHIN = (-0.2, -0.1), (0.1, 0.2), (0.0, 0.0), (-0.1, 0.1)


@pytest.mark.parametrize(
    ("intervals", "verdicts", "both", "sentence", "shown"),
    [
        ((LESS, WITHIN), ["better", "unclear"], "better", "1: false alarms from", "better"),
        ((MORE, NONE), ["worse", "equal"], "worse", "makespan unchanged", "worse"),
        ((LESS, MORE), ["better", "worse"], "trades", "No other value clearly improves", "trade-off"),
        ((NONE, NONE), ["equal", "equal"], "equal", "false alarms unchanged", "equal"),
        ((WITHIN, NONE), ["unclear", "equal"], "unclear", "no clear change in false alarms (", "unclear"),
        ((LESS, None), ["better", "unknown"], "unknown", "Makespan unknown", "unknown"),
    ],
)
def test_every_verdict_is_data(intervals, verdicts, both, sentence, shown):
    """Verdicts of answer and table are in the JSON, and so is the improvement. [contract]"""
    found = pretend(*intervals)
    document = found.to_dict()
    assert [row["verdict"] for row in document["differences"]] == verdicts
    assert [(row["value"], row["steps"], row["verdict"]) for row in document["points"]] == [(2.0, 1, both)]
    improvement = {"lever": "max_failed_nodes", "value": 2.0, "current": 1.0} if both == "better" else None
    assert document["improvement"] == improvement
    assert ("max_failed_nodes 2 instead of 1" in found.answer) == (improvement is not None)
    assert ("No other value clearly improves" in found.answer) == (improvement is None)
    assert sentence in found.answer
    assert found.summarize()[0].rows[1][-1] == shown


def test_no_difference_in_few_worlds():
    """If all of too few worlds are equal, the answer says that no change was seen, without a number. [contract]"""
    found = pretend(NONE, WITHIN)
    answer = replace(found, differences=found.differences.assign(verdict="unclear")).answer
    assert "API default max_failed_nodes 2: no change in false alarms was seen, no clear change in makespan (" in answer


def test_impossible_measures_are_no_default_axes():
    """Scenarios without a defective kind, without a good one, or without a release get possible measures. [contract]"""
    kinds = {"bad": {"probability": 1, "defective": True, "error_rate": 0.2}}
    restart = with_defects(release=None, deployment={"type": "restart"})
    of_good = ["false_alarm given good", "makespan_s given completed_good"]
    for scenario, axes in (
        (make(), of_good),
        (with_defects(release=kinds), ["escaped given defective", "blast_radius given defective"]),
        (restart, ["makespan_s given completed", "failed", "min_in_service_fraction given completed"]),
        (make(costs={"false_alarm": 1}), [*of_good, "cost"]),
    ):
        found = tradeoff(scenario, vary={"max_parallel": [2, 4]}, replications=4, engine="compiled")
        assert [str(axis) for axis in found.axes] == axes
        assert found.answer


def test_unknown_is_unknown():
    """A measure without a value is NaN with n = 0, and the answer says that it is unknown. [contract]"""
    seldom = {"good": {"probability": 0.999}, "bad": {"probability": 0.001, "defective": True}}
    made = make(release=seldom)
    found = tradeoff(made, vary={"max_failed_nodes": [1, 2]}, axes=[FALSE_ALARM, ESCAPED], replications=15)
    escapes = found.curves[found.curves["measure"].eq(str(ESCAPED))]
    assert escapes[["estimate", "low", "high"]].isna().all(axis=None)
    assert escapes["n"].eq(0).all()
    assert f" Escapes unknown for {found.policy}." in found.answer
    assert "nothing is known" in plot_tradeoff(Figure().subplots(), found).texts[0].get_text()


def test_one_rollout_has_no_interval():
    """One replication gives means without intervals, and no claim. [contract]"""
    found = tradeoff(with_defects(), vary={"max_parallel": [2]}, axes=["makespan_s", "waves"], replications=1)
    assert found.curves[["low", "high"]].isna().all(axis=None)
    assert " from " not in found.answer


def test_measures_without_a_better_side_are_no_improvement():
    """More waves are neither better nor worse, however certain. [contract]"""
    asked = {"vary": {"max_parallel": [2, 12]}, "axes": ["waves", "decision_windows"]}
    found = tradeoff(with_defects(), replications=50, **asked)
    assert found.differences["low"].gt(0).any()
    assert found.differences["verdict"].isin(["better", "worse"]).sum() == 0
    assert found.improvement is None


def test_output_formats():
    """The result has HTML and tables with a line per value, and frames with fixed types. [contract]"""
    found = tradeoff(with_defects(), vary={"max_error_rate": [0.05, 0.2]}, replications=10, engine="compiled")
    assert len(found.to_frame()) == 3 * len(found.axes)
    (table,) = found.summarize()
    assert [row[0] for row in table.rows] == ["0.05", "0.1 (current, default)", "0.2"]
    assert found._repr_html_().count("<tr>") == 4
    dtypes = {"lever": "str", "value": "float64", "is_default": "bool", "is_current": "bool", "measure": "str"}
    dtypes |= {"estimate": "float64", "low": "float64", "high": "float64", "n": "int64"}
    dtypes |= {"is_trusted": "bool", "unknown_fraction": "float64"}
    for frame, more in ((found.curves, {}), (found.differences, {"verdict": "str"})):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dtypes | more


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vary": {"scenario.fleet.nodes": [1]}}, "can't be varied as a threshold"),
        ({"vary": {"auto_promote": [True]}}, "can't be varied as a threshold"),
        ({"vary": {"max_failed_nodes": ["many"]}}, "a threshold must be a number (found 'many')"),
        ({"axes": ["makespan_s"]}, "at least two measures: x and y"),
        ({"axes": ["makespan_s", "makespan_s"]}, "duplicate measure"),
        ({"axes": ["makespan_s", "cost"]}, "the scenario has no costs"),
        ({"axes": ["makespan_s", "escaped given bade"]}, "did you mean 'bad'?"),
    ],
)
def test_invalid_arguments_are_refused_before_the_work(monkeypatch, arguments, message):
    """Invalid keys, values, measures and numbers are refused before anything is simulated. [contract]"""
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("nothing is to be simulated"))
    assert message in str(refused(tradeoff, with_defects(), **arguments))


def test_impossible_kinds_are_no_axis():
    """A kind of release with probability 0 is on no axis by default, and refused as one. [contract]"""
    release = {"fine": {"probability": 1}, "bad": {"probability": 0, "defective": True, "error_rate": 0.2}}
    scenario = make(release=release)
    assert [*map(str, find_usual(scenario, "update"))] == ["false_alarm given good", "makespan_s given completed_good"]
    with pytest.raises(InputError, match="escaped given defective: the scenario has no defective release"):
        tradeoff(scenario, axes=["makespan_s", "escaped given defective"])


def test_a_policy_without_thresholds():
    """For an immediate policy without limits, the message says that it has no threshold. [contract]"""
    scenario = with_defects(policies={"p": IMMEDIATE}, orchestrator={"limits_apply_to_immediate": False})
    with pytest.raises(InputError, match="no threshold to vary"):
        tradeoff(scenario, replications=1)


# -- the picture -------------------------------------------------------------------------------------------------------


def by_value(curve):
    """Return the estimates of a lever's values by measure."""
    return curve.pivot_table(index="value", columns="measure", values="estimate")


def test_the_picture_joins_points_in_the_order_of_values():
    """The line follows the lever's values; policy and default are marked. [contract]"""
    found = tradeoff(with_defects(), vary={"max_failed_nodes": [5, 0, 2]}, replications=60, engine="compiled")
    ax = draw_on(plot_tradeoff, found, lever="max_failed_nodes")
    curve = by_value(found.curves)
    line, default, policy, *_ = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), curve[str(FALSE_ALARM)])
    np.testing.assert_allclose(line.get_ydata(), curve[str(ESCAPED)])
    for mark in (default, policy):
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == tuple(curve.loc[10.0, [str(FALSE_ALARM), str(ESCAPED)]])
    labels = [text.get_text() for text in ax.texts if text.get_visible()]
    assert any("current and API default" in label for label in labels)
    assert any(label.startswith("0") for label in labels)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("false alarms of good releases", "escapes of defective releases")


def test_values_at_one_place_share_a_label():
    """Neighbouring values at one place have one label with the first and the last value. [contract]"""
    found = tradeoff(with_defects(), vary={"max_failed_nodes": [0, 2, 5]}, replications=60, engine="compiled")
    first = found.curves.groupby(["lever", "measure"])["estimate"].transform("first")
    same = first.mask(found.curves["value"].eq(0), 0.5)
    ax = draw_on(plot_tradeoff, replace(found, curves=found.curves.assign(estimate=same)))
    values = sorted(found.curves["value"].unique())
    shared = f"{values[1]:g} to {values[-1]:g}\ncurrent and API default 10"
    assert {text.get_text() for text in ax.texts if text.get_visible()} == {shared, "0"}


@pytest.fixture(scope="module")
def levers():
    """Return the curves of three levers, one of them without effect."""
    vary = {"max_failed_nodes": [0, 2], "max_error_rate": [0.02, 0.5], "max_parallel": [2]}
    found = tradeoff(with_defects(), vary=vary, axes=[FALSE_ALARM, ESCAPED], replications=60, engine="compiled")
    curves = found.curves
    still = curves["lever"].eq("max_parallel")
    of_current = curves[curves["is_current"]].groupby("measure")["estimate"].first()
    estimates = curves["estimate"].mask(still, curves["measure"].map(of_current))
    return replace(found, curves=curves.assign(estimate=estimates))


def test_all_levers_leave_from_the_current_policy(levers):
    """Each lever with an effect has a line through its estimates; the current policy is marked. [contract]"""
    ax = draw_on(plot_tradeoff, levers, size=(4.2, 3.9))
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) - {"better"} == {"max_failed_nodes", "health_check.max_error_rate", "current policy"}
    for name in ("max_failed_nodes", "health_check.max_error_rate"):
        curve = by_value(levers.curves[levers.curves["lever"].eq(name)])
        np.testing.assert_allclose(lines[name].get_xdata(), curve[str(FALSE_ALARM)])
        np.testing.assert_allclose(lines[name].get_ydata(), curve[str(ESCAPED)])
    current = levers.curves[levers.curves["is_current"]].groupby("measure")["estimate"].first()
    assert lines["current policy"].get_xdata()[0] == current[str(FALSE_ALARM)]
    assert lines["current policy"].get_ydata()[0] == current[str(ESCAPED)]
    bar = levers.curves[levers.curves["is_current"] & levers.curves["measure"].eq(str(ESCAPED))].iloc[0]
    assert [end[1] for end in ax.collections[1].get_segments()[0]] == [bar["low"], bar["high"]]
    assert ax.get_title(loc="left") == "grey: 95 % band\nmoves neither: max_parallel"
    labels = {text.get_text() for text in ax.texts if text.get_visible()}
    assert {"current", "max_failed_nodes 0", "max_error_rate 0.5"} <= labels
    assert "better" in ax.get_xlabel()
    assert find_unreadable(ax.figure) == []


def test_the_better_value_is_marked(levers):
    """The nearest better value has a labelled star at its estimates; without one there is none. [contract]"""
    value = 0.02
    better = replace(levers, improvement={"lever": "health_check.max_error_rate", "value": value, "current": 0.1})
    ax = draw_on(plot_tradeoff, better, size=(5, 4))
    (star,) = [line for line in ax.lines if line.get_label() == "better"]
    curve = levers.curves[levers.curves["lever"].eq("health_check.max_error_rate") & levers.curves["value"].eq(value)]
    estimates = curve.set_index("measure")["estimate"]
    assert [*star.get_xdata(), *star.get_ydata()] == estimates[[str(FALSE_ALARM), str(ESCAPED)]].tolist()
    assert "better: max_error_rate 0.02" in {text.get_text() for text in ax.texts if text.get_visible()}
    alone = draw_on(plot_tradeoff, better, lever="health_check.max_error_rate")
    assert any({"better", "better 0.02"} & set(text.get_text().splitlines()) for text in alone.texts)
    without = plot_tradeoff(Figure().subplots(), replace(levers, improvement=None))
    assert "better" not in [line.get_label() for line in without.lines]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lever": "max_parallel"}, "this setting was not varied"),
        ({"x": "makespan_s"}, "x: the result has no such measure (found 'makespan_s')"),
    ],
)
def test_unavailable_pictures(arguments, message):
    """A lever that was not varied and a measure that was not estimated are refused. [contract]"""
    found = tradeoff(with_defects(), vary={"max_failed_nodes": [0, 5]}, replications=2, engine="compiled")
    assert message in str(refused(plot_tradeoff, Figure().subplots(), found, **arguments))


def test_axes_are_texts_or_measures():
    """Axes may be texts or measures, including quantiles, and are used as given. [contract]"""
    axes = ["p90 makespan_s given good", parse_measure("blast_radius")]
    found = tradeoff(with_defects(), vary={"max_parallel": [2, 12]}, axes=axes, replications=900, engine="compiled")
    assert found.axes == (Measure("makespan_s", 0.9, "good"), Measure("blast_radius"))
    assert plot_tradeoff(Figure().subplots(), found).get_xlabel() == "p90 of makespan of good releases (min)"
    assert found.differences.query("value == 12")["verdict"].tolist() == ["better", "worse"]
    assert found.improvement is None
    assert [row[-1] for row in found.summarize()[0].rows] == ["trade-off", "", "trade-off"]
