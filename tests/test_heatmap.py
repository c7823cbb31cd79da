"""The heat map of a sweep: drawn cells, labels and legibility."""

import math
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from drawn import draw, find_unreadable
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from refusals import refused

from simdeploy.analysis import summarize_grid
from simdeploy.errors import InputError
from simdeploy.plotting import plot_heatmap
from simdeploy.plotting.slices import choose_slice, list_slices

RATE, NODES, FAILURE = "health_check.max_error_rate", "max_failed_nodes", "scenario.fleet.start_failure"
DEADLINES = [120.0 * n for n in range(1, 61)]
KEYS_OF_TIMES = ("health_check.deadline", "health_check.min_healthy_time")
THREE = ("false_alarm", "escape", "completed_makespan_s")


def table(points, *, n=12, policies=("p",), scenarios=("s",), defective=0.3, columns=(RATE, NODES, FAILURE)):
    """Make up a sweep over points: the closer the limits, the more rollouts are stopped."""
    rng = np.random.default_rng(0)
    rows = []
    for case, (scenario, policy, point) in enumerate(product(scenarios, policies, points)):
        stops = math.exp(-sum(float(value) for value in point if isinstance(value, int | float)))
        for replication in range(n):
            is_bad, stopped = rng.random() < defective, rng.random() < stops
            verdict = ("stopped_defective" if stopped else "escaped") if is_bad else None
            verdict = verdict or ("false_alarm" if stopped else "completed_good")
            came_out = {"replication": replication, "verdict": verdict, "makespan_s": rng.lognormal(7, 0.2)}
            varied = dict(zip(columns, point, strict=False))
            rows.append({"case": case, "scenario": scenario, "policy": policy, **varied, **came_out})
    return pd.DataFrame(rows)


def grid(n_rates=4, n_nodes=3, failures=(0.1,), **options):
    """Make up a sweep over a grid."""
    return table(list(product(np.linspace(0.01, 0.2, n_rates), range(n_nodes), failures)), **options)


def panels_of(result, size=(13, 4.4), **options):
    """Return three panels, not yet laid out."""
    axes = Figure(figsize=size, layout="constrained").subplots(1, 3)
    assert plot_heatmap(axes, result, **options) is axes
    return axes


def drawn(result, size=(13, 4.4)):
    """Draw three panels, laid out as saving would."""
    axes = panels_of(result, size)
    draw(axes[0].figure)
    return axes


def mesh(ax):
    """Return the values of the cells of a panel, by y and x."""
    (found,) = [artist for artist in ax.get_children() if isinstance(artist, QuadMesh)]
    return found.get_array()


def bar(ax):
    """Return the axes of a panel's colour bar."""
    (found,) = [artist.colorbar for artist in ax.get_children() if getattr(artist, "colorbar", None)]
    return found.ax


def test_a_cell_is_a_case():
    """Each cell has the estimate of its case; the axes are the varied keys with their values. [contract]"""
    summary = summarize_grid(grid())
    axes = drawn(summary)
    cells = summary.cells.pivot(index=NODES, columns=RATE)
    for ax, quantity in zip(axes, THREE, strict=True):
        # Numbers are in percent or minutes, with one decimal at least.
        atol = 0.5 * (6 if quantity == "completed_makespan_s" else 0.1)
        np.testing.assert_allclose(mesh(ax).filled(np.nan), cells[f"{quantity}_estimate"].to_numpy(), atol=atol)
        assert (ax.get_xlabel(), ax.get_ylabel()) == (RATE, NODES)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]
        assert {label.get_text() for label in ax.get_xticklabels()} <= {"0.01", "0.0733333", "0.136667", "0.2"}


def test_equal_numbers_have_equal_colours():
    """Cells and numbers that read the same look the same, however small the range of the estimates is. [contract]"""
    summary = summarize_grid(grid(3, 2))
    estimates = [600.0, 600.1, 600.9, 601.0, 601.0, 605.9]
    cells = summary.cells.assign(completed_makespan_s_estimate=estimates, completed_makespan_s_half_width=120.0)
    (ax,) = plot_heatmap([Figure().subplots()], replace(summary, cells=cells), quantities=["completed_makespan_s"])
    draw(ax.figure)
    (found,) = [artist for artist in ax.get_children() if isinstance(artist, QuadMesh)]
    looks = {
        (text.get_text(), *colour, text.get_color())
        for text, colour in zip(ax.texts, found.get_facecolors(), strict=True)
    }
    assert sorted(look[0] for look in looks) == ["10.0", "10.1"]


