"""Axes of measures and times, and labels beside points that don't overlap."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import InputError, not_among
from simdeploy.plotting.style import INK, before_drawing, darken
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes
from simdeploy.report.formatting import Scale, time_scale, with_unit
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from simdeploy.scenario.measures import Measure

_MOST_MEASURE_TICKS = 6
_LEAST_FACTOR = 5  # least ratio of the limits of a logarithmic axis
_BESIDE_PT = 5
# Possible positions of a label beside its point, best first, on a grid of -1, 0 and 1 in both directions.
_SIDES = [
    np.array(side) * far
    for far in (1.0, 2.2)
    for side in ((1, 1), (1, 0), (1, -1), (-1, 1), (-1, 0), (-1, -1), (0, 1), (0, -1))
]

# Steps between ticks: customary multiples of a unit of time, and decimal fractions for narrow axes.
_PARTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_STEPS = {
    "s": (1, 2, 5, 10, 15, 20, 30, 60),
    "min": (1, 2, 5, 10, 15, 20, 30, 60),
    "h": (1, 2, 3, 4, 6, 12, 24),
    "d": (1, 2, 5, 7, 14, 28, 70, 140, 364),
}
_MOST_TIME_TICKS = 9
_DIGIT_PT, _GAP_PT, _LINE_PT = 6.0, 8, 16  # room for a digit of a tick, between two ticks, and for a line of text
_LAID_OUT = 0.8  # the least fraction of the axes' size that remains after layout


def find_measure(measure: Measure | str | None, known: Sequence[Measure], *, argument: str, place: int = 0) -> Measure:
    """Return the measure of a result to draw, by default the one at `place`; raise `InputError` if the result lacks it."""
    if measure is None:
        return known[place]
    with contextlib.suppress(InputError):  # an invalid measure gets the same error as one that the result lacks
        (asked,) = read_measures([measure])
        if asked in known:
            return asked
    raise InputError(not_among("the result has no such measure", (argument,), str(measure), map(str, known)))


def set_measure_axis(axis: Axis, measure: Measure, longest: float, cost_unit: str = "", label: str = "") -> None:
    """Label an axis, whose limits are set, in the unit of its measure; the label is by default the measure's name."""
    from matplotlib.ticker import MaxNLocator

    label = label or describe_measure(measure)
    if measure.of in COSTS:
        label = with_unit(label, cost_unit)
    most = _MOST_MEASURE_TICKS
    if not measure.is_duration:
        widest = (
            "100 %"
            if measure.is_fraction
            else max((write_number(round(end)) for end in axis.get_view_interval()), key=len)
        )
        most = count_ticks(axis, len(widest), most)
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    set_unit_axis(axis, "s" if measure.is_duration else "fraction" if measure.is_fraction else "", longest, label)


def set_unit_axis(axis: Axis, unit: str, longest: float, label: str) -> None:
    """Label an axis, whose limits are set, for data in a unit of `LABELS`."""
    if unit == "s":
        set_time_axis(axis, longest, label)
        return
    axis.set_major_formatter(write_percent if unit == "fraction" else write_number)
    axis.set_label_text(label)


def set_log_axis(ax: Axes, low: float, high: float) -> None:
    """Make the horizontal axis, of counts, logarithmic, with few and plain numbers at its ticks.

    It stays linear if the limits differ by less than a factor of five, because there would be too few ticks.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    if high >= _LEAST_FACTOR * low:
        subs = (1.0, 2.0, 5.0) if high < 10 * low else (1.0, 3.0) if high < 50 * low else (1.0,)
        ax.set_xscale("log")
        longest = max(len(write_number(10.0**power)) for power in range(math.floor(math.log10(high)) + 1))
        room = int(measure_axes(ax)[0] / (longest * _DIGIT_PT + _GAP_PT))
        ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=min(max(room, 3), 6)))
        ax.xaxis.set_major_formatter(write_number)
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(low, high)


def set_symlog_axis(ax: Axes, linear: float, low: float, high: float, write: Callable[[float], str]) -> None:
    """Make the horizontal axis linear around 0, up to `linear`, and logarithmic beyond, with ticks at powers of ten."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.set_xscale("symlog", linthresh=linear, linscale=1)
    ax.set_xlim(low, high)
    n_powers = max(math.floor(math.log10(max(-low, high) / linear)) + 1, 1)
    sizes = [linear * 10.0**power for power in range(n_powers)]
    sizes = [linear / 2, *sizes] if n_powers < 3 and measure_axes(ax)[0] > NARROW_PT else sizes
    ticks = [0.0, *sizes, *(-size for size in sizes)]
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: write(value))


