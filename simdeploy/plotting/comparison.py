"""Policies side by side: what may happen under each, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS
from simdeploy.analysis.comparison.measured import LEVELS
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.colours import BLACK, BLUE, GREEN, INK, LIGHT_GREY, ORANGE, PURPLE, SKY_BLUE, VERMILION
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.plotting.policy_rows import name_row, say_no_value, set_rows
from simdeploy.plotting.time_axis import set_time_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis import Comparison

_MARKS = {
    "completed_good": (GREEN, "o"),
    "stopped_defective": (BLUE, "s"),
    "false_alarm": (ORANGE, "^"),
    "escaped": (VERMILION, "D"),
    "pending": (LIGHT_GREY, "v"),
    "in_progress": (SKY_BLUE, "<"),
    "paused": (PURPLE, ">"),
    "completed": (GREEN, "o"),
    "failed": (VERMILION, "D"),
    "canceled": (BLACK, "X"),
}
_PLAIN = (INK, "o")


@in_plain_text
def plot_comparison(ax: Axes, comparison: Comparison, *, response: str = "verdict") -> Axes:
    """Draw the estimates of one response under each policy with their intervals.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per policy is enough.
    comparison : Comparison
    response : str
        Which one; by default the probability of each verdict, out of the good or the defective releases that may get it.
        The other category, `state`, is drawn level by level like this one, anything else as one mean per policy.

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
    'probability of each verdict of good and of defective releases, with 95 % intervals'
    """
    estimates = comparison.estimates[comparison.estimates["response"].eq(response)]
    if response not in LEVELS:
        estimates = estimates[estimates["given"].isna()]
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
    n = estimates.drop_duplicates(["policy", "given"]).groupby("policy")["n"].sum()
    set_rows(ax, [name_row(policy, n[policy]) for policy in comparison.policies])
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
        if level is None and math.isnan(value):
            say_no_value(ax, height)


def _set_value_axis(ax: Axes, response: str, estimates: pd.DataFrame, confidence_level: float) -> None:
    from matplotlib.ticker import PercentFormatter

    intervals = f"with {100 * confidence_level:g} % intervals"
    if response in LEVELS:
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        among = " of good and of defective releases" if response == "verdict" else ""
        ax.set_xlabel(f"probability of each {response}{among}, {intervals}")
        return
    label, unit = LABELS[response]
    if unit == "s":
        highest_s = estimates[["estimate", "high"]].max().max()
        set_time_axis(ax.xaxis, float(highest_s), f"mean {label}, {intervals}")
        return
    if unit == "fraction":
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel(f"mean {label}, {intervals}")
