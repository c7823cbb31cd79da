"""Policies, switches, scripts and readers of events for tests whose rollouts are worked out by hand."""

from __future__ import annotations

from typing import Any

import small

from simdeploy import Rollout, Scenario, simulate

ENGINES = ("reference", "compiled")
CHECK = {"deadline": "10m", "min_healthy_time": "30s"}
NO_WINDOWS = {"deadline": "10m", "min_healthy_time": "0s"}
# Two of these ten nodes fail to start: nodes 3 and 7.
TEN = {"nodes": 10, "zones": 4, "rollback_duration": 20}
FAILS = {"start_failure": 1, "affects": {"zones": [3]}}
ZONE_3_FAILS = {"good": {"probability": 1, **FAILS}}
BAD = {"bad": {"probability": 1, "defective": True}}
BAD_ZONE_3_FAILS = {"bad": {**BAD["bad"], **FAILS}}


def rolling(parallel: int = 0, health: Any = NO_WINDOWS, **keys: Any) -> dict[str, Any]:
    return small.rolling(parallel, health_check=health) | keys


def canary(count: int, parallel: int = 0, **keys: Any) -> dict[str, Any]:
    return {**rolling(parallel), "strategy": "canary", "canary_count": count, **keys}


def steady(nodes: int, policy: dict[str, Any], fleet: Any = None, **sections: Any) -> Scenario:
    """Return a fleet with ten requests per second and node, starts of 30 s and rollbacks of 20 s."""
    times = {"update_duration": 30, "rollback_duration": 20, "requests_per_second": 10}
    raw = {"name": "steady", "fleet": {"nodes": nodes, **times, **(fleet or {})}, "policies": {"p": policy}}
    return Scenario.from_dict(raw | sections)


def switches(**values: Any) -> dict[str, Any]:
    return {"preset": "expanso", **values}


def script(*acts: tuple[float, str]) -> dict[str, Any]:
    """Return the part of the operator in which people act at given times."""
    return {"script": [{"at": at, "do": do} for at, do in acts]}


def control_events(rollout: Rollout) -> list[tuple[float, str]]:
    """Return times and reasons of the control plane's events."""
    acts = rollout.events[rollout.events["node"].isna()]
    return list(zip(acts["time_s"], acts["reason"], strict=True))


def dispatch_times(rollout: Rollout) -> list[float]:
    """Return the distinct times at which nodes were dispatched."""
    return sorted(set(rollout.nodes["dispatched_at_s"].dropna()))


def run(scenario: Scenario, policy: Any, engine: str) -> dict[str, Any]:
    """Return the responses of a rollout of a policy."""
    return simulate(scenario, policy, engine=engine).response_values


def values_of(scenario: Scenario, engine: str, replication: int = 0) -> dict[str, Any]:
    return simulate(scenario, replication=replication, engine=engine).response_values
