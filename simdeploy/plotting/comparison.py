"""Policies side by side: what may happen under each, with intervals."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from simdeploy.analysis.comparison.observations import LEVELS
from simdeploy.analysis.wording import LABELS
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.time_axis import set_time_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis import Comparison

# Okabe and Ito's colours and a shape each, so that nothing hangs on telling colours apart.
_MARKS = {
    "completed_good": ("#009E73", "o"),
    "stopped_defective": ("#0072B2", "s"),
    "false_alarm": ("#E69F00", "^"),
    "escaped": ("#D55E00", "D"),
    "pending": ("#A0A0A0", "v"),
    "in_progress": ("#56B4E9", "<"),
    "paused": ("#CC79A7", ">"),
    "completed": ("#009E73", "o"),
    "failed": ("#D55E00", "D"),
    "canceled": ("#000000", "X"),
}
_PLAIN = ("#222222", "o")
_NAME_WIDTH = 24


def plot_comparison(ax: Axes, comparison: Comparison, *, response: str = "verdict") -> Axes:
    """Draw the estimates of one response under each policy with their intervals.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per policy is enough.
    comparison : Comparison
    response : str
        Which one; by default the probability of each verdict. Another category is drawn level by level like this one,
        anything else as one mean per policy.

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If the comparison has no such response.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import compare
    >>> from simdeploy.plotting import plot_comparison
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"],
    ...     "replication": [0, 1, 0, 1],
    ...     "verdict": ["escaped", "completed_good", "completed_good", "completed_good"],
    ... })
    >>> plot_comparison(Figure().subplots(), compare(table)).get_xlabel()
    'probability of each verdict, with 95 % intervals'
    """
    estimates = comparison.estimates[comparison.estimates["response"].eq(response)]
    if estimates.empty:
        known = comparison.estimates["response"].unique()
        raise InputError(
            Problem(
                "no such response in the comparison",
                path=("response",),
                found=shorten(response),
                allowed=", ".join(known),
                hint=nearest(response, known),
            )
        )
    levels = LEVELS.get(response, (None,))
    n_policies = len(comparison.policies)
    for place, level in enumerate(levels):
        rows = estimates[estimates["level"].isna() if level is None else estimates["level"].eq(level)]
        # Levels share the height of a policy's row, the first on top.
        offset = (place - (len(levels) - 1) / 2) * (0.8 / len(levels))
        _draw_estimates(ax, rows, [row + offset for row in range(n_policies)], level)
    for row in range(0, n_policies, 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", zorder=0)
    ax.set_ylim(n_policies - 0.5, -0.5)
    ax.set_yticks(range(n_policies), _names(comparison, estimates), parse_math=False)
    ax.tick_params(axis="y", length=0)
    _set_value_axis(ax, response, estimates, comparison.confidence_level)
    if levels != (None,):
        # Above the axes: every place inside may hold an interval.
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=2,
            fontsize="small",
            frameon=False,
            columnspacing=1.2,
            handletextpad=0.4,
        )
    return ax


def _draw_estimates(ax: Axes, rows: pd.DataFrame, heights: list[float], level: str | None) -> None:
    colour, marker = _PLAIN if level is None else _MARKS[level]
    estimate, low, high = (rows[name].to_numpy() for name in ("estimate", "low", "high"))
    ax.hlines(heights, low, high, color=colour, linewidth=1.6)
    label = None if level is None else level.replace("_", " ")
    ax.plot(estimate, heights, linestyle="none", marker=marker, color=colour, markersize=5, label=label, clip_on=False)
    for value, height in zip(estimate, heights, strict=True):
        if math.isnan(value):
            ax.annotate(
                "no value" if level is None else "",
                xy=(0.01, height),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize="small",
            )


def _names(comparison: Comparison, estimates: pd.DataFrame) -> list[str]:
    n = estimates.groupby("policy")["n"].first()
    wrapped = {policy: textwrap.wrap(policy, _NAME_WIDTH, max_lines=2, placeholder="...") for policy in n.index}
    return ["\n".join([*wrapped[policy], f"n = {n[policy]}"]) for policy in comparison.policies]


def _set_value_axis(ax: Axes, response: str, estimates: pd.DataFrame, confidence_level: float) -> None:
    from matplotlib.ticker import PercentFormatter

    intervals = f"with {100 * confidence_level:g} % intervals"
    if response in LEVELS:
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel(f"probability of each {response}, {intervals}")
        return
    label, unit = LABELS[response]
    if unit == "s":
        highest_s = estimates[["estimate", "high"]].max().max()
        set_time_axis(ax.xaxis, float(highest_s), f"mean {label}, {intervals}")
        return
    if unit == "fraction":
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel(f"mean {label}, {intervals}")
