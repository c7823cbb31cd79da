"""What one measure costs in another one: the curves of thresholds, and the front of all policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.analysis.asking.verdicts import find_direction
from simdeploy.errors import InputError, Problem
from simdeploy.plotting.axes import (
    find_measure,
    label_points,
    sample_line,
    set_limits,
    set_measure_axis,
)
from simdeploy.plotting.style import BETTER, BLUE, CURRENT, DEFAULT, LIGHT_GREY, LINE_LOOKS, ORANGE, in_plain_text
from simdeploy.plotting.wrapping import wrap_axis_label
from simdeploy.report.tradeoff import write_value
from simdeploy.report.wording import find_cost_unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario.measures import Measure

_ARROWS = {"min": "←", "max": "→"}  # labels of vertical axes are rotated
_SAME_PLACE = 0.015  # part of an axis that no eye tells from nothing
_DEFAULT: dict[str, Any] = {
    "color": DEFAULT.colour, "marker": DEFAULT.marker, "markersize": 11, "markerfacecolor": "none", "linestyle": "none",
    "markeredgewidth": 1.4, "clip_on": False,
}  # fmt: skip
_POLICY: dict[str, Any] = {
    "color": CURRENT.colour, "marker": CURRENT.marker, "markersize": 7.5, "linestyle": "none", "clip_on": False,
}  # fmt: skip
_BETTER: dict[str, Any] = {
    "color": BETTER.colour, "marker": BETTER.marker, "markersize": 13, "linestyle": "none", "clip_on": False,
}  # fmt: skip


@in_plain_text
def plot_tradeoff(
    ax: Axes,
    result: Tradeoff,
    *,
    lever: str | None = None,
    x: Measure | str | None = None,
    y: Measure | str | None = None,
) -> Axes:
    """Draw the curve of one setting over two measures, through its values in order.

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
    Bars are the intervals of both measures; those of a curve hold simultaneously. Points are labelled with their values
    where there is room; values at the same place share a label.

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
    level = f"{100 * result.confidence_level:g} % band over {len(rows)} values"
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
    better: Mapping[str, Any] = result.improvement or {"lever": None, "value": np.nan}
    rows = rows.assign(is_better=rows["value"].eq(better["value"]) & (better["lever"] == chosen.name))
    marked = _mark(ax, points, rows)
    words, places = _name_points(ax, chosen, rows, points)
    order = [places[number] for number in (*marked, 0, len(rows) - 1, *range(len(rows)))]
    label_points(ax, points, words, order, avoid=sample_line(points))
    return ax


