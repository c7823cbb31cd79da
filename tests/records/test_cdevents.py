"""CDEvents: rollouts, rollbacks, and the releases that an incident blames."""

import json

import pandas as pd
import pytest
from samples.cdevents import YEAR, event

from simdeploy import InputError, read_records


@pytest.mark.parametrize("form", ["lines", "list", "cloudevents"])
def test_the_release_mix(form, tmp_path):
    """Each deployment is a rollout, defective if an incident names it, otherwise of unknown kind. [contract]"""
    events = YEAR[::-1] if form == "list" else YEAR
    if form == "cloudevents":
        events = [
            {"specversion": "1.0", "id": "1", "source": "/x", "type": each["context"]["type"], "data": each}
            for each in YEAR
        ]
    text = json.dumps(events, indent=2) if form == "list" else "\n".join(map(json.dumps, events)) + "\n"
    (tmp_path / "events.json").write_text(text)
    records = read_records(tmp_path)
    rollouts = records.rollouts.sort_values(["started_at", "rollout"], ignore_index=True)
    assert rollouts["rollout"].tolist() == [
        "checkout in prod at 2026-03-01T10:00:00Z",
        "checkout in prod at 2026-03-02T10:00:00Z",
        "checkout in prod at 2026-03-03T10:00:00Z",
        "checkout in test at 2026-03-03T10:00:00Z",
    ]
    assert rollouts["started_at"][0] == pd.Timestamp("2026-03-01T10:00:00Z")
    assert rollouts["state"].tolist() == ["completed", "failed", "completed", "failed"]
    assert rollouts["defective"].tolist() == [pd.NA, True, pd.NA, pd.NA]
    assert rollouts["watched_until_s"].tolist() == [86400, 7200, 7200, 1800]
    assert rollouts["ended_s"].fillna(-1).tolist() == [-1, 7200, -1, 1800]
    assert sorted(records.dropped["reason"]) == [
        "a removal without a deployment before it",
        "an incident that names no artifact: it may have any cause",
        "service.published: not about a rollout",
    ]
    assert records.nodes.empty


def test_links_repetitions_and_strangers(tmp_path):
    """A link to a deployment counts as a name; repeated events count once; unrelated ones are left out. [contract]"""
    link = {"linkType": "RELATION", "linkKind": "TRIGGER", "target": {"contextId": "d-1"}}
    events = [
        event("service.rolledback", "2026-03-01T09:00:00Z"),
        event("service.deployed", "2026-03-01T10:00:00Z", number="d-1"),
        event("service.deployed", "2026-03-01T10:00:00Z", number="d-1"),
        event("incident.detected", "2026-03-01T11:00:00Z", None, links=[link]),
        event("incident.detected", "2026-03-01T12:00:00Z", "other"),
    ]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, events)))
    records = read_records(tmp_path / "e.jsonl")
    assert records.rollouts["defective"].tolist() == [True]
    assert records.dropped[["line", "rows", "reason"]].to_numpy().tolist() == [
        [1, 1, "a rollback without a deployment before it"],
        [3, 1, "repeats an earlier event"],
        [5, 1, "an incident of an artifact without a deployment before it"],
    ]


@pytest.mark.parametrize(
    ("environment", "defective"),
    [("prod", [pd.NA, True, pd.NA]), (None, [pd.NA, True, True])],
    ids=["named", "not named"],
)
def test_an_artifact_in_several_environments(environment, defective, tmp_path):
    """An incident that names only the artifact marks its last deployment in each environment. [contract]"""
    deployed = [
        event("service.deployed", "2026-03-01T10:00:00Z"),
        event("service.deployed", "2026-03-01T11:00:00Z"),
        event("service.deployed", "2026-03-01T11:30:00Z", environment="test"),
    ]
    incident = event("incident.detected", "2026-03-01T12:00:00Z", environment=environment)
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, [*deployed, incident])))
    assert read_records(tmp_path / "e.jsonl").rollouts["defective"].tolist() == defective


def test_an_event_without_a_time_is_refused(tmp_path):
    """A missing or invalid timestamp is an error with its line and field. [contract]"""
    events = [event("service.deployed", "2026-03-01T10:00:00Z"), event("service.deployed", "yesterday")]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, events)))
    with pytest.raises(InputError, match=r"e.jsonl:2: context.timestamp: not an RFC 3339 time \(found 'yesterday'\)"):
        read_records(tmp_path / "e.jsonl")
    del events[1]["context"]["timestamp"]
    (tmp_path / "e.json").write_text(json.dumps(events, indent=1))
    with pytest.raises(InputError, match=r"e.json:\d+: context.timestamp: missing; allowed: a time such as"):
        read_records(tmp_path / "e.json")
