"""What pictures of one rollout share: title, marks of waves and ends, and names of statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.errors import plural
from simdeploy.plotting import style
from simdeploy.plotting.style import STATUS_LOOKS
from simdeploy.plotting.wrapping import measure_axes, wrap_words
from simdeploy.report.formatting import Scale, format_number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from simdeploy.engines import Rollout

CHARACTER_PT = 5.5  # width of a character in the smallest type, in points
LAID_OUT = 0.8  # the least fraction of the axes' height that remains after layout
LABEL_PT = 13  # height of a label, with some space
_MOST_TRIANGLES = 25
_MOST_LEGEND_COLUMNS = 4
_NARROW_PT = 250  # in narrower axes, legends and marks are in smaller type
_LEGEND_COLUMN_PT = {"small": 85, "x-small": 64}
_LEGEND_ROW_PT = {"small": 13, "x-small": 10.5}


def choose_hatch_colour(colour: str) -> str:
    """Return a colour that stands out from an area, even in grey."""
    return "white" if style.is_dark(colour) else style.darken(colour)


def set_time_limits(ax: Axes, rollout: Rollout) -> tuple[float, float]:
    """Set the limits of the time axis; return the last time, and the right end.

    The last values extend a little further, because a step without width is invisible, and to make room for a label.
    """
    last_s = float(rollout.timeline["time_s"].iloc[-1])
    right_s = last_s * 1.07 if last_s > 0 else 1.0
    ax.set_xlim(0, right_s)
    return last_s, right_s


def list_dispatches(rollout: Rollout) -> pd.DataFrame:
    """Return the events in which a node is dispatched."""
    events = rollout.events
    return events[events["to_status"].eq("starting") & events["node"].notna()]


def count_columns(name: str, width_pt: float, n_columns: int) -> int:
    """Return how many columns of a raster over the axes the name of a status takes."""
    return int(np.ceil((len(name) + 2) * CHARACTER_PT / width_pt * n_columns))


def find_marked(times_s: np.ndarray, marks_s: Sequence[float], right_s: float, width_pt: float) -> np.ndarray:
    """Return which times are under the label of a mark: to the left of the first mark, to the right of the second."""
    near_s = 1.3 * LABEL_PT * right_s / width_pt
    is_marked = np.zeros(len(times_s), dtype=bool)
    for mark_s in marks_s:
        is_marked |= np.abs(times_s - mark_s) < near_s
    return is_marked


def leave_room_above(ax: Axes, total: float, n_in_legend: int, height_pt: float) -> float:
    """Leave room above the fleet for the marks of waves, and for a legend; return the upper limit of the axis."""
    rows = -(-n_in_legend // _count_legend_columns(ax))
    # The wave marks need another row.
    share = min(0.6, (_LEGEND_ROW_PT[_choose_size(ax)] * rows + 22) / height_pt)
    top = total / (1 - share)
    ax.set_ylim(0, top)
    return top


def _count_legend_columns(ax: Axes) -> int:
    column_pt = _LEGEND_COLUMN_PT[_choose_size(ax)]
    return max(1, min(_MOST_LEGEND_COLUMNS, int(measure_axes(ax)[0] // column_pt)))


def _choose_size(ax: Axes) -> str:
    return "small" if measure_axes(ax)[0] > _NARROW_PT else "x-small"


def label_statuses(ax: Axes, places: Mapping[str, tuple[float, float]]) -> None:
    """Write the names of statuses at their positions, in fractions of the axes."""
    for status, place in places.items():
        look = STATUS_LOOKS[status]
        box = {"facecolor": look.colour, "edgecolor": "none", "pad": 1.0} if look.hatch else None
        ax.text(
            *place, status.replace("_", " "), transform=ax.transAxes, ha="center", va="center",
            fontsize="small", color=style.contrast_to(look.colour), bbox=box,
        )  # fmt: skip


def draw_status_legend(ax: Axes, areas: Sequence[Artist]) -> None:
    """Put a legend of the areas that have no room for their names above the fleet, inside the axes."""
    if areas:
        n_columns, size = min(_count_legend_columns(ax), len(areas)), _choose_size(ax)
        spacing = {"borderaxespad": 0.2, "labelspacing": 0.2, "columnspacing": 1.0, "handlelength": 1.4}
        ax.legend(handles=areas, loc="upper left", ncols=n_columns, fontsize=size, frameon=False, **spacing)


def list_marks(rollout: Rollout) -> list[tuple[float, str, str]]:
    """Return when the rollout ended or was paused for good, and when service was restored, each with a word and a line style."""
    values, events = rollout.response_values, rollout.events
    marks = [(values["makespan_s"], values["state"], "--")]
    if values["state"] == "paused":
        # A limit that is crossed during a pause is an event, too.
        pauses = events["to_status"].eq("paused") & events["from_status"].ne("paused")
        marks = [(events.loc[pauses, "time_s"].max(), "paused", "--")]
    if values["restored_at_s"] != values["makespan_s"]:
        marks.append((values["restored_at_s"], "restored", ":"))
    return [mark for mark in marks if mark[0] == mark[0]]  # NaN: it did not happen


def draw_marks(ax: Axes, marks: list[tuple[float, str, str]], total: float, scale: Scale) -> None:
    """Draw a line at each mark, with its time in the axis's unit."""
    right_s, (low, high) = ax.get_xlim()[1], ax.get_ylim()
    height_pt = LAID_OUT * measure_axes(ax)[1] * total / (high - low)
    for number, (time_s, word, line) in enumerate(marks):
        ax.vlines(time_s, 0, total, color=style.INK, linestyle=line, linewidth=1.2)
        # The first label is to the left of its line and the second to the right, so that they never overlap.
        leftwards = number == 0 and time_s > 0.05 * right_s
        text = f"{word.replace('_', ' ')} {format_number(time_s * scale.factor, 1.0)} {scale.unit}"
        # One that is too long extends beyond the fleet at the top, where there is room, and not across the axis.
        hangs = len(text) * CHARACTER_PT < height_pt
        ax.annotate(
            text, (time_s, total if hangs else 0),
            xytext=(-3 if leftwards else 3, -5 if hangs else 3), textcoords="offset points", rotation=90,
            fontsize=_choose_size(ax), ha="right" if leftwards else "left", va="top" if hangs else "bottom",
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip


def draw_waves(ax: Axes, rollout: Rollout, total: float, right_s: float) -> None:
    """Mark the start of each wave above the fleet, with numbers as far as there is room."""
    starts_s = list_dispatches(rollout).groupby("wave")["time_s"].min()
    marker = "v" if len(starts_s) <= _MOST_TRIANGLES else "|"
    ax.plot(starts_s, [total] * len(starts_s), marker, markersize=4, color=style.INK, clip_on=False)
    seconds_per_pt = right_s / measure_axes(ax)[0]
    # Marks below the first text must not be taken for that of its wave.
    n_below = int((starts_s < starts_s.iloc[0] + len("wave 1") * CHARACTER_PT * seconds_per_pt).sum())
    words = "wave" if n_below == 1 else "waves"
    last = "" if n_below == 1 else f"{', ' if n_below == 2 else ' to '}{starts_s.index[n_below - 1]}"
    free_from_s = 0.0
    for wave, start_s in starts_s.items():
        if start_s >= free_from_s:
            text = f"{words} {wave}{last}" if start_s == starts_s.iloc[0] else str(wave)
            side = "left" if start_s == 0 else "center"
            ax.annotate(text, (start_s, total), xytext=(0, 4), textcoords="offset points", ha=side, fontsize="x-small")
            # As far as this text reaches, and as far as the next, centred one begins before its mark.
            free_from_s = start_s + (len(text) + 3) * CHARACTER_PT * seconds_per_pt


def write_outcome(ax: Axes, rollout: Rollout, total: int) -> None:
    """Write the name and the outcome of the rollout as a title."""
    values = rollout.response_values
    outcome = str(values["state"]).replace("_", " ")
    if isinstance(values["verdict"], str):
        outcome += f" ({values['verdict'].replace('_', ' ')})"
    n_failed = int(values["failed_nodes"])
    failed = f"{n_failed:,} of {plural(total, 'node')} failed" if n_failed else "no node failed"
    names = " / ".join(style.cut_middle(name, 28) for name in (rollout.scenario.name, rollout.policy.name))
    title = f"{names}\n{outcome}, {failed}"
    # Measure as if the type were larger, because labels to the left may push the axes to the right.
    ax.set_title(wrap_words(ax, title), loc="left", fontsize="small")
