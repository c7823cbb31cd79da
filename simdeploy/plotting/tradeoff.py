"""Pictures of what a better value of one measure costs in another: the curves of thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.asking.verdicts import find_direction
from simdeploy.plotting import style
from simdeploy.plotting.axes import label_points, sample_line
from simdeploy.plotting.intervals import tell_untrusted
from simdeploy.plotting.marks import mark_points
from simdeploy.plotting.plane import choose_measures, draw_both_intervals, read_values, set_axes
from simdeploy.plotting.style import BETTER, CURRENT, DEFAULT, choose_line_looks, in_plain_text, say_nothing_known
from simdeploy.plotting.wrapping import wrap_axis_label
from simdeploy.report.formatting import find_cost_unit, percent
from simdeploy.report.tradeoff import name_values, write_value

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario.measures import Measure

_ARROWS = {"min": "←", "max": "→"}  # labels of vertical axes are rotated
_SAME_PLACE = 0.015  # fraction of an axis too short to see
# Marks on curves, by the column that says where: name and look.
_MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "is_default": (
        "API default",
        {"marker": DEFAULT.marker, "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.4},
    ),
    "is_current": ("current policy", {"marker": CURRENT.marker, "markersize": 7.5}),
    "is_better": ("better", {"marker": BETTER.marker, "markersize": 13}),
}


@in_plain_text
def plot_tradeoff(
    ax: Axes,
    result: Tradeoff,
    *,
    lever: str | None = None,
    x: Measure | str | None = None,
    y: Measure | str | None = None,
) -> Axes:
    """Draw the curves of settings over two measures, each through its values in order.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; some 4 inches square are enough.
    result : Tradeoff
    lever : str, optional
        The only setting to draw, by its name or the end of its name; all settings by default.
    x, y : Measure or str, optional
        Two of `result.axes`; by default the first and the second (false alarms and escapes).

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If there is no such lever or measure in the result.

    Notes
    -----
    A single curve has bars for the intervals of both measures, which hold simultaneously. Its points are labelled with
    their values where there is room; values at the same place share a label.

    Several curves meet at the current policy, whose intervals are grey bars. The ends of each curve are labelled with key
    and value. Settings that move neither measure are named in the title.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy import load_example, tradeoff
    >>> from simdeploy.plotting import plot_tradeoff
    >>> scenario = load_example("small-fleet")
    >>> vary = {"max_failed_nodes": [0, 1]}
    >>> result = tradeoff(scenario, "rolling", vary=vary, axes=["false_alarm", "makespan_s"], replications=10, engine="reference")
    >>> plot_tradeoff(Figure().subplots(), result).get_xlabel()
    'false alarms'
    """
    measures = choose_measures(result.axes, x, y)
    levers = result.levers if lever is None else (result.lever(lever),)
    curves = [_read_curve(result, each, measures) for each in levers]
    estimates = np.concatenate([curve.points for curve in curves])
    unknown = [
        describe_measure(measure) for measure, of in zip(measures, estimates.T, strict=True) if np.isnan(of).all()
    ]
    if unknown:
        say_nothing_known(ax, f"nothing is known of\n{' or '.join(unknown)}")
    elif len(curves) == 1:
        _draw_curve(ax, result, measures, curves[0])
    else:
        _draw_curves(ax, result, measures, curves)
    if not unknown:
        # The last is on top: where curves meet, the current policy.
        for is_current in (False, True):
            for curve in reversed(curves):
                is_in = curve.rows["is_current"].eq(is_current).to_numpy()
                mark_points(ax, curve.lever.name, name_values(curve.lever, curve.rows[is_in]), curve.points[is_in])
    return ax


class _Curve(NamedTuple):
    """The curve of a setting: a row for each value, with estimates and ends of intervals on x and y."""

    lever: Lever
    rows: pd.DataFrame
    values: np.ndarray  # of shape (2, rows, 3)
    is_trusted: np.ndarray  # of shape (2, rows): the intervals

    @property
    def points(self) -> np.ndarray:
        return self.values[:, :, 0].T


def _read_curve(result: Tradeoff, lever: Lever, measures: Sequence[Measure]) -> _Curve:
    curve = result.curves[result.curves["lever"].eq(lever.name)]
    rows = curve[curve["measure"].eq(str(measures[0]))]
    better = result.improvement
    is_better = rows["value"].eq(better["value"]) & (better["lever"] == lever.name) if better else False
    return _Curve(lever, rows.assign(is_better=is_better), *read_values(curve, measures))


def _draw_curve(ax: Axes, result: Tradeoff, measures: Sequence[Measure], curve: _Curve) -> None:
    """Draw the curve of one setting, with all of its values."""
    rows, points = curve.rows, curve.points
    level = f"{percent(result.confidence_level)} band over {len(rows)} values"
    ax.set_title(f"{curve.lever.name}\n{level}", fontsize="small")
    set_axes(ax, measures, curve.values.reshape(2, -1), find_cost_unit(result.computed_under))
    draw_both_intervals(ax, curve.values, curve.is_trusted)
    ax.set_title(f"{ax.get_title()}{tell_untrusted(ax)}", fontsize="small")
    ax.plot(*points.T, color=style.BLUE, marker="o", markersize=3.5, linewidth=1.2, clip_on=False, zorder=3)
    marked = {column: np.flatnonzero(rows[column].to_numpy())[:1].tolist() for column in _MARKS}
    for column, places in marked.items():
        for place in places:
            _draw_mark(ax, column, points[place])
    words, first = _name_points(ax, curve)
    order = [*marked["is_better"], *marked["is_current"], *marked["is_default"], 0, len(rows) - 1, *range(len(rows))]
    label_points(ax, points, words, [first[place] for place in order], avoid=sample_line(points))


def _draw_curves(ax: Axes, result: Tradeoff, measures: Sequence[Measure], curves: Sequence[_Curve]) -> None:
    """Draw the curves of all settings from the current policy."""
    current, better = (_find_marked(curves, column) for column in ("is_current", "is_better"))
    start = None if current is None else current[0].values[:, current[1]]
    ends = np.concatenate([*(curve.points.T for curve in curves), *([] if start is None else [start])], axis=1)
    set_axes(ax, measures, ends, find_cost_unit(result.computed_under), room=0.12)
    for which, measure in zip("xy", measures, strict=True):
        _say_better(ax, which, measure)
    spans = _measure_spans(ax)
    labels = []  # the most important first
    if better is not None:
        point = better[0].points[better[1]]
        _draw_mark(ax, "is_better", point)
        labels.append((point, f"better: {_name_value(*better)}", BETTER.colour))
    if start is not None and current is not None:
        trust = current[0].is_trusted[:, current[1]][:, None]
        draw_both_intervals(ax, start[:, None, :], trust, CURRENT.colour, width=6, alpha=0.2)
        _draw_mark(ax, "is_current", start[:, 0])
        labels.append((start[:, 0], "current", CURRENT.colour))
    lines, still = [np.empty((0, 2))], []
    for curve, look in zip(curves, choose_line_looks(len(curves)), strict=True):
        points = curve.points
        if not _is_moving(points / spans):
            still.append(curve.lever.name.rpartition(".")[2])
            continue
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
        ax.plot(*points.T, **line, markersize=4, linewidth=1.4, label=curve.lever.name, clip_on=False, zorder=3)
        lines.append(sample_line(points))
        labels += [(points[end], _name_value(curve, end), look.colour) for end in _find_ends(points, start, spans)]
    if labels:
        places, words, colours = zip(*labels, strict=True)
        label_points(ax, np.array(places), words, range(len(words)), colours=colours, avoid=np.vstack(lines))
    notes = [f"grey: {percent(result.confidence_level)} band{tell_untrusted(ax)}"] if start is not None else []
    notes += [f"moves neither: {', '.join(still)}"] if still else []
    ax.set_title("\n".join(notes), fontsize="small", loc="left")


def _find_marked(curves: Sequence[_Curve], column: str) -> tuple[_Curve, int] | None:
    """Return the first curve with a place for a mark where both measures are known, and that place."""
    for curve in curves:
        for place in np.flatnonzero(curve.rows[column].to_numpy()).tolist():
            if not np.isnan(curve.points[place]).any():
                return curve, place
    return None


def _draw_mark(ax: Axes, column: str, point: np.ndarray) -> None:
    label, look = _MARKS[column]
    ax.plot(*point, color=CURRENT.colour, linestyle="none", clip_on=False, label=label, zorder=5, **look)


def _name_value(curve: _Curve, place: int) -> str:
    return f"{curve.lever.name.rpartition('.')[2]} {write_value(curve.lever, curve.rows['value'].iloc[place])}"


def _say_better(ax: Axes, which: str, measure: Measure) -> None:
    """Add to the label of an axis which direction is better."""
    direction = find_direction(measure)
    if direction is not None:
        axis = getattr(ax, f"{which}axis")
        axis.set_label_text(f"{axis.get_label_text()} ({_ARROWS[direction]}\N{NO-BREAK SPACE}better)")
        wrap_axis_label(ax, which)


def _measure_spans(ax: Axes) -> np.ndarray:
    """Return the lengths of both axes, in data."""
    return np.diff([ax.get_xlim(), ax.get_ylim()]).ravel()


def _is_moving(points: np.ndarray) -> bool:
    """Return whether the points of a curve, in fractions of the axes, are at visibly different places."""
    known = points[~np.isnan(points).any(axis=1)]
    return bool(len(known) and np.ptp(known, axis=0).max() > _SAME_PLACE)


def _find_ends(points: np.ndarray, start: np.ndarray | None, spans: np.ndarray) -> list[int]:
    """Return the places of the first and the last known point of a curve that are not at the current policy."""
    known = np.flatnonzero(~np.isnan(points).any(axis=1)).tolist()
    ends = sorted({known[0], known[-1]})
    if start is None:
        return ends
    return [end for end in ends if np.abs((points[end] - start[:, 0]) / spans).max() > _SAME_PLACE]


def _name_points(ax: Axes, curve: _Curve) -> tuple[list[str], list[int]]:
    """Return a name for each point, and for each the first of the consecutive points at its place, whose name covers all."""
    rows, points, spans = curve.rows, curve.points, _measure_spans(ax)
    values = [write_value(curve.lever, number) for number in rows["value"].tolist()]
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
