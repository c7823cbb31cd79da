"""A Pareto front over two of its measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.naming import name_cases
from simdeploy.errors import InputError, Problem
from simdeploy.plotting.colours import BLUE, LIGHT_GREY, ORANGE
from simdeploy.plotting.measure_axis import find_measure, label_points, set_limits, set_measure_axis
from simdeploy.plotting.plain_text import in_plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.scenario.measures import Measure

_FRONT, _MAYBE, _OUT = BLUE, ORANGE, LIGHT_GREY


@in_plain_text
def plot_pareto(
    ax: Axes, front: ParetoFront, *, x: Measure | str | None = None, y: Measure | str | None = None
) -> Axes:
    """Draw the cases of a Pareto front over two measures.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; some 4 inches square are enough.
    front : ParetoFront
    x, y : Measure or str, optional
        Of its measures; the first and the second by default.

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If the front is over one measure, or has no such measure.

    Notes
    -----
    Cases on the front have the intervals of their estimates. Over two measures a line separates what is dominated from
    what isn't; over more of them the picture is a projection, in which a case on the front may look dominated.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.tradeoffs.pareto import pareto_front
    >>> from simdeploy.plotting.pareto import plot_pareto
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "slow"], "replication": 0, "makespan_s": [60.0, 100.0], "blast_radius": [0.8, 0.1],
    ... })
    >>> front = pareto_front(table, {"makespan_s": "min", "blast_radius": "min"})
    >>> plot_pareto(Figure().subplots(), front).get_ylabel()
    'blast radius'
    """
    measures = _choose(front, x, y)
    standing = front.cases["standing"]
    is_on = standing.eq("on the front").to_numpy()
    points = front.cases[[str(measure) for measure in measures]].to_numpy(dtype=float)
    low, high = (_intervals(front, measures, end) for end in ("low", "high"))
    if np.isnan(points).any(axis=1).all():
        ax.text(0.5, 0.5, "no case has a value of both", ha="center", va="center", transform=ax.transAxes)
        return ax
    for place, (which, measure) in enumerate(zip("xy", measures, strict=True)):
        ends = [*points[:, place], *low[is_on, place], *high[is_on, place]]
        longest = set_limits(ax, which, measure, ends)
        set_measure_axis(getattr(ax, f"{which}axis"), measure, longest)
    size = max(6.0, min(30.0, 3000 / len(points)))
    for words, label, colour in (
        (["surely dominated"], "surely dominated", _OUT),
        (["could be", "unknown"], "could be on the front", _MAYBE),
    ):
        x_values, y_values = points[standing.isin(words)].T
        ax.scatter(x_values, y_values, s=size, facecolors="none", edgecolors=colour, linewidths=1.0, label=label)
    _draw_front(ax, front, measures, points[is_on], low[is_on], high[is_on])
    names = name_cases(front.cases, front.case_columns)
    order = np.flatnonzero(is_on)
    label_points(ax, points, names, order.tolist())
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax


def _choose(front: ParetoFront, x: Measure | str | None, y: Measure | str | None) -> tuple[Measure, Measure]:
    known = tuple(front.directions)
    if len(known) < 2:
        raise InputError(Problem("a picture needs two measures", ("front",), found=str(known[0])))
    on_x, on_y = (find_measure(one, known, argument="xy"[place], place=place) for place, one in enumerate((x, y)))
    return on_x, on_y


def _intervals(front: ParetoFront, measures: tuple[Measure, Measure], end: str) -> np.ndarray:
    of = front.estimates
    ends: np.ndarray = np.stack(
        [of.loc[of["measure"].eq(str(measure)), end].to_numpy() for measure in measures], axis=1
    )
    return ends


def _draw_front(
    ax: Axes,
    front: ParetoFront,
    measures: tuple[Measure, Measure],
    points: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    x, y = points.T
    ax.hlines(y, low[:, 0], high[:, 0], color=_FRONT, alpha=0.35, linewidth=1.2)
    ax.vlines(x, low[:, 1], high[:, 1], color=_FRONT, alpha=0.35, linewidth=1.2)
    if len(front.directions) == 2:
        order = np.lexsort((y, x))
        # The corner is on the side of what is dominated.
        steps = "steps-post" if front.directions[measures[0]] == "min" else "steps-pre"
        ax.plot(x[order], y[order], color=_FRONT, linewidth=1.2, drawstyle=steps)
    ax.plot(x, y, color=_FRONT, linestyle="none", marker="o", markersize=5, label="on the front", clip_on=False)
