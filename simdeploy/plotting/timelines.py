"""Bands of many rollouts over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.bands.counting import name_quantile
from simdeploy.errors import InputError, not_among
from simdeploy.plotting.axes import set_time_axis, write_number, write_percent
from simdeploy.plotting.style import choose_line_looks, in_plain_text, label_line_ends, put_legend_above, wrap_name
from simdeploy.plotting.wrapping import measure_axes
from simdeploy.report.formatting import percent
from simdeploy.report.timelines import NAMES, is_fraction

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.bands.result import Timelines

_ROOM = 1.08
_LINE_PT, _CHARACTER_PT = 11, 4.6  # of a label
_WIDEST = 0.35  # part of the axes that labels beside them may take


@in_plain_text
def plot_timelines(ax: Axes, timelines: Timelines, *, quantity: str | None = None, release: str | None = None) -> Axes:
    """Draw one quantity over time: the median (or middle quantile) of each policy, and the band around it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are seconds, and nodes or fractions.
    timelines : Timelines
    quantity : str, optional
        By default the first.
    release : str, optional
        Kind of release; by default the first.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the result has no such quantity or release.

    Notes
    -----
    The band reaches from the lowest to the highest quantile. Lines have gaps where too few rollouts have a value: the new
    version has no error rate before any node runs it. Without room for the names of the policies beside their lines, a
    legend above the axes has them.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy import load_example, timelines
    >>> from simdeploy.plotting import plot_timelines
    >>> scenario = load_example("small-fleet")
    >>> result = timelines(scenario, quantities="in_service", replications=10, engine="reference")
    >>> plot_timelines(Figure().subplots(), result).get_ylabel()
    'nodes in service'
    """
    bands = timelines.bands
    quantity, release = _choose(bands, "quantity", quantity), _choose(bands, "release", release)
    is_labelled = fit_beside(ax, timelines)
    draw_bands(ax, timelines, quantity, release, is_labelled=is_labelled)
    if not is_labelled:
        n_rows = put_legend_above(ax, 2)
        n_lines = max(wrap_name(policy).count("\n") + 1 for policy in bands["policy"].unique())
        ax.set_title(ax.get_title(loc="left"), loc="left", fontsize="small", pad=12 + (_LINE_PT * n_lines + 4) * n_rows)
    return ax


def fit_beside(ax: Axes, timelines: Timelines) -> bool:
    """Return whether there is room beside the axes for the names of all policies."""
    names = [wrap_name(policy).splitlines() for policy in timelines.bands["policy"].drop_duplicates()]
    width_pt, height_pt = measure_axes(ax)
    highest, longest = max(map(len, names)), max(len(line) for name in names for line in name)
    return len(names) * highest * _LINE_PT < height_pt and longest * _CHARACTER_PT < _WIDEST * width_pt


@in_plain_text
def draw_bands(ax: Axes, timelines: Timelines, quantity: str, release: str, *, is_labelled: bool) -> Axes:
    """Draw one quantity for one kind of release; if `is_labelled`, with names at the ends of lines."""
    from matplotlib.lines import Line2D

    bands = timelines.bands
    chosen = bands[bands["quantity"].eq(quantity) & bands["release"].eq(release)]
    policies = bands["policy"].drop_duplicates().tolist()
    quantiles = [timelines.quantiles[place] for place in (0, len(timelines.quantiles) // 2, -1)]
    low, middle, high = map(name_quantile, quantiles)
    ends = []
    for policy, look in zip(policies, choose_line_looks(len(policies)), strict=True):
        band = chosen[chosen["policy"].eq(policy)]
        if band.empty:
            continue
        times = band["time_s"]
        if low != high:
            ax.fill_between(times, band[low], band[high], color=look.colour, alpha=0.18, linewidth=0)
            for edge in (low, high):
                ax.plot(times, band[edge], color=look.colour, linewidth=0.5, alpha=0.7)
        ax.plot(times, band[middle], color=look.colour, linestyle=look.line, linewidth=1.8, label=wrap_name(policy))
        # Labelled where the line ends, if that is before the last instant.
        known = band[middle].dropna().to_numpy()[-1:]
        ends += [Line2D(known, known, color=look.colour, label=wrap_name(policy))] if len(known) else []
    if is_labelled:
        label_line_ends(ax, ends)
    ax.set_xlim(0, timelines.until_s)
    set_time_axis(ax.xaxis, timelines.until_s, "time since the start")
    # Panels of different releases have the same axis.
    _set_levels(ax, quantity, bands.loc[bands["quantity"].eq(quantity), [low, middle, high]], timelines.n_nodes)
    line = "median" if quantiles[1] == 0.5 else f"{percent(quantiles[1])} quantile"
    drawn = f"{line}, band {percent(quantiles[0])} to {percent(quantiles[2])}"
    ax.set_title(f"release {release}: {drawn}" if release else drawn, loc="left", fontsize="small")
    return ax


def _set_levels(ax: Axes, quantity: str, levels: pd.DataFrame, n_nodes: int) -> None:
    from matplotlib.ticker import MaxNLocator

    highest = float(np.nanmax(levels.to_numpy(), initial=0.0))
    if is_fraction(quantity):
        ax.set_ylim(0, _ROOM * max(highest, 0.001))
        ax.yaxis.set_major_formatter(write_percent)
    else:
        ax.set_ylim(0, _ROOM * (n_nodes if quantity in ("updated", "exposed", "in_service") else max(highest, 1.0)))
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(write_number)
    ax.set_ylabel(NAMES[quantity])


def _choose(bands: pd.DataFrame, column: str, wanted: str | None) -> str:
    known = bands[column].drop_duplicates().tolist()
    if wanted is None:
        return str(known[0])
    if wanted not in known:
        raise InputError(not_among(f"the result has no such {column}", (column,), wanted, known))
    return wanted
