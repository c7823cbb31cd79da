"""Pareto fronts against brute force, known fronts, and the guarantee for cases that belong on them."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from drawn import draw, find_unreadable
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.figure import Figure
from refusals import refused
from small import rolling, small

from simdeploy.analysis.tradeoffs.dominance import choose_opponents, find_dominated, find_front
from simdeploy.analysis.tradeoffs.pareto import pareto_front
from simdeploy.experiments import read_store, sweep
from simdeploy.plotting.figures import draw_figure
from simdeploy.plotting.pareto import plot_pareto
from simdeploy.scenario.measures import Measure

MAKESPAN, BLAST = Measure("makespan_s"), Measure("blast_radius")
BOTH = {"makespan_s": "min", "blast_radius": "min"}
REPETITIONS = 2000


def table(makespan, blast, **columns):
    """Make a table of a sweep, a row of each array for each case."""
    n_cases, n = np.shape(makespan)
    return pd.DataFrame(
        {
            "case": np.repeat(np.arange(n_cases), n),
            "policy": "p",
            "replication": np.tile(np.arange(n), n_cases),
            "makespan_s": np.ravel(makespan),
            "blast_radius": np.ravel(blast),
            **columns,
        }
    )


def dominates(one, other):
    return (one <= other).all() and (one < other).any()


# -- the front by estimates --------------------------------------------------------------------------------------------

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 4))
POINTS = arrays.arrays(np.float64, SIZES, elements=st.integers(0, 6).map(float))


@example(np.array([[0.0, 5.0], [5.0, 0.0], [6.0, 1.0]]), math.nan)
@given(POINTS, st.sampled_from([1.0, math.nan]))
def test_the_front_is_that_of_brute_force(losses, half_width):
    """A point is on the front exactly if no other dominates it; its opponent does, and is on the front. [property]"""
    front = find_front(losses)
    expected = [not any(dominates(other, point) for other in losses) for point in losses]
    assert front.tolist() == expected
    opponents = choose_opponents(losses, np.full_like(losses, half_width), front)
    for point, opponent, is_on in zip(losses, opponents, front, strict=True):
        assert (opponent < 0) == is_on
        assert is_on or (front[opponent] and dominates(losses[opponent], point))


@pytest.mark.parametrize("n_measures", [2, 3])
def test_a_known_front_among_many(n_measures):
    """Of 10,000 points in a ball, the 100 on its lower boundary are the front. [oracle]"""
    rng = np.random.default_rng(0)
    on_sphere = -np.abs(rng.standard_normal((100, n_measures)))
    on_sphere /= np.linalg.norm(on_sphere, axis=1, keepdims=True)
    # Points dominated by at least one of them, however drawn.
    inside = on_sphere[rng.integers(0, 100, 9900)] + rng.exponential(0.1, (9900, n_measures))
    places = rng.permutation(10_000)
    front = find_front(np.concatenate([on_sphere, inside])[places])
    assert set(places[front]) == set(range(100))


def test_many_points_none_of_which_dominates():
    """10,000 points on a falling line are all on the front. [oracle]"""
    x = np.random.default_rng(1).random(10_000)
    assert find_front(np.stack([x, 1 - x], axis=1)).all()


def test_many_cases():
    """A table of 2,000 cases has the front of its means, in their directions. [oracle]"""
    rng = np.random.default_rng(2)
    makespan, blast = rng.exponential(size=(2, 2000, 4))
    found = pareto_front(table(makespan, blast), {"makespan_s": "min", "blast_radius": "max"})
    means = np.stack([makespan.mean(axis=1), blast.mean(axis=1)], axis=1)
    order = np.lexsort((-means[:, 1], means[:, 0]))
    best = np.maximum.accumulate(np.append(-np.inf, means[order, 1]))[:-1]
    assert set(np.flatnonzero(found.cases["is_on_front"])) == set(order[means[order, 1] > best])
    assert not found.cases["is_significantly_dominated"].any()


# -- significance ------------------------------------------------------------------------------------------------------


def test_cases_on_the_front_are_seldom_called_dominated():
    """With skewed responses, in 95 % of 2,000 repetitions all cases that belong on the front could be on it. [oracle]

    Four cases have the same mean makespan, so that each is dominated by none, although one is far worse otherwise.
    """
    rng, n = np.random.default_rng(3), 60
    mistakes = 0
    for _ in range(REPETITIONS):
        common = rng.exponential(size=n)
        makespan = 60 * (common + rng.exponential(size=(4, n)))
        blast = np.array([0.1, 0.2, 0.3, 0.9])[:, None] + 0.05 * rng.standard_normal((4, n))
        losses = np.stack([makespan.mean(axis=1), blast.mean(axis=1)], axis=1)
        opponents = choose_opponents(losses, np.ones_like(losses), find_front(losses))
        sure = find_dominated([makespan, blast], {MAKESPAN: "min", BLAST: "min"}, opponents, 0.95)
        mistakes += sure.any()
    assert mistakes / REPETITIONS <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def draw_expensive_failures(rng):
    """Draw makespan and lost requests of three cases in 400 worlds; the second and the third are on the true front.

    A failure that happens in one world of 50 costs the first case as much on average as the others lose all the time, so it looks
    better than they do where it happens seldom.
    """
    n = 400
    usual = rng.exponential(size=n)
    lost = np.stack([50 * (rng.random(n) < 0.02), 0.5 + 0.5 * usual, 0.5 + 0.5 * rng.exponential(size=n)])
    makespan = np.array([[100.0], [99.9], [80.0]]) + 5 * usual + rng.lognormal(sigma=1, size=(3, n))
    lost[2] += 1
    return makespan, lost


def draw_equal_means(rng):
    """Draw two cases with equal laws in one measure, of which the second is barely lower in the other in 60 worlds."""
    common = rng.exponential(size=60)
    makespan = 60 * (common + rng.exponential(size=(2, 60)))
    return makespan, np.array([[0.501], [0.5]]) + 0.1 * rng.standard_normal((2, 60))


@pytest.mark.parametrize(("draw", "n_repetitions"), [(draw_expensive_failures, 200), (draw_equal_means, 200)])
@pytest.mark.usefixtures("few_worlds_suffice")
def test_dominated_cases_are_seldom_called_on_the_front(draw, n_repetitions):
    """With rare and skewed values, a case that another dominates barely is on the front in at most 5 % of repetitions. [oracle]"""
    rng, directions = np.random.default_rng(7), {"makespan_s": "min", "lost_requests": "min"}
    mistakes = 0
    for _ in range(n_repetitions):
        makespan, lost = draw(rng)
        found = pareto_front(table(makespan, makespan, lost_requests=lost.ravel()), directions)
        standing = found.cases["standing"].tolist()
        mistakes += standing[0] == "on the front" or "dominated" in standing[1:]
    assert mistakes / n_repetitions <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / n_repetitions)


@pytest.mark.usefixtures("few_worlds_suffice")
@pytest.mark.parametrize("n_measures", [1, 2, 3])
def test_clear_fronts_are_certain(n_measures):
    """Cases that differ by many standard errors are on the front or dominated as their means are, whatever hides the means. [oracle]"""
    rng = np.random.default_rng(8)
    means = np.array([[1.0, 9.0, 5.0], [2.0, 8.0, 6.0], [3.0, 9.5, 7.0], [4.0, 2.0, 8.0], [5.0, 3.0, 1.0]])[
        :, :n_measures
    ]
    noise = 20 * rng.exponential(size=200)
    names = ["makespan_s", "lost_requests", "shed_requests"][:n_measures]
    values = {
        name: (means[:, [place]] + noise + rng.normal(0, 0.1, (5, 200))).ravel() for place, name in enumerate(names)
    }
    found = pareto_front(table(np.ones((5, 200)), np.ones((5, 200)), **values), dict.fromkeys(names, "min"))
    expected = [not any(dominates(other, point) for other in means) for point in means]
    assert found.cases["standing"].tolist() == [["dominated", "on the front"][is_on] for is_on in expected]


@pytest.mark.usefixtures("few_worlds_suffice")
def test_cases_far_better_in_a_maximized_measure_are_certain():
    """A case that may lose in the other measure is on the front only if its maximized measure is clearly higher. [oracle]"""
    rng = np.random.default_rng(8)
    lost = np.array([[50.0], [60.0], [70.0]]) + rng.normal(0, 1, (3, 200))
    makespan = np.array([[100.0], [100.0], [110.0]]) + rng.normal(0, 10, (3, 200))
    makespan[0] += makespan[1].mean() - makespan[0].mean() - 0.01  # so it is on the front by the estimates
    directions = {"makespan_s": "min", "lost_requests": "max"}
    found = pareto_front(table(makespan, makespan, lost_requests=lost.ravel()), directions)
    assert found.cases["is_on_front"].all()
    assert found.cases["standing"].tolist() == ["undecided", "on the front", "on the front"]


@pytest.mark.usefixtures("few_worlds_suffice")
def test_every_rival_must_be_ruled_out():
    """A case that is clearly better than its closest rival in the same worlds may still be dominated by a noisier one. [oracle]"""
    rng = np.random.default_rng(8)
    noise, other, little = rng.normal(0, 1, (2, 200)), rng.normal(0, 1, (2, 200)), rng.normal(0, 0.001, (2, 200))
    other += (noise - other).mean(axis=1, keepdims=True) + 0.1
    rival = noise + little + [[0.01], [-0.01]]
    makespan, lost = 100 + np.stack([noise, rival, other], axis=1)
    found = pareto_front(
        table(makespan, makespan, lost_requests=lost.ravel()), {"makespan_s": "min", "lost_requests": "min"}
    )
    assert found.cases["standing"].tolist() == ["undecided"] * 3


@pytest.mark.usefixtures("few_worlds_suffice")
def test_far_worse_cases_are_significantly_dominated():
    """A case worse in both by ten standard errors is significantly dominated, and pairing that removes noise helps. [oracle]"""
    rng = np.random.default_rng(4)
    noise = rng.exponential(size=100)
    # 100 worlds may lack 4 % of them, in which fractions may differ by 1.
    makespan, blast = 100 + 20 * noise + np.array([[0.0], [3.0]]), 0.4 + 0.1 * noise + np.array([[0.0], [0.045]])
    makespan, blast = makespan + rng.normal(0, 0.1, (2, 100)), blast + rng.normal(0, 0.001, (2, 100))
    found = pareto_front(table(makespan, blast), BOTH)
    assert found.cases["is_significantly_dominated"].tolist() == [False, True]
    assert found.cases["dominated_by"].tolist()[1] == 0
    apart = pareto_front(table(makespan, np.stack([blast[0], rng.permutation(blast[1])])), BOTH)
    assert not apart.cases["is_significantly_dominated"].any()


def test_equal_measures_leave_domination_open():
    """A case significantly worse in one measure and equal in the other could be on the front. [contract]"""
    found = pareto_front(table([[1.0, 2.0, 1.0], [5.0, 6.0, 5.0]], [[0.5] * 3] * 2), BOTH)
    assert found.cases["is_on_front"].tolist() == [True, False]
    assert not found.cases["is_significantly_dominated"].any()


@pytest.mark.parametrize(("direction", "sign"), [("min", 1), ("max", -1)])
def test_directions_rates_and_quantiles(direction, sign):
    """Significant domination follows the requested direction, also for rates and quantiles. [oracle]"""
    rng = np.random.default_rng(5)
    makespan = 1000 + sign * (np.array([[0.0], [50.0]]) + rng.exponential(size=(2, 200)))
    verdicts = np.where(rng.random((2, 200)) < np.array([[0.2], [0.8]]), "false_alarm", "completed_good")
    verdicts = verdicts if sign > 0 else verdicts[:, ::-1][::-1]
    frame = table(makespan, makespan, verdict=verdicts.ravel())
    found = pareto_front(frame, {"p90 makespan_s": direction, "false_alarm": direction})
    assert found.cases["is_significantly_dominated"].tolist() == [False, True]


# -- tables --------------------------------------------------------------------------------------------------------------


def test_by_hand():
    """Estimates, front, opponent and interval of a small table follow from its means. [oracle]"""
    found = pareto_front(table([[1.0, 3.0], [4.0, 6.0], [9.0, 7.0]], [[0.9, 0.7], [0.1, 0.3], [0.4, 0.6]]), BOTH)
    assert found.cases["makespan_s"].tolist() == [2, 5, 8]
    assert found.cases["is_on_front"].tolist() == [True, True, False]
    assert found.cases["dominated_by"].tolist() == [pd.NA, pd.NA, 1]
    assert len(found.estimates) == 6
    assert found.estimates["n"].eq(2).all()
    front = "the estimated Pareto front of makespan (min) and blast radius (min): p, case 0; p, case 1."
    assert f"2 of 3 cases are on {front}" in found.answer
    assert "With 95 % confidence: 0 on the front, 0 dominated; 3 undecided." in found.answer
    columns = ["is_on_front", "dominated_by", "is_significantly_dominated", "makespan_s"]
    assert [str(found.cases[name].dtype) for name in columns] == ["boolean", "Int64", "bool", "float64"]
    assert [row[-1] for row in found.summarize()[0].rows] == [
        "on the estimated front",
        "on the estimated front",
        "may be on the front",
    ]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["cases"][2]["dominated_by"] == 1
    assert "<table>" in found._repr_html_()


def test_missing_values_are_not_judged():
    """A case without a value is neither on the front nor off it, and dominates nothing. [contract]"""
    found = pareto_front(table([[np.nan, np.nan], [5.0, 5.0]], [[0.0, 0.0], [0.5, 0.5]]), BOTH)
    assert found.cases["is_on_front"].isna().tolist() == [True, False]
    assert found.cases["is_on_front"][1]
    assert not found.cases["is_significantly_dominated"].any()
    assert found.answer.endswith("Standing unknown for p, case 0: 100 % of its rollouts never end.")
    ended = pareto_front(table([[1.0, 1.0], [5.0, 5.0]], [[np.nan, np.nan], [0.5, 0.5]]), BOTH)
    assert ended.cases["is_on_front"].isna().tolist() == [True, False]
    assert ended.answer.endswith("1 on the front, 0 dominated; 1 without a value.")


@pytest.mark.usefixtures("few_worlds_suffice")
def test_every_standing_is_data():
    """Each case's standing is in the JSON, and answer and table count and name accordingly. [contract]"""
    makespan, blast = (1.0, 0.5, 1.003, 9.0, 2.0, math.nan), (0.5, 0.9, 0.503, 0.95, math.nan, 0.1)
    noise = np.random.default_rng(1).normal(size=(2, 6, 200)) / 50
    found = pareto_front(table(np.array(makespan)[:, None] + noise[0], np.array(blast)[:, None] + noise[1]), BOTH)
    document = found.to_dict()
    standings = ["undecided", "on the front", "undecided", "dominated", "no value", "unknown"]
    assert [row["standing"] for row in document["cases"]] == standings
    assert [row["is_on_front"] for row in document["cases"]] == [True, True, False, False, None, None]
    assert [row["unknown_fraction"] for row in document["cases"]] == [0, 0, 0, 0, 0, 1]
    assert "2 of 6 cases are on the estimated Pareto front" in found.answer
    others = "With 95 % confidence: 1 on the front, 1 dominated; 2 undecided; 1 without a value."
    assert f"{others} 1 is unknown: rollouts never end." in found.answer
    shown = ["on the front", "on the estimated front", "may be on the front", "unknown"]
    assert [row[-1] for row in found.summarize()[0].rows] == shown


