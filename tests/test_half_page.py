"""Pictures half a page wide are complete and readable."""

from dataclasses import replace
from itertools import pairwise

import pytest
from drawn import draw, draw_on, find_unreadable
from every_result import make, replications
from matplotlib.figure import Figure

from simdeploy import plotting
from simdeploy.plotting.axes import set_limits, set_measure_axis
from simdeploy.plotting.style import put_legend_above
from simdeploy.scenario.measures import parse_measure

WIDTH_IN = 3.3
# What is drawn, by which function, and the height in inches for its rows.
PICTURES = {
    "check": (lambda ax: plotting.plot_check(ax, make("Check")), 4.0),
    "comparison": (lambda ax: plotting.plot_comparison(ax, make("Comparison")), 3.2),
    "ranking": (lambda ax: plotting.plot_ranking(ax, make("Comparison")), 3.2),
    "estimates": (lambda ax: plotting.plot_estimates(ax, make("Estimates")), 4.4),
    "costs": (lambda ax: plotting.plot_costs(ax, make("CostResult")), 6.0),
    "observation": (lambda ax: plotting.plot_value_of_observation(ax, make("ObservationResult")), 2.6),
    "calibration": (lambda ax: plotting.plot_calibration(ax, make("Calibration")), 2.6),
    "backtest": (lambda ax: plotting.plot_backtest(ax, make("Backtest")), 2.8),
    "pareto": (lambda ax: plotting.plot_pareto(ax, make("ParetoFront")), 2.6),
    "peeling": (lambda ax: plotting.plot_peeling_path(ax, make("Discovery")), 2.8),
    "sensitivity": (lambda ax: plotting.plot_sensitivity(ax, make("Sensitivity")), 2.8),
    "rare": (lambda ax: plotting.plot_rare(ax, make("Rare")), 2.8),
    "regret": (lambda ax: plotting.plot_regret(ax, make("Robustness")), 2.8),
    "tornado": (lambda ax: plotting.plot_tornado(ax, make("Switches")), 4.2),
    "timelines": (
        lambda ax: plotting.plot_timelines(ax, make("Timelines"), quantity="failed", release="good"),
        2.6,
    ),
    "distribution": (lambda ax: plotting.plot_distribution(ax, replications(), measure="cost"), 2.6),
}


def test_all_nodes_fail():
    """The picture of a forecast has room for failed nodes and their limit even if hardly any node is updated. [contract]"""
    found = make("Forecast")
    counts = dict.fromkeys(("updated_nodes_low", "updated_nodes", "updated_nodes_high"), 0.0)
    failed = dict.fromkeys(("failed_nodes_low", "failed_nodes", "failed_nodes_high"), 8000.0)
    found = replace(found, course=found.course.assign(**counts, **failed), failed_limit=9000.0)
    ax = draw_on(plotting.plot_forecast, found, size=(WIDTH_IN, 2.8))
    assert find_unreadable(ax.figure) == []
    assert ax.get_ylim()[1] > 9000
    assert "8,000" in [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("name", PICTURES)
def test_it_can_be_read(name):
    """At 3.3 inches no text leaves the picture or overlaps another. [contract]"""
    plot, height_in = PICTURES[name]
    assert find_unreadable(draw_on(plot, size=(WIDTH_IN, height_in)).figure) == []


@pytest.mark.parametrize("width_in", [3.3, 5, 5.5, 8])
def test_legends_of_unequal_columns_are_inside(width_in):
    """A legend of four entries gets three columns only where these fit. [contract]"""
    figure = Figure(figsize=(width_in, 4), layout="constrained")
    ax = figure.subplots()
    for label in ("short", "a much longer label than these", "a third label here", "and a fourth one"):
        ax.plot([0, 1], label=label)
    n_rows = put_legend_above(ax, 3)
    assert find_unreadable(draw(figure)) == []
    assert n_rows == (2 if width_in >= 5 else 4)


@pytest.mark.parametrize(
    ("measure", "low", "high"),
    [("makespan_s", 0, 9_900), ("blast_radius", 0, 1.0), ("cost", 0, 30_000), ("cost", 9_001_020e6, 9_001_380e6)],
)
def test_ticks_keep_their_distance(measure, low, high):
    """Narrow axes have at least two ticks, a character apart, without offset or factor. [contract]"""
    figure = Figure(figsize=(1.9 if low == 0 else 4.5, 1.9), layout="constrained")
    ax = figure.subplots()
    ax.set_xlim(low, high)
    set_measure_axis(ax.xaxis, parse_measure(measure), high)
    draw(figure)
    ticks = [tick for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    shown = [tick.label1.get_window_extent() for tick in ticks]
    assert len(shown) >= 2
    assert all(right.x0 - left.x1 > 5 for left, right in pairwise(shown))
    assert ax.xaxis.get_offset_text().get_text() == ""
    if measure == "cost":
        assert all("," in tick.label1.get_text() for tick in ticks if tick.get_loc())


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_an_axis_of_one_fraction_stays_between_0_and_1(value):
    """A single fraction has some room around it, but no tick below 0 or above 100 %. [contract]"""
    ax = Figure().subplots()
    set_limits(ax, "x", parse_measure("escaped"), [value])
    low, high = ax.get_xlim()
    assert low < value < high
    assert high - low >= 0.01
    assert low >= -0.001
    assert high <= 1.001