def test_colour_bars_have_units():
    """A bar has label and unit if cells have no numbers; otherwise the title has. [contract]"""
    summary = summarize_grid(grid(20, 21, n=3))
    names = [
        "false alarms of good releases",
        "escapes of defective releases",
        "mean makespan of completed good releases (min)",
    ]
    axes = drawn(summary)
    assert [bar(ax).get_ylabel() for ax in axes] == names
    assert bar(axes[0]).get_yticklabels()[0].get_text().endswith("%")
    summary = summarize_grid(grid())
    axes = drawn(summary)
    assert len(axes[0].figure.axes) == 3
    titles = [ax.get_title().splitlines() for ax in axes]
    assert [lines[0] for lines in titles] == [name if "min" in name else f"{name} (%)" for name in names]
    widest = 100 * summary.cells["false_alarm_half_width"].max()
    assert titles[0][1] == f"95 % CI: ± {widest:.0f} pp at most"


def test_the_result_may_be_a_table():
    """A table is summarized first, and any quantities may be drawn on as many axes. [contract]"""
    frame = grid()
    (ax,) = plot_heatmap([Figure().subplots()], frame, quantities=["escape"])
    np.testing.assert_array_equal(mesh(ax), mesh(panels_of(frame)[1]))
    one = [Figure().subplots()]
    with pytest.raises(InputError, match=r"quantities: no such quantity .* did you mean 'escape'"):
        plot_heatmap(one, frame, quantities=["escapes"])
    assert "axes: not as many axes as quantities (found 1); allowed: 3" in str(refused(plot_heatmap, one, frame))


def test_cells_without_a_value_are_hatched():
    """Without a defective release, cells show the hatched background, and the title says so. [contract]"""
    axes = panels_of(grid(n=3, defective=0.2))
    missing = np.ma.getmaskarray(mesh(axes[1]))
    assert 0 < missing.sum() < missing.size
    assert axes[1].patch.get_hatch()
    assert "hatched: no value" in axes[1].get_title()
    assert "hatched" not in axes[0].get_title()


def test_a_panel_without_any_value_says_so():
    """Without any defective release the panel of escapes is empty and says so. [contract]"""
    axes = panels_of(grid(defective=0))
    assert [text.get_text() for text in axes[1].texts] == ["no value in any case"]
    assert axes[1].get_title() == "escapes of defective releases"


def test_other_keys_have_one_value():
    """Keys that are not axes are at their first or the requested value, which the title states. [contract]"""
    summary = summarize_grid(grid(failures=(0.1, 0.3), policies=("waves", "canary")))
    cells = summary.cells
    for at, policy, failure in (
        ({}, "waves", 0.1),
        ({"policy": "canary"}, "canary", 0.1),
        ({FAILURE: 0.3, "policy": "canary"}, "canary", 0.3),
    ):
        ax = panels_of(summary, at=at)[0]
        rows = cells[cells["policy"].eq(policy) & cells[FAILURE].eq(failure)]
        expected = rows.pivot(index=NODES, columns=RATE, values="false_alarm_estimate")
        np.testing.assert_allclose(mesh(ax).filled(np.nan), expected.to_numpy(), atol=0.005)
        title = ax.get_title().replace("\n", " ")
        assert title.endswith(f"at policy {policy}, {FAILURE} {failure}")
    message = "at.policy: not a value that was tried (found 'wave'); allowed: waves, canary"
    assert message in str(refused(panels_of, summary, at={"policy": "wave"}))
    with pytest.raises(InputError, match=rf"at.{RATE[:9]}.*: not a key that was varied"):
        panels_of(summary, at={"health_check.deadline": 3})


def test_slices_have_one_scale():
    """Pictures of one sweep at several values share colours and limits, and so are comparable. [contract]"""
    summary = summarize_grid(grid(failures=(0.1, 5.0)))
    for panels in zip(panels_of(summary), panels_of(summary, at={FAILURE: 5.0}), strict=True):
        meshes = [next(found for found in ax.get_children() if isinstance(found, QuadMesh)) for ax in panels]
        assert meshes[0].get_clim() == meshes[1].get_clim()
    summary = summarize_grid(table([(0,), (1,)], columns=(NODES,), policies=("a", "b")))
    for panels in zip(panels_of(summary), panels_of(summary, at={"policy": "b"}), strict=True):
        assert panels[0].get_ylim() == panels[1].get_ylim()
        assert panels[0].lines[0].get_ydata().tolist() != panels[1].lines[0].get_ydata().tolist()