def test_policies_are_named():
    """In a table of policies the dominating one is named. [contract]"""
    frame = table([[1.0, 1.0], [2.0, 2.0]], [[0.1, 0.1], [0.2, 0.2]])
    frame["policy"] = np.repeat(["fast", "slow"], 2)
    found = pareto_front(frame.drop(columns="case"), BOTH)
    assert found.cases["dominated_by"].tolist()[1] == "fast"
    assert found.cases["dominated_by"].isna().tolist() == [True, False]
    assert "case" not in found.cases


def test_stored_and_shuffled_rows_agree(tmp_path):
    """A sweep, its store and its rows in any order have the same front, by case. [property]"""
    scenario = small({"nodes": 6, "requests_per_second": 0}, release=None, policies={"p": rolling()})
    vary = {"max_parallel": [6, 1, 3], "max_failed_nodes": [0, 3]}
    result = sweep(scenario, "p", vary=vary, replications=20, engine="compiled")
    sweep(scenario, "p", vary=vary, replications=20, engine="compiled", store=tmp_path / "s")
    directions = {"makespan_s given completed": "min", "false_alarm": "min"}
    expected = pareto_front(result, directions)
    shuffled = result.to_frame().sample(frac=1, random_state=0)
    for other in (read_store(tmp_path / "s"), shuffled):
        found = pareto_front(other, directions)
        columns = list(expected.cases)
        pd.testing.assert_frame_equal(found.cases[columns], expected.cases, check_dtype=False)