@in_plain_text
def plot_levers(ax: Axes, result: Tradeoff, *, x: Measure | str | None = None, y: Measure | str | None = None) -> Axes:
    """Draw the curves of all settings over two measures; they meet at the current policy.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; some 4 inches square are enough.
    result : Tradeoff
    x, y : Measure or str, optional
        Of `result.axes`; the first and the second by default.

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If there is no such measure in the result.

    Notes
    -----
    The ends of each curve are labelled with key and value. Grey bars are the intervals of the current policy. Settings that
    move neither measure are named in the title.
    """
    measures = _choose_measures(result.axes, x, y)
    curves = {lever: result.curves[result.curves["lever"].eq(lever.name)] for lever in result.levers}
    values = {lever: _read_values(curve, measures) for lever, curve in curves.items()}
    everything = np.concatenate([of[:, :, 0] for of in values.values()], axis=1)
    unknown = [measure for measure, of in zip(measures, everything, strict=True) if np.isnan(of).all()]
    if unknown:
        _draw_nothing(ax, unknown)
        return ax
    start = _find_current(curves, values)
    ends = everything if start is None else np.concatenate([everything, start], axis=1)
    _set_axes(ax, measures, ends, find_cost_unit(result.computed_under), room=0.12)
    for which, measure in zip("xy", measures, strict=True):
        _say_better(ax, which, measure)
    spans = np.ptp(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1)
    moving = [lever for lever, of in values.items() if _is_moving(of[:, :, 0].T / spans)]
    points, words, colours, lines = [], [], [], []
    for lever, look in zip(result.levers, cycle(LINE_LOOKS), strict=False):
        if lever not in moving:
            continue
        of = values[lever][:, :, 0].T
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
        ax.plot(*of.T, **line, markersize=4, linewidth=1.4, label=lever.name, clip_on=False, zorder=3)
        lines.append(sample_line(of))
        rows = curves[lever][curves[lever]["measure"].eq(str(measures[0]))]
        for place in _find_ends(of, start, spans):
            points.append(of[place])
            words.append(_name_value(lever, rows["value"].iloc[place]))
            colours.append(look.colour)
    order = list(range(len(words)))
    if start is not None:
        _draw_intervals(ax, start[:, None, :], CURRENT.colour, width=6, alpha=0.2)
        ax.plot(*start[:, 0], **_POLICY, label="current policy", zorder=5)
        points, words, colours = [*points, start[:, 0]], [*words, "current"], [*colours, CURRENT.colour]
        order = [len(words) - 1, *order]
    better = _find_better(result, values, curves)
    if better is not None:
        ax.plot(*better[1], **_BETTER, label="better", zorder=5)
        points, words, colours = [*points, better[1]], [*words, better[0]], [*colours, BETTER.colour]
        order = [len(words) - 1, *order]
    if points:
        label_points(ax, np.array(points), words, order, colours=colours, avoid=np.vstack(lines or [np.empty((0, 2))]))
    still = [lever.name.rpartition(".")[2] for lever in result.levers if lever not in moving]
    notes = [f"grey: {100 * result.confidence_level:g} % band"] if start is not None else []
    notes += [f"moves neither: {', '.join(still)}"] if still else []
    ax.set_title("\n".join(notes), fontsize="small", loc="left")
    return ax


def _say_better(ax: Axes, which: str, measure: Measure) -> None:
    """Add to the label of an axis on which side it is better."""
    direction = find_direction(measure)
    if direction is not None:
        axis = getattr(ax, f"{which}axis")
        axis.set_label_text(f"{axis.get_label_text()} ({_ARROWS[direction]}\N{NO-BREAK SPACE}better)")
        wrap_axis_label(ax, which)


def _find_current(curves: Mapping[Lever, pd.DataFrame], values: Mapping[Lever, np.ndarray]) -> np.ndarray | None:
    """Return estimates and ends of intervals of the current policy, of shape (2, 3); None if no curve has it."""
    for lever, curve in curves.items():
        places = np.flatnonzero(curve.drop_duplicates("value")["is_current"].to_numpy())
        if len(places) and not np.isnan(values[lever][:, places[0], 0]).any():
            return values[lever][:, places[0], :]
    return None


def _is_moving(points: np.ndarray) -> bool:
    """Return whether the points of a curve, in parts of the axes, are at more than one place that can be seen."""
    known = points[~np.isnan(points).any(axis=1)]
    return bool(len(known) and np.ptp(known, axis=0).max() > _SAME_PLACE)


def _find_ends(points: np.ndarray, start: np.ndarray | None, spans: np.ndarray) -> list[int]:
    """Return the places of the first and the last known point of a curve that are not at the current policy."""
    known = np.flatnonzero(~np.isnan(points).any(axis=1)).tolist()
    ends = sorted({known[0], known[-1]})
    if start is None:
        return ends
    return [end for end in ends if np.abs((points[end] - start[:, 0]) / spans).max() > _SAME_PLACE]


def _name_value(lever: Lever, value: float) -> str:
    return f"{lever.name.rpartition('.')[2]} {write_value(lever, value)}"


