"""Tables for people.

A report declares the columns of a table, and `make_table` writes every cell:

>>> import pandas as pd
>>> columns = (
...     Column("policy", "policy"),
...     Column("n", "rollouts", "count"),
...     Column("estimate", "makespan", "estimate", Scale(1 / 60, "min")),
... )
>>> frame = pd.DataFrame({"policy": ["waves"], "n": [1200], "estimate": [600.0], "low": [540.0], "high": [660.0]})
>>> make_table("Estimates", frame, columns).rows
(('waves', '1,200', '10.0 min (9.0 to 11.0)'),)

The interval of `estimate` is in the columns `low` and `high`, that of `cost` in `cost_low` and `cost_high`. `spread` converts
rows per policy and measure to a column per measure. Missing cells are blank; missing estimates are "no value".
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from simdeploy.analysis.asking.naming import describe_measure, format_value
from simdeploy.report.formatting import (
    NO_SCALE,
    UNTRUSTED,
    Scale,
    difference_scale,
    interval_names,
    scale_of,
    trust_name,
    write_estimate,
)
from simdeploy.result import Table, list_rows
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.report.formatting import Row

Kind = Literal[
    "text",
    "value",
    "count",
    "number",
    "digits",
    "p-value",
    "share",
    "yes",
    "estimate",
    "difference",
    "stacked estimate",
    "stacked difference",
]

# Kinds of cells without intervals.
_WRITERS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "value": format_value,
    "count": "{:,}".format,
    "digits": "{:.4g}".format,
    "p-value": "{:.2g}".format,
    "share": lambda share: f"{100 * share:.1f} %",
    "yes": lambda is_so: "yes" if is_so else "no",
}


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str  # the frame's column
    heading: str
    # A text; the value of a factor; a count; a number with one decimal, or four digits; a p-value; a share as a
    # percentage; yes or no; an estimate with its interval, or a difference, with a sign and percentages in points;
    # stacked, the interval is on a line below.
    kind: Kind = "text"
    # Scale of a number, estimate or difference, whose unit is in the cells; a measure means a scale that fits all rows, a name a column with the scale of
    # each row.
    scale: Scale | Measure | str = NO_SCALE
    interval: str = ""  # as for `write_estimate`: "estimate" if it is in `low` and `high`, whatever the estimate's name
    below: str = ""  # a column of text for a second line in each cell


def make_table(
    title: str, frame: pd.DataFrame | list[dict[Any, Any]], columns: Iterable[Column], cost_unit: str = ""
) -> Table:
    """Write a frame, or its rows, as a table; costs are in `cost_unit`.

    Columns that are blank in all rows are left out. Without rows, the table has only its header.

    Examples
    --------
    >>> rows = [{"share": 0.25, "why": ""}, {"share": float("nan"), "why": ""}]
    >>> make_table("Kinds", rows, [Column("share", "share", "share"), Column("why", "why")])
    Table(title='Kinds', header=('share',), rows=(('25.0 %',), ('',)))
    """
    import pandas as pd

    columns = list(columns)
    # A list without rows doesn't name its columns.
    names = dict.fromkeys(name for column in columns for name in (column.name, column.below) if name)
    frame = pd.DataFrame(frame) if len(frame) else pd.DataFrame(columns=list(names))
    rows = list_rows(frame)
    written = [(column, _write_cells(frame, rows, column, cost_unit)) for column in columns]
    shown = [(column.heading, cells) for column, cells in written if any(cells) or not rows]
    marks = (UNTRUSTED, f"({UNTRUSTED}", f"\n{UNTRUSTED}")
    if any(cell.startswith(marks[0]) or marks[1] in cell or marks[2] in cell for _, cells in shown for cell in cells):
        title = f"{title}; {UNTRUSTED}: interval may be too narrow"
    return Table(title, tuple(heading for heading, _ in shown), tuple(zip(*(cells for _, cells in shown), strict=True)))


def tabulate_pairs(title: str, heading: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names, under a heading, and their values.

    Examples
    --------
    >>> tabulate_pairs("Responses", "response", [("waves", "3")])
    Table(title='Responses', header=('response', 'value'), rows=(('waves', '3'),))
    """
    return Table(title, (heading, "value"), tuple(pairs))


