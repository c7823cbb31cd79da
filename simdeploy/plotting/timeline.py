"""One rollout over time: how many nodes are in which status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.plotting import style
from simdeploy.plotting.axes import set_time_axis
from simdeploy.plotting.style import in_plain_text
from simdeploy.report.wording import Scale, format_number, time_scale

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.engines import Rollout

# From the bottom: what serves the new version, what is under way, what went wrong, what is still to come.
_COLOURS = {
    "running": style.GREEN,
    "validating": style.YELLOW,
    "starting": style.SKY_BLUE,
    "failed": style.VERMILION,
    "rolling_back": style.ORANGE,
    "rolled_back": style.BLUE,
    "rollback_failed": style.BLACK,
    "removed": style.PURPLE,
    "stopped": style.DARK_GREY,
    "skipped": style.LIGHT_GREY,
    "pending": style.PALE_GREY,
}
_MOST_STEPS = 3000  # more than any screen has pixels across
_MOST_TRIANGLES = 25
_CHARACTER_PT = 5.5  # width of one in the smallest type, in points
_LEGEND_COLUMNS = 4


@in_plain_text
def plot_timeline(ax: Axes, rollout: Rollout) -> Axes:
    """Draw the nodes per status over time, stacked, with the waves and the end of the rollout marked.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; its data are seconds and nodes.
    rollout : Rollout

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    The marks on top are the starts of waves. Above some thousand changes the steps are thinned to what a screen can
    show; the lowest number of nodes in service within each interval is kept.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.engines import simulate
    >>> from simdeploy.plotting import plot_timeline
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> plot_timeline(Figure().subplots(), simulate(scenario)).get_ylabel()
    'nodes'
    """
    timeline = rollout.timeline
    total = int(timeline[list(_COLOURS)].iloc[0].sum())
    last_s = float(timeline["time_s"].iloc[-1])
    # The last status is drawn on a little: a step of no width can't be seen, and a label stands there.
    right_s = last_s * 1.07 if last_s > 0 else 1.0
    shown = _thin(timeline)
    times_s = [*shown["time_s"], right_s]
    legend = _draw_statuses(ax, shown, times_s)
    ax.set_xlim(0, right_s)
    _draw_end(ax, rollout, total, time_scale(last_s))
    _draw_waves(ax, rollout.events, total, right_s)
    _draw_legend(ax, legend, total)
    set_time_axis(ax.xaxis, last_s, "time since the start")
    ax.set_ylabel("nodes")
    ax.set_title(_title(rollout), loc="left", fontsize="small", parse_math=False)
    return ax


def _thin(timeline: pd.DataFrame) -> pd.DataFrame:
    """Keep of each interval the last row and the one with the fewest nodes in service, if there are too many rows."""
    if len(timeline) <= _MOST_STEPS:
        return timeline
    times_s = timeline["time_s"]
    interval = (times_s / times_s.iloc[-1] * (_MOST_STEPS // 2)).astype(int)
    kept = {0, *timeline.groupby(interval)["in_service"].idxmin(), *timeline.groupby(interval).tail(1).index}
    return timeline.loc[sorted(kept)]


def _draw_statuses(ax: Axes, shown: pd.DataFrame, times_s: list[float]) -> list[tuple[object, str]]:
    """Draw the stacked statuses that occur and the line of nodes in service; return the legend's entries."""
    import numpy as np

    entries: list[tuple[object, str]] = []
    bottom = np.zeros(len(times_s))
    for status, colour in _COLOURS.items():
        nodes = _held(shown[status])
        if nodes.any():
            top = bottom + nodes
            area = ax.fill_between(times_s, bottom, top, step="post", color=colour, linewidth=0)
            entries.append((area, status.replace("_", " ")))
            bottom = top
    (line,) = ax.step(times_s, _held(shown["in_service"]), where="post", color=style.INK, linewidth=1.2)
    entries.append((line, "in service"))
    return entries


