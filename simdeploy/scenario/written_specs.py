"""A policy's spec in every dialect of the API that can say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from simdeploy.dialects.translation import translate_spec
from simdeploy.scenario.orchestrator_section import write_orchestrator

if TYPE_CHECKING:
    from simdeploy.api import Dialect
    from simdeploy.scenario.parts import ScenarioPolicy
    from simdeploy.scenario.scenario import Scenario

Specs: TypeAlias = dict[str, dict[str, Any]]


def write_specs(policy: ScenarioPolicy, scenario: Scenario) -> Specs:
    """Return the policy by dialect, its own first: the `spec` without keys left to their default, and `notes` on what it can't
    say. A general policy is in its own dialect alone, with its `orchestrator`.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... })
    >>> for dialect, written in write_specs(scenario.policy(), scenario).items():
    ...     print(dialect, written["spec"]["max_parallel"], written["spec"]["health_check"]["deadline"])
    deployment 1 5m
    rollout 50 300000000000
    """
    # No dialect of the API can express all of a general policy.
    spec = policy.spec
    dialects: tuple[Dialect, ...] = ("general",) if spec.dialect == "general" else ("deployment", "rollout")
    specs: Specs = {}
    for dialect in sorted(dialects, key=lambda each: each != spec.dialect):
        translated = translate_spec(
            spec,
            dialect,
            nodes=scenario.fleet.nodes,
            interval_ns=scenario.health_interval_ns,
            window_reset=scenario.orchestrator_of(policy).window_reset,
        )
        written = _drop_defaults(translated.spec.to_dict())
        if dialect == "general":
            written = {"dialect": dialect, **written}
            if policy.orchestrator is not None:
                written["orchestrator"] = write_orchestrator(policy.orchestrator)
        specs[dialect] = {"spec": written, "notes": list(translated.notes)}
    return specs


def _drop_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """Leave out keys left to their default."""
    nested = {key: _drop_defaults(value) if isinstance(value, dict) else value for key, value in raw.items()}
    return {key: value for key, value in nested.items() if value is not None and value != {}}
