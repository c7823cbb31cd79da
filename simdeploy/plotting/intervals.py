"""Intervals of estimates: lines, dashed where an interval can't be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from simdeploy.plotting.wrapping import wrap_axis_label
from simdeploy.report.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES_PT = (3.6, 2.2)
_NOTE = "dashed: may be too narrow"
_LABEL = "_untrusted"  # such labels are in no legend


def draw_intervals(
    ax: Axes,
    which: Literal["x", "y"],
    places: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    is_trusted: ArrayLike,
    *,
    linewidth: float,
    **look: Any,
) -> None:
    """Draw intervals along an axis, at positions on the other one; dashed if they can't be trusted.

    Callers that describe the intervals should add `tell_untrusted`, as `add_interval` does.
    """
    place, low, high, is_trusted = np.broadcast_arrays(
        places, np.asarray(low, float), np.asarray(high, float), is_trusted
    )
    is_known, is_solid = ~np.isnan(low) & ~np.isnan(high), np.asarray(is_trusted, dtype=bool)
    draw = ax.hlines if which == "x" else ax.vlines
    # Matplotlib's unit of dashes is the width of the line.
    dashed: dict[str, Any] = {"linestyles": (0, tuple(part / linewidth for part in _DASHES_PT)), "label": _LABEL}
    for drawn, line in ((is_known & is_solid, {}), (is_known & ~is_solid, dashed)):
        if drawn.any():
            draw(place[drawn], low[drawn], high[drawn], linewidth=linewidth, **look, **line)


def tell_untrusted(ax: Axes, before: str = "; ") -> str:
    """Return an explanation of dashed intervals, to add to a text; empty if the axes have none."""
    return f"{before}{_NOTE}" if any(lines.get_label() == _LABEL for lines in ax.collections) else ""


def add_interval(ax: Axes, which: Literal["x", "y"], confidence_level: float, note: str = "") -> None:
    """Add the confidence level of the intervals along an axis to its label."""
    axis = getattr(ax, f"{which}axis")
    interval = f"{percent(confidence_level)} CI".replace(" ", "\N{NO-BREAK SPACE}")
    untrusted = tell_untrusted(ax, "").replace(" ", "\N{NO-BREAK SPACE}")
    axis.set_label_text(f"{axis.get_label_text()}, {interval}{note}{untrusted and f'; {untrusted}'}")
    wrap_axis_label(ax, which)
    axis.set_label_text(axis.get_label_text().replace("\N{NO-BREAK SPACE}", " "))
