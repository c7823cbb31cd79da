"""What the replications mean: one method one file, in packages by the question that is asked.

Names are imported when they are first used: few callers need more than one method.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simdeploy.lazy import find_name

if TYPE_CHECKING:
    from simdeploy.analysis.checking.checking import Check, check
    from simdeploy.analysis.comparison.compare import Comparison, compare
    from simdeploy.analysis.costs.causes import CostResult, estimate_costs
    from simdeploy.analysis.costs.information import InformationResult, value_of_perfect_information
    from simdeploy.analysis.costs.observation import ObservationResult, value_of_observation
    from simdeploy.analysis.discovery.discovering import discover
    from simdeploy.analysis.discovery.finding import find_boxes
    from simdeploy.analysis.discovery.result import Discovery
    from simdeploy.analysis.estimates.estimating import Estimates, estimate
    from simdeploy.analysis.estimates.grid import GridSummary, summarize_grid
    from simdeploy.analysis.estimates.precision import replicate_to_precision, sweep_to_precision
    from simdeploy.analysis.estimates.precision_result import Precision
    from simdeploy.analysis.gates.comparing import compare_gates
    from simdeploy.analysis.gates.result import GateComparison
    from simdeploy.analysis.rare.estimating import estimate_rare
    from simdeploy.analysis.rare.result import Rare
    from simdeploy.analysis.regret.robustness import Robustness, estimate_regret
    from simdeploy.analysis.sensitivity.analyzing import analyze_sensitivity
    from simdeploy.analysis.sensitivity.designs import SensitivityDesign, design_sensitivity
    from simdeploy.analysis.sensitivity.estimating import estimate_sensitivity
    from simdeploy.analysis.sensitivity.result import Sensitivity
    from simdeploy.analysis.switches.result import Switches
    from simdeploy.analysis.switches.varying import vary_switches
    from simdeploy.analysis.tradeoffs.moving import Tradeoff, tradeoff
    from simdeploy.analysis.tradeoffs.pareto import ParetoFront, pareto_front
    from simdeploy.analysis.tuning import Tuning, tune

_HOMES = {
    "Check": "simdeploy.analysis.checking.checking",
    "Comparison": "simdeploy.analysis.comparison.compare",
    "CostResult": "simdeploy.analysis.costs.causes",
    "Discovery": "simdeploy.analysis.discovery.result",
    "Estimates": "simdeploy.analysis.estimates.estimating",
    "GateComparison": "simdeploy.analysis.gates.result",
    "GridSummary": "simdeploy.analysis.estimates.grid",
    "InformationResult": "simdeploy.analysis.costs.information",
    "ObservationResult": "simdeploy.analysis.costs.observation",
    "ParetoFront": "simdeploy.analysis.tradeoffs.pareto",
    "Precision": "simdeploy.analysis.estimates.precision_result",
    "Rare": "simdeploy.analysis.rare.result",
    "Robustness": "simdeploy.analysis.regret.robustness",
    "Sensitivity": "simdeploy.analysis.sensitivity.result",
    "SensitivityDesign": "simdeploy.analysis.sensitivity.designs",
    "Switches": "simdeploy.analysis.switches.result",
    "Tradeoff": "simdeploy.analysis.tradeoffs.moving",
    "Tuning": "simdeploy.analysis.tuning",
    "analyze_sensitivity": "simdeploy.analysis.sensitivity.analyzing",
    "check": "simdeploy.analysis.checking.checking",
    "compare": "simdeploy.analysis.comparison.compare",
    "compare_gates": "simdeploy.analysis.gates.comparing",
    "design_sensitivity": "simdeploy.analysis.sensitivity.designs",
    "discover": "simdeploy.analysis.discovery.discovering",
    "estimate": "simdeploy.analysis.estimates.estimating",
    "estimate_costs": "simdeploy.analysis.costs.causes",
    "estimate_rare": "simdeploy.analysis.rare.estimating",
    "estimate_regret": "simdeploy.analysis.regret.robustness",
    "estimate_sensitivity": "simdeploy.analysis.sensitivity.estimating",
    "find_boxes": "simdeploy.analysis.discovery.finding",
    "pareto_front": "simdeploy.analysis.tradeoffs.pareto",
    "replicate_to_precision": "simdeploy.analysis.estimates.precision",
    "summarize_grid": "simdeploy.analysis.estimates.grid",
    "sweep_to_precision": "simdeploy.analysis.estimates.precision",
    "tradeoff": "simdeploy.analysis.tradeoffs.moving",
    "tune": "simdeploy.analysis.tuning",
    "value_of_observation": "simdeploy.analysis.costs.observation",
    "value_of_perfect_information": "simdeploy.analysis.costs.information",
    "vary_switches": "simdeploy.analysis.switches.varying",
}

__all__ = [
    "Check",
    "Comparison",
    "CostResult",
    "Discovery",
    "Estimates",
    "GateComparison",
    "GridSummary",
    "InformationResult",
    "ObservationResult",
    "ParetoFront",
    "Precision",
    "Rare",
    "Robustness",
    "Sensitivity",
    "SensitivityDesign",
    "Switches",
    "Tradeoff",
    "Tuning",
    "analyze_sensitivity",
    "check",
    "compare",
    "compare_gates",
    "design_sensitivity",
    "discover",
    "estimate",
    "estimate_costs",
    "estimate_rare",
    "estimate_regret",
    "estimate_sensitivity",
    "find_boxes",
    "pareto_front",
    "replicate_to_precision",
    "summarize_grid",
    "sweep_to_precision",
    "tradeoff",
    "tune",
    "value_of_observation",
    "value_of_perfect_information",
    "vary_switches",
]


# What lives elsewhere by now, and is found here for one release more.
_MOVED = {"Verification": "simdeploy.validation.verification", "verify": "simdeploy.validation.verification"}


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        warnings.warn(f"simdeploy.analysis.{name} is simdeploy.{name} now", DeprecationWarning, stacklevel=2)
        return getattr(import_module(_MOVED[name]), name)
    return find_name(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
