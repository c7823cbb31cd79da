"""The map of a fleet: its areas are statuses of nodes, canaries and overload are visible, and it is readable."""

from functools import cache

import numpy as np
import pytest
from drawn import draw_on, find_unreadable
from matplotlib.path import Path
from test_watch import CANARY, CRASHES, roll

from simdeploy.engines.fleet_map import SHOWN
from simdeploy.plotting import plot_fleet

OVERLOADED = {"service": {"shared": {"capacity": 1.1}}, "replication": 1}
OFFLINE = {
    "connection": {"online": {"exponential": {"mean": "4m"}}, "offline": {"exponential": {"mean": "2m"}}},
    "orchestrator": {"preset": "expanso", "unreachable_nodes": "wait"},
}
ROLLOUTS = {
    "stopped": {},
    "crashes": CRASHES,
    "canaries": {"policy": {**CANARY, "max_parallel": 500}, "nodes": 5000, "zones": 6, "start_failure": 0},
    "overload": OVERLOADED,
    "offline": {**OFFLINE, "nodes": 400, "zones": 1},
    "one node": {"nodes": 1, "zones": 1, "start_failure": 0},
    "many zones": {"nodes": 300, "zones": 40, "policy": {"strategy": "immediate"}},
    "no time at all": {"update_duration": 0, "policy": {"strategy": "immediate"}, "start_failure": 0},
}


@cache
def rollout_of(case):
    """Return the rollout of a case, which has several pictures."""
    return roll(**ROLLOUTS[case])


@cache
def draw_map(case, size=(6.4, 4.8)):
    """Draw the map of a case's rollout on a new figure; return the rollout and the axes, which are only looked at."""
    return rollout_of(case), draw_on(plot_fleet, rollout_of(case), size=size)


def areas_of(ax):
    """Return the areas of the map by meaning."""
    return {patch.get_label().replace(" ", "_"): patch for patch in ax.patches if patch.get_label()[0] != "_"}


@pytest.mark.parametrize("size", [(3.4, 2.8), (7.5, 4)])
@pytest.mark.parametrize("case", ROLLOUTS)
def test_a_map_can_be_read(case, size):
    """At half and full width no text overlaps another or is cut, and everything shown is named once. [contract]"""
    _, ax = draw_map(case, size)
    assert find_unreadable(ax.figure) == []
    legend = ax.get_legend()
    named = [text.get_text() for text in legend.get_texts()] if legend else []
    named += [text.get_text() for text in ax.texts if text.get_transform() == ax.transAxes]
    assert named.count("offline") == (case == "offline")
    named = [name for name in named if name != "offline"]
    assert sorted(name.replace(" ", "_") for name in named) == sorted(areas_of(ax))
    # A name stands in its area.
    for text in ax.texts:
        if text.get_transform() == ax.transAxes:
            place = ax.transData.inverted().transform(ax.transAxes.transform(text.get_position()))
            area = areas_of(ax)[text.get_text().replace(" ", "_")].get_path()
            # It may span zones.
            assert any(area.contains_point((place[0], place[1] + away)) for away in (0, -0.01, 0.01))


@pytest.mark.parametrize("case", ["overload", "canaries"])
def test_marks_below_the_first_label_are_named(case):
    """A mark of a wave below the label of the first one is named with it, if it isn't below its end. [contract]"""
    _, ax = draw_map(case, (3.4, 2.8))
    marks = ax.transData.transform(ax.lines[0].get_xydata())[:, 0]
    (first,) = [text for text in ax.texts if text.get_text().startswith("wave")]
    start, end = first.get_window_extent().intervalx
    named = int(first.get_text().split()[-1])
    assert first.get_text() == f"waves 1{', ' if named == 2 else ' to '}{named}"
    assert 1 < int((marks < start + 0.7 * (end - start)).sum()) <= named <= int((marks < end).sum())


def test_areas_are_the_statuses_of_nodes():
    """At any time each node of a small fleet has the colour of its status, in its zone and order of dispatch. [oracle]"""
    rollout, ax = draw_map("crashes")
    nodes = rollout.nodes.sort_values(["zone", "wave", "position"], na_position="last")
    events = rollout.events[rollout.events["node"].notna()]
    seen = set()
    for time_s in np.linspace(0.1, rollout.timeline["time_s"].iloc[-1] - 0.1, 9).tolist():
        rows = sorted(
            (-high, status)
            for status, area in areas_of(ax).items()
            for left, high, right in find_rectangles(area.get_path())
            if left <= time_s < right
        )
        down = set(rollout.down_spells.query("from_s <= @time_s < until_s")["node"])
        last = events[events["time_s"] <= time_s].drop_duplicates("node", keep="last").set_index("node")["to_status"]
        statuses = [str(last.get(node, "pending")) for node in nodes["node"]]
        expected = [
            "down" if node in down and status in ("pending", "validating", "running", "rolled_back") else status
            for node, status in zip(nodes["node"], statuses, strict=True)
        ]
        assert [status for _, status in rows] == expected
        seen |= set(expected)
    assert {"pending", "starting", "down", "failed"} <= seen
    assert set(areas_of(ax)) <= set(SHOWN)
    colours = {status: area.get_facecolor() for status, area in areas_of(ax).items()}
    assert len(set(colours.values())) == len(colours)


