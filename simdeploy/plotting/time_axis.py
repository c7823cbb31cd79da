"""An axis of seconds that reads in seconds, minutes, hours or days."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from simdeploy.report.wording import time_scale

if TYPE_CHECKING:
    from matplotlib.axis import Axis

# Steps between ticks: those that people count a unit of time in, and decimal parts of it for narrow axes.
_PARTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_STEPS = {
    "s": (1, 2, 5, 10, 15, 20, 30, 60),
    "min": (1, 2, 5, 10, 15, 20, 30, 60),
    "h": (1, 2, 3, 4, 6, 12, 24),
    "d": (1, 2, 5, 7, 14, 28, 70, 140, 364),
}
_MOST_TICKS = 9


def set_time_axis(axis: Axis, longest_s: float, label: str) -> None:
    """Put ticks at round times on an axis whose data are seconds.

    Parameters
    ----------
    axis : Axis
        ``ax.xaxis`` or ``ax.yaxis`` with its limits set; the data stay in seconds.
    longest_s : float
        The time that decides on the unit.
    label : str
        The axis's label, without the unit.
    """
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    factor, unit = time_scale(longest_s)
    low_s, high_s = axis.get_view_interval()
    longest = _STEPS[unit][-1]
    steps = chain(_PARTS, _STEPS[unit], (longest * 2**doubled for doubled in count(1)))
    step = next(step for step in steps if (high_s - low_s) * factor / step <= _MOST_TICKS)
    axis.set_major_locator(MultipleLocator(step / factor))
    axis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{round(seconds * factor, 4):g}"))
    axis.set_label_text(f"{label} ({unit})")
