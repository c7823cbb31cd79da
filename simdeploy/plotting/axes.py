"""Axes of measures and times, and words beside points that don't run into each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import InputError, not_among
from simdeploy.plotting.style import INK
from simdeploy.report.wording import time_scale
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from simdeploy.scenario.measures import Measure

_MOST_MEASURE_TICKS = 6
_LINE_PT, _CHARACTER_PT = 12, 3.8  # what a word takes
_BESIDE_PT = 6

# Steps between ticks: those that people count a unit of time in, and decimal parts of it for narrow axes.
_PARTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_STEPS = {
    "s": (1, 2, 5, 10, 15, 20, 30, 60),
    "min": (1, 2, 5, 10, 15, 20, 30, 60),
    "h": (1, 2, 3, 4, 6, 12, 24),
    "d": (1, 2, 5, 7, 14, 28, 70, 140, 364),
}
_MOST_TIME_TICKS = 9


def find_measure(measure: Measure | str | None, known: Sequence[Measure], *, argument: str, place: int = 0) -> Measure:
    """Return the measure of a result that is to be drawn, by default the one at `place`; refuse what it hasn't."""
    if measure is None:
        return known[place]
    with contextlib.suppress(InputError):  # what is no measure at all is none of the result's either
        (found,) = read_measures([measure])
        if found in known:
            return found
    raise InputError(not_among("the result has no such measure", (argument,), str(measure), map(str, known)))


def set_measure_axis(axis: Axis, measure: Measure, longest: float, cost_unit: str = "") -> None:
    """Label an axis, whose limits are set: fractions as percentages, times in the unit that suits the longest, costs in theirs."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(_MOST_MEASURE_TICKS, steps=[1, 2, 5, 10]))
    set_unit_axis(axis, unit_of(measure), longest, add_cost_unit(describe_measure(measure), measure, cost_unit))


def add_cost_unit(label: str, measure: Measure, cost_unit: str) -> str:
    """Return the label of an axis with the unit of costs, if the axis is one of costs and they have a unit."""
    return f"{label} ({cost_unit})" if measure.of in COSTS and cost_unit else label


def unit_of(measure: Measure) -> str:
    """Return the unit of a measure, as `LABELS` has it of a response."""
    return "s" if measure.is_duration else "fraction" if measure.is_fraction else ""


def set_unit_axis(axis: Axis, unit: str, longest: float, label: str) -> None:
    """Label an axis, whose limits are set, for data in a unit of `LABELS`."""
    from matplotlib.ticker import PercentFormatter

    if unit == "s":
        set_time_axis(axis, longest, label)
        return
    if unit == "fraction":
        axis.set_major_formatter(PercentFormatter(1))
    axis.set_label_text(label)


def set_limits(ax: Axes, which: str, measure: Measure, ends: Iterable[float]) -> float:
    """Fit an axis to values and the ends of their intervals; return the largest of them.

    A fraction's axis begins at 0 and ends at 100 % at most, with a little room for marks.
    """
    known = np.array([end for end in ends if np.isfinite(end)])
    low, high = float(known.min()), float(known.max())
    margin = 0.05 * (high - low) if high > low else max(0.05 * abs(high), 0.01)
    if measure.is_fraction:
        low, high = max(low, 0.0), min(high, 1.0)
        margin = 0.05 * (high - low) if high > low else 0.01
    getattr(ax, f"set_{which}lim")(low - margin, high + margin)
    return high


def label_points(ax: Axes, points: np.ndarray, words: list[str], order: Iterable[int]) -> None:
    """Write words beside points, as far as there is room.

    The limits of the axes are set. `points` has a row of x and y for each, `order` is of their places, the most important
    first: what would run into a word before is left out.
    """
    from matplotlib.patheffects import withStroke

    to_pt = 72 / ax.figure.dpi
    places = ax.transData.transform(points) * to_pt
    end_pt = ax.transAxes.transform((1, 1))[0] * to_pt
    taken: list[np.ndarray] = []
    for number in order:
        if np.isnan(points[number]).any():
            continue
        width = _CHARACTER_PT * len(words[number])
        is_left = places[number, 0] + _BESIDE_PT + width > end_pt
        start = places[number] + (-_BESIDE_PT - width if is_left else _BESIDE_PT, _BESIDE_PT)
        box = np.array([start, start + np.array([width, _LINE_PT])])
        if any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken):
            continue
        taken.append(box)
        ax.annotate(
            words[number],
            points[number],
            xytext=(-_BESIDE_PT if is_left else _BESIDE_PT, _BESIDE_PT),
            textcoords="offset points",
            ha="right" if is_left else "left",
            fontsize="x-small",
            color=INK,
            path_effects=[withStroke(linewidth=2, foreground="white")],
            parse_math=False,
            zorder=6,
        )


def set_time_axis(axis: Axis, longest_s: float, label: str) -> None:
    """Put ticks at round times on an axis whose data are seconds, and label it with the unit that suits the longest.

    Its limits are set, and its data stay in seconds.
    """
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    factor, unit = time_scale(longest_s)
    low_s, high_s = axis.get_view_interval()
    longest = _STEPS[unit][-1]
    steps = chain(_PARTS, _STEPS[unit], (longest * 2**doubled for doubled in count(1)))
    step = next(step for step in steps if (high_s - low_s) * factor / step <= _MOST_TIME_TICKS)
    axis.set_major_locator(MultipleLocator(step / factor))
    axis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{round(seconds * factor, 4):g}"))
    axis.set_label_text(f"{label} ({unit})")
