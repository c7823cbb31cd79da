"""The cases of a sweep, in words and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, format_factor, name_cases, shorten_names
from simdeploy.analysis.estimates.grid import MEANS, PROPORTIONS, GridSummary
from simdeploy.errors import plural
from simdeploy.report.estimates import tell_range
from simdeploy.report.formatting import RATE, Scale, interval_names, percent, response_scale, trust_name
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import join_answer

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.result import Table

# The quantities that a change review needs; `cells` has the others.
SHOWN = ("false_alarm", "escape", "completed_makespan_s", "failed_requests_excess")
TITLES = {"false_alarm": "false alarms", "escape": "escapes", "completed_makespan_s": "makespan if completed"}


def tell(summary: GridSummary) -> str:
    """Say where false alarms, or else the next known quantity, are lowest and highest."""
    cells = summary.cells
    known = [name for name in SHOWN if cells.get(f"{name}_estimate", cells["case"] * math.nan).notna().any()]
    n = plural(len(cells), "case")
    if not known:
        return join_answer([f"No replication of {n} has a value"])
    name = known[0]
    names = [*interval_names(f"{name}_estimate"), trust_name(f"{name}_estimate")]
    rows = cells[names].set_axis(["estimate", "low", "high", "is_trusted"], axis="columns")
    cases = name_cases(cells, ["scenario", "policy", *summary.factors])
    title = f"{quantity_title(name)} in {n}"
    return join_answer([tell_range(title, rows, cases, quantity_scale(name, cells), summary.confidence_level)])


def tabulate(summary: GridSummary) -> tuple[Table, ...]:
    """Return a row for each case, with what was varied and the estimates."""
    cells = summary.cells
    heading, named = name_rows(summary)
    columns = [Column("named", heading)]
    for name in SHOWN:
        if f"{name}_estimate" in cells:
            # The heading has the unit.
            scale = quantity_scale(name, cells)
            heading = f"{quantity_title(name)} {scale.unit}".rstrip()
            columns.append(Column(f"{name}_estimate", heading, "estimate", scale._replace(unit="")))
    title = f"Estimates ({percent(summary.confidence_level)} CI)"
    return (make_table(title, cells.assign(named=named), columns),)


def name_rows(summary: GridSummary) -> tuple[str, list[str]]:
    """Return the heading and the cells of the first column, which identify the case when a wide table is continued."""
    varied = [name for name in ("scenario", "policy") if summary.cells[name].nunique() > 1]
    factors = [*varied, *summary.factors]
    values = [[format_factor(name, value) for value in summary.cells[name]] for name in factors]
    named = [", ".join(words) for words in zip(*values, strict=True)] if factors else map(str, summary.cells["case"])
    return ", ".join([*varied, *shorten_names(summary.factors)]) or "case", [*named]


def quantity_title(name: str) -> str:
    """Name a quantity."""
    return TITLES.get(name) or LABELS[MEANS[name]][0]


def quantity_scale(name: str, cells: pd.DataFrame) -> Scale:
    """Return one scale for all cells of a quantity."""
    return RATE if name in PROPORTIONS else response_scale(MEANS[name], float(cells[f"{name}_estimate"].max()))
