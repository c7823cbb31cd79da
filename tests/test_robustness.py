"""Regrets over worlds, against hand-made tables, Student's interval, and their coverage."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from matplotlib.figure import Figure
from refusals import refused
from scipy import stats
from small import rolling, small

from simdeploy.analysis.regret.regrets import estimate_regrets, find_worlds
from simdeploy.analysis.regret.robustness import estimate_regret
from simdeploy.errors import InputError
from simdeploy.experiments import sweep
from simdeploy.plotting.regret import plot_regret
from simdeploy.scenario.measures import Measure, Requirement, parse_requirement
from simdeploy.scenario.parts import Costs
from simdeploy.statistics.pairs import estimate_gaps
from simdeploy.statistics.sample import as_sample

pytestmark = pytest.mark.usefixtures("few_worlds_suffice")

REPETITIONS = 500
# Four standard errors below and above 95 %.
LEAST, MOST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / REPETITIONS), 0.95 + 4 * math.sqrt(0.95 * 0.05 / REPETITIONS)
MAKESPAN = Measure("makespan_s")


def table(values, **columns):
    """Make a table of candidates and worlds from values by candidate, world and replication."""
    values = np.asarray(values, float)
    worlds = values.shape[1]
    index = np.indices(values.shape).reshape(3, -1)
    columns = {name: np.broadcast_to(column, values.shape).ravel() for name, column in columns.items()}
    keys = {
        "case": index[0] * worlds + index[1],
        "scenario": [f"w{world}" for world in index[1]],
        "policy": [f"p{candidate}" for candidate in index[0]],
        "replication": index[2],
        "makespan_s": values.ravel(),
        "touched_nodes": 1,
    }
    return pd.DataFrame(keys | columns)


def worlds_of(candidates, worlds):
    """Make candidates and worlds without a table of replications."""
    return find_worlds(table(np.zeros((candidates, worlds, 1)))[["case", "scenario", "policy"]])


def test_regrets_by_hand():
    """Savage's table: each candidate's loss against the best of each world, its maximum and its mean. [oracle]"""
    values = [[10, 50, 7], [20, 40, 9], [40, 45, 5]]
    result = estimate_regret(table(np.array(values)[:, :, None]), of="makespan_s")
    regrets = result.regrets.pivot_table(index="policy", columns="scenario", values="regret").to_numpy()
    assert regrets.tolist() == [[0, 10, 2], [10, 0, 4], [30, 5, 0]]
    assert result.candidates["candidate"].tolist() == ["p0", "p1", "p2"]
    assert result.candidates["max_regret"].tolist() == [10, 10, 30]
    assert result.candidates["mean_regret"].tolist() == pytest.approx([4, 14 / 3, 35 / 3])
    assert result.candidates["worst_world"].tolist() == ["w1", "w0", "w0"]
    assert result.regrets.loc[result.regrets["is_best"], "scenario"].tolist() == ["w0", "w1", "w2"]


def test_more_may_be_better():
    """If more is better the best has the most; some measures have that direction by default. [oracle]"""
    values = np.array([[[10.0, 10.0]], [[30.0, 30.0]]])
    result = estimate_regret(table(values), of="makespan_s", direction="max")
    assert result.regrets["regret"].tolist() == [20.0, 0.0]
    frame = table(values, verdict=[[["completed_good", "false_alarm"]], [["completed_good"] * 2]])
    assert estimate_regret(frame, of="completed_good").regrets["regret"].tolist() == [0.5, 0.0]
    assert estimate_regret(frame, of="false_alarm").regrets["regret"].tolist() == [0.5, 0.0]


@pytest.mark.usefixtures("students_limits")
def test_with_two_candidates_the_interval_is_students():
    """With one rival the regret is a paired difference, with Student's interval, cut at 0. [oracle]"""
    rng = np.random.default_rng(5)
    values = rng.exponential(10, (2, 1, 30)) + np.array([20.0, 0.0])[:, None, None]
    found = estimate_regret(table(values), of="makespan_s").regrets.iloc[0]
    interval = stats.ttest_rel(values[0, 0], values[1, 0]).confidence_interval(0.95)
    assert found["regret"] == pytest.approx((values[0] - values[1]).mean())
    assert (found["regret_low"], found["regret_high"]) == pytest.approx((interval.low, interval.high))
    best = estimate_regret(table(values), of="makespan_s").regrets.iloc[1]
    assert (best["regret"], best["regret_low"], best["regret_high"]) == (0, 0, 0)


