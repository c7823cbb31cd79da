"""Gates side by side over the size of the defect: what is stopped, looked at, failed meanwhile, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.errors import InputError, Problem
from simdeploy.plotting import style
from simdeploy.plotting.axes import set_limits, set_measure_axis
from simdeploy.plotting.style import in_plain_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.gates.result import GateComparison

PANELS = (STOPPED, "decision_requests", "failed_requests_excess", "makespan_s given completed", "stopped_at_s")
# A mean over fewer rollouts says nothing that could be seen.
_LEAST_ROLLOUTS = 10
# Counts that differ by powers of ten.
_LOGARITHMIC = ("decision_requests", "failed_requests_excess")
_COLOURS = (style.BLUE, style.SKY_BLUE, style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.GREY)
_FIRST: dict[str, Any] = {"color": style.BLACK, "marker": "o", "linestyle": "-", "linewidth": 1.8}
_LOOKS: tuple[dict[str, Any], ...] = tuple(
    {"color": colour, "marker": marker, "linestyle": line, "linewidth": 1.2}
    for line, markers in (("-", "s^Dv<>P"), ("--", "X*hpdH8"))
    for colour, marker in zip(_COLOURS, markers, strict=True)
)


@in_plain_text
def plot_gates(axes: Sequence[Axes] | np.ndarray, result: GateComparison) -> Sequence[Axes] | np.ndarray:
    """Draw the curves of all gates over the size of the defect, a panel for each measure.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        Five, for how often a release is stopped, the requests looked at, failed requests served, the makespan of what
        completes, and the time until what is stopped is stopped; some 4 inches wide each. With a sixth the legend is there,
        otherwise in the first.
    result : GateComparison

    Returns
    -------
    sequence of matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If there are neither five nor six axes.

    Notes
    -----
    A release of size 0 is a good one, and what is stopped there are false alarms. Bars are intervals; those of a gate in a
    panel hold together. Requests are on logarithmic axes, which have no 0. Points of fewer than ten rollouts, and those of
    which something is unknown, are left out.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import compare_gates
    >>> from simdeploy.plotting import plot_gates
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "1m", "requests_per_second": 10},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m", "max_error_rate": 0.02}}},
    ... })
    >>> found = compare_gates(scenario, gates=["pooled"], sizes=[0.03], replications=20, engine="reference")
    >>> plot_gates(Figure().subplots(5), found)[0].get_ylabel()
    'stopped'
    """
    flat = list(np.asarray(axes, dtype=object).ravel())
    if len(flat) not in (len(PANELS), len(PANELS) + 1):
        allowed = f"{len(PANELS)}, or {len(PANELS) + 1} with one for the legend"
        raise InputError(Problem("not as many axes as panels", ("axes",), found=str(len(flat)), allowed=allowed))
    for ax, name in zip(flat, PANELS, strict=False):
        _draw_panel(ax, result, name)
    handles, labels = flat[0].get_legend_handles_labels()
    if len(flat) == len(PANELS):
        flat[0].legend(handles, labels, loc="best", fontsize="x-small", framealpha=1, edgecolor="none")
    else:
        flat[-1].set_axis_off()
        title = f"{result.policy}, {result.n_replications:,} replications,\n{100 * result.confidence_level:g} % bands"
        flat[-1].legend(handles, labels, loc="center", fontsize="small", frameon=False, title=title)
    return axes


def _draw_panel(ax: Axes, result: GateComparison, name: str) -> None:
    from matplotlib.ticker import PercentFormatter

    rows = result.curves[result.curves["measure"].eq(name)]
    shown = rows[rows["unknown_fraction"].eq(0) & rows["n"].ge(min(_LEAST_ROLLOUTS, result.n_replications))]
    if name in _LOGARITHMIC:
        shown = shown[shown["estimate"].gt(0)].reset_index(drop=True)
        least = shown["estimate"].min() / 2
        shown = shown.assign(low=shown["low"].clip(lower=least))
    for place, gate in enumerate(result.gates["gate"]):
        look = _LOOKS[(place - 1) % len(_LOOKS)] if place else _FIRST
        _draw_gate(ax, shown[shown["gate"].eq(gate)], str(gate), look)
    ends = shown[["estimate", "low", "high"]].to_numpy().ravel()
    measure = as_measure(name)
    if np.isfinite(ends).any():
        longest = set_limits(ax, "y", measure, ends)
        set_measure_axis(ax.yaxis, measure, longest)
    else:
        ax.set_ylabel(describe_measure(measure))
    if name in _LOGARITHMIC and len(shown):
        ax.set_yscale("log")
        ax.set_ylim(least, 2 * shown["estimate"].max())
    if name == STOPPED:
        ax.set_ylabel(STOPPED)
    margin = 0.03 * result.sizes[-1]
    ax.set_xlim(-margin, result.sizes[-1] + margin)
    ax.set_xlabel("error rate that the release adds")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.axvline(result.size, color=style.LIGHT_GREY, linewidth=0.8, linestyle=":", zorder=0)


def _draw_gate(ax: Axes, rows: pd.DataFrame, gate: str, look: dict[str, Any]) -> None:
    ax.vlines(rows["size"], rows["low"], rows["high"], color=look["color"], alpha=0.35, linewidth=1.2)
    ax.plot(rows["size"], rows["estimate"], **look, markersize=4, label=gate, clip_on=False, zorder=3)
