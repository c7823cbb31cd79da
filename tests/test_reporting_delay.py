"""Verdicts that are judged later than pacing acts on them, worked out by hand."""

from __future__ import annotations

import pytest
from by_hand import NO_WINDOWS, canary, dispatch_times, rolling, run, switches

from simdeploy import InputError, simulate

FAILS = {"start_failure": 1}
# Nodes take 30 s each.
DELAY_S = 15


def delayed(delay=DELAY_S, **values):
    return switches(reporting_delay=delay, **values)


def test_waves_go_at_once_and_the_end_comes_later(make_scenario, engine):
    """The next wave waits for no report, but the end of the rollout does. [contract]"""
    scenario = make_scenario(orchestrator=delayed())
    assert dispatch_times(simulate(scenario, rolling(4))) == [0, 30, 60]
    values = run(scenario, rolling(4), engine)
    assert (values["state"], values["makespan_s"], values["updated_nodes"]) == ("completed", 90 + 15, 10)


@pytest.mark.parametrize(("delay", "touched"), [(15, 8), (30, 8), (31, 10)])
def test_a_limit_is_judged_later(make_scenario, engine, delay, touched):
    """Failures at 30 s are judged `delay` later; until then waves go, but none at the instant of the stop. [contract]"""
    scenario = make_scenario(fleet=FAILS, orchestrator=delayed(delay, on_failure="stop"))
    values = run(scenario, rolling(4, max_failed_nodes=0), engine)
    assert (values["state"], values["stopped_at_s"], values["touched_nodes"]) == ("failed", 30 + delay, touched)
    # Only verdicts reported by then count.
    assert values["failed_nodes"] == 4


def test_slots_are_free_at_once(make_scenario, engine):
    """Under sliding pacing the slot of a failed node is filled before its failure counts. [contract]"""
    fleet = {**FAILS, "classes": [{"name": "slow", "nodes": [1, 2, 3], "update_duration": 40}]}
    scenario = make_scenario(fleet=fleet, orchestrator=delayed(pacing="sliding"))
    # Node 0 fails at 30 s and node 1 at 40 s: nodes 2 and 3 go then.
    assert dispatch_times(simulate(scenario, rolling(2, max_failed_nodes=0))) == [0, 30, 40]
    values = run(scenario, rolling(2, max_failed_nodes=0), engine)
    assert (values["stopped_at_s"], values["touched_nodes"], values["failed_nodes"]) == (45, 4, 1)
    held = scenario.with_values({"orchestrator.failed_node_holds_slot": True})
    assert run(held, rolling(2, max_failed_nodes=0), engine)["touched_nodes"] == 2


def test_a_failure_is_judged_before_completion(make_scenario, engine):
    """A limit crossed by the last node makes the rollout failed. [contract]"""
    release = {"good": {"probability": 1, "start_failure": 1, "affects": {"nodes": [9]}}}
    values = run(make_scenario(release=release, orchestrator=delayed()), rolling(4, max_failed_nodes=0), engine)
    assert (values["state"], values["stopped_at_s"], values["updated_nodes"]) == ("failed", 105, 9)


def test_the_canary_gate_is_judged_later(make_scenario, engine):
    """A failed canary stops the rollout when its failure is reported; until then nothing is dispatched. [contract]"""
    scenario = make_scenario(fleet=FAILS, orchestrator=delayed())
    values = run(scenario, canary(2), engine)
    assert (values["stopped_at_s"], values["touched_nodes"], values["failed_nodes"]) == (45, 2, 2)


def test_promotion_and_bake_time_of_the_canaries_start_later(make_scenario, engine):
    """Bake time and promote_after follow the report on the last canary. [contract]"""
    scenario = make_scenario(operator={"promote_after": 100}, orchestrator=delayed(bake_time=60))
    assert dispatch_times(simulate(scenario, canary(2, auto_promote=True))) == [0, 30 + 15 + 60]
    assert dispatch_times(simulate(scenario, canary(2))) == [0, 30 + 15 + 60 + 100]
    assert run(scenario, canary(2), engine)["makespan_s"] == 205 + 30 + 15
    assert run(scenario, canary(10), engine)["makespan_s"] == 30 + 15 + 100