def _write_cells(frame: pd.DataFrame, rows: list[dict[Any, Any]], column: Column, cost_unit: str) -> list[str]:
    scale = column.scale
    scale = scale_of(scale, frame[column.name], cost_unit) if isinstance(scale, Measure) else scale
    cells = [
        _write_cell(row, column, row[scale] if isinstance(scale, str) else scale, is_missing=is_missing)
        for row, is_missing in zip(rows, frame[column.name].isna(), strict=True)
    ]
    if column.below:
        cells = ["\n".join(filter(None, lines)) for lines in zip(cells, frame[column.below], strict=True)]
    return cells


def _write_cell(row: Row, column: Column, scale: Scale, *, is_missing: bool) -> str:
    if row.get(f"{column.name}_unknown_fraction", 0) > 0:
        return "unknown"
    if is_missing and column.kind not in ("value", "estimate", "stacked estimate"):
        return ""
    if column.kind in _WRITERS:
        return _WRITERS[column.kind](row[column.name])
    if column.kind == "number":
        return f"{row[column.name] * scale.factor:,.1f} {scale.unit}".rstrip()
    is_difference = column.kind.endswith("difference")
    if is_difference:
        scale = difference_scale(scale)._replace(is_rate=scale.is_rate)  # of exact rates, it is exact
    text = write_estimate(row, scale, column.name, interval=column.interval, sign=is_difference)
    return text.replace(" (", "\n").rstrip(")") if column.kind.startswith("stacked") else text


def spread(
    frame: pd.DataFrame,
    rows: str,  # the column whose values become rows
    columns: str,  # the column whose values become columns; both together identify a row
    *,
    # The estimate to spread, with its interval: into `cost`, `cost_low` and `cost_high` for "cost".
    of: str = "estimate",
    also: Sequence[str] = (),  # further columns to spread: `n` into `cost_n`
) -> pd.DataFrame:
    """Return a frame with a row for each value of one column, and columns for each value of another.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"policy": ["b", "a"], "of": "cost", "estimate": [1, 3], "low": [0, 2], "high": [2, 4]})
    >>> spread(frame, "policy", "of")
      policy  cost  cost_low  cost_high
    0      b     1         0          2
    1      a     3         2          4
    """
    import numpy as np
    import pandas as pd

    trusted = [trust_name(of)] if trust_name(of) in frame else []
    ends = ("", "_low", "_high", *("_is_trusted" for _ in trusted), *(f"_{each}" for each in also))
    cells = [frame[name].values for name in (*interval_names(of), *trusted, *also)]
    # The row of the result to which each row of the frame belongs.
    numbers, keys = pd.factorize(frame[rows], use_na_sentinel=False)
    wide: dict[str, Any] = {rows: keys}
    for name, places in frame.groupby(columns, sort=False).indices.items():
        at = np.full(len(keys), -1)
        at[numbers[places]] = places
        for end, values in zip(ends, cells, strict=True):
            wide[f"{name}{end}"] = pd.api.extensions.take(values, at, allow_fill=True)
    return pd.DataFrame(wide)


def measure_columns(measures: Iterable[Measure]) -> list[Column]:
    """Return a column of estimates for each measure of a spread frame."""
    return [Column(str(measure), describe_measure(measure), "estimate", measure) for measure in measures]


def table_to_html(table: Table) -> str:
    """Return a table as HTML.

    Examples
    --------
    >>> table_to_html(Table("t", ("a",), (("1 < 2",),)))
    '<table><caption>t</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>1 &lt; 2</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape_cell(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape_cell(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    caption = f"<caption>{escape_cell(table.title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def escape_cell(text: str) -> str:
    """Return the HTML of a cell, with its line breaks."""
    return html.escape(text).replace("\n", "<br>")
