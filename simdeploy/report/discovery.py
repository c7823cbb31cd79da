"""In which worlds a policy breaks, in a sentence, and the boxes, their limits and the path to them as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.sensitivity.responding import NEVER_ENDS, NO_VALUE
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import (
    PERCENT,
    format_estimate,
    join_answer,
    percent,
    plural,
    say_left_out,
    write_estimate,
)

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.discovery.result import Discovery
    from simdeploy.result import Table

_BOXES = (
    Column("box", "box"),
    Column("is_found", "holds", "yes"),
    Column("density", "density", "estimate", PERCENT),
    Column("coverage", "coverage", "estimate", PERCENT),
    Column("mass", "mass", "share"),
    Column("density_outside", "density outside", "share"),
    Column("undecided", "undecided"),
    Column("p_value", "p-value", "p-value"),
)
_LIMITS = (Column("box", "box"), Column("limits", "limit"), Column("quasi_p", "quasi-p-value", "p-value"))
_PATH = (
    Column("step", "step"),
    Column("coverage", "coverage", "share"),
    Column("density", "density", "share"),
    Column("mass", "mass", "share"),
    Column("n_restricted", "factors"),
    Column("limits", "limits"),
)


def tell(result: Discovery) -> str:
    """Say in which worlds the policy breaks, and how much of what breaks that is."""
    subject = "It" if result.policy is None else result.policy
    if result.is_refused:
        return f"Nothing can be said of where {subject} breaks: {_say_left_out(result)}.{_say_remedy(result)}"
    found = result.boxes[result.boxes["is_found"]]
    share = f"{result.n_broken:,} of {result.n_known:,} worlds"
    overall = format_estimate(result.share, result.share_low, result.share_high, PERCENT)
    if not result.n_broken:
        parts = [f"{subject} breaks in none of {result.n_known:,} worlds, {overall}"]
    elif result.n_broken == result.n_known:
        parts = [f"{subject} breaks in all {result.n_known:,} worlds, {overall}"]
    elif found.empty:
        parts = [
            f"{subject} breaks in {share}, {overall}",
            "no box of factors was found that has more of them than chance",
        ]
    else:
        first, *others = (row for _, row in found.iterrows())
        of_first = f"{_density(first)} of the worlds there, {_coverage(first)} of all that break"
        parts = [
            f"{subject} breaks where {first['limits']}: {of_first}",
            *(f"of the rest, where {row['limits']}: {_density(row)}, {_coverage(row)}" for row in others),
            f"in all it breaks in {share}, {overall}",
        ]
    if result.left_out:
        parts.insert(1, _say_left_out(result))
    if n_undecided := int(result.worlds["is_undecided"].sum()):
        n = plural(result.n_replications, "replication")
        parts.append(f"{plural(n_undecided, 'world is', 'worlds are')} undecided with {n}")
    return join_answer(parts, separator="; ", end=".")


def tabulate(result: Discovery) -> tuple[Table, ...]:
    """Return the boxes, their limits, and the path of the first one."""
    tables = []
    if len(result.boxes):
        boxes = result.boxes.assign(undecided=[f"{row.n_undecided} of {row.n}" for row in result.boxes.itertuples()])
        title = f"Boxes in held-out worlds, with {percent(result.confidence_level)} intervals"
        tables += [make_table(title, boxes, _BOXES), make_table("Their limits", result.limits, _LIMITS)]
    path = result.path[result.path["box"].eq(1)]
    if len(path) > 1:
        steps = path.assign(step=path["step"].astype(str) + path["is_chosen"].map({True: " chosen", False: ""}))
        tables.append(make_table("Peeling path of the first box, in the worlds of the search", steps, _PATH))
    return tuple(tables)


def _density(row: pd.Series) -> str:
    return write_estimate(row, PERCENT, "density")


def _coverage(row: pd.Series) -> str:
    return write_estimate(row, PERCENT, "coverage")


def _say_left_out(result: Discovery) -> str:
    return say_left_out(result.left_out, sum(result.left_out.values()), len(result.worlds), "worlds")


def _say_remedy(result: Discovery) -> str:
    if NEVER_ENDS in result.left_out:
        return " Require something that is known of every rollout, such as in_progress <= 1%."
    return " More replications in each world might do." if NO_VALUE in result.left_out else ""
