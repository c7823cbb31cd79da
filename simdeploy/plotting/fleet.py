"""One rollout as a map of its fleet: nodes by time, coloured by status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.fleet_map import SHOWN, Cells, FleetMap, choose, find_offline, make_cells
from simdeploy.errors import plural
from simdeploy.plotting import one_rollout, style
from simdeploy.plotting.axes import set_time_axis
from simdeploy.plotting.style import STATUS_LOOKS, contrast_to, in_plain_text
from simdeploy.plotting.wrapping import measure_axes
from simdeploy.report.formatting import time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch

    from simdeploy.engines import Rollout

_MOST_CELLS = 200
_MOST_INSTANTS = 800
_SMALLEST = 0.03  # least height of a wave, as a fraction of the map
_GAP = 0.012  # between zones
_STRIPE, _THINNEST_PT = 0.35, 1.2  # height of an offline node's stripe, as a fraction of its row, and at least
_RASTER = (120, 240)  # for finding room for names
_OVERLOAD = (-0.075, -0.035)  # vertical extent of the bar of overload, in heights of the map


@in_plain_text
def plot_fleet(ax: Axes, rollout: Rollout) -> Axes:
    """Draw the status of every node of a rollout over time, by zone and in the order of dispatch.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its horizontal data are seconds.
    rollout : Rollout

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    A node is "down" while it is out of service on its own (crashed, or in an outage of its zone) although its status would let it
    serve. A stripe along a row shows when the node is offline, from its turn on. A bar below the map shows when a pool of a
    shared service has more requests than its capacity.

    Zones, and the nodes of each zone in the order of dispatch, are from top to bottom. Small waves are drawn taller than to scale,
    so that canaries are visible in a large fleet. In a fleet of more than about 200 nodes a row represents several: it shows failed
    nodes if there are any, then down ones, otherwise the most frequent status, and a stripe while most of them are offline. Marks on
    top are the starts of waves.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy import load_example, simulate
    >>> from simdeploy.plotting import plot_fleet
    >>> scenario = load_example("small-fleet")
    >>> plot_fleet(Figure().subplots(), simulate(scenario)).get_ylabel()
    '40 nodes'
    """
    timeline = rollout.timeline
    last_s, right_s = one_rollout.set_time_limits(ax, rollout)
    n_zones = int(rollout.nodes["zone"].nunique())
    cells = make_cells(rollout.nodes, max(1, _MOST_CELLS // n_zones))
    times_s = _choose_instants(rollout, last_s)
    shown = choose(FleetMap(rollout).count(cells, times_s))
    rows = _place_rows(cells)
    areas = {number: _draw_area(ax, shown == number, rows, times_s, right_s, number) for number in np.unique(shown)}
    is_offline = find_offline(rollout, cells, times_s)

    is_overloaded = bool((timeline["load"] > 1).any())
    bottom = 1.8 * _OVERLOAD[0] if is_overloaded else 0.0
    marks, (width_pt, height_pt) = one_rollout.list_marks(rollout), measure_axes(ax)
    height_pt *= one_rollout.LAID_OUT
    marks_s = [time_s for time_s, _, _ in marks]
    keys = _draw_stripes(ax, is_offline, shown, _narrow(rows, height_pt), times_s, right_s)
    free = _Free(np.where(is_offline, -1, shown), rows, times_s, right_s, marks_s, width_pt)
    # First assume that every name has room in the map; a legend for the others needs more space.
    n_without_place = 0
    for _ in range(2):
        top = one_rollout.leave_room_above(ax, 1, len(keys) + n_without_place, height_pt)
        ax.set_ylim(bottom, top)
        part = 1 / (top - bottom)
        positions = free.find_places(list(areas), height_pt * part)
        places = {name: (x, (y - bottom) * part) for name, (x, y) in positions.items()}
        n_without_place = len(areas) - len(places)
    without_place = [area for number, area in areas.items() if SHOWN[number] not in places]
    one_rollout.draw_status_legend(ax, [*without_place, *keys])
    one_rollout.label_statuses(ax, places)
    one_rollout.draw_marks(ax, marks, 1, time_scale(last_s))
    one_rollout.draw_waves(ax, rollout, 1, right_s)
    if is_overloaded:
        _draw_overload(ax, rollout)
    _name_zones(ax, cells, rows, height_pt * part)
    set_time_axis(ax.xaxis, last_s, "time since the start")
    n_nodes = len(rollout.nodes)
    most = int(cells.n_nodes.max())
    ax.set_ylabel(plural(n_nodes, "node") + (f",\nup to {most} a row" if most > 1 else ""))
    one_rollout.write_outcome(ax, rollout, n_nodes)
    return ax


def _choose_instants(rollout: Rollout, last_s: float) -> np.ndarray:
    """Return the times of all changes, or as many as a screen can show."""
    spells = (rollout.down_spells, rollout.offline_spells)
    changes = [rollout.events["time_s"], *(each[end] for each in spells for end in ("from_s", "until_s"))]
    times_s: np.ndarray = np.unique(np.concatenate([[0.0], *changes]))
    times_s = times_s[times_s <= last_s]
    return times_s if len(times_s) <= _MOST_INSTANTS else np.linspace(0, last_s, _MOST_INSTANTS)


def _place_rows(cells: Cells) -> np.ndarray:
    """Return the upper and the lower end of each cell's row, from 1 at the top to 0: shape (2, cells)."""
    sizes = np.bincount(cells.group, weights=cells.n_nodes)
    begins = np.append(True, np.diff(cells.zone) != 0)
    # The first wave of each zone comes first.
    least = np.full(len(sizes), min(_SMALLEST, 0.25 / len(sizes)))
    least[cells.group[begins]] = min(_SMALLEST, 0.25 / begins.sum())
    heights = (np.maximum(sizes, least * sizes.sum()) / np.bincount(cells.group))[cells.group]
    gaps = (np.cumsum(begins) - 1) * min(_GAP, 0.1 / begins.sum()) * heights.sum()
    ends = np.cumsum(heights) + gaps
    total = ends[-1]
    rows: np.ndarray = 1 - np.stack([ends - heights, ends]) / total
    return rows


