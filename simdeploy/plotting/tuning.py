"""All candidates of a search, from the best to the worst, and where the choice and today's policy stand among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.plotting.axes import add_cost_unit, set_measure_axis
from simdeploy.plotting.style import BLACK, BLUE, GREEN, LIGHT_GREY, ORANGE, PALE_GREY, VERMILION, in_plain_text
from simdeploy.report.wording import find_cost_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.tuning import Tuning

# What came of a candidate -> how it is drawn; the last ones lie on top.
_LOOKS = {
    "misses a requirement": (VERMILION, "x", 14),
    "not known to meet the requirements": (ORANGE, "+", 22),
    "ruled out": (LIGHT_GREY, "o", 7),
    "not better": (BLUE, "o", 16),
    "can't be told from the choice": (GREEN, "s", 30),
    "chosen": (BLACK, "*", 130),
}
_LABELS = {"ruled out": "surely worse"}
_MUCH = 30  # a factor beyond which an axis is logarithmic


@in_plain_text
def plot_tuning(ax: Axes, result: Tuning) -> Axes:
    """Draw every candidate's estimate of the first stage, from the best to the worst.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : Tuning

    Returns
    -------
    matplotlib.axes.Axes
        The same. Horizontal lines are today's policy, and it with the API's default thresholds.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import tune
    >>> from simdeploy.plotting import plot_tuning
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> result = tune(scenario, of="makespan_s", vary={"max_parallel": [1, 2]}, replications=2)
    >>> plot_tuning(Figure().subplots(), result).get_xlabel()
    'candidates, the best first'
    """
    from matplotlib.ticker import LogFormatter, StrMethodFormatter

    measure, unit = result.of, find_cost_unit(result.computed_under)
    frame = result.candidates[result.candidates["estimate"].notna()]
    # Candidates that are equal look the same.
    outcomes = result.candidates.set_index("candidate")["outcome"]
    stands_for = frame["equal_to"].fillna(frame["candidate"])
    frame = frame.assign(outcome=outcomes.loc[stands_for].to_numpy())
    frame = frame.sort_values("estimate", ascending=result.direction == "min", kind="stable")
    frame = frame.assign(place=np.arange(1, len(frame) + 1))
    for outcome, (colour, marker, size) in _LOOKS.items():
        rows = frame[frame["outcome"].eq(outcome)]
        if len(rows):
            label = _LABELS.get(outcome, outcome)
            ax.scatter(
                rows["place"], rows["estimate"], s=size, color=colour, marker=marker, label=label, linewidths=0.8,
                zorder=3 if outcome in ("chosen", "can't be told from the choice") else 2,
            )  # fmt: skip
    roles = result.policies[result.policies["measure"].eq(str(measure))].set_index("policy")
    names = {"current": f"{result.current_policy} as it is", "defaults": "with the API's default thresholds"}
    for role, style in (("current", "--"), ("defaults", ":")):
        if role in roles.index:
            ax.axhline(float(roles["estimate"][role]), color=BLACK, linestyle=style, linewidth=1, label=names[role])
    lowest, largest = float(frame["estimate"].min()), float(frame["estimate"].max())
    if lowest > 0 and largest > _MUCH * lowest and not measure.is_fraction and not measure.is_duration:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
        ax.set_ylabel(add_cost_unit(describe_measure(measure), measure, unit))
    else:
        set_measure_axis(ax.yaxis, measure, largest, unit)
    ax.set_xlabel("candidates, the best first")
    ax.grid(visible=True, axis="y", color=PALE_GREY, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(loc="best", fontsize="small", frameon=False)
    return ax
