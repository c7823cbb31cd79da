"""Titles and labels on as many lines as they need.

matplotlib wraps text as well, but then reads a dollar sign as mathematics.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHARACTER_PT = {"medium": 5.4, "small": 4.6}  # mean width
_PART = 1.05  # of the width of the axes that a title may take, before the layout
_FEWEST = 12  # characters of a line


def measure_axes(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes in points, as they are before the layout."""
    extent, to_pt = ax.get_window_extent(), 72 / ax.figure.dpi
    return extent.width * to_pt, extent.height * to_pt


def wrap_words(ax: Axes, text: str, size: str = "medium") -> str:
    """Wrap a text to the width of the axes. Its own line breaks are kept.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> wrap_words(Figure(figsize=(3, 3)).subplots(), "a title that is too long for so small a picture").splitlines()
    ['a title that is too long for so', 'small a picture']
    """
    return _wrap(text, measure_axes(ax)[0] * _PART, size)


def wrap_axis_label(ax: Axes, which: str) -> None:
    """Wrap the label of an axis to the length of the axis."""
    axis = getattr(ax, f"{which}axis")
    text = axis.get_label_text().replace("\n", " ")
    axis.set_label_text(_wrap(text, measure_axes(ax)["xy".index(which)], "medium"))


def _wrap(text: str, length_pt: float, size: str) -> str:
    width = max(_FEWEST, int(length_pt / _CHARACTER_PT[size]))
    return "\n".join("\n".join(textwrap.wrap(line, width, break_on_hyphens=False)) for line in text.split("\n"))
