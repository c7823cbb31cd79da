"""Shared arguments: checks of numbers, and scenarios and policies by name."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from simdeploy.engines.choice import check_engine
from simdeploy.errors import InputError, Problem, catch_warned, collect, name_problems, raise_if_any, shorten
from simdeploy.scenario import Scenario, ScenarioOrPath, ScenarioPolicy, as_scenario
from simdeploy.scenario.policies import is_policy_file
from simdeploy.units import is_whole

MOST_SEED = (1 << 64) - 1
MOST_REPLICATIONS = 1 << 32  # a replication's number is a 32-bit word of the generator's counter

Progress = Callable[[int, int], None]  # takes the numbers of finished and of all replications

# Policies by scenario and name.
Bases = dict[tuple[str, str], "ScenarioPolicy"]


def check_numbers(*, replications: Any, seed: Any, engine: object) -> tuple[range, int]:
    """Return the numbers of the replications, and the seed, or raise an `InputError` with all invalid arguments.

    Examples
    --------
    >>> check_numbers(replications=3, seed=0, engine="auto"), check_numbers(replications=range(3, 5), seed=0, engine="auto")
    ((range(0, 3), 0), (range(3, 5), 0))
    """
    problems: list[Problem] = []
    numbers = range(replications) if is_whole(replications) else replications
    if (
        not isinstance(numbers, range)
        or numbers.step != 1
        or not 0 <= numbers.start < numbers.stop <= MOST_REPLICATIONS
    ):
        allowed = f"1 to {MOST_REPLICATIONS}, or a range of consecutive numbers from 0"
        problems.append(
            Problem("invalid number of replications", ("replications",), found=shorten(replications), allowed=allowed)
        )
    with collect(problems):
        seed = read_seed(seed, engine)
    if problems or not isinstance(numbers, range):
        raise InputError(problems)
    return numbers, seed


def read_seed(seed: Any, engine: object = "auto") -> int:
    """Return the seed, or raise an `InputError` for it and for an unknown engine.

    Examples
    --------
    >>> read_seed(7)
    7
    """
    problems = whole_problems(0, MOST_SEED, seed=seed)
    with collect(problems):
        check_engine(engine)
    raise_if_any(problems)
    return int(seed)


def whole_problems(least: int, most: float = math.inf, /, **numbers: object) -> list[Problem]:
    """Return a problem for each argument that is not a whole number within these bounds.

    Examples
    --------
    >>> [str(problem) for problem in whole_problems(1, 9, final=0, most=9)]
    ['final: out of range (found 0); allowed: a whole number from 1 to 9']
    >>> [str(problem) for problem in whole_problems(1, final=1.5)]
    ['final: not a whole number (found 1.5); allowed: a whole number from 1']
    """
    allowed = f"a whole number from {least}" + (f" to {most}" if most < math.inf else "")
    return [
        Problem(_why_not(value), (name,), found=shorten(value), allowed=allowed)
        for name, value in numbers.items()
        if not is_whole(value, least, most)
    ]


def _why_not(value: object) -> str:
    return "out of range" if is_whole(value, -math.inf) else "not a whole number"


def require_keys(vary: object) -> None:
    """Raise `InputError` unless `vary` is a mapping from keys to values."""
    if not isinstance(vary, Mapping) or not all(isinstance(key, str) for key in vary):
        allowed = 'a mapping from keys to values, such as {"max_failed_nodes": [0, 5]}'
        raise InputError(Problem("no keys to vary", ("vary",), found=shorten(vary), allowed=allowed))


def as_reporter(progress: bool | Progress) -> Progress | None:
    """Return a progress callback: a counter on standard error for True, None for False."""
    if isinstance(progress, bool):
        return _write_counter if progress else None
    if progress is not None and not callable(progress):
        allowed = "true, false, or a function of the numbers of finished and of all replications"
        raise InputError(Problem("can't be called", ("progress",), found=shorten(progress), allowed=allowed))
    return progress


def _write_counter(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} replications" + ("\n" if done == total else ""))
    sys.stderr.flush()


def name_scenarios(
    scenario: ScenarioOrPath | Sequence[ScenarioOrPath] | Mapping[str, ScenarioOrPath],
) -> dict[str, Scenario]:
    """Return scenarios by their names in tables."""
    if isinstance(scenario, Mapping):
        listed = [(name, as_scenario(item)) for name, item in scenario.items()]
    else:
        several = list(scenario) if isinstance(scenario, Sequence) and not isinstance(scenario, str) else [scenario]
        listed = [(item.name, item) for item in map(as_scenario, several)]
    if not listed:
        raise InputError(Problem("no scenario", ("scenario",)))
    return _unique("scenario", listed)


def name_policies(policy: Any, known: Collection[str] = ()) -> dict[str, Any]:
    """Return policies by their names in tables; scenarios resolve them.

    `known` are names of a scenario's policies, which are no paths of files.
    """
    if isinstance(policy, Mapping) and not any(isinstance(policy.get(key), str) for key in ("strategy", "file")):
        listed = list(policy.items())
    elif isinstance(policy, Iterable) and not isinstance(policy, str | Mapping) and not hasattr(policy, "strategy"):
        listed = [(_own_name(item, known), item) for item in policy]
    else:
        listed = [(_own_name(policy, known), policy)]
    if not listed:
        raise InputError(Problem("no policy", ("policies",)))
    return _unique("policies", listed)


def name_swept(scenarios: Mapping[str, Scenario], policies: Any) -> dict[str, Any]:
    """Return the policies of a sweep by their names in tables; by default the first of the first scenario."""
    first = next(iter(scenarios.values()))
    known = {name for scenario in scenarios.values() for name in scenario.policies}
    return name_policies(list(first.policies)[:1] if policies is None else policies, known)


def choose_policies(scenario: Scenario, policies: Any) -> tuple[dict[str, ScenarioPolicy], list[Problem]]:
    """Return the requested policies of a scenario (default: all), and problems."""
    chosen: dict[str, ScenarioPolicy] = {}
    problems: list[Problem] = []
    named: dict[str, Any] = {}
    with collect(problems):
        named = name_policies(list(scenario.policies) if policies is None else policies, scenario.policies)
    for name, wanted in named.items():
        with collect(problems):
            chosen[name] = replace(scenario.policy(wanted), name=name)
    return chosen, problems


def _own_name(value: Any, known: Collection[str]) -> str:
    """Return the default name of a policy."""
    if isinstance(value, str) and value in known:
        return value
    if is_policy_file(value):
        return PurePath(value).stem
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return str(value.get("strategy") or value.get("file"))
    spec = getattr(value, "spec", value)
    return str(getattr(value, "name", None) or getattr(spec, "strategy", None) or shorten(value))


def _unique(argument: str, listed: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    problems = [problem for name, _ in listed for problem in name_problems(str(name), (argument,))]
    raise_if_any(problems)
    named = dict(listed)
    if len(named) < len(listed):
        names = [name for name, _ in listed]
        twice = next(name for name in names if names.count(name) > 1)
        hint = "give a mapping from distinct names"
        raise InputError(Problem("duplicate name", (argument,), found=shorten(twice), hint=hint))
    return named


def find_bases(scenarios: Mapping[str, Scenario], policies: Mapping[str, Any]) -> Bases:
    """Return the policies to vary, by scenario and policy name; raise `InputError` with all problems of these policies."""
    bases: Bases = {}
    problems: dict[Problem, None] = {}
    for scenario_name, scenario in scenarios.items():
        for name, wanted in policies.items():
            # Warnings about the unchanged policy may not apply to any of the varied ones.
            with catch_warned():
                try:
                    bases[scenario_name, name] = replace(scenario.policy(wanted), name=name)
                except InputError as error:
                    problems |= dict.fromkeys(error.problems)
    raise_if_any(problems)
    return bases
