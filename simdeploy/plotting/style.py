"""The style of all pictures: looks of statuses and outcomes, direct labels, rows and plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.plotting.wrapping import NARROW_PT, fit_words, measure_axes, measure_room

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Okabe and Ito's eight colours, which colour-blind people can tell apart, and greys. Source: M. Okabe and K. Ito (2008),
# Color Universal Design (CUD): how to make figures and presentations that are friendly to colorblind people, "Set of
# colors that is unambiguous both to colorblinds and non-colorblinds". Each colour also has a mark, a hatch or a line style
# of its own, so that nothing depends on telling colours apart.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
DARK_GREEN = "#00704F"  # darker than its neighbours, sky blue and yellow

INK = "#222222"  # lines and words without a category
DARK_GREY = "#555555"
GREY = "#888888"
LIGHT_GREY = "#A0A0A0"
PALE_GREY = "#E3E3E3"
STRIPE = "#F2F2F2"  # background

_NAME_WIDTH = 28  # characters
_LABEL_GAP_PT = 9  # between the end of a line and its label
_LIGHTEST_LABEL = 0.45  # luminance; lighter colours can't be read as text on white
_LIGHT = 0.5  # luminance
_SMALL_CHARACTER_PT = 4.6  # mean width
_KEY_PT = 36  # width of a legend's entry without its label


@dataclass(frozen=True)
class Look:
    """How a category is drawn everywhere: its colour, and a mark, a line and a hatch that differ in grey, too."""

    colour: str
    marker: str = "o"
    line: str | tuple[int, tuple[float, ...]] = "-"
    hatch: str = ""


# For lines that stand for no category, in this order. Neighbours differ in lightness.
LINE_LOOKS = (
    Look(BLUE, "o"),
    Look(ORANGE, "s", "--"),
    Look(BLACK, "^"),
    Look(GREEN, "D", (0, (5, 1, 1, 1))),
    Look(VERMILION, "v"),
    Look(SKY_BLUE, "P", "--"),
    Look(PURPLE, "X", (0, (1, 1))),
    Look(GREY, "*"),
)

# From the bottom of a stack: nodes on the new version, in progress, in trouble, and waiting.
STATUS_LOOKS = {
    "running": Look(DARK_GREEN),
    "validating": Look(YELLOW, hatch="//"),
    "starting": Look(SKY_BLUE),
    "failed": Look(VERMILION, hatch="xx"),
    "rolling_back": Look(ORANGE, hatch="\\\\"),
    "rolled_back": Look(BLUE, hatch=".."),
    "rollback_failed": Look(BLACK),
    "removed": Look(PURPLE, hatch="++"),
    "stopped": Look(DARK_GREY, hatch="||"),
    "skipped": Look(LIGHT_GREY, hatch="--"),
    "pending": Look(PALE_GREY),
    "down": Look(INK, hatch="//"),  # not a status: the node serves nothing, for reasons outside the rollout
}

# Verdicts on a rollout, and states of one.
OUTCOME_LOOKS = {
    "completed_good": Look(GREEN, "o"),
    "stopped_defective": Look(BLUE, "s"),
    "false_alarm": Look(ORANGE, "^"),
    "escaped": Look(VERMILION, "D"),
    "pending": Look(LIGHT_GREY, "v"),
    "in_progress": Look(SKY_BLUE, "<"),
    "paused": Look(PURPLE, ">"),
    "completed": Look(GREEN, "o"),
    "failed": Look(VERMILION, "D"),
    "canceled": Look(BLACK, "X"),
}

# Policies by their part in a question: the one in use, a better one, and one with the thresholds of the API.
CURRENT, BETTER, DEFAULT = Look(BLACK, "o"), Look(BLACK, "*"), Look(BLACK, "s")

P = ParamSpec("P")
A = TypeVar("A")


def choose_line_looks(n: int) -> list[Look]:
    """Return looks for `n` lines: colours in order, and once they repeat, with the next line style and mark.

    Examples
    --------
    >>> looks = choose_line_looks(9)
    >>> looks[8].colour == looks[0].colour, looks[8].line == looks[0].line
    (True, False)
    """
    n_looks = len(LINE_LOOKS)
    shapes = [LINE_LOOKS[(number + number // n_looks) % n_looks] for number in range(n)]
    return [replace(shape, colour=LINE_LOOKS[number % n_looks].colour) for number, shape in enumerate(shapes)]


def darken(colour: Any) -> str:
    """Return a colour for text: the given one, or a darker shade if that is too light to be read on white.

    Examples
    --------
    >>> darken(BLUE) == BLUE.lower(), darken(YELLOW)
    (True, '#817b24')
    """
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    return to_hex(tuple(rgb * min(1.0, _LIGHTEST_LABEL / max(_luminance(rgb), 1e-9))))


def is_dark(colour: Any) -> bool:
    """Return whether text on a colour should be white."""
    from matplotlib.colors import to_rgb

    return _luminance(to_rgb(colour)) < _LIGHT


def label_line_ends(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Write the label of each line beside its end, right of the axes; labels that would overlap move apart.

    They are placed when the figure is drawn. A line that ends with NaN has no label.
    """
    arrow = {"arrowstyle": "-", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5), "patchA": None}
    look: dict[str, Any] = {"va": "center", "fontsize": "small", "annotation_clip": False}
    look |= {"xycoords": ax.get_yaxis_transform(), "xytext": (_LABEL_GAP_PT, 0), "textcoords": "offset points"}
    labels = []
    for line in lines:
        end, colour = float(np.asarray(line.get_ydata(), dtype=float)[-1]), line.get_color()
        if not np.isnan(end):
            look |= {"color": darken(colour), "arrowprops": {**arrow, "color": colour}}
            labels.append(ax.annotate(str(line.get_label()), (1.0, end), **look))
    before_drawing(ax, lambda renderer: _move_apart(ax, labels, renderer))


