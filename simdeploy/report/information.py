"""What it is worth to know the world, or the kind of release, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.analysis.costs.knowing import KIND, WORLD
from simdeploy.report.wording import A_ROLLOUT, PERCENT, format_estimate, format_number, say_unknown
from simdeploy.result import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simdeploy.analysis.costs.information import InformationResult


def tell(result: InformationResult) -> str:
    """Say what knowing would save."""
    told = {row["information"]: _told(row) for row in result.values.to_dict("records")}
    unknown = say_unknown(result.unknown_fractions, "cost")
    return (
        f"{f'{unknown}. Among the others knowing' if unknown else 'Knowing'} the kind of release beforehand would save "
        f"{told[KIND]} against {result.policy} for all; knowing all that will happen, {told[WORLD]}, at "
        f"{100 * result.confidence_level:g} % confidence."
    )


def tabulate(result: InformationResult) -> tuple[Table, ...]:
    """Return both values, and what would be done for each kind of release."""
    title = f"What it is worth to know, with {100 * result.confidence_level:g} % intervals"
    values = tuple((row["information"], _told(row)) for row in result.values.to_dict("records"))
    kinds = tuple(
        (
            row["release"],
            f"{format_number(PERCENT.factor * row['share'], math.nan)} {PERCENT.unit}",
            row["policy"],
            format_number(row["cost"], math.nan),
            format_number(row["saved"], math.nan),
        )
        for row in result.kinds.to_dict("records")
    )
    of_kinds = f"The cheapest policy for each kind of release, against {result.policy} for all"
    return (
        Table(title, ("known", "saved"), values),
        Table(of_kinds, ("release", "share", "policy", "cost", "saved"), kinds),
    )


def _told(row: Mapping[Any, Any]) -> str:
    return format_estimate(row["estimate"], row["low"], row["high"], A_ROLLOUT)
