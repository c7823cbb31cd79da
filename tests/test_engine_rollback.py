"""Rollbacks in the reference engine, by its records: at once, in waves, by hand, node by node."""

import math

import pytest
from by_hand import BAD, BAD_ZONE_3_FAILS, CHECK, ENGINES, TEN, rolling, script, switches
from small import IMMEDIATE

from simdeploy import replicate, simulate


def statuses(rollout):
    return rollout.nodes["status"].value_counts().to_dict()


def test_a_stop_rolls_back_every_touched_node_at_once(make_scenario):
    """A stop rolls back running, failed and in-flight nodes at that instant, as a second deployment. [contract]"""
    rollout = simulate(make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS), rolling(4, max_failed_nodes=0))
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
    """Under rollback_pacing: max_parallel nodes are rolled back in waves, in the order of dispatch. [contract]"""
    in_waves = switches(rollback_pacing="max_parallel")
    scenario = make_scenario(fleet={**TEN, "order": "zone"}, release=BAD_ZONE_3_FAILS, orchestrator=in_waves)
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
    """A rollback with failed nodes has failed. [contract]"""
    scenario = make_scenario(fleet={**TEN, "rollback_failure": 1}, release=BAD_ZONE_3_FAILS)
    rollout = simulate(scenario, rolling(0, max_failed_nodes=0))
    assert rollout.deployments[1].status.state == "failed"
    assert statuses(rollout) == {"rollback_failed": 10}


def test_local_rollbacks_are_not_of_the_rollback(make_scenario):
    """The rollback counts only the nodes that it rolls back itself. [contract]"""
    scenario = make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS, orchestrator="expanso-rollout")
    rollout = simulate(scenario, rolling(0, max_failed_nodes=0))
    assert rollout.deployments[1].status.total_nodes == 8


@pytest.mark.parametrize(
    ("kind", "left"),
    [("rollback", {"failed": 2, "running": 8}), ("restart", {"failed": 10}), ("stop", {"stopped": 10})],
)
def test_types_that_are_not_undone(make_scenario, kind, left):
    """rollback, restart and stop have no second deployment, and nodes stay as they are. [contract]"""
    fleet = TEN if kind == "rollback" else {**TEN, "start_failure": 1}
    rest = {"deployment": {"type": kind}, "operator": {"escape_detection": 1000}}
    scenario = make_scenario(fleet=fleet, release=BAD_ZONE_3_FAILS, **rest)
    rollout = simulate(scenario, rolling(0, max_failed_nodes=0))
    assert len(rollout.deployments) == 1
    assert statuses(rollout) == left


