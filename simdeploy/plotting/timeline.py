"""One rollout over time: how many nodes are in which status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.plotting import one_rollout, style
from simdeploy.plotting.axes import set_time_axis, write_number, write_percent
from simdeploy.plotting.style import STATUS_LOOKS, in_plain_text, label_line_ends
from simdeploy.plotting.wrapping import measure_axes
from simdeploy.report.formatting import time_scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.engines import Rollout

# From the bottom: nodes in trouble, on the new version, in progress, waiting. Nodes in trouble and canaries are few: they are
# at the bottom, which a strip can show enlarged.
_TROUBLE = ("failed", "rollback_failed", "rolling_back", "rolled_back", "removed")
_FROM_BOTTOM = (*_TROUBLE, "stopped", "skipped", "running", "validating", "starting", "pending")
_FEW = 0.06  # fraction of the fleet below which an area is too thin to see
_MOST_STEPS = 3000  # more than any screen has pixels across
_N_COLUMNS = 300  # of the grid to search for room for labels
_BELOW = 0.22  # height of a strip below, as a fraction of that of the axes
_GAP_IN = 0.1


@in_plain_text
def plot_timeline(ax: Axes, rollout: Rollout) -> Axes:
    """Draw the nodes per status over time, stacked, and the observed error rates below.

    The title gives the number of failed nodes. The waves and the end of the rollout are marked.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are seconds and nodes.
    rollout : Rollout

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Marks on top are the starts of waves. If canaries or failed nodes are too few to be visible, a strip below shows the lowest
    nodes of the stack again, enlarged. Long rollouts are thinned to what a screen can show; each interval keeps its lowest
    number of nodes in service.

    In the last strip there is a point for each health window at its end, the limit as a line, and a cross for each window
    that exceeded it. Points of windows within the limit are thinned if there are very many. Without windows with requests,
    or where a gate judges whole waves, crosses and line, or all of this, are missing.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy import load_example, simulate
    >>> from simdeploy.plotting import plot_timeline
    >>> scenario = load_example("small-fleet")
    >>> plot_timeline(Figure().subplots(), simulate(scenario)).get_ylabel()
    'nodes'
    """
    timeline = rollout.timeline
    total = int(timeline[list(_FROM_BOTTOM)].iloc[0].sum())
    last_s, right_s = one_rollout.set_time_limits(ax, rollout)
    shown = _thin(timeline)
    times_s = np.array([*shown["time_s"], right_s])
    bands = _draw_statuses(ax, shown, times_s)
    in_service = _held(shown["in_service"])
    ax.step(times_s, in_service, where="post", color="white", linewidth=2.8)
    label_line_ends(ax, ax.step(times_s, in_service, where="post", color=style.INK, linewidth=1.4, label="in service"))
    marks = one_rollout.list_marks(rollout)
    marks_s = [time_s for time_s, _, _ in marks]
    windows = rollout.windows.dropna(subset="error_rate")
    few = _count_few(rollout, total)
    strips = _add_strips(ax, bool(few) + bool(len(windows)))
    width_pt, height_pt = measure_axes(ax)
    strip_pt = _BELOW * height_pt
    height_pt -= len(strips) * strip_pt  # the layout will reduce it

    def find_places(height_pt: float, top: float) -> dict[str, tuple[float, float]]:
        return _find_places(bands, in_service, times_s, marks_s, (width_pt, height_pt), top)

    in_strip = find_places(strip_pt, few) if few else {}
    # First as if every status had a label inside; a legend for the rest takes more room.
    places = find_places(height_pt, one_rollout.leave_room_above(ax, total, 0, height_pt))
    n_in_legend = len({band.status for band in bands} - {*places, *in_strip})
    if n_in_legend:
        places = find_places(height_pt, one_rollout.leave_room_above(ax, total, n_in_legend, height_pt))
    in_strip = {status: place for status, place in in_strip.items() if status not in places}
    one_rollout.draw_status_legend(ax, [band.area for band in bands if band.status not in {*places, *in_strip}])
    one_rollout.label_statuses(ax, places)
    one_rollout.draw_marks(ax, marks, total, time_scale(last_s))
    one_rollout.draw_waves(ax, rollout, total, right_s)
    _set_node_axis(ax, total)
    set_time_axis(ax.xaxis, last_s, "time since the start")
    if few:
        _draw_few(strips[0], shown, times_s, few, marks)
        one_rollout.label_statuses(strips[0], in_strip)
    if len(windows):
        _draw_error_rates(strips[-1], windows)
    for strip in strips:
        strip.set_xlim(0, right_s)
        strip.set_xticks([])
        strip.tick_params(axis="y", labelsize="small")
    one_rollout.write_outcome(ax, rollout, total)
    return ax


def _add_strips(ax: Axes, n: int) -> list[Axes]:
    """Return new axes between the axes and their horizontal axis, of fixed height: layouts make room for them."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    if not n:
        return []
    height_in = _BELOW * ax.get_window_extent().height / ax.figure.dpi
    inches: Any = ax.figure.dpi_scale_trans
    corner: Any = ax.transAxes
    inches_below = blended_transform_factory(ax.transAxes, inches + ScaledTranslation(0, 0, corner))
    step_in = height_in + _GAP_IN
    ax.plot((0, 1), (0, 0), transform=ax.transAxes, color="black", linewidth=0.8, clip_on=False)
    ax.spines["bottom"].set_position(("outward", 72 * n * step_in))
    return [ax.inset_axes((0, -number * step_in, 1, height_in), transform=inches_below) for number in range(1, n + 1)]


