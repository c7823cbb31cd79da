"""Allocations and deployments of Nomad, as its API writes them."""

import json

import pandas as pd
import pytest
from samples.nomad import ALLOCATIONS, T0, S, allocation, deployment, task

from simdeploy import InputError, read_records


def test_nodes(tmp_path):
    """Times, attempts and outcomes follow from the allocations; allocations that replace each other are one node. [contract]"""
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
    """Without the deployment allocations belong to a version of their job; a full allocation names its deployment; later objects win. [contract]"""
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


def test_later_allocations(tmp_path):
    """Allocations that replace a healthy one, or are created after the end, are not attempts of the rollout. [contract]"""
    later = [
        allocation(0, 500, {"app": task(520)}, healthy=True, resolved=560, modified=900),
        allocation(2, 800, {"app": task(820)}, modified=900),
        allocation(9, 1_800_000, None, client="pending", modified=1_800_040),
    ]
    (tmp_path / "a.json").write_text(json.dumps([*ALLOCATIONS[:3], *later]))
    (tmp_path / "d.json").write_text(json.dumps(deployment()))
    records = read_records(tmp_path)
    assert records.nodes["status"].tolist() == ["running", "running", "failed"]
    assert records.nodes["attempts"].tolist() == [1, 3, 1]
    assert records.nodes["watched_until_s"].tolist() == [705] * 3
    healthy, ended = "replaces a healthy allocation: not an attempt", "created after the end of its deployment"
    assert records.dropped["reason"].tolist() == [healthy, ended, ended]
    (tmp_path / "d.json").unlink()
    assert read_records(tmp_path).dropped["reason"].tolist() == [healthy]


def test_tasks_that_run_after_the_others(tmp_path):
    """A task that starts only once the others have ended is ignored, if the allocation is healthy or has its job. [contract]"""
    tasks = {"app": task(20), "cleanup": task(None, state="pending")}
    group = {"Name": "front", "Tasks": [{"Name": "app"}, {"Name": "cleanup", "Lifecycle": {"Hook": "poststop"}}]}
    found = [
        allocation(0, 0, tasks, healthy=True, resolved=60),
        allocation(1, 0, tasks, healthy=False, resolved=60, Job={"Version": 7, "TaskGroups": [group]}),
        allocation(2, 0, tasks, healthy=False, resolved=60, client="failed"),
    ]
    (tmp_path / "a.json").write_text(json.dumps(found))
    nodes = read_records(tmp_path / "a.json").nodes
    assert nodes["started_at_s"].fillna(-1).tolist() == [20, 20, -1]
    assert nodes["cause"].tolist()[1:] == ["unhealthy", "did_not_start"]


def test_lines(tmp_path):
    """Allocations may be one per line, even if nothing is known of them yet. [contract]"""
    waiting = {**ALLOCATIONS[8], "TaskStates": None, "DeploymentStatus": None}
    for found in ([waiting, waiting | {"ID": "other", "Name": "web.front[9]"}], [waiting, *ALLOCATIONS[:2]]):
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, found)))
        records = read_records(tmp_path)
        assert len(records.nodes) == len(found)
        assert records.nodes.set_index("node")["status"]["web.front[7]"] == "starting"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"CreateTime": "yesterday"}, "CreateTime: not a whole number \\(found 'yesterday'\\)"),
        ({"CreateTime": 1772438400000}, "CreateTime: not a time .*allowed: nanoseconds since 1970, not seconds"),
        ({"ModifyTime": 1772438400}, "ModifyTime: not a time .*allowed: nanoseconds since 1970, not seconds"),
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
    """An unknown status is an error that lists the known ones. [contract]"""
    (tmp_path / "d.json").write_text(json.dumps(deployment(status="done")))
    with pytest.raises(InputError, match=r"Status: unknown status \(found 'done'\); allowed: successful, failed"):
        read_records(tmp_path / "d.json")