def find_rectangles(path):
    """Yield the left, upper and right ends of a path's rectangles."""
    starts = np.flatnonzero(path.codes == Path.MOVETO)
    for start in starts:
        corners = path.vertices[start : start + 4]
        yield corners[0, 0], corners[:, 1].max(), corners[1, 0]


def test_two_canaries_of_five_thousand_are_visible():
    """Two canaries of 5,000 nodes have rows of a point and a half at half a page, in their zones. [contract]"""
    rollout, ax = draw_map("canaries", (3.4, 2.8))
    canaries = rollout.nodes[rollout.nodes["canary"]]
    assert len(canaries) == 2
    start_s = canaries["dispatched_at_s"].max()
    rows = [
        corners[:4]
        for corners in np.split(areas_of(ax)["starting"].get_path().vertices, range(5, 10**6, 5))
        if len(corners) and corners[0, 0] <= start_s < corners[1, 0]
    ]
    assert len(rows) == 2
    heights = np.array([np.ptp(ax.transData.transform(corners)[:, 1]) for corners in rows])
    assert (heights * 72 / ax.figure.dpi > 1.5).all()


def test_overload_has_a_bar():
    """A bar below the map covers exactly the times at which the load exceeds the capacity. [contract]"""
    rollout, ax = draw_map("overload")
    (bar,) = (area for area in ax.collections if area.get_label() == "overload")
    timeline = rollout.timeline
    assert 0 < timeline["load"].gt(1).sum() < len(timeline)
    for path in bar.get_paths():
        for side in (path.vertices[:, 0].min(), path.vertices[:, 0].max()):
            assert side in set(timeline["time_s"])
    for now, after, load in zip(timeline["time_s"], timeline["time_s"][1:], timeline["load"], strict=False):
        point = ((now + after) / 2, -0.055)
        assert any(path.contains_point(point) for path in bar.get_paths()) == (load > 1)
    assert [text.get_text() for text in ax.texts].count("overload") == 1
    assert "overload" not in [text.get_text() for text in draw_map("stopped")[1].texts]


def test_stripes_mark_offline_nodes():
    """At any time exactly the rows of offline nodes have a stripe, in a contrasting colour. [oracle]"""
    rollout = roll(**OFFLINE)
    ax = draw_on(plot_fleet, rollout, size=(6.4, 4.8))
    nodes = rollout.nodes.sort_values(["zone", "wave", "position"], na_position="last")["node"]
    stripes = [patch for patch in ax.patches if patch.get_label() == "_offline"]
    assert {patch.get_facecolor() for patch in stripes} == {(0, 0, 0, 1), (1, 1, 1, 1)}
    n_offline = 0
    for time_s in np.linspace(0.1, rollout.timeline["time_s"].iloc[-1] - 0.1, 9).tolist():
        rows, striped = find_tops(areas_of(ax).values(), time_s), find_tops(stripes, time_s)
        offline = set(rollout.offline_spells.query("from_s <= @time_s < until_s")["node"])
        of_stripes = nodes.iloc[np.searchsorted(-rows, -striped, side="right") - 1]
        assert of_stripes.tolist() == [node for node in nodes if node in offline]
        n_offline += len(offline)
    assert n_offline > 20


def find_tops(patches, time_s):
    """Return the upper ends of the rectangles at an instant, from the top."""
    rectangles = [each for patch in patches for each in find_rectangles(patch.get_path())]
    return np.array(sorted((high for left, high, right in rectangles if left <= time_s < right), reverse=True))


def test_a_mark_stays_off_the_axis():
    """If the fleet is lower than the label of a mark, the label extends beyond its top, not across the ticks. [contract]"""
    rollout = roll(**OFFLINE)
    ax = draw_on(plot_fleet, rollout, size=(3.4, 2.0))
    (mark,) = (text for text in ax.texts if text.get_text().startswith(rollout.response_values["state"]))
    box = mark.get_window_extent()
    assert box.y0 >= ax.bbox.y0
    assert box.height > 0.5 * ax.bbox.height