def test_a_stop_without_rollback_is_undone_by_hand(make_scenario):
    """Without auto-rollback nodes in flight continue, and people undo the stop after escape_detection. [contract]"""
    fleet = {**TEN, "classes": [{"name": "slow", "share": 0.3, "update_duration": 100}]}
    for policy, orchestrator in (
        (rolling(0, max_failed_nodes=0, no_auto_rollback=True), switches()),
        (rolling(0, max_failed_nodes=0), switches(on_failure="stop")),
    ):
        rest = {"operator": {"escape_detection": 1000}, "orchestrator": orchestrator}
        scenario = make_scenario(fleet=fleet, release=BAD_ZONE_3_FAILS, **rest)
        rollout = simulate(scenario, policy)
        values = rollout.responses
        stopped = values["stopped_at_s"]
        assert stopped in (30, 100)
        assert values["restored_at_s"] == stopped + 1000 + 20
        assert values["verdict"] == "stopped_defective"
        assert rollout.nodes["started_at_s"].notna().sum() == 8
        assert statuses(rollout) == {"rolled_back": 10}
        assert values["updated_nodes"] == (rollout.nodes["started_at_s"] <= stopped).sum()


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_stop_may_be_undone_sooner_than_an_escape_is_noticed(make_scenario, engine):
    """A rollout that failed or was canceled is undone after undo_after, an escape after escape_detection. [contract]"""
    people = {"escape_detection": 1000, "undo_after": 100}
    stop = rolling(1, max_failed_nodes=0, no_auto_rollback=True)
    # Node 3, the fourth, fails to start at 120 s.
    failing = make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS, operator=people)
    on_failure = make_scenario(
        fleet=TEN, release=BAD_ZONE_3_FAILS, operator=people, orchestrator=switches(on_failure="stop")
    )
    canceled = make_scenario(fleet=TEN, release=BAD, operator={**people, **script((40, "cancel"))})
    for scenario, policy, state, ended in (
        (failing, stop, "failed", 120),
        (on_failure, rolling(1, max_failed_nodes=0), "failed", 120),
        (canceled, stop, "canceled", 40),
    ):
        values = simulate(scenario, policy, engine=engine).responses
        assert (values["state"], values["stopped_at_s"]) == (state, ended)
        assert values["restored_at_s"] == ended + 100 + 20
    escaped = make_scenario(fleet=TEN, release=BAD, operator=people)
    assert simulate(escaped, stop, engine=engine).responses["restored_at_s"] == 300 + 1000 + 20


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_times_of_people_invert_one_uniform(make_scenario, engine):
    """Without undo_after a stop is undone after the time drawn for escape_detection; a law scaled by 0.1 draws a tenth. [contract]"""

    def waited(**people):
        scenario = make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS, operator=people)
        values = simulate(scenario, rolling(1, max_failed_nodes=0, no_auto_rollback=True), seed=5, engine=engine)
        return values.responses["restored_at_s"] - values.responses["stopped_at_s"] - 20

    hour, minutes = {"exponential": {"mean": "1h"}}, {"exponential": {"mean": "6m"}}
    late = waited(escape_detection=hour)
    assert waited(escape_detection="9h", undo_after=hour) == late
    assert waited(escape_detection=hour, undo_after=minutes) == pytest.approx(late / 10)


def test_node_local_rollback(make_scenario):
    """Under node_local_rollback a failed node is rolled back at once, counts as failed, and isn't rolled back again. [contract]"""
    scenario = make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS, orchestrator="expanso-rollout")
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


def test_create(make_scenario):
    """For type create a node is not missed before its first start, and a rollback removes it. [contract]"""
    create = {"type": "create", "from_version": 0, "to_version": 1}
    scenario = make_scenario(fleet=TEN, release=BAD_ZONE_3_FAILS, deployment=create)
    done = simulate(scenario, rolling(5, max_failed_nodes_percent=100))
    assert done.responses["verdict"] == "escaped"
    stopped = simulate(scenario, rolling(5, max_failed_nodes=0))
    assert statuses(stopped) == {"removed": 5, "pending": 5}
    # Four nodes served and are missed during their rollback, for 20 s each; node 3 never served.
    assert stopped.responses["unavailable_node_s"] == 4 * 20
    assert stopped.timeline["in_service"].iloc[0] == 0  # nor does it serve


def test_renewal_by_update(make_scenario):
    """With renewed_by_update a successful start begins a new up time: no crash for the next 59 s. [contract]"""

    def down_after_start(*, renewed):
        crash = {"up": "60s", "repair": "60s", "renewed_by_update": renewed}
        scenario = make_scenario(
            fleet={"nodes": 60, "update_duration": 10, "crash": crash},
            release=BAD,
            operator={"escape_detection": "59s"},
            orchestrator=switches(unreachable_nodes="skip"),
        )
        rollout = simulate(scenario, IMMEDIATE)
        touched = rollout.nodes[rollout.nodes["dispatched_at_s"].notna()]
        # A rollback takes 10 s as well; anything beyond 20 s is a crash.
        return (touched["unavailable_s"] > 20).mean()

    assert down_after_start(renewed=True) < down_after_start(renewed=False)


