"""The precision of estimates, in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.errors import plural
from simdeploy.report.formatting import (
    Scale,
    difference_scale,
    find_cost_unit,
    format_amount,
    measure_scale,
    percent,
)
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import case_noun, join_answer, say_needed

if TYPE_CHECKING:
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.analysis.estimates.targets import Target
    from simdeploy.report.formatting import Row
    from simdeploy.result import Table
    from simdeploy.scenario.measures import Measure

_COLUMNS = (
    Column("estimate", "estimate", "estimate", scale="scale"),
    Column("width", "half-width"),
    Column("asked", "required"),
    Column("reached", "reached"),
)


def tell(result: Precision[Any]) -> str:
    """Say whether the replications were enough, and which estimate is the hardest if not."""
    used = f"{plural(result.n_replications, 'replication')} per {case_noun(result.case_columns)}"
    if result.is_reached:
        targets = ", ".join(_describe(target, find_cost_unit(result.computed_under)) for target in result.targets)
        start = f"{used} are enough"
        return join_answer([[f"{start}: {targets} ({percent(result.confidence_level)} CI)", start]])
    place = int(result.estimates["is_hardest"].argmax())
    hardest = result.estimates.iloc[place]
    case = name_cases(result.estimates, result.case_columns)[place]
    measure, needed = describe_measure(_find_target(result, hardest["measure"]).measure), hardest["n_needed"]
    about = f"; {say_needed(needed, result.computed_under, '')}" if needed > result.n_replications else ""
    n_missed = int((~result.estimates["is_reached"]).sum())
    start = f"{n_missed:,} of {len(result.estimates):,} estimates are not precise enough after {used} (limit {result.most:,})"
    why = f"({hardest['reason']}{about})"
    return join_answer(
        [start, [f"Hardest: {measure} for {case} {why}", f"Hardest: {measure} {why}", f"Hardest: {measure}"]]
    )


def tabulate(result: Precision[Any]) -> tuple[Table, ...]:
    """Return a row for each case and measure."""
    names, unit = name_cases(result.estimates, result.case_columns), find_cost_unit(result.computed_under)
    rows = []
    for name, row in zip(names, result.estimates.to_dict("records"), strict=True):
        target = _find_target(result, row["measure"])
        row["named"] = f"{name}: {describe_measure(target.measure)}"
        rows.append(row | _say_reached(row, target, unit))
    title = f"Precision ({percent(result.confidence_level)} CI)"
    return (make_table(title, rows, [Column("named", f"{case_noun(result.case_columns)} and measure"), *_COLUMNS]),)


def _find_target(result: Precision[Any], measure: str) -> Target:
    return next(target for target in result.targets if str(target.measure) == measure)


def _say_reached(row: Row, target: Target, cost_unit: str) -> dict[str, Any]:
    """Write the precision reached and required, both in one unit."""
    measure, width = target.measure, row["half_width"]
    scale = _width_scale(measure, width if target.is_relative else max(width, target.half_width), cost_unit)
    return {
        "scale": measure_scale(measure, row["estimate"], cost_unit),
        "width": format_amount(width, scale),
        "asked": _write_target(target, scale, "relative"),
        "reached": "yes" if row["is_reached"] else f"no: {row['reason']}",
    }


def _describe(target: Target, cost_unit: str) -> str:
    scale = _width_scale(target.measure, target.half_width, cost_unit)
    return f"{describe_measure(target.measure)} to {_write_target(target, scale, 'of its value')}"


def _write_target(target: Target, scale: Scale, relative: str) -> str:
    return f"{percent(target.half_width)} {relative}" if target.is_relative else format_amount(target.half_width, scale)


def _width_scale(measure: Measure, width: float, cost_unit: str) -> Scale:
    """Return the scale of a half-width, which is a difference."""
    return difference_scale(measure_scale(measure, width, cost_unit))
