"""Scenarios and policies that are tried, by the names that they have in tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, SimdeployWarning, name_problems, shorten

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

# By scenario and policy.
Bases = dict[tuple[str, str], "ScenarioPolicy"]


def name_scenarios(scenario: Scenario | Sequence[Scenario] | Mapping[str, Scenario]) -> dict[str, Scenario]:
    """Return scenarios by the names that they have in tables."""
    from simdeploy.scenario import Scenario

    if isinstance(scenario, Scenario):
        return {scenario.name: scenario}
    listed = list(scenario.items()) if isinstance(scenario, Mapping) else [(_own_name(one), one) for one in scenario]
    strangers = [one for _, one in listed if not isinstance(one, Scenario)]
    if strangers or not listed:
        found = shorten(strangers[0]) if strangers else None
        raise InputError(Problem("not a scenario, nor several", ("scenario",), found=found))
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
        raise InputError(Problem("no policy to try", ("policy",)))
    return _unique("policy", listed)


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
