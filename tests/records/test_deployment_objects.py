"""Bodies of the API's GET, revision by revision."""

import json

import pytest
from small import rolling, small

from simdeploy import InputError, read_records, simulate

CHECK = {"deadline": "5m", "min_healthy_time": "30s"}


@pytest.fixture
def rollout():
    """Return one that fails and is rolled back."""
    return simulate(small(), rolling(3, health_check=CHECK, max_failed_nodes=0), seed=3)


def bodies(rollout):
    """Return all bodies that a polling client would have seen."""
    deployments = rollout.revisions["deployment"].unique().tolist()
    return [
        json.loads(rollout.deployment_at(row.revision, rollback=row.deployment != deployments[0]).to_json())
        for row in rollout.revisions.itertuples()
    ]


@pytest.mark.parametrize("form", ["lines", "list", "files"])
def test_counts_over_time(rollout, form, tmp_path):
    """Revisions give the rollout and its counts over time; a rollback is recognised as its part. [contract]"""
    found = bodies(rollout)
    if form == "files":
        for number, body in enumerate(found):
            (tmp_path / f"{number:03}.json").write_text(json.dumps(body, indent=2))
    else:
        text = "\n".join(map(json.dumps, found[::-1])) if form == "lines" else json.dumps(found)
        (tmp_path / "all.json").write_text(text)
    records = read_records(tmp_path)
    expected = rollout.revisions[rollout.revisions["type"] == "update"]
    assert records.counts["time_s"].to_numpy() == pytest.approx(expected["time_s"].to_numpy(), abs=1e-9)
    for column in ("state", "updated_nodes", "failed_nodes"):
        assert records.counts[column].tolist() == expected[column].tolist()
    [row] = records.rollouts.itertuples()
    assert row.state == "failed"
    assert row.nodes == 12
    assert row.ended_s == pytest.approx(rollout.responses["makespan_s"], abs=1e-9)
    assert row.deadline_s == 300
    assert json.loads(row.policy)["max_failed_nodes"] == 0
    [rollback] = records.dropped.itertuples()
    assert "of type rollback: releases nothing" in rollback.reason
    assert rollback.rows == len(found) - len(expected)


def test_people_repetitions_and_contradictions(tmp_path):
    """Promotions without `auto_promote` and cancels are acts of people; repeated revisions count once, contradicting ones not. [contract]"""

    def body(revision, second, **status):
        times = {"created_at": "2026-03-02T08:00:00Z", "updated_at": f"2026-03-02T08:00:{second:02}Z"}
        spec = {"strategy": "canary", "canary_count": 1, "auto_promote": False, "health_check": CHECK}
        status = {
            "state": "in_progress",
            "revision": revision,
            "total_nodes": 5,
            "updated_nodes": 0,
            "failed_nodes": 0,
            **times,
            **status,
        }
        return {"deployment": {"id": "d-1", "type": "update", "spec": spec, "status": status}}

    found = [
        body(1, 0),
        body(2, 10, updated_nodes=1),
        body(2, 10, updated_nodes=1),
        body(3, 20, canary_promoted=True, updated_nodes=1),
        body(4, 30, canary_promoted=True, updated_nodes=2),
        body(4, 30, canary_promoted=True, updated_nodes=3),
        body(5, 40, canary_promoted=True, updated_nodes=3, state="canceled", completed_at="2026-03-02T08:00:40Z"),
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, found)))
    records = read_records(tmp_path / "d.jsonl")
    assert records.counts[["time_s", "updated_nodes"]].to_numpy().tolist() == [[0, 0], [10, 1], [20, 1], [40, 3]]
    assert records.acts[["time_s", "act"]].to_numpy().tolist() == [[20, "promote"], [40, "cancel"]]
    assert records.dropped[["line", "reason"]].to_numpy().tolist() == [
        [3, "repeats an earlier revision"],
        [5, "contradicts another object of the same revision"],
        [6, "contradicts another object of the same revision"],
    ]
    found[0]["deployment"]["spec"]["max_paralel"] = "x"
    found[0]["deployment"]["status"]["total_nodes"] = "five"
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, found)))
    with pytest.raises(InputError, match=r"d.jsonl:1: deployment.status.total_nodes: .*'five'"):
        read_records(tmp_path / "d.jsonl")
