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


UNSET = "0001-01-01T00:00:00Z"  # as Go writes it


def canary(revision, minute, *, promoted=False, state="in_progress", spec=(), **times):
    """Return a body of a canary rollout."""
    times = {"created_at": "2026-03-02T08:00:00Z", "updated_at": f"2026-03-02T08:{minute:02}:00Z", **times}
    status = {"state": state, "revision": revision, "total_nodes": 4, "canary_promoted": promoted, **times}
    whole = {"strategy": "canary", "canary_count": 1, "health_check": CHECK, **dict(spec)}
    return {"deployment": {"id": "d-1", "type": "update", "spec": whole, "status": status}}


def read(folder, *found):
    """Read bodies, one per line."""
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, found)))
    return read_records(folder / "d.jsonl")


@pytest.mark.parametrize(
    ("spec", "acts"),
    [({}, [[300, "promote"]]), ({"auto_promote": False}, [[300, "promote"]]), ({"auto_promote": True}, [])],
    ids=["unset", "false", "true"],
)
def test_promotions(spec, acts, tmp_path):
    """A promotion is an act of people unless the spec says that canaries are promoted automatically. [contract]"""
    records = read(tmp_path, canary(1, 0, spec=spec), canary(2, 5, promoted=True, spec=spec))
    assert records.acts[["time_s", "act"]].to_numpy().tolist() == acts


def test_unset_times(tmp_path):
    """Go's unset time is missing: counts have none, and a rollout without any other time is left out. [contract]"""
    pending = canary(1, 0, state="pending", updated_at=UNSET, completed_at=UNSET)
    records = read(
        tmp_path, pending, canary(2, 3, completed_at=UNSET), canary(3, 5, state="canceled", completed_at=UNSET)
    )
    assert records.rollouts[["state", "ended_s"]].to_numpy().tolist() == [["canceled", 300]]
    assert records.counts["time_s"].tolist() == [180, 300]
    assert records.acts[["time_s", "act"]].to_numpy().tolist() == [[300, "cancel"]]
    reason = "no updated_at: the time of its counts is unknown"
    assert records.dropped[["line", "reason"]].to_numpy().tolist() == [[1, reason]]
    unplanned = read(tmp_path, canary(1, 5, completed_at=UNSET, total_nodes=0)).rollouts
    assert unplanned[["ended_s", "nodes"]].isna().all(axis=None)
    with pytest.raises(InputError, match=r"no usable records\n.*d.jsonl:1: deployment d-1 has no times"):
        read(tmp_path, canary(1, 0, state="pending", created_at=UNSET, updated_at=UNSET))


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("2026-03-02T07:00:00Z", "ended_s: before the start of rollout 'd-1' \\(found 1h before it\\)"),
        ("2300-01-01T00:00:00Z", "deployment.status.completed_at: out of range .*; allowed: a time from 1970 to 2262"),
    ],
)
def test_impossible_times_are_refused(time, message, tmp_path):
    """An end before the start, or a time beyond those of records, is an error with its line. [contract]"""
    with pytest.raises(InputError, match=f"d.jsonl:2: {message}"):
        read(tmp_path, canary(1, 0), canary(2, 5, state="completed", completed_at=time))
