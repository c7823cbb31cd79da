"""A rare event: how sure one is of its probability after so many rollouts, with plain simulation and without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.plotting.style import BLUE, GREY, ORANGE, in_plain_text
from simdeploy.report.rare import format_count, format_probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.rare.result import Rare

_NAMES = {"importance": "importance sampling", "splitting": "splitting"}


@in_plain_text
def plot_rare(ax: Axes, rare: Rare) -> Axes:
    """Draw the relative error of an estimate over the rollouts that it takes, and that of plain simulation.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on.
    rare : Rare

    Returns
    -------
    matplotlib.axes.Axes
        The same. What can't be trusted has no error: then it says why.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_rare
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "hundred", "fleet": {"nodes": 100, "update_duration": "30s", "start_failure": 0.001},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> found = simdeploy.estimate_rare(
    ...     scenario, event="failed_nodes >= 6", tilt={"start_failure": 60}, replications=500, engine="reference"
    ... )
    >>> plot_rare(Figure().subplots(), found).get_xlabel()
    'rollouts'
    """
    from textwrap import fill

    ax.set_title(str(rare.event), loc="left", fontsize="medium")
    if rare.doubts or not rare.probability > 0:
        text = fill(f"no probability is stated: {'; '.join(rare.doubts)}", 48)
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
        ax.set_axis_off()
        return ax
    n_all = rare.n_rollouts + rare.n_pilot
    error = rare.standard_error / rare.probability
    plain = rare.plain_rollouts
    ends = [min(n_all, plain) / 10, max(n_all, plain) * 10]
    for color, at, name in ((ORANGE, plain, "plain simulation"), (BLUE, n_all, _NAMES[rare.method])):
        ax.plot(ends, [error * math.sqrt(at / n) for n in ends], color=color, linewidth=1.8, label=name)
    ax.plot([n_all, plain], [error, error], color=GREY, linestyle="dotted")
    ax.plot(n_all, error, marker="o", color=BLUE)
    ax.plot(plain, error, marker="o", color=ORANGE, fillstyle="none")
    ax.annotate(f"{n_all:,}", (n_all, error), xytext=(6, 6), textcoords="offset points", color=BLUE)
    ax.annotate(
        format_count(plain), (plain, error), xytext=(-6, -14), textcoords="offset points", ha="right", color=ORANGE
    )
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle="dashed")
    ax.set(xscale="log", yscale="log", xlabel="rollouts", ylabel="standard error / probability")
    ax.yaxis.set_major_formatter(_percent)
    ax.margins(x=0)
    probability = format_probability(rare.probability, rare.low, rare.high)
    ax.legend(title=probability, frameon=False, loc="best", alignment="left")
    return ax


def _percent(value: float, _position: float) -> str:
    return f"{100 * value:,g} %"
