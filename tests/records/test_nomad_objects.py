"""Allocations and deployments of Nomad, as its API writes them."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from simdeploy import InputError, read_records

S = 1_000_000_000
T0 = 1_772_438_400 * S  # 2026-03-02T08:00:00Z


def at(second):
    """Return an RFC 3339 time; Go's zero time for None."""
    return "0001-01-01T00:00:00Z" if second is None else f"2026-03-02T08:{second // 60:02}:{second % 60:02}Z"


def task(started=None, *, restarts=0, last_restart=None, state="running", failed=False, killing=None, finished=None):
    """Return the state of a task."""
    events = [
        {"Type": "Received", "Time": T0, "Message": "", "DisplayMessage": "Task received by client", "Details": {}}
    ]
    if started is not None:
        events.append(
            {"Type": "Started", "Time": T0 + started * S, "DisplayMessage": "Task started by client", "Details": {}}
        )
    if killing is not None:
        events.append({"Type": "Killing", "Time": T0 + killing * S, "DisplayMessage": "Sent interrupt", "Details": {}})
    return {
        "State": state,
        "Failed": failed,
        "Restarts": restarts,
        "LastRestart": at(last_restart),
        "StartedAt": at(started),
        "FinishedAt": at(finished),
        "Events": events,
    }


def allocation(
    number, created, tasks, *, healthy=None, resolved=None, client="running", desired="run", modified=600, **more
):
    """Return an allocation as a list of them has it."""
    health = (
        None if healthy is None else {"Healthy": healthy, "Timestamp": at(resolved), "Canary": False, "ModifyIndex": 9}
    )
    return {
        "ID": f"00000000-{number:04}-{created:04}",
        "Name": f"web.front[{number}]",
        "Namespace": "default",
        "NodeID": f"node-id-{number}",
        "NodeName": f"host-{number}",
        "JobID": "web",
        "JobVersion": 7,
        "TaskGroup": "front",
        "DesiredStatus": desired,
        "ClientStatus": client,
        "DeploymentStatus": health,
        "TaskStates": tasks,
        "CreateIndex": 50 + number,
        "ModifyIndex": 90,
        "CreateTime": T0 + created * S,
        "ModifyTime": T0 + modified * S,
        **more,
    }


def deployment(status="failed", **more):
    """Return the deployment."""
    group = {
        "AutoRevert": True,
        "DesiredCanaries": 0,
        "DesiredTotal": 8,
        "HealthyAllocs": 2,
        "PlacedAllocs": 7,
        "UnhealthyAllocs": 2,
    }
    return {
        "ID": "dep-1",
        "JobID": "web",
        "JobVersion": 7,
        "Status": status,
        "StatusDescription": "Failed due to unhealthy allocations",
        "TaskGroups": {"front": group},
        "CreateIndex": 40,
        "ModifyIndex": 99,
        "CreateTime": T0 - 5 * S,
        "ModifyTime": T0 + 700 * S,
        **more,
    }


ALLOCATIONS = [
    allocation(0, 0, {"app": task(20), "log": task(25)}, healthy=True, resolved=60),
    allocation(1, 0, {"app": task(50, restarts=2, last_restart=45)}, healthy=True, resolved=90),
    allocation(2, 60, {"app": task(80)}, healthy=False, resolved=360),
    allocation(
        3, 60, {"app": task(None, state="dead", failed=True, restarts=3)}, healthy=False, resolved=120, client="failed"
    ),
    allocation(4, 90, {"app": task(None, state="pending")}, healthy=False, resolved=390, client="pending"),
    allocation(5, 120, {"app": task(130, killing=395)}, desired="stop", client="complete"),
    allocation(6, 0, {"app": task(None, state="dead", failed=True)}, healthy=None, client="failed", modified=100),
    allocation(6, 130, {"app": task(150)}, healthy=True, resolved=200),
    allocation(7, 130, None, client="pending"),
    allocation(8, 0, {"app": task(20, restarts=1, last_restart=300)}, healthy=True, resolved=60),
]


