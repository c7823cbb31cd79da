"""Which factors move a response, in a sentence, and the indices of each as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, name_factors
from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.analysis.sensitivity.result import RANKED_BY
from simdeploy.report.tables import Column, make_table, spread
from simdeploy.report.wording import (
    NO_SCALE,
    PERCENT,
    Scale,
    difference_scale,
    find_cost_unit,
    is_or_are,
    join_words,
    percent,
    say_left_out,
    scale_of,
    write_estimate,
)

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.sensitivity.result import Sensitivity
    from simdeploy.result import Table

_BLOCKS = {"morris": "trajectories", "sobol": "rows"}
_MOST_NAMED = 3
_HEADINGS = {
    "mu_star": "mean absolute effect (mu*)",
    "mu": "mean effect (mu)",
    "sigma": "spread of effects (sigma)",
    "first": "alone (first order)",
    "total": "with all others (total order)",
}


def tell(result: Sensitivity) -> str:
    """Say which factors move the response most, and which don't move it."""
    subject = say_subject(result)
    if result.is_refused:
        return f"Nothing can be said of {subject}: {_say_left_out(result)}.{_say_remedy(result)}"
    if result.is_constant:
        n = len(result.factors)
        text = f"None of the {n} factors moves {subject}" if n > 1 else f"The factor doesn't move {subject}"
        return _end(result, f"{text}: it is the same at every point")
    short, scale = short_names(result), index_scale(result)
    inert = set(result.factors["factor"][result.factors["is_inert"]])
    ranked = result.indices[result.indices["index"].eq(RANKED_BY[result.method])]
    moving = ranked[~ranked["factor"].isin(inert)]
    parts = [_say_first(result, moving.iloc[0])]
    next_ones = moving.iloc[1:_MOST_NAMED].to_dict("records")
    if others := [f"{short[row['factor']]} ({write_estimate(row, scale)})" for row in next_ones]:
        parts.append(f"next {is_or_are(len(others))} {join_words(others)}")
    if not result.is_first_sure:
        parts.append(f"which of them is first isn't sure at {percent(result.confidence_level)}")
    if inert:
        names = join_words([short[name] for name in ranked["factor"] if name in inert])
        parts.append(f"{names} change{'s' if len(inert) == 1 else ''} not one number")
    return _end(result, "; ".join(parts))


def tabulate(result: Sensitivity) -> tuple[Table, ...]:
    """Return the indices of each factor, what moves the response most first."""
    frame = spread(result.indices, "factor", "index").merge(result.factors, on="factor", how="left")
    columns = [
        Column("factor", "factor"),
        Column("over", "varied over"),
        *(Column(kind, _HEADINGS[kind], "estimate", index_scale(result)) for kind in result.indices["index"].unique()),
    ]
    title = f"What moves {say_subject(result)}, with {percent(result.confidence_level)} intervals"
    return (make_table(title, frame.assign(factor=frame["factor"].map(short_names(result))), columns),)


def say_subject(result: Sensitivity) -> str:
    """Say what was looked at."""
    name = "the response" if result.of is None else describe_measure(result.of)
    return name if result.policy is None else f"{name} under {result.policy}"


def short_names(result: Sensitivity) -> dict[str, str]:
    """Return the factors' names as they are told, by their full ones."""
    names = list(result.factors["factor"])
    return dict(zip(names, name_factors(names), strict=True))


def index_scale(result: Sensitivity) -> Scale:
    """Return how indices are shown."""
    if result.method == "sobol":
        return PERCENT
    if result.of is None:
        return NO_SCALE
    return difference_scale(scale_of(result.of, result.indices["estimate"], find_cost_unit(result.computed_under)))


def _say_first(result: Sensitivity, row: pd.Series) -> str:
    scale = index_scale(result)
    text, moves = f"{short_names(result)[row['factor']]} moves {say_subject(result)} most", write_estimate(row, scale)
    if result.method == "morris":
        return f"{text}: from end to end of its range by {moves} on average"
    indices = result.indices
    alone = indices[indices["factor"].eq(row["factor"]) & indices["index"].eq("first")].iloc[0]
    return f"{text}: alone it explains {write_estimate(alone, scale)} of the variance, with all others {moves}"


def _say_left_out(result: Sensitivity) -> str:
    n_out = result.n_blocks - result.n_used
    return say_left_out(result.left_out, n_out, result.n_blocks, _BLOCKS[result.method])


def _say_remedy(result: Sensitivity) -> str:
    if NEVER_ENDS in result.left_out:
        return " Ask for something that is known of every rollout, such as in_progress or blast_radius."
    return " More replications at each point might do." if NO_VALUE in result.left_out else ""


def _end(result: Sensitivity, text: str) -> str:
    return f"{text}; {_say_left_out(result)}." if result.left_out else f"{text}."
