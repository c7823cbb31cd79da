"""What a threshold trades for what, as it moves: a curve with the policy and the API's default on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.plotting.colours import BLUE, GREEN, VERMILION
from simdeploy.plotting.measure_axis import find_measure, label_points, set_limits, set_measure_axis
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.report.tradeoff import write_value

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.tradeoffs.moving import Tradeoff
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario.measures import Measure

_CURVE, _POLICY, _DEFAULT = BLUE, VERMILION, GREEN
_COLUMNS = ("estimate", "low", "high")


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
    >>> from simdeploy.plotting.tradeoff import plot_tradeoff
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
    on_x, on_y = (
        find_measure(measure, result.axes, argument="xy"[place], place=place) for place, measure in enumerate((x, y))
    )
    curve = result.curves[result.curves["lever"].eq(chosen.name)]
    points = {measure: curve[curve["measure"].eq(str(measure))].reset_index(drop=True) for measure in (on_x, on_y)}
    number = len(points[on_x])
    level = f"{100 * result.confidence_level:g} % band over {number} values"
    ax.set_title(f"{chosen.name}\n{level}", fontsize="small", parse_math=False)
    values = np.stack([points[measure][list(_COLUMNS)].to_numpy() for measure in (on_x, on_y)])
    unknown = [measure for measure, of in zip((on_x, on_y), values, strict=True) if np.isnan(of[:, 0]).all()]
    if unknown:
        _draw_nothing(ax, unknown)
        return ax
    for which, measure, of in zip("xy", (on_x, on_y), values, strict=True):
        longest = set_limits(ax, which, measure, of.ravel())
        set_measure_axis(getattr(ax, f"{which}axis"), measure, longest)
    _draw_curve(ax, values)
    marked = _mark(ax, values, points[on_x])
    words = _name_points(chosen, points[on_x]["value"].tolist(), values[:, :, 0].T)
    label_points(ax, values[:, :, 0].T, words, [*marked, 0, number - 1, *range(number)])
    return ax


def _draw_curve(ax: Axes, values: np.ndarray) -> None:
    (x, x_low, x_high), (y, y_low, y_high) = values.transpose(0, 2, 1)
    ax.hlines(y, x_low, x_high, color=_CURVE, alpha=0.35, linewidth=1.2)
    ax.vlines(x, y_low, y_high, color=_CURVE, alpha=0.35, linewidth=1.2)
    ax.plot(x, y, color=_CURVE, marker="o", markersize=3.5, linewidth=1.2, clip_on=False, zorder=3)


def _name_points(lever: Lever, numbers: list[float], points: np.ndarray) -> list[str]:
    """Return a name for each point; values side by side that share a place share a name."""
    words = [write_value(lever, number) for number in numbers]
    is_new = [True, *(np.diff(points, axis=0) != 0).any(axis=1).tolist()]
    first = np.maximum.accumulate(np.where(is_new, np.arange(len(words)), 0))
    last = [max(np.flatnonzero(first == place).tolist()) for place in first.tolist()]
    return [words[a] if a == b else f"{words[a]} to {words[b]}" for a, b in zip(first.tolist(), last, strict=True)]


def _mark(ax: Axes, values: np.ndarray, rows: pd.DataFrame) -> list[int]:
    """Mark policy and default, and return where they are."""
    marked = []
    for column, label, colour, marker, size in (
        ("is_default", "API's default", _DEFAULT, "s", 11),
        ("is_current", "policy", _POLICY, "o", 6.5),
    ):
        places = np.flatnonzero(rows[column].to_numpy())
        if len(places):
            x, y = values[:, places[0], 0]
            ax.plot(
                [x],
                [y],
                linestyle="none",
                marker=marker,
                markersize=size,
                color=colour,
                markerfacecolor="none" if marker == "s" else colour,
                markeredgewidth=1.8,
                label=label,
                clip_on=False,
                zorder=5,
            )
            marked.append(int(places[0]))
    ax.legend(loc="best", fontsize="small", frameon=True, framealpha=1, edgecolor="none")
    return marked[::-1]


def _draw_nothing(ax: Axes, unknown: list[Measure]) -> None:
    from simdeploy.analysis.asking.naming import describe_measure

    names = " or ".join(describe_measure(measure) for measure in unknown)
    ax.text(0.5, 0.5, f"nothing is known of\n{names}", ha="center", va="center", transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])
