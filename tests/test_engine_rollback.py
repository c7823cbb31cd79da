"""Going back in the reference engine: after stops and escapes, by hand, node by node, and the five types."""

from __future__ import annotations

import pytest

from simdeploy import simulate

NO_WINDOWS = {"deadline": "10m", "min_healthy_time": "0s"}
BAD = {"bad": {"probability": 1, "defective": True}}
ZONE_3_FAILS = {"bad": {"probability": 1, "defective": True, "start_failure": 1, "affects": {"zones": [3]}}}
TEN = {"nodes": 10, "zones": 4, "rollback_duration": 20}


def rolling(parallel=0, **keys):
    return {"strategy": "rolling", "max_parallel": parallel, "health_check": NO_WINDOWS, **keys}


def switches(**values):
    return {"preset": "expanso", **values}


def statuses(rollout):
    return rollout.nodes["status"].value_counts().to_dict()


def test_a_stop_rolls_back_every_touched_node_at_once(make_scenario):
    """A stop rolls back running, failed and in-flight nodes at that instant, as a second deployment. [contract]"""
    rollout = simulate(make_scenario(fleet=TEN, release=ZONE_3_FAILS), rolling(4, max_failed_nodes=0))
    values = rollout.responses
    assert (values["state"], values["verdict"]) == ("failed", "stopped_defective")
    assert (values["stopped_at_s"], values["restored_at_s"]) == (30, 50)
    assert statuses(rollout) == {"rolled_back": 4, "pending": 6}
    assert values["unavailable_node_s"] == 4 * 50
    update, back = rollout.deployments
    assert (back.type, back.from_version, back.to_version) == ("rollback", 2, 1)
    assert (back.status.state, back.status.total_nodes, back.status.updated_nodes) == ("completed", 4, 4)
    assert back.status.created_at == update.status.completed_at == "2026-01-01T00:00:30Z"


def test_rolling_back_in_waves(make_scenario):
    """Under rollback_pacing: max_parallel nodes go back in waves, in the order of dispatch; until then they go on. [contract]"""
    scenario = make_scenario(
        fleet={**TEN, "order": "zone"}, release=ZONE_3_FAILS, orchestrator=switches(rollback_pacing="max_parallel")
    )
    rollout = simulate(scenario, rolling(4, max_failed_nodes=1, max_failed_nodes_percent=100))
    back = rollout.nodes[rollout.nodes["rollback_started_at_s"].notna()].sort_values("rollback_started_at_s")
    # Nodes 3 and 7 are last in zone order: waves of 4, 4 and 2 were sent, the stop is at 90 s.
    assert back["rollback_started_at_s"].tolist() == [90] * 4 + [110] * 4 + [130] * 2
    assert set(back["node"].iloc[:4]) == {0, 4, 8, 1}
    assert rollout.responses["restored_at_s"] == 150
    assert rollout.deployments[1].status.current_wave == 3
    # Exposed: waves 1 and 2 of four, from 30 and 60 s to the start of their rollback.
    assert rollout.responses["exposed_node_s"] == 4 * 60 + 4 * 50


def test_a_rollback_that_fails(make_scenario):
    """A node whose rollback failed is out of service; restored_at_s is NaN and the horizon the last attempt's end. [contract]"""
    scenario = make_scenario(fleet={**TEN, "rollback_failure": 1}, release=ZONE_3_FAILS)
    rollout = simulate(scenario, rolling(0, max_failed_nodes=0))
    values = rollout.responses
    assert values["restored_at_s"] != values["restored_at_s"]
    assert values["unavailable_node_s"] == 10 * 50
    assert values["min_in_service_fraction"] == 0
    assert rollout.deployments[1].status.state == "failed"
    assert statuses(rollout) == {"rollback_failed": 10}


