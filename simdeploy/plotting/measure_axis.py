"""A measure of a result, the axis that it is on, and words beside points that don't run into each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.measuring import read_measures
from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.colours import INK
from simdeploy.plotting.time_axis import set_time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from simdeploy.scenario.measures import Measure

_MOST_TICKS = 6
_LINE_PT, _CHARACTER_PT = 12, 3.8  # what a word takes
_BESIDE_PT = 6


def find_measure(measure: Measure | str | None, known: Sequence[Measure], *, argument: str, place: int = 0) -> Measure:
    """Return the measure of a result that is to be drawn.

    Parameters
    ----------
    measure : Measure, str or None
        What was asked for; None is the one at `place`.
    known : sequence of Measure
        Those of the result.
    argument : str
        What the caller calls it.
    place : int, default 0

    Raises
    ------
    InputError
        If the result has no such measure.
    """
    if measure is None:
        return known[place]
    with contextlib.suppress(InputError):  # what is no measure at all is none of the result's either
        (found,) = read_measures([measure])
        if found in known:
            return found
    names = [str(one) for one in known]
    allowed, hint = ", ".join(names), nearest(str(measure), names)
    message = "the result has no such measure"
    raise InputError(Problem(message, (argument,), found=shorten(str(measure)), allowed=allowed, hint=hint))


def set_measure_axis(axis: Axis, measure: Measure, longest: float) -> None:
    """Label an axis with a measure: fractions as percentages, times in the unit that suits the longest.

    Parameters
    ----------
    axis : Axis
        ``ax.xaxis`` or ``ax.yaxis`` with its limits set.
    measure : Measure
    longest : float
        The largest value, which decides on the unit of a time.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    label = describe_measure(measure)
    if measure.is_duration:
        set_time_axis(axis, longest, label)
        return
    axis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]))
    if measure.is_fraction:
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
    """Write words beside points, in an order of importance, as far as there is room.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its limits set.
    points : ndarray of float, shape (points, 2)
    words : list of str
    order : iterable of int
        Places of points; what would run into one before is left out.
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
