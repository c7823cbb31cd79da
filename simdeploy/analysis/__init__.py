"""What the replications mean: one method one file, in packages by the question that is asked.

Names are imported when they are first used: few callers need more than one method.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simdeploy.analysis.checking.checking import Check, check
    from simdeploy.analysis.comparison.compare import Comparison, compare
    from simdeploy.analysis.costs.causes import CostResult, estimate_costs
    from simdeploy.analysis.costs.information import InformationResult, value_of_perfect_information
    from simdeploy.analysis.costs.observation import ObservationResult, value_of_observation
    from simdeploy.analysis.estimates.estimating import Estimates, estimate
    from simdeploy.analysis.estimates.precision import replicate_to_precision, sweep_to_precision
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.analysis.grid import GridSummary, summarize_grid
    from simdeploy.analysis.regret.robustness import Robustness, estimate_regret
    from simdeploy.analysis.switches.result import Switches
    from simdeploy.analysis.switches.varying import vary_switches
    from simdeploy.analysis.tradeoffs.moving import Tradeoff, tradeoff
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront, pareto_front
    from simdeploy.analysis.tuning import Tuning, tune
    from simdeploy.analysis.verification import Verification, verify

_HOMES = {
    "Check": "checking.checking",
    "Comparison": "comparison.compare",
    "CostResult": "costs.causes",
    "Estimates": "estimates.estimating",
    "GridSummary": "grid",
    "InformationResult": "costs.information",
    "ObservationResult": "costs.observation",
    "ParetoFront": "tradeoffs.pareto",
    "Precision": "estimates.precision_result",
    "Robustness": "regret.robustness",
    "Switches": "switches.result",
    "Tradeoff": "tradeoffs.moving",
    "Tuning": "tuning",
    "Verification": "verification",
    "check": "checking.checking",
    "compare": "comparison.compare",
    "estimate": "estimates.estimating",
    "estimate_costs": "costs.causes",
    "estimate_regret": "regret.robustness",
    "pareto_front": "tradeoffs.pareto",
    "replicate_to_precision": "estimates.precision",
    "summarize_grid": "grid",
    "sweep_to_precision": "estimates.precision",
    "tradeoff": "tradeoffs.moving",
    "tune": "tuning",
    "value_of_observation": "costs.observation",
    "value_of_perfect_information": "costs.information",
    "vary_switches": "switches.varying",
    "verify": "verification",
}

__all__ = [
    "Check",
    "Comparison",
    "CostResult",
    "Estimates",
    "GridSummary",
    "InformationResult",
    "ObservationResult",
    "ParetoFront",
    "Precision",
    "Robustness",
    "Switches",
    "Tradeoff",
    "Tuning",
    "Verification",
    "check",
    "compare",
    "estimate",
    "estimate_costs",
    "estimate_regret",
    "pareto_front",
    "replicate_to_precision",
    "summarize_grid",
    "sweep_to_precision",
    "tradeoff",
    "tune",
    "value_of_observation",
    "value_of_perfect_information",
    "vary_switches",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"simdeploy.analysis.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'simdeploy.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
