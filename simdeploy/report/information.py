"""What it is worth to know the world, or the kind of release, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.costs.knowing import KIND, WORLD
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import cost_scale, find_cost_unit, percent, say_unknown, write_estimate

if TYPE_CHECKING:
    from simdeploy.analysis.costs.information import InformationResult
    from simdeploy.result import Table


def tell(result: InformationResult) -> str:
    """Say what knowing would save."""
    scale = cost_scale(find_cost_unit(result.computed_under))
    told = {row["information"]: write_estimate(row, scale) for row in result.values.to_dict("records")}
    unknown = say_unknown(result.unknown_fractions, "cost")
    return (
        f"{f'{unknown}. Among the others knowing' if unknown else 'Knowing'} the kind of release beforehand would save "
        f"{told[KIND]} against {result.policy} for all; knowing all that will happen, {told[WORLD]}, at "
        f"{percent(result.confidence_level)} confidence."
    )


def tabulate(result: InformationResult) -> tuple[Table, ...]:
    """Return both values, and what would be done for each kind of release."""
    title = f"What it is worth to know, with {percent(result.confidence_level)} intervals"
    of_kinds = f"The cheapest policy for each kind of release, against {result.policy} for all"
    unit = find_cost_unit(result.computed_under)
    values = (Column("information", "known"), Column("estimate", "saved", "estimate", cost_scale(unit)))
    kinds = (
        Column("release", "release"),
        Column("share", "share", "share"),
        Column("policy", "policy"),
        *(Column(name, f"{name} {unit}".rstrip(), "number") for name in ("cost", "saved")),
    )
    return make_table(title, result.values, values), make_table(of_kinds, result.kinds, kinds)
