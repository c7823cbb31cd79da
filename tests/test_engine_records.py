"""The records of one rollout: tables, deployment objects, revisions, and refused arguments."""

import json
import pickle

import pandas as pd
import pytest
from by_hand import CHECK, canary

from simdeploy import InputError, simulate
from simdeploy.api import parse_deployment
from simdeploy.engines.schema import STATUSES
from simdeploy.vocabulary import RESPONSES

CANARY = canary(2, 4, auto_promote=True, health_check=CHECK)

COLUMNS = {
    "events": "time_s node from_status to_status wave reason",
    "timeline": "time_s pending starting validating running failed rolling_back rolled_back rollback_failed skipped removed "
    "stopped exposed in_service requests failed_requests demand_per_second lost_per_second shed_per_second load "
    "requests_per_second error_rate error_rate_old error_rate_new",
    "down_spells": "node from_s until_s",
    "offline_spells": "node from_s until_s",
    "windows": "ended_s node wave class zone requests failed_requests error_rate max_error_rate healthy up on_new_version "
    "counted",
    "nodes": "node name zone class position wave canary affected status reason ever_failed failed_reason attempts windows "
    "worst_error_rate dispatched_at_s started_at_s resolved_at_s heard_at_s failed_at_s rollback_started_at_s "
    "rollback_ended_at_s exposed_s unavailable_s",
    "revisions": "deployment revision time_s type from_version to_version state message current_wave total_nodes updated_nodes "
    "failed_nodes canaries canary_promoted created_at updated_at completed_at last_progress_time health_check_deadline "
    "healthy_deadline",
}


@pytest.fixture(scope="module")
def rollout(make_scenario):
    return simulate(make_scenario(fleet={"requests_per_second": 10, "error_rate": 0.01}), CANARY)


def test_tables_have_the_declared_columns(rollout):
    """Every table has its columns, in order. [contract]"""
    assert {name: " ".join(getattr(rollout, name)) for name in COLUMNS} == COLUMNS
    assert list(rollout.responses.index) == list(RESPONSES)


def test_the_timeline_counts_statuses(rollout):
    """Canaries, then two waves of four, are counted per status at every settled instant. [contract]"""
    timeline = rollout.timeline.set_index("time_s")
    assert timeline.index.tolist() == [0, 30, 40, 50, 60, 90, 100, 110, 120, 150, 160, 170, 180]
    assert timeline.loc[0, ["pending", "starting", "in_service"]].tolist() == [8, 2, 8]
    assert timeline.loc[60, ["pending", "starting", "running", "exposed", "in_service"]].tolist() == [4, 4, 2, 2, 6]
    assert timeline.loc[180, ["running", "exposed", "in_service"]].tolist() == [10, 10, 10]
    assert timeline["requests"].tolist() == [0, 0, 200, 200, 200, 0, 400, 400, 400, 0, 400, 400, 400]
    assert (timeline[list(STATUSES)].sum(axis=1) == 10).all()


@pytest.mark.parametrize(("kind", "serving"), [("create", [0, 10]), ("stop", [10, 0])])
def test_nodes_serve_only_while_they_exist(make_scenario, kind, serving):
    """A new node serves from its start on, a stopped one until it has left. [contract]"""
    timeline = simulate(make_scenario(deployment={"type": kind}), {"strategy": "immediate"}).timeline
    assert timeline["time_s"].tolist() == [0, 30]
    assert timeline["in_service"].tolist() == serving


def test_the_timeline_ends_at_the_horizon(make_scenario):
    """A release of type rollback that escapes is not undone, but counts until people notice it. [contract]"""
    release = {"bad": {"probability": 1, "defective": True}}
    fleet = {"classes": [{"name": "away", "nodes": [9], "down": True}]}
    late = {"deployment": {"type": "rollback"}, "operator": {"escape_detection": "5m"}}
    scenario = make_scenario(fleet=fleet, release=release, **late)
    rollout = simulate(scenario, {"strategy": "immediate", "max_failed_nodes": 5, "max_failed_nodes_percent": 50})
    assert rollout.responses["verdict"] == "escaped"
    timeline = rollout.timeline
    assert timeline["time_s"].iloc[-1] == rollout.responses["makespan_s"] + 300
    out = 10 - timeline["in_service"].iloc[:-1]
    assert rollout.responses["unavailable_node_s"] == out @ timeline["time_s"].diff().iloc[1:].to_numpy()


def test_events_of_one_instant_are_in_node_order(make_scenario):
    """Events at one instant are in node order, whatever the order of dispatch. [contract]"""
    rollout = simulate(make_scenario(fleet={"order": "random"}), {"strategy": "immediate"})
    for _, at in rollout.events[rollout.events["node"].notna()].groupby("time_s"):
        assert at["node"].is_monotonic_increasing


