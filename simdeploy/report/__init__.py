"""Answers and tables for people; all sentences about results are here.

Each kind of result has a module with two functions: `tell` returns the answer, `tabulate` the tables that support it.
`simdeploy.result.Result` finds them by its type. Verdicts are decided in `simdeploy.analysis` and stand in the result.

From outside: `tell`, `tabulate` and `to_html`; the modules `wording` and `tables` are shared by reports and plots.
"""

from __future__ import annotations

import html
from importlib import import_module
from types import ModuleType

from simdeploy.result import Result, Table

# The module of each type of result.
REPORTS = {
    "Advice": "advice",
    "Backtest": "backtest",
    "Calibration": "calibration",
    "Check": "checking",
    "Comparison": "comparison",
    "CostResult": "costs",
    "Decisions": "decisions",
    "Discovery": "discovery",
    "Estimates": "estimates",
    "Forecast": "advice",
    "GateComparison": "gates",
    "GridSummary": "grid",
    "InformationResult": "information",
    "ObservationResult": "observation",
    "OneRollout": "rollout",
    "ParetoFront": "pareto",
    "PolicyImport": "imported",
    "Precision": "precision",
    "Rare": "rare",
    "Robustness": "regret",
    "Score": "scoring",
    "Selection": "selection",
    "Sensitivity": "sensitivity",
    "Switches": "switches",
    "Timelines": "timelines",
    "Tradeoff": "tradeoff",
    "Tuning": "tuning",
    "Verification": "verification",
}


def tell(result: Result) -> str:
    """Return the answer of a result, one or two sentences."""
    text: str = _find_report(result).tell(result)
    return text


def tabulate(result: Result) -> tuple[Table, ...]:
    """Return the tables of a result."""
    tables: tuple[Table, ...] = _find_report(result).tabulate(result)
    return tables


def to_html(result: Result) -> str:
    """Return answer and tables as HTML, for a notebook."""
    from simdeploy.report.tables import table_to_html  # heavy, and `simdeploy --help` needs the names above

    tables = "\n".join(table_to_html(table) for table in result.summarize())
    return f"<p>{html.escape(result.answer)}</p>\n{tables}"


def _find_report(result: Result) -> ModuleType:
    return import_module(f"{__name__}.{REPORTS[type(result).__name__]}")