def test_bake_time_of_other_waves_starts_at_once(make_scenario, engine):
    """Between waves bake time is pacing, and needs no report. [contract]"""
    scenario = make_scenario(orchestrator=delayed(bake_time=60))
    assert dispatch_times(simulate(scenario, rolling(5))) == [0, 90]
    assert run(scenario, rolling(5), engine)["makespan_s"] == 90 + 30 + 15


def test_a_script_promotes_reported_canaries(make_scenario, engine):
    """A promotion at 40 s is too early, one at 45 s is not. [contract]"""
    script = [{"at": 40, "do": "promote"}, {"at": 45, "do": "promote"}]
    scenario = make_scenario(operator={"promote_after": "1h", "script": script}, orchestrator=delayed())
    rollout = simulate(scenario, canary(2))
    assert "script: promote has no effect: not all canaries are resolved" in rollout.events["reason"].tolist()
    assert run(scenario, canary(2), engine)["makespan_s"] == 45 + 30 + 15


@pytest.mark.parametrize(("starts", "stopped_at"), [("dispatch", 60 + 15), ("started", 90 + 15)])
def test_deadlines_are_not_delayed(make_scenario, engine, starts, stopped_at):
    """A silent node fails at its deadline, and counts `delay` later, like any failure. [contract]"""
    scenario = make_scenario(fleet={"start_hang": 1}, orchestrator=delayed(deadline_starts=starts))
    policy = rolling(health_check={"deadline": "60s", "min_healthy_time": "30s"}, max_failed_nodes=9)
    assert run(scenario, policy, engine)["stopped_at_s"] == stopped_at
    assert simulate(scenario, policy).nodes["heard_at_s"].eq(stopped_at - 15).all()


def test_progress_counts_when_it_is_reported(make_scenario, engine):
    """The first wave runs at 60 s, but is reported 15 s later, so a deadline of 70 s passes. [contract]"""
    scenario = make_scenario(orchestrator=delayed())
    policy = rolling(5, {"deadline": "2m", "min_healthy_time": "30s"}, dialect="general")
    late = simulate(scenario, policy | {"progress_deadline": "70s"}, engine=engine)
    message = "no node was reported running within progress_deadline 1m 10s"
    assert (late.responses["stopped_at_s"], late.deployment.status.message) == (70, message)
    assert run(scenario, policy | {"progress_deadline": "76s"}, engine)["state"] == "completed"


def test_a_failed_dispatch_needs_no_report(make_scenario, engine):
    """Nodes that are down at their turn count at once, so an outage can't pass the fleet unjudged. [contract]"""
    scenario = make_scenario(fleet={"crash": {"up": "1ms", "repair": "1000h"}}, orchestrator=delayed(pacing="sliding"))
    values = run(scenario, rolling(2, max_failed_nodes=3, max_failed_nodes_percent=100), engine)
    assert (values["stopped_at_s"], values["failed_nodes"]) == (0, 4)


@pytest.mark.parametrize(("judged", "delay", "stopped_at"), [("at_once", 25, 30 + 25), ("wave_end", 15, 50 + 15)])
def test_the_percent_of_a_wave_is_that_of_the_failed_node(make_scenario, engine, judged, delay, stopped_at):
    """A failure in the first wave is judged by the first wave, even if the second has begun. [contract]"""
    release = {"good": {"probability": 1, "start_failure": 1, "affects": {"nodes": [3]}}}
    fleet = {"classes": [{"name": "slow", "nodes": [0], "update_duration": 50}]}
    orchestrator = delayed(delay, failed_percent_of="wave", limits_judged=judged)
    scenario = make_scenario(fleet=fleet, release=release, orchestrator=orchestrator)
    policy = rolling(4, max_failed_nodes=10, max_failed_nodes_percent=20)
    values = run(scenario, policy, engine)
    # Node 3 fails at 30 s; the second wave goes at 50 s.
    assert (values["state"], values["stopped_at_s"], values["touched_nodes"]) == ("failed", stopped_at, 8)