def _draw_area(
    ax: Axes, mask: np.ndarray, rows: np.ndarray, times_s: np.ndarray, right_s: float, number: int
) -> PathPatch:
    """Draw where cells have one status, a rectangle for each time, as a single area."""
    look = STATUS_LOOKS[SHOWN[number]]
    edge, label = one_rollout.choose_hatch_colour(look.colour), SHOWN[number].replace("_", " ")
    filled: dict[str, Any] = {"facecolor": look.colour, "hatch": look.hatch, "edgecolor": edge, "label": label}
    return _fill(ax, mask, rows, times_s, right_s, **filled)


def _draw_stripes(
    ax: Axes, is_offline: np.ndarray, shown: np.ndarray, rows: np.ndarray, times_s: np.ndarray, right_s: float
) -> list[Line2D]:
    """Draw stripes where cells are offline; return their legend entry, if there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    for number in np.unique(shown[is_offline]):
        colour = contrast_to(STATUS_LOOKS[SHOWN[number]].colour)
        _fill(ax, is_offline & (shown == number), rows, times_s, right_s, facecolor=colour, label="_offline")
    if not is_offline.any():
        return []
    around = withStroke(linewidth=7, foreground=STATUS_LOOKS["pending"].colour)
    return [Line2D([], [], color=style.INK, linewidth=1.2, path_effects=[around], label="offline")]


def _narrow(rows: np.ndarray, height_pt: float) -> np.ndarray:
    """Return the ends of stripes along the middles of rows: thin, but not too thin to be seen."""
    middle, height = rows.mean(axis=0), rows[0] - rows[1]
    half = np.minimum(np.maximum(_STRIPE * height, _THINNEST_PT / height_pt), height) / 2
    return np.stack([middle + half, middle - half])


def _fill(ax: Axes, mask: np.ndarray, rows: np.ndarray, times_s: np.ndarray, right_s: float, **look: Any) -> PathPatch:
    """Fill a rectangle for each row and time of a mask, as a single patch."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    edges = np.append(times_s, right_s)
    padded = np.pad(mask.T.astype(np.int8), ((0, 0), (1, 1)))
    cell, begin = np.nonzero(np.diff(padded) == 1)
    _, end = np.nonzero(np.diff(padded) == -1)
    left, right, upper, lower = edges[begin], edges[end], rows[0][cell], rows[1][cell]
    corners = np.stack([left, lower, right, lower, right, upper, left, upper, left, lower], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(cell))
    patch = PathPatch(Path(corners, codes), linewidth=0, antialiased=False, **look)
    ax.add_patch(patch)
    return patch


