"""Answers and tables for people; all sentences about results are here.

Each kind of result has a module with two functions: `tell` returns the answer, `tabulate` the tables that support it.
`simdeploy.result.Result` finds them by its type. Verdicts are decided in `simdeploy.analysis` and are part of the result.

Other packages use `ask`, `tell`, `tabulate` and `to_html`; pictures, pages and commands, which show the same numbers in
the same words, also use `formatting`, `wording`, `tables`, the `story` of a rollout, and the modules of single results.
"""

from __future__ import annotations

import html
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from simdeploy.result import Result, Table


class Report(NamedTuple):
    """The module that reports a type of result, and the question that such a result answers."""

    module: str
    question: str


# By name of the type.
REPORTS = {
    "Advice": Report("advice", "What should be done with the rollout that is under way?"),
    "Backtest": Report("backtest", "What would other policies have done in the rollouts on record?"),
    "Calibration": Report("calibration", "What do the rollouts on record say about the fleet?"),
    "Check": Report("check", "Does the policy meet its requirements?"),
    "Comparison": Report("comparison", "Which policy is best?"),
    "CostResult": Report("costs", "What does a policy cost, and why?"),
    "Decisions": Report("decisions", "Are recommendations right?"),
    "Discovery": Report("discovery", "In which worlds does the policy break?"),
    "Estimates": Report("estimates", "What can be expected in each case?"),
    "Forecast": Report("advice", "How will the rollout that is under way go on?"),
    "GateComparison": Report("gates", "Which test stops defective releases best?"),
    "GridSummary": Report("grid", "What happens at other values?"),
    "InformationResult": Report("information", "What is it worth to know the release beforehand?"),
    "ObservationResult": Report("observation", "What is it worth to watch the release longer?"),
    "OneRollout": Report("rollout", "What happens in one rollout?"),
    "ParetoFront": Report("pareto", "Which cases are Pareto-optimal?"),
    "PolicyImport": Report("imported", "What does this policy do here?"),
    "Precision": Report("precision", "Are there enough replications?"),
    "Rare": Report("rare", "How likely is the rare event?"),
    "Robustness": Report("regret", "Which policy loses least if the assumptions are wrong?"),
    "Score": Report("scoring", "How good were the forecasts?"),
    "Selection": Report("selection", "Which candidate is best?"),
    "Sensitivity": Report("sensitivity", "Which assumptions matter?"),
    "Switches": Report("switches", "Does undocumented behaviour of the orchestrator matter?"),
    "Timelines": Report("timelines", "How do rollouts go over time?"),
    "Tradeoff": Report("tradeoff", "How do false alarms trade against escapes?"),
    "Tuning": Report("tuning", "Which policy should be used?"),
    "Verification": Report("verification", "Is the simulator right?"),
}


def ask(result: Result) -> str:
    """Return the question that a result answers."""
    return REPORTS[type(result).__name__].question


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
    # Imported here because it is slow, and `simdeploy --help` doesn't need it.
    from simdeploy.report.tables import table_to_html

    tables = "\n".join(table_to_html(table) for table in result.summarize())
    return f"<p>{html.escape(result.answer)}</p>\n{tables}"


def _find_report(result: Result) -> ModuleType:
    return import_module(f"{__name__}.{REPORTS[type(result).__name__].module}")
