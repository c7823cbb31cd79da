"""Imported policies decide as their orchestrators do in their own tests, documentation or real runs.

`data/decisions-of-orchestrators.json` has the cases. In their world each start takes 30 s, windows last 1 s, there are 10 requests per second
and node, and nothing is random.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from by_hand import ENGINES

from simdeploy import InputError, Scenario, read_policy, simulate
from simdeploy.engines import Rollout

FILE = Path(__file__).resolve().parents[1] / "data" / "decisions-of-orchestrators.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
EFFECTS = {
    "fail": {"start_failure": 1},
    "hang": {"start_hang": 1},
    "unhealthy": {"error_rate": 1},
    "late": {"error_rate": 1},
}


def scenario_of(vector: dict[str, Any]) -> Scenario:
    """Return the world of a vector, with the imported policy."""
    imported = read_policy(vector["config"], vector["kind"], nodes=vector["total"])
    events = vector["events"]
    fleet: dict[str, Any] = {"nodes": vector["total"], "update_duration": "30s", "requests_per_second": 10}
    if vector.get("order"):
        fleet["order"] = vector["order"]
    if events.get("unreachable"):
        fleet["classes"] = [{"name": "unreachable", "nodes": events["unreachable"], "down": True}]
    release: dict[str, Any] = {"good": {"probability": 1}}
    for event, effect in EFFECTS.items():
        nodes, after = events.get(event), {}
        if event == "late" and nodes:
            nodes, after = nodes["nodes"], {"after": nodes["after_s"]}
        if nodes:
            release = {"bad": {"probability": 1, "defective": True, **effect, **after, "affects": {"nodes": nodes}}}
    operator: dict[str, Any] = {"escape_detection": "1000h", "script": events.get("script")}
    if events.get("never_promoted"):
        operator["promote_after"] = "100000h"
    raw = {
        "name": vector["id"],
        "fleet": fleet,
        "release": release,
        "operator": operator,
        "health": {"interval": "1s"},
        "policies": {"imported": imported.policy},
    }
    if events.get("type"):
        raw["deployment"] = {"type": events["type"]}
    return Scenario.from_dict(raw)


def dispatched_s(rollout: Rollout, until_s: float) -> list[float]:
    times = rollout.nodes["dispatched_at_s"].dropna()
    return sorted(time for time in times if time <= until_s)


def batches_of(rollout: Rollout, until_s: float) -> list[int]:
    """Return how many nodes were dispatched at each instant."""
    times = dispatched_s(rollout, until_s)
    return [times.count(time) for time in dict.fromkeys(times)]


def within(value: float, least: float, most: float) -> bool:
    return least <= value <= most


def check(vector: dict[str, Any], rollout: Rollout) -> None:
    expect, until_s = vector["expect"], vector.get("until_s", math.inf)
    values, nodes = rollout.responses, rollout.nodes
    batches = batches_of(rollout, until_s)
    reached = nodes[nodes["dispatched_at_s"].le(until_s)]
    failed = nodes.index[nodes["failed_at_s"].le(until_s)].tolist()
    if "batches" in expect:
        assert batches == expect["batches"]
    if "prefix" in expect:
        assert batches[: len(expect["prefix"])] == expect["prefix"]
    if "touched" in expect:
        least, most = expect["touched"] if isinstance(expect["touched"], list) else [expect["touched"]] * 2
        assert within(len(reached), least, most)
    if "failed" in expect:
        assert len(failed) == expect["failed"]
    if "failed_nodes" in expect:
        assert failed == expect["failed_nodes"]
    if "failed_among_reached" in expect:
        assert [node for node in failed if node in reached.index] == expect["failed_among_reached"]
    if "failed_counted" in expect:
        counted = rollout.deployment.status.failed_nodes
        assert counted == expect["failed_counted"] if not isinstance(expect["failed_counted"], bool) else counted > 0
    if "stopped" in expect:
        assert (values["state"] != "completed") is expect["stopped"]
    if "rolled_back" in expect:
        gone_back = nodes["rollback_started_at_s"].le(min(until_s, 1_000_000)).sum()
        assert gone_back == expect["rolled_back"]
    if "stopped_at_s" in expect:
        assert within(values["stopped_at_s"], *expect["stopped_at_s"])
    for time, number, give in expect.get("by_time", ()):
        assert within(sum(at < time for at in dispatched_s(rollout, math.inf)), number - give, number + give)
    if "still_open_at_s" in expect:
        assert not values["makespan_s"] <= expect["still_open_at_s"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['id']}-{vector['kind']}")
def test_an_imported_policy_decides_as_its_orchestrator(vector: dict[str, Any]) -> None:
    """Batches, failures and end of a rollout are the orchestrator's, and both engines have the same numbers. [oracle]"""
    try:
        scenario = scenario_of(vector)
    except InputError:
        assert vector["expect"].get("or_error")
        return
    rollout, fast = (simulate(scenario, engine=engine) for engine in ENGINES)
    check(vector, rollout)
    assert fast.responses.equals(rollout.responses)
