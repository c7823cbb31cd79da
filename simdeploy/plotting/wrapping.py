"""Titles and labels on as many lines as they need."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a character takes in points, and which part of the width of axes, before the layout, a title may take.
_CHARACTER_PT = {"medium": 5.4, "small": 4.6}
_PART = 1.05


def wrap_words(ax: Axes, text: str, size: str = "medium") -> str:
    """Return a text in lines that fit above or below axes. Lines of the text stay apart.

    matplotlib can do that as well, but reads a dollar sign as mathematics then.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> wrap_words(Figure(figsize=(3, 3)).subplots(), "a title that is too long for so small a picture").splitlines()
    ['a title that is too long for so', 'small a picture']
    """
    width_pt = ax.get_window_extent().width * 72 / ax.figure.dpi * _PART
    width = max(12, int(width_pt / _CHARACTER_PT[size]))
    return "\n".join(
        line for part in text.split("\n") for line in textwrap.wrap(part, width, break_on_hyphens=False) or [""]
    )