def set_log_measure_axis(ax: Axes, linear: float, low: float, high: float, scale: Scale) -> None:
    """Make the horizontal axis of a measure logarithmic, with few ticks at round numbers; from 0 to `linear` it is linear."""
    from matplotlib.ticker import FixedLocator, NullLocator

    if low > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=linear, linscale=0.4)
    ax.set_xlim(low, high * 1.05)
    first, last = (math.floor(math.log10(end * scale.factor)) for end in (linear, high))
    parts = (1, 2, 5) if last - first < 2 else (1, 3) if last - first < 3 else (1,)
    ticks = [part * 10.0**power / scale.factor for power in range(first, last + 1) for part in parts]
    ticks = [*([] if low > 0 else [0.0]), *(tick for tick in ticks if linear <= tick <= high)]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    unit = " %" if scale.unit == "%" else ""  # others are in the label
    ax.xaxis.set_major_formatter(lambda value, _: f"{round(value * scale.factor, 9):,g}{unit}")


def write_number(value: float, _place: float | None = None) -> str:
    """Return a tick label of an axis of numbers: with all digits, in millions if there are many."""
    return f"{value / 1e6:,.9g} M" if abs(value) >= 1e6 else f"{value:,.9g}"


def write_percent(value: float, _place: float | None = None) -> str:
    """Return a tick label of a fraction's axis."""
    return f"{round(100 * value, 6):g} %"


def set_limits(ax: Axes, which: str, measure: Measure, ends: Iterable[float], room: float = 0.05) -> float:
    """Fit an axis to values and the ends of their intervals; return the largest of them.

    A fraction's axis begins at 0 and ends at 100 % at most. `room` for marks, a fraction of the length, is added at both ends.
    """
    known = np.array([end for end in ends if np.isfinite(end)])
    low, high = float(known.min()), float(known.max())
    if measure.is_fraction:
        low, high = max(low, 0.0), min(high, 1.0)
    first, last = low, high
    if high == low:
        around = 0.01 if measure.is_fraction else max(0.05 * abs(high), 0.01)
        first, last = low - around, high + around
        if measure.is_fraction:
            first, last = max(first, 0.0), min(last, 1.0)
    margin = room * (last - first)
    getattr(ax, f"set_{which}lim")(first - margin, last + margin)
    return high


def sample_line(points: np.ndarray) -> np.ndarray:
    """Return points along the line through points, twenty in each segment."""
    known = points[~np.isnan(points).any(axis=1)]
    parts = np.linspace(0, 1, 20)[:, None]
    return np.vstack([known, *(start + parts * (end - start) for start, end in pairwise(known))])


def label_points(
    ax: Axes,
    points: np.ndarray,
    words: Sequence[str],
    order: Iterable[int],
    *,
    colours: Sequence[str] | None = None,
    avoid: np.ndarray | None = None,
) -> None:
    """Label points, as far as there is room.

    `points` has a row of x and y for each, `order` has their indices, the most important first. When the axes are
    drawn, each label is put where it hides the fewest points and lines beside its point; it is left out if every
    position would overlap another label, leave the axes or be nearer to another point. The first one may be nearer to
    another point. `avoid` are further points to keep free, such as along lines.
    """
    from matplotlib.patheffects import withStroke

    look: dict[str, Any] = {"xytext": (0, 0), "textcoords": "offset points", "ha": "left", "va": "bottom", "zorder": 6}
    look |= {"fontsize": "small", "in_layout": False}
    look |= {"path_effects": [withStroke(linewidth=2, foreground="white")]}
    labels = [
        ax.annotate(words[place], points[place], color=INK if colours is None else darken(colours[place]), **look)
        for place in dict.fromkeys(order)
        if not np.isnan(points[place]).any()
    ]
    points = points[~np.isnan(points).any(axis=1)]
    free = points if avoid is None else np.vstack([points, avoid[~np.isnan(avoid).any(axis=1)]])
    before_drawing(ax, lambda renderer: _place_labels(ax, labels, points, free, renderer))


