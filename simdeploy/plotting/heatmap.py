"""A sweep over two thresholds: error rates and durations, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from simdeploy.analysis import GridSummary, summarize_grid
from simdeploy.analysis.asking.naming import LABELS, format_factor, format_value
from simdeploy.analysis.estimates.grid import MEANS, PROPORTIONS, QUANTITIES
from simdeploy.errors import Problem, not_among, raise_if_any
from simdeploy.experiments.levers import is_duration
from simdeploy.plotting.axes import set_time_axis, set_unit_axis
from simdeploy.plotting.intervals import draw_intervals, tell_untrusted
from simdeploy.plotting.marks import mark_points
from simdeploy.plotting.slices import Slice, choose_slice
from simdeploy.plotting.style import (
    BLUE,
    DARK_GREY,
    GREY,
    before_drawing,
    contrast_to,
    in_plain_text,
    say_nothing_known,
)
from simdeploy.plotting.wrapping import measure_axes, wrap_axis_label, wrap_words
from simdeploy.report.formatting import POINTS, format_number, interval_names, percent, with_unit
from simdeploy.report.grid import find_measure, quantity_scale, unknown_fractions
from simdeploy.report.wording import name_objective

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.cm import ScalarMappable

    from simdeploy.experiments.gathering import Batches

# Dark is bad; readable in grey and with any colour vision.
_COLOURS = "YlGnBu"

_SIZES = (("small", 6.0), ("x-small", 5.0))  # font sizes of numbers in cells, with the width of a character in points
_TICK_PT = 18  # height of a tick label on a vertical axis
_CHARACTER_PT = 6.5  # width of a tick label's character
_MOST_STEPS = 9  # between numbers along an axis
_BESIDE_BAR = 0.8  # width of axes with a colour bar, as a fraction of that without one


@in_plain_text
def plot_heatmap(
    axes: Sequence[Axes] | np.ndarray,
    result: GridSummary | Batches | pd.DataFrame,
    *,
    quantities: Sequence[str] = ("false_alarm", "escape", "completed_makespan_s"),
    at: Mapping[str, Any] | None = None,
) -> Sequence[Axes] | np.ndarray:
    """Draw the cases of a sweep over two of the keys that were varied.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        One for each quantity; about 4 inches square are enough for 20 by 20 values.
    result : GridSummary, SweepResult, StoredTable or DataFrame
        From `summarize_grid`, or an argument of it.
    quantities : sequence of str
        Quantities of `summarize_grid` to draw.
    at : mapping of str to value, optional
        Values of keys that have no axis: `scenario`, `policy`, and columns of varied keys.

    Returns
    -------
    sequence of matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the numbers of axes and quantities differ; if there is no such quantity, key or value; or if nothing was varied.

    Notes
    -----
    The axes are the first two keys with several values, those of the policy before those of the scenario. All others have the
    value in `at`, or the first one that was tried; the title states it. Nothing is averaged: a cell is a case. If not every
    combination was tried (lists, a Latin hypercube), each case is a point, and the title says in what else the points differ.
    If only one key was varied, the estimates are lines with their intervals.

    A cell without a value (for example without a defective release in any replication) is hatched, such a point is a cross. If
    there is room, cells contain their numbers, with the unit in the title; otherwise a colour bar explains the colours. The
    second line of a title gives the largest half-width of the intervals. If rollouts never end, the estimates are of the others, and
    the title gives their largest share.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_heatmap
    >>> table = pd.DataFrame({
    ...     "case": range(4), "scenario": "small", "policy": "waves", "replication": 0,
    ...     "max_parallel": [1, 1, 2, 2], "max_failed_nodes": [0, 5, 0, 5],
    ...     "verdict": ["false_alarm", "completed_good", "false_alarm", "completed_good"],
    ... })
    >>> ax, = plot_heatmap([Figure().subplots()], table, quantities=["false_alarm"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('max_parallel', 'max_failed_nodes')
    """
    summary = result if isinstance(result, GridSummary) else summarize_grid(result)
    flat = list(np.asarray(axes, dtype=object).ravel())
    _check(flat, quantities, summary)
    shown = choose_slice(summary, at or {})
    for ax, quantity in zip(flat, quantities, strict=True):
        if shown.y is None:
            _draw_line(ax, shown, quantity)
        elif shown.cells[f"{quantity}_estimate"].isna().all():
            _draw_nothing(ax, shown)
        else:
            draw = _draw_cells if shown.is_grid else _draw_points
            mappable = draw(ax, shown, quantity)
            if not ax.texts:  # otherwise the numbers are in the cells
                bar = ax.figure.colorbar(mappable, ax=ax)
                _set_values(bar.ax.yaxis, shown, quantity)
                wrap_axis_label(bar.ax, "y")
    # The layout makes all axes as narrow as those with a bar.
    part = _BESIDE_BAR if any(getattr(artist, "colorbar", None) for ax in flat for artist in ax.collections) else 1.0
    for ax, quantity in zip(flat, quantities, strict=True):
        _set_title(ax, shown, quantity, summary.confidence_level, part)
    return axes


def _check(axes: Sequence[Axes], quantities: Sequence[str], summary: GridSummary) -> None:
    known = [name for name in QUANTITIES if f"{name}_estimate" in summary.cells]
    problems = [
        not_among("no such quantity in the result", ("quantities",), name, known)
        for name in quantities
        if name not in known
    ]
    if len(axes) != len(quantities):
        message = "not as many axes as quantities"
        problems.append(Problem(message, ("axes",), found=str(len(axes)), allowed=str(len(quantities))))
    raise_if_any(problems)


def _draw_cells(ax: Axes, shown: Slice, quantity: str) -> ScalarMappable:
    """Draw cells of equal size, regardless of the values on the axes; hatch those without an estimate."""
    x_values, x = _places(shown.cells[shown.x])
    y_values, y = _places(shown.cells[str(shown.y)])
    estimates = np.full((len(y_values), len(x_values)), np.nan)
    estimates[y, x] = shown.cells[f"{quantity}_estimate"]
    scale = quantity_scale(quantity, shown.whole)
    size, words = _choose_numbers(ax, estimates * scale.factor, shown.cells[f"{quantity}_half_width"] * scale.factor)
    for place, text in words.items():
        # Cells with the same number have the same colour, or readers would see a difference.
        estimates[place] = float(text.replace(",", "")) / scale.factor
    edges = [np.arange(len(values) + 1) - 0.5 for values in (x_values, y_values)]
    mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(estimates), **_choose_colours(quantity, shown.whole))
    # Shows where there is no cell.
    ax.patch.set(facecolor="white", hatch="////", edgecolor=GREY, linewidth=0)
    for (row, column), text in words.items():
        colour = contrast_to(mesh.to_rgba(estimates[row, column]))
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    mark_points(ax, shown.heading, shown.names, np.column_stack([x, y]), size=1)
    for axis, name, values in ((ax.xaxis, shown.x, x_values), (ax.yaxis, str(shown.y), y_values)):
        _label_cells(axis, name, values)
    return mesh


def _places(column: pd.Series) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values in order (numbers ascending), and the index of each row's value."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=False, sort=pd.api.types.is_numeric_dtype(column))
    return list(values), codes


def _choose_numbers(
    ax: Axes, values: np.ndarray, half_widths: pd.Series[float]
) -> tuple[str, dict[tuple[int, ...], str]]:
    """Return the font size and the number of each cell with a value; no numbers if there isn't room for all of them."""
    uncertainty = 0.0 if half_widths.isna().all() else float(half_widths.median())
    words = {place: format_number(value, uncertainty) for place, value in np.ndenumerate(values) if not np.isnan(value)}
    (width_pt, height_pt), (n_rows, n_columns) = measure_axes(ax), values.shape
    longest = max(map(len, words.values()))
    # With half a character of room between numbers, or their digits would run together.
    sizes = [size for size, character_pt in _SIZES if (longest + 0.5) * character_pt < width_pt / n_columns]
    return (sizes[0], words) if sizes and height_pt / n_rows > _TICK_PT else ("", {})


def _label_cells(axis: Axis, name: str, values: Sequence[Any]) -> None:
    """Write as many of the values as there is room for, the first and the last among them."""
    words = [format_factor(name, value) for value in values]
    is_horizontal = axis is axis.axes.xaxis

    def choose() -> None:
        width_pt, height_pt = measure_axes(axis.axes)
        n_fitting = width_pt // (_CHARACTER_PT * (max(map(len, words)) + 1)) if is_horizontal else height_pt // _TICK_PT
        step = math.ceil(len(words) / max(1, n_fitting))
        places = [*range(0, len(words) - step, step), len(words) - 1] if step < len(words) else [0]
        axis.set_ticks(places, [words[place] for place in places], parse_math=False)

    choose()
    if is_horizontal:
        # A colour bar makes the axes narrower.
        before_drawing(axis.axes, lambda _: choose())
    axis.set_label_text(name)


def _draw_points(ax: Axes, shown: Slice, quantity: str) -> ScalarMappable:
    """Draw each case as a point where its values are."""
    cells = shown.cells
    estimates = cells[f"{quantity}_estimate"].to_numpy(dtype=float)
    x, y = (_positions(axis, cells[name]) for axis, name in ((ax.xaxis, shown.x), (ax.yaxis, str(shown.y))))
    missing = np.isnan(estimates)
    size = max(4.0, min(60.0, 4000 / len(cells)))
    look = {**_choose_colours(quantity, shown.whole), "edgecolors": DARK_GREY, "linewidths": 0.3}
    points = ax.scatter(x[~missing], y[~missing], c=estimates[~missing], s=size, **look)
    if missing.any():
        ax.scatter(x[missing], y[missing], s=size, marker="x", color=GREY, linewidths=0.8)
    mark_points(ax, shown.heading, shown.names, np.column_stack([x, y]))
    return points


def _positions(axis: Axis, column: pd.Series) -> np.ndarray:
    """Return the positions of values on an axis: numbers at their values, others side by side."""
    import pandas as pd
    from matplotlib.ticker import MaxNLocator

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and not column.isna().any():
        if is_duration(str(column.name)):
            margin = 0.05 * (column.max() - column.min())
            axis.set_view_interval(column.min() - margin, column.max() + margin, ignore=True)
            set_time_axis(axis, float(column.max()), str(column.name))
            return column.to_numpy(dtype=float)
        axis.set_label_text(str(column.name))
        is_whole = pd.api.types.is_integer_dtype(column)
        n_steps: int | Literal["auto"] = "auto"
        if axis is axis.axes.xaxis:
            longest = max(len(format_value(value)) for value in column)
            n_steps = max(1, min(int(measure_axes(axis.axes)[0] / (_CHARACTER_PT * longest)), _MOST_STEPS))
        axis.set_major_locator(MaxNLocator(n_steps, integer=is_whole))
        return column.to_numpy(dtype=float)
    values, places = _places(column)
    _label_cells(axis, str(column.name), values)
    return places.astype(float)


def _choose_colours(quantity: str, cells: pd.DataFrame) -> dict[str, Any]:
    low, high = float(cells[f"{quantity}_estimate"].min()), float(cells[f"{quantity}_estimate"].max())
    if quantity in PROPORTIONS:
        low, high = 0.0, max(high, 0.01)
    elif high <= low:
        high = low + max(abs(low), 1.0)
    return {"cmap": _COLOURS, "vmin": low, "vmax": high}


def _set_values(axis: Axis, shown: Slice, quantity: str) -> None:
    """Label the axis of a quantity."""
    longest = float(shown.whole[f"{quantity}_estimate"].max())
    label, unit = _name_quantity(shown, quantity)
    set_unit_axis(axis, unit, longest, label)


def _name_quantity(shown: Slice, quantity: str) -> tuple[str, str]:
    """Return the name of a quantity, and its unit."""
    name = name_objective(find_measure(quantity, shown.whole))
    return name, "fraction" if quantity in PROPORTIONS else LABELS[MEANS[quantity]][1]


def _draw_line(ax: Axes, shown: Slice, quantity: str) -> None:
    """Draw the estimates over one key with their intervals."""
    cells = shown.cells
    x = _positions(ax.xaxis, cells[shown.x])
    order = np.argsort(x, kind="stable")
    estimate, low, high = cells[_columns(quantity)].to_numpy(dtype=float)[order].T
    ax.fill_between(x[order], low, high, color=BLUE, alpha=0.2, linewidth=0)
    is_doubtful = ~cells[f"{quantity}_is_trusted"].to_numpy(dtype=bool)[order]
    places, *ends = (of[is_doubtful] for of in (x[order], low, high))
    draw_intervals(ax, "y", places, ends[0], ends[1], False, color=BLUE, linewidth=1.2)
    ax.plot(x[order], estimate, color=BLUE, marker="o", markersize=3.5, linewidth=1.4, clip_on=False)
    if not np.isnan(estimate).all():
        mark_points(ax, shown.heading, [shown.names[place] for place in order], np.column_stack([x[order], estimate]))
        _set_limits(ax, shown.whole, quantity)
        _set_values(ax.yaxis, shown, quantity)
    else:
        _draw_nothing(ax, shown)


def _columns(quantity: str) -> list[str]:
    return list(interval_names(f"{quantity}_estimate"))


def _set_limits(ax: Axes, cells: pd.DataFrame, quantity: str) -> None:
    values = cells[_columns(quantity)]
    low, high = float(values.min().min()), float(values.max().max())
    margin = 0.05 * (high - low)
    if quantity in PROPORTIONS:
        ax.set_ylim(0, max(0.01, high + margin))
    elif high > low:
        # With few rollouts, the interval of a time may reach below 0, which is impossible.
        least = 0.0 if LABELS[MEANS[quantity]][1] == "s" else -math.inf
        ax.set_ylim(max(low - margin, least), high + margin)


def _draw_nothing(ax: Axes, shown: Slice) -> None:
    say_nothing_known(ax, "no value in any case")
    ax.set_xlabel(shown.x)
    ax.set_ylabel(shown.y or "")


def _set_title(ax: Axes, shown: Slice, quantity: str, confidence_level: float, part: float) -> None:
    scale = quantity_scale(quantity, shown.whole)
    has_numbers = shown.y is not None and bool(ax.texts) and not shown.cells[f"{quantity}_estimate"].isna().all()
    # The title has the unit of numbers in the cells; otherwise the axis or the bar has it.
    title = with_unit(_name_quantity(shown, quantity)[0], scale.unit if has_numbers else "")
    lines = [wrap_words(ax, title, "small", part=part)]
    widths = shown.cells[f"{quantity}_half_width"]
    if not widths.isna().all():
        unit = f" {unit}" if (unit := POINTS.unit if quantity in PROPORTIONS else scale.unit) else ""
        widest = float(widths.max()) * scale.factor
        interval = f"{percent(confidence_level)} CI: ± {format_number(widest, widest)}{unit} at most"
        lines += [interval, *filter(None, [tell_untrusted(ax, "")])]
    missing = shown.cells[f"{quantity}_estimate"].isna()
    if shown.y is not None and missing.any() and not missing.all():
        lines.append("hatched: no value" if shown.is_grid else "crosses: no value")
    endless = float(unknown_fractions(quantity, shown.cells).max())
    if endless > 0:
        lines.append(f"up to {100 * endless:.3g} % never end")
    if shown.note:
        lines.append(wrap_words(ax, shown.note, "small", part=part))
    ax.set_title("\n".join(lines), fontsize="small")
