"""Estimates of any measure in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, name_cases
from simdeploy.report.wording import format_estimate, measure_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from simdeploy.analysis.estimates.estimating import Estimates
    from simdeploy.report.wording import Scale


def tell(found: Estimates) -> str:
    """Say of the first measure where it is lowest and where it is highest."""
    measure = found.measures[0]
    rows = found.estimates[found.estimates["measure"].eq(str(measure))]
    name = describe_measure(measure)
    if rows["estimate"].isna().all():
        return f"No replication says anything of {name}."
    scale = measure_scale(measure, float(rows["estimate"].max()))
    told = tell_range(name, rows, name_cases(rows, found.case_columns), scale)
    return f"{told}, with {100 * found.confidence_level:g} % intervals."


def tell_range(name: str, rows: pd.DataFrame, cases: Sequence[str], scale: Scale) -> str:
    """Say from what to what estimates go, and where; at least one of them isn't missing."""
    written = format_rows(rows, scale)
    ends = dict.fromkeys(int(place) for place in (rows["estimate"].argmin(), rows["estimate"].argmax()))
    words = " to ".join(f"{written[place]} under {cases[place]}" for place in ends)
    return f"{name[0].upper()}{name[1:]}: {'from ' if len(ends) > 1 else ''}{words}"


def tabulate(found: Estimates) -> tuple[Table, ...]:
    """Return one table: a line for each case, a column for each measure."""
    of_measure = [found.estimates[found.estimates["measure"].eq(str(measure))] for measure in found.measures]
    columns = [
        format_rows(rows, measure_scale(measure, float(rows["estimate"].max())))
        for measure, rows in zip(found.measures, of_measure, strict=True)
    ]
    names = name_cases(of_measure[0], found.case_columns)
    title = f"Estimates with {100 * found.confidence_level:g} % intervals"
    header = ("case" if "case" in found.case_columns else "policy", *map(describe_measure, found.measures))
    return (Table(title, header, tuple(zip(names, *columns, strict=True))),)


def format_rows(rows: pd.DataFrame, scale: Scale) -> list[str]:
    """Write each row's estimate with its interval."""
    triples = zip(rows["estimate"], rows["low"], rows["high"], strict=True)
    return [format_estimate(*triple, scale) for triple in triples]
