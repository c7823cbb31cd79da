"""Cases, worked out by hand, in which a second simulator, written from the documents alone, disagreed with the reference engine."""

import pytest
from by_hand import NO_WINDOWS

from simdeploy import simulate


def test_rollback_waves_skip_nodes_already_rolled_back(make_scenario):
    """A rollback wave waits for a node that is being rolled back locally, but not for one that is back. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 4, "zones": 4, "update_duration": 10, "rollback_duration": 20},
        release={"bad": {"probability": 1, "defective": True, "start_failure": 1, "affects": {"zones": [0]}}},
        orchestrator={"preset": "expanso", "node_local_rollback": True, "rollback_pacing": "max_parallel"},
    )
    # A window would end at 20 s, so no node meets the deadline.
    health_check = {"deadline": "15s", "min_healthy_time": "10s"}
    policy = {"strategy": "canary", "canary_count": 4, "max_parallel": 1, "health_check": health_check}
    rollout = simulate(scenario, policy)
    # Node 0 fails at 10 s, which stops the rollout; node 1 is the first wave of the rollback. At 15 s nodes 2 and 3 meet
    # their deadline and are rolled back locally: the second wave waits for node 2, the third finds node 3 back.
    assert rollout.nodes["rollback_started_at_s"].tolist() == [10, 10, 15, 15]
    assert (rollout.responses["stopped_at_s"], rollout.responses["restored_at_s"]) == (10, 35)
    assert rollout.responses["unavailable_node_s"] == 4 * 10 + 4 * 20
    back = rollout.deployments[1].status
    assert (back.state, back.total_nodes, back.updated_nodes, back.current_wave) == ("completed", 3, 3, 2)


@pytest.mark.parametrize(("clocks", "dispatched_at_s"), [("run", [70, 70, 120]), ("stop", [70, 130, 190])])
def test_the_rate_clock_runs_from_the_start(make_scenario, clocks, dispatched_at_s):
    """A pause at 0 s delays batches, but their clock runs from 0 s unless pauses stop it. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 3, "update_duration": 10},
        orchestrator={"preset": "expanso", "pacing": "rate", "rate": {"per_minute": 1}, "paused_clocks": clocks},
        operator={"script": [{"at": 0, "do": "pause"}, {"at": 70, "do": "resume"}]},
    )
    rollout = simulate(scenario, {"strategy": "rolling", "health_check": NO_WINDOWS})
    assert rollout.nodes["dispatched_at_s"].tolist() == dispatched_at_s
    assert rollout.responses["makespan_s"] == dispatched_at_s[-1] + 10


def test_exposure_is_a_float_even_without_exposure(make_scenario):
    """The column exposed_s has floats in every rollout. [contract]"""
    scenario = make_scenario(fleet={"nodes": 2, "start_failure": 1})
    nodes = simulate(scenario, {"strategy": "immediate"}).nodes
    assert nodes["exposed_s"].tolist() == [0, 0]
    assert nodes["exposed_s"].dtype == nodes["unavailable_s"].dtype == "float64"


@pytest.mark.parametrize(("clocks", "next_wave_s"), [("run", 330), ("stop", 400)])
def test_a_bake_time_that_begins_during_a_pause(make_scenario, clocks, next_wave_s):
    """A wave resolved during a pause begins its bake time at once, or at the resume where pauses stop clocks. [contract]"""
    scenario = make_scenario(
        orchestrator={"preset": "expanso", "bake_time": 300, "paused_clocks": clocks},
        operator={"script": [{"at": 20, "do": "pause"}, {"at": 100, "do": "resume"}]},
    )
    policy = {"strategy": "rolling", "max_parallel": 5, "health_check": NO_WINDOWS}
    assert sorted(set(simulate(scenario, policy).nodes["dispatched_at_s"])) == [0, next_wave_s]


def test_nodes_that_come_up_together_are_dispatched_by_number(make_scenario):
    """Waiting nodes that come up at one instant are dispatched by number, and rolled back in that order. [contract]"""
    scenario = make_scenario(
        fleet={
            "nodes": 5,
            "order": "random",
            "start_failure": 1,
            "zone_outage": {"up": "1ns", "repair": "100s"},
        },
        orchestrator={"preset": "expanso", "unreachable_nodes": "wait", "rollback_pacing": "max_parallel"},
    )
    policy = {"strategy": "canary", "canary_count": 5, "max_parallel": 1, "health_check": NO_WINDOWS}
    nodes = simulate(scenario, policy).nodes
    assert nodes.sort_values("position")["node"].tolist() != [0, 1, 2, 3, 4]
    assert nodes["dispatched_at_s"].nunique() == 1
    assert nodes.sort_values("rollback_started_at_s")["node"].tolist() == [0, 1, 2, 3, 4]
