"""What one measure costs in another one: the curve of a threshold, and the front of all policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.errors import InputError, Problem
from simdeploy.plotting.axes import find_measure, label_points, set_limits, set_measure_axis
from simdeploy.plotting.style import BLUE, GREEN, LIGHT_GREY, ORANGE, VERMILION, in_plain_text
from simdeploy.report.tradeoff import write_value
from simdeploy.report.wording import find_cost_unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario.measures import Measure


@in_plain_text
def plot_tradeoff(
    ax: Axes,
    result: Tradeoff,
    *,
    lever: str | None = None,
    x: Measure | str | None = None,
    y: Measure | str | None = None,
) -> Axes:
    """Draw the curve of one lever: a measure on x, another one on y, and the points in the order of the lever's values.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; some 4 inches square are enough.
    result : Tradeoff
    lever : str, optional
        Its name or the end of it; the first one by default.
    x, y : Measure or str, optional
        Of `result.axes`; the first and the second by default: false alarms and escapes.

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If there is no such lever or measure in the result.

    Notes
    -----
    The bars at a point are its intervals in both directions; those of the whole curve hold together. Values are written
    where there is room.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.tradeoffs.moving import tradeoff
    >>> from simdeploy.plotting import plot_tradeoff
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m", "start_failure": 0.2},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m"}}},
    ... })
    >>> vary = {"max_failed_nodes": [0, 1]}
    >>> found = tradeoff(scenario, vary=vary, axes=["false_alarm", "makespan_s"], replications=10, engine="reference")
    >>> plot_tradeoff(Figure().subplots(), found).get_xlabel()
    'false alarms'
    """
    chosen = result.lever(lever)
    measures = _choose_measures(result.axes, x, y)
    curve = result.curves[result.curves["lever"].eq(chosen.name)]
    rows = curve[curve["measure"].eq(str(measures[0]))]
    number = len(rows)
    level = f"{100 * result.confidence_level:g} % band over {number} values"
    ax.set_title(f"{chosen.name}\n{level}", fontsize="small", parse_math=False)
    values = _read_values(curve, measures)
    unknown = [measure for measure, of in zip(measures, values, strict=True) if np.isnan(of[:, 0]).all()]
    if unknown:
        _draw_nothing(ax, unknown)
        return ax
    _set_axes(ax, measures, values.reshape(2, -1), find_cost_unit(result.computed_under))
    _draw_intervals(ax, values)
    points = values[:, :, 0].T
    ax.plot(*points.T, color=BLUE, marker="o", markersize=3.5, linewidth=1.2, clip_on=False, zorder=3)
    marked = _mark(ax, points, rows)
    words = _name_points(chosen, rows["value"].tolist(), points)
    label_points(ax, points, words, [*marked, 0, number - 1, *range(number)])
    return ax


def _choose_measures(known: Sequence[Measure], *asked: Measure | str | None) -> list[Measure]:
    """Return the measures on x and y."""
    return [find_measure(one, known, argument="xy"[place], place=place) for place, one in enumerate(asked)]


def _read_values(frame: pd.DataFrame, measures: Iterable[Measure]) -> np.ndarray:
    """Return estimates and the ends of their intervals, on x and on y: an array of shape (2, points, 3)."""
    columns = ["estimate", "low", "high"]
    return np.stack([frame.loc[frame["measure"].eq(str(measure)), columns].to_numpy() for measure in measures])


def _set_axes(ax: Axes, measures: Iterable[Measure], ends: Iterable[Iterable[float]], cost_unit: str) -> None:
    for which, measure, of in zip("xy", measures, ends, strict=True):
        longest = set_limits(ax, which, measure, of)
        set_measure_axis(getattr(ax, f"{which}axis"), measure, longest, cost_unit)


def _draw_intervals(ax: Axes, values: np.ndarray) -> None:
    (x, x_low, x_high), (y, y_low, y_high) = values.transpose(0, 2, 1)
    ax.hlines(y, x_low, x_high, color=BLUE, alpha=0.35, linewidth=1.2)
    ax.vlines(x, y_low, y_high, color=BLUE, alpha=0.35, linewidth=1.2)


def _name_points(lever: Lever, numbers: list[float], points: np.ndarray) -> list[str]:
    """Return a name for each point; values side by side that share a place share a name."""
    words = [write_value(lever, number) for number in numbers]
    is_new = [True, *(np.diff(points, axis=0) != 0).any(axis=1).tolist()]
    first = np.maximum.accumulate(np.where(is_new, np.arange(len(words)), 0))
    last = [max(np.flatnonzero(first == place).tolist()) for place in first.tolist()]
    return [words[a] if a == b else f"{words[a]} to {words[b]}" for a, b in zip(first.tolist(), last, strict=True)]


def _mark(ax: Axes, points: np.ndarray, rows: pd.DataFrame) -> list[int]:
    """Mark policy and default, and return where they are."""
    marked = []
    default: dict[str, Any] = {"color": GREEN, "marker": "s", "markersize": 11, "markerfacecolor": "none"}
    policy: dict[str, Any] = {"color": VERMILION, "marker": "o", "markersize": 6.5}
    for column, label, look in (("is_default", "API's default", default), ("is_current", "policy", policy)):
        places = np.flatnonzero(rows[column].to_numpy())
        if len(places):
            x, y = points[places[:1]].T
            ax.plot(x, y, **look, linestyle="none", markeredgewidth=1.8, label=label, clip_on=False, zorder=5)
            marked.append(int(places[0]))
    ax.legend(loc="best", fontsize="small", frameon=True, framealpha=1, edgecolor="none")
    return marked[::-1]


def _draw_nothing(ax: Axes, unknown: list[Measure]) -> None:
    names = " or ".join(describe_measure(measure) for measure in unknown)
    ax.text(0.5, 0.5, f"nothing is known of\n{names}", ha="center", va="center", transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])


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
    measures = _choose_measures(known, x, y)
    standing = front.cases["standing"]
    is_on = standing.eq("on the front").to_numpy()
    values = _read_values(front.estimates, measures)
    points = values[:, :, 0].T
    if np.isnan(points).any(axis=1).all():
        ax.text(0.5, 0.5, "no case has a value of both", ha="center", va="center", transform=ax.transAxes)
        return ax
    ends = ([*of[:, 0], *of[is_on, 1:].ravel()] for of in values)
    _set_axes(ax, measures, ends, find_cost_unit(front.computed_under))
    size = max(6.0, min(30.0, 3000 / len(points)))
    for words, label, colour in (
        (["surely dominated"], "surely dominated", LIGHT_GREY),
        (["could be", "unknown"], "could be on the front", ORANGE),
    ):
        x_values, y_values = points[standing.isin(words)].T
        ax.scatter(x_values, y_values, s=size, facecolors="none", edgecolors=colour, linewidths=1.0, label=label)
    _draw_intervals(ax, values[:, is_on])
    x_values, y_values = points[is_on].T
    if len(known) == 2:
        order = np.lexsort((y_values, x_values))
        # The corner is on the side of what is dominated.
        steps = "steps-post" if front.directions[measures[0]] == "min" else "steps-pre"
        ax.plot(x_values[order], y_values[order], color=BLUE, linewidth=1.2, drawstyle=steps)
    ax.plot(x_values, y_values, "o", color=BLUE, markersize=5, label="on the front", clip_on=False)
    label_points(ax, points, name_cases(front.cases, front.case_columns), np.flatnonzero(is_on).tolist())
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax
