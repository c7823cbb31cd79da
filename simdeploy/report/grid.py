"""The cases of a sweep as a table of words: one line each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, name_cases, shorten_names
from simdeploy.analysis.estimates.grid import MEANS, PROPORTIONS
from simdeploy.report.estimates import tell_range
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import PERCENT, Scale, percent, plural, response_scale

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.estimates.grid import GridSummary
    from simdeploy.result import Table

# What a change review asks for; the rest is in the cells.
SHOWN = ("false_alarm", "escape", "completed_makespan_s", "failed_requests_excess")
TITLES = {"false_alarm": "false alarms", "escape": "escapes", "completed_makespan_s": "makespan if completed"}


def tell(summary: GridSummary) -> str:
    """Say where false alarms, or what there is instead, are lowest and where they are highest."""
    cells = summary.cells
    known = [name for name in SHOWN if cells.get(f"{name}_estimate", cells["case"] * math.nan).notna().any()]
    n = plural(len(cells), "case")
    if not known:
        return f"No replication of {n} says anything."
    name = known[0]
    columns = {f"{name}_{what}": what for what in ("estimate", "low", "high")}
    rows = cells[list(columns)].rename(columns=columns)
    cases = name_cases(cells, ["scenario", "policy", *summary.factors])
    told = tell_range(quantity_title(name), rows, cases, quantity_scale(name, cells))
    return f"{told}, among {n}, with {percent(summary.confidence_level)} intervals."


def tabulate(summary: GridSummary) -> tuple[Table, ...]:
    """Return one table: a line for each case, with what it is and each estimate with its interval."""
    cells = summary.cells
    varied = [name for name in ("scenario", "policy") if cells[name].nunique() > 1]
    headings = [*varied, *shorten_names(summary.factors)]
    columns = [Column("case", "case")]
    columns += [Column(*each, "value") for each in zip([*varied, *summary.factors], headings, strict=True)]
    for name in SHOWN:
        if f"{name}_estimate" in cells:
            # The unit stands above the numbers.
            factor, unit = quantity_scale(name, cells)
            heading = f"{quantity_title(name)} {unit}".rstrip()
            columns.append(Column(f"{name}_estimate", heading, "estimate", Scale(factor, "")))
    return (make_table(f"Estimates with {percent(summary.confidence_level)} intervals", cells, columns),)


def quantity_title(name: str) -> str:
    """Say what a quantity is.

    Examples
    --------
    >>> quantity_title("escape"), quantity_title("makespan_s"), quantity_title("completed_makespan_s")
    ('escapes', 'makespan', 'makespan if completed')
    """
    return TITLES.get(name) or LABELS[MEANS[name]][0]


def quantity_scale(name: str, cells: pd.DataFrame) -> Scale:
    """Return how a quantity is shown: one scale for all cells."""
    return PERCENT if name in PROPORTIONS else response_scale(MEANS[name], float(cells[f"{name}_estimate"].max()))
