"""Which factors move a response, in words, and their indices as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.left_out import NEVER_ENDS, NO_VALUE
from simdeploy.analysis.asking.naming import describe_measure, name_factors
from simdeploy.analysis.sensitivity.result import RANKED_BY, Sensitivity
from simdeploy.report import formatting, wording
from simdeploy.report.tables import Column, make_table, spread

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.result import Table

_BLOCKS = {"morris": "trajectories", "sobol": "rows"}
_MOST_NAMED = 3
_HEADINGS = {
    "mu_star": "mean absolute effect (mu*)",
    "mu": "mean effect (mu)",
    "sigma": "spread of effects (sigma)",
    "first": "alone (first order)",
    "total": "with interactions (total order)",
}


def tell(result: Sensitivity) -> str:
    """Say which factors move the response most, and which have no effect."""
    subject = say_subject(result)
    left_out = _say_left_out(result) if result.left_out else ""
    if result.is_refused:
        return wording.join_answer([f"What moves {subject} is unknown: {_say_left_out(result)}", _say_remedy(result)])
    if result.is_constant:
        n = len(result.factors)
        if not result.indices["is_trusted"].all():
            text = f"No effect of {f'the {n} factors' if n > 1 else 'the factor'} on {subject} was seen"
        else:
            text = f"None of the {n} factors moves {subject}" if n > 1 else f"The factor doesn't move {subject}"
        return wording.join_answer([f"{text}: it is the same at every point", left_out])
    short, scale = short_names(result), index_scale(result)
    inert = set(result.factors["factor"][result.factors["is_inert"]])
    ranked = result.indices[result.indices["index"].eq(RANKED_BY[result.method])]
    moving = ranked[~ranked["factor"].isin(inert)]
    next_ones = moving.iloc[1:_MOST_NAMED].to_dict("records")
    others = [f"{short[row['factor']]} {formatting.write_estimate(row, scale)}" for row in next_ones]
    without_effect = [short[name] for name in ranked["factor"] if name in inert]
    return wording.join_answer(
        [
            _say_first(result, moving.iloc[0]),
            "" if result.is_first_sure or len(ranked) == 1 else "Another factor may matter as much",
            left_out,
            [f"Next: {'; '.join(others[:n])}" for n in range(len(others), 0, -1)],
            [f"No effect of {names} was seen" for names in wording.list_forms(without_effect)],
        ]
    )


def tabulate(result: Sensitivity) -> tuple[Table, ...]:
    """Return the indices of the factors, the most important first."""
    frame = spread(result.indices, "factor", "index").merge(result.factors, on="factor", how="left")
    columns = [
        Column("factor", "factor"),
        Column("over", "range"),
        *(Column(kind, _HEADINGS[kind], "estimate", index_scale(result)) for kind in result.indices["index"].unique()),
    ]
    title = f"Effects on {say_subject(result)} ({formatting.percent(result.confidence_level)} CI)"
    return (make_table(title, frame.assign(factor=frame["factor"].map(short_names(result))), columns),)


def say_subject(result: Sensitivity) -> str:
    """Name the response."""
    name = "the response" if result.of is None else describe_measure(result.of)
    return name if result.policy is None else f"{name} under {result.policy}"


def short_names(result: Sensitivity) -> dict[str, str]:
    """Return the short names of factors by their full names."""
    names = list(result.factors["factor"])
    return dict(zip(names, name_factors(names), strict=True))


def index_scale(result: Sensitivity) -> formatting.Scale:
    """Return the scale of the indices."""
    if result.method == "sobol":
        return formatting.PERCENT
    if result.of is None:
        return formatting.NO_SCALE
    unit = formatting.find_cost_unit(result.computed_under)
    return formatting.difference_scale(formatting.scale_of(result.of, result.indices["estimate"], unit))


def _say_first(result: Sensitivity, row: pd.Series) -> str:
    scale, level = index_scale(result), result.confidence_level
    most = " most" if len(result.factors) > 1 else ""
    text = f"{short_names(result)[row['factor']]} moves {say_subject(result)}{most}"
    if result.method == "morris":
        return f"{text}: by {formatting.write_estimate(row, scale, level=level)} on average across its range"
    indices = result.indices
    alone = indices[indices["factor"].eq(row["factor"]) & indices["index"].eq("first")].iloc[0]
    alone_share, share = formatting.write_estimate(alone, scale, level=level), formatting.write_estimate(row, scale)
    return f"{text}: alone it explains {alone_share} of the variation, {share} with interactions"


def _say_left_out(result: Sensitivity) -> str:
    n_out = result.n_blocks - result.n_used
    return wording.say_left_out(result.left_out, n_out, result.n_blocks, _BLOCKS[result.method])


def _say_remedy(result: Sensitivity) -> str:
    if NEVER_ENDS in result.left_out:
        return "Choose a measure known for every rollout, such as in_progress or blast_radius"
    return "More replications per point may help" if NO_VALUE in result.left_out else ""
