"""One measure under every policy, or in every case, with its intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.plotting.colours import BLUE
from simdeploy.plotting.measure_axis import find_measure
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.plotting.policy_rows import name_row, say_no_value, set_rows
from simdeploy.plotting.time_axis import set_time_axis
from simdeploy.report.wording import PERCENT, measure_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.scenario.measures import Measure


@in_plain_text
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

    chosen = find_measure(measure, estimates.measures, argument="measure")
    rows = estimates.estimates[estimates.estimates["measure"].eq(str(chosen))]
    names = name_cases(rows, estimates.case_columns)
    for place, (value, low, high) in enumerate(zip(rows["estimate"], rows["low"], rows["high"], strict=True)):
        if math.isnan(value):
            say_no_value(ax, place)
            continue
        ax.plot([low, value, high], [place] * 3, color=BLUE, linewidth=1.6)
        ax.plot(value, place, marker="o", color=BLUE, markersize=5)
        # Towards a side that too few observations leave open.
        for end, marker in ((low, "$\\leftarrow$"), (high, "$\\rightarrow$")):
            if math.isnan(end):
                ax.plot(value, place + 0.28, marker=marker, color=BLUE, markersize=12, linestyle="none")
    set_rows(ax, [name_row(name, n) for name, n in zip(names, rows["n"], strict=True)])
    largest = float(rows[["estimate", "high"]].max().max())
    label = f"{describe_measure(chosen)}, with {100 * estimates.confidence_level:g} % intervals"
    if chosen.is_duration:
        set_time_axis(ax.xaxis, largest, label)
        return ax
    if measure_scale(chosen, largest) == PERCENT:
        ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel(label, parse_math=False)
    return ax