def test_cases_with_other_probabilities_of_kinds_are_refused():
    """If kinds have worlds of their own, cases with other probabilities don't share them; drawn worlds can be compared. [contract]"""
    scenario, vary = small(policies={"p": rolling()}), {"scenario.release.good.probability": [0.5, 0.9]}
    how = {"vary": vary, "replications": 20, "engine": "compiled"}
    message = str(refused(pareto_front, sweep(scenario, "p", strata="kinds", **how), BOTH))
    assert message.startswith("responses: kinds of release have other probabilities in some cases")
    assert len(pareto_front(sweep(scenario, "p", **how), BOTH).cases) == 2


@pytest.mark.parametrize(
    ("directions", "more", "message"),
    [
        ({}, {}, "invalid objectives"),
        (["makespan_s"], {}, "invalid objectives"),
        (
            {"makespan_s": "mix"},
            {},
            "makespan_s: invalid direction (found 'mix'); allowed: min, max; did you mean 'min'?",
        ),
        ({"makespan": "min"}, {}, "did you mean 'makespan_s'?"),
        ({"cost": "min"}, {}, "no costs"),
        ({"makespan_s": "min"}, {"confidence_level": 1}, "invalid confidence level"),
    ],
)
def test_invalid_arguments(directions, more, message):
    """Invalid directions, measures and levels are refused. [contract]"""
    assert message in str(refused(pareto_front, table([[1.0]], [[1.0]]), directions, **more))


