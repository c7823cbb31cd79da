"""Marks: the rows of tables that have a place in a picture, and that place."""

import io
import json
import re
from html import unescape

import numpy as np
import pytest
from every_result import make
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.text import Text

from simdeploy.plotting.figures import draw_figure
from simdeploy.plotting.marks import list_marks, mark_points, mark_rows
from simdeploy.sharing import pictures
from simdeploy.sharing.pictures import write_picture

# The number of rows of the result's tables that each picture marks in its panels.
MARKED = {
    "Backtest": {2},
    "Check": {6},
    "Comparison": {3},
    "CostResult": {8},
    "Estimates": {8},
    "GridSummary": {4},
    "ParetoFront": {8},
    "Robustness": {4},
    "Tradeoff": {3},
    "Tuning": {1},
    "Switches": set(),
}


@pytest.mark.parametrize("name", MARKED)
def test_marks_are_rows_of_tables(name):
    """Every mark names a row of the result's tables by heading and first column, and lies in the picture. [property]"""
    result = make(name)
    figure = draw_figure(result)
    figure.draw_without_rendering()
    rows = {(table.header[0], row[0].partition("\n")[0]) for table in result.summarize() for row in table.rows}
    panels = list(list_marks(figure))
    assert {len(marks) for _, marks in panels} == MARKED[name]
    assert {(mark.heading, mark.name) for _, marks in panels for mark in marks} <= rows
    boxes = np.array([mark.box for _, marks in panels for mark in marks]).reshape(-1, 4)
    assert (boxes[:, 2:] > 0).all()
    assert (boxes[:, :2] >= -0.05).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 1.05).all()


@pytest.mark.parametrize("name", [*MARKED, "Advice", "Discovery", "GateComparison", "Rare", "Score", "Timelines"])
def test_percentages_are_written_as_in_texts(name):
    """No picture writes a percentage without a space. [contract]"""
    figure = draw_figure(make(name))
    figure.draw_without_rendering()
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert not [text for text in texts if re.search(r"\d%", text)]


@pytest.mark.parametrize("first", ["svg", "png"])
def test_marks_lie_on_what_is_drawn(first):
    """In any picture, the pixel in the middle of a mark has the colour of its point or bar. [oracle]"""
    figure = Figure(figsize=(5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    points, colours = [(1, 10), (3, 30), (4, 15)], ["#ff0000", "#00ff00", "#0000ff"]
    left.scatter(*np.transpose(points), s=80, c=colours)
    left.set_yscale("log")
    mark_points(left, "policy", colours, points)
    right.barh(range(3), 1, 0.6, color=colours)
    right.set_ylim(2.5, -0.5)
    right.margins(x=0)
    mark_rows(right, "policy", colours)
    figure.savefig(io.BytesIO(), format=first)
    (_, dots), (panel, bars) = list_marks(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    file.seek(0)
    pixels = image.imread(file)
    height, width = pixels.shape[:2]
    for mark in [*dots, *bars]:
        x = mark.box.x + mark.box.width / 2 if mark in dots else panel.x + panel.width / 2
        y = mark.box.y + mark.box.height / 2
        found = pixels[int(y * height), int(x * width), :3]
        assert "#" + "".join(f"{round(255 * part):02x}" for part in found) == mark.name
    assert {mark.box.x for mark in bars} == {0}


def test_unknown_points_and_crowds_have_no_marks(monkeypatch):
    """A point without a value has no mark; a picture with too many marks has none. [contract]"""
    figure = Figure(figsize=(2, 2))
    mark_points(figure.subplots(), "case", ["a", "<b>", "c"], [(0, 0), (1, 1), (0, np.nan)])
    _, marked, rest = write_picture(figure, "").partition('data-marks="')
    assert marked
    assert [mark[1] for mark in json.loads(unescape(rest.partition('"')[0]))[0][1]] == ["a", "<b>"]
    monkeypatch.setattr(pictures, "_MOST_MARKS", 1)
    assert "data-marks" not in write_picture(figure, "")
