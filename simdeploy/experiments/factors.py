"""What an analysis varies over ranges: keys that must be told, since nobody else knows how uncertain they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, shorten
from simdeploy.experiments.levers import find_levers

if TYPE_CHECKING:
    from simdeploy.api import Spec
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario import Scenario

_MOST_NAMED = 3


def find_factors(vary: Any, scenario: Scenario, spec: Spec) -> tuple[Lever, ...]:
    """Find the keys that are varied.

    Parameters
    ----------
    spec : DeploymentSpec or RolloutSpec
        Of the policy.

    Raises
    ------
    InputError
        With everything that is wrong; if there is nothing, with numbers of the scenario that could be varied.
    """
    if not isinstance(vary, Mapping):
        raise InputError(Problem("no factors", ("vary",), found=shorten(vary), allowed="a mapping of keys to ranges"))
    if not vary:
        numbers = _stated_numbers(scenario)[:_MOST_NAMED]
        hint = "it states, for example, " + ", ".join(f"{path} = {value}" for path, value in numbers)
        allowed = "keys of the scenario with ranges, as uncertain as they are: nobody else can know"
        raise InputError(Problem("nothing to vary", ("vary",), allowed=allowed, hint=hint if numbers else None))
    return find_levers(vary, [scenario], [spec])


def _stated_numbers(scenario: Scenario) -> list[tuple[str, Any]]:
    """Return what numbers of world and release a scenario states, by their paths; fractions and times first."""
    raw = scenario.to_dict()
    found = [
        (path, value)
        for section in ("fleet", "release")
        for path, value in _leaves(section, raw.get(section))
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return sorted(found, key=lambda one: isinstance(one[1], int))


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _leaves(f"{path}.{key}", item)]
    return [(path, value)]