def _find_better(
    result: Tradeoff, values: Mapping[Lever, np.ndarray], curves: Mapping[Lever, pd.DataFrame]
) -> tuple[str, np.ndarray] | None:
    """Return the label and the place of the nearest better value, if there is one that is known."""
    if result.improvement is None:
        return None
    lever = result.lever(result.improvement["lever"])
    numbers = curves[lever]["value"].drop_duplicates().to_numpy()
    place = np.flatnonzero(numbers == result.improvement["value"])
    at = values[lever][:, place, 0].ravel()
    if len(at) < 2 or np.isnan(at).any():
        return None
    return f"better: {_name_value(lever, numbers[place[0]])}", at


def _choose_measures(known: Sequence[Measure], *asked: Measure | str | None) -> list[Measure]:
    """Return the measures on x and y."""
    return [find_measure(one, known, argument="xy"[place], place=place) for place, one in enumerate(asked)]


def _read_values(frame: pd.DataFrame, measures: Iterable[Measure]) -> np.ndarray:
    """Return estimates and the ends of their intervals, on x and on y: an array of shape (2, points, 3)."""
    columns = ["estimate", "low", "high"]
    return np.stack([frame.loc[frame["measure"].eq(str(measure)), columns].to_numpy() for measure in measures])


def _set_axes(
    ax: Axes, measures: Iterable[Measure], ends: Iterable[Iterable[float]], cost_unit: str, room: float = 0.08
) -> None:
    for which, measure, of in zip("xy", measures, ends, strict=True):
        longest = set_limits(ax, which, measure, of, room=room)
        set_measure_axis(getattr(ax, f"{which}axis"), measure, longest, cost_unit)
        wrap_axis_label(ax, which)


def _draw_intervals(ax: Axes, values: np.ndarray, colour: str = BLUE, width: float = 1.2, alpha: float = 0.35) -> None:
    (x, x_low, x_high), (y, y_low, y_high) = values.transpose(0, 2, 1)
    look: dict[str, Any] = {"color": colour, "alpha": alpha, "linewidth": width, "zorder": 2}
    ax.hlines(y, x_low, x_high, **look)
    ax.vlines(x, y_low, y_high, **look)


def _name_points(ax: Axes, lever: Lever, rows: pd.DataFrame, points: np.ndarray) -> tuple[list[str], list[int]]:
    """Return a name for each point, and for each the first of those side by side at its place, which has the name of all."""
    spans = np.ptp(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1)
    values = [write_value(lever, number) for number in rows["value"].tolist()]
    first = [0] * len(values)
    for place in range(1, len(values)):
        start = first[place - 1]
        is_same = np.abs((points[place] - points[start]) / spans).max() <= _SAME_PLACE
        first[place] = start if is_same else place
    words = []
    for place, value in enumerate(values):
        members = [other for other, start in enumerate(first) if start == first[place]]
        word = value if len(members) == 1 else f"{values[members[0]]} to {values[members[-1]]}"
        roles: dict[str, list[str]] = {}
        for column, role in (("is_current", "current"), ("is_default", "API default"), ("is_better", "better")):
            at = [member for member in members if rows[column].iloc[member]]
            if at:
                roles.setdefault(values[at[0]], []).append(role)
        lines = [" and ".join(names) + (f" {value}" if len(members) > 1 else "") for value, names in roles.items()]
        words.append("\n".join([word, *lines]))
    return words, first


def _mark(ax: Axes, points: np.ndarray, rows: pd.DataFrame) -> list[int]:
    """Mark the default, the current policy and the nearest better value, and return where they are."""
    marked = []
    for column, label, look in (
        ("is_default", "API default", _DEFAULT),
        ("is_current", "current policy", _POLICY),
        ("is_better", "better", _BETTER),
    ):
        places = np.flatnonzero(rows[column].to_numpy())
        if len(places):
            x, y = points[places[:1]].T
            ax.plot(x, y, **look, label=label, zorder=5)
            marked.append(int(places[0]))
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
        (["dominated"], "dominated", LIGHT_GREY),
        (["undecided", "unknown"], "possibly on the front", ORANGE),
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