CRASHES = {"up": {"exponential": {"mean": "1000h"}}, "repair": "2h"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("kind", "rest"), [("update", 7200), ("create", 0)])
def test_nodes_that_the_release_crashed_count_until_they_are_repaired(make_scenario, engine, kind, rest):
    """Such a node is rolled back at once, and out of service until its repair ends, unless it was removed. [contract]"""
    fleet = {"nodes": 3, "update_duration": "30s", "requests_per_second": 10, "crash": CRASHES}
    release = {"bad": {**BAD["bad"], "crash_rate": 1e9}}
    scenario = make_scenario(fleet=fleet, release=release, deployment={"type": kind})
    rollout = simulate(scenario, rolling(1, CHECK, max_failed_nodes=0), engine=engine)
    values = rollout.responses
    # It crashes within a second of its start at 30 s; at its deadline, after 10 minutes, it goes back.
    assert (values["stopped_at_s"], values["restored_at_s"]) == (600, 630)
    until = {"update": 30 + rest, "create": 600}[kind]
    assert values["unavailable_node_s"] == pytest.approx(until, abs=1)
    assert values["unavailable_excess_node_s"] == pytest.approx(until, abs=1)
    assert values["lost_requests_excess"] == pytest.approx(10 * until, abs=10)
    assert rollout.nodes["unavailable_s"].sum() == values["unavailable_node_s"]


@pytest.mark.parametrize("is_renewed", [False, True])
@pytest.mark.parametrize(("crash_rate", "hours"), [(3, 8), (20, 24)])
def test_downtime_caused_by_crashes_has_its_mean(make_scenario, crash_rate, hours, is_renewed):
    """It is the number of crashes that the release adds, times a repair; with exponential up times renewals change nothing. [oracle]"""
    crash = {**CRASHES, "repair": f"{hours}h", "renewed_by_update": is_renewed}
    fleet = {"nodes": 20, "update_duration": "30s", "rollback_duration": "30s", "crash": crash}
    scenario = make_scenario(
        fleet=fleet,
        release={"bad": {**BAD["bad"], "crash_rate": crash_rate}},
        operator={"escape_detection": "2h"},
        orchestrator=switches(unreachable_nodes="skip"),
    )
    found = replicate(scenario, IMMEDIATE, replications=4000, engine="compiled")
    caused = found["unavailable_excess_node_s"] - 60 * found["touched_nodes"]
    # An up node crashes once with probability 1 - exp(-rate x 2 h): few crash twice.
    share = -math.expm1(-2 * crash_rate / 1000) - -math.expm1(-2 / 1000)
    expected = found["touched_nodes"].mean() * share * hours * 3600
    assert abs(caused.mean() - expected) < 4 * caused.sem() + 1e-9


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("crash_rate", "affected"), [(1, "usual"), (0.5, "usual"), (50, "solid")])
def test_other_crashes_count_until_the_end_only(make_scenario, engine, crash_rate, affected):
    """Nodes that crash with any release, or are spared by this one, count until the horizon. [contract]"""
    solid = {"name": "solid", "nodes": [0], "crash": {**CRASHES, "repair": "1ms"}}
    usual = {"name": "usual", "share": 1, "crash": {**CRASHES, "up": {"exponential": {"mean": "20h"}}}}
    fleet = {"nodes": 40, "update_duration": "30s", "rollback_duration": "20s", "classes": [solid, usual]}
    release = {"bad": {**BAD["bad"], "crash_rate": crash_rate, "affects": {"classes": [affected]}}}
    scenario = make_scenario(fleet=fleet, release=release, operator={"escape_detection": "5h"})
    rollout = simulate(scenario, IMMEDIATE, engine=engine)
    assert rollout.timeline["in_service"].iloc[-1] < 39
    assert rollout.responses["unavailable_node_s"] == pytest.approx(rollout.nodes["unavailable_s"].sum())
