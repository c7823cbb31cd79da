"""Operator and script of the reference engine, by its records: who acts when, with which effect."""

import pytest
from by_hand import canary, control_events, dispatch_times, rolling, script, switches

from simdeploy import simulate


def test_a_person_promotes(make_scenario):
    """Without auto_promote the rest is dispatched promote_after the last canary and the bake time. [contract]"""
    scenario = make_scenario(operator={"promote_after": "10m"}, orchestrator=switches(bake_time="5m"))
    rollout = simulate(scenario, canary(2))
    assert dispatch_times(rollout) == [0, 30 + 300 + 600]
    assert rollout.deployment.status.canary_promoted is True
    assert rollout.deployment.status.canary_nodes == ("node-0", "node-1")


def test_auto_promotion_needs_nobody(make_scenario):
    """With auto_promote the rest is dispatched after the bake time. [contract]"""
    scenario = make_scenario(operator={"promote_after": "10m"}, orchestrator=switches(bake_time="5m"))
    assert dispatch_times(simulate(scenario, canary(2, auto_promote=True))) == [0, 330]


def test_pause_and_resume(make_scenario):
    """A pause holds back dispatches, not nodes in flight; the resume sends the next wave. [contract]"""
    rollout = simulate(make_scenario(operator=script((10, "pause"), (100, "resume"))), rolling(5))
    assert dispatch_times(rollout) == [0, 100]
    assert rollout.responses["makespan_s"] == 130


def test_paused_for_good_is_never_completed(make_scenario):
    """A deployment that stays paused has no completion time. [contract]"""
    rollout = simulate(make_scenario(operator=script((10, "pause"))), rolling(0))
    assert rollout.deployment.status.completed_at is None


def test_a_cancel_of_nothing_makes_no_rollback(make_scenario):
    """A cancel with nothing dispatched leaves no second deployment. [contract]"""
    assert len(simulate(make_scenario(operator=script((0, "cancel"))), rolling(4)).deployments) == 1


def test_a_pause_at_the_start(make_scenario):
    """A pause at 0 s holds back the first wave. [contract]"""
    rollout = simulate(make_scenario(operator=script((0, "pause"), (50, "resume"))), rolling(0))
    assert dispatch_times(rollout) == [50]
    assert rollout.revisions["current_wave"].iloc[0] == 0
    assert rollout.revisions["state"].iloc[0] == "paused"


@pytest.mark.parametrize(("clocks", "sent"), [("run", [0, 330]), ("stop", [0, 430])])
def test_bake_time_while_paused(make_scenario, clocks, sent):
    """Bake time runs on during a pause, or is frozen, as the switch says. [contract]"""
    orchestrator = switches(bake_time="300s", paused_clocks=clocks)
    scenario = make_scenario(operator=script((130, "pause"), (230, "resume")), orchestrator=orchestrator)
    assert dispatch_times(simulate(scenario, rolling(5))) == sent


@pytest.mark.parametrize(("clocks", "sent"), [("run", [0, 630]), ("stop", [0, 730])])
def test_the_operator_while_paused(make_scenario, clocks, sent):
    """promote_after runs on during a pause, or is frozen, as the switch says. [contract]"""
    operator = {"promote_after": 600, **script((130, "pause"), (230, "resume"))}
    scenario = make_scenario(operator=operator, orchestrator=switches(paused_clocks=clocks))
    assert dispatch_times(simulate(scenario, canary(2))) == sent


@pytest.mark.parametrize(
    ("clocks", "sent"), [("run", [0, 60, 190, 190, 240, 300]), ("stop", [0, 60, 210, 270, 330, 390])]
)
def test_the_rate_clock_while_paused(make_scenario, clocks, sent):
    """Batches due during a pause are sent at the resume, unless the clock was frozen. [contract]"""
    orchestrator = switches(pacing="rate", rate={"per_minute": 2}, paused_clocks=clocks)
    pause = script((100, "pause"), (190, "resume"))
    scenario = make_scenario(fleet={"nodes": 12}, operator=pause, orchestrator=orchestrator)
    rollout = simulate(scenario, rolling(0))
    first = rollout.nodes.groupby("wave")["dispatched_at_s"].first().tolist()
    assert first == sent


def test_a_promotion_while_paused_takes_effect_at_the_resume(make_scenario):
    """A promotion by operator or script during a pause sends the next wave at the resume. [contract]"""
    acts = script((50, "pause"), (140, "promote"), (500, "resume"))
    rollout = simulate(make_scenario(operator={"promote_after": 100, **acts}), canary(2))
    assert (130, "operator: promote") in control_events(rollout)
    assert (140, "script: promote has no effect: a promotion is already pending") in control_events(rollout)
    assert (500, "canaries promoted") in control_events(rollout)
    assert dispatch_times(rollout) == [0, 500]


def test_a_script_promotes_once_canaries_are_resolved(make_scenario):
    """A promotion in the script takes effect once all canaries are resolved, even before the bake time ends. [contract]"""
    operator = {"promote_after": "10h", **script((10, "promote"), (100, "promote"), (120, "promote"))}
    scenario = make_scenario(operator=operator, orchestrator=switches(bake_time="1h"))
    rollout = simulate(scenario, canary(2))
    assert dispatch_times(rollout) == [0, 100]
    assert (10, "script: promote has no effect: not all canaries are resolved") in control_events(rollout)
    assert (120, "script: promote has no effect: the canaries are already promoted") in control_events(rollout)


@pytest.mark.parametrize(
    ("acts", "why"),
    [
        ([(10, "resume")], "the deployment is not paused"),
        ([(10, "pause"), (20, "pause"), (25, "resume")], "the deployment is already paused"),
        ([(10, "promote")], "there are no canaries"),
        ([(1000, "cancel")], "the deployment is completed"),
    ],
)
def test_acts_without_effect_leave_an_event(make_scenario, acts, why):
    """An act in the wrong state changes nothing and leaves an event that says why. [contract]"""
    rollout = simulate(make_scenario(operator=script(*acts)), rolling(0))
    assert rollout.responses["makespan_s"] == 30
    assert any(why in reason for _, reason in control_events(rollout))


def test_nodes_that_come_up_while_paused_wait_for_the_resume(make_scenario):
    """A waiting node that comes up during a pause is dispatched at the resume. [contract]"""
    fleet = {"nodes": 50, "crash": {"up": "1000h", "repair": "10h"}}
    pause = script((10, "pause"), (40 * 3600, "resume"))
    scenario = make_scenario(fleet=fleet, operator=pause, orchestrator=switches(unreachable_nodes="wait"))
    rollout = simulate(scenario, rolling(0))
    assert set(rollout.nodes["dispatched_at_s"]) == {0, 40 * 3600}