def test_one_revision_per_settled_instant(rollout):
    """Each instant at which a field changed has one revision, numbered from 1. [contract]"""
    revisions = rollout.revisions
    assert revisions["revision"].tolist() == list(range(1, len(revisions) + 1))
    assert revisions["time_s"].tolist() == [0, 60, 120, 180]
    assert revisions["current_wave"].tolist() == [1, 2, 3, 3]
    assert revisions["updated_nodes"].tolist() == [0, 2, 6, 10]
    assert revisions["state"].tolist() == ["in_progress"] * 3 + ["completed"]
    assert revisions["canary_promoted"].tolist() == [False, True, True, True]
    assert revisions["healthy_deadline"].iloc[1] == pd.Timestamp("2026-01-01T00:11:00Z")


def test_the_deployment_object_is_the_api_s(rollout):
    """The final object is canonical JSON, reads back without a warning, and agrees with the responses. [contract]"""
    document = parse_deployment(rollout.to_json())
    assert document.warnings == ()
    assert document.to_json() == rollout.to_json()
    status = json.loads(rollout.to_json())["deployment"]["status"]
    assert status["state"] == rollout.responses["state"] == "completed"
    assert status["updated_nodes"] == rollout.responses["updated_nodes"] == 10
    assert status["canary_nodes"] == ["node-0", "node-1"]
    assert status["completed_at"] == "2026-01-01T00:03:00Z"
    assert "health_check_deadline" not in status


def test_every_revision_is_kept(rollout):
    """The deployment object is available as of each revision, and of no other. [contract]"""
    second = rollout.deployment_at(2).status
    assert (second.state, second.current_wave, second.updated_nodes, second.revision) == ("in_progress", 2, 2, 2)
    assert rollout.deployment_at(len(rollout.revisions)) == rollout.deployment
    for revision in (0, 5):
        with pytest.raises(InputError, match="it has 4"):
            rollout.deployment_at(revision)
    with pytest.raises(InputError, match="of the rollback: it has 0"):
        rollout.deployment_at(1, rollback=True)


def test_canaries_are_not_stored_once_per_revision(rollout):
    """The list of canaries is in `nodes`, not in the table of revisions. [contract]"""
    assert "canary_nodes" not in rollout.revisions
    assert rollout.nodes.loc[rollout.nodes["canary"], "name"].tolist() == ["node-0", "node-1"]


def test_missing_is_not_zero(rollout):
    """Values of events that did not happen are missing in every table. [contract]"""
    assert pd.isna(rollout.responses["stopped_at_s"])
    assert rollout.nodes["rollback_started_at_s"].isna().all()
    assert rollout.events.loc[0, ["node", "wave"]].isna().all()


def test_a_notebook_shows_headline_and_responses(rollout):
    """The HTML of a rollout holds its headline and each response. [contract]"""
    html = rollout._repr_html_()
    assert "completed after 3m" in html
    assert all(name in html for name in RESPONSES)


def test_a_rollout_can_be_pickled(rollout):
    """A rollout that went through pickle has the same tables and deployment objects. [contract]"""
    again = pickle.loads(pickle.dumps(rollout))  # noqa: S301
    for name in COLUMNS:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(rollout, name))
    pd.testing.assert_series_equal(again.responses, rollout.responses)
    assert again.to_json() == rollout.to_json()
    assert again.deployments == rollout.deployments


def test_a_nameless_policy_is_named_after_its_strategy(rollout):
    """A spec without a name is called by its strategy. [contract]"""
    assert repr(rollout).startswith("<Rollout: canary: completed")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("seed", -1),
        ("seed", 2**64),
        ("seed", 1.0),
        ("seed", True),
        ("seed", None),
        ("replication", 2**32),
        ("replication", None),
    ],
)
def test_numbers_out_of_range_are_refused(make_scenario, argument, value):
    """Seeds and replications have to be whole numbers within the generator's range. [contract]"""
    with pytest.raises(InputError, match=rf"^{argument}: "):
        simulate(make_scenario(), **{argument: value})


def test_unknown_names_suggest_the_nearest(make_scenario):
    """An unknown engine or policy is refused with the name that was probably meant. [contract]"""
    with pytest.raises(InputError, match="did you mean 'reference'"):
        simulate(make_scenario(), engine="refrence")
    with pytest.raises(InputError, match=r"no such policy.*did you mean 'waves'"):
        simulate(make_scenario(policies={"waves": {"strategy": "immediate"}}), "wave")
