"""Picture of what moves a response: a bar for each factor, the longest on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.plotting import style
from simdeploy.plotting.axes import set_bars, write_number
from simdeploy.plotting.intervals import draw_intervals, tell_untrusted
from simdeploy.plotting.style import in_plain_text, put_legend_above, wrap_name, write_beside
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes, wrap_words
from simdeploy.report.formatting import (
    percent,
    with_unit,
)
from simdeploy.report.sensitivity import index_scale, say_subject, short_names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.sensitivity.result import Sensitivity

# By method: the index drawn as a bar, the label of the other one, and its colour.
_BARS = {
    "morris": ("mu_star", "mean absolute effect (mu*)", style.BLUE),
    "sobol": ("total", "with all other factors (total)", style.SKY_BLUE),
}
_DIRECTIONS = {"rises": "\N{BLACK UP-POINTING TRIANGLE} rises", "falls": "\N{BLACK DOWN-POINTING TRIANGLE} falls"}
_OUTER, _INNER = 0.64, 0.26  # heights of bars
_BESIDE = 0.23  # from the middle of a bar to the interval of the other index
_LABEL_WIDTH = 20  # characters


@in_plain_text
def plot_sensitivity(ax: Axes, result: Sensitivity) -> Axes:
    """Draw how much each factor moves the response.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per factor.
    result : Sensitivity

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Sobol: a light bar is the total index, the dark bar inside it the first order index; the light rest is what the factor does
    only together with others. An estimate of the total may be below that of the first order, by less than their intervals.
    Morris: a bar is the mean absolute effect. A diamond is the spread of the effects, which is large where a factor acts
    together with others or not in a straight line. Lines are intervals, dashed if they can't be trusted.

    Words on the right say what the response does as the factor rises: `direction` of `Sensitivity.factors`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import analyze_sensitivity, design_sensitivity
    >>> design = design_sensitivity({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    >>> result = analyze_sensitivity(design, 3 * design.points["x"] - design.points["y"])
    >>> ax = plot_sensitivity(Figure().subplots(), result)
    >>> [text.get_text() for text in ax.texts[:2]]
    ['▲ rises', '▼ falls']
    """
    short = short_names(result)
    factors = list(dict.fromkeys(result.indices["factor"]))
    over = dict(zip(result.factors["factor"], result.factors["over"], strict=True))
    scale = index_scale(result)
    index, label, colour = _BARS[result.method]
    bars = _rows_of(result, index, factors) * scale.factor
    ax.barh(range(len(factors)), bars["estimate"], _OUTER, color=colour, label=label)
    if result.method == "sobol":
        inner = _rows_of(result, "first", factors) * scale.factor
        ax.barh(range(len(factors)), inner["estimate"], _INNER, color=style.BLUE, label="alone (first order)")
        _draw_intervals(ax, bars, -_BESIDE, style.BLACK)
        _draw_intervals(ax, inner, 0, style.BLACK)
    else:
        # Where nothing changes there is no spread to show.
        is_inert = result.factors.set_index("factor").loc[factors, "is_inert"]
        spread = _rows_of(result, "sigma", factors)[~is_inert].reindex(factors) * scale.factor
        _draw_intervals(ax, bars, 0, style.BLACK)
        _draw_intervals(ax, spread, _OUTER / 2 + 0.06, style.GREY)
        ax.plot(
            spread["estimate"], [place + _OUTER / 2 + 0.06 for place in range(len(factors))], "D", color="white",
            markeredgecolor=style.INK, markersize=5, label="spread of effects (sigma)",
        )  # fmt: skip
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.xaxis.set_major_formatter(write_number)
    set_bars(ax, [f"{_break_name(short[name])}\n{wrap_name(over[name], _LABEL_WIDTH)}" for name in factors])
    _name_directions(ax, result, factors)
    quantity = "part of the variance" if result.method == "sobol" else "effect over its whole range"
    label = f"{with_unit(quantity, scale.unit)}, lines: {percent(result.confidence_level)} CI"
    label += tell_untrusted(ax)
    if result.method == "sobol" and (inner["estimate"] > bars["estimate"]).any():
        label += "\nA dark bar longer than its light bar is estimation error."
    if measure_axes(ax)[0] <= NARROW_PT:
        label += "\nright: what it does as the factor rises"
    ax.set_xlabel(label, fontsize="small")
    title = wrap_words(ax, f"What moves {say_subject(result)}")
    ax.set_title(title, fontsize="medium", pad=36)
    put_legend_above(ax, 1, borderaxespad=0.1)
    return ax


def _rows_of(result: Sensitivity, index: str, factors: list[str]) -> pd.DataFrame:
    """Return estimates and intervals of an index, a row for each factor."""
    rows = result.indices[result.indices["index"].eq(index)].set_index("factor")
    return rows.loc[factors, ["estimate", "low", "high", "is_trusted"]]


def _draw_intervals(ax: Axes, rows: pd.DataFrame, offset: float, colour: str) -> None:
    places = np.arange(len(rows)) + offset
    is_wide = (rows["high"] > rows["low"]).to_numpy()
    ends = (rows.loc[is_wide, name] for name in ("low", "high", "is_trusted"))
    draw_intervals(ax, "x", places[is_wide], *ends, linewidth=1.4, color=colour)


def _name_directions(ax: Axes, result: Sensitivity, factors: list[str]) -> None:
    """Write beside each bar what the response does as the factor rises."""
    by_name = {row["factor"]: row for row in result.factors.to_dict("records")}
    for place, name in enumerate(factors):
        row = by_name[name]
        text = _DIRECTIONS.get(row["direction"], "" if math.isnan(row["slope"]) else "unclear")
        text = "no effect seen" if row["is_inert"] else text
        write_beside(ax, place, text, color=style.INK if row["direction"] in _DIRECTIONS else style.DARK_GREY)
    if measure_axes(ax)[0] > NARROW_PT:  # else the legend needs the room
        ax.annotate(
            "as the factor\nrises, this", (1.02, 1), xytext=(0, 3), xycoords="axes fraction",
            textcoords="offset points", va="bottom", fontsize="small", color=style.DARK_GREY,
        )  # fmt: skip


def _break_name(name: str) -> str:
    """Break a long path after a dot."""
    lines = [""]
    for part in name.replace(".", ".\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > _LABEL_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