def covers(draw, truth, measure=MAKESPAN):
    """Return the coverage of each regret, and of all largest and mean ones together; `truth` by candidate and world."""
    worlds = worlds_of(*truth.shape)
    true = truth - truth.min(axis=0)
    each, joint = np.zeros(true.shape), np.zeros(2)
    for repetition in range(REPETITIONS):
        observed = draw(repetition).reshape(true.size, -1)
        of_worlds = observed.reshape(*true.shape, -1).swapaxes(0, 1)
        samples = [as_sample(of_world) for of_world in of_worlds]
        columns, bounds = estimate_regrets(samples, np.zeros(true.size), worlds, measure, "min", 0.95)
        low, high = (np.asarray(columns[name]).reshape(true.shape) for name in ("regret_low", "regret_high"))
        each += (low <= true + 1e-12) & (true <= high + 1e-12)
        for place, summary in enumerate((np.max, np.mean)):
            low, expected, high = (summary(each, axis=1) for each in (bounds[..., 0], true, bounds[..., 1]))
            joint[place] += ((low <= expected + 1e-12) & (expected <= high + 1e-12)).all()
    return each / REPETITIONS, joint / REPETITIONS


@pytest.mark.parametrize("shape", ["normal", "exponential"])
def test_regrets_are_covered(shape):
    """Intervals of regrets cover at least as often as stated, with ties for the best, skewed and common noise; n = 60. [oracle]"""
    truth = np.array([[10.0, 12.0], [10.0, 10.0], [10.5, 10.0], [13.0, 10.2]])

    def draw(repetition):
        rng = np.random.default_rng((1, repetition))
        size = (*truth.shape, 60)
        if shape == "normal":
            return truth[:, :, None] + rng.normal(0, 1, (1, *size[1:])) + rng.normal(0, 1, size)
        # Common worlds plus individual noise; the larger the mean the larger the spread.
        return truth[:, :, None] * (rng.exponential(1, (1, *size[1:])) + 0.2 * rng.exponential(1, size)) / 1.2

    each, joint = covers(draw, truth)
    assert each.min() >= LEAST
    assert joint.min() >= LEAST


def test_the_interval_of_the_only_rival_covers_exactly():
    """If two candidates are clearly apart, the interval isn't conservative; n = 40, exponential. [oracle]"""
    truth = np.array([[3.0], [1.0]])

    def draw(repetition):
        return truth[:, :, None] * np.random.default_rng((2, repetition)).exponential(1, (2, 1, 40))

    each, _ = covers(draw, truth)
    assert LEAST <= each[0, 0] <= MOST
    assert each[1, 0] == 1


@pytest.mark.parametrize("measure", [Measure("false_alarm"), Measure("makespan_s", quantile=0.8)])
def test_regrets_of_rates_and_quantiles_are_covered(measure):
    """Regrets of rare events and of quantiles are covered, conservatively; n = 80, common worlds. [oracle]"""
    rates = np.array([[0.03], [0.02], [0.02]])
    truth = rates if measure.kind == "rate" else -np.log(1 - 0.8) / (100 * rates)

    def draw(repetition):
        uniform = np.random.default_rng((3, repetition)).random((1, 1, 80))
        if measure.kind == "rate":
            return (uniform < rates[:, :, None]).astype(float)
        return -np.log(uniform) / (100 * rates[:, :, None])

    each, joint = covers(draw, truth, measure)
    assert each.min() >= LEAST
    assert joint.min() >= LEAST


