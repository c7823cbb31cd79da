"""Slots, lists of waves and blocked rollouts: times worked out by hand, with the same responses from both engines."""

import pytest
from by_hand import TEN, ZONE_3_FAILS, control_events, script
from rows_equal import differences

from simdeploy import SimdeployWarning, replicate, simulate
from simdeploy.validation import oracles


def general(strategy="rolling", **keys):
    return {"dialect": "general", "strategy": strategy, "health_check": {"deadline": "10m"}, **keys}


def slow(*nodes):
    """A class of nodes that take 100 s instead of 30 s."""
    return [{"name": "slow", "nodes": list(nodes), "update_duration": 100}]


def run(scenario, policy):
    """Simulate on both engines, which must agree."""
    rollout = simulate(scenario, policy)
    compiled = simulate(scenario, policy, engine="compiled").response_values
    assert differences(["p"], [[rollout.response_values]], [[compiled]]) == []
    return rollout


def dispatched(rollout):
    """Return times of dispatch in the order of turns; NaN for nodes that were not dispatched."""
    return rollout.nodes.sort_values("position")["dispatched_at_s"].tolist()


def last_message(rollout):
    return rollout.revisions["message"].iloc[-1]


# -- lists of waves --------------------------------------------------------------------------------


def test_a_wave_of_a_list_has_its_own_bake_time(make_scenario):
    """An entry's bake time replaces the switch's, and is repeated with its size. [contract]"""
    scenario = make_scenario(orchestrator={"bake_time": "100s"})
    rollout = run(scenario, general(waves=[1, {"until": "50%", "bake_time": "10s"}, {"size": 2, "bake_time": "0s"}]))
    assert dispatched(rollout) == [0, *[130] * 4, *[170] * 2, *[200] * 2, 230]
    assert (rollout.responses["waves"], rollout.responses["makespan_s"]) == (5, 260)


@pytest.mark.parametrize("pacing", ["barrier", "sliding"])
def test_a_window_slides_within_each_wave(make_scenario, pacing):
    """Within a wave of a list `max_parallel` bounds the nodes in flight; the next wave waits for the whole wave. [contract]"""
    scenario = make_scenario(fleet={"classes": slow(0)}, orchestrator={"pacing": pacing})
    rollout = run(scenario, general(waves=[5], max_parallel=2))
    # Node 0 takes 100 s; the others share the second slot until then.
    assert dispatched(rollout) == [0, 0, 30, 60, 90, 120, 120, 150, 150, 180]
    assert (rollout.responses["waves"], rollout.responses["makespan_s"]) == (2, 210)
    assert set(rollout.revisions["current_wave"]) == {1, 2}