def test_keys_of_the_policy_come_first():
    """Keys of the policy are axes before keys of the scenario; an axis may be fixed, too. [contract]"""
    summary = summarize_grid(table(list(product((0.1, 0.2), (0, 1), (0.3, 0.4))), columns=(FAILURE, NODES, RATE)))
    shown = choose_slice(summary, {})
    assert (shown.x, shown.y) == (NODES, RATE)
    shown = choose_slice(summary, {RATE: 0.4})
    assert (shown.x, shown.y, shown.note) == (NODES, FAILURE, f"at {RATE} 0.4")
    assert list_slices(summary) == [{FAILURE: 0.1}, {FAILURE: 0.2}]
    assert list_slices(summarize_grid(grid())) == [{}]


def test_points_off_a_grid_are_points():
    """For a list or a Latin hypercube each case is a point; the title names the other keys. [contract]"""
    rng = np.random.default_rng(1)
    points = [(rng.random(), int(rng.integers(9)), rng.random()) for _ in range(30)]
    summary = summarize_grid(table(points, n=4, defective=0.2))
    axes = panels_of(summary)
    for ax, quantity in zip(axes, THREE, strict=True):
        known = summary.cells[summary.cells[f"{quantity}_estimate"].notna()]
        dots = [artist for artist in ax.get_children() if isinstance(artist, PathCollection)]
        np.testing.assert_allclose(dots[0].get_offsets(), known[[RATE, NODES]].to_numpy(dtype=float))
        np.testing.assert_array_equal(dots[0].get_array(), known[f"{quantity}_estimate"])
        assert f"points differ in {FAILURE}" in ax.get_title().replace("\n", " ")
    assert list_slices(summary) == [{}]


@pytest.mark.usefixtures("few_values_suffice")
def test_one_key_is_a_line():
    """If one key was varied, estimates are a line with their intervals. [contract]"""
    summary = summarize_grid(table([(limit,) for limit in (8, 0, 2)], columns=(NODES,)))
    axes = panels_of(summary)
    cells = summary.cells.sort_values(NODES)
    for ax, quantity in zip(axes, THREE, strict=True):
        (line,) = ax.lines
        assert line.get_xdata().tolist() == [0, 2, 8]
        np.testing.assert_array_equal(line.get_ydata(), cells[f"{quantity}_estimate"])
        assert len(ax.collections) == 1
    assert axes[0].get_ylim()[0] == 0
    assert axes[2].get_ylabel() == "mean makespan of completed good releases (min)"


@pytest.mark.parametrize("points", [[(30.0,), (60.0,), (300.0,)], [(30.0, 1), (60.0, 2), (300.0, 0)]])
def test_durations_have_a_unit(points):
    """An axis of durations has a suitable unit, for lines and points. [contract]"""
    ax = drawn(table(points, columns=("health_check.min_healthy_time", NODES)))[0]
    labels = [words.replace("\n", " ") for words in (ax.get_xlabel(), ax.get_ylabel())]
    assert "health_check.min_healthy_time (min)" in labels
    axis = ax.xaxis if "time" in ax.get_xlabel() else ax.yaxis
    shown = [tick.get_text() for tick in axis.get_ticklabels() if 60 <= tick.get_position()[axis is ax.yaxis] <= 300]
    assert (shown[0], shown[-1]) == ("1", "5")


