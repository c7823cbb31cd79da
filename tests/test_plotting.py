"""Pictures: contents, legibility, and no side effects of drawing."""

import inspect
import re
import subprocess
import sys
from functools import cache
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawn import draw_on, find_overlaps, find_unreadable, list_texts
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from small import IMMEDIATE, rolling

from simdeploy import plotting
from simdeploy.analysis import compare
from simdeploy.engines import simulate
from simdeploy.engines.schema import STATUSES
from simdeploy.errors import InputError
from simdeploy.plotting import plot_comparison, plot_timeline
from simdeploy.plotting.axes import set_log_axis
from simdeploy.plotting.figures import draw_figure
from simdeploy.plotting.one_rollout import list_marks
from simdeploy.plotting.style import STATUS_LOOKS, label_line_ends, spread
from simdeploy.scenario import Scenario
from simdeploy.vocabulary import VERDICTS

LONG = "a name that is far too long for any axis and has $math$ and [markup] in it, too"


def rollout(
    nodes=60, *, name="small", policy="waves", spec=None, release=None, orchestrator="expanso", operator=None, **fleet
):
    """Simulate a small rollout."""
    spec = spec or rolling(10)
    return simulate(
        Scenario.from_dict(
            {
                "name": name,
                "fleet": {"nodes": nodes, "update_duration": {"exponential": {"mean": "30s"}}, **fleet},
                "release": release or {"good": {"probability": 1}},
                "orchestrator": orchestrator,
                "operator": operator,
                "policies": {policy: spec},
            }
        )
    )


def replications(n_policies, *, named="policy", n=50):
    """Make a comparison of made-up replications."""
    rng = np.random.default_rng(n_policies)
    rows = [
        {
            "policy": f"{named} {number}",
            "replication": replication,
            "verdict": VERDICTS[rng.integers(3)],
            "makespan_s": rng.lognormal(8, 0.3) if number else np.nan,
            "blast_radius": rng.random(),
        }
        for number in range(n_policies)
        for replication in range(n)
    ]
    return compare(pd.DataFrame(rows))


def overlaps(ax):
    """Return the pairs of texts on and around the axes that overlap."""
    texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.title, ax._left_title, ax.xaxis.label]
    if ax.get_legend():
        texts += ax.get_legend().get_texts()
    return find_overlaps(texts)


