"""The scenario file <-> one frozen value; the only door.

From outside: `read_scenario`, `load` (for the command: errors and warnings as values), `Scenario`,
`ScenarioPolicy`, `Identity`, `Costs`, `scenario_schema`. Imports dialects, rules, world, api, units, errors.
"""

from simdeploy.scenario.json_schema import scenario_schema
from simdeploy.scenario.loading import load, read_scenario
from simdeploy.scenario.parts import Costs, Identity, ScenarioPolicy
from simdeploy.scenario.scenario import Scenario

__all__ = ["Costs", "Identity", "Scenario", "ScenarioPolicy", "load", "read_scenario", "scenario_schema"]
