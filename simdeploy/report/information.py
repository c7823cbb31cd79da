"""The value of knowing the world, or the kind of release, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.costs.knowing import KIND, WORLD
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table

if TYPE_CHECKING:
    from simdeploy.analysis.costs.information import InformationResult
    from simdeploy.result import Table


def tell(result: InformationResult) -> str:
    """Say what knowing the kind of release, or everything, would save, and what is left out."""
    unit = formatting.find_cost_unit(result.computed_under)
    rows = {row["information"]: row for row in result.values.to_dict("records")}
    of_kind = formatting.write_estimate(rows[KIND], formatting.cost_scale(unit), level=result.confidence_level)
    unknown = wording.say_unknown(result.unknown_fractions, "cost")
    of_world = formatting.write_estimate(rows[WORLD], formatting.Scale(1, unit))
    saved = (
        f"Knowing the kind of release in advance saves {of_kind} over always using {result.policy}; "
        f"knowing everything saves {of_world}"
    )
    return wording.join_answer([saved, unknown, wording.say_failed(result.n_left_out)])


def tabulate(result: InformationResult) -> tuple[Table, ...]:
    """Return both values, and the cheapest policy for each kind of release."""
    title = f"Value of information ({formatting.percent(result.confidence_level)} CI)"
    of_kinds = f"Policy with the lowest mean cost per kind of release, against always {result.policy}"
    unit = formatting.find_cost_unit(result.computed_under)
    values = (Column("information", "known"), Column("estimate", "saved", "estimate", formatting.cost_scale(unit)))
    kinds = (
        Column("release", "release"),
        Column("share", "share", "share"),
        Column("policy", "policy"),
        *(Column(name, name, "number", formatting.Scale(1, unit)) for name in ("cost", "saved")),
    )
    return make_table(title, result.values, values), make_table(of_kinds, result.kinds, kinds)
