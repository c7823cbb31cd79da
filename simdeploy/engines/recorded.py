"""What is on record of a simulated rollout as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simdeploy.api.times import format_time
from simdeploy.rules.health import read_health_rule
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy


def describe(
    scenario: Scenario,
    chosen: ScenarioPolicy,
    *,
    responses: Mapping[str, Any],
    started_ns: int,
    watched_until_s: float,
) -> dict[str, Any]:
    """Return the row of `Records.rollouts` that says so, as plain values but for unknown times."""
    orchestrator = scenario.orchestrator_of(chosen)
    kind = responses["release"] or None
    rule = read_health_rule(chosen.policy, orchestrator)
    return {
        "started_at": format_time(started_ns),
        "nodes": scenario.fleet.nodes,
        "type": chosen.identity.type,
        # With the switches it ran under, as a scenario file may state it.
        "policy": {"dialect": chosen.spec.dialect, **chosen.spec.to_dict(), "orchestrator": orchestrator.switches()},
        "interval_s": rule.interval_ns / NS_PER_S,
        "deadline_s": rule.deadline_ns / NS_PER_S if rule.is_checked else None,
        "release": kind,
        "defective": next((each.defective for each in scenario.release if each.name == kind), None),
        "state": responses["state"],
        "ended_s": responses["makespan_s"],
        "watched_until_s": watched_until_s,
    }
