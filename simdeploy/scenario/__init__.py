"""Scenario files and scenarios, which are frozen values.

Other packages use `read_scenario`, `load` (returns errors and warnings), `as_scenario` (for calls that take a
scenario), `Scenario`, `ScenarioPolicy`, the types of arguments `ScenarioOrPath`, `PolicyLike` and `PoliciesLike`,
`Identity`, `Costs`, `scenario_schema`, `load_example` and the other calls of `examples`. Many also use `measures`, the
grammar, and `parts`; for files `files`, `loading`, `policies`, `scalars`, `scenario.build` and `yaml_text`; for changes
`changes`, `json_schema` and `plain`; and `gate_fit`, `orchestrator_section`, `past_rollouts`, `requirements_section`,
`suspicions`, `switch_suspicions` and `written_specs`. Imports dialects, rules, world, api, units, errors.
"""

from simdeploy.scenario.examples import load_example
from simdeploy.scenario.json_schema import scenario_schema
from simdeploy.scenario.loading import ScenarioOrPath, as_scenario, load, read_scenario
from simdeploy.scenario.parts import Costs, Identity, ScenarioPolicy
from simdeploy.scenario.scenario import PoliciesLike, PolicyLike, Scenario

__all__ = [
    "Costs",
    "Identity",
    "PoliciesLike",
    "PolicyLike",
    "Scenario",
    "ScenarioOrPath",
    "ScenarioPolicy",
    "as_scenario",
    "load",
    "load_example",
    "read_scenario",
    "scenario_schema",
]
