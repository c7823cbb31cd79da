"""A rare event: the precision of its probability by the number of rollouts, compared with plain simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.plotting.style import BLUE, DARK_GREY, GREY, INK, in_plain_text, say_nothing_known
from simdeploy.plotting.wrapping import NARROW_PT, measure_axes, wrap_words
from simdeploy.report.rare import format_count, format_probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.rare.result import Rare

_NAMES = {"importance": "importance sampling", "splitting": "splitting"}


@in_plain_text
def plot_rare(ax: Axes, rare: Rare) -> Axes:
    """Draw the relative error of an estimate over the number of rollouts, and that of plain simulation.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    rare : Rare

    Returns
    -------
    matplotlib.axes.Axes
        The given axes. If the estimate can't be trusted, they show the reason instead.

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_rare
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "hundred", "fleet": {"nodes": 100, "update_duration": "30s", "start_failure": 0.001},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> rare = simdeploy.estimate_rare(
    ...     scenario, event="failed_nodes >= 6", tilt={"start_failure": 60}, replications=500, engine="compiled"
    ... )
    >>> plot_rare(Figure().subplots(), rare).get_xlabel()
    'rollouts'
    """
    title = str(rare.event)
    if rare.is_trusted and rare.probability > 0:
        probability = format_probability(rare.probability, rare.low, rare.high, level=rare.confidence_level)
        title = f"{title}\nprobability {probability}"
        _draw_errors(ax, rare)
    else:
        say_nothing_known(ax, wrap_words(ax, f"no probability is stated: {'; '.join(rare.doubts[:1])}"))
    ax.set_title(title, loc="left", fontsize="small")
    return ax


def _draw_errors(ax: Axes, rare: Rare) -> None:
    from matplotlib.patheffects import withStroke

    n_all = rare.n_rollouts + rare.n_pilot
    error = rare.standard_error / rare.probability
    plain, is_narrow = rare.plain_rollouts, measure_axes(ax)[0] < NARROW_PT
    ends = [min(n_all, plain) / 10, max(n_all, plain) * 10]
    ax.set(xscale="log", yscale="log", xlabel="rollouts", ylabel="relative error (standard error / probability)")
    ax.plot([n_all, plain], [error, error], color=INK, linestyle="dotted")
    for name, n, style, line_colour, colour, face in (
        (_NAMES[rare.method], n_all, "-", BLUE, BLUE, BLUE),
        ("plain simulation", plain, "--", GREY, DARK_GREY, "white"),
    ):
        ax.plot(ends, [error * math.sqrt(n / end) for end in ends], style, color=line_colour, linewidth=1.8, label=name)
        ax.plot(n, error, "o", color=colour, markerfacecolor=face)
        # Labels between the lines, on either side of the dotted one.
        is_left = n == min(n_all, plain)
        text = f"{name}:\n{format_count(n)} rollouts"
        ax.annotate(
            text.replace(" ", "\n", 1) if is_narrow else text, (n, error), xytext=(5, 4) if is_left else (-5, -5),
            textcoords="offset points", ha="left" if is_left else "right", va="bottom" if is_left else "top", color=colour,
            fontsize="x-small" if is_narrow else "medium", path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:,g} %")
    ax.margins(x=0)