def test_words_are_side_by_side():
    """Values that are words, or unset, can be axes. [contract]"""
    frame = table(list(product(("barrier", "sliding"), (0, 1))), columns=("scenario.orchestrator.pacing", NODES))
    frame[NODES] = frame[NODES].where(frame[NODES].gt(0)).astype("Int64")
    ax = drawn(frame)[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (NODES, "scenario.orchestrator.pacing")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "unset"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["barrier", "sliding"]


def test_nothing_varied_is_nothing_to_draw():
    """A sweep over policies alone has no axis. [contract]"""
    error = refused(panels_of, table([(0.1, 1)], policies=("a", "b")))
    assert "nothing to draw a result against" in str(error)


DRAWN = {
    "20 by 21": lambda: grid(20, 21, n=3),
    "8 by 8": lambda: grid(8, 8, n=3),
    "many keys": lambda: grid(7, 40, n=2, failures=(0.1, 0.2), policies=("a", "b"), scenarios=("x", "y")),
    "small": lambda: grid(3, 3),
    "60 by 20": lambda: table(list(product(range(60), range(20))), columns=(NODES, RATE), n=1),
    "many durations": lambda: table(list(product(DEADLINES, DEADLINES)), columns=KEYS_OF_TIMES, n=1),
    "points": lambda: table([(0.1 * n, n % 7, n / 9) for n in range(40)], n=3),
    "line": lambda: table([(n,) for n in range(30)], columns=(NODES,), n=3),
}


@pytest.fixture(scope="module", params=DRAWN)
def of_any_shape(request):
    """Each of the sweeps to draw, summarized."""
    return summarize_grid(DRAWN[request.param]())


@pytest.mark.parametrize("size", [(13, 4.4), (9.6, 3.6), (9, 3.4)])
def test_texts_do_not_overlap(of_any_shape, size):
    """For any grid, no two texts overlap, and none is cut off. [property]"""
    assert not find_unreadable(drawn(of_any_shape, size)[0].figure)


def test_titles_fit_beside_colour_bars():
    """A panel with numbers is as narrow as others with a colour bar, and its title isn't cut off. [contract]"""
    found = grid(6, 9, n=400, failures=(-0.01,))
    axes = drawn(found.assign(makespan_s=100 + found["makespan_s"] / 3), (9.6, 3.6))
    assert [bool(ax.texts) for ax in axes] == [False, False, True]
    assert all(ax.title.get_window_extent().width <= ax.get_window_extent().width for ax in axes)


@pytest.mark.parametrize("n", [2, 7, 20, 59, 60])
def test_the_ends_of_an_axis_are_labelled(n):
    """However many values there are, the first and the last have labels, beside a colour bar, too. [contract]"""
    ax = drawn(table(list(product(range(n), DEADLINES[:n])), columns=(NODES, KEYS_OF_TIMES[0]), n=1), (9.6, 3.6))[0]
    for axis, ends in ((ax.xaxis, ["0", str(n - 1)]), (ax.yaxis, ["2m", "2h"] if n == 60 else ["2m"])):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert [labels[0], labels[-1]][: len(ends)] == ends
        assert axis.get_ticklocs()[-1] == n - 1


def test_large_numbers_along_an_axis_are_apart():
    """Numbers along a horizontal axis are at least a digit's width apart. [contract]"""
    ax = drawn(table([(3600.0 * n,) for n in (1, 2, 3, 4)], columns=(RATE,), n=3), (9, 3.4))[0]
    places = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    digit = places[-1].width / len(ax.get_xticklabels()[-1].get_text())
    assert all(right.x0 - left.x1 > digit for left, right in pairwise(places))


def test_a_long_key_is_broken_after_a_dot():
    """The name of an axis that is longer than the axis continues in a second line after a dot. [contract]"""
    key = "scenario.fleet.service.shared.capacity"
    ax = panels_of(table(list(product((0, 1), (1.1, 1.2))), columns=(NODES, key)), (9, 3.4))[0]
    assert all(line.endswith(".") for line in ax.get_ylabel().splitlines()[:-1])
    assert "".join(ax.get_ylabel().splitlines()) == key


@pytest.mark.parametrize(("n", "is_numbered"), [(5, True), (16, False)])
def test_numbers_are_inside_their_cells(n, is_numbered):
    """No number is wider than its cell; otherwise there are none. [property]"""
    ax = drawn(grid(n, 8, n=3), (9, 3.4))[0]
    assert bool(ax.texts) == is_numbered
    width = ax.get_window_extent().width / n
    assert all(text.get_window_extent().width < width for text in ax.texts)


@pytest.mark.parametrize(("n", "is_numbered"), [(8, True), (24, False)])
def test_short_numbers_are_apart(n, is_numbered):
    """Numbers of one digit don't run together into one number, so in narrow cells there are none. [property]"""
    ax = drawn(grid(n, 2, n=3).assign(verdict="completed_good"), (9, 3.4))[0]
    assert bool(ax.texts) == is_numbered


def test_numbers_are_written_where_there_is_room():
    """In few cells values are written in the bar's unit; many cells have none. [contract]"""
    summary = summarize_grid(grid(2, 2, n=100))
    ax = panels_of(summary)[0]
    written = [float(text.get_text()) for text in ax.texts]
    np.testing.assert_allclose(written, 100 * mesh(ax).ravel(), atol=0.5)
    assert not panels_of(grid(20, 9, n=2))[0].texts
