"""What it is worth to know the world, or the kind of release, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.costs.knowing import KIND, WORLD
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import A_ROLLOUT, percent, say_unknown, write_estimate

if TYPE_CHECKING:
    from simdeploy.analysis.costs.information import InformationResult
    from simdeploy.result import Table

_VALUES = (Column("information", "known"), Column("estimate", "saved", "estimate", A_ROLLOUT))
_KINDS = (
    Column("release", "release"),
    Column("share", "share", "share"),
    Column("policy", "policy"),
    Column("cost", "cost", "number"),
    Column("saved", "saved", "number"),
)


def tell(result: InformationResult) -> str:
    """Say what knowing would save."""
    told = {row["information"]: write_estimate(row, A_ROLLOUT) for row in result.values.to_dict("records")}
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
    return make_table(title, result.values, _VALUES), make_table(of_kinds, result.kinds, _KINDS)
