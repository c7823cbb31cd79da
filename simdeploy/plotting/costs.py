"""What rollouts cost, made of its causes, and what it saves to watch more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.errors import InputError, not_among
from simdeploy.plotting import style
from simdeploy.plotting.axes import add_cost_unit
from simdeploy.plotting.style import in_plain_text, name_row, say_no_value, set_rows
from simdeploy.report.wording import find_cost_unit
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import CAUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.costs.causes import CostResult
    from simdeploy.analysis.costs.observation import ObservationResult

_COST = Measure("cost")
_LOOKS = {
    "cost_delay": (style.SKY_BLUE, ""),
    "cost_failed_requests": (style.BLUE, "//"),
    "cost_unavailability": (style.PURPLE, ".."),
    "cost_false_alarm": (style.ORANGE, "\\\\"),
    "cost_escape": (style.VERMILION, "xx"),
}

_AXES = {"canaries": "canaries", "minutes": "minutes by which each node is watched longer"}
_LINES = {
    "cost_delay": (0, (5, 2)),
    "cost_failed_requests": (0, (1, 1)),
    "cost_unavailability": (0, (3, 1, 1, 1)),
    "cost_false_alarm": (0, (5, 1, 1, 1, 1, 1)),
    "cost_escape": (0, (8, 2)),
}


@in_plain_text
def plot_costs(ax: Axes, result: CostResult) -> Axes:
    """Draw the mean cost of each policy, stacked by cause, with the interval of the total.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per policy is enough.
    result : CostResult

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    What is below 0, such as the unavailability of updates that repair nodes, is drawn to the left of 0.

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
    ... })
    >>> costs = Costs(failed_request=0.1, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000)
    >>> plot_costs(Figure().subplots(), estimate_costs(table, costs=costs)).get_xlabel()
    'mean cost per rollout, with 95 % intervals'
    """
    totals = result.totals
    n_cases = len(totals)
    rows = range(n_cases)
    right, left = np.zeros(n_cases), np.zeros(n_cases)
    for cause in CAUSES:
        widths = np.nan_to_num(result.parts.loc[result.parts["cause"].eq(cause), "estimate"].to_numpy())
        if not widths.any():
            continue
        colour, hatch = _LOOKS[cause]
        starts = np.where(widths >= 0, right, left)
        label = LABELS[cause][0].removeprefix("cost of ")
        ax.barh(rows, widths, 0.62, left=starts, color=colour, hatch=hatch, edgecolor="white", label=label)
        right, left = right + np.maximum(widths, 0), left + np.minimum(widths, 0)
    ax.hlines(rows, totals["low"], totals["high"], color=style.INK, linewidth=1.4)
    ax.plot(totals["estimate"], rows, "|", color=style.INK, markersize=9)
    for row in np.flatnonzero(totals["estimate"].isna()).tolist():
        say_no_value(ax, row)
    set_rows(
        ax, [name_row(name, n) for name, n in zip(name_cases(totals, result.case_columns), totals["n"], strict=True)]
    )
    ax.axvline(0, color=style.INK, linewidth=0.8)
    label = f"mean cost per rollout, with {100 * result.confidence_level:g} % intervals"
    ax.set_xlabel(add_cost_unit(label, _COST, find_cost_unit(result.computed_under)))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax


@in_plain_text
def plot_value_of_observation(ax: Axes, result: ObservationResult, *, lever: str = "canaries") -> Axes:
    """Draw what each amount of watching saves against the current policy.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : ObservationResult
    lever : {'canaries', 'minutes'}

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If the result has no such lever.

    Notes
    -----
    The thick line is the total saving with its intervals; thin lines are its parts. Up to the shaded part each further step
    saves significantly.

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
    'minutes by which each node is watched longer'
    """
    rows = result.savings[result.savings["lever"].eq(lever)]
    if rows.empty:
        raise InputError(not_among("no such setting", ("lever",), lever, result.savings["lever"].unique()))
    limit = result.limits[result.limits["lever"].eq(lever)].iloc[0]
    for cause, line in _LINES.items():
        part = rows[rows["cause"].eq(cause)]
        if part["cost"].any():
            label = LABELS[cause][0].removeprefix("cost of ")
            ax.plot(part["value"], part["estimate"], color=_LOOKS[cause][0], linestyle=line, linewidth=1.4, label=label)
    total = rows[rows["cause"].eq("cost")]
    ax.vlines(total["value"], total["low"], total["high"], color=style.INK, linewidth=1.6)
    ax.plot(total["value"], total["estimate"], "o-", color=style.INK, linewidth=2, markersize=5, label="total")
    now = total[total["is_current"]]
    look: dict[str, Any] = {"color": "white", "markeredgecolor": style.INK, "markersize": 8, "label": "current"}
    ax.plot(now["value"], now["estimate"], "D", **look, zorder=4)
    ax.axhline(0, color=style.INK, linewidth=0.8, zorder=0)
    last = float(total["value"].max())
    ax.set_xlim(right=last)
    if limit["pays_until"] < last:
        ax.axvspan(limit["pays_until"], last, color=style.STRIPE, zorder=-1, label="no significant gain")
    lines = [line for line in ax.lines if line.get_linestyle() != "None" and np.size(line.get_xdata()) == len(total)]
    ends = [float(np.asarray(line.get_ydata(), dtype=float)[-1]) for line in lines]
    style.label_line_ends(
        ax, ends, [str(line.get_label()) for line in lines], [str(line.get_color()) for line in lines]
    )
    ax.set_xlabel(_AXES[lever])
    label = f"saved per rollout,\nwith {100 * result.confidence_level:g} % intervals"
    ax.set_ylabel(add_cost_unit(label, _COST, find_cost_unit(result.computed_under)))
    handles = [handle for handle in ax.get_legend_handles_labels()[0] if handle not in lines]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, fontsize="small", frameon=False)
    return ax
