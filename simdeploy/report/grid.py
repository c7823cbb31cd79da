"""The cases of a sweep, in words and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.analysis.asking.naming import describe_measure, format_factor, name_cases, shorten_names
from simdeploy.analysis.estimates.grid import ABOUT, MEANS, PROPORTIONS, GridSummary
from simdeploy.errors import plural
from simdeploy.report.estimates import tell_range
from simdeploy.report.formatting import RATE, Scale, interval_names, percent, response_scale, trust_name
from simdeploy.report.tables import Column, make_table
from simdeploy.report.wording import fits_answer, group_unknown, join_answer, name_briefly, say_all_unknown, say_unknown
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.result import Table

# The quantities that a change review needs; `cells` has the others.
SHOWN = ("false_alarm", "escape", "completed_makespan_s", "failed_requests_excess")
_RATES = {"false_alarm": Measure("false_alarm", given="good"), "escape": Measure("escaped", given="defective")}


def tell(summary: GridSummary) -> str:
    """Say where false alarms are lowest and highest, or escapes if only they differ, or else the next known quantity; and what is unknown."""
    cells = summary.cells
    known = [name for name in SHOWN if cells.get(f"{name}_estimate", cells["case"] * math.nan).notna().any()]
    n = plural(len(cells), "case")
    if not known:
        is_failed = cells["failed"].eq(cells["replications"])
        nothing = f"Every replication of {n} failed" if is_failed.all() else f"No replication of {n} has a value"
        return _with_unknown([], summary) or join_answer([nothing])
    rates = (name for name in known if name in PROPORTIONS and cells[f"{name}_estimate"].nunique() > 1)
    name = next(rates, known[0])
    names = [*interval_names(f"{name}_estimate"), trust_name(f"{name}_estimate")]
    rows = cells[names].set_axis(["estimate", "low", "high", "is_trusted"], axis="columns")
    noun = (name_briefly if name in PROPORTIONS else describe_measure)(find_measure(name, cells))
    title = f"{noun} in {n}"
    is_known = unknown_fractions(name, cells).eq(0)
    if not is_known.all():
        title = f"{noun} where known ({int(is_known.sum()):,} of {n})"
    rows, cases = rows[is_known], [case for case, is_so in zip(_name_cases(summary), is_known, strict=True) if is_so]
    if rows["estimate"].isna().all():
        return _with_unknown([], summary)
    extremes = tell_range(title, rows, cases, quantity_scale(name, cells), summary.confidence_level)
    return _with_unknown([extremes], summary)


def _with_unknown(sentences: list[list[str]], summary: GridSummary) -> str:
    """Return sentences, and what is unknown in cases with rollouts that never end: in a sentence for each share of rollouts, or one for all."""
    names = _name_cases(summary)
    quantities = []
    for name in SHOWN:
        fractions = dict(zip(names, unknown_fractions(name, summary.cells), strict=True))
        noun = name_briefly(find_measure(name, summary.cells))
        quantities.append((noun, fractions, name in ABOUT))
    unknown = [
        [say_unknown(fractions, noun, is_conditional=is_some, counts_cases=counts) for counts in (False, True)]
        for noun, fractions, is_some in group_unknown(quantities)
    ]
    if unknown and not fits_answer([*sentences, *unknown]):
        unknown = [say_all_unknown(quantities)]
    return join_answer([*sentences, *unknown])


def _name_cases(summary: GridSummary) -> list[str]:
    return name_cases(summary.cells, ["scenario", "policy", *summary.factors])


def unknown_fractions(name: str, cells: pd.DataFrame) -> pd.Series[float]:
    """Return by case the share of a quantity's rollouts that never end; 0 if it isn't recorded."""
    return cells.get(f"{name}_unknown_fraction", cells["case"] * 0.0)


def tabulate(summary: GridSummary) -> tuple[Table, ...]:
    """Return a row for each case, with what was varied and the estimates."""
    cells = summary.cells
    heading, named = name_rows(summary)
    columns = [Column("named", heading)]
    endless = unknown_fractions("makespan_s", cells)
    if endless.gt(0).any():
        columns.append(Column("endless", "never end", "share"))
    for name in SHOWN:
        if f"{name}_estimate" in cells:
            heading = describe_measure(find_measure(name, cells))
            columns.append(Column(f"{name}_estimate", heading, "estimate", quantity_scale(name, cells)))
    title = f"Estimates ({percent(summary.confidence_level)} CI)"
    return (make_table(title, cells.assign(named=named, endless=endless), columns),)


def name_rows(summary: GridSummary) -> tuple[str, list[str]]:
    """Return the heading and the cells of the first column, which identify the case when a wide table is continued."""
    varied = [name for name in ("scenario", "policy") if summary.cells[name].nunique() > 1]
    factors = [*varied, *summary.factors]
    values = [[format_factor(name, value) for value in summary.cells[name]] for name in factors]
    named = [", ".join(words) for words in zip(*values, strict=True)] if factors else map(str, summary.cells["case"])
    return ", ".join([*varied, *shorten_names(summary.factors)]) or "case", [*named]


def find_measure(name: str, cells: pd.DataFrame) -> Measure:
    """Return the measure that a quantity estimates. Without a verdict in any case, completed rollouts count whatever their release."""
    if name == "completed_makespan_s":
        has_verdicts = any(cells[f"{rate}_n"].gt(0).any() for rate in _RATES)
        return Measure(MEANS[name], given="completed_good" if has_verdicts else "completed")
    return _RATES.get(name) or Measure(MEANS[name])


def quantity_scale(name: str, cells: pd.DataFrame) -> Scale:
    """Return one scale for all cells of a quantity."""
    return RATE if name in PROPORTIONS else response_scale(MEANS[name], float(cells[f"{name}_estimate"].max()))