def test_nodes(tmp_path):
    """Times, attempts and outcomes of nodes follow from the allocations; those that follow each other are one node. [contract]"""
    (tmp_path / "allocations.json").write_text(json.dumps(ALLOCATIONS, indent=2))
    (tmp_path / "deployment.json").write_text(json.dumps(deployment()))
    records = read_records(tmp_path)
    assert records.dropped.empty
    nodes = records.nodes.set_index("node").rename(index=lambda name: int(name[10:-1])).sort_index()
    assert nodes["rollout"].unique().tolist() == ["dep-1"]
    assert nodes["class"].unique().tolist() == ["front"]
    status = ["running", "running", "failed", "failed", "failed", "validating", "running", "starting", "running"]
    assert nodes["status"].tolist() == status
    assert nodes["cause"].dropna().to_dict() == {2: "unhealthy", 3: "did_not_start", 4: "silent"}
    assert nodes["attempts"].tolist() == [1, 3, 1, 4, 1, 1, 2, 1, pd.NA]
    assert nodes["dispatched_at_s"].tolist() == [5, 5, 65, 65, 95, 125, 5, 135, 5]
    assert nodes["started_at_s"].fillna(-1).tolist() == [30, 55, 85, -1, -1, 135, 155, -1, 25]
    assert nodes["resolved_at_s"].fillna(-1).tolist() == [65, 95, 365, 125, 395, -1, 205, -1, 65]
    assert nodes["watched_until_s"].tolist() == [705.0] * 5 + [400.0] + [705.0] * 3
    [row] = records.rollouts.itertuples()
    assert (row.rollout, row.nodes, row.state, row.ended_s) == ("dep-1", 8, "failed", 705)
    assert row.started_at == pd.Timestamp("2026-03-02T07:59:55Z")


def test_without_the_deployment(tmp_path):
    """Without it allocations are of a version of their job; a full one names its deployment; of two objects the later counts. [contract]"""
    later = {**ALLOCATIONS[0], "ModifyTime": T0 + 800 * S}
    (tmp_path / "allocations.json").write_text(json.dumps([later, *ALLOCATIONS[:3]]))
    records = read_records(tmp_path)
    assert records.rollouts["rollout"].tolist() == ["web version 7"]
    assert records.rollouts["started_at"].tolist() == [pd.Timestamp("2026-03-02T08:00:00Z")]
    assert records.nodes["dispatched_at_s"].tolist() == [0, 0, 60]
    assert records.nodes["watched_until_s"].tolist() == [800] * 3
    assert records.dropped["reason"].tolist() == ["there is a later object of this allocation"]
    (tmp_path / "allocations.json").write_text(
        json.dumps({**ALLOCATIONS[0], "DeploymentID": "dep-9", "Job": {"Version": 7}}, indent=1)
    )
    assert read_records(tmp_path).nodes["rollout"].tolist() == ["dep-9"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"CreateTime": "yesterday"}, "CreateTime: not a whole number \\(found 'yesterday'\\)"),
        ({"TaskStates": 3}, "TaskStates: not a list \\(found 3\\); allowed: a list or an object"),
        ({"DeploymentStatus": {"Healthy": "yes"}}, "DeploymentStatus.Healthy: neither true nor false"),
        ({"Name": "a\x1b"}, "Name: unprintable character"),
    ],
)
def test_damaged_objects_are_refused(wrong, message, tmp_path):
    """A value of a wrong type is an error with line and path. [contract]"""
    (tmp_path / "a.json").write_text(json.dumps([{**ALLOCATIONS[0], **wrong}], indent=1))
    with pytest.raises(InputError, match=f"a.json:\\d+: {message}"):
        read_records(tmp_path / "a.json")


def test_unknown_status_of_a_deployment(tmp_path):
    """A status that Nomad doesn't have is an error that lists those it has. [contract]"""
    (tmp_path / "d.json").write_text(json.dumps(deployment(status="done")))
    with pytest.raises(InputError, match=r"Status: unknown status \(found 'done'\); allowed: successful, failed"):
        read_records(tmp_path / "d.json")
