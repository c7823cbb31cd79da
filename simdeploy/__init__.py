"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

Public names are imported when they are first used, so that ``import simdeploy`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simdeploy.lazy import find_name

if TYPE_CHECKING:
    from simdeploy import plotting
    from simdeploy.analysis import (
        Check,
        Comparison,
        CostResult,
        Discovery,
        Estimates,
        GateComparison,
        InformationResult,
        ObservationResult,
        ParetoFront,
        Precision,
        Rare,
        Robustness,
        Sensitivity,
        SensitivityDesign,
        Switches,
        Tradeoff,
        Tuning,
        analyze_sensitivity,
        check,
        compare,
        compare_gates,
        design_sensitivity,
        discover,
        estimate,
        estimate_costs,
        estimate_rare,
        estimate_regret,
        estimate_sensitivity,
        find_boxes,
        pareto_front,
        replicate_to_precision,
        sweep_to_precision,
        tradeoff,
        tune,
        value_of_observation,
        value_of_perfect_information,
        vary_switches,
    )
    from simdeploy.api import read_deployment
    from simdeploy.engines import Rollout, simulate
    from simdeploy.errors import InputError, Problem, SimdeployError, SimdeployWarning, SimulationError
    from simdeploy.experiments import Range, read_store, replicate
    from simdeploy.experiments.batches import read_batches
    from simdeploy.experiments.sweep import sweep
    from simdeploy.scenario import Scenario, read_scenario, scenario_schema
    from simdeploy.validation.verification import Verification, verify
    from simdeploy.world.tilt import Tilt

__version__ = "0.1.0"

_HOMES = {
    "Check": "simdeploy.analysis",
    "Comparison": "simdeploy.analysis",
    "CostResult": "simdeploy.analysis",
    "Discovery": "simdeploy.analysis",
    "Estimates": "simdeploy.analysis",
    "GateComparison": "simdeploy.analysis",
    "InformationResult": "simdeploy.analysis",
    "InputError": "simdeploy.errors",
    "ObservationResult": "simdeploy.analysis",
    "ParetoFront": "simdeploy.analysis",
    "Precision": "simdeploy.analysis",
    "Problem": "simdeploy.errors",
    "Range": "simdeploy.experiments",
    "Rare": "simdeploy.analysis",
    "Robustness": "simdeploy.analysis",
    "Rollout": "simdeploy.engines",
    "Scenario": "simdeploy.scenario",
    "Sensitivity": "simdeploy.analysis",
    "SensitivityDesign": "simdeploy.analysis",
    "SimdeployError": "simdeploy.errors",
    "SimdeployWarning": "simdeploy.errors",
    "SimulationError": "simdeploy.errors",
    "Switches": "simdeploy.analysis",
    "Tilt": "simdeploy.world.tilt",
    "Tradeoff": "simdeploy.analysis",
    "Tuning": "simdeploy.analysis",
    "Verification": "simdeploy.validation.verification",
    "analyze_sensitivity": "simdeploy.analysis",
    "check": "simdeploy.analysis",
    "compare": "simdeploy.analysis",
    "compare_gates": "simdeploy.analysis",
    "design_sensitivity": "simdeploy.analysis",
    "discover": "simdeploy.analysis",
    "estimate": "simdeploy.analysis",
    "estimate_costs": "simdeploy.analysis",
    "estimate_rare": "simdeploy.analysis",
    "estimate_regret": "simdeploy.analysis",
    "estimate_sensitivity": "simdeploy.analysis",
    "find_boxes": "simdeploy.analysis",
    "pareto_front": "simdeploy.analysis",
    "read_batches": "simdeploy.experiments.batches",
    "read_deployment": "simdeploy.api",
    "read_scenario": "simdeploy.scenario",
    "read_store": "simdeploy.experiments",
    "replicate": "simdeploy.experiments",
    "replicate_to_precision": "simdeploy.analysis",
    "scenario_schema": "simdeploy.scenario",
    "simulate": "simdeploy.engines",
    "sweep": "simdeploy.experiments",
    "sweep_to_precision": "simdeploy.analysis",
    "tradeoff": "simdeploy.analysis",
    "tune": "simdeploy.analysis",
    "value_of_observation": "simdeploy.analysis",
    "value_of_perfect_information": "simdeploy.analysis",
    "vary_switches": "simdeploy.analysis",
    "verify": "simdeploy.validation.verification",
}

__all__ = [
    "Check",
    "Comparison",
    "CostResult",
    "Discovery",
    "Estimates",
    "GateComparison",
    "InformationResult",
    "InputError",
    "ObservationResult",
    "ParetoFront",
    "Precision",
    "Problem",
    "Range",
    "Rare",
    "Robustness",
    "Rollout",
    "Scenario",
    "Sensitivity",
    "SensitivityDesign",
    "SimdeployError",
    "SimdeployWarning",
    "SimulationError",
    "Switches",
    "Tilt",
    "Tradeoff",
    "Tuning",
    "Verification",
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
    "plotting",
    "read_batches",
    "read_deployment",
    "read_scenario",
    "read_store",
    "replicate",
    "replicate_to_precision",
    "scenario_schema",
    "simulate",
    "sweep",
    "sweep_to_precision",
    "tradeoff",
    "tune",
    "value_of_observation",
    "value_of_perfect_information",
    "vary_switches",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "plotting":
        return import_module("simdeploy.plotting")
    return find_name(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
