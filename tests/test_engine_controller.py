"""The controller in the reference engine: pacing, limits, gate, pauses, unreachable nodes, worked out by hand."""

from __future__ import annotations

import pytest

from simdeploy import simulate

CHECK = {"deadline": "10m", "min_healthy_time": "30s"}
NO_WINDOWS = {"deadline": "10m", "min_healthy_time": "0s"}
# Two of ten nodes fail to start: those of zone 3 in a fleet of four zones (nodes 3 and 7).
ZONE_3_FAILS = {"good": {"probability": 1, "start_failure": 1, "affects": {"zones": [3]}}}
TEN = {"nodes": 10, "zones": 4}


def rolling(parallel=0, health=NO_WINDOWS, **keys):
    return {"strategy": "rolling", "max_parallel": parallel, "health_check": health, **keys}


def canary(count, parallel=0, health=NO_WINDOWS, **keys):
    return {"strategy": "canary", "canary_count": count, "max_parallel": parallel, "health_check": health, **keys}


def switches(**values):
    return {"preset": "expanso", **values}


def dispatches(rollout):
    """Node and time of every dispatch."""
    started = rollout.events[rollout.events["to_status"] == "starting"]
    return list(zip(started["node"].astype(int), started["time_s"], strict=True))


def said(rollout):
    """Times and reasons of what the control plane did."""
    acts = rollout.events[rollout.events["node"].isna()]
    return list(zip(acts["time_s"], acts["reason"], strict=True))


def test_barrier_waves_follow_each_other(make_scenario):
    """A wave goes at the instant at which the last node of the one before is resolved. [contract]"""
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
    rollout = simulate(
        make_scenario(orchestrator=switches(pacing="sliding", bake_time="100s")), canary(2, 4, auto_promote=True)
    )
    assert [time for _, time in dispatches(rollout)] == [0, 0, *[130] * 4, *[160] * 4]
    assert rollout.responses["waves"] == 2


def test_rate_goes_by_the_clock(make_scenario):
    """Rate pacing sends 2, then 3, then 4 nodes a minute, however far the others are. [contract]"""
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


@pytest.mark.parametrize(("comparison", "state"), [("exceeds", "completed"), ("reaches", "failed")])
def test_a_limit_of_two_with_two_failures(make_scenario, comparison, state):
    """Two failures against a limit of two stop the rollout only where reaching is enough. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(limit_comparison=comparison))
    policy = rolling(max_failed_nodes=2, max_failed_nodes_percent=100)
    assert simulate(scenario, policy).responses["state"] == state


def test_a_limit_crossed_by_the_last_node(make_scenario):
    """A limit crossed by the last node makes the rollout failed, not completed. [contract]"""
    release = {"good": {"probability": 1, "start_failure": 1, "affects": {"zones": [9]}}}
    scenario = make_scenario(fleet={"zones": 10}, release=release)
    rollout = simulate(scenario, rolling(1, max_failed_nodes=0))
    assert rollout.responses["state"] == "failed"
    assert rollout.responses["stopped_at_s"] == 300
    assert rollout.responses["updated_nodes"] == 9


def test_limits_at_once_or_at_the_wave_s_end(make_scenario):
    """Judged at the wave's end, a limit crossed within the wave lets the wave be resolved. [contract]"""
    fleet = {**TEN, "classes": [{"name": "slow", "share": 0.1, "update_duration": 100}]}
    policy = rolling(0, max_failed_nodes=0)
    at_once = simulate(make_scenario(fleet=fleet, release=ZONE_3_FAILS), policy)
    at_end = simulate(
        make_scenario(fleet=fleet, release=ZONE_3_FAILS, orchestrator=switches(limits_judged="wave_end")), policy
    )
    assert at_once.responses["stopped_at_s"] == 30
    assert at_end.responses["stopped_at_s"] == 100


