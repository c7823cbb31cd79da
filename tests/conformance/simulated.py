"""The rollout of a playbook's policy in a fleet in which the same hosts fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from conformance.plays import Play

import simdeploy
from simdeploy.dialects import read_policy


def simulate(play: Play, version: str, engine: str, folder: Path) -> dict[str, Any]:
    """Return the nodes of each batch, those that failed, and whether the rollout was stopped; without those that are down."""
    policy = read_policy(play.playbook, nodes=play.n_hosts, variables=_variables(play, version)).policy
    fleet: dict[str, Any] = {"nodes": play.n_hosts, "update_duration": "30s"}
    if play.unreachable:
        fleet["classes"] = [{"name": "down", "nodes": list(play.unreachable), "down": True}]
    failing = sorted({*play.fails_update, *play.fails_check})
    kind: dict[str, Any] = {"probability": 1, "defective": bool(failing)}
    if failing:
        kind |= {"start_failure": 1, "affects": {"nodes": failing}}
    scenario = {"name": "play", "fleet": fleet, "release": {"new": kind}, "policies": {"play": policy}}
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(scenario), encoding="utf-8")
    rollout = simdeploy.simulate(path, "play", seed=1, engine=engine)
    nodes = rollout.nodes[~rollout.nodes["node"].isin(play.unreachable)]
    touched = nodes[nodes["dispatched_at_s"].notna()]
    return {
        "batches": [sorted(batch["node"]) for _, batch in touched.groupby("dispatched_at_s")],
        "failures": sorted(nodes["node"][nodes["failed_at_s"].notna()]),
        "stopped": rollout.responses["state"] != "completed",
    }


def _variables(play: Play, version: str) -> dict[str, str]:
    depends = "{{" in str(play.keywords.get("any_errors_fatal"))
    return {"ansible_version": version} if depends else {}
