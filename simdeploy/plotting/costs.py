"""What rollouts cost: one bar per policy, made of its causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.plotting.colours import BLUE, INK, ORANGE, PURPLE, SKY_BLUE, VERMILION
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.plotting.policy_rows import name_row, say_no_value, set_rows
from simdeploy.vocabulary import CAUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.costs.causes import CostResult

LOOKS = {
    "cost_delay": (SKY_BLUE, ""),
    "cost_failed_requests": (BLUE, "//"),
    "cost_unavailability": (PURPLE, ".."),
    "cost_false_alarm": (ORANGE, "\\\\"),
    "cost_escape": (VERMILION, "xx"),
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
    >>> from simdeploy.plotting.costs import plot_costs
    >>> from simdeploy.scenario.parts import Costs
    >>> table = pd.DataFrame({
    ...     "policy": "waves", "replication": [0, 1], "verdict": ["completed_good", "escaped"],
    ...     "makespan_s": [3600.0, 7200.0], "failed_requests_excess": [0.0, 100.0], "unavailable_excess_node_s": 0.0,
    ... })
    >>> costs = Costs(failed_request=0.1, unavailable_node_hour=0, hour_of_delay=20, false_alarm=150, escape=1000)
    >>> plot_costs(Figure().subplots(), estimate_costs(table, costs)).get_xlabel()
    'mean cost of a rollout, with 95 % intervals'
    """
    totals = result.totals
    n_cases = len(totals)
    rows = range(n_cases)
    right, left = np.zeros(n_cases), np.zeros(n_cases)
    for cause in CAUSES:
        widths = np.nan_to_num(result.parts.loc[result.parts["cause"].eq(cause), "estimate"].to_numpy())
        if not widths.any():
            continue
        colour, hatch = LOOKS[cause]
        starts = np.where(widths >= 0, right, left)
        label = LABELS[cause][0].removeprefix("cost of ")
        ax.barh(rows, widths, 0.62, left=starts, color=colour, hatch=hatch, edgecolor="white", label=label)
        right, left = right + np.maximum(widths, 0), left + np.minimum(widths, 0)
    ax.hlines(rows, totals["low"], totals["high"], color=INK, linewidth=1.4)
    ax.plot(totals["estimate"], rows, "|", color=INK, markersize=9)
    for row in np.flatnonzero(totals["estimate"].isna()).tolist():
        say_no_value(ax, row)
    set_rows(
        ax, [name_row(name, n) for name, n in zip(name_cases(totals, result.case_columns), totals["n"], strict=True)]
    )
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlabel(f"mean cost of a rollout, with {100 * result.confidence_level:g} % intervals")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax
