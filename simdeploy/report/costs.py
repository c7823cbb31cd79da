"""What rollouts cost, in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import (
    cost_scale,
    find_cost_unit,
    format_number,
    percent,
    say_unknown,
    write_estimate,
)
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.analysis.costs.causes import CostResult
    from simdeploy.result import Table

_COLUMNS = (
    Column("named", "policy"),
    *(Column(cause, LABELS[cause][0], "stacked estimate", Measure(cause)) for cause in COSTS),
)


def tell(result: CostResult) -> str:
    """Say what the cheapest case costs, and what of it weighs most; and of which cases the cost is unknown."""
    totals = result.totals
    names, fractions = name_cases(totals, result.case_columns), totals["unknown_fraction"]
    unknown = say_unknown(dict(zip(names, fractions, strict=True)), "cost")
    if not totals["is_cheapest"].any():
        return f"{unknown}." if unknown else "No rollout ended: nothing can be said of its cost."
    return f"{unknown}. {_tell_cheapest(result, names)}" if unknown else _tell_cheapest(result, names)


def _tell_cheapest(result: CostResult, names: list[str]) -> str:
    totals, unit = result.totals, find_cost_unit(result.computed_under)
    place = totals["is_cheapest"].tolist().index(True)
    best, has_unknown = totals.iloc[place], totals["unknown_fraction"].gt(0)
    is_compared = (totals["estimate"].notna() & ~has_unknown).sum() > 1
    of_others = "Of the others " if has_unknown.any() and is_compared else ""
    told = write_estimate(best, cost_scale(unit))
    begun = f"{of_others}{names[place]} costs{' least' if is_compared else ''}: {told}"
    largest = result.parts[result.parts["is_cheapest"] & result.parts["is_largest_cause"]]
    if largest.empty:
        return f"{begun}."
    cause, weight = largest["cause"].item(), format_number(largest["estimate"].item(), largest["half_width"].item())
    return f"{begun}; most of it is the {LABELS[cause][0]}, {f'{weight} {unit}'.rstrip()}."


def tabulate(result: CostResult) -> tuple[Table, ...]:
    """Return the cost of each case, split by cause."""
    parts = result.parts.assign(named=name_cases(result.parts, result.case_columns))
    title = f"Cost of a rollout by cause, with {percent(result.confidence_level)} intervals"
    unit = find_cost_unit(result.computed_under)
    return (make_table(title, spread(parts, "named", "cause"), _COLUMNS, unit),)
