"""The Pareto front: policies that no other one beats in every measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, Problem
from simdeploy.plotting.axes import label_points
from simdeploy.plotting.intervals import tell_untrusted
from simdeploy.plotting.marks import mark_points
from simdeploy.plotting.plane import choose_measures, draw_both_intervals, read_values, set_axes
from simdeploy.plotting.style import BLUE, LIGHT_GREY, ORANGE, in_plain_text, put_legend_above, say_nothing_known
from simdeploy.report.formatting import find_cost_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.scenario.measures import Measure


@in_plain_text
def plot_pareto(
    ax: Axes, front: ParetoFront, *, x: Measure | str | None = None, y: Measure | str | None = None
) -> Axes:
    """Draw the cases of a Pareto front over two measures.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about 4 inches square are enough.
    front : ParetoFront
    x, y : Measure or str, optional
        Measures of the front; by default the first and the second.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the front has only one measure, or not this one.

    Notes
    -----
    Cases on the front by the estimates have the intervals of their estimates, and a filled mark if they are on the front with
    confidence. With two measures a line separates cases that these dominate by the estimates from others; with more, the picture is a
    projection, in which a case on the front may look dominated.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.tradeoffs.pareto import pareto_front
    >>> from simdeploy.plotting import plot_pareto
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "slow"], "replication": 0, "makespan_s": [60.0, 100.0], "blast_radius": [0.8, 0.1],
    ... })
    >>> front = pareto_front(table, {"makespan_s": "min", "blast_radius": "min"})
    >>> plot_pareto(Figure().subplots(), front).get_ylabel()
    'blast radius'
    """
    known = tuple(front.directions)
    if len(known) < 2:
        raise InputError(Problem("a picture needs two measures", ("front",), found=str(known[0])))
    measures = choose_measures(known, x, y)
    standing = front.cases["standing"]
    is_on = front.cases["is_on_front"].fillna(value=False).to_numpy(dtype=bool)
    is_certain = standing.eq("on the front").to_numpy()
    values, is_trusted = read_values(front.estimates, measures)
    points = values[:, :, 0].T
    if np.isnan(points).any(axis=1).all():
        say_nothing_known(ax, "no case has a value of both")
        return ax
    ends = ([*of[:, 0], *of[is_on, 1:].ravel()] for of in values)
    set_axes(ax, measures, ends, find_cost_unit(front.computed_under))
    size = max(6.0, min(30.0, 3000 / len(points)))
    for drawn, label, colour in (
        (standing.eq("dominated").to_numpy(), "dominated", LIGHT_GREY),
        (standing.isin(["undecided", "unknown"]).to_numpy() & ~is_on, "may be on the front", ORANGE),
    ):
        if drawn.any():
            x_values, y_values = points[drawn].T
            ax.scatter(x_values, y_values, s=size, facecolors="none", edgecolors=colour, linewidths=1.0, label=label)
    draw_both_intervals(ax, values[:, is_on], is_trusted[:, is_on])
    x_values, y_values = points[is_on].T
    if len(known) == 2:
        order = np.lexsort((y_values, x_values))
        # The corner is on the side of the dominated cases.
        steps = "steps-post" if front.directions[measures[0]] == "min" else "steps-pre"
        ax.plot(x_values[order], y_values[order], color=BLUE, linewidth=1.2, drawstyle=steps)
    note = tell_untrusted(ax)
    for drawn, label, fill in (
        (is_certain, "on the front", BLUE),
        (is_on & ~is_certain, "estimated front", "white"),
    ):
        if drawn.any():
            x_values, y_values = points[drawn].T
            look: dict[str, Any] = {"color": BLUE, "markerfacecolor": fill, "markersize": 5, "clip_on": False}
            ax.plot(x_values, y_values, "o", label=f"{label}{note}", **look)
            note = ""
    names = name_cases(front.cases, front.case_columns)
    label_points(ax, points, names, np.flatnonzero(is_on)[np.argsort(~is_certain[is_on], kind="stable")].tolist())
    mark_points(ax, "case", names, points)
    put_legend_above(ax, 2)
    return ax
