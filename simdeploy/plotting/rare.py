"""A rare event: how sure one is of its probability after so many rollouts, with plain simulation and without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.plotting.style import BLUE, DARK_GREY, GREY, INK, in_plain_text
from simdeploy.plotting.wrapping import wrap_words
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

    ax.set_title(wrap_words(ax, str(rare.event)), loc="left", fontsize="medium")
    if rare.doubts or not rare.probability > 0:
        text = fill(f"no probability is stated: {'; '.join(rare.doubts)}", 48)
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
        ax.set_axis_off()
        return ax
    probability = format_probability(rare.probability, rare.low, rare.high)
    title = f"{rare.event}\nprobability {probability}, {100 * rare.confidence_level:g} % CI"
    ax.set_title(wrap_words(ax, title), loc="left", fontsize="medium", parse_math=False)
    n_all = rare.n_rollouts + rare.n_pilot
    error = rare.standard_error / rare.probability
    plain = rare.plain_rollouts
    ends = [min(n_all, plain) / 10, max(n_all, plain) * 10]
    ax.set(xscale="log", yscale="log", xlabel="rollouts", ylabel="relative error (standard error / probability)")
    for colour, style, at, name in (
        (GREY, "--", plain, "plain simulation"),
        (BLUE, "-", n_all, _NAMES[rare.method]),
    ):
        ax.plot(ends, [error * math.sqrt(at / n) for n in ends], style, color=colour, linewidth=1.8, label=name)
    ax.plot([n_all, plain], [error, error], color=INK, linestyle="dotted")
    for colour, at, name in ((BLUE, n_all, _NAMES[rare.method]), (DARK_GREY, plain, "plain simulation")):
        # Between the lines, on either side of the dotted one.
        is_left = at == min(n_all, plain)
        ax.plot(at, error, "o", color=colour, markerfacecolor=colour if at == n_all else "white")
        ax.annotate(
            f"{name}:\n{format_count(at)} rollouts", (at, error), xytext=(5, 4) if is_left else (-5, -5),
            textcoords="offset points", ha="left" if is_left else "right", va="bottom" if is_left else "top", color=colour,
        )  # fmt: skip
    ax.yaxis.set_major_formatter(_percent)
    ax.margins(x=0)
    return ax


def _percent(value: float, _position: float) -> str:
    return f"{100 * value:,g} %"
