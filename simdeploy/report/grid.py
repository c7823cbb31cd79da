"""The cases of a sweep as a table of words: one line each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import LABELS, format_value, name_cases, shorten_names
from simdeploy.analysis.estimates.grid import MEANS, PROPORTIONS
from simdeploy.report.estimates import tell_range
from simdeploy.report.wording import PERCENT, Scale, format_estimate, response_scale
from simdeploy.result import Table

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.estimates.grid import GridSummary

# What a change review asks for; the rest is in the cells.
SHOWN = ("false_alarm", "escape", "completed_makespan_s", "failed_requests_excess")
TITLES = {"false_alarm": "false alarms", "escape": "escapes", "completed_makespan_s": "makespan if completed"}


def tell(summary: GridSummary) -> str:
    """Say where false alarms, or what there is instead, are lowest and where they are highest."""
    cells = summary.cells
    known = [name for name in SHOWN if cells.get(f"{name}_estimate", cells["case"] * math.nan).notna().any()]
    n = f"{len(cells):,} case{'s' * (len(cells) != 1)}"
    if not known:
        return f"No replication of {n} says anything."
    name = known[0]
    columns = {f"{name}_{what}": what for what in ("estimate", "low", "high")}
    rows = cells[list(columns)].rename(columns=columns)
    cases = name_cases(cells, ["scenario", "policy", *summary.factors])
    told = tell_range(quantity_title(name), rows, cases, quantity_scale(name, cells))
    return f"{told}, among {n}, with {100 * summary.confidence_level:g} % intervals."


def tabulate(summary: GridSummary) -> tuple[Table, ...]:
    """Return one table: a line for each case."""
    return (tabulate_grid(summary),)


def tabulate_grid(summary: GridSummary, *, rows: int | None = None) -> Table:
    """Write the cases of a sweep as a table.

    Parameters
    ----------
    summary : GridSummary
    rows : int, optional
        How many cases at most, the first ones; all by default.

    Returns
    -------
    Table
        A line for each case: what it is, and each estimate with its interval.
    """
    cells = summary.cells.head(len(summary.cells) if rows is None else rows)
    named = [name for name in ("scenario", "policy") if summary.cells[name].nunique() > 1]
    header, columns = ["case"], [[str(number) for number in cells["case"]]]
    for name, title in zip([*named, *summary.factors], [*named, *shorten_names(summary.factors)], strict=True):
        header.append(title)
        columns.append([format_value(value) for value in cells[name]])
    for name in SHOWN:
        if f"{name}_estimate" in cells:
            scale = quantity_scale(name, summary.cells)
            header.append(f"{quantity_title(name)} {scale.unit}".rstrip())
            columns.append(_estimates(cells, name, scale))
    title = f"Estimates with {100 * summary.confidence_level:g} % intervals"
    return Table(title, tuple(header), tuple(zip(*columns, strict=True)))


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


def _estimates(cells: pd.DataFrame, name: str, scale: Scale) -> list[str]:
    """Write the estimates of a quantity; their unit stands above them."""
    of_cells = cells[[f"{name}_{what}" for what in ("estimate", "low", "high")]].itertuples(index=False)
    return [format_estimate(estimate, low, high, Scale(scale.factor, "")) for estimate, low, high in of_cells]
