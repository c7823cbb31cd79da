"""Costs of rollouts by cause, and the savings of more observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, not_among
from simdeploy.plotting import style
from simdeploy.plotting.axes import set_measure_axis
from simdeploy.plotting.intervals import add_interval, draw_intervals
from simdeploy.plotting.marks import mark_rows
from simdeploy.plotting.style import Look, in_plain_text, name_row, put_legend_above, say_no_value, set_rows
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes
from simdeploy.report.formatting import find_cost_unit
from simdeploy.report.wording import name_cause
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import CAUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.costs.causes import CostResult
    from simdeploy.analysis.costs.observation import ObservationResult

_COST = Measure("cost")
_LOOKS = {
    "cost_delay": Look(style.SKY_BLUE, line=(0, (5, 2))),
    "cost_failed_requests": Look(style.BLUE, line=(0, (1, 1)), hatch="//"),
    "cost_unavailability": Look(style.PURPLE, line=(0, (3, 1, 1, 1)), hatch=".."),
    "cost_unrestored_nodes": Look(style.DARK_GREY, line=(0, (1, 3)), hatch="--"),
    "cost_lost_requests": Look(style.GREEN, line=(0, (2, 2)), hatch="oo"),
    "cost_shed_requests": Look(style.YELLOW, line=(0, (4, 1, 1, 1)), hatch="++"),
    "cost_false_alarm": Look(style.ORANGE, line=(0, (5, 1, 1, 1, 1, 1)), hatch="\\\\"),
    "cost_escape": Look(style.VERMILION, line=(0, (8, 2)), hatch="xx"),
}
_AXES = {"canaries": "canaries", "minutes": "additional minutes of observation per node"}


@in_plain_text
def plot_costs(ax: Axes, result: CostResult) -> Axes:
    """Draw the mean cost of each policy, stacked by cause, with the interval of the total.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per policy is enough.
    result : CostResult

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    Negative costs, such as unavailability if updates repair nodes, are drawn to the left of 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.costs.causes import estimate_costs
    >>> from simdeploy.plotting import plot_costs
    >>> from simdeploy.scenario.parts import Costs
    >>> table = pd.DataFrame({
    ...     "policy": "waves", "replication": [0, 1], "verdict": ["completed_good", "escaped"],
    ...     "makespan_s": [3600.0, 7200.0], "failed_requests_excess": [0.0, 100.0], "unavailable_excess_node_s": 0.0,
    ...     "lost_requests_excess": 0.0, "shed_requests_excess": 0.0,
    ... })
    >>> costs = Costs(failed_request=0.1, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000)
    >>> plot_costs(Figure().subplots(), estimate_costs(table, costs=costs)).get_xlabel()
    'mean cost per rollout, 95 % CI; dashed: may be too narrow'
    """
    totals = result.totals
    n_cases = len(totals)
    rows = range(n_cases)
    right, left = np.zeros(n_cases), np.zeros(n_cases)
    for cause in CAUSES:
        widths = np.nan_to_num(result.parts.loc[result.parts["cause"].eq(cause), "estimate"].to_numpy())
        if widths.any():
            look: dict[str, Any] = {"color": _LOOKS[cause].colour, "hatch": _LOOKS[cause].hatch, "edgecolor": "white"}
            ax.barh(rows, widths, 0.62, left=np.where(widths >= 0, right, left), label=name_cause(cause), **look)
            right, left = right + np.maximum(widths, 0), left + np.minimum(widths, 0)
    ends = (totals[name] for name in ("low", "high", "is_trusted"))
    draw_intervals(ax, "x", rows, *ends, color=style.INK, linewidth=1.4)
    ax.plot(totals["estimate"], rows, "|", color=style.INK, markersize=9)
    for row in np.flatnonzero(totals["estimate"].isna()).tolist():
        say_no_value(ax, row)
    names = name_cases(totals, result.case_columns)
    set_rows(ax, [name_row(name, n) for name, n in zip(names, totals["n"], strict=True)])
    mark_rows(ax, "policy", names)
    ax.axvline(0, color=style.INK, linewidth=0.8)
    set_measure_axis(ax.xaxis, _COST, 0, find_cost_unit(result.computed_under), "mean cost per rollout")
    add_interval(ax, "x", result.confidence_level)
    if ax.get_legend_handles_labels()[0]:
        put_legend_above(ax, 3)
    return ax


@in_plain_text
def plot_value_of_observation(ax: Axes, result: ObservationResult, *, lever: str = "canaries") -> Axes:
    """Draw what more or less observation saves, compared with the current policy.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : ObservationResult
    lever : {'canaries', 'minutes'}

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the result has no such lever.

    Notes
    -----
    The thick line is the total saving with its intervals; thin lines are its parts. Each step up to the shaded area saves
    significantly.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.costs.observation import value_of_observation
    >>> from simdeploy.plotting import plot_value_of_observation
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "four-nodes", "fleet": {"nodes": 4, "update_duration": "1m"}, "costs": {"hour_of_delay": 60},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = value_of_observation(scenario, replications=2)
    >>> plot_value_of_observation(Figure().subplots(), result, lever="minutes").get_xlabel()
    'additional minutes of observation per node'
    """
    rows = result.savings[result.savings["lever"].eq(lever)]
    if rows.empty:
        raise InputError(not_among("no such setting", ("lever",), lever, result.savings["lever"].unique()))
    limit = result.limits[result.limits["lever"].eq(lever)].iloc[0]
    lines = []
    for cause, look in _LOOKS.items():
        part = rows[rows["cause"].eq(cause)]
        if part["cost"].any():
            line: dict[str, Any] = {"color": look.colour, "linestyle": look.line, "linewidth": 1.4}
            lines += ax.plot(part["value"], part["estimate"], label=name_cause(cause), **line)
    total = rows[rows["cause"].eq("cost")]
    ends = (total[name] for name in ("low", "high", "is_trusted"))
    draw_intervals(ax, "y", total["value"], *ends, color=style.INK, linewidth=1.6)
    lines += ax.plot(total["value"], total["estimate"], "o-", color=style.INK, linewidth=2, markersize=5, label="total")
    now = total[total["is_current"]]
    diamond: dict[str, Any] = {"color": "white", "markeredgecolor": style.INK, "markersize": 8}
    ax.plot(now["value"], now["estimate"], "D", **diamond, label="current", zorder=4)
    ax.axhline(0, color=style.INK, linewidth=0.8, zorder=0)
    last = float(total["value"].max())
    ax.set_xlim(right=last)
    if limit["pays_until"] < last:
        ax.axvspan(limit["pays_until"], last, color=style.STRIPE, zorder=-1, label="no significant gain")
    style.label_line_ends(ax, lines)
    ax.set_xlabel(_AXES[lever])
    set_measure_axis(ax.yaxis, _COST, 0, find_cost_unit(result.computed_under), "cost saved per rollout")
    add_interval(ax, "y", result.confidence_level)
    # Make room for the labels at the right ends of the lines.
    n_columns = 2 if measure_axes(ax)[0] > NARROW_PT else 1
    put_legend_above(
        ax, n_columns, handles=[handle for handle in ax.get_legend_handles_labels()[0] if handle not in lines]
    )
    return ax
