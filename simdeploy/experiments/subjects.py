"""Scenarios and policies that are tried, by the names that they have in tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, SimdeployWarning, name_problems, shorten
from simdeploy.scenario import ScenarioOrPath, as_scenario

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# By scenario and policy.
Bases = dict[tuple[str, str], "ScenarioPolicy"]


def name_scenarios(
    scenario: ScenarioOrPath | Sequence[ScenarioOrPath] | Mapping[str, ScenarioOrPath],
) -> dict[str, Scenario]:
    """Return scenarios by the names that they have in tables."""
    if isinstance(scenario, Mapping):
        listed = [(name, as_scenario(one)) for name, one in scenario.items()]
    else:
        several = list(scenario) if isinstance(scenario, Sequence) and not isinstance(scenario, str) else [scenario]
        listed = [(one.name, one) for one in map(as_scenario, several)]
    if not listed:
        raise InputError(Problem("no scenario to try", ("scenario",)))
    return _unique("scenario", listed)


def name_policies(policy: Any) -> dict[str, Any]:
    """Return policies by the names that they have in tables; what they are is for each scenario to say."""
    if isinstance(policy, Mapping) and not any(isinstance(policy.get(key), str) for key in ("strategy", "file")):
        listed = list(policy.items())
    elif isinstance(policy, Iterable) and not isinstance(policy, str | Mapping) and not hasattr(policy, "strategy"):
        listed = [(_own_name(one), one) for one in policy]
    else:
        listed = [(_own_name(policy), policy)]
    if not listed:
        raise InputError(Problem("no policy to try", ("policies",)))
    return _unique("policies", listed)


def choose_policies(scenario: Scenario, policies: Any) -> tuple[dict[str, ScenarioPolicy], list[Problem]]:
    """Return the policies of one scenario that are asked for, all of them by default, and what is wrong with others."""
    chosen: dict[str, ScenarioPolicy] = {}
    problems: list[Problem] = []
    try:
        named = name_policies(list(scenario.policies) if policies is None else policies)
    except InputError as error:
        return {}, list(error.problems)
    for name, wanted in named.items():
        try:
            chosen[name] = replace(scenario.policy(wanted), name=name)
        except InputError as error:
            problems += error.problems
    return chosen, problems


def _own_name(value: Any) -> str:
    """Return the name under which a scenario or a policy is known, if nobody gives it another one."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return str(value.get("strategy") or value.get("file"))
    spec = getattr(value, "spec", value)
    return str(getattr(value, "name", None) or getattr(spec, "strategy", None) or shorten(value))


def _unique(what: str, listed: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    problems = [problem for name, _ in listed for problem in name_problems(str(name), (what,))]
    if problems:
        raise InputError(problems)
    named = dict(listed)
    if len(named) < len(listed):
        names = [name for name, _ in listed]
        twice = next(name for name in names if names.count(name) > 1)
        hint = "give a mapping from the names that they are to have"
        raise InputError(Problem("the same name twice", (what,), found=shorten(twice), hint=hint))
    return named


def find_bases(scenarios: Mapping[str, Scenario], policies: Mapping[str, Any]) -> Bases:
    """Return the policies that values are tried on, by scenario and policy.

    Raises
    ------
    InputError
        With everything that is wrong with a policy as it is.
    """
    bases: Bases = {}
    problems: dict[Problem, None] = {}
    for scenario_name, scenario in scenarios.items():
        for name, wanted in policies.items():
            # What is suspicious about it as it is may not be so with any of the values.
            with warnings.catch_warnings(action="ignore", category=SimdeployWarning):
                try:
                    bases[scenario_name, name] = replace(scenario.policy(wanted), name=name)
                except InputError as error:
                    problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(problems)
    return bases
