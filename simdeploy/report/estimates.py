"""Estimates of any measure in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.tables import Column, make_table, measure_columns, spread
from simdeploy.report.wording import find_cost_unit, percent, scale_of, write_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.report.wording import Scale
    from simdeploy.result import Table


def tell(found: Estimates) -> str:
    """Say of the first measure where it is lowest and where it is highest."""
    measure = found.measures[0]
    rows = found.estimates[found.estimates["measure"].eq(str(measure))]
    name = describe_measure(measure)
    if rows["estimate"].isna().all():
        return f"No replication says anything of {name}."
    scale = scale_of(measure, rows["estimate"], find_cost_unit(found.computed_under))
    told = tell_range(name, rows, name_cases(rows, found.case_columns), scale)
    return f"{told}, with {percent(found.confidence_level)} intervals."


def tell_range(name: str, rows: pd.DataFrame, cases: Sequence[str], scale: Scale) -> str:
    """Say from what to what estimates go, and where; at least one of them isn't missing."""
    ends = dict.fromkeys(int(place) for place in (rows["estimate"].argmin(), rows["estimate"].argmax()))
    words = " to ".join(f"{write_estimate(rows.iloc[place], scale)} under {cases[place]}" for place in ends)
    return f"{name[0].upper()}{name[1:]}: {'from ' if len(ends) > 1 else ''}{words}"


def tabulate(found: Estimates) -> tuple[Table, ...]:
    """Return one table: a line for each case, a column for each measure."""
    rows = found.estimates.assign(named=name_cases(found.estimates, found.case_columns))
    frame = spread(rows, "named", "measure")
    title = f"Estimates with {percent(found.confidence_level)} intervals"
    what = "case" if "case" in found.case_columns else "policy"
    columns = [Column("named", what), *measure_columns(found.measures)]
    return (make_table(title, frame, columns, find_cost_unit(found.computed_under)),)
