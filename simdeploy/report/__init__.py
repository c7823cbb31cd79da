"""What is said of results: the only place with sentences and with tables for people.

One module for each kind of result, with two functions: `tell` returns the answer in a sentence, `tabulate` the tables that
support it. `simdeploy.result.Result` finds them here by its type. What is better, met or unknown is decided in
`simdeploy.analysis` and stands in the result; nothing here decides.

From outside: `tell`, `tabulate` and `to_html`; the modules `wording` and `tables` have what reports and pictures
have in common.
"""

from __future__ import annotations

import html
from importlib import import_module
from types import ModuleType

from simdeploy.result import Result, Table

# The module that tells of a result, by the name of its type.
REPORTS = {
    "Check": "checking",
    "Comparison": "comparison",
    "CostResult": "costs",
    "Discovery": "discovery",
    "Estimates": "estimates",
    "GateComparison": "gates",
    "GridSummary": "grid",
    "InformationResult": "information",
    "ObservationResult": "observation",
    "OneRollout": "rollout",
    "ParetoFront": "pareto",
    "Precision": "precision",
    "Rare": "rare",
    "Robustness": "regret",
    "Selection": "selection",
    "Sensitivity": "sensitivity",
    "Switches": "switches",
    "Tradeoff": "tradeoff",
    "Tuning": "tuning",
    "Verification": "verification",
}


def tell(result: Result) -> str:
    """Return the answer of a result, in a sentence."""
    text: str = _find_report(result).tell(result)
    return text


def tabulate(result: Result) -> tuple[Table, ...]:
    """Return the tables of a result, in words."""
    tables: tuple[Table, ...] = _find_report(result).tabulate(result)
    return tables


def to_html(result: Result) -> str:
    """Return answer and tables of a result as HTML, for a notebook."""
    from simdeploy.report.tables import table_to_html  # heavy, and `simdeploy --help` needs the names above

    tables = "\n".join(table_to_html(table) for table in result.summarize())
    return f"<p>{html.escape(result.answer)}</p>\n{tables}"


def _find_report(result: Result) -> ModuleType:
    return import_module(f"{__name__}.{REPORTS[type(result).__name__]}")
