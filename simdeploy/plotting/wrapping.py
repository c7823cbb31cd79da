"""Titles and labels on as many lines as they need.

matplotlib wraps text as well, but then reads a dollar sign as mathematics.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_CHARACTER_PT = {"medium": 5.4, "small": 4.6}  # mean width
NARROW_PT = 200  # width of axes on half a page
_CHARACTER = 0.54  # mean width, as a fraction of the font size
_PART = 1.02  # width that a title may take, as a fraction of that of the axes before the layout
_PART_OF_SLOT = 0.8  # width of axes before the layout, as a fraction of their slot in the figure
_FEWEST = 12  # characters of a line at least


def measure_axes(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes before the layout, in points."""
    extent, to_pt = ax.get_window_extent(), 72 / ax.figure.dpi
    return extent.width * to_pt, extent.height * to_pt


def measure_room(ax: Axes) -> float:
    """Estimate the width of axes, in points, once a layout has made room for the labels beside them."""
    labels = ax.get_yticklabels()
    lines = [line for label in labels for line in label.get_text().split("\n")]
    size = float(labels[0].get_fontsize()) if labels else 0.0
    return measure_axes(ax)[0] / _PART_OF_SLOT - max(map(len, lines), default=0) * _CHARACTER * size


def wrap_words(ax: Axes, text: str, size: str = "medium", *, part: float = 1.0) -> str:
    """Wrap a text to a part of the width of the axes. Its own line breaks are kept.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> wrap_words(Figure(figsize=(3, 3)).subplots(), "a title that is too long for so small a picture").splitlines()
    ['a title that is too long for so', 'small a picture']
    >>> wrap_words(Figure(figsize=(3, 3)).subplots(), "scenario.fleet.service.shared.capacity").splitlines()
    ['scenario.fleet.service.', 'shared.capacity']
    """
    return _wrap_lines(text, part * measure_axes(ax)[0] * _PART / _CHARACTER_PT[size])


def wrap_axis_label(ax: Axes, which: str) -> None:
    """Wrap the label of an axis to its length, ignoring earlier line breaks."""
    label = getattr(ax, f"{which}axis").label
    label.set_text(label.get_text().replace("\n", " "))
    _fit(label, _measure_axis(ax, which))


def fit_words(ax: Axes) -> None:
    """Wrap titles and labels of axes that don't fit; leave others unchanged."""
    from matplotlib.text import Text

    width_pt, room_pt = measure_axes(ax)[0], _measure_axis(ax, "x")
    # There is no public access to the titles at the left and the right.
    for title in [text for text in ax.get_children() if isinstance(text, Text) and text not in ax.texts]:
        _fit(title, room_pt if title.get_horizontalalignment() == "left" else width_pt)
    _fit(ax.xaxis.label, room_pt)
    _fit(ax.yaxis.label, _measure_axis(ax, "y"))


def _measure_axis(ax: Axes, which: str) -> float:
    width_pt, height_pt = measure_axes(ax)
    return height_pt if which == "y" else min(width_pt, measure_room(ax))


def _fit(text: Text, length_pt: float) -> None:
    text.set_text(_wrap_lines(text.get_text(), length_pt * _PART / (_CHARACTER * float(text.get_fontsize()))))


def _wrap_lines(text: str, n_characters: float) -> str:
    width = max(_FEWEST, int(n_characters))
    text = re.sub(rf"\S{{{width + 1},}}", lambda word: _break_key(word[0], width), text)
    return "\n".join("\n".join(textwrap.wrap(line, width, break_on_hyphens=False)) for line in text.split("\n"))


def _break_key(word: str, width: int) -> str:
    """Break a word that is too long for a line after its dots, as in the path of a key."""
    parts = textwrap.wrap(word.replace(".", ". "), width, break_on_hyphens=False)
    return "\n".join(part.replace(". ", ".") for part in parts)