def _draw_error_rates(ax: Axes, windows: pd.DataFrame) -> None:
    """Draw the error rate of each window, those over the limit with another mark."""
    from matplotlib.ticker import MaxNLocator

    limit = float(windows["max_error_rate"].iloc[0])
    is_over = windows["error_rate"] > limit  # never where the limit is unknown
    within = windows[~is_over]
    within = within.iloc[:: -(-len(within) // _MOST_STEPS) or 1]
    is_new = within["on_new_version"]
    looks: list[tuple[pd.DataFrame, dict[str, Any]]] = [
        (within[is_new], {"marker": ".", "markersize": 3, "color": style.DARK_GREEN}),
        (within[~is_new], {"marker": ".", "markersize": 3, "color": style.GREY}),
        (windows[is_over], {"marker": "x", "markersize": 5, "color": style.VERMILION}),
    ]
    for shown, look in looks:
        ax.plot(shown["ended_s"], shown["error_rate"], linestyle="none", **look)
    highest = float(np.nanmax([windows["error_rate"].max(), limit])) or 0.001
    ax.set_ylim(-0.04 * highest, 1.12 * highest)
    if limit == limit:
        line = ax.axhline(limit, color=style.INK, linewidth=1, linestyle="--", label=f"limit {write_percent(limit)}")
        label_line_ends(ax, [line])
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(write_percent)
    ax.set_ylabel("error rate", fontsize="small")


def _draw_few(
    ax: Axes, shown: pd.DataFrame, times_s: np.ndarray, few: int, marks: Sequence[tuple[float, str, str]]
) -> None:
    """Draw the lowest nodes of the stack, with the marks of the rollout."""
    from matplotlib.ticker import MaxNLocator

    total = int(_draw_statuses(ax, shown, times_s)[-1].top.max())
    for time_s, _, line in marks:
        ax.axvline(time_s, color=style.INK, linestyle=line, linewidth=1.2)
    ax.set_ylim(0, few)
    # Not at the top, where the fleet's axis begins.
    ax.set_yticks([tick for tick in MaxNLocator(3, integer=True).tick_values(0, few) if 0 <= tick < 0.9 * few])
    ax.set_ylabel(f"lowest {few}\nof {total:,}", fontsize="small")


class _Band(NamedTuple):
    """A status that occurs: where its area begins and ends."""

    status: str
    area: Any
    bottom: np.ndarray
    top: np.ndarray


def _count_few(rollout: Rollout, total: int) -> int:
    """Return how many nodes to enlarge if there are too few canaries or nodes in trouble to see; else 0."""
    dispatched = one_rollout.list_dispatches(rollout)
    first_wave = int((dispatched["wave"] == dispatched["wave"].min()).sum())
    peaks = [int(rollout.timeline[status].max()) for status in _TROUBLE]
    few = [nodes for nodes in (first_wave, *peaks) if 0 < nodes < _FEW * total]
    return -(-max(few) * 5 // 4) if few else 0


def _thin(timeline: pd.DataFrame) -> pd.DataFrame:
    """If there are too many rows, keep the last of each interval and the one with the fewest nodes in service."""
    if len(timeline) <= _MOST_STEPS:
        return timeline
    times_s = timeline["time_s"]
    interval = (times_s / times_s.iloc[-1] * (_MOST_STEPS // 2)).astype(int)
    kept = {0, *timeline.groupby(interval)["in_service"].idxmin(), *timeline.groupby(interval).tail(1).index}
    return timeline.loc[sorted(kept)]


def _draw_statuses(ax: Axes, shown: pd.DataFrame, times_s: np.ndarray) -> list[_Band]:
    """Draw the stacked statuses that occur."""
    bands: list[_Band] = []
    bottom = np.zeros(len(times_s))
    for status in _FROM_BOTTOM:
        nodes = _held(shown[status])
        if nodes.any():
            top, look = bottom + nodes, STATUS_LOOKS[status]
            area = ax.fill_between(
                times_s, bottom, top, step="post", facecolor=look.colour, hatch=look.hatch,
                edgecolor=one_rollout.choose_hatch_colour(look.colour), linewidth=0, label=status.replace("_", " "),
            )  # fmt: skip
            bands.append(_Band(status, area, bottom, top))
            bottom = top
    return bands


def _held(column: pd.Series) -> np.ndarray:
    """Return the column with its last value once more, for the end of the axis."""
    values = column.to_numpy(dtype=float)
    return np.append(values, values[-1])


def _find_places(
    bands: Sequence[_Band],
    in_service: np.ndarray,
    times_s: np.ndarray,
    marks_s: Sequence[float],
    size_pt: tuple[float, float],
    most: float,
) -> dict[str, tuple[float, float]]:
    """Return where names fit into the areas of their statuses, in fractions of the axes; other statuses are missing.

    The axes have the size `size_pt`, and show up to `most` nodes.
    """
    width, height = size_pt
    centres = (np.arange(_N_COLUMNS) + 0.5) / _N_COLUMNS
    steps = np.searchsorted(times_s, centres * times_s[-1], side="right") - 1

    def rise(nodes: np.ndarray) -> Any:
        return np.minimum(nodes, most) / most * height

    line = rise(in_service[steps])
    taken = one_rollout.find_marked(centres * times_s[-1], marks_s, times_s[-1], width)
    places = {}
    for band in bands:
        n = one_rollout.count_columns(band.status, width, _N_COLUMNS)
        if n > _N_COLUMNS:
            continue
        bottom, top = rise(band.bottom[steps]), rise(band.top[steps])
        low, high = _slide(bottom, n).max(axis=1), _slide(top, n).min(axis=1)
        under, over = _slide(line, n).min(axis=1) - 2, _slide(line, n).max(axis=1) + 2
        # Below the line of nodes in service or above it; anywhere if the line is elsewhere.
        parts = np.stack([[low, np.minimum(high, under)], [np.maximum(low, over), high]])
        room = np.where(_slide(taken, n).any(axis=1), -1.0, parts[:, 1] - parts[:, 0])
        part, place = np.unravel_index(np.argmax(room), room.shape)
        if room[part, place] >= one_rollout.LABEL_PT:
            across = float(centres[place]) + (n - 1) / 2 / _N_COLUMNS
            places[band.status] = across, float(parts[part, :, place].mean()) / height
    return places


def _slide(values: np.ndarray, n: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, n)


def _set_node_axis(ax: Axes, total: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_ylabel("nodes")
    ticks = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]).tick_values(0, total)
    ax.set_yticks([tick for tick in ticks if 0 <= tick <= total])
    ax.yaxis.set_major_formatter(write_number)