def before_drawing(ax: Axes, act: Callable[[Any], None]) -> None:
    """Call a function with the renderer whenever the axes are drawn, before their content; only then are sizes known."""
    from matplotlib.artist import Artist

    class Hook(Artist):
        def draw(self, renderer: Any) -> None:
            act(renderer)

    hook = Hook()
    hook.set_zorder(-100)
    hook.set_in_layout(False)
    ax.add_artist(hook)


def _move_apart(ax: Axes, labels: Sequence[Any], renderer: Any) -> None:
    from matplotlib.text import Text

    if not labels:
        return
    to_pt = 72 / ax.figure.dpi
    box = ax.get_window_extent(renderer)
    wanted = [float(label.xycoords.transform(label.xy)[1]) for label in labels]
    # Without the line to the label, which is part of an annotation's extent.
    sizes = [Text.get_window_extent(label, renderer).height for label in labels]
    places = spread(wanted, max(sizes), box.y0 + max(sizes) / 2, box.y1 - max(sizes) / 2)
    for label, place, height in zip(labels, places, wanted, strict=True):
        label.set_position((_LABEL_GAP_PT, (place - height) * to_pt))


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return the places nearest to those wanted, in the same order, at least `gap` apart and within the limits.

    If there isn't room for all, they begin at `low` and extend beyond `high`.

    Examples
    --------
    >>> spread([5.0, 5.0, 20.0], gap=4, low=0, high=30)
    [3.0, 7.0, 20.0]
    >>> spread([0.0, 1.0], gap=4, low=0, high=30)
    [0.0, 4.0]
    """
    order = np.argsort(wanted, kind="stable")
    # With the gaps subtracted, this is isotonic regression: pool neighbours that are out of order, and use their mean.
    pools: list[list[float]] = []
    for place, index in enumerate(order.tolist()):
        pools.append([wanted[index] - place * gap, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, n), (last, m) = pools[-2:]
            pools[-2:] = [[(mean * n + last * m) / (n + m), n + m]]
    highest = max(high - (len(wanted) - 1) * gap, low)
    ascending = [min(max(mean, low), highest) for mean, n in pools for _ in range(int(n))]
    places = [0.0] * len(wanted)
    for place, (index, start) in enumerate(zip(order.tolist(), ascending, strict=True)):
        places[index] = float(start + place * gap)
    return places


def set_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Prepare the vertical axis for rows at 0, 1, 2, ... from the top, labelled as by `name_row`."""
    for row in range(0, len(labels), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=STRIPE, zorder=-1)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    size = "small" if measure_axes(ax)[0] < NARROW_PT else "medium"
    ax.set_yticks(range(len(labels)), labels, parse_math=False, fontsize=size)
    ax.tick_params(axis="y", length=0)


def name_row(name: str, n: int) -> str:
    """Return the label of a row: a name and its number of observations."""
    return f"{wrap_name(name)}\nn = {n:,}"


def wrap_name(name: str, width: int = _NAME_WIDTH) -> str:
    """Return a name on at most two lines; if it is longer, without its middle, because names often differ in their last words.

    Examples
    --------
    >>> wrap_name("canaries, then the rest of the fleet by region").splitlines()
    ['canaries, then the rest of', 'the fleet by region']
    >>> wrap_name("the-careful-update-of-every-node-in-all-our-regions-in-waves-of-10").splitlines()
    ['the-careful-update-of-every-', '...ur-regions-in-waves-of-10']
    """
    lines = textwrap.wrap(name, width)
    if len(lines) > 2:
        lines = [lines[0], f"...{name[3 - width :]}"]
    return "\n".join(lines)