def test_waves_within_one_zone_after_the_other(make_scenario):
    """`zone_by_zone` plans the list within each zone, with different pauses after the first and the other zones. [contract]"""
    scenario = make_scenario(fleet={"nodes": 9, "zones": 3, "order": "zone"})
    bakes = {"zone_bake_time": "50s", "first_zone_bake_time": "70s"}
    rollout = run(scenario, general(waves=[{"size": 2, "bake_time": "5s"}], zone_by_zone=True, **bakes))
    assert dispatched(rollout) == [0, 0, 35, 135, 135, 170, 250, 250, 285]
    assert rollout.nodes.sort_values("position")["zone"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_canaries_of_a_list_slide_bake_and_await_promotion(make_scenario):
    """Under canary the first wave of a list awaits promotion after it is resolved and baked. [contract]"""
    scenario = make_scenario(operator={"promote_after": 100})
    rollout = run(scenario, general("canary", waves=[{"size": 4, "bake_time": "20s"}, 6], max_parallel=2))
    assert dispatched(rollout) == [0, 0, 30, 30, 180, 180, 210, 210, 240, 240]
    promoted = [time for time, reason in control_events(rollout) if reason == "canaries promoted"]
    assert promoted == [180]


def test_one_failed_canary_of_a_list_stops_the_rollout(make_scenario):
    """The gate all_healthy stops a rollout within the first wave of a list, before its other nodes' turns. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS)
    rollout = run(scenario, general("canary", waves=[6, 4], max_parallel=2))
    assert (rollout.responses["stopped_at_s"], rollout.responses["touched_nodes"]) == (60, 4)
    assert control_events(rollout)[-1] == (60, "1 of 6 canaries failed")


@pytest.mark.parametrize("pacing", ["barrier", "sliding"])
def test_a_gate_judges_a_sliding_wave(make_scenario, pacing):
    """A node that waits for the gate of its wave has no slot, so the gate judges the whole wave. [contract]"""
    scenario = make_scenario(fleet={"requests_per_second": 10}, orchestrator={"pacing": pacing})
    check = {"deadline": "10m", "min_healthy_time": "30s", "max_error_rate": 0.1, "gate": {"kind": "pooled"}}
    rollout = run(scenario, general(waves=[4, 6], max_parallel=2, health_check=check))
    # Nodes 0 and 1 have their observation after 60 s, nodes 2 and 3 after another 60 s; then all four run.
    assert dispatched(rollout) == [0, 0, 60, 60, 120, 120, 180, 180, 240, 240]
    assert rollout.nodes["resolved_at_s"].tolist() == [120] * 4 + [300] * 6
    assert [time for time, reason in control_events(rollout) if reason == "wave 1 passes"] == [120]


def test_a_gate_finds_partners_behind_the_whole_wave(make_scenario):
    """Nodes of a wave are compared with nodes of later waves, never with later nodes of the same wave. [contract]"""
    scenario = make_scenario(fleet={"nodes": 6, "requests_per_second": 10})
    check = {"deadline": "10m", "min_healthy_time": "20s", "gate": {"kind": "baseline", "test": "multinomial"}}
    rollout = run(scenario, general(waves=[4, 2], max_parallel=1, health_check=check))
    # Four nodes and two partners: requests of two windows of two nodes, on either version; the last wave has no partners.
    assert rollout.responses["decision_requests"] >= 2 * 2 * 2 * 100


# -- slots -----------------------------------------------------------------------------------------


def test_a_full_zone_blocks_all_others(make_scenario):
    """Turns stay in order: if the next node's zone is full, all nodes behind it wait, too. [contract]"""
    scenario = make_scenario(fleet={"nodes": 6, "zones": 2, "classes": slow(0)})
    rollout = run(scenario, general(max_parallel_per_zone=1))
    assert dispatched(rollout) == [0, 0, 100, 100, 130, 130]
    assert rollout.responses["waves"] == 1


def test_a_percent_of_a_zone(make_scenario):
    """A percent of a zone is rounded as `wave_rounding` says. [contract]"""
    policy = general(max_parallel_per_zone="40%")
    fleet = {"nodes": 8, "zones": 2}
    up, down = (make_scenario(fleet=fleet, orchestrator={"wave_rounding": how}) for how in ("ceil", "floor"))
    assert dispatched(run(up, policy)) == [0] * 4 + [30] * 4
    assert dispatched(run(down, policy)) == [0, 0, 30, 30, 60, 60, 90, 90]


def test_a_slot_may_be_free_once_its_node_has_started(make_scenario):
    """Under slot_until: started the next node is dispatched while this one is validated. [contract]"""
    check = {"deadline": "10m", "min_healthy_time": "30s"}
    policy = general(max_parallel=5, health_check=check)
    for until, second in (("resolved", 60), ("started", 30)):
        scenario = make_scenario(orchestrator={"pacing": "sliding", "slot_until": until})
        assert dispatched(run(scenario, policy)) == [0] * 5 + [second] * 5


@pytest.mark.parametrize(("until", "step"), [("resolved", 65), ("started", 35)])
def test_a_slot_stays_taken_for_a_delay(make_scenario, until, step):
    """`slot_delay` follows whatever frees a slot, also between the waves of a list. [contract]"""
    check = {"deadline": "10m", "min_healthy_time": "30s"}
    policy = {"max_parallel": 2, "slot_delay": "5s", "health_check": check}
    scenario = make_scenario(orchestrator={"pacing": "sliding", "slot_until": until})
    assert dispatched(run(scenario, general(**policy))) == [step * (node // 2) for node in range(10)]
    listed = run(make_scenario(), general(waves=[4], **policy))
    assert dispatched(listed) == [0, 0, 65, 65, 130, 130, 195, 195, 260, 260]


def test_a_slot_freed_at_the_start_is_not_held_later(make_scenario):
    """A node that fails after it freed its slot holds none. [contract]"""
    check = {"deadline": "60s", "min_healthy_time": "30s", "max_error_rate": 0}
    scenario = make_scenario(
        fleet={"requests_per_second": 10, "error_rate": 0.9},
        orchestrator={"pacing": "sliding", "slot_until": "started", "failed_node_holds_slot": True},
    )
    rollout = run(scenario, general(max_parallel=5, health_check=check))
    assert (rollout.responses["state"], rollout.responses["failed_nodes"]) == ("completed", 10)


def test_a_node_that_is_down_at_its_turn_needs_no_slot(make_scenario):
    """Nodes that are down at their turn hold no slot, and cause no delay. [contract]"""
    switches = {"pacing": "sliding", "failed_node_holds_slot": True}
    scenario = make_scenario(fleet={"crash": {"up": "1ms", "repair": "1000h"}}, orchestrator=switches)
    rollout = run(scenario, general(max_parallel=2, max_parallel_per_zone=1, slot_delay="1m"))
    assert (rollout.responses["makespan_s"], rollout.responses["failed_nodes"]) == (0, 10)


@pytest.mark.parametrize("pacing", ["barrier", "sliding"])
def test_only_zones_limit_canaries_outside_a_list(make_scenario, pacing):
    """Three canaries go together although one node at a time is allowed; with one per zone, two of them do. [contract]"""
    scenario = make_scenario(fleet={"nodes": 5, "zones": 2}, orchestrator={"pacing": pacing})
    policy = general("canary", canary_count=3, auto_promote=True, max_parallel=1)
    assert dispatched(run(scenario, policy)) == [0, 0, 0, 30, 60]
    assert dispatched(run(scenario, policy | {"max_parallel_per_zone": 1})) == [0, 0, 30, 60, 90]


def test_canaries_outside_a_list_hold_no_slot_of_the_others(make_scenario):
    """Failed canaries outside a list leave all slots, also of their zone, to later waves. [contract]"""
    switches = {"pacing": "sliding", "failed_node_holds_slot": True, "on_failure": "continue"}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches)
    policy = general("canary", canary_count=4, auto_promote=True, max_parallel=2, max_parallel_per_zone=1)
    rollout = run(scenario, {**policy, "slot_delay": "5s"})
    # Node 7 holds the slot of its zone, and one of two, from 95 s on.
    assert dispatched(rollout) == [0, 0, 0, 0, 30, 30, 65, 65, 100, 135]


@pytest.mark.parametrize(("healthy", "last"), [("0s", 40), ("10s", 50)])
def test_canaries_outside_a_list_free_slots_without_delay(make_scenario, healthy, last):
    """Under slot_until: started, canaries outside a list free their slots without delay. [contract]"""
    scenario = make_scenario(fleet={"nodes": 8, "update_duration": "20s"}, orchestrator={"slot_until": "started"})
    check = {"deadline": "5m", "min_healthy_time": healthy}
    policy = general("canary", canary_count=4, auto_promote=True, max_parallel_per_zone=2, health_check=check)
    rollout = run(scenario, {**policy, "slot_delay": "30s"})
    assert dispatched(rollout) == [0, 0, 20, 20, last, last, last + 50, last + 50]


def test_within_a_wave_nodes_wait_for_a_change_window(make_scenario):
    """A slot freed while no change window is open is filled at the next opening. [contract]"""
    scenario = make_scenario(
        operator={"change_windows": [{"from": "9h", "to": "9h20s"}, {"from": "9h1m", "to": "9h"}]},
        deployment={"created_at": "2026-01-05T09:00:00Z"},
    )
    rollout = run(scenario, general(waves=[4, 6], max_parallel=2, slot_delay="5s"))
    # The second pair could go at 35 s; windows open at 60 s.
    assert dispatched(rollout) == [0, 0, 60, 60, 95, 95, 130, 130, 165, 165]
    waits = "waits for the change window that opens Mon 09:01"
    assert [reason for time, reason in control_events(rollout) if time == 35] == [waits]


@pytest.mark.parametrize("clocks", ["run", "stop"])
def test_a_delay_runs_during_a_pause(make_scenario, clocks):
    """A pause holds back dispatches, but no slot's delay, whether or not pauses stop clocks. [contract]"""
    switches = {"pacing": "sliding", "paused_clocks": clocks}
    scenario = make_scenario(orchestrator=switches, operator=script((31, "pause"), (50, "resume")))
    rollout = run(scenario, general(max_parallel=5, slot_delay="5s"))
    assert dispatched(rollout) == [0] * 5 + [50] * 5


def test_batches_grow_with_the_nodes_that_had_their_turn(make_scenario):
    """Under rate.growth_every batches grow after that many nodes, not each minute. [contract]"""
    rate = {"per_minute": 2, "growth": 2, "growth_every": 4}
    rollout = run(make_scenario(orchestrator={"pacing": "rate", "rate": rate}), general(max_parallel_per_zone=1))
    assert dispatched(rollout) == [0] * 2 + [60] * 2 + [120] * 4 + [180] * 2


# -- failed nodes that block the rollout -----------------------------------------------------------

PACED = {
    "barrier": ({}, {"max_parallel": 4}),
    "sliding": ({"pacing": "sliding"}, {"max_parallel": 4}),
    "rate": ({"pacing": "rate", "rate": {"per_minute": 4}}, {}),
    "list": ({}, {"waves": [4]}),
    "window": ({}, {"waves": [6], "max_parallel": 4}),
}


@pytest.mark.parametrize("paced", PACED)
def test_a_failed_node_may_freeze_the_rollout(make_scenario, paced):
    """Under failed_node_freezes nothing is dispatched after a failure, under any pacing, and nobody can change that. [contract]"""
    switches, keys = PACED[paced]
    scenario = make_scenario(
        fleet=TEN,
        release=ZONE_3_FAILS,
        orchestrator={**switches, "failed_node_freezes": True},
        operator=script((100, "pause"), (200, "resume")),
    )
    rollout = run(scenario, general(**keys))
    assert dispatched(rollout)[:4] == [0] * 4
    assert (rollout.responses["state"], rollout.responses["touched_nodes"]) == ("in_progress", 4)
    assert rollout.responses["makespan_s"] != rollout.responses["makespan_s"]
    assert (30, "a failed node freezes the rollout") in control_events(rollout)
    assert "a failed node freezes the rollout" in last_message(rollout)


@pytest.mark.parametrize("paced", PACED)
@pytest.mark.parametrize("on_failure", ["rollback", "stop", "pause", "continue"])
def test_a_frozen_rollout_may_fail(make_scenario, paced, on_failure):
    """Under all_slots_held: fail a frozen rollout fails, as by a crossed limit, once nothing is in flight. [contract]"""
    switches, keys = PACED[paced]
    scenario = make_scenario(
        fleet={**TEN, "classes": slow(0)},
        release=ZONE_3_FAILS,
        orchestrator={**switches, "failed_node_freezes": True, "all_slots_held": "fail", "on_failure": on_failure},
    )
    rollout = run(scenario, general(**keys))
    state = {"pause": "paused", "continue": "in_progress"}.get(on_failure, "failed")
    assert rollout.responses["state"] == state
    assert control_events(rollout)[-1] == (100, "a failed node freezes the rollout")


@pytest.mark.parametrize(("held", "state"), [("wait", "in_progress"), ("fail", "failed")])
def test_a_frozen_rollout_dispatches_no_waiting_node(make_scenario, held, state):
    """A node that is waited for is not dispatched after a failed node froze the rollout. [contract]"""
    down = [{"name": "down", "nodes": [9], "crash": {"up": "1ns", "repair": "10h"}}]
    scenario = make_scenario(
        fleet={**TEN, "classes": down},
        release=ZONE_3_FAILS,
        orchestrator={"failed_node_freezes": True, "all_slots_held": held, "unreachable_nodes": "wait"},
    )
    rollout = run(scenario, general())
    assert (rollout.responses["state"], rollout.responses["touched_nodes"]) == (state, 9)
    assert held == "wait" or rollout.responses["stopped_at_s"] == 30


def test_a_freeze_after_the_last_turn_lets_the_rollout_complete(make_scenario):
    """A rollout completes if all nodes had their turn before the first failure. [contract]"""
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator={"failed_node_freezes": True})
    assert run(scenario, general(waves=["100%"])).responses["state"] == "completed"


@pytest.mark.parametrize(("held", "state"), [("wait", "in_progress"), ("fail", "failed")])
def test_failed_nodes_hold_slots_from_wave_to_wave(make_scenario, held, state):
    """A failed node holds its slot in later waves; once all are held, the rollout waits or fails. [contract]"""
    switches = {"failed_node_holds_slot": True, "all_slots_held": held}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches)
    rollout = run(scenario, general(waves=[5], max_parallel=2))
    # Node 3 fails at 60 s and node 7 at 180 s.
    assert dispatched(rollout)[:8] == [0, 0, 30, 30, 60, 90, 120, 150]
    assert (rollout.responses["state"], rollout.responses["touched_nodes"]) == (state, 8)
    if held == "fail":
        assert control_events(rollout)[-1] == (180, "failed nodes hold all slots")
    else:
        assert last_message(rollout) == "wave 2 of 2; failed nodes hold all slots"
    local = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator={**switches, "node_local_rollback": True})
    assert run(local, general(waves=[5], max_parallel=2)).responses["state"] == "completed"