# -- the picture -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_worlds_suffice")
def test_the_picture_has_every_case_once():
    """Cases are drawn as on the front, on it by estimates, possibly on it, or dominated; the line is that by estimates. [contract]"""
    rng = np.random.default_rng(6)
    makespan = np.array([[100.0], [200.0], [300.0], [100.1], [210.0]]) + rng.exponential(size=(5, 100))
    blast = np.array([[0.9], [0.3], [0.8], [0.9], [0.301]]) + 0.001 * rng.random((5, 100))
    found = pareto_front(table(makespan, blast), BOTH)
    ax = plot_pareto(Figure().subplots(), found)
    drawn = {points.get_label(): points.get_offsets() for points in ax.collections if len(points.get_label()) > 4}
    assert len(drawn["dominated"]) == found.cases["is_significantly_dominated"].sum() >= 1
    line, sure, estimated = ax.get_lines()
    on_front = found.cases[found.cases["is_on_front"].to_numpy(dtype=bool)]
    assert sorted(line.get_xdata()) == sorted(on_front["makespan_s"])
    assert sorted([*estimated.get_xdata(), *sure.get_xdata()]) == sorted(on_front["makespan_s"])
    assert len(sure.get_xdata()) == found.cases["standing"].eq("on the front").sum() == 1
    assert (estimated.get_label(), sure.get_label()) == ("estimated front", "on the front")
    assert line.get_drawstyle() == "steps-post"
    assert sum(map(len, (drawn["dominated"], drawn["may be on the front"], on_front))) == 5


