"""Rollouts of the imported stack file match recordings of a real Docker Swarm."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from simdeploy import Scenario, simulate
from simdeploy.dialects import read_policy

FOLDER = Path(os.environ.get("RECORDINGS", Path(__file__).parent / "recordings"))
RECORDINGS = sorted(FOLDER.glob("swarm-*.json"))

# A failed task is noticed about this long after it began to run.
NOTICED_S = 0.1

# A free worker takes its next slot with a small delay, which adds up.
LATEST_S = 1.0


def read(file: Path) -> dict[str, Any]:
    recording: dict[str, Any] = json.loads(file.read_text())
    return recording


def replay(recording: dict[str, Any], engine: str) -> Any:
    """Simulate the recorded update: its order of slots, its failures, and how long each task took to start."""
    imported = read_policy(recording["stack"])
    tasks = recording["tasks"]
    bad = [slot - 1 for slot in recording["fail"] + recording["late"]]
    starts = {task["slot"] - 1: start_s(task) for task in tasks if task["running_s"] or task["ended_s"]}
    classes = [
        {"name": f"slot {node + 1}", "nodes": [node], "update_duration": start} for node, start in starts.items()
    ]
    scenario = {
        "name": "recorded",
        "fleet": {
            "nodes": imported.nodes,
            "update_duration": sorted(starts.values())[len(starts) // 2],
            "order": [task["slot"] - 1 for task in tasks],
            "requests_per_second": 20,
            "classes": classes,
        },
        "health": {"interval": f"{NOTICED_S}s"},
        "policies": {"stack": imported.policy},
    }
    if bad:
        defect = {"probability": 1, "defective": True, "error_rate": 1, "affects": {"nodes": bad}}
        scenario["release"] = {"bad": {**defect, "after": f"{recording['after_s']}s"}}
    return simulate(Scenario.from_dict(scenario), "stack", engine=engine)


def start_s(task: dict[str, Any]) -> float:
    """Return how long a task took to run, or to fail if nobody saw it run."""
    known = task["running_s"] if task["running_s"] is not None else task["ended_s"] - NOTICED_S
    return round(max(known - task["created_s"], 0.001), 3)


def deploy(recording: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load(recording["stack"])["services"]["web"]["deploy"]
    return section


def counted_failures(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks that failed within the monitoring period, in the order of their ends."""
    monitor_s = float(deploy(recording)["update_config"]["monitor"].removesuffix("s"))
    ended = [task for task in recording["tasks"] if task["ended_s"] is not None]
    counted = [task for task in ended if task["ended_s"] - task["created_s"] - start_s(task) <= monitor_s]
    return sorted(counted, key=lambda task: float(task["ended_s"]))


def lag(recording: dict[str, Any]) -> int:
    """Return how many slots workers took before the failure that stops the update was noticed; 0 if there is none."""
    section, failures = deploy(recording), counted_failures(recording)
    n_allowed = int(section["update_config"].get("max_failure_ratio", 0) * section["replicas"])
    if section["update_config"].get("failure_action") == "continue" or len(failures) <= n_allowed:
        return 0
    crossing_s = failures[n_allowed]["created_s"] + start_s(failures[n_allowed])
    return max(1, sum(task["created_s"] >= crossing_s for task in recording["tasks"]))


@pytest.fixture(params=RECORDINGS, ids=lambda file: file.stem.removeprefix("swarm-"))
def recording(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def test_a_recorded_update_ends_as_it_did(recording, engine):
    """State, failed slots, touched slots and their times are as recorded, apart from the lag of reports. [oracle]"""
    rollout = replay(recording, engine)
    values, nodes = rollout.responses, rollout.nodes.set_index("node")
    assert values["state"] == ("failed" if recording["tasks_of_rollback"] else recording["state"])
    created = {task["slot"] - 1: task["created_s"] for task in recording["tasks"]}
    dispatched = nodes["dispatched_at_s"].dropna().to_dict()
    assert len(created.keys() ^ dispatched.keys()) <= lag(recording)
    late_s = [created[node] - dispatched[node] for node in created.keys() & dispatched.keys()]
    assert min(late_s) >= -0.01
    assert max(late_s) <= LATEST_S
    failed = {task["slot"] - 1 for task in counted_failures(recording)}
    assert len(failed ^ set(nodes.index[nodes["ever_failed"]])) <= lag(recording)


def test_recordings_say_what_was_run():
    """Recordings have date and versions, and include updates that complete, pause and roll back. [contract]"""
    assert len(RECORDINGS) >= 12
    recordings = [read(file) for file in RECORDINGS]
    assert all(one["recorded"] and one["versions"]["docker.io"] for one in recordings)
    assert {one["state"] for one in recordings} >= {"completed", "paused", "rollback_completed"}
    assert any(one["fail"] and one["state"] == "completed" for one in recordings)
