"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

Public names are imported when they are first used, so that ``import simdeploy`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simdeploy import plotting
    from simdeploy.analysis.comparison import Comparison, compare
    from simdeploy.analysis.costs import CostResult, estimate_costs
    from simdeploy.analysis.estimate import Estimates, estimate
    from simdeploy.analysis.information import InformationResult, value_of_perfect_information
    from simdeploy.analysis.observation import ObservationResult, value_of_observation
    from simdeploy.analysis.pareto import ParetoFront, pareto_front
    from simdeploy.analysis.precision import replicate_to_precision, sweep_to_precision
    from simdeploy.analysis.precision_result import Precision
    from simdeploy.analysis.requirements_check import Check, check
    from simdeploy.analysis.robustness import Robustness, estimate_regret
    from simdeploy.analysis.switches import vary_switches
    from simdeploy.analysis.switches_result import Switches
    from simdeploy.analysis.tradeoff import Tradeoff, tradeoff
    from simdeploy.analysis.tuning import Tuning, tune
    from simdeploy.analysis.verification import Verification, verify
    from simdeploy.api import read_deployment
    from simdeploy.engines import Rollout, simulate
    from simdeploy.errors import InputError, Problem, SimdeployError, SimdeployWarning, SimulationError
    from simdeploy.experiments import read_store, replicate
    from simdeploy.experiments.batches import read_batches
    from simdeploy.experiments.sweep import sweep
    from simdeploy.scenario import Scenario, read_scenario, scenario_schema

__version__ = "0.1.0"

_HOMES = {
    "Check": "simdeploy.analysis.requirements_check",
    "Comparison": "simdeploy.analysis.comparison",
    "CostResult": "simdeploy.analysis.costs",
    "Estimates": "simdeploy.analysis.estimate",
    "InformationResult": "simdeploy.analysis.information",
    "InputError": "simdeploy.errors",
    "ObservationResult": "simdeploy.analysis.observation",
    "ParetoFront": "simdeploy.analysis.pareto",
    "Precision": "simdeploy.analysis.precision_result",
    "Problem": "simdeploy.errors",
    "Robustness": "simdeploy.analysis.robustness",
    "Rollout": "simdeploy.engines",
    "Scenario": "simdeploy.scenario",
    "SimdeployError": "simdeploy.errors",
    "SimdeployWarning": "simdeploy.errors",
    "SimulationError": "simdeploy.errors",
    "Switches": "simdeploy.analysis.switches_result",
    "Tradeoff": "simdeploy.analysis.tradeoff",
    "Tuning": "simdeploy.analysis.tuning",
    "Verification": "simdeploy.analysis.verification",
    "check": "simdeploy.analysis.requirements_check",
    "compare": "simdeploy.analysis.comparison",
    "estimate": "simdeploy.analysis.estimate",
    "estimate_costs": "simdeploy.analysis.costs",
    "estimate_regret": "simdeploy.analysis.robustness",
    "pareto_front": "simdeploy.analysis.pareto",
    "read_batches": "simdeploy.experiments.batches",
    "read_deployment": "simdeploy.api",
    "read_scenario": "simdeploy.scenario",
    "read_store": "simdeploy.experiments",
    "replicate": "simdeploy.experiments",
    "replicate_to_precision": "simdeploy.analysis.precision",
    "scenario_schema": "simdeploy.scenario",
    "simulate": "simdeploy.engines",
    "sweep": "simdeploy.experiments",
    "sweep_to_precision": "simdeploy.analysis.precision",
    "tradeoff": "simdeploy.analysis.tradeoff",
    "tune": "simdeploy.analysis.tuning",
    "value_of_observation": "simdeploy.analysis.observation",
    "value_of_perfect_information": "simdeploy.analysis.information",
    "vary_switches": "simdeploy.analysis.switches",
    "verify": "simdeploy.analysis.verification",
}

__all__ = [
    "Check",
    "Comparison",
    "CostResult",
    "Estimates",
    "InformationResult",
    "InputError",
    "ObservationResult",
    "ParetoFront",
    "Precision",
    "Problem",
    "Robustness",
    "Rollout",
    "Scenario",
    "SimdeployError",
    "SimdeployWarning",
    "SimulationError",
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
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'simdeploy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
