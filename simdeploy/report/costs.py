"""The cost of rollouts in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.scenario.measures import Measure
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.analysis.costs.causes import CostResult
    from simdeploy.result import Table

_COLUMNS = (
    Column("named", "policy"),
    *(Column(cause, LABELS[cause][0], "stacked estimate", Measure(cause)) for cause in COSTS),
)


_SHOWN_IF_ANY = ("cost_unrestored_nodes", "cost_lost_requests", "cost_shed_requests")


def tell(result: CostResult) -> str:
    """Say which case has the lowest mean cost, its largest cause, and where the cost is unknown or replications failed."""
    totals = result.totals
    names, fractions = name_cases(totals, result.case_columns), totals["unknown_fraction"]
    unknown = wording.say_unknown(dict(zip(names, fractions, strict=True)), "cost")
    if totals["is_cheapest"].any():
        # If no rollout is without an end, those left out have failed.
        return wording.join_answer([_tell_cheapest(result, names), unknown or wording.say_failed(result.n_left_out)])
    return wording.join_answer([unknown or "No rollout ended, so the cost is unknown"])


def _tell_cheapest(result: CostResult, names: list[str]) -> str:
    totals, unit = result.totals, formatting.find_cost_unit(result.computed_under)
    place = totals["is_cheapest"].tolist().index(True)
    has_unknown = totals["unknown_fraction"].gt(0)
    is_compared = (totals["estimate"].notna() & ~has_unknown).sum() > 1
    among = "Of the cases with known cost, " if has_unknown.any() and is_compared else ""
    amount = formatting.write_estimate(totals.iloc[place], formatting.cost_scale(unit), level=result.confidence_level)
    start = f"{among}{names[place]} has the lowest mean cost" if is_compared else f"Mean cost of {names[place]}"
    text = f"{start}: {amount}"
    largest = result.parts[result.parts["is_cheapest"] & result.parts["is_largest_cause"]]
    if largest.empty:
        return text
    cause = wording.name_cause(largest["cause"].item())
    share = formatting.format_number(largest["estimate"].item(), largest["half_width"].item())
    return f"{text}. Largest cause: {cause}, {share} {unit}".rstrip()


def tabulate(result: CostResult) -> tuple[Table, ...]:
    """Return the cost of each case by cause; unrestored nodes, lost and shed requests are shown only if they cost anything."""
    is_free = result.parts["estimate"].eq(0).groupby(result.parts["cause"]).all()
    # Results of older versions lack the latest causes.
    is_left_out = [name for name in _SHOWN_IF_ANY if is_free.get(name, True)]
    columns = tuple(column for column in _COLUMNS if column.name not in is_left_out)
    parts = result.parts.assign(named=name_cases(result.parts, result.case_columns))
    title = f"Cost per rollout by cause ({formatting.percent(result.confidence_level)} CI)"
    unit = formatting.find_cost_unit(result.computed_under)
    return (make_table(title, spread(parts, "named", "cause"), columns, unit),)
