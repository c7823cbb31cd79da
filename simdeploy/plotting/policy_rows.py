"""Rows of a picture, one for each policy or case: stripes behind them, and names that don't take all the room."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simdeploy.plotting.colours import STRIPE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME_WIDTH = 28  # characters


def set_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Make the vertical axis one of rows at 0, 1, 2, ... from the top, with a label each.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    labels : sequence of str
        As from `name_row` or `wrap_name`.
    """
    for row in range(0, len(labels), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=STRIPE, zorder=-1)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels, parse_math=False)
    ax.tick_params(axis="y", length=0)


def name_row(name: str, n: int) -> str:
    """Return the label of a row: a name, and how many observations there are of it."""
    return f"{wrap_name(name)}\nn = {n:,}"


def wrap_name(name: str, width: int = _NAME_WIDTH) -> str:
    """Return a name on at most two lines, cut if it is longer.

    Examples
    --------
    >>> wrap_name("canaries, then the rest of the fleet by region").splitlines()
    ['canaries, then the rest of', 'the fleet by region']
    """
    return "\n".join(textwrap.wrap(name, width, max_lines=2, placeholder="..."))


def say_no_value(ax: Axes, row: float) -> None:
    """Say of a row that there is nothing to draw."""
    ax.annotate("no value", (0.01, row), xycoords=("axes fraction", "data"), va="center", fontsize="small")