def test_a_stop_without_rollback_is_undone_by_hand(make_scenario):
    """Without auto-rollback nodes in flight go on, and people undo the stop after escape_detection. [contract]"""
    fleet = {**TEN, "classes": [{"name": "slow", "share": 0.3, "update_duration": 100}]}
    for policy, orchestrator in (
        (rolling(0, max_failed_nodes=0, no_auto_rollback=True), switches()),
        (rolling(0, max_failed_nodes=0), switches(on_failure="stop")),
    ):
        scenario = make_scenario(
            fleet=fleet, release=ZONE_3_FAILS, operator={"escape_detection": 1000}, orchestrator=orchestrator
        )
        rollout = simulate(scenario, policy)
        values = rollout.responses
        stopped = values["stopped_at_s"]
        assert stopped in (30, 100)
        assert values["restored_at_s"] == stopped + 1000 + 20
        assert values["verdict"] == "stopped_defective"
        assert rollout.nodes["started_at_s"].notna().sum() == 8
        assert statuses(rollout) == {"rolled_back": 10}
        assert values["updated_nodes"] == (rollout.nodes["started_at_s"] <= stopped).sum()


def test_an_escape_is_noticed_and_undone(make_scenario):
    """A defective release that completed serves until people notice, and is rolled back then. [contract]"""
    fleet = {"rollback_duration": 20, "requests_per_second": 10}
    release = {"bad": {"probability": 1, "defective": True, "error_rate": 0.05}}
    rollout = simulate(make_scenario(fleet=fleet, release=release, operator={"escape_detection": 600}), rolling(5))
    values = rollout.responses
    assert (values["state"], values["verdict"]) == ("completed", "escaped")
    assert (values["makespan_s"], values["restored_at_s"]) == (60, 680)
    assert values["stopped_at_s"] != values["stopped_at_s"]
    exposed = 5 * (660 - 30) + 5 * (660 - 60)
    assert values["exposed_node_s"] == values["defective_node_s"] == exposed
    assert values["failed_requests_excess"] == pytest.approx(exposed * 10 * 0.05, rel=1e-12)
    assert values["unavailable_node_s"] == 10 * 50
    assert values["blast_radius"] == 1


def test_escape_detection_is_an_hour_by_default(make_scenario):
    """Unless stated, an escape is noticed after exponential time with a mean of an hour. [oracle]"""
    scenario = make_scenario(release=BAD)
    times = [simulate(scenario, rolling(0), replication=k).responses["restored_at_s"] - 60 for k in range(400)]
    mean = sum(times) / 400
    assert abs(mean - 3600) < 4 * 3600 / 20