class _Free:
    """Finds room for names in the map, on a raster without the areas under marks."""

    def __init__(
        self,
        shown: np.ndarray,
        rows: np.ndarray,
        times_s: np.ndarray,
        right_s: float,
        marks_s: list[float],
        width_pt: float,
    ) -> None:
        n_down, n_across = _RASTER
        heights = 1 - (np.arange(n_down) + 0.5) / n_down
        centres_s = (np.arange(n_across) + 0.5) / n_across * right_s
        cell = np.clip(np.searchsorted(-rows[0], -heights, side="right") - 1, 0, rows.shape[1] - 1)
        at = np.searchsorted(times_s, centres_s, side="right") - 1
        self._raster = shown[at][:, cell].T
        self._raster[rows[1][cell] > heights] = -1  # between zones
        self._width_pt = width_pt
        self._raster[:, one_rollout.find_marked(centres_s, marks_s, right_s, width_pt)] = -1

    def find_places(self, numbers: list[int], height_pt: float) -> dict[str, tuple[float, float]]:
        """Return the centre of each name that has room, as fractions of the map from the left and from below."""
        n_down, n_across = _RASTER
        down = int(np.ceil(one_rollout.LABEL_PT / height_pt * n_down))
        places = {}
        for number in numbers:
            across = one_rollout.count_columns(SHOWN[number], self._width_pt, n_across)
            if across > n_across or down > n_down:
                continue
            mask = self._raster == number
            sums = np.pad(mask.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
            inside = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
            tops, lefts = np.nonzero(inside == down * across)
            if len(tops):
                # As near as possible to the centre of the area.
                middle = [np.mean(of) for of in np.nonzero(mask)]
                away = np.hypot((tops + down / 2 - middle[0]) / n_down, (lefts + across / 2 - middle[1]) / n_across)
                best = int(away.argmin())
                places[SHOWN[number]] = (
                    (lefts[best] + across / 2) / n_across,
                    1 - (tops[best] + down / 2) / n_down,
                )
        return places


def _draw_overload(ax: Axes, rollout: Rollout) -> None:
    """Draw a bar below the map for each time of overload."""
    times_s = rollout.timeline["time_s"].to_numpy()
    is_over = (rollout.timeline["load"] > 1).to_numpy()[:-1]
    low, high = _OVERLOAD
    spans = list(zip(times_s[:-1][is_over], np.diff(times_s)[is_over], strict=True))
    ax.broken_barh(spans, (low, high - low), facecolor=style.INK, antialiased=False, label="overload")
    look: dict[str, Any] = {"va": "center", "fontsize": "small", "annotation_clip": False}
    ax.annotate(
        "overload", (1, (low + high) / 2), xytext=(3, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
        **look,
    )  # fmt: skip


def _name_zones(ax: Axes, cells: Cells, rows: np.ndarray, height_pt: float) -> None:
    """Put the names of zones, or as many as have room, beside their nodes."""
    zones = np.unique(cells.zone)
    if len(zones) == 1:
        ax.set_yticks([])
        return
    middles = [float((rows[0][cells.zone == zone].max() + rows[1][cells.zone == zone].min()) / 2) for zone in zones]
    step = -(-len(zones) // max(int(height_pt / one_rollout.LABEL_PT), 1))
    ax.set_yticks(middles[::step], [f"zone {zone}" for zone in zones[::step]])
    ax.tick_params(axis="y", length=0)