def test_failed_nodes_hold_all_slots_of_a_zone(make_scenario):
    """A zone whose slots are all held by failed nodes blocks all nodes behind it, also in later waves. [contract]"""
    switches = {"failed_node_holds_slot": True, "all_slots_held": "fail"}
    scenario = make_scenario(fleet=TEN, release=ZONE_3_FAILS, orchestrator=switches)
    rollout = run(scenario, general(max_parallel=5, max_parallel_per_zone=1))
    # The first wave has nodes 0 to 4; node 4 waits for its zone.
    assert dispatched(rollout)[:7] == [0, 0, 0, 0, 30, 60, 60]
    assert (rollout.responses["stopped_at_s"], rollout.responses["touched_nodes"]) == (90, 7)
    assert control_events(rollout)[-1] == (90, "failed nodes hold all slots of zone 3")


def test_a_delayed_slot_is_not_held(make_scenario):
    """While a slot's delay runs, the rollout is not stuck. [contract]"""
    switches = {"pacing": "sliding", "failed_node_holds_slot": True, "all_slots_held": "fail"}
    scenario = make_scenario(fleet={**TEN, "nodes": 8}, release=ZONE_3_FAILS, orchestrator=switches)
    rollout = run(scenario, general(max_parallel=2, slot_delay="40s"))
    # After node 3 one slot is left, and 40 s pass before each use of it. Node 7, the last one, completes the rollout.
    assert dispatched(rollout) == [0, 0, 70, 70, 140, 210, 280, 350]
    assert rollout.responses["state"] == "completed"


