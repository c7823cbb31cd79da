"""Requirements beside their limits: how far within or beyond each of them is."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from simdeploy.plotting.style import DARK_GREY, GREEN, GREY, VERMILION, in_plain_text, say_no_value, set_rows, wrap_name
from simdeploy.plotting.wrapping import wrap_words
from simdeploy.report.checking import describe_requirement, format_found, requirement_of
from simdeploy.report.wording import find_cost_unit

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

    from matplotlib.axes import Axes

    from simdeploy.analysis.checking.checking import Check
    from simdeploy.scenario.measures import Requirement

_MARKS = {"met": (GREEN, "o"), "not met": (VERMILION, "D"), "undecided": (GREY, "s")}
_WIDTH = 34  # of a line of words, in characters
_ROOM = 1.15


@in_plain_text
def plot_check(ax: Axes, check: Check) -> Axes:
    """Draw each requirement's estimate and bounds relative to its limit; what is left of the line keeps within it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn on; about half an inch of height per requirement of a policy is enough.
    check : Check

    Returns
    -------
    matplotlib.axes.Axes
        The same.

    Notes
    -----
    The distance from the limit is in percent of the limit, of one that is 0 in percent of the largest of estimate and
    bounds; beyond 100 % the scale is logarithmic. A bound that is unknown is a dotted line to the edge.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.analysis.checking.checking import check
    >>> from simdeploy.plotting import plot_check
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": "1m"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> plot_check(Figure().subplots(), check(scenario, requirements="p95 makespan_s <= 2m", most=100)).get_xlabel()
    'distance from the limit (% of the limit)'
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
    set_rows(ax, [_name(row, unit) for row in rows])
    ax.tick_params(axis="y", labelsize="small")
    _set_distance_axis(ax, left, right)
    verdicts = check.verdicts["verdict"]
    title = f"{int(verdicts.eq('met').sum())} of {len(rows)} requirements met"
    title += f" ({100 * check.confidence_level:g} % confidence each)"
    ax.set_title(wrap_words(ax, title), fontsize="medium", pad=16)
    return ax


def _write_verdict(ax: Axes, height: int, row: Mapping[Hashable, Any], cost_unit: str) -> None:
    """Write beside a row what was found, and the verdict, which is heavy unless all is well."""
    weight = "normal" if row["verdict"] == "met" else "bold"
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": "small"}
    ax.annotate(row["verdict"], (1.02, height), xytext=(0, 1), va="bottom", fontweight=weight, **place)
    ax.annotate(format_found(row, cost_unit), (1.02, height), xytext=(0, -1), va="top", **place)


def _place(requirement: Requirement, row: Mapping[Hashable, Any]) -> tuple[float, float, float]:
    """Return estimate, near and far bound as distances from the limit; positive ones are beyond it."""
    values = [row[name] for name in ("estimate", "low", "high")]
    scale = abs(requirement.limit) or max((abs(value) for value in values if not math.isnan(value)), default=1.0) or 1.0
    estimate, low, high = ((value - requirement.limit) / scale for value in values)
    # Without a minus zero, whose tick would read so.
    return (estimate, low, high) if requirement.at_least is None else (0.0 - estimate, 0.0 - high, 0.0 - low)


def _name(row: Mapping[Hashable, Any], cost_unit: str) -> str:
    required = describe_requirement(requirement_of(row), cost_unit)
    measure, sign, limit = re.split(r" (at most|at least) ", required)
    return "\n".join([*(wrap_name(text, _WIDTH) for text in (row["policy"], measure)), f"{sign} {limit}"])


def _set_distance_axis(ax: Axes, left: float, right: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("symlog", linthresh=1, linscale=1)
    ax.set_xlim(left, right)
    # As many as find room beside each other.
    sizes = [10.0**power for power in range(math.floor(math.log10(max(-left, right))) + 1)]
    sizes = [0.5, *sizes] if len(sizes) < 3 else sizes
    ticks = [0.0, *sizes, *(-size for size in sizes)]
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if left <= tick <= right]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+,.0f} %" if value else "limit"))
    ax.tick_params(axis="x", labelsize="small")
    ax.set_xlabel("distance from the limit (% of the limit)", fontsize="small")
    # Above the axes: there may be a mark anywhere in them.
    for words, side, offset_pt in (
        ("\N{LEFTWARDS ARROW} within", "right", -4),
        ("beyond \N{RIGHTWARDS ARROW}", "left", 4),
    ):
        ax.annotate(
            words, (0, 1), xytext=(offset_pt, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=side, va="bottom", fontsize="small", color=DARK_GREY,
        )  # fmt: skip