def cut_middle(name: str, width: int) -> str:
    """Return a name without its middle if it is longer than `width`.

    Examples
    --------
    >>> cut_middle("the-careful-update-in-waves-of-10", 20)
    'the-caref...es-of-10'
    """
    end = (width - 3) // 2
    return name if len(name) <= width else f"{name[: width - 3 - end]}...{name[-end:]}"


def say_no_value(ax: Axes, row: float, reason: str = "no value") -> None:
    """Say why there is nothing to draw in a row."""
    ax.annotate(reason, (0.01, row), xycoords=("axes fraction", "data"), va="center", fontsize="small")


def say_nothing_known(ax: Axes, text: str) -> None:
    """Remove the ticks, and say in the middle of the axes why nothing is drawn."""
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])


def write_beside(ax: Axes, row: float, text: str, **look: Any) -> None:
    """Write a text right of the axes, at the height of a row."""
    look = {"va": "center", "fontsize": "small", **look}
    ax.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), **look)


def write_above(ax: Axes, place: float, text: str, *, offset_pt: float = 0, **look: Any) -> None:
    """Write a text above the axes, at a place on the horizontal axis."""
    look = {"ha": "center", "va": "bottom", "fontsize": "small", "color": DARK_GREY, **look}
    ax.annotate(
        text, (place, 1), xytext=(offset_pt, 3), xycoords=("data", "axes fraction"), textcoords="offset points", **look
    )


def put_legend_above(ax: Axes, n_columns: int, **options: Any) -> int:
    """Put the legend above the axes, since data may be anywhere inside; return its number of rows."""
    handles, labels = ax.get_legend_handles_labels()
    labels = [str(handle.get_label()) for handle in options.get("handles", handles)] or labels
    n_columns = max(n_columns, 1)
    while n_columns > 1 and _measure_columns(labels, n_columns) > measure_room(ax):
        n_columns -= 1
    size = "small" if _measure_columns(labels, n_columns) <= measure_room(ax) else "x-small"
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, fontsize=size, frameon=False, **options)
    return -(-len(labels) // n_columns)


def _measure_columns(labels: Sequence[str], n_columns: int) -> float:
    """Estimate the width of a legend in points; it is filled column by column, the first ones having one more row."""
    n_rows, n_longer = divmod(len(labels), n_columns)
    n_of_columns = [n_rows + (column < n_longer) for column in range(min(n_columns, len(labels)))]
    left = iter(labels)
    return sum(max(len(next(left)) for _ in range(n)) * _SMALL_CHARACTER_PT + _KEY_PT for n in n_of_columns)


def contrast_to(colour: Any) -> str:
    """Return the colour for text on top of a colour.

    Examples
    --------
    >>> contrast_to(BLUE), contrast_to(YELLOW)
    ('#ffffff', '#000000')
    """
    return "#ffffff" if is_dark(colour) else "#000000"


def _luminance(rgb: Sequence[float] | np.ndarray) -> float:
    red, green, blue = rgb
    return 0.299 * red + 0.587 * green + 0.114 * blue


def in_plain_text(plot: Callable[P, A]) -> Callable[P, A]:
    """Decorate a function that draws on axes and returns them, so that matplotlib reads no text there as mathematics.

    Ticks are left alone: powers of ten on a logarithmic axis are formulas. The first argument must be axes: one named `ax`, or
    any number of them.
    """
    name = next(iter(signature(plot).parameters))

    @wraps(plot)
    def draw(*args: P.args, **options: P.kwargs) -> A:
        if args or name in options:
            _check_axes(name, args[0] if args else options[name])
        drawn = plot(*args, **options)
        for ax in np.ravel(np.asarray(drawn, dtype=object)):
            fit_words(ax)
            _take_literally(ax)
        return drawn

    return draw


def _check_axes(name: str, given: object) -> None:
    from matplotlib.axes import Axes

    each = [given] if name == "ax" else np.ravel(np.asarray(given, dtype=object)).tolist()
    if not all(isinstance(one, Axes) for one in each):
        allowed = "matplotlib axes, such as Figure().subplots()" if name == "ax" else "a sequence of matplotlib axes"
        raise InputError(Problem("not axes to draw on", (name,), found=shorten(given), allowed=allowed))


def _take_literally(ax: Any) -> None:
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for artist in ax.get_children():
        for text in [artist.label] if isinstance(artist, Axis) else artist.findobj(Text):
            text.set_parse_math(False)
