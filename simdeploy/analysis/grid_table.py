"""The cases of a sweep as a table of words: one line each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.grid import PROPORTIONS
from simdeploy.analysis.tables import Table
from simdeploy.analysis.wording import LABELS, PERCENT, Scale, format_number, response_scale

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.analysis.grid import GridSummary

# What a change review asks for; the rest is in the cells.
SHOWN = ("false_alarm", "escape", "makespan_s", "failed_requests_excess")
TITLES = {"false_alarm": "false alarms", "escape": "escapes"}


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
    >>> quantity_title("escape"), quantity_title("makespan_s")
    ('escapes', 'makespan')
    """
    return TITLES.get(name) or LABELS[name][0]


def quantity_scale(name: str, cells: pd.DataFrame) -> Scale:
    """Return how a quantity is shown: one scale for all cells."""
    return PERCENT if name in PROPORTIONS else response_scale(name, float(cells[f"{name}_estimate"].max()))


def shorten_names(names: Sequence[str]) -> list[str]:
    """Return the shortest ends of paths by which they can be told apart.

    Examples
    --------
    >>> shorten_names(["health_check.max_error_rate", "scenario.fleet.start_failure"])
    ['max_error_rate', 'start_failure']
    >>> shorten_names(["scenario.fleet.error_rate", "scenario.release.bad.error_rate"])
    ['fleet.error_rate', 'bad.error_rate']
    """
    short = []
    for name in names:
        parts = name.split(".")
        ends = (".".join(parts[-n:]) for n in range(1, len(parts) + 1))
        others = [other for other in names if other != name]
        short.append(next((end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)), name))
    return short


def format_value(value: Any) -> str:
    """Write the value of a factor.

    Examples
    --------
    >>> format_value(0.05), format_value(3), format_value(True), format_value(float("nan"))
    ('0.05', '3', 'true', 'unset')
    """
    import pandas as pd

    if pd.isna(value):
        return "unset"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _estimates(cells: pd.DataFrame, name: str, scale: Scale) -> list[str]:
    columns = [cells[f"{name}_{what}"] * scale.factor for what in ("estimate", "low", "high", "half_width")]
    return [_estimate(*values) for values in zip(*columns, strict=True)]


def _estimate(estimate: float, low: float, high: float, half_width: float) -> str:
    if math.isnan(estimate):
        return "no value"
    if math.isnan(half_width):
        return f"{format_number(estimate, 0.0)} (no interval)"
    estimate_word, low_word, high_word = (format_number(value, half_width) for value in (estimate, low, high))
    return f"{estimate_word} ({low_word} to {high_word})"
