"""How precise estimates are, and what is not precise enough, in words and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import Scale, difference_scale, find_cost_unit, format_amount, measure_scale, percent

if TYPE_CHECKING:
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.analysis.estimates.targets import Target
    from simdeploy.report.wording import Row
    from simdeploy.result import Table
    from simdeploy.scenario.measures import Measure

_COLUMNS = (
    Column("measure", "measure"),
    Column("estimate", "estimate", "estimate", scale="scale"),
    Column("width", "half-width"),
    Column("asked", "asked"),
    Column("reached", "reached"),
)


def tell(found: Precision[Any]) -> str:
    """Say how many replications it took, and what is not precise enough."""
    what = "case" if "case" in found.case_columns else "policy"
    used = f"{found.n_replications:,} replications of each {what}"
    if found.is_reached:
        asked = ", ".join(_describe(target, find_cost_unit(found.computed_under)) for target in found.targets)
        return f"{used} were enough: {asked}, with {percent(found.confidence_level)} intervals."
    place = int(found.estimates["is_hardest"].argmax())
    hardest = found.estimates.iloc[place]
    under = name_cases(found.estimates, found.case_columns)[place]
    measure, needed = describe_measure(_find_target(found, hardest["measure"]).measure), hardest["n_needed"]
    about = f"; about {_round_up(needed):,} would do" if needed > found.n_replications else ""
    n_missed = int((~found.estimates["is_reached"]).sum())
    return (
        f"{used}, as many as {found.most:,} at most allow, were too few for {n_missed} of "
        f"{len(found.estimates)} estimates: hardest is {measure} under {under} ({hardest['reason']}{about})."
    )


def tabulate(found: Precision[Any]) -> tuple[Table, ...]:
    """Return one table: a line for each case and measure."""
    names, unit = name_cases(found.estimates, found.case_columns), find_cost_unit(found.computed_under)
    rows = [
        {**row, "named": name, **_say_reached(row, _find_target(found, row["measure"]), unit)}
        for name, row in zip(names, found.estimates.to_dict("records"), strict=True)
    ]
    what = "case" if "case" in found.case_columns else "policy"
    title = f"Precision with {percent(found.confidence_level)} intervals"
    return (make_table(title, rows, [Column("named", what), *_COLUMNS]),)


def _find_target(found: Precision[Any], measure: str) -> Target:
    return next(target for target in found.targets if str(target.measure) == measure)


def _say_reached(row: Row, target: Target, cost_unit: str) -> dict[str, Any]:
    """Write how precise an estimate is and was to be, both in one unit."""
    measure, width = target.measure, row["half_width"]
    scale = _width_scale(measure, width if target.is_relative else max(width, target.half_width), cost_unit)
    return {
        "measure": describe_measure(measure),
        "scale": measure_scale(measure, row["estimate"], cost_unit),
        "width": format_amount(width, scale),
        "asked": f"{percent(target.half_width)} relative"
        if target.is_relative
        else format_amount(target.half_width, scale),
        "reached": "yes" if row["is_reached"] else f"no: {row['reason']}",
    }


def _describe(target: Target, cost_unit: str) -> str:
    scale = _width_scale(target.measure, target.half_width, cost_unit)
    amount = (
        f"{percent(target.half_width)} of itself" if target.is_relative else format_amount(target.half_width, scale)
    )
    return f"{describe_measure(target.measure)} to {amount}"


def _width_scale(measure: Measure, width: float, cost_unit: str) -> Scale:
    """Return how a half-width is shown: it is a difference."""
    return difference_scale(measure_scale(measure, width, cost_unit))


def _round_up(n: float) -> int:
    """Round to two digits, upwards: it is an estimate."""
    unit = int(10 ** max(math.floor(math.log10(n)) - 1, 0))
    return math.ceil(n / unit) * unit