@pytest.mark.usefixtures("few_worlds_suffice")
def test_names_and_legend_of_certain_cases():
    """Certain cases are named first, and the legend lists just what is drawn, inside the figure. [contract]"""
    rng = np.random.default_rng(9)
    makespan = np.array([[300.0], [100.0], [100.05], [400.0], [100.0]]) + rng.exponential(size=(5, 200))
    blast = np.array([[0.1], [0.5], [0.5], [0.9], [0.501]]) + 0.01 * rng.random((5, 200))
    found = pareto_front(table(makespan, blast), BOTH)
    assert found.cases["standing"].tolist() == ["on the front", "undecided", "undecided", "dominated", "undecided"]
    assert "(min): p, case 0; p, case " in found.answer
    figure = draw(draw_figure(found))
    assert not find_unreadable(figure)
    assert len(figure.axes[0].get_legend().get_texts()) == 4
    figure = draw_figure(pareto_front(table(makespan[:1], blast[:1]), BOTH))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["on the front"]


def test_a_picture_needs_two_measures():
    """A front over one measure, and an unknown measure, are refused. [contract]"""
    one = pareto_front(table([[1.0]], [[1.0]]), {"makespan_s": "min"})
    assert "a picture needs two measures" in str(refused(plot_pareto, Figure().subplots(), one))
    both = pareto_front(table([[1.0]], [[1.0]]), BOTH)
    assert "y: the result has no such measure" in str(refused(plot_pareto, Figure().subplots(), both, y="waves"))