@pytest.mark.parametrize(
    ("of", "sample", "stopped_at"),
    [("fleet", 0, None), ("resolved", 0, 120), ("resolved", 7, None), ("wave", 0, None)],
)
def test_percent_of_what(make_scenario, of, sample, stopped_at):
    """One at a time, node 3 is the first failure: 1 of 4 resolved exceeds 20 %, of 10 nodes and of 8 it doesn't. [contract]"""
    orchestrator = switches(failed_percent_of=of, minimum_sample=sample)
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=orchestrator)
    parallel = 10 if of == "wave" else 1
    rollout = simulate(scenario, rolling(parallel, max_failed_nodes=10, max_failed_nodes_percent=25 if sample else 20))
    assert rollout.responses["state"] == ("failed" if stopped_at else "completed")
    if stopped_at:
        assert rollout.responses["stopped_at_s"] == stopped_at


def test_percent_of_the_wave_stops_a_bad_wave(make_scenario):
    """One failure in a wave of four exceeds 20 % of it. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(failed_percent_of="wave"))
    rollout = simulate(scenario, rolling(4, max_failed_nodes=10, max_failed_nodes_percent=20))
    assert rollout.responses["stopped_at_s"] == 30
    assert rollout.responses["touched_nodes"] == 4


def test_both_limits_must_be_crossed(make_scenario):
    """Under `both` the count limit alone doesn't stop the rollout. [contract]"""
    policy = rolling(max_failed_nodes=0, max_failed_nodes_percent=50)
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(limit_combination="both"))
    assert simulate(scenario, policy).responses["state"] == "completed"


@pytest.mark.parametrize("zero", ["zero_tolerance", "default"])
def test_explicit_zero(make_scenario, zero):
    """An explicit 0 tolerates no failure, or means the API's default of 10. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 100, "zones": 50}, release=ZONE_3_FAILS, orchestrator=switches(explicit_zero_limit=zero)
    )
    rollout = simulate(scenario, rolling(max_failed_nodes=0))
    assert rollout.responses["state"] == ("failed" if zero == "zero_tolerance" else "completed")


def test_limits_need_not_apply_to_immediate(make_scenario):
    """Whether limits stop the strategy immediate is a switch. [contract]"""
    policy = {"strategy": "immediate", "max_failed_nodes": 0}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS)
    assert simulate(scenario, policy).responses["state"] == "failed"
    off = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(limits_apply_to_immediate=False))
    assert simulate(off, policy).responses["state"] == "completed"


def test_one_failed_canary_stops_or_counts(make_scenario):
    """Under all_healthy one failed canary stops the rollout, under limits it counts like any node. [contract]"""
    policy = canary(4, auto_promote=True)
    strict = simulate(make_scenario(fleet=TEN, release=ZONE_3_FAILS), policy)
    assert strict.responses["state"] == "failed"
    assert "1 of 4 canaries failed" in strict.deployment.status.message
    lenient = make_scenario(
        fleet={"nodes": 40, "zones": 20}, release=ZONE_3_FAILS, orchestrator=switches(canary_gate="limits")
    )
    assert simulate(lenient, policy).responses["state"] == "completed"


def test_the_gate_is_open_once_canaries_are_promoted(make_scenario):
    """With on_failure: continue failed canaries only leave a message; later failures are the limits' matter. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches(on_failure="continue"))
    rollout = simulate(scenario, canary(4, 1, auto_promote=True, max_failed_nodes_percent=90))
    assert rollout.responses["state"] == "completed"
    assert [reason for _, reason in said(rollout) if "canaries failed" in reason] == ["1 of 4 canaries failed"]


def test_a_failed_node_may_hold_its_slot(make_scenario):
    """A sliding rollout whose slots are all held by failed nodes stays in progress for ever. [contract]"""
    orchestrator = switches(pacing="sliding", failed_node_holds_slot=True)
    policy = rolling(2, max_failed_nodes=10, max_failed_nodes_percent=100)
    rollout = simulate(make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator=orchestrator), policy)
    values = rollout.responses
    assert values["state"] == "in_progress"
    assert values["makespan_s"] != values["makespan_s"]
    assert values["verdict"] != values["verdict"]
    assert values["failed_nodes"] == 2
    assert values["unavailable_node_s"] != values["unavailable_node_s"]
    assert values["peak_exposed_nodes"] == 0
    local = make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator={**orchestrator, "node_local_rollback": True})
    assert simulate(local, policy).responses["state"] == "completed"