def test_gaps_of_quantiles_by_hand():
    """The gap of two quantiles is that of their estimates, with limits from both intervals. [oracle]"""
    values = np.stack([np.arange(1.0, 101.0), np.arange(1.0, 101.0) + 7])
    gaps = estimate_gaps(values, Measure("makespan_s", quantile=0.5), direction="min", confidence_level=0.95)
    lows = [k for k in range(1, 101) if stats.binom.cdf(k - 1, 100, 0.5) <= 0.0125]
    low, high = max(lows), 101 - max(lows)
    assert gaps.estimate[1, 0] == 7
    assert (gaps.low[1, 0], gaps.high[1, 0]) == (low + 7 - high, high + 7 - low)
    assert (gaps.low[0, 1], gaps.high[0, 1]) == (-gaps.high[1, 0], -gaps.low[1, 0])


def test_the_scenarios_requirements_are_the_default():
    """Candidates have to meet the swept scenario's requirements, unless others are given. [contract]"""
    scenario = small(policies={"p": rolling()}, requirements=[{"of": "failed_nodes", "at_most": 1000}])
    table = sweep(scenario, "p", vary={"max_parallel": [1, 2]}, replications=2, engine="compiled")
    assert [str(each) for each in estimate_regret(table, of="makespan_s").requirements] == ["failed_nodes <= 1000"]
    assert estimate_regret(table, of="makespan_s", requirements=()).requirements == ()


