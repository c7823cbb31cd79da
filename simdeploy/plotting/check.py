"""Requirements relative to their limits: how far within or beyond the limit each one is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.plotting import style
from simdeploy.plotting.axes import set_symlog_axis
from simdeploy.plotting.marks import mark_rows
from simdeploy.plotting.style import in_plain_text, say_no_value, set_rows, wrap_name, write_above, write_beside
from simdeploy.plotting.wrapping import wrap_words
from simdeploy.report.check import describe_limit, format_bounds, name_row, requirement_of
from simdeploy.report.formatting import find_cost_unit, percent

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from matplotlib.axes import Axes

    from simdeploy.analysis.checking.checking import Check
    from simdeploy.scenario.measures import Requirement

_MARKS = {"met": (style.GREEN, "o"), "not met": (style.VERMILION, "D"), "undecided": (style.GREY, "s")}
_WIDTH = 34  # of a line of text, in characters
_ROOM = 1.15


@in_plain_text
def plot_check(ax: Axes, check: Check) -> Axes:
    """Draw each requirement's estimate and bounds relative to its limit; to the left of the line the limit is kept.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; about half an inch of height per requirement of a policy is enough.
    check : Check

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Notes
    -----
    The distance from the limit is in percent of the limit, or if that is 0 in percent of the largest of estimate and
    bounds. Beyond 100 % the scale is logarithmic. An unknown bound is a dotted line to the edge.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy import check, load_example
    >>> from simdeploy.plotting import plot_check
    >>> scenario = load_example("small-fleet")
    >>> plot_check(Figure().subplots(), check(scenario, requirements="p95 makespan_s <= 2m", most=100)).get_xlabel()
    'distance from the limit (% of the limit; logarithmic beyond 100 %)'
    """
    rows = check.verdicts.to_dict("records")
    unit = find_cost_unit(check.computed_under)
    ax.axvline(0, color="black", linewidth=1.2)
    places = [_place(requirement_of(row), row) for row in rows]
    known = [value for place in places for value in place if not math.isnan(value)]
    left, right = _ROOM * min([-1.0, *known]), _ROOM * max([0.5, *known])
    for height, (row, (estimate, near, far)) in enumerate(zip(rows, places, strict=True)):
        colour, marker = _MARKS[row["verdict"]]
        _write_verdict(ax, height, row, unit)
        if math.isnan(estimate):
            say_no_value(ax, height)
            continue
        for bound, edge in ((near, left), (far, right)):
            is_known = not math.isnan(bound)
            ends, style = (estimate, bound if is_known else edge), "solid" if is_known else "dotted"
            ax.plot(ends, (height, height), color=colour, linewidth=1.8, linestyle=style)
        ax.plot([estimate], [height], linestyle="none", marker=marker, color=colour, markersize=7, clip_on=False)
    set_rows(ax, name_rows(check))
    mark_rows(ax, "requirement", [name_row(row, unit) for row in rows])
    ax.tick_params(axis="y", labelsize="small")
    _set_distance_axis(ax, left, right)
    verdicts = check.verdicts["verdict"]
    title = f"{int(verdicts.eq('met').sum())} of {len(rows)} requirements met"
    title += f" ({percent(check.confidence_level)} confidence each)"
    ax.set_title(wrap_words(ax, title), fontsize="medium", pad=16)
    return ax


def _write_verdict(ax: Axes, height: int, row: Mapping[Hashable, Any], cost_unit: str) -> None:
    """Write the verdict beside a row, bold unless it is "met", and the estimate below it."""
    weight = "normal" if row["verdict"] == "met" else "bold"
    write_beside(ax, height, row["verdict"], va="bottom", fontweight=weight)
    write_beside(ax, height, format_bounds(row, cost_unit), va="top")


def _place(requirement: Requirement, row: Mapping[Hashable, Any]) -> tuple[float, float, float]:
    """Return estimate, near and far bound as distances from the limit; positive ones are beyond it."""
    values = [row[name] for name in ("estimate", "low", "high")]
    scale = abs(requirement.limit) or max((abs(value) for value in values if not math.isnan(value)), default=1.0) or 1.0
    estimate, low, high = ((value - requirement.limit) / scale for value in values)
    # Avoid -0.0, which would be visible in a tick label.
    return (estimate, low, high) if requirement.at_least is None else (0.0 - estimate, 0.0 - high, 0.0 - low)


def name_rows(check: Check) -> list[str]:
    """Return the label of each row: policy, measure and limit, each on a separate line."""
    labels, unit = [], find_cost_unit(check.computed_under)
    for row in check.verdicts.to_dict("records"):
        requirement = requirement_of(row)
        names = (row["policy"], describe_measure(requirement.measure))
        labels.append("\n".join([*(wrap_name(name, _WIDTH) for name in names), describe_limit(requirement, unit)]))
    return labels


def _set_distance_axis(ax: Axes, left: float, right: float) -> None:
    set_symlog_axis(ax, 1, left, right, lambda value: f"{100 * value:+,.0f} %" if value else "limit")
    ax.tick_params(axis="x", labelsize="small")
    scale = "; logarithmic beyond 100 %" if max(-left, right) > _ROOM else ""
    ax.set_xlabel(f"distance from the limit (% of the limit{scale})", fontsize="small")
    # Above the axes, because there may be marks anywhere in them.
    write_above(ax, 0, "\N{LEFTWARDS ARROW} within", ha="right", offset_pt=-4)
    write_above(ax, 0, "beyond \N{RIGHTWARDS ARROW}", ha="left", offset_pt=4)