def legend_words(ax):
    """Return the legend's texts."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("is_log", [False, True])
def test_labels_of_line_ends_do_not_overlap(is_log):
    """Labels of lines that end together, or at an edge, are apart, in order, and beside the axes. [property]"""
    ends = [1.0, 1.0, 1.01, 5.0, 10.0, 10.0, float("nan")]
    words = [f"line {number}" for number in range(7)]

    def plot(ax):
        if is_log:
            ax.set_yscale("log")
        ax.set(xlim=(0, 1), ylim=(1, 10))
        label_line_ends(ax, [ax.plot([0, 1], [1, end], label=word)[0] for word, end in zip(words, ends, strict=True)])
        return ax

    ax = draw_on(plot)
    assert [text.get_text() for text in ax.texts] == words[:-1]
    assert find_unreadable(ax.figure) == []
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes)
    assert min(box.x0 for box in boxes) > ax.bbox.x1


@pytest.mark.parametrize(("low", "high"), [(110, 190), (110, 560), (7, 120), (40, 3000), (10, 40_000), (1, 2e6)])
def test_counts_have_plain_numbers_at_their_ticks(low, high):
    """An axis of counts has at least two numbers, and none overlaps another. [contract]"""

    def plot(ax):
        set_log_axis(ax, low, high)
        return ax

    ax = draw_on(plot, size=(2.6, 2))
    words = [text.get_text() for text in list_texts(ax.figure) if text in ax.get_xticklabels(which="both")]
    assert len(words) >= 2
    assert all(re.fullmatch(r"[\d,]+( M)?", word) for word in words)
    assert find_unreadable(ax.figure) == []


def test_places_are_spread_as_little_as_can_be():
    """Places far enough apart stay; others move as little as necessary, within the limits. [property]"""
    rng = np.random.default_rng(1)
    for _ in range(200):
        wanted = rng.uniform(0, 100, rng.integers(1, 9)).tolist()
        places = np.array(spread(wanted, 6, 0, 100))
        in_order = places[np.argsort(wanted, kind="stable")]
        assert (np.diff(in_order) > 6 - 1e-9).all()
        assert -1e-9 <= in_order[0] <= in_order[-1] <= 100 + 1e-9
    assert spread([10, 50, 90], 6, 0, 100) == [10, 50, 90]
    assert spread([50, 50], 6, 0, 100) == [47, 53]


STOPPED = {"start_failure": 0.6}
BAD = {"bad": {"probability": 1, "defective": True, "error_rate": 0.5}}
OF_LARGE = {"strategy": "canary", "canary_percent": 1, "auto_promote": True, "health_check": {"deadline": "9m"}}
ROLLOUTS = {
    "completed": {},
    "stopped and rolled back": STOPPED,
    "escaped": {"spec": IMMEDIATE, "release": BAD},
    "one node": {"nodes": 1},
    "no time at all": {"update_duration": 0, "spec": IMMEDIATE},
    "many waves": {"nodes": 300, "spec": rolling(1, health_check={"deadline": "5m", "min_healthy_time": 0})},
    "large": {"nodes": 10_000, "spec": {**OF_LARGE, "max_parallel": 1000}},
    "long names": {"name": LONG, "policy": LONG, **STOPPED},
    "a short way back after a long wait": {
        "spec": {"strategy": "canary", "canary_count": 2, "health_check": {"deadline": "5m"}},
        "operator": {"promote_after": "12h", "rejects_good": 1},
    },
    "waiting forever": {"orchestrator": {"preset": "expanso", "on_failure": "pause"}, **STOPPED},
}


@cache
def rollout_of(case):
    """Return the rollout of a case, which has many pictures."""
    return rollout(**ROLLOUTS[case])


SIZES = [(6.4, 4.8), (4.5, 3.2), (11, 4)]


@cache
def timeline_of(case, size):
    """Return the axes of a case's timeline, which are only looked at."""
    return draw_on(plot_timeline, rollout_of(case), size=size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", ROLLOUTS)
def test_a_timeline_can_be_read(case, size):
    """No text of a timeline overlaps another, in small and large figures, with few and many nodes and waves. [contract]"""
    ax = timeline_of(case, size)
    assert overlaps(ax) == []
    ticks = [tick for tick in ax.get_xticks() if ax.get_xlim()[0] <= tick <= ax.get_xlim()[1]]
    assert 2 <= len(ticks) <= 12


def areas_of(ax):
    """Return the stacked areas by status, from the bottom."""
    return {area.get_label().replace(" ", "_"): area for area in ax.collections if not area.get_label().startswith("_")}


def test_statuses_are_stacked_to_the_fleet():
    """At every time the stacked areas add up to all nodes, each as high as its count. [property]"""
    result = rollout_of("stopped and rolled back")
    ax = timeline_of("stopped and rolled back", SIZES[0])
    areas = areas_of(ax)
    assert sorted(areas) == sorted(status for status in STATUSES if result.timeline[status].any())
    floor = 0.0
    for status, area in areas.items():
        path = area.get_paths()[0].vertices
        last = result.timeline[status].iloc[-1]
        at_end = path[path[:, 0] == path[:, 0].max(), 1]
        assert (at_end.min(), at_end.max()) == (floor, floor + last)
        floor += last
    assert floor == 60


@pytest.mark.parametrize("case", ROLLOUTS)
def test_every_status_is_named_once(case):
    """Each status is named inside its area or in the legend, nodes in service beside their line. [contract]"""
    ax = timeline_of(case, SIZES[0])
    legend = [word.replace(" ", "_") for word in legend_words(ax)] if ax.get_legend() else []
    inside = []
    for panel in (ax, *ax.child_axes):
        for text in (text for text in panel.texts if text.get_transform() == panel.transAxes):
            inside.append(text.get_text().replace(" ", "_"))
            place = panel.transData.inverted().transform(panel.transAxes.transform(text.get_position()))
            assert areas_of(panel)[inside[-1]].get_paths()[0].contains_point(place)
    assert sorted([*inside, *legend]) == sorted(areas_of(ax))
    assert [text.get_text() for text in ax.texts].count("in service") == 1


def test_statuses_differ_in_grey():
    """Any two statuses differ in lightness, or one of them is hatched. [contract]"""
    for look, other in combinations(STATUS_LOOKS.values(), 2):
        lightness = [to_rgb(one.colour) @ np.array([0.299, 0.587, 0.114]) for one in (look, other)]
        assert abs(lightness[0] - lightness[1]) > 0.08 or look.hatch != other.hatch


CANARIES = {"strategy": "canary", "canary_count": 6, "auto_promote": True, "max_parallel": 100}


@pytest.mark.parametrize("nodes", [600, 60])
def test_six_canaries_are_visible(nodes):
    """Nodes have one scale, and canaries a separate strip if six of them would be invisible; the title has the count. [contract]"""
    result = rollout(nodes, spec={**CANARIES, "health_check": {"deadline": "5m"}}, release=BAD, requests_per_second=10)
    ax = draw_on(plot_timeline, result)
    assert ax.get_title(loc="left").endswith(f"failed (stopped defective), 6 of {nodes} nodes failed")
    places = [ax.transData.transform((0, some))[1] for some in (0, nodes / 2, nodes)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert nodes in ax.get_yticks()
    strips = [strip for strip in ax.child_axes if strip.get_ylabel().startswith("lowest")]
    if nodes == 600:
        (strip,) = strips
        assert strip.get_ylabel() == "lowest 8\nof 600"
        assert strip.get_ylim() == (0, 8)
        # Like the whole fleet above it, they are stacked, and at the same times.
        assert list(areas_of(strip)) == list(areas_of(ax))
        assert strip.get_xlim() == ax.get_xlim()
    else:
        assert strips == []
    assert find_unreadable(ax.figure) == []


CHECKED = {"strategy": "rolling", "health_check": {"deadline": "5m", "max_error_rate": 0.1, "min_healthy_time": "1m"}}


def strip_of_error_rates(result):
    """Return the strip of windows under a timeline."""
    ax = draw_on(plot_timeline, result)
    (strip,) = (strip for strip in ax.child_axes if strip.get_ylabel() == "error rate")
    assert find_unreadable(ax.figure) == []
    assert strip.get_xlim() == ax.get_xlim()
    return strip


@pytest.mark.parametrize("nodes", [60, 1000])
def test_windows_over_the_limit_are_marked(nodes):
    """Every window is a point at its end, those over the limit are crosses, never thinned, and the limit is a line. [contract]"""
    bad = {"bad": {"probability": 1, "defective": True, "error_rate": 0.1}}
    spec = {**CHECKED, "max_parallel": nodes, "max_failed_nodes": nodes - 1, "max_failed_nodes_percent": 99}
    result = rollout(nodes, spec=spec, release=bad, requests_per_second=10)
    strip = strip_of_error_rates(result)
    drawn_at = {line.get_marker(): line.get_xydata() for line in strip.lines if len(line.get_xydata())}
    over = result.windows["error_rate"] > 0.1
    windows = result.windows[["ended_s", "error_rate"]].to_numpy()
    assert over.sum() > nodes
    np.testing.assert_array_equal(drawn_at["x"], windows[over])
    within = windows[~over]
    if nodes == 1000:
        assert len(within) > len(drawn_at["."]) > 1000
        assert set(map(tuple, drawn_at["."])) <= set(map(tuple, within))
    else:
        np.testing.assert_array_equal(drawn_at["."], within)
    (limit,) = (line for line in strip.lines if line.get_linestyle() == "--")
    assert list(limit.get_ydata()) == [0.1, 0.1]
    assert [text.get_text() for text in strip.texts] == ["limit 10 %"]


def test_tiny_error_rates_are_visible():
    """The strip ends a little above the highest rate and the limit, however low they are. [contract]"""
    spec = {**CHECKED, "health_check": {**CHECKED["health_check"], "max_error_rate": 0.000005}, "max_parallel": 10}
    strip = strip_of_error_rates(rollout(spec=spec, requests_per_second=1000))
    assert 0.000005 < strip.get_ylim()[1] < 0.00001


def test_windows_without_a_limit_have_no_line():
    """If a gate judges waves, windows of new and compared old nodes have two colours, without a limit. [contract]"""
    check = {**CHECKED["health_check"], "gate": {"kind": "baseline", "alpha": 0.05}}
    spec = {**CHECKED, "health_check": check, "max_parallel": 10}
    result = rollout(spec=spec, requests_per_second=10, error_rate=0.02)
    strip = strip_of_error_rates(result)
    points = [line for line in strip.lines if len(line.get_xydata())]
    assert [line.get_marker() for line in points] == [".", "."]
    n_old = result.windows["wave"].isna().sum()
    assert [len(line.get_xydata()) for line in points] == [len(result.windows) - n_old, n_old]
    assert points[0].get_color() != points[1].get_color()


def test_a_timeline_without_failures_says_so():
    """The title says that no node failed. [contract]"""
    ax = timeline_of("completed", SIZES[0])
    assert ax.get_title(loc="left").endswith("completed (completed good), no node failed")


def test_the_end_and_the_rollback_are_marked():
    """A stop and the return of service have a line at their time and a label in words. [contract]"""
    result = rollout_of("stopped and rolled back")
    ax = timeline_of("stopped and rolled back", SIZES[0])
    labels = " ".join(text.get_text() for text in ax.texts)
    assert "failed" in labels
    assert "restored" in labels
    collections = [collection for collection in ax.collections if hasattr(collection, "get_segments")]
    lines = [segments for collection in collections for segments in collection.get_segments()]
    values = result.response_values
    assert [line[0][0] for line in lines] == [values["makespan_s"], values["restored_at_s"]]


def test_a_pause_for_good_is_marked():
    """The last pause has a line and a label, a rollout that goes on after a pause has none. [contract]"""
    pause, resume = {"at": "10s", "do": "pause"}, {"at": "50s", "do": "resume"}
    for script in ([pause], [pause, resume]):
        raw = {"name": "p", "fleet": {"nodes": 4, "update_duration": "30s"}, "operator": {"script": script}}
        raw["policies"] = {"p": IMMEDIATE}
        ax = draw_on(plot_timeline, simulate(Scenario.from_dict(raw)))
        labels = [text.get_text() for text in ax.texts]
        assert ("paused 10.0 s" in labels) is (resume not in script)


def test_a_limit_crossed_during_a_pause_does_not_move_its_mark():
    """The mark is at the first of two crossings: the second is an event, but no further pause. [contract]"""
    update_duration = {"uniform": {"low": 10, "high": 60}}
    raw = {"name": "p", "fleet": {"nodes": 4, "update_duration": update_duration, "start_failure": 1}}
    raw |= {"orchestrator": {"on_failure": "pause"}, "policies": {"p": {**IMMEDIATE, "max_failed_nodes": 1}}}
    result = simulate(Scenario.from_dict(raw))
    times = result.events.loc[result.events["to_status"].eq("paused"), "time_s"].tolist()
    assert len(times) > 1
    assert list_marks(result) == [(times[0], "paused", "--")]


def test_thinning_keeps_the_worst_moment():
    """With more steps than pixels, the minimum of nodes in service is still drawn. [property]"""
    result = rollout_of("large")
    assert len(result.timeline) > 3000
    ax = timeline_of("large", SIZES[0])
    line = next(line for line in ax.lines if line.get_drawstyle() == "steps-post")
    assert len(line.get_xdata()) <= 3003
    assert line.get_ydata().min() == result.timeline["in_service"].min()
    assert line.get_ydata()[-1] == result.timeline["in_service"].iloc[-1]


@pytest.mark.parametrize(("median", "unit"), [("2s", "s"), ("5m", "min"), ("5h", "h"), ("100h", "d")])
def test_time_is_in_a_unit_that_fits(median, unit):
    """The time axis has a unit that suits its length, and its data stay in seconds. [contract]"""
    result = rollout(update_duration=median, spec=IMMEDIATE)
    ax = draw_on(plot_timeline, result)
    assert ax.get_xlabel().endswith(f"({unit})")
    assert ax.get_xlim()[1] >= result.response_values["makespan_s"]


@pytest.mark.parametrize(
    ("states", "named"),
    [
        (["completed"] * 4, ["completed"]),
        (["completed", "failed"] * 2, ["failed"]),
        (["completed", "failed", "paused", "failed"], ["paused", "failed"]),
        (["failed", "failed", "paused", "failed"], ["paused", "failed"]),
    ],
)
def test_states_are_drawn_once(states, named):
    """Only occurring states are drawn, and completed rollouts only if there are no others. [contract]"""
    table = pd.DataFrame({"policy": list("aabb"), "replication": [0, 1, 0, 1], "state": states})
    ax = draw_on(plot_comparison, compare(table), response="state")
    assert legend_words(ax) == named


@pytest.mark.parametrize("response", ["verdict", "makespan_s", "blast_radius"])
@pytest.mark.parametrize(("n_policies", "named"), [(1, "p"), (2, "p"), (8, "p"), (8, LONG)])
def test_a_comparison_can_be_read(n_policies, named, response):
    """No text of a comparison overlaps another, for one to eight policies with short and long names. [contract]"""
    comparison = replications(n_policies, named=named)
    ax = draw_on(plot_comparison, comparison, response=response, size=(7, 1.4 + 0.6 * n_policies))
    assert overlaps(ax) == []
    assert all("n = " in label.get_text() for label in ax.get_yticklabels())


def test_verdicts_stand_at_their_estimates():
    """What goes wrong under every policy is drawn at its estimate, with a line from low to high, without its complement. [property]"""
    comparison = replications(3)
    ax = draw_on(plot_comparison, comparison)
    assert legend_words(ax) == ["false alarms of good releases", "escapes of defective releases"]
    verdicts = comparison.estimates[comparison.estimates["response"].eq("verdict")]
    for verdict, line, interval in zip(("false_alarm", "escaped"), ax.lines, ax.collections, strict=True):
        rows = verdicts[verdicts["level"].eq(verdict)]
        assert list(line.get_xdata()) == list(rows["estimate"])
        ends = [(segment[0][0], segment[1][0]) for segment in interval.get_segments()]
        assert ends == list(zip(rows["low"], rows["high"], strict=True))


def test_missing_values_are_named():
    """A policy without any value of a response is labelled so, instead of being drawn at 0. [contract]"""
    ax = draw_on(plot_comparison, replications(2), response="makespan_s")
    assert [text.get_text() for text in ax.texts] == ["no value"]
    assert "n = 0" in ax.get_yticklabels()[0].get_text()
    pending = pd.DataFrame({"policy": ["a", "b"], "replication": [0, 0], "verdict": [None, "completed_good"]})
    assert [text.get_text() for text in draw_on(plot_comparison, compare(pending)).texts] == ["no value"]


def test_the_picture_is_about_the_answer():
    """The figure of a comparison without verdicts, as of a restart, shows what policies are judged by, or how they end. [contract]"""
    ended = {"state": ["completed"] * 3 + ["failed"], "makespan_s": [60.0, 80.0, 90.0, 5.0], "verdict": [None] * 4}
    table = pd.DataFrame({"policy": list("aabb"), "replication": [0, 1, 0, 1], **ended})
    (ax,) = draw_figure(compare(table)).axes
    assert ax.get_xlabel().startswith("mean makespan of completed rollouts (")
    assert [label.get_text().split("\n") for label in ax.get_yticklabels()] == [["a", "n = 2"], ["b", "n = 1"]]
    assert ax.lines[0].get_xdata().tolist() == [70.0, 90.0]
    (ax,) = draw_figure(compare(table.assign(state="paused", makespan_s=None))).axes
    assert legend_words(ax) == ["paused"]
    (ax,) = draw_figure(compare(table.assign(verdict="completed_good"))).axes
    assert legend_words(ax) == ["false alarms of good releases", "escapes of defective releases"]


def test_an_unknown_response_is_refused():
    """A response that the comparison doesn't have is an input error with the nearest one. [contract]"""
    with pytest.raises(InputError, match="did you mean 'makespan_s'"):
        plot_comparison(Figure().subplots(), replications(2), response="makespan")


def test_drawing_has_no_side_effects():
    """Drawing changes neither a global setting nor the frames of the rollout. [contract]"""
    result = rollout_of("stopped and rolled back")
    settings, timeline, events = dict(mpl.rcParams), result.timeline.copy(), result.events.copy()
    draw_on(plot_timeline, result)
    draw_on(plot_comparison, replications(2))
    assert dict(mpl.rcParams) == settings
    pd.testing.assert_frame_equal(result.timeline, timeline)
    pd.testing.assert_frame_equal(result.events, events)


def test_pyplot_is_never_imported():
    """Importing the plots imports neither pyplot, nor matplotlib before a picture. [contract]"""
    code = (
        "import sys, simdeploy.plotting, simdeploy.cli.compare, simdeploy.cli.run; print('matplotlib' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_a_label_is_nearer_to_its_point_than_to_others():
    """Of two points close together each has its label on its own side, whichever comes first. [contract]"""
    from simdeploy.plotting.axes import label_points

    for order in ((0, 1), (1, 0)):
        ax = Figure(figsize=(6, 4)).subplots()
        points = np.array([[0.5, 0.52], [0.5, 0.48]])
        ax.plot(*points.T, "o")
        ax.set(xlim=(0, 1), ylim=(0, 1))
        label_points(ax, points, ["upper", "lower"], order)
        ax.figure.draw_without_rendering()
        boxes = {text.get_text(): text.get_window_extent() for text in ax.texts if text.get_visible()}
        places = dict(zip(("upper", "lower"), ax.transData.transform(points)[:, 1], strict=True))
        assert set(boxes) == set(places)
        for name, box in boxes.items():
            gaps = {other: max(box.y0 - y, y - box.y1, 0.0) for other, y in places.items()}
            assert gaps[name] == min(gaps.values()), (order, boxes)


@pytest.mark.parametrize("name", plotting.__all__)
def test_only_axes_are_drawn_on(name):
    """Anything but axes is refused with the parameter's name, before anything is read or drawn. [contract]"""
    plot = getattr(plotting, name)
    parameter = next(iter(inspect.signature(plot).parameters))
    figure = Figure()
    two = figure.subplots(1, 2)
    strangers = [None, figure, [two[0], "ax"]] if parameter == "axes" else [None, figure, two, [two[0]]]
    for stranger in strangers:
        with pytest.raises(InputError, match=f"^{parameter}: not axes to draw on .*matplotlib axes"):
            plot(stranger, None)
        with pytest.raises(InputError, match=f"^{parameter}: not axes to draw on"):
            plot(**{parameter: stranger})
