"""Gates side by side: how often each stops a release by the size of the defect, its errors, and its costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.gates.curves import STOPPED, as_measure
from simdeploy.errors import InputError, Problem
from simdeploy.plotting import style
from simdeploy.plotting.axes import (
    count_ticks,
    label_points,
    sample_line,
    set_limits,
    set_log_axis,
    set_measure_axis,
    write_percent,
)
from simdeploy.plotting.intervals import draw_intervals, tell_untrusted
from simdeploy.plotting.style import Look, in_plain_text, set_rows, wrap_name, write_beside
from simdeploy.report.wording import VERDICTS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.gates.result import GateComparison

PANELS = (STOPPED, "decision_requests", "failed_requests_excess", "makespan_s given completed", "stopped_at_s")
# Means over fewer rollouts are not shown.
_LEAST_ROLLOUTS = 10
# Counts that differ by powers of ten.
_LOGARITHMIC = ("decision_requests", "failed_requests_excess")
# Releases for which a measure is shown: good ones (hollow marks), or those with the defect named in the answer.
_GOOD, _DEFECT = "good", "defect"
_SHOWN_AT = {
    "decision_requests": (_GOOD, _DEFECT),
    "failed_requests_excess": (_DEFECT,),
    "makespan_s given completed": (_GOOD,),
    "stopped_at_s": (_DEFECT,),
}
_ALL_STOPPED = 0.99
_LABEL_WIDTH = 16  # characters
_THRESHOLD = Look(style.BLACK, "^")
_LOOKS = {
    "better": Look(style.GREEN, "o"),
    "trades": Look(style.ORANGE, "D", "--"),
    "worse": Look(style.VERMILION, "X", (0, (5, 1, 1, 1))),
    "unclear": Look(style.GREY, "s", (0, (1, 1))),
    "unknown": Look(style.LIGHT_GREY, "s", (0, (1, 1))),
}


@in_plain_text
def plot_gates(axes: Sequence[Axes] | np.ndarray, result: GateComparison) -> Sequence[Axes] | np.ndarray:
    """Draw how often each gate stops a release by the size of the defect, and other measures, with a row for each gate.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        Five, about 2.5 inches wide each: how often a release is stopped, requests examined, excess failed requests, makespan
        of rollouts that complete, and time until the stop. With six, the second shows the errors: false alarms and misses.
    result : GateComparison

    Returns
    -------
    sequence of matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If there are neither five nor six axes.

    Notes
    -----
    The threshold is black. Other gates have the colour and mark of their verdict. Hollow marks are good releases, filled
    ones have the defect of `result.size`. Lines are intervals. The curves end at the size from which all gates stop every
    release. Requests are on logarithmic axes, which have no 0. Points of fewer than ten rollouts, and those with an unknown
    part, are left out.

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
    >>> result = compare_gates(scenario, gates=["pooled"], sizes=[0.03], replications=20, engine="reference")
    >>> plot_gates(Figure().subplots(5), result)[0].get_ylabel()
    'stopped'
    """
    flat = list(np.asarray(axes, dtype=object).ravel())
    n_panels = len(PANELS)
    if len(flat) not in (n_panels, n_panels + 1):
        allowed = f"{n_panels}, or {n_panels + 1} with one for the errors"
        raise InputError(Problem("not as many axes as panels", ("axes",), found=str(len(flat)), allowed=allowed))
    looks = _choose_looks(result)
    first, *panels = flat
    _draw_curves(first, result, looks)
    if len(panels) == n_panels:
        _draw_errors(panels[0], result, looks)
    for ax, name in zip(panels[1 - n_panels :], PANELS[1:], strict=True):
        _draw_measure(ax, result, looks, name)
    _name_rows_once(panels)
    return axes


def _name_rows_once(panels: Sequence[Axes]) -> None:
    """Leave out the names of the gates in panels whose left neighbour has them."""
    for left, ax in pairwise(panels):
        here, there = ax.get_subplotspec(), left.get_subplotspec()
        if here is not None and there is not None and here.rowspan.start == there.rowspan.start:
            ax.tick_params(labelleft=False)


def _choose_looks(result: GateComparison) -> dict[str, Look]:
    """Return the look of each gate: the first is the threshold."""
    gates = result.gates.iloc[1:]
    verdicts = zip(gates["gate"], gates["verdict"], strict=True)
    return {result.gates["gate"].iloc[0]: _THRESHOLD, **{gate: _LOOKS[verdict] for gate, verdict in verdicts}}


def _select(result: GateComparison, name: str, least: int = 0) -> pd.DataFrame:
    rows = result.curves[result.curves["measure"].eq(name)]
    return rows[rows["unknown_fraction"].eq(0) & rows["n"].ge(min(least, result.n_replications))]


def _draw_curves(ax: Axes, result: GateComparison, looks: dict[str, Look]) -> None:
    """Draw how often each gate stops a release; the threshold and the best gate, or the second, stand out."""
    from matplotlib.ticker import MaxNLocator

    shown = _select(result, STOPPED)
    by_size = shown.groupby("size")["estimate"].min()
    enough = [size for size in by_size.index[by_size.ge(_ALL_STOPPED)] if size >= result.size]
    end = enough[0] if enough else result.sizes[-1]
    gates = list(looks)
    in_front = [gates[0], *([result.best] if result.best else gates[1:2])]
    for gate, look in looks.items():
        rows = shown[shown["gate"].eq(gate)]
        strong: dict[str, Any] = {"linewidth": 2.0, "markersize": 4.5, "zorder": 4}
        weak: dict[str, Any] = {"linewidth": 0.9, "markersize": 2.5, "alpha": 0.7, "zorder": 2}
        if gate in in_front:
            ends = (rows[name] for name in ("low", "high", "is_trusted"))
            draw_intervals(ax, "y", rows["size"], *ends, color=look.colour, alpha=0.4, linewidth=1.4)
        ax.plot(
            rows["size"], rows["estimate"], color=look.colour, marker=look.marker, linestyle=look.line, label=gate,
            **(strong if gate in in_front else weak),
        )  # fmt: skip
    ax.set_ylim(-0.04, 1.12)
    ax.yaxis.set_major_formatter(write_percent)
    ax.set_ylabel(STOPPED, fontsize="small")
    ax.set_xlim(-0.03 * end, 1.03 * end)
    widest = max(map(write_percent, MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, end)), key=len)
    ax.xaxis.set_major_locator(MaxNLocator(count_ticks(ax.xaxis, len(widest), 5), steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(write_percent)
    beyond = "\n(all gates stop larger defects)" if end < result.sizes[-1] else ""
    ax.set_xlabel(f"error rate that the release adds{beyond}", fontsize="small")
    ax.axvline(result.size, color=style.LIGHT_GREY, linewidth=0.8, linestyle=":", zorder=0)
    ax.tick_params(labelsize="small")
    _name_curves(ax, shown[shown["size"].le(end)], looks, in_front)
    ax.set_title("Stopped releases", fontsize="small", loc="left")


def _name_curves(ax: Axes, shown: pd.DataFrame, looks: dict[str, Look], in_front: list[str]) -> None:
    """Name the lines in front and the one farthest from all others, each where it is farthest from the others."""
    table = shown.pivot_table(index="size", columns="gate", values="estimate").reindex(columns=list(looks))
    # Where a curve is level, every other one may be below the same label.
    steep = table.where(table.ge(0.02) & table.le(0.98))
    apart = {gate: table.drop(columns=gate).sub(steep[gate], axis=0).abs().min(axis=1) for gate in looks}
    farthest = max(looks, key=lambda gate: apart[gate].max() if apart[gate].notna().any() else -1.0)
    words = [gate for gate in dict.fromkeys([*in_front, farthest]) if apart[gate].notna().any()]
    if not words:
        return
    tops = {gate: int(np.nanargmax(apart[gate])) for gate in words}
    places = [(float(table.index[top]), float(table[gate].iloc[top])) for gate, top in tops.items()]
    lines = [sample_line(np.column_stack([table.index, table[gate]])) for gate in looks]
    colours = [looks[word].colour for word in words]
    label_points(ax, np.array(places), words, range(len(words)), colours=colours, avoid=np.vstack(lines))


def _draw_errors(ax: Axes, result: GateComparison, looks: dict[str, Look]) -> None:
    """Draw false alarms and escapes of each gate; beside them its verdict, or that it is recommended."""
    stopped = _select(result, STOPPED)
    good, defect = (stopped[stopped["size"].eq(size)] for size in (0.0, result.size))
    missed = defect.assign(estimate=1 - defect["estimate"], low=1 - defect["high"], high=1 - defect["low"])
    _draw_rows(ax, looks, {_GOOD: good, _DEFECT: missed})
    both = np.concatenate([rows[["estimate", "low", "high"]].to_numpy().ravel() for rows in (good, missed)])
    if np.isfinite(both).any():
        longest = set_limits(ax, "x", as_measure(STOPPED), both)
        set_measure_axis(ax.xaxis, as_measure(STOPPED), longest)
    ax.set_xlabel("share of releases", fontsize="small")
    for row, (gate, verdict) in enumerate(zip(result.gates["gate"], result.gates["verdict"], strict=True)):
        if row > 0:
            text = "recommended" if gate == result.best else VERDICTS.get(verdict, verdict)
            write_beside(ax, row, text, fontsize="x-small", color=style.darken(looks[gate].colour))
    if result.best is not None:
        ax.get_yticklabels()[list(looks).index(result.best)].set_fontweight("bold")
    ax.set_title(f"Errors: ○ false alarms\n● escapes of {_name_size(result)}", fontsize="small", loc="left")


def _draw_measure(ax: Axes, result: GateComparison, looks: dict[str, Look], name: str) -> None:
    sizes = {_GOOD: 0.0, _DEFECT: result.size}
    rows = _select(result, name, _LEAST_ROLLOUTS)
    rows = rows[rows["size"].isin([sizes[at] for at in _SHOWN_AT[name]])]
    measure, is_log = as_measure(name), name in _LOGARITHMIC
    if is_log:
        rows = rows[rows["estimate"].gt(0)]
        rows = rows.assign(low=rows["low"].clip(lower=rows["estimate"].min() / 2))
    shown = {at: rows[rows["size"].eq(sizes[at])] for at in _SHOWN_AT[name]}
    _draw_rows(ax, looks, shown)
    ends = rows[["estimate", "low", "high"]].to_numpy().ravel()
    ends = ends[np.isfinite(ends)]
    if len(ends):
        longest = set_limits(ax, "x", measure, ends)
        if not is_log:
            low, high = ax.get_xlim()
            ax.set_xlim(max(low, 0.0), high)
        set_measure_axis(ax.xaxis, measure, longest)
        if is_log:
            set_log_axis(ax, ends.min() / 1.3, 1.3 * ends.max())
    else:
        ax.set_xlabel(describe_measure(measure))
        ax.set_xticks([])
    note = tell_untrusted(ax, "\n")
    ax.set_xlabel(f"{ax.get_xlabel()}{note}", fontsize="small")
    marks = {_GOOD: "○ good release", _DEFECT: f"● {_name_size(result)}"}
    ax.set_title("\n".join(marks[at] for at in shown), fontsize="small", loc="left")


def _name_size(result: GateComparison) -> str:
    return f"a {100 * result.size:g} % defect"


def _draw_rows(ax: Axes, looks: dict[str, Look], shown: dict[str, pd.DataFrame]) -> None:
    """Draw the estimates of each gate with their intervals in a row."""
    set_rows(ax, [wrap_name(gate, _LABEL_WIDTH) for gate in looks])
    for at, rows in shown.items():
        by_gate = rows.set_index("gate")
        for row, (gate, look) in enumerate(looks.items()):
            if gate not in by_gate.index or math.isnan(by_gate["estimate"][gate]):
                if len(shown) == 1:
                    style.say_no_value(ax, row)
                continue
            face = look.colour if at == _DEFECT else "white"
            ends = (by_gate[name][gate] for name in ("low", "high", "is_trusted"))
            draw_intervals(ax, "x", row, *ends, color=look.colour, linewidth=1.3)
            ax.plot(
                by_gate["estimate"][gate], row, look.marker, color=look.colour, markerfacecolor=face, markersize=4.5,
                label=gate, clip_on=False, zorder=3,
            )  # fmt: skip
    ax.tick_params(labelsize="small")
