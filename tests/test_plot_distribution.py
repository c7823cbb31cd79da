"""Distributions by policy: classes, weights and quantiles, and policies without values."""

import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_unreadable
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

import simdeploy
from simdeploy import InputError
from simdeploy.plotting import plot_distribution
from simdeploy.plotting.style import LINE_LOOKS


def make_table(**policies):
    """Make a table of replications from makespans by policy."""
    rows = [
        {"policy": policy, "replication": number, "makespan_s": value, "failed_nodes": number % 7}
        for policy, values in policies.items()
        for number, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def draw_distribution(table, size=(3.4, 2.2), **how):
    """Draw a distribution on a new figure."""
    return draw_on(plot_distribution, table, size=size, **how)


def read_rows(ax):
    """Return by row the classes of a histogram, their relative heights, and the lines at quantiles."""
    lines = [lines for lines in ax.collections if isinstance(lines, LineCollection)]
    ends = [float(line.get_segments()[0][0, 0]) for line in lines]
    steps = [patch.get_data() for patch in ax.patches if hasattr(patch, "get_data")]
    found = []
    for row, step in enumerate(steps):
        heights = (step.baseline - step.values) / 0.8
        found.append((step.edges, heights, (ends[4 * row], ends[4 * row + 2])))
    return found


def test_rows_are_histograms_with_quantiles():
    """Each row has counts in common classes, and lines at median and 0.95 quantile, in one colour per policy. [oracle]"""
    rng = np.random.default_rng(1)
    values = {"fast": rng.lognormal(5, 0.5, 300), "slow": rng.lognormal(6, 0.5, 300)}
    ax = draw_distribution(make_table(**values))
    rows = read_rows(ax)
    together = np.concatenate(list(values.values()))
    for (edges, heights, quantiles), of_policy in zip(rows, values.values(), strict=True):
        expected, limits = np.histogram(of_policy, 40, (together.min(), together.max()))
        assert edges == pytest.approx(limits)
        assert heights == pytest.approx(expected / expected.max())
        assert quantiles == (np.sort(of_policy)[149], np.sort(of_policy)[284])
    colours = [patch.get_facecolor() for patch in ax.patches if hasattr(patch, "get_data")]
    assert colours == [to_rgba(look.colour) for look in LINE_LOOKS[:2]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["median", "p95"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fast\nn = 300", "slow\nn = 300"]
    assert find_unreadable(ax.figure) == []


def test_whole_numbers_have_classes_of_their_own():
    """Few whole numbers are each in the middle of a class. [contract]"""
    ax = draw_distribution(make_table(only=range(7, 27)), measure="failed_nodes")
    ((edges, heights, _),) = read_rows(ax)
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert heights.max() == 1


@pytest.mark.parametrize("value", [0.0, 3.0, 75.5])
def test_a_constant_has_no_spread(value):
    """A constant is one narrow bar, within the measure's range. [contract]"""
    ax = draw_distribution(make_table(only=[value] * 20))
    ((edges, heights, _),) = read_rows(ax)
    (place,) = np.flatnonzero(heights)
    assert edges[place] - 1e-9 <= value < edges[place + 1] + 1e-9
    assert edges[place + 1] - edges[place] < 0.1 * np.ptp(ax.get_xlim())
    assert edges[0] >= 0


def test_kinds_of_release_count_by_their_probabilities():
    """In worlds by kind classes are weighted by probability, and quantiles are those of `estimate`. [oracle]"""
    raw = {
        "name": "kinds",
        "fleet": {"nodes": 4, "update_duration": "1m", "requests_per_second": 10},
        "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True, "error_rate": 1}},
        "policies": {"waves": {"strategy": "rolling", "max_parallel": 4, "max_failed_nodes": 0,
                               "health_check": {"deadline": "5m", "max_error_rate": 0.1}}},
    }  # fmt: skip
    table = simdeploy.replicate(simdeploy.Scenario.from_dict(raw), replications=40, strata="kinds", engine="reference")
    good = table["release"].eq("good")
    assert 0.2 < good.mean() < 0.8
    ((edges, heights, quantiles),) = read_rows(draw_distribution(table, measure="makespan_s"))
    slow = table.loc[~good, "makespan_s"].iloc[0]
    assert table["makespan_s"].nunique() == 2
    assert heights[np.searchsorted(edges, slow) - 1] == pytest.approx(0.1 / 0.9)
    estimates = simdeploy.estimate(table, ["p50 makespan_s", "p95 makespan_s"]).estimates["estimate"].tolist()
    assert list(quantiles) == estimates


VERDICTS = ["completed_good", "completed_good", "false_alarm", "escaped"]
STATES = ["completed", "completed", "failed", "completed"]


@pytest.mark.parametrize(
    ("columns", "drawn", "label"),
    [
        ({"verdict": VERDICTS, "state": STATES}, (600.0, 800.0), "makespan of completed good releases (min)"),
        ({"verdict": VERDICTS}, (600.0, 800.0), "makespan of completed good releases (min)"),
        (
            {"verdict": ["stopped_defective", "escaped", "false_alarm", "escaped"], "state": STATES},
            (600.0, 1000.0),
            "makespan of completed rollouts (min)",
        ),
        ({"verdict": ["false_alarm"] * 4, "state": ["failed"] * 4}, (300.0, 1000.0), "makespan (min)"),
        ({"verdict": [None] * 4, "state": STATES}, (600.0, 1000.0), "makespan of completed rollouts (min)"),
        ({"state": STATES}, (600.0, 1000.0), "makespan of completed rollouts (min)"),
        ({}, (300.0, 1000.0), "makespan (min)"),
    ],
)
def test_by_default_it_is_the_makespan_of_comparisons(columns, drawn, label):
    """By default rollouts completed with a good release count, without verdicts completed ones, and the axis says so. [contract]"""
    table = make_table(only=[600.0, 800.0, 300.0, 1000.0]).assign(**columns)
    ax = draw_distribution(table)
    ((edges, _, (_, p95)),) = read_rows(ax)
    assert (edges[0], edges[-1], p95) == pytest.approx((*drawn, drawn[1]))
    assert " ".join(ax.get_xlabel().split()) == label
    assert find_unreadable(ax.figure) == []


def test_sweeps_have_the_makespan_of_comparisons():
    """A sweep's rows are those of completed good rollouts, too; if a case has none, it has no value. [contract]"""
    raw = {
        "name": "hopeless",
        "fleet": {"nodes": 2, "update_duration": "10m", "start_failure": 1},
        "policies": {"at-once": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "20m"}}},
    }
    scenario = simdeploy.Scenario.from_dict(raw)
    vary = {"scenario.fleet.start_failure": [0, 1]}
    ax = draw_distribution(simdeploy.sweep(scenario, vary=vary, replications=5, engine="reference"))
    assert " ".join(ax.get_xlabel().split()) == "makespan of completed good releases (min)"
    assert [text.get_text() for text in ax.texts] == ["no value"]
    assert [label.get_text().splitlines()[-1] for label in ax.get_yticklabels()] == ["n = 5", "n = 0"]


def test_heavy_tails_have_a_logarithmic_axis():
    """With extreme values the bulk keeps most classes, 0 has its own, and ticks are round. [contract]"""
    bulk = np.random.default_rng(1).lognormal(4, 0.5, 200).tolist()
    near, far = make_table(a=[*bulk, 200.0]), make_table(a=[*bulk, 9000.0])
    assert draw_distribution(near).get_xscale() == "linear"
    ax = draw_distribution(far)
    (edges, heights), *_ = [
        (patch.get_data().edges, patch.get_data().values) for patch in ax.patches if hasattr(patch, "get_data")
    ]
    assert ax.get_xscale() == "log"
    assert np.diff(np.log(edges)) == pytest.approx(np.log(edges[-1] / edges[0]) / (len(edges) - 1))
    assert (heights > 0).sum() >= 15
    assert (edges[0], edges[-1]) == (pytest.approx(min(bulk)), pytest.approx(9000))
    assert ax.get_xlabel() == "makespan (min)"
    assert {"1", "10", "100"} <= {label.get_text() for label in ax.get_xticklabels()}
    assert find_unreadable(ax.figure) == []
    ax = draw_distribution(make_table(a=[*bulk, 0.0, 0.0, 9000.0]))
    (edges, *_), *_ = [(patch.get_data().edges,) for patch in ax.patches if hasattr(patch, "get_data")]
    assert ax.get_xscale() == "symlog"
    assert (edges[0], edges[1]) == (0.0, pytest.approx(min(bulk)))
    assert "0" in {label.get_text() for label in ax.get_xticklabels()}
    assert find_unreadable(ax.figure) == []


def test_missing_values():
    """A policy without values says so, and endless rollouts are counted beside it. [contract]"""
    nan = float("nan")
    ax = draw_distribution(make_table(never=[nan, nan], half=[60.0, nan], always=[60.0, 60.0]))
    words = [text.get_text() for text in ax.texts]
    assert words == ["no value", "100 %\nnever end", "50 %\nnever end"]
    assert find_unreadable(ax.figure) == []
    assert draw_distribution(make_table(never=[nan])).get_legend() is None


@pytest.mark.parametrize("measure", ["false_alarm", "p95 makespan_s"])
def test_events_and_quantiles_have_none(measure):
    """An event or a quantile is refused with a hint on what to draw instead. [contract]"""
    table = make_table(a=[1.0]).assign(verdict="completed_good")
    with pytest.raises(InputError, match=r"has no distribution.*plot_estimates"):
        draw_distribution(table, measure=measure)
