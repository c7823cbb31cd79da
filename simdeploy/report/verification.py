"""Whether the engines agree with the closed forms and with each other, in a sentence and as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.result import Table
from simdeploy.validation.verification.comparing import WITHIN

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.validation.verification.verifying import Verification


def tell(found: Verification) -> str:
    """Say whether all is well, what is wrong, and which engine was not tried."""
    comparisons = found.comparisons
    tried = comparisons.dropna(subset="ok")
    untried = comparisons[comparisons["ok"].isna()].drop_duplicates("engine").to_dict("records")
    left_out = "".join(f" The {row['engine']} engine was not tried: {row['note']}." for row in untried)
    if tried.empty:
        return left_out.strip()
    names, n_both = tried["engine"].unique(), int(found.agreement["rollouts"].sum())
    if not found.is_ok:
        return f"Something is wrong: {_tell_wrong(found, tried, n_both)}.{left_out}"
    who = f"The {names[0]} engine agrees" if len(names) == 1 else "Both engines agree"
    other = f", and with each other in all {n_both:,} rollouts" if n_both else ""
    return f"{who} with the closed forms in all {len(tried)} comparisons{other}.{left_out}"


def tabulate(found: Verification) -> tuple[Table, ...]:
    """Return the comparisons in words, and the cases in which the engines differ, if there are any."""
    header = ("case", "quantity", "closed form", "engine", "rollouts", "mean", "standard error", "distance", "ok")
    rows = tuple(_words(row) for row in found.comparisons.to_dict("records"))
    title = f"Means, which lie within {WITHIN:g} standard errors of the closed forms if all is well"
    comparisons = Table(title, header, rows)
    apart = found.agreement[found.agreement["ok"].eq(other=False)].to_dict("records")
    if not apart:
        return (comparisons,)
    columns = ("case", "rollouts", "different", "the first: reference and compiled")
    cells = tuple((row["case"], f"{row['rollouts']:,}", f"{row['different']:,}", row["note"]) for row in apart)
    return comparisons, Table("Where the engines differ", columns, cells)


def _tell_wrong(found: Verification, tried: pd.DataFrame, n_both: int) -> str:
    missed, n_apart = tried[tried["ok"].eq(other=False)], int(found.agreement["different"].sum())
    said = []
    if len(missed):
        who = " and ".join(f"the {name} engine" for name in missed["engine"].unique())
        said.append(f"{who} missed {len(missed)} of {len(tried)} comparisons with closed forms")
    if n_apart:
        said.append(f"the engines differ in {n_apart:,} of {n_both:,} rollouts")
    return " and ".join(said)


def _words(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the cells of a comparison; few digits, for they are to be compared by eye."""
    names = ("closed_form", "estimate", "standard_error")
    closed_form, estimate, standard_error = ("" if math.isnan(row[name]) else f"{row[name]:.4g}" for name in names)
    distance = "" if math.isnan(row["distance"]) else f"{row['distance']:.1f}"
    if row["standard_error"] == 0:
        standard_error = "none"
    # What was not tried compares as neither true nor false.
    ok = "yes" if row["ok"] is True else "not tried" if row["ok"] is not False else "NO"
    ok += f": {row['note']}" if row["note"] else ""
    rollouts = f"{row['rollouts']:,}"
    return row["case"], row["quantity"], closed_form, row["engine"], rollouts, estimate, standard_error, distance, ok
