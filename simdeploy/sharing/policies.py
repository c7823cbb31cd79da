"""Policies as JSON, in both dialects of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeploy.dialects.translation import translate_spec
from simdeploy.errors import InputError

if TYPE_CHECKING:
    from simdeploy.api import Dialect
    from simdeploy.scenario import Scenario, ScenarioPolicy

_DIALECTS: tuple[Dialect, ...] = ("deployment", "rollout")


@dataclass(frozen=True)
class PolicyText:
    """A policy as JSON.

    Attributes
    ----------
    name : str
    forms : tuple of (str, str, tuple of str)
        A dialect, the JSON in it, which is empty if it can't express the policy, and notes on the translation.
    """

    name: str
    forms: tuple[tuple[str, str, tuple[str, ...]], ...]


def write_policy(scenario: Scenario, policy: ScenarioPolicy) -> PolicyText:
    """Return a policy as JSON, with what changes or gets lost in a dialect that is not its own.

    Examples
    --------
    >>> from simdeploy import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "small",
    ...     "fleet": {"nodes": 10, "update_duration": "45s"},
    ...     "policies": {"waves": {"strategy": "rolling", "max_parallel": 2, "health_check": {"deadline": "5m"}}},
    ... })
    >>> [dialect for dialect, _, _ in write_policy(scenario, scenario.policy()).forms]
    ['deployment', 'rollout']
    """
    own = policy.spec.dialect
    dialects = _DIALECTS if own in _DIALECTS else (own, *_DIALECTS)
    return PolicyText(policy.name, tuple(_write(scenario, policy, dialect) for dialect in dialects))


def _write(scenario: Scenario, policy: ScenarioPolicy, dialect: Dialect) -> tuple[str, str, tuple[str, ...]]:
    window_reset = scenario.orchestrator_of(policy).window_reset
    how: dict[str, Any] = {"nodes": scenario.fleet.nodes, "interval_ns": scenario.health_interval_ns}
    try:
        translation = translate_spec(policy.spec, dialect, **how, window_reset=window_reset)
    except InputError as error:
        return dialect, "", tuple(map(str, error.problems))
    spec = translation.spec.to_dict() if dialect == "general" else json.loads(translation.to_json())
    return dialect, to_json(spec), translation.notes


def to_json(spec: Mapping[str, Any]) -> str:
    """Return a spec as JSON over several lines."""
    return json.dumps(spec, indent=2, ensure_ascii=True)