def _place_labels(
    ax: Axes, labels: Sequence[Annotation], points: np.ndarray, avoid: np.ndarray, renderer: RendererBase
) -> None:
    """Put each label where it hides the least, in order; hide those without room."""
    to_px = ax.figure.dpi / 72
    marked, kept_free = ax.transData.transform(points), ax.transData.transform(avoid)
    area = ax.get_window_extent(renderer)
    inside = np.array([area.min, area.max])
    taken = [np.array([box.min, box.max]) for box in _list_boxes(ax, labels, renderer)]
    for label in labels:
        label.set(visible=True, position=(0, 0))
        extent = label.get_window_extent(renderer)
        size, at = np.array([extent.width, extent.height]), ax.transData.transform(label.xy)
        best, least = None, (True, math.inf)
        for side in _SIDES:
            start = at + side * _BESIDE_PT * to_px + (np.sign(side) - 1) / 2 * size
            box = np.array([start, start + size])
            if (box[0] < inside[0]).any() or (box[1] > inside[1]).any():
                continue
            if any((box[0] < other[1] + 3).all() and (other[0] < box[1] + 3).all() for other in taken):
                continue
            hidden = int(((kept_free > box[0] - 1) & (kept_free < box[1] + 1)).all(axis=1).sum())
            is_nearer_to_another = bool(_measure_gaps(box, marked).min() < _measure_gaps(box, at) - 1)
            if is_nearer_to_another and label is not labels[0]:
                continue
            if (is_nearer_to_another, hidden) < least:
                best, least = box, (is_nearer_to_another, hidden)
        label.set_visible(best is not None)
        if best is not None:
            taken.append(best)
            label.set_position(tuple((best[0] - at) / to_px))


def _measure_gaps(box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the distance of each point from a box, in pixels."""
    gaps: np.ndarray = np.hypot(*np.maximum(np.maximum(box[0] - points, points - box[1]), 0).T)
    return gaps


def _list_boxes(ax: Axes, labels: Sequence[Annotation], renderer: RendererBase) -> list[Bbox]:
    """Return the extents of other texts on the axes."""
    others = [text for text in ax.texts if text not in labels and text.get_visible() and text.get_text()]
    legend = ax.get_legend()
    return [artist.get_window_extent(renderer) for artist in (*others, *([] if legend is None else [legend]))]


def set_time_axis(axis: Axis, longest_s: float, label: str) -> None:
    """Put ticks at round times on an axis whose data are seconds, and label it with the unit that suits the longest.

    Its limits must be set; its data stay in seconds.
    """
    from matplotlib.ticker import MultipleLocator

    factor, unit, _ = time_scale(longest_s)
    low_s, high_s = axis.get_view_interval()
    longest = _STEPS[unit][-1]
    steps = chain(_PARTS, _STEPS[unit], (longest * 2**doubled for doubled in count(1)))
    most = count_ticks(axis, len(f"{max(abs(low_s), abs(high_s)) * factor:.0f}"), _MOST_TIME_TICKS)
    step = next(step for step in steps if (high_s - low_s) * factor / step <= most)
    axis.set_major_locator(MultipleLocator(step / factor))
    axis.set_major_formatter(lambda seconds, _: f"{round(seconds * factor, 4):g}")
    axis.set_label_text(with_unit(label, unit))


def count_ticks(axis: Axis, n_characters: int, most: int) -> int:
    """Return how many tick labels of `n_characters` fit on an axis, from 2 to `most`."""
    width_pt, height_pt = measure_axes(axis.axes)
    room = width_pt / (_DIGIT_PT * (n_characters + 1)) if axis is axis.axes.xaxis else height_pt / _LINE_PT
    return max(min(most, int(_LAID_OUT * room)), 2)


def set_bars(ax: Axes, labels: Sequence[str]) -> None:
    """Prepare the vertical axis for labelled bars at 0, 1, 2, ... from the top."""
    ax.set_yticks(range(len(labels)), labels, parse_math=False)
    ax.tick_params(axis="y", length=0, labelsize="small")
    ax.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
