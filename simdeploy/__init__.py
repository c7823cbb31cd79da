"""simdeploy: discrete-event simulation and policy analysis for software rollouts.

Public names are imported when they are first used, so that ``import simdeploy`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simdeploy import plotting
    from simdeploy.analysis import Comparison, compare
    from simdeploy.api import read_deployment
    from simdeploy.engines import Rollout, simulate
    from simdeploy.errors import InputError, Problem, SimdeployError, SimdeployWarning, SimulationError
    from simdeploy.experiments import read_store, replicate
    from simdeploy.experiments.sweep import sweep
    from simdeploy.scenario import Scenario, read_scenario, scenario_schema

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "simdeploy.analysis",
    "InputError": "simdeploy.errors",
    "Problem": "simdeploy.errors",
    "Rollout": "simdeploy.engines",
    "Scenario": "simdeploy.scenario",
    "SimdeployError": "simdeploy.errors",
    "SimdeployWarning": "simdeploy.errors",
    "SimulationError": "simdeploy.errors",
    "compare": "simdeploy.analysis",
    "read_deployment": "simdeploy.api",
    "read_scenario": "simdeploy.scenario",
    "read_store": "simdeploy.experiments",
    "replicate": "simdeploy.experiments",
    "scenario_schema": "simdeploy.scenario",
    "simulate": "simdeploy.engines",
    "sweep": "simdeploy.experiments",
}

__all__ = [
    "Comparison",
    "InputError",
    "Problem",
    "Rollout",
    "Scenario",
    "SimdeployError",
    "SimdeployWarning",
    "SimulationError",
    "compare",
    "plotting",
    "read_deployment",
    "read_scenario",
    "read_store",
    "replicate",
    "scenario_schema",
    "simulate",
    "sweep",
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
