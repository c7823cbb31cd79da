"""Estimates of any measure in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.formatting import find_cost_unit, percent, scale_of, write_estimate
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.report.wording import capitalize, case_noun, join_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.report.formatting import Scale
    from simdeploy.result import Table


def tell(result: Estimates) -> str:
    """Say where the first measure is lowest and highest."""
    measure = result.measures[0]
    rows = result.estimates[result.estimates["measure"].eq(str(measure))]
    name = describe_measure(measure)
    if rows["estimate"].isna().all():
        return join_answer([f"No replication has a value for {name}"])
    scale = scale_of(measure, rows["estimate"], find_cost_unit(result.computed_under))
    return join_answer([tell_range(name, rows, name_cases(rows, result.case_columns), scale, result.confidence_level)])


def tell_range(name: str, rows: pd.DataFrame, cases: Sequence[str], scale: Scale, level: float) -> list[str]:
    """Say where an estimate is lowest and highest (if they differ as written), with and without cases; one value must not be missing."""
    lowest, highest = int(rows["estimate"].argmin()), int(rows["estimate"].argmax())
    low, high = write_estimate(rows.iloc[lowest], scale, level=level), write_estimate(rows.iloc[highest], scale)
    start = capitalize(name)
    written = [write_estimate(row, scale) for _, row in rows.iterrows()]
    if len(rows) > 1 and len(set(written)) == 1:
        return [f"{start}: {low} in each case"]
    known = rows["estimate"].dropna()
    if len(known) > 1 and known.nunique() == 1:
        widest = rows.iloc[int((rows["high"] - rows["low"]).fillna(-1.0).argmax())]
        amount, _, interval = write_estimate(widest, scale, level=level).partition(" (")
        having = "" if len(known) == len(rows) else " with a value"
        return [f"{start}: {amount} in each case{having} (widest interval: {interval}"]
    if lowest == highest:
        return [f"{start}: {low} for {cases[lowest]}", f"{start}: {low}"]
    amounts = [text.partition(" (")[0] for text in written]  # their intervals may differ
    where_low, where_high = (_with_others(at, cases, rows["estimate"].tolist(), amounts) for at in (lowest, highest))
    return [
        f"{start}: lowest {low} for {where_low}, highest {high} for {where_high}",
        f"{start}: lowest {low}, highest {high}",
    ]


def _with_others(at: int, cases: Sequence[str], estimates: Sequence[float], amounts: Sequence[str]) -> str:
    """Name a case, and count the others that have its estimate, exactly or as written."""
    pairs = list(zip(estimates, amounts, strict=True))
    n_others = sum(estimate == estimates[at] or amount == amounts[at] for estimate, amount in pairs) - 1
    return f"{cases[at]} (and {n_others:,} more)" if n_others else cases[at]


def tabulate(result: Estimates) -> tuple[Table, ...]:
    """Return a row for each case, with a column for each measure."""
    rows = result.estimates.assign(named=name_cases(result.estimates, result.case_columns))
    frame = spread(rows, "named", "measure")
    title = f"Estimates ({percent(result.confidence_level)} CI)"
    columns = [Column("named", case_noun(result.case_columns)), *measure_columns(result.measures)]
    return (make_table(title, frame, columns, find_cost_unit(result.computed_under)),)
