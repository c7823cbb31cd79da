"""A picture of two measures: one along each axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.plotting.axes import find_measure, set_limits, set_measure_axis
from simdeploy.plotting.intervals import draw_intervals
from simdeploy.plotting.style import BLUE
from simdeploy.plotting.wrapping import wrap_axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.scenario.measures import Measure


def choose_measures(known: Sequence[Measure], *asked: Measure | str | None) -> list[Measure]:
    """Return the measures on x and y."""
    return [find_measure(measure, known, argument="xy"[place], place=place) for place, measure in enumerate(asked)]


def read_values(frame: pd.DataFrame, measures: Iterable[Measure]) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates with the ends of their intervals on x and y, shape (2, points, 3), and whether intervals can be trusted."""
    rows = [frame[frame["measure"].eq(str(measure))] for measure in measures]
    values = np.stack([of_measure[["estimate", "low", "high"]].to_numpy() for of_measure in rows])
    return values, np.stack([of_measure["is_trusted"].to_numpy(dtype=bool) for of_measure in rows])


def set_axes(
    ax: Axes, measures: Iterable[Measure], ends: Iterable[Iterable[float]], cost_unit: str, room: float = 0.08
) -> None:
    """Label both axes, and set their limits to include the ends of intervals."""
    for which, measure, along_axis in zip("xy", measures, ends, strict=True):
        longest = set_limits(ax, which, measure, along_axis, room=room)
        set_measure_axis(getattr(ax, f"{which}axis"), measure, longest, cost_unit)
        wrap_axis_label(ax, which)


def draw_both_intervals(
    ax: Axes, values: np.ndarray, is_trusted: np.ndarray, colour: str = BLUE, width: float = 1.2, alpha: float = 0.35
) -> None:
    """Draw the intervals from `read_values` as a cross at each point."""
    (x, x_low, x_high), (y, y_low, y_high) = values.transpose(0, 2, 1)
    look: dict[str, Any] = {"color": colour, "alpha": alpha, "zorder": 2}
    draw_intervals(ax, "x", y, x_low, x_high, is_trusted[0], linewidth=width, **look)
    draw_intervals(ax, "y", x, y_low, y_high, is_trusted[1], linewidth=width, **look)