def test_domain_criterion_by_hand():
    """A requirement is met, not met or undecided in each world by its interval; a candidate needs all of its own. [oracle]"""
    rng = np.random.default_rng(0)
    means = np.array([[10.0, 20.0, 10.0], [10.0, 10.0, 30.0]])
    values = means[:, :, None] + rng.normal(0, 1, (2, 3, 50))
    values[1, 2] = 15 + 40 * (np.arange(50) % 2 - 0.5)
    result = estimate_regret(
        table(values, failed_nodes=np.array([1, 5])[:, None, None]),
        of="makespan_s",
        requirements=[
            "p50 makespan_s <= 15",
            parse_requirement("p50 failed_nodes >= 1"),
            replace(parse_requirement("p50 failed_nodes >= 5"), policy="p1"),
        ],
    )
    verdicts = result.regrets.set_index(["policy", "scenario"])["verdict"]
    assert verdicts["p0"].tolist() == ["met", "not met", "met"]
    assert verdicts["p1"].tolist() == ["met", "met", "undecided"]
    shares = result.candidates.set_index("candidate")[["met_fraction", "not_met_fraction", "undecided_fraction"]]
    assert shares.loc["p0"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert shares.loc["p1"].tolist() == pytest.approx([2 / 3, 0, 1 / 3])


@pytest.mark.usefixtures("few_values_suffice")
def test_endless_rollouts_have_no_regret():
    """A world with endless rollouts of a candidate is left out and reported; failed replications are counted. [contract]"""
    values = np.array([[[10.0, 11.0], [20.0, 20.0]], [[30.0, 31.0], [10.0, np.nan]]])
    result = estimate_regret(table(values), of="makespan_s", requirements=["makespan_s <= 100"])
    assert result.regrets["regret"].isna().tolist() == [False, True, False, True]
    assert result.regrets["unknown_fraction"].tolist() == [0, 0, 0, 0.5]
    assert result.candidates["n_worlds"].tolist() == [1, 1]
    assert result.candidates["max_regret"].tolist() == [0, 20]
    assert result.regrets["verdict"].iloc[3] == "undecided"
    assert "1 of 2 worlds is excluded: makespan is unknown there." in result.answer
    status = np.where(np.isnan(values), "failed", "ok")
    failed = estimate_regret(table(values, status=status), of="makespan_s")
    assert (failed.n_failed, failed.regrets["n"].tolist()) == (1, [2, 2, 2, 1])
    assert failed.regrets["regret"].tolist() == [0, 10, 20, 0]
    assert failed.answer.endswith(" 1 replication failed and is excluded.")


def test_nothing_is_known():
    """If no world is known there is neither a number nor a zero. [contract]"""
    values = np.full((2, 1, 3), np.nan)
    result = estimate_regret(table(values), of="makespan_s")
    assert result.answer == "Regret in makespan is unknown. 1 of 1 world is excluded: makespan is unknown there."
    assert result.candidates[["max_regret", "mean_regret", "max_regret_high"]].isna().all(axis=None)
    assert result.to_dict()["candidates"][0]["worst_world"] is None
    plot_regret(Figure().subplots(), result)


def test_each_scenario_may_have_its_own_costs():
    """Costs by name of a scenario apply to its worlds; a scenario without is refused. [contract]"""
    hour = {"verdict": "completed_good", "failed_requests_excess": 0.0, "unavailable_excess_node_s": 0.0}
    frame = table(np.array([[[3600.0], [3600.0]], [[7200.0], [7200.0]]]), **hour)
    cheap, dear = (Costs(0, 0, of_hour, 0, 0) for of_hour in (1.0, 10.0))
    result = estimate_regret(frame, costs={"w0": cheap, "w1": dear})
    assert result.regrets["estimate"].tolist() == [1, 10, 2, 20]
    assert estimate_regret(frame, costs=dear).regrets["regret"].tolist() == [0, 0, 10, 10]
    assert "costs: a scenario has no costs (found w1)" in str(refused(estimate_regret, frame, costs={"w0": cheap}))
    assert "no costs" in str(refused(estimate_regret, frame))


def test_units_are_not_mixed():
    """Regrets in different units are refused; the message names the unit of each scenario. [contract]"""
    hour = {"verdict": "completed_good", "failed_requests_excess": 0.0, "unavailable_excess_node_s": 0.0}
    frame = table(np.array([[[3600.0]] * 3, [[7200.0]] * 3]), **hour)
    euros, points = (Costs(0, 0, 1, 0, 0, unit) for unit in ("EUR", "points"))
    more, bare = Costs(0, 0, 2, 0, 0, "EUR"), Costs(0, 0, 1, 0, 0)
    of_each = {"w0": euros, "w1": points, "w2": euros}
    message = "costs.unit: the scenarios' costs have different units (found EUR in w0, w2; points in w1)"
    for asked in ({}, {"of": "makespan_s", "requirements": "cost <= 3"}):
        assert message in str(refused(estimate_regret, frame, costs=of_each, **asked))
    error = refused(estimate_regret, frame, costs={"w0": euros, "w1": more, "w2": bare})
    assert "found EUR in w0, w1; no unit in w2" in str(error)
    assert estimate_regret(frame, of="makespan_s", costs=of_each).regrets["regret"].max() == 3600
    result = estimate_regret(frame, costs={"w0": euros, "w1": more, "w2": euros, "elsewhere": points})
    assert list(result.computed_under["costs"]) == ["w0", "w1", "w2"]
    assert "0.0 EUR (no interval)" in result.answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"of": "makespan"}, "unknown measure"),
        ({"direction": "lower"}, "invalid direction"),
        ({"confidence_level": 95}, "invalid confidence level"),
        ({"requirements": ["makespan_s"]}, "invalid requirement"),
        ({"requirements": ["makespan_s <= 1h", "cost <= 3"]}, "no costs"),
        ({"requirements": "makespan_s"}, "requirements[0]: invalid requirement (found 'makespan_s')"),
        ({"requirements": [Requirement(Measure("failed"), at_most=5.0)]}, "requirements[0].at_most: failed is between"),
        ({"requirements": [Requirement(MAKESPAN, at_most=5.0, policy="p2")]}, "requirements[0].policy: no such"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    """Invalid arguments are refused with the reason. [contract]"""
    assert message in str(refused(estimate_regret, table(np.ones((2, 2, 2))), **({"of": "makespan_s"} | arguments)))


@pytest.mark.usefixtures("few_values_suffice")
@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ([40.0, 41.0, 42.0], "worse"),
        ([10.0, 31.0, 12.0], "unclear"),
        ([10.0, 11.0, 12.0], "equal"),
        ([math.nan, math.nan, math.nan], "unknown"),
    ],
)
def test_every_verdict_is_data(other, verdict):
    """Whether the next candidate is worse than the one with the lowest regret is in the JSON. [contract]"""
    result = estimate_regret(table([[[10.0, 11.0, 12.0]], [other]]), of="makespan_s")
    assert [row["regret_verdict"] for row in result.to_dict()["candidates"]] == [None, verdict]
    assert ("Regret in makespan is unknown" in result.answer) == (verdict == "unknown")
    assert ("but p1 may be as good" in result.answer) == (verdict in ("equal", "unclear"))
    assert ("less than p1" in result.answer) == (verdict == "worse")
    assert math.isnan(result.replications_needed) == (verdict != "unclear")


