"""Rates over recorded rollouts: what is known, what is possible, and confidence limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.plotting.axes import write_percent
from simdeploy.plotting.intervals import add_interval
from simdeploy.plotting.marks import mark_rows
from simdeploy.plotting.style import OUTCOME_LOOKS, in_plain_text, put_legend_above, set_rows, wrap_name
from simdeploy.report.backtest import say_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.backtest.result import Backtest

_LOOKS = {
    "stopped": ("stopped", OUTCOME_LOOKS["stopped_defective"]),
    "false_alarm given good": ("false alarms of good releases", OUTCOME_LOOKS["false_alarm"]),
    "escaped given defective": ("escapes of defective releases", OUTCOME_LOOKS["escaped"]),
}
_MODELLED = "modelled"
_STEP = 0.27  # between the lines of a row


@in_plain_text
def plot_backtest(ax: Axes, result: Backtest) -> Axes:
    """Draw the rates of outcomes under each policy: the range of what is possible, and exact limits.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about an inch of height per policy is enough.
    result : Backtest

    Returns
    -------
    matplotlib.axes.Axes
        The given axes. A wide bar spans the rates from no to all unknown rollouts having this outcome; a known rate is a point,
        a modelled one a cross.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_backtest
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "ten nodes", "fleet": {"nodes": 10, "update_duration": "30s"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> records = simdeploy.simulate(scenario).to_records()
    >>> found = simdeploy.backtest(records, {"again": {"strategy": "immediate"}})
    >>> plot_backtest(Figure().subplots(), found).get_xlabel()
    'rollouts, 95 % CI'
    """
    policies = list(dict.fromkeys(result.summary["policy"]))
    n_lines = len(_LOOKS)
    seen: set[str] = set()
    for row in result.summary.to_dict("records"):
        n = row["n_known"] + row["n_unknown"]
        if not n:
            continue
        name, look_of = _LOOKS[row["measure"]]
        colour = look_of.colour
        place = policies.index(row["policy"]) + _STEP * (list(_LOOKS).index(row["measure"]) - (n_lines - 1) / 2)
        surely, possibly = row["n_yes"] / n, (row["n_yes"] + row["n_unknown"]) / n
        ax.hlines(place, row["low"], row["high"], color=colour, linewidth=1)
        ax.hlines(place, surely, possibly, color=colour, linewidth=6, alpha=0.5)
        label = None if name in seen else name
        look: dict[str, Any] = {"color": colour, "linestyle": "none", "markersize": 4}
        ax.plot([surely, possibly], [place, place], look_of.marker, **look, label=label)
        seen.add(name)
        if row["modelled"] == row["modelled"]:
            ax.plot([row["modelled"]], [place], "x", color="black", label=None if _MODELLED in seen else _MODELLED)
            seen.add(_MODELLED)
        ax.annotate(
            f"{say_count(row)} of {n:,}", (row["high"], place), xytext=(4, 0), textcoords="offset points", va="center", fontsize="x-small",
        )  # fmt: skip
    set_rows(ax, [wrap_name(policy) for policy in policies])
    mark_rows(ax, "policy", policies)
    ax.set_xlim(-0.02, 1.18)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(write_percent)
    ax.set_xlabel("rollouts")
    add_interval(ax, "x", result.confidence_level)
    put_legend_above(ax, n_lines + (_MODELLED in seen))
    return ax
