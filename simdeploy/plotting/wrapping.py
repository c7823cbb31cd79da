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


def wrap_words(ax: Axes, text: str, size: str = "medium") -> str:
    """Wrap a text to the width of the axes. Its own line breaks are kept.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> wrap_words(Figure(figsize=(3, 3)).subplots(), "a title that is too long for so small a picture").splitlines()
    ['a title that is too long for so', 'small a picture']
    """
    lines = text.split("\n")
    return _wrap(ax.get_window_extent().width * _PART, ax, lines, size)


def wrap_axis_label(ax: Axes, which: str) -> None:
    """Wrap the label of an axis to the length of the axis."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    extent = ax.get_window_extent()
    words = axis.get_label_text().replace("\n", " ")
    axis.set_label_text(_wrap(extent.width if which == "x" else extent.height, ax, [words], "medium"))


def _wrap(length_px: float, ax: Axes, lines: list[str], size: str) -> str:
    width = max(_FEWEST, int(length_px * 72 / ax.figure.dpi / _CHARACTER_PT[size]))
    return "\n".join(part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""])