@pytest.mark.usefixtures("students_limits")
def test_it_says_how_many_replications_would_decide():
    """With that many, the half-width of the lead, here Student's, would equal the lead. [oracle]"""
    others = np.array([10.0, 31.0, 12.0])
    result = estimate_regret(table([[[10.0, 11.0, 12.0]], [others]]), of="makespan_s")
    lead = others - [10.0, 11.0, 12.0]
    half_width = stats.t.ppf(0.975, 2) * stats.sem(lead)
    assert result.replications_needed == pytest.approx(3 * (half_width / lead.mean()) ** 2)
    assert "; about 56 replications needed." in result.answer


def test_every_candidate_has_to_be_in_every_world():
    """A candidate missing in a world is named; a repeated case counts once. [contract]"""
    frame = table(np.ones((2, 2, 2)))
    with pytest.raises(InputError, match=r"missing candidate in a world \(found p1 in w1\)"):
        estimate_regret(frame[frame["case"] != 3], of="makespan_s")
    again = frame[frame["case"] == 3].assign(case=4, makespan_s=1.0)
    assert len(estimate_regret(pd.concat([frame, again]), of="makespan_s").regrets) == 4


def test_candidates_are_listed_as_in_a_sentence():
    """Only names with commas are separated by semicolons. [contract]"""
    result = estimate_regret(table(np.arange(3)[:, None, None] + np.zeros((3, 1, 1000))), of="makespan_s")
    assert result.answer.endswith("less than p1 and p2.")
    named = result.candidates["candidate"].replace({"p1": "p1, max_parallel 2"})
    assert replace(result, candidates=result.candidates.assign(candidate=named)).answer.endswith(
        "p1, max_parallel 2; p2."
    )


def make_scenario(name="small", **fleet):
    """Make a scenario with a fast and a careful policy."""
    fleet = {"nodes": 6, "requests_per_second": 0, "start_failure": 0} | fleet
    return small(fleet, name=name, release=None, policies={"fast": rolling(6), "slow": rolling(2)})


def test_worlds_and_candidates_of_a_sweep(tmp_path):
    """Scenarios with their factors are worlds, policies with their keys candidates, from memory and from a store. [contract]"""
    scenarios = {"calm": make_scenario(), "rough": make_scenario(start_failure=0.3)}
    vary = {"max_failed_nodes": [0, 5], "scenario.fleet.update_duration": [30, 60]}
    how = {"vary": vary, "replications": 8, "engine": "compiled"}
    result = estimate_regret(sweep(scenarios, ["fast", "slow"], **how), of="makespan_s")
    assert result.regrets["candidate"].nunique() == 4
    assert result.regrets["world"].unique().tolist() == [
        f"{name}, update_duration {duration}" for name in scenarios for duration in ("30s", "1m")
    ]
    assert result.regrets.columns[:7].tolist() == [
        *("candidate", "policy", "max_failed_nodes", "world", "scenario", "scenario.fleet.update_duration"),
        "estimate",
    ]
    stored = estimate_regret(sweep(scenarios, ["fast", "slow"], store=tmp_path / "s", **how), of="makespan_s")
    pd.testing.assert_frame_equal(stored.regrets, result.regrets)
    json.dumps(result.to_dict(), allow_nan=False)
    first = result.candidates["candidate"].iloc[0]
    assert result.answer.startswith(f"{first} is the safest choice over 4 worlds: in makespan at most ")
    assert "<table>" in result._repr_html_()


def test_one_candidate_has_no_regrets():
    """A single candidate has no regrets, but still meets its requirements or not. [contract]"""
    result = estimate_regret(table(np.ones((1, 2, 9))), of="makespan_s", requirements=["p50 makespan_s <= 2"])
    assert result.answer == "p0 is the only candidate in 2 worlds. It meets its requirements in 2 of 2 worlds."
    assert result.regrets["regret"].tolist() == [0, 0]


