"""Positions of the sliders: values read as in a scenario file, and the scenario and policy with these values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, catch_warned, not_among, raise_if_any, shorten
from simdeploy.experiments.kinds import balance
from simdeploy.experiments.levers import change_policy, find_levers, own_identity

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy

_MOST_VALUES = 50
_LONGEST = 200  # characters of a name or a text


@dataclass(frozen=True)
class Position:
    """A policy's name, and changed values by full key, as in a sweep.

    Examples
    --------
    >>> position = Position("waves", {"max_failed_nodes": 5, "scenario.fleet.start_failure": 0.02})
    >>> position == read_position(position.to_dict())
    True
    """

    policy: str
    values: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the position as JSON values."""
        return {"policy": self.policy, "values": dict(self.values)}

    @property
    def key(self) -> str:
        """A text unique to the position."""
        return json.dumps(self.to_dict(), sort_keys=True)


@dataclass(frozen=True)
class Place:
    """A position's scenario and policy, with the changed values, and warnings about both."""

    position: Position
    scenario: Scenario
    policy: ScenarioPolicy
    warnings: tuple[str, ...]


def read_position(raw: object) -> Position:
    """Read a position from JSON values; raise all problems."""
    if not isinstance(raw, Mapping):
        allowed = "an object with policy and values"
        raise InputError(Problem("not a position", ("position",), found=shorten(raw), allowed=allowed))
    problems = [
        Problem("unknown key", ("position", shorten(key)), meant=(str(key), ("policy", "values")))
        for key in raw
        if key not in ("policy", "values")
    ]
    policy, values = raw.get("policy"), raw.get("values", {})
    if not isinstance(policy, str):
        problems.append(Problem("not a name", ("position", "policy"), found=shorten(policy), allowed="a text"))
    if not isinstance(values, Mapping):
        problems.append(Problem("not values", ("position", "values"), found=shorten(values), allowed="an object"))
    elif len(values) > _MOST_VALUES:
        problems.append(
            Problem("too many values", ("position", "values"), found=str(len(values)), allowed=f"{_MOST_VALUES}")
        )
    else:
        problems += [
            Problem(
                "not a value", ("position", "values", shorten(name)), found=shorten(value), allowed="a text or number"
            )
            for name, value in values.items()
            if not isinstance(name, str) or len(name) > _LONGEST or not _is_scalar(value)
        ]
    raise_if_any(problems)
    return Position(str(policy), dict(sorted(values.items())))


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int)


def settle(position: Position, scenario: Scenario, policies: Mapping[str, ScenarioPolicy]) -> Place:
    """Return the scenario and policy at a position; raise all problems, as for a file with these values.

    If probabilities of some kinds of release are changed, the others are scaled to sum to the rest.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True}},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> values = {"max_failed_nodes": 1, "scenario.release.bad.probability": 0.25}
    >>> place = settle(Position("waves", values), scenario, scenario.policies)
    >>> place.policy.spec.max_failed_nodes, [float(kind.probability) for kind in place.scenario.release]
    (1, [0.75, 0.25])
    """
    if position.policy not in policies:
        raise InputError(not_among("no such policy", ("policy",), position.policy, list(policies)))
    policy = policies[position.policy]
    levers = find_levers(position.values, [scenario], [policy.spec])
    values = dict(zip(levers, position.values.values(), strict=True))
    factors = {lever.path: value for lever, value in values.items() if lever.is_factor}
    settings = {lever: value for lever, value in values.items() if not lever.is_factor}
    with catch_warned() as problems:
        world = scenario
        if factors:
            # Other policies aren't simulated, and may be invalid in the changed world; requirements may refer to them.
            only: dict[str, Any] = {"policies": {"none": {"strategy": "immediate"}}, "requirements": []}
            world = scenario.with_values({**balance(factors, scenario), **only})
            world = replace(world, requirements=scenario.requirements)
        changed = change_policy(policy, settings, world, own_identity(policy, scenario)) if values else policy
    return Place(position, world, changed, tuple(dict.fromkeys(map(str, problems))))