def test_nodes_that_go_back_by_themselves(make_scenario):
    """Under node_local_rollback a failed node goes back at once, counts as failed, and isn't rolled back again. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator="expanso-rollout")
    rollout = simulate(scenario, rolling(1, max_failed_nodes=1, max_failed_nodes_percent=100))
    values = rollout.responses
    assert values["failed_nodes"] == 2
    assert values["stopped_at_s"] == 8 * 30
    back = rollout.nodes.set_index("node")
    assert back.loc[3, "rollback_started_at_s"] == 120
    assert back.loc[3, "rollback_ended_at_s"] == 140
    assert back.loc[7, "rollback_started_at_s"] == 240
    assert rollout.deployments[1].status.total_nodes == 6
    assert values["unavailable_node_s"] == 6 * (30 + 20) + 2 * 50


def test_service_waits_for_nodes_that_go_back_by_themselves(make_scenario):
    """restored_at_s is the last node back, those that went back by themselves included. [contract]"""
    fleet = {**TEN, "classes": [{"name": "all", "share": 1, "rollback_duration": 500}]}
    scenario = make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator="expanso-rollout")
    rollout = simulate(scenario, rolling(0, max_failed_nodes=0))
    assert rollout.responses["restored_at_s"] == 530
    assert rollout.deployments[1].status.total_nodes == 8


def test_create(make_scenario):
    """create: a node is not missed before its first start, and going back removes it. [contract]"""
    scenario = make_scenario(
        fleet=TEN, release=ZONE_3_FAILS, deployment={"type": "create", "from_version": 0, "to_version": 1}
    )
    done = simulate(scenario, rolling(5, max_failed_nodes_percent=100))
    assert done.responses["verdict"] == "escaped"
    stopped = simulate(scenario, rolling(5, max_failed_nodes=0))
    assert statuses(stopped) == {"removed": 5, "pending": 5}
    # Four nodes served and are missed while they go back, for 20 s each; node 3 never served.
    assert stopped.responses["unavailable_node_s"] == 4 * 20
    assert stopped.timeline["in_service"].iloc[0] == 10


def test_rollback_type(make_scenario):
    """rollback: neither its stop nor its escape is undone. [contract]"""
    operator = {"escape_detection": 1000}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, deployment={"type": "rollback"}, operator=operator)
    stopped = simulate(scenario, rolling(0, max_failed_nodes=0))
    assert (stopped.responses["state"], stopped.responses["verdict"]) == ("failed", "stopped_defective")
    assert stopped.responses["restored_at_s"] != stopped.responses["restored_at_s"]
    assert stopped.responses["unavailable_node_s"] == 10 * 30
    escaped = simulate(scenario, rolling(0, max_failed_nodes_percent=100))
    assert escaped.responses["verdict"] == "escaped"
    assert escaped.responses["exposed_node_s"] == 8 * 1000
    assert len(escaped.deployments) == 1


@pytest.mark.parametrize("kind", ["restart", "stop"])
def test_types_without_a_release(make_scenario, kind):
    """restart and stop draw no release: no verdict, no exposure, no escape, nothing to roll back to. [contract]"""
    scenario = make_scenario(
        fleet={**TEN, "start_failure": 1}, release=BAD, deployment={"type": kind}, orchestrator="expanso-rollout"
    )
    rollout = simulate(scenario, rolling(5, max_failed_nodes=0))
    values = rollout.responses
    assert values["release"] == ""
    assert values["verdict"] != values["verdict"]
    assert values["exposed_node_s"] == values["peak_exposed_nodes"] == 0
    assert len(rollout.deployments) == 1
    if kind == "restart":
        assert (values["state"], values["stopped_at_s"]) == ("failed", 30)
        assert statuses(rollout) == {"failed": 5, "pending": 5}
        assert values["unavailable_node_s"] == 5 * 30
    else:
        assert (values["state"], values["makespan_s"]) == ("completed", 60)
        assert statuses(rollout) == {"stopped": 10}
        assert values["updated_nodes"] == 10
        assert values["unavailable_node_s"] == 0
        assert values["decision_windows"] == 0


def test_excess_leaves_out_what_would_have_been_down(make_scenario):
    """unavailable_excess_node_s is what the rollout itself cost, crashes of the same nodes taken off. [contract]"""
    fleet = {"nodes": 40, "rollback_duration": 20, "crash": {"up": "10m", "repair": "10m"}}
    orchestrator = switches(unreachable_nodes="skip")
    rollout = simulate(make_scenario(fleet=fleet, orchestrator=orchestrator), rolling(0))
    values = rollout.responses
    touched = values["touched_nodes"]
    assert 5 < touched < 35
    assert values["unavailable_node_s"] > values["unavailable_excess_node_s"]
    # A crash within the 30 s of starting takes something off 30 s a node, never more than that.
    assert 15 * touched < values["unavailable_excess_node_s"] <= 30 * touched


def test_renewal_by_update(make_scenario):
    """With renewed_by_update a successful start begins a new up time: no crash for the next 59 s. [contract]"""
    policy = {"strategy": "immediate"}
    fleet = {"nodes": 60, "update_duration": 10}
    crash = {"up": "60s", "repair": "60s"}
    release = {"bad": {"probability": 1, "defective": True}}

    def down_after_start(*, renewed):
        scenario = make_scenario(
            fleet={**fleet, "crash": {**crash, "renewed_by_update": renewed}},
            release=release,
            operator={"escape_detection": "59s"},
            orchestrator=switches(unreachable_nodes="skip"),
        )
        rollout = simulate(scenario, policy)
        touched = rollout.nodes[rollout.nodes["dispatched_at_s"].notna()]
        # Going back takes 10 s as well; whatever exceeds 20 s is a crash.
        return (touched["unavailable_s"] > 20).mean()

    assert down_after_start(renewed=True) < down_after_start(renewed=False)