def test_the_picture_shows_every_regret():
    """Every cell has its number, candidates are in order, and any names are shown unchanged. [contract]"""
    frame = table(np.array([[[30.0], [10.0]], [[10.0], [20.0]]])).replace({"policy": {"p0": "$x$ [b]"}})
    ax = draw_on(plot_regret, estimate_regret(frame, of="makespan_s"))
    assert [text.get_text() for text in ax.texts] == ["0.0", "10.0", "20.0", "0.0", "10.0", "20.0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["p1", "$x$ [b]"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["w0", "w1", "largest\nregret"]
    assert ax.get_title() == "Regret: makespan (s) lost against the best policy of each world"
    assert not find_unreadable(ax.figure)


def test_equal_regrets_have_equal_colours():
    """Regrets that read the same have the same colour, however small the largest one is. [contract]"""
    noise = np.tile([0.0, 20.0], 10)
    values = np.array([[noise, noise + 0.01], [20.01 - noise, 20 - noise]])
    ax = draw_on(plot_regret, estimate_regret(table(values), of="makespan_s"))
    (image,) = ax.images
    assert {float(text.get_text()) for text in ax.texts} == {0.0}
    assert len({tuple(colour) for row in image.to_rgba(image.get_array()) for colour in row.tolist()}) == 1


def test_the_picture_writes_durations_with_their_unit():
    """Worlds that differ in a duration are labelled with its unit. [contract]"""
    frame = table(np.array([[[30.0], [10.0]], [[10.0], [20.0]]]))
    frame["scenario.fleet.update_duration"] = frame["scenario"].map({"w0": 30.0, "w1": 90.0})
    ax = draw_on(plot_regret, estimate_regret(frame, of="makespan_s"))
    assert [label.get_text() for label in ax.get_xticklabels()][:2] == ["w0\n30s", "w1\n1m30s"]


def test_the_picture_hides_regrets_of_infeasible_candidates():
    """A missed requirement gives a hatched cell with a note; an undecided one a question mark. [contract]"""
    rng = np.random.default_rng(0)
    values = np.array([[[100.0], [200.0]], [[140.0], [150.0]]]) + rng.normal(size=(2, 2, 200))
    result = estimate_regret(table(values), of="makespan_s", requirements=["p50 makespan_s <= 150"])
    verdicts = result.regrets.pivot(index="candidate", columns="world", values="verdict")
    verdicts = verdicts.loc[result.candidates["candidate"]].to_numpy()
    assert {"met", "not met", "undecided"} == set(verdicts.ravel())
    ax = draw_on(plot_regret, result)
    np.testing.assert_array_equal(np.ma.getmaskarray(ax.images[0].get_array()), verdicts == "not met")
    hatched = {tuple(np.array(patch.get_xy()) + 0.5) for patch in ax.patches if patch.get_hatch()}
    assert hatched == {(column, row) for row, column in np.argwhere(verdicts == "not met")}
    words = {text.get_position(): text.get_text() for text in ax.texts}
    for (row, column), verdict in np.ndenumerate(verdicts):
        assert (words[column, row] == "misses a\nrequirement") == (verdict == "not met")
        assert words[column, row].endswith("?") == (verdict == "undecided")
    assert ax.get_title().endswith("?: undecided whether it meets the requirements")
    assert not find_unreadable(ax.figure)


@pytest.mark.parametrize(("n_candidates", "n_worlds"), [(3, 6), (12, 20)])
def test_the_picture_of_regrets_has_room(n_candidates, n_worlds):
    """Numbers stand in cells that have room; otherwise a bar explains the colours. [property]"""
    values = np.arange(n_candidates * n_worlds * 2.0).reshape(n_candidates, n_worlds, 2) ** 2
    n_texts, n_axes = (n_candidates * (n_worlds + 1), 1) if n_worlds == 6 else (n_candidates, 2)
    ax = draw_on(plot_regret, estimate_regret(table(values), of="makespan_s"), n_axes=n_axes)
    assert len(ax.texts) == n_texts
    assert not find_unreadable(ax.figure)
