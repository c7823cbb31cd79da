"""Whether the engines agree with the closed forms and each other, in words and as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer
from simdeploy.validation.verification.verifying import WITHIN, Verification

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.result import Table

# Few digits, so that numbers are easy to compare.
_COMPARISONS = (
    Column("named", "case"),
    Column("closed_form", "closed form", "digits"),
    Column("engine", "engine"),
    Column("rollouts", "rollouts", "count"),
    Column("estimate", "mean", "digits"),
    Column("standard_error", "standard error", "digits"),
    Column("distance", "distance", "number"),
    Column("verdict", "ok"),
)
_APART = (
    Column("case", "case"),
    Column("rollouts", "rollouts", "count"),
    Column("different", "different", "count"),
    Column("note", "first difference: reference and compiled"),
)


def tell(result: Verification) -> str:
    """Say whether the engines agree, what is wrong, and which engine was not tried."""
    comparisons = result.comparisons
    tried = comparisons.dropna(subset="ok")
    untried = comparisons[comparisons["ok"].isna()].drop_duplicates("engine").to_dict("records")
    left_out = [f"The {row['engine']} engine was not tried: {row['note']}" for row in untried]
    if tried.empty:
        return join_answer(left_out)
    names, n_both = tried["engine"].unique(), int(result.agreement["rollouts"].sum())
    if not result.is_ok:
        return join_answer([f"Verification failed: {_tell_wrong(result, tried, n_both)}", *left_out])
    who = f"The {names[0]} engine agrees" if len(names) == 1 else "Both engines agree"
    other = f", and with each other in all {n_both:,} rollouts" if n_both else ""
    return join_answer([f"{who} with the closed forms in all {len(tried)} comparisons{other}", *left_out])


def tabulate(result: Verification) -> tuple[Table, ...]:
    """Return the comparisons, and the cases in which the engines differ."""
    title = f"Means, expected within {WITHIN:g} standard errors of the closed forms"
    rows = [
        {**row, "named": f"{row['case']}: {row['quantity']}", "verdict": _say_verdict(row)}
        for row in result.comparisons.to_dict("records")
    ]
    comparisons = make_table(title, rows, _COMPARISONS)
    apart = result.agreement[result.agreement["ok"].eq(other=False)]
    return (comparisons, make_table("Where the engines differ", apart, _APART)) if len(apart) else (comparisons,)


def _tell_wrong(result: Verification, tried: pd.DataFrame, n_both: int) -> str:
    missed, n_apart = tried[tried["ok"].eq(other=False)], int(result.agreement["different"].sum())
    failures = []
    if len(missed):
        who = " and ".join(f"the {name} engine" for name in missed["engine"].unique())
        failures.append(f"{who} missed {len(missed)} of {len(tried)} comparisons with closed forms")
    if n_apart:
        failures.append(f"the engines differ in {n_apart:,} of {n_both:,} rollouts")
    return " and ".join(failures)


def _say_verdict(row: Mapping[Any, Any]) -> str:
    # Comparisons that were not tried are neither true nor false.
    ok = "yes" if row["ok"] is True else "not tried" if row["ok"] is not False else "NO"
    return f"{ok}: {row['note']}" if row["note"] else ok
