"""What all pictures have in common: colours, rows for policies, and text that is no formula."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

# Okabe and Ito's eight colours, which colour-blind people can tell apart, and greys. Source: M. Okabe and K. Ito (2008),
# Color Universal Design (CUD): how to make figures and presentations that are friendly to colorblind people, "Set of
# colors that is unambiguous both to colorblinds and non-colorblinds". Pictures give each colour a shape, a hatch or a line
# of its own as well, so that nothing hangs on telling colours apart.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"

INK = "#222222"  # lines and words that mean no category
DARK_GREY = "#555555"
GREY = "#888888"
LIGHT_GREY = "#A0A0A0"
PALE_GREY = "#E3E3E3"
STRIPE = "#F2F2F2"  # behind what is drawn

_NAME_WIDTH = 28  # characters

P = ParamSpec("P")
A = TypeVar("A")


def set_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Make the vertical axis one of rows at 0, 1, 2, ... from the top, with a label each: as from `name_row`."""
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


def contrast_to(mappable: ScalarMappable, value: Any) -> str:
    """Return the colour of words on top of the colour that stands for a value."""
    red, green, blue, _ = mappable.to_rgba(value)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


def in_plain_text(plot: Callable[P, A]) -> Callable[P, A]:
    """Make a function that draws on axes, and returns them, leave no text there that is read as mathematics.

    Ticks are left alone: powers of ten on a logarithmic axis are formulas.
    """

    @wraps(plot)
    def draw(*args: P.args, **options: P.kwargs) -> A:
        drawn = plot(*args, **options)
        for ax in np.ravel(np.asarray(drawn, dtype=object)):
            _take_literally(ax)
        return drawn

    return draw


def _take_literally(ax: Any) -> None:
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for artist in ax.get_children():
        for text in [artist.label] if isinstance(artist, Axis) else artist.findobj(Text):
            text.set_parse_math(False)
