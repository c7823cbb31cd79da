"""Policies side by side: estimates with their intervals, and the difference of each policy from the best of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import LABELS, describe_measure, name_cases
from simdeploy.analysis.asking.verdicts import find_direction
from simdeploy.analysis.comparison.measured import LEVELS, find_rows, name_rows
from simdeploy.errors import InputError, Problem, nearest, not_among, shorten
from simdeploy.plotting import style
from simdeploy.plotting.axes import find_measure, set_measure_axis, set_unit_axis
from simdeploy.plotting.intervals import add_interval, draw_intervals
from simdeploy.plotting.marks import mark_rows
from simdeploy.plotting.style import in_plain_text, name_row, put_legend_above, say_no_value, set_rows, wrap_name
from simdeploy.report.formatting import find_cost_unit
from simdeploy.report.wording import case_noun
from simdeploy.scenario.measures import Measure, parse_measure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from simdeploy.analysis.comparison.compare import Comparison
    from simdeploy.analysis.estimates.estimating import Estimates

_ANY_LEVEL = style.Look(style.INK, "o")

# The verdicts that are drawn, with their labels; the other verdicts are the rest of good and defective releases.
_BAD_VERDICTS = {"false_alarm": "false alarms of good releases", "escaped": "escapes of defective releases"}

# Filled circles may be the best, hollow squares can't: distinguishable without colour, too.
_BEST, _NOT_BEST = style.BLUE, style.VERMILION


@in_plain_text
def plot_comparison(ax: Axes, comparison: Comparison, *, response: str = "verdict") -> Axes:
    """Draw the estimates of one response under each policy with their intervals.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per policy is enough.
    comparison : Comparison
    response : str
        The response. By default the verdict: false alarms of good releases and escapes of defective ones (the other
        verdicts are the rest). For `state`, every level that occurs, except `completed` if there are others; for anything
        else, such as ``makespan_s`` and ``makespan_s given completed``, the mean.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the comparison has no such response.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import compare
    >>> from simdeploy.plotting import plot_comparison
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"],
    ...     "replication": [0, 1, 0, 1],
    ...     "verdict": ["escaped", "completed_good", "completed_good", "completed_good"],
    ... })
    >>> plot_comparison(Figure().subplots(), compare(table)).get_xlabel().splitlines()
    ['probability, 95 % CI']
    """
    estimates = comparison.estimates
    if response in LEVELS:
        estimates = estimates[estimates["response"].eq(response)]
    else:
        estimates = estimates[estimates["level"].isna() & name_rows(estimates).eq(response)]
    if estimates.empty:
        responses = comparison.estimates["response"].unique()
        raise InputError(not_among("no such response in the comparison", ("response",), response, responses))
    levels = _choose_levels(response, estimates)
    n_policies = len(comparison.policies)
    for place, level in enumerate(levels):
        rows = estimates[estimates["level"].isna() if level is None else estimates["level"].eq(level)]
        # Levels share the height of a policy's row, with the first on top.
        offset = (place - (len(levels) - 1) / 2) * (0.8 / len(levels))
        _draw_estimates(ax, rows, [row + offset for row in range(n_policies)], level)
    known = estimates.groupby("policy")["estimate"].count()
    for row in [row for row, policy in enumerate(comparison.policies) if not known[policy]]:
        say_no_value(ax, row)
    n = estimates.drop_duplicates(["policy", "given"]).groupby("policy")["n"].sum()
    estimates = estimates[estimates["level"].isin(levels) | estimates["level"].isna()]
    set_rows(ax, [name_row(policy, n[policy]) for policy in comparison.policies])
    mark_rows(ax, "policy", comparison.policies)
    _set_value_axis(ax, response, estimates, comparison)
    if levels != (None,):
        put_legend_above(ax, 2)
    return ax


def _choose_levels(response: str, estimates: pd.DataFrame) -> tuple[str | None, ...]:
    """Return the levels to draw, without one that follows from the others."""
    if response not in LEVELS:
        return (None,)
    if response == "verdict":
        return tuple(_BAD_VERDICTS)
    occurring = estimates.loc[estimates["estimate"].gt(0), "level"]
    levels = [level for level in LEVELS[response] if level in set(occurring)]
    return tuple(level for level in levels if level != "completed" or len(levels) == 1)


def _draw_estimates(ax: Axes, rows: pd.DataFrame, heights: list[float], level: str | None) -> None:
    look = _ANY_LEVEL if level is None else style.OUTCOME_LOOKS[level]
    estimate, low, high, is_trusted = (rows[name].to_numpy() for name in ("estimate", "low", "high", "is_trusted"))
    draw_intervals(ax, "x", heights, low, high, is_trusted, color=look.colour, linewidth=1.6)
    label = None if level is None else _BAD_VERDICTS.get(level, level.replace("_", " "))
    ax.plot(estimate, heights, look.marker, color=look.colour, markersize=5, label=label, clip_on=False)


def _set_value_axis(ax: Axes, response: str, estimates: pd.DataFrame, comparison: Comparison) -> None:
    largest = float(estimates[["estimate", "high"]].max().max())
    if response in LEVELS:
        right = min(1.05 * largest, 1.0) if largest > 0 else 1.0
        ax.set_xlim(-0.01 * right, 1.01 * right)  # so that marks at the ends aren't cut off
        set_unit_axis(ax.xaxis, "fraction", 1, "probability")
    else:
        unit = find_cost_unit(comparison.computed_under)
        measure = parse_measure(response)
        set_measure_axis(ax.xaxis, measure, largest, unit, f"mean {describe_measure(measure)}")
    add_interval(ax, "x", comparison.confidence_level)


@in_plain_text
def plot_ranking(ax: Axes, comparison: Comparison, *, of: str = "cost") -> Axes:
    """Draw how far each policy is from the best of the others, the best one on top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about a third of an inch of height per policy is enough.
    comparison : Comparison
    of : str, default 'cost'
        A measure with a better side, such as ``false_alarm`` or ``makespan_s given completed_good``.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If the comparison has no ranking by this measure.

    Notes
    -----
    An interval that reaches 0 from both sides belongs to a policy that may be the best; see
    `simdeploy.analysis.comparison.ranking.rank_policies`. Policies without values are left out; those excluded because
    they miss a requirement are named below the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis import compare
    >>> from simdeploy.plotting import plot_ranking
    >>> table = pd.DataFrame({
    ...     "policy": ["fast", "fast", "slow", "slow"], "replication": [0, 1, 0, 1],
    ...     "blast_radius": [0.9, 1.0, 0.1, 0.2],
    ... })
    >>> plot_ranking(Figure().subplots(), compare(table), of="blast_radius").get_yticklabels()[0].get_text()
    'slow'
    """
    rows = _find_ranked(comparison, of)
    excluded = rows.loc[rows["verdict"].eq("excluded"), "policy"].tolist()
    rows = rows[rows["rank"].notna()].sort_values("rank", kind="stable").reset_index(drop=True)
    is_best = rows["is_among_best"].to_numpy(bool)
    for chosen, colour, face, marker, label in (
        (rows[is_best], _BEST, _BEST, "o", "may be the best"),
        (rows[~is_best], _NOT_BEST, "white", "s", "not the best"),
    ):
        if len(chosen):
            ends = (chosen[name] for name in ("low", "high", "is_trusted"))
            draw_intervals(ax, "x", chosen.index, *ends, color=colour, linewidth=1.8)
            look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "markersize": 6}
            ax.plot(chosen["estimate"], chosen.index, marker, **look, label=label)
    ax.axvline(0, color=style.INK, linewidth=0.8, zorder=0)
    for row in range(len(rows), len(rows) + len(excluded)):
        say_no_value(ax, row, "misses a requirement")
    set_rows(ax, [wrap_name(name) for name in [*rows["policy"], *excluded]])
    largest = float(rows[["estimate", "low", "high"]].abs().max().max())
    _set_difference_axis(ax, parse_measure(of), largest, find_cost_unit(comparison.computed_under))
    add_interval(ax, "x", comparison.confidence_level, " for all together")
    put_legend_above(ax, 2)
    return ax


def _find_ranked(comparison: Comparison, of: str) -> pd.DataFrame:
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


def _set_difference_axis(ax: Axes, measure: Measure, largest: float, cost_unit: str) -> None:
    label = f"difference in {describe_measure(measure)} from the best other policy"
    if measure.is_fraction:
        ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
        ax.set_xlabel(f"{label} (percentage points)")
    else:
        set_measure_axis(ax.xaxis, measure, largest, cost_unit, label)


@in_plain_text
def plot_estimates(ax: Axes, estimates: Estimates, *, measure: Measure | str | None = None) -> Axes:
    """Draw the estimates of one measure with their intervals, a line for each policy or case.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per policy is enough.
    estimates : Estimates
    measure : Measure or str, optional
        The measure; by default the first.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes. An interval with one unknown side has an arrow there.

    Raises
    ------
    InputError
        If it was not estimated.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.estimates.estimating import estimate
    >>> from simdeploy.plotting import plot_estimates
    >>> table = pd.DataFrame({"policy": ["a", "a"], "replication": [0, 1], "makespan_s": [60.0, 80.0]})
    >>> plot_estimates(Figure().subplots(), estimate(table, "makespan_s")).get_xlabel()
    'makespan (min), 95 % CI; dashed: may be too narrow'
    """
    measure = find_measure(measure, estimates.measures, argument="measure")
    rows = estimates.estimates[estimates.estimates["measure"].eq(str(measure))]
    names = name_cases(rows, estimates.case_columns)
    columns = rows[["estimate", "low", "high", "is_trusted"]].itertuples(index=False)
    for place, (value, low, high, is_trusted) in enumerate(columns):
        if math.isnan(value):
            say_no_value(ax, place)
            continue
        # Only up to the estimate if a side is unknown.
        start, stop = (value if math.isnan(end) else end for end in (low, high))
        is_one_sided = math.isnan(low + high)
        draw_intervals(ax, "x", place, start, stop, is_trusted or is_one_sided, color=style.BLUE, linewidth=1.6)
        ax.plot(value, place, marker="o", color=style.BLUE, markersize=5)
        # Arrows towards sides that are unknown because there are too few observations.
        for end, marker in ((low, "$\\leftarrow$"), (high, "$\\rightarrow$")):
            if math.isnan(end):
                ax.plot(value, place + 0.28, marker=marker, color=style.BLUE, markersize=12, linestyle="none")
    set_rows(ax, [name_row(name, n) for name, n in zip(names, rows["n"], strict=True)])
    mark_rows(ax, case_noun(estimates.case_columns), names)
    largest = float(rows[["estimate", "high"]].max().max())
    set_measure_axis(ax.xaxis, measure, largest, find_cost_unit(estimates.computed_under))
    add_interval(ax, "x", estimates.confidence_level)
    return ax
