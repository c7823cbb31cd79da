"""Scenario files and scenarios, which are frozen values.

May be used from outside: `read_scenario`, `load` (returns errors and warnings), `as_scenario` (for calls that take a scenario),
`Scenario`, `ScenarioPolicy`, `Identity`, `Costs`, `scenario_schema`, `load_example` and the other calls of `examples`. May
import: dialects, rules, world, api, units, errors.
"""

from simdeploy.scenario.examples import load_example
from simdeploy.scenario.json_schema import scenario_schema
from simdeploy.scenario.loading import ScenarioOrPath, as_scenario, load, read_scenario
from simdeploy.scenario.parts import Costs, Identity, ScenarioPolicy
from simdeploy.scenario.scenario import Scenario

__all__ = [
    "Costs",
    "Identity",
    "Scenario",
    "ScenarioOrPath",
    "ScenarioPolicy",
    "as_scenario",
    "load",
    "load_example",
    "read_scenario",
    "scenario_schema",
]
