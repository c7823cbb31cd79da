"""Policies against the best of the others: which may be the best, and how far the rest is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, describe_measure
from simdeploy.analysis.asking.verdicts import find_direction
from simdeploy.analysis.comparison.measured import find_rows, name_rows
from simdeploy.errors import InputError, Problem, nearest, shorten
from simdeploy.plotting.colours import BLUE, INK, VERMILION
from simdeploy.plotting.plain_text import in_plain_text
from simdeploy.plotting.policy_rows import set_rows, wrap_name
from simdeploy.plotting.time_axis import set_time_axis
from simdeploy.scenario.measures import Measure, parse_measure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.comparison.compare import Comparison

# A filled circle may be the best, a hollow square isn't: told apart without colour, too.
_BEST, _NOT_BEST = BLUE, VERMILION


@in_plain_text
def plot_ranking(ax: Axes, comparison: Comparison, *, of: str = "cost") -> Axes:
    """Draw how far each policy is from the best of the others, the best one on top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about a third of an inch of height per policy is enough.
    comparison : Comparison
    of : str, default 'cost'
        A measure of which one side is better, such as ``false_alarm`` or ``makespan_s given completed_good``.

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Raises
    ------
    InputError
        If the comparison has no ranking of it.

    Notes
    -----
    An interval that reaches 0 from both sides belongs to a policy that may be the best; see
    `simdeploy.analysis.comparison.ranking.rank_policies`. Policies without values are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import compare
    >>> from simdeploy.plotting.ranking import plot_ranking
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"], "replication": [0, 1, 0, 1],
    ...     "blast_radius": [0.9, 1.0, 0.1, 0.2],
    ... })
    >>> plot_ranking(Figure().subplots(), compare(table), of="blast_radius").get_yticklabels()[0].get_text()
    'slow'
    """
    rows = _find_rows(comparison, of)
    rows = rows[rows["rank"].notna()].sort_values("rank", kind="stable").reset_index(drop=True)
    is_best = rows["is_among_best"].to_numpy(bool)
    for choice, colour, marker, label in (
        (is_best, _BEST, "o", "may be the best"),
        (~is_best, _NOT_BEST, "s", "is not the best"),
    ):
        heights, chosen = rows.index[choice], rows[choice]
        if chosen.empty:
            continue
        ax.hlines(heights, chosen["low"], chosen["high"], color=colour, linewidth=1.8)
        face = colour if marker == "o" else "white"
        ax.plot(chosen["estimate"], heights, marker, color=colour, markerfacecolor=face, markersize=6, label=label)
    ax.axvline(0, color=INK, linewidth=0.8, zorder=0)
    set_rows(ax, [wrap_name(name) for name in rows["policy"]])
    _set_value_axis(ax, of, rows, comparison)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, fontsize="small", frameon=False)
    return ax


def _find_rows(comparison: Comparison, of: str) -> pd.DataFrame:
    ranking = comparison.ranking
    known = list(name_rows(ranking).unique())
    rows = find_rows(ranking, parse_measure(of))
    if rows.empty:
        message = "no such ranking in the comparison"
        if of in LABELS and find_direction(Measure(of)) is None:
            message = "neither side of it is better"
        hint = "compare with costs=scenario.costs" if of.startswith("cost") else nearest(of, known)
        raise InputError(Problem(message, ("of",), found=shorten(of), allowed=", ".join(known), hint=hint))
    return rows


def _set_value_axis(ax: Axes, of: str, rows: pd.DataFrame, comparison: Comparison) -> None:
    from matplotlib.ticker import FuncFormatter

    at_once = f"{100 * comparison.confidence_level:g} % intervals for all policies at once"
    measure = parse_measure(of)
    unit = "fraction" if measure.kind == "rate" else LABELS[measure.of][1]
    label = f"{describe_measure(measure)} less that of the best of the others"
    if unit == "s":
        longest_s = float(rows[["estimate", "low", "high"]].abs().max().max())
        set_time_axis(ax.xaxis, longest_s, f"{label}, {at_once}")
        return
    if unit == "fraction":
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        label += " (percentage points)"
    ax.set_xlabel(f"{label},\n{at_once}")