# -- warnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pacing", "keys", "message"),
    [
        ("rate", {"max_parallel_per_zone": "50%"}, r"max_parallel_per_zone: ignored under pacing: rate \(found 50%\)"),
        (
            "barrier",
            {"max_parallel": 2, "slot_delay": "5s"},
            r"slot_delay: no effect: nodes have no slots \(found 5s\)",
        ),
    ],
)
def test_slots_without_effect(make_scenario, pacing, keys, message):
    """Settings of slots without effect are warned about. [contract]"""
    scenario = make_scenario(orchestrator={"pacing": pacing})
    with pytest.warns(SimdeployWarning, match=message):
        simulate(scenario, general(**keys))


# -- closed forms ----------------------------------------------------------------------------------


def test_windows_within_waves_take_as_long_as_sliding_rollouts(make_scenario):
    """Each wave of a list takes as long as a sliding rollout of its nodes, followed by pauses. [oracle]"""
    scenario = make_scenario(fleet={"update_duration": {"exponential": {"mean": "1m"}}})
    policy = general(waves=[{"size": 4, "bake_time": "25s"}, 6], max_parallel=2, health_check={"deadline": "240h"})
    makespans_s = replicate(scenario, policy, replications=2000, engine="compiled")["makespan_s"]
    expected_s = sum(oracles.exponential_sliding_makespan_s(60, nodes, slots=2) for nodes in (4, 6)) + 25
    assert abs(makespans_s.mean() - expected_s) < 4 * makespans_s.std() / 2000**0.5