def test_pausing_on_failure(make_scenario):
    """on_failure: pause holds the rollout; after a resume it goes on until a further node fails. [contract]"""
    orchestrator = switches(on_failure="pause")
    policy = rolling(1, max_failed_nodes=0, max_failed_nodes_percent=100)
    for_good = simulate(make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=orchestrator), policy)
    assert for_good.responses["state"] == "paused"
    assert for_good.responses["verdict"] != for_good.responses["verdict"]
    assert for_good.responses["touched_nodes"] == 4
    resumed = simulate(
        make_scenario(
            fleet=TEN,
            release=ZONE_3_FAILS,
            orchestrator=orchestrator,
            operator={"script": [{"at": 1000, "do": "resume"}, {"at": 2000, "do": "resume"}]},
        ),
        policy,
    )
    assert resumed.responses["state"] == "completed"
    assert [time for time, reason in said(resumed) if "exceeds" in reason or "exceed" in reason] == [120, 1120]


@pytest.mark.parametrize(
    ("what", "state", "failed", "touched"), [("fail", "failed", 5, 0), ("skip", "completed", 0, 0)]
)
def test_unreachable_nodes(make_scenario, what, state, failed, touched):
    """Nodes that are down when their turn comes fail at once, or are passed over; neither is touched. [contract]"""
    scenario = make_scenario(
        fleet={"crash": {"up": "1ms", "repair": "1000h"}}, orchestrator=switches(unreachable_nodes=what)
    )
    rollout = simulate(scenario, rolling(5, max_failed_nodes=4, max_failed_nodes_percent=100))
    assert rollout.responses["state"] == state
    assert rollout.responses["failed_nodes"] == failed
    assert rollout.responses["touched_nodes"] == touched


def test_an_outage_does_not_run_through_a_sliding_rollout(make_scenario):
    """Under sliding pacing nodes that are down fail slot by slot, and limits are judged in between. [contract]"""
    scenario = make_scenario(fleet={"crash": {"up": "1ms", "repair": "1000h"}}, orchestrator=switches(pacing="sliding"))
    rollout = simulate(scenario, rolling(2, max_failed_nodes=3, max_failed_nodes_percent=100))
    assert rollout.responses["failed_nodes"] == 4


def test_waiting_for_nodes_that_are_down(make_scenario):
    """A node that is waited for holds its slot and is dispatched when it is up. [contract]"""
    scenario = make_scenario(
        fleet={"nodes": 200, "crash": {"up": "1000h", "repair": "100h"}},
        orchestrator=switches(unreachable_nodes="wait"),
    )
    rollout = simulate(scenario, rolling(100))
    late = rollout.nodes[(rollout.nodes["wave"] == 1) & (rollout.nodes["dispatched_at_s"] > 0)]
    assert 0 < len(late) < 30
    assert rollout.responses["updated_nodes"] == 200
    second = rollout.nodes[rollout.nodes["wave"] == 2]["dispatched_at_s"]
    assert second.min() == late["dispatched_at_s"].max() + 30


def test_nothing_is_dispatched_at_or_after_a_stop(make_scenario):
    """What would be dispatched at the instant of a stop is not. [contract]"""
    scenario = make_scenario(fleet={**TEN, "start_failure": 1}, orchestrator=switches(pacing="sliding"))
    rollout = simulate(scenario, rolling(2, max_failed_nodes=1, max_failed_nodes_percent=100))
    assert rollout.responses["stopped_at_s"] == 30
    assert rollout.responses["touched_nodes"] == 2


def test_durations_of_zero(make_scenario):
    """With durations of 0 a rollout is over at the instant it begins, one revision for it all. [contract]"""
    rollout = simulate(make_scenario(fleet={"update_duration": 0}), rolling(3))
    assert rollout.responses["makespan_s"] == 0
    assert rollout.responses["updated_nodes"] == 10
    assert len(rollout.revisions) == 1
    assert rollout.responses["min_in_service_fraction"] == 1
