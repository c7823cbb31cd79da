"""What rollouts cost, in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, name_cases
from simdeploy.report.wording import A_ROLLOUT, Scale, format_cell, format_estimate, format_number, say_unknown
from simdeploy.result import Table
from simdeploy.vocabulary import COSTS

if TYPE_CHECKING:
    from simdeploy.analysis.costs.causes import CostResult


def tell(result: CostResult) -> str:
    """Say what the cheapest case costs, and what of it weighs most; and of which cases the cost is unknown."""
    totals = result.totals
    names, fractions = name_cases(totals, result.case_columns), totals["unknown_fraction"]
    unknown = say_unknown(dict(zip(names, fractions, strict=True)), "cost")
    if not totals["is_cheapest"].any():
        return f"{unknown}." if unknown else "No rollout ended: nothing can be said of its cost."
    return f"{unknown}. {_tell_cheapest(result, names)}" if unknown else _tell_cheapest(result, names)


def _tell_cheapest(result: CostResult, names: list[str]) -> str:
    totals = result.totals
    place = totals["is_cheapest"].tolist().index(True)
    best, has_unknown = totals.iloc[place], totals["unknown_fraction"].gt(0)
    is_compared = (totals["estimate"].notna() & ~has_unknown).sum() > 1
    told = format_estimate(best["estimate"], best["low"], best["high"], A_ROLLOUT)
    of_others = "Of the others " if has_unknown.any() and is_compared else ""
    begun = f"{of_others}{names[place]} costs{' least' if is_compared else ''}: {told}"
    largest = result.parts[result.parts["is_cheapest"] & result.parts["is_largest_cause"]]
    if largest.empty:
        return f"{begun}."
    cause, weight = largest["cause"].item(), format_number(largest["estimate"].item(), largest["half_width"].item())
    return f"{begun}; most of it is the {LABELS[cause][0]}, {weight}."


def tabulate(result: CostResult) -> tuple[Table, ...]:
    """Return the cost of each case, split by cause."""
    cells = [
        format_cell(estimate, low, high, Scale(1, ""))
        for estimate, low, high in result.parts[["estimate", "low", "high"]].itertuples(index=False)
    ]
    rows = tuple(
        (name, *cells[place * len(COSTS) : (place + 1) * len(COSTS)])
        for place, name in enumerate(name_cases(result.totals, result.case_columns))
    )
    title = f"Cost of a rollout by cause, with {100 * result.confidence_level:g} % intervals"
    return (Table(title, ("policy", *(LABELS[cause][0] for cause in COSTS)), rows),)