def test_a_node_is_rolled_back_before_its_failure_counts(make_scenario, engine):
    """Node-local rollback waits for no report. [contract]"""
    scenario = make_scenario(fleet=FAILS, orchestrator=delayed(node_local_rollback=True, on_failure="continue"))
    nodes = simulate(scenario, rolling()).nodes
    assert nodes["rollback_started_at_s"].eq(30).all()
    values = run(scenario, rolling(), engine)
    assert (values["makespan_s"], values["failed_nodes"], values["unavailable_node_s"]) == (45, 10, 10 * (30 + 15))


def test_immediate_and_stop_end_later(make_scenario, engine):
    """Verdicts without windows are reported late, too. [contract]"""
    assert run(make_scenario(orchestrator=delayed()), {"strategy": "immediate"}, engine)["makespan_s"] == 45
    leaves = make_scenario(orchestrator=delayed(), deployment={"type": "stop"})
    values = run(leaves, rolling(5), engine)
    assert (values["makespan_s"], values["updated_nodes"]) == (60 + 15, 10)


def test_batches_follow_the_clock(make_scenario, engine):
    """Rate pacing ends when the last batch is reported. [contract]"""
    scenario = make_scenario(orchestrator=delayed(pacing="rate", rate={"per_minute": 5}))
    assert dispatch_times(simulate(scenario, rolling())) == [0, 60]
    assert run(scenario, rolling(), engine)["makespan_s"] == 60 + 30 + 15


def test_counts_of_the_deployment_come_later(make_scenario):
    """A verdict at 30 s is in the deployment's counts and progress at 45 s. [contract]"""
    rollout = simulate(make_scenario(orchestrator=delayed()), rolling())
    assert rollout.nodes["heard_at_s"].eq(30).all()
    assert rollout.nodes["resolved_at_s"].eq(30).all()
    revisions = rollout.revisions
    assert revisions["time_s"].tolist() == [0, 30, 45]
    assert revisions["updated_nodes"].tolist() == [0, 0, 10]
    assert (revisions["last_progress_time"] - revisions["created_at"]).dt.total_seconds().tolist() == [0, 0, 45]
    # At 30 s nothing is in flight any more.
    assert revisions["healthy_deadline"].isna().tolist() == [False, True, True]


def test_deadlines_of_the_deployment_end_with_verdicts(make_scenario):
    """A deadline that a node has met leaves the status at once, though others of its wave are in flight. [contract]"""
    fleet = {"classes": [{"name": "slow", "nodes": list(range(1, 10)), "update_duration": 100}]}
    scenario = make_scenario(fleet=fleet, orchestrator=delayed(deadline_starts="started"))
    revisions = simulate(scenario, rolling(health_check={"deadline": "10m", "min_healthy_time": "20s"})).revisions
    assert revisions["time_s"].tolist() == [0, 30, 50, 65, 100, 120, 135]
    assert revisions["healthy_deadline"].notna().tolist() == [False, True, False, False, True, False, False]


@pytest.mark.parametrize("gate", ["pooled", "cusum"])
def test_only_the_threshold_works_with_late_reports(make_scenario, gate):
    """A gate other than threshold is refused, with the key that rules it out. [contract]"""
    policy = {"strategy": "rolling", "health_check": {**NO_WINDOWS, "max_error_rate": 0.1, "gate": gate}}
    with pytest.raises(InputError, match=r"health_check\.gate\.kind: .*reporting_delay.*allowed: threshold"):
        make_scenario(orchestrator=delayed(), policies={"p": policy})


def test_the_delay_is_a_factor(make_scenario):
    """The delay can be changed by its path; 0s is the default. [contract]"""
    scenario = make_scenario()
    assert scenario.orchestrator.reporting_delay_ns == 0
    assert scenario.with_values({"orchestrator.reporting_delay": "2s"}).orchestrator.reporting_delay_ns == 2 * 10**9
