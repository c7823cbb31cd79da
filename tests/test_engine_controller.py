"""The controller of the reference engine, by its records: pacing, gate, pauses, waiting for nodes."""

from by_hand import CHECK, TEN, ZONE_3_FAILS, canary, control_events, rolling, script, switches

from simdeploy import simulate


def dispatches(rollout):
    """Node and time of every dispatch."""
    started = rollout.events[rollout.events["to_status"] == "starting"]
    return list(zip(started["node"].astype(int), started["time_s"], strict=True))


def test_barrier_waves_follow_each_other(make_scenario):
    """A wave is dispatched at the instant at which the previous one is resolved. [contract]"""
    rollout = simulate(make_scenario(), rolling(4, CHECK))
    assert [time for _, time in dispatches(rollout)] == [0] * 4 + [60] * 4 + [120] * 2
    assert rollout.responses["waves"] == 3
    assert rollout.responses["makespan_s"] == 180


def test_bake_time_follows_every_wave_but_the_last(make_scenario):
    """bake_time comes after each wave but the last. [contract]"""
    rollout = simulate(make_scenario(orchestrator=switches(bake_time="100s")), rolling(4))
    assert sorted({time for _, time in dispatches(rollout)}) == [0, 130, 260]
    assert rollout.responses["makespan_s"] == 290


def test_sliding_refills_slots(make_scenario):
    """Sliding pacing dispatches as soon as a slot is free, and never more than max_parallel at once. [contract]"""
    fleet = {"nodes": 6, "classes": [{"name": "slow", "share": 0.17, "update_duration": 100}]}
    rollout = simulate(make_scenario(fleet=fleet, orchestrator=switches(pacing="sliding")), rolling(2))
    in_flight = rollout.timeline["starting"] + rollout.timeline["validating"]
    assert in_flight.max() == 2
    assert rollout.responses["waves"] == 1
    free_at = [0.0, 0.0]
    for number, dispatched in dispatches(rollout):
        assert dispatched == min(free_at)
        slow = rollout.nodes.loc[number, "class"] == "slow"
        free_at[free_at.index(min(free_at))] += 100 if slow else 30
    assert rollout.responses["makespan_s"] == max(free_at)
    assert rollout.responses["updated_nodes"] == 6


def test_sliding_after_canaries_takes_bake_time_once(make_scenario):
    """Under sliding pacing the canaries alone have a bake time. [contract]"""
    scenario = make_scenario(orchestrator=switches(pacing="sliding", bake_time="100s"))
    rollout = simulate(scenario, canary(2, 4, auto_promote=True))
    assert [time for _, time in dispatches(rollout)] == [0, 0, *[130] * 4, *[160] * 4]
    assert rollout.responses["waves"] == 2


def test_rate_follows_the_clock(make_scenario):
    """Rate pacing dispatches 2, then 3, then 4 nodes a minute, however far the others are. [contract]"""
    orchestrator = switches(pacing="rate", rate={"per_minute": 2, "growth": 1.5})
    rollout = simulate(make_scenario(orchestrator=orchestrator, fleet={"update_duration": "200s"}), rolling(0))
    assert [time for _, time in dispatches(rollout)] == [0] * 2 + [60] * 3 + [120] * 4 + [180]
    assert rollout.responses["waves"] == 4
    assert rollout.responses["makespan_s"] == 380


def test_rate_starts_at_the_promotion(make_scenario):
    """The clock of rate pacing starts at the promotion. [contract]"""
    orchestrator = switches(pacing="rate", rate={"per_minute": 4, "max_per_minute": 4})
    rollout = simulate(make_scenario(orchestrator=orchestrator), canary(1, auto_promote=True))
    assert [time for _, time in dispatches(rollout)] == [0] + [30] * 4 + [90] * 4 + [150]


def test_a_failed_canary_is_in_the_message(make_scenario):
    """The deployment's message says that a canary failed. [contract]"""
    rollout = simulate(make_scenario(fleet=TEN, release=ZONE_3_FAILS), canary(4, auto_promote=True))
    assert "1 of 4 canaries failed" in rollout.deployment.status.message


def test_a_crossed_limit_is_reported_again_for_a_further_failure(make_scenario):
    """on_failure: pause reports the crossing, and after a resume again for the next failed node. [contract]"""
    rest = {"orchestrator": switches(on_failure="pause"), "operator": script((1000, "resume"), (2000, "resume"))}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, **rest)
    rollout = simulate(scenario, rolling(1, max_failed_nodes=0, max_failed_nodes_percent=100))
    assert [time for time, reason in control_events(rollout) if "exceed" in reason] == [120, 1120]


def test_a_missed_deadline_is_not_missed_again_without_progress(make_scenario):
    """An endless rollout without a running node misses `progress_deadline` once. [contract]"""
    orchestrator = switches(pacing="sliding", failed_node_holds_slot=True, on_failure="continue")
    scenario = make_scenario(fleet={"start_failure": 1.0}, orchestrator=orchestrator)
    policy = rolling(2, dialect="general", progress_deadline="10m")
    missed = [
        time for time, reason in control_events(simulate(scenario, policy, engine="reference")) if "progress" in reason
    ]
    assert missed == [600]


def test_durations_of_zero_make_one_revision(make_scenario):
    """A rollout that ends at the instant it begins has one revision. [contract]"""
    assert len(simulate(make_scenario(fleet={"update_duration": 0}), rolling(3)).revisions) == 1


def test_the_gate_is_open_once_canaries_are_promoted(make_scenario):
    """With on_failure: continue failed canaries leave a message, and later failures count for the limits. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(on_failure="continue"))
    rollout = simulate(scenario, canary(4, 1, auto_promote=True, max_failed_nodes_percent=90))
    assert rollout.responses["state"] == "completed"
    assert [reason for _, reason in control_events(rollout) if "canaries failed" in reason] == [
        "1 of 4 canaries failed"
    ]


def test_waiting_for_nodes_that_are_down(make_scenario):
    """A node that is waited for holds its slot, is in the message, and is dispatched when it is up. [contract]"""
    fleet = {"nodes": 200, "crash": {"up": "1000h", "repair": "100h"}}
    scenario = make_scenario(fleet=fleet, orchestrator=switches(unreachable_nodes="wait"))
    rollout = simulate(scenario, rolling(100))
    late = rollout.nodes[(rollout.nodes["wave"] == 1) & (rollout.nodes["dispatched_at_s"] > 0)]
    assert 0 < len(late) < 30
    assert rollout.revisions["message"][0] == f"wave 1 of 2; waits for {len(late)} unreachable nodes"
    assert rollout.responses["updated_nodes"] == 200
    second = rollout.nodes[rollout.nodes["wave"] == 2]["dispatched_at_s"]
    assert second.min() == late["dispatched_at_s"].max() + 30