def _held(column: pd.Series) -> np.ndarray:
    """Return the column with its last value once more, for the end of the axis."""
    import numpy as np

    values = column.to_numpy(dtype=float)
    return np.append(values, values[-1])


def _draw_end(ax: Axes, rollout: Rollout, total: int, scale: Scale) -> None:
    """Mark when the rollout ended and when service was whole again, in the axis's unit of time."""
    values = rollout.response_values
    marks = [(values["makespan_s"], values["state"], "--")]
    if values["restored_at_s"] != values["makespan_s"]:
        marks.append((values["restored_at_s"], "restored", ":"))
    marks = [mark for mark in marks if mark[0] == mark[0]]  # NaN: it did not happen
    right_s = ax.get_xlim()[1]
    for number, (time_s, word, line) in enumerate(marks):
        ax.vlines(time_s, 0, total, color=style.INK, linestyle=line, linewidth=1.2)
        # The first label stands left of its line and the second right of it, so that they never meet.
        leftwards = number == 0 and time_s > 0.05 * right_s
        ax.annotate(
            f"{word.replace('_', ' ')} {format_number(time_s * scale.factor, 1.0)} {scale.unit}",
            xy=(time_s, total / 2),
            xytext=(-3 if leftwards else 3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right" if leftwards else "left",
            va="center",
            fontsize="small",
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
        )


def _draw_waves(ax: Axes, events: pd.DataFrame, total: int, right_s: float) -> None:
    """Mark the start of each wave on top of the fleet, numbered as far as the numbers have room."""
    dispatched = events[events["to_status"].eq("starting") & events["node"].notna()]
    starts_s = dispatched.groupby("wave")["time_s"].min()
    marker = "v" if len(starts_s) <= _MOST_TRIANGLES else "|"
    ax.plot(
        starts_s, [total] * len(starts_s), linestyle="none", marker=marker, markersize=4, color=style.INK, clip_on=False
    )
    seconds_per_pt = right_s / (ax.get_window_extent().width * 72 / ax.figure.dpi)
    free_from_s = 0.0
    for wave, start_s in starts_s.items():
        if start_s >= free_from_s:
            text = f"wave {wave}" if start_s == starts_s.iloc[0] else str(wave)
            ax.annotate(
                text,
                xy=(start_s, total),
                xytext=(0, 4),
                textcoords="offset points",
                ha="left" if start_s == 0 else "center",
                fontsize="x-small",
            )
            # As far as this text reaches, and as far as the next, centred one begins before its mark.
            free_from_s = start_s + (len(text) + 3) * _CHARACTER_PT * seconds_per_pt


def _draw_legend(ax: Axes, entries: list[tuple[object, str]], total: int) -> None:
    """Put the legend above the fleet, inside the axes, where it hides nothing and is never cut off."""
    height = ax.get_window_extent().height * 72 / ax.figure.dpi
    rows = -(-len(entries) // _LEGEND_COLUMNS)
    # A row of small type is about 13 points high; the wave marks need another one.
    share = min(0.6, (13 * rows + 22) / height)
    ax.set_ylim(0, total / (1 - share))
    ax.legend(
        *zip(*entries, strict=True),
        loc="upper left",
        ncols=min(_LEGEND_COLUMNS, len(entries)),
        fontsize="small",
        frameon=False,
        borderaxespad=0.2,
        labelspacing=0.2,
        columnspacing=1.2,
    )
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= total and tick == int(tick)])


def _title(rollout: Rollout) -> str:
    values = rollout.response_values
    outcome = str(values["state"]).replace("_", " ")
    if isinstance(values["verdict"], str):
        outcome += f" ({values['verdict'].replace('_', ' ')})"
    return f"{_cut(rollout.scenario.name)} / {_cut(rollout.policy.name)}\n{outcome}"


def _cut(name: str, width: int = 28) -> str:
    return name if len(name) <= width else name[: width - 3] + "..."
