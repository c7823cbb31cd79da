"""Picture of what moves a choice: a bar for each switch value, flips and the longest on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.errors import plural
from simdeploy.plotting import style
from simdeploy.plotting.axes import set_bars, set_symlog_axis, write_number
from simdeploy.plotting.intervals import draw_intervals, tell_untrusted
from simdeploy.plotting.style import cut_middle, in_plain_text, wrap_name, write_above, write_beside
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes, wrap_words
from simdeploy.report.formatting import (
    difference_scale,
    find_cost_unit,
    format_number,
    interval_names,
    percent,
    scale_of,
    trust_name,
    with_unit,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.switches.result import Switches
    from simdeploy.report.formatting import Scale

_NARROW_PT = 6  # font size of labels at half a page
_CHOICE_WIDTH, _NARROW_CHOICE_WIDTH = 20, 12  # characters of the policy that is recommended instead

# Colour is not the only sign of a flip: it has a word beside it, too.
_FLIPS = {"changes": (style.VERMILION, "D"), "may change": (style.ORANGE, "s")}
_HOLDS = style.BLUE, "o"
_ORDER = ("changes", "may change", "holds, uncertain", "holds", "unknown")
_MOST_ROWS = 18
_SMALLEST_RATIO = 8  # of the largest to the typical margin, above which the scale is logarithmic


@in_plain_text
def plot_tornado(ax: Axes, result: Switches) -> Axes:
    """Draw the margin of the recommended policy under each switch value that changes it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about a quarter of an inch of height per row.
    result : Switches

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Values that flip the recommendation come first, then those that may; within each group the largest change first, and
    unknown margins last. The vertical line is the current margin; the line through each mark is its interval. Left of 0
    (grey) another policy is better. The text on the right names the policy that is recommended instead, or gives the
    margin. If margins differ by orders of magnitude, the axis is linear near 0 and logarithmic beyond the value in its
    label. Without a margin (no second policy meets the requirements), the change of the recommended policy's measure is
    drawn. Values without effect have no row, nor have the last ones of many; the axis label counts both, unknown ones separately.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.switches.varying import vary_switches
    >>> from simdeploy.scenario import Scenario
    >>> waves = {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 4, "update_duration": "45s"},
    ...     "policies": {"at-once": {"strategy": "immediate"}, "waves": waves},
    ... })
    >>> result = vary_switches(scenario, of="makespan_s", replications=2, pairs=False, engine="reference")
    >>> ax = plot_tornado(Figure().subplots(), result)
    >>> [label.get_text() for label in ax.get_yticklabels()][0]
    'bake_time: 7m30s'
    """
    has_margin = bool(result.values["margin"].notna().any() and result.base["margin"].notna().all())
    column = "margin" if has_margin else "effect"
    start = float(result.base["margin"].iloc[0]) if has_margin else 0.0
    rows = result.values[result.values["verdict"].isin(_ORDER)]
    rows = rows.assign(size=(rows[column] - start).abs(), rank=rows["verdict"].map(_ORDER.index))
    # A flip has a row even without a margin; values that don't affect the recommendation have none.
    is_named = rows["verdict"].isin([*_FLIPS, "unknown"])
    moved = rows[is_named | (rows["size"] > 0)]
    moved = moved.assign(rank=moved["rank"].where(is_named, _ORDER.index("holds")))
    moved = moved.sort_values(["rank", "size"], ascending=[True, False], kind="stable", na_position="first")
    shown = moved.iloc[:_MOST_ROWS]
    scale = difference_scale(scale_of(result.of, shown[column], find_cost_unit(result.computed_under)))
    ends = shown[list(interval_names(column))].to_numpy() * scale.factor
    linear = _set_margin_scale(ax, ends, start * scale.factor)
    for place, row in enumerate(shown.to_dict("records")):
        _draw_row(ax, place, row, column, start, scale)
    set_bars(ax, [wrap_name(f"{row['switch']}: {row['value']}", 36) for row in shown.to_dict("records")])
    if measure_axes(ax)[0] < NARROW_PT:
        ax.tick_params(axis="y", labelsize=_NARROW_PT)
    ax.axvline(start * scale.factor, color=style.INK, linewidth=1)
    if has_margin and ax.get_xlim()[0] < 0:
        ax.axvspan(ax.get_xlim()[0], 0, color=style.STRIPE, zorder=-1)
        ax.axvline(0, color=style.INK, linewidth=1, linestyle=":")
        if start >= 0:
            write_above(ax, 0, "another policy is better ", ha="right")
    if has_margin:
        half_width = float(result.base["margin_high"].iloc[0] - result.base["margin_low"].iloc[0]) / 2
        written = format_number(start * scale.factor, half_width * scale.factor, sign=True)
        write_above(ax, start * scale.factor, f" current {written}", ha="left")
    _label(ax, result, scale, shown, linear, has_margin=has_margin)
    return ax


def _set_margin_scale(ax: Axes, ends: np.ndarray, start: float) -> float:
    """Choose the scale and its limits; return the bound of its linear part, infinity if it is linear everywhere."""
    known = np.append(ends[np.isfinite(ends)], [start, 0.0])
    sizes = np.abs(ends[:, 0][np.isfinite(ends[:, 0])])
    sizes = sizes[sizes > 0]
    low, high = float(known.min()), float(known.max())
    if not len(sizes) or sizes.max() < _SMALLEST_RATIO * np.median(sizes):
        margin = 0.05 * (high - low) or 1.0
        ax.set_xlim(low - margin * (low < 0), high + margin * (high > 0))
        if measure_axes(ax)[0] < NARROW_PT:
            ax.locator_params("x", nbins=2)
            ax.tick_params(axis="x", labelsize="x-small")
        return math.inf
    linear = float(10 ** math.floor(math.log10(np.median(sizes))))
    set_symlog_axis(
        ax,
        linear,
        min(1.6 * low, 0.0),
        max(1.6 * high, 0.0),
        lambda value: f"{'+' if value > 0 else ''}{write_number(value)}",
    )
    return linear


def _draw_row(ax: Axes, place: int, row: dict[Hashable, Any], column: str, start: float, scale: Scale) -> None:
    value, low, high = (float(row[name]) * scale.factor for name in interval_names(column))
    colour, marker = _FLIPS.get(row["verdict"], _HOLDS)
    if not math.isnan(value):
        ax.hlines(place, start * scale.factor, value, color=colour, linewidth=4, alpha=0.35)
        draw_intervals(ax, "x", place, low, high, row[trust_name(column)], color=style.INK, linewidth=1)
        ax.plot([value], [place], marker=marker, color=colour, markersize=5, clip_on=False, zorder=4)
    look: dict[str, Any] = {"color": style.DARK_GREY}
    if row["verdict"] in _FLIPS:
        choice = "no policy" if isinstance(row["choice"], float) else row["choice"]
        look = {"color": style.INK, "fontweight": "bold"}
        if measure_axes(ax)[0] > NARROW_PT:
            text = f"{row['verdict']} to {cut_middle(choice, _CHOICE_WIDTH)}"
        else:
            text = f"to {cut_middle(choice, _NARROW_CHOICE_WIDTH)}{'' if row['verdict'] == 'changes' else '?'}"
            look["fontsize"] = "x-small"
    elif math.isnan(value):
        text = "unknown"
    else:
        half_width = (high - low) / 2
        text = format_number(value, 0.0 if math.isnan(half_width) else half_width, sign=True)
        if not text.strip("+0."):  # show the side of a bar, even if its sign is uncertain
            text = format_number(value, abs(value), sign=True)
    write_beside(ax, place, text, **look)


def _label(ax: Axes, result: Switches, scale: Scale, shown: pd.DataFrame, linear: float, *, has_margin: bool) -> None:
    measure = describe_measure(result.of)
    subject = result.choice or "the best policy"
    if has_margin:
        text = f"lead of {subject} over the best other policy in {measure}"
    else:
        text = f"change of {measure} of {subject}"
    text = with_unit(text, scale.unit)
    if linear < math.inf:
        text += f" (logarithmic beyond {write_number(linear)})"
    verdicts = result.values["verdict"]
    n_flips, n = int(verdicts.isin(list(_FLIPS)).sum()), int(verdicts.ne("impossible").sum())
    text += f"\nlines: {percent(result.confidence_level)} CI{tell_untrusted(ax, ', ')}"
    n_unknown = int(verdicts.eq("unknown").sum())
    unknown_left = n_unknown - int(shown["verdict"].eq("unknown").sum())
    if n_left := n - len(shown) - unknown_left:
        text += f"; {plural(n_left, 'further value')} {'changes' if n_left == 1 else 'change'} it by less or not at all"
    if unknown_left:
        text += f"; {unknown_left} more {'is' if unknown_left == 1 else 'are'} unknown"
    ax.set_xlabel(text, fontsize="small")
    title = f"{n_flips} of {n} switch values {'changes' if n_flips == 1 else 'change'} or may change the choice"
    if n_unknown:
        title += f"; {n_unknown} {'is' if n_unknown == 1 else 'are'} unknown"
    ax.set_title(wrap_words(ax, title), fontsize="medium", pad=18)
