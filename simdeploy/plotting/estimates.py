"""One measure under every policy, or in every case, with its intervals."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from simdeploy.analysis.estimates.estimating import name_cases
from simdeploy.analysis.wording import PERCENT, describe_measure, measure_scale
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.time_axis import set_time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.scenario.measures import Measure

_COLOUR = "#0072B2"
_NAME_WIDTH = 28


def plot_estimates(ax: Axes, estimates: Estimates, *, measure: Measure | str | None = None) -> Axes:
    """Draw the estimates of one measure with their intervals, a line for each policy or case.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per policy is enough.
    estimates : Estimates
    measure : Measure or str, optional
        Which one; the first by default.

    Returns
    -------
    matplotlib.axes.Axes
        The same. An interval of which one side is unknown has an arrow there.

    Raises
    ------
    InputError
        If it was not estimated.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.estimates.estimating import estimate
    >>> from simdeploy.plotting.estimates import plot_estimates
    >>> table = pd.DataFrame({"policy": ["a", "a"], "replication": [0, 1], "makespan_s": [60.0, 80.0]})
    >>> plot_estimates(Figure().subplots(), estimate(table, "makespan_s")).get_xlabel()
    'makespan, with 95 % intervals (min)'
    """
    from matplotlib.ticker import PercentFormatter

    chosen = _find(estimates, measure)
    rows = estimates.estimates[estimates.estimates["measure"].eq(str(chosen))]
    names = name_cases(rows, estimates.case_columns)
    for place, (value, low, high) in enumerate(zip(rows["estimate"], rows["low"], rows["high"], strict=True)):
        if math.isnan(value):
            ax.annotate("no value", xy=(0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize="small")
            continue
        ax.plot([low, value, high], [place] * 3, color=_COLOUR, linewidth=1.6)
        ax.plot(value, place, marker="o", color=_COLOUR, markersize=5)
        # Towards a side that too few observations leave open.
        for end, marker in ((low, "$\\leftarrow$"), (high, "$\\rightarrow$")):
            if math.isnan(end):
                ax.plot(value, place + 0.28, marker=marker, color=_COLOUR, markersize=12, linestyle="none")
    for place in range(0, len(rows), 2):
        ax.axhspan(place - 0.5, place + 0.5, color="#F2F2F2", zorder=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    labels = [
        "\n".join([*textwrap.wrap(name, _NAME_WIDTH, max_lines=2, placeholder="..."), f"n = {n:,}"])
        for name, n in zip(names, rows["n"], strict=True)
    ]
    ax.set_yticks(range(len(rows)), labels, parse_math=False)
    ax.tick_params(axis="y", length=0)
    largest = float(rows[["estimate", "high"]].max().max())
    label = f"{describe_measure(chosen)}, with {100 * estimates.confidence_level:g} % intervals"
    if chosen.is_duration:
        set_time_axis(ax.xaxis, largest, label)
        return ax
    if measure_scale(chosen, largest) == PERCENT:
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel(label, parse_math=False)
    return ax


def _find(estimates: Estimates, measure: Measure | str | None) -> Measure:
    if measure is None:
        return estimates.measures[0]
    found = next((known for known in estimates.measures if str(known) == str(measure)), None)
    if found is None:
        known = [str(known) for known in estimates.measures]
        hint = nearest(str(measure), known)
        message = "this was not estimated"
        raise InputError(
            Problem(message, ("measure",), found=shorten(str(measure)), allowed=", ".join(known), hint=hint)
        )
    return found
