"""Rollouts that follow a clock: acts by hand equal those of a script, and change nothing that was seen before."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from dataclasses import replace

import pytest
from generators import Decisions, scenario_of, without_gates

from simdeploy import Scenario
from simdeploy.engines.live import LiveRollout
from simdeploy.engines.reference.engine import run_reference
from simdeploy.units import NS_PER_S
from simdeploy.world.operator import ScriptedAct

LATER = "2h"  # longer than the rollouts are watched
CHECK = {"deadline": "2m", "min_healthy_time": "30s"}
CANARY = {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "health_check": CHECK}
IN_TWOS = {"name": "in twos", "fleet": {"nodes": 6, "update_duration": "30s"}, "policies": {"canary": CANARY}}


def scenario(policy=None, **sections):
    policies = {"canary": {**CANARY, **(policy or {})}}
    return Scenario.from_dict({**IN_TWOS, "policies": policies, **sections})


def live(scenario: Scenario) -> LiveRollout:
    return LiveRollout(scenario, scenario.policy(), seed=0, replication=0)


def revisions_of(history):
    return [(time_ns, history.fields(place)) for place, time_ns in enumerate(history.times_ns)]


def histories(recorded):
    return [revisions_of(deployment.history) for deployment in recorded]


def until(revisions, at_ns):
    return [revision for revision in revisions if revision[0] <= at_ns]


def as_scripted(revisions):
    """Return revisions with the messages that they would have if a script had acted."""
    return [(at_ns, of._replace(message=of.message.replace("operator: ", "script: "))) for at_ns, of in revisions]


def states(rollout: LiveRollout):
    return [deployment.status.state for deployment in rollout.deployments()]


@pytest.mark.parametrize("number", range(40))
def test_acts_by_hand_equal_those_of_a_script(number):
    """Acts at random instants give the revisions of the engine with these acts in the script. [property]"""
    draw = random.Random(number)
    raw = without_gates(scenario_of(Decisions(draw.randbytes(256))))
    later = dict.fromkeys(("promote_after", "escape_detection", "undo_after"), LATER)
    raw["operator"] = {**(raw.get("operator") or {}), **later}
    world = Scenario.from_dict(raw)
    policy = world.policy()
    rollout = LiveRollout(world, policy, seed=number, replication=0)
    times_ns = sorted(draw.randrange(600 * NS_PER_S) for _ in range(5))
    script = []
    for at_ns in times_ns:
        rollout.advance(at_ns)
        act = draw.choice(["pause", "resume", "resume", "promote", "promote", "cancel"])
        if rollout.why_not(act) is None:
            before = histories(rollout.recorded)[0].copy()
            rollout.act(act)
            script.append(ScriptedAct(rollout.now_ns, act))
            assert histories(rollout.recorded)[0][: len(before)] == before
    end_ns = 900 * NS_PER_S
    rollout.advance(end_ns)
    operator = replace(world.operator, script=(*world.operator.script, *script))
    recording = run_reference(replace(world, operator=operator), policy, seed=number, replication=0)
    seen = histories(rollout.recorded)[0]
    assert as_scripted(seen) == until(revisions_of(recording.update), end_ns)
    rolled_back = until(revisions_of(recording.rollback), end_ns) if recording.rollback else []
    assert histories(rollout.recorded)[1:] == ([rolled_back] if rolled_back else [])


@pytest.mark.parametrize(
    ("script", "message"), [([], "operator: cancel"), ([{"at": "20s", "do": "cancel"}], "script: cancel")]
)
def test_messages_say_who_acts(script, message):
    """Acts by hand are the operator's, those of the scenario's script are the script's. [contract]"""
    rollout = live(scenario(operator={"script": script}))
    rollout.advance(30 * NS_PER_S)
    if not script:
        rollout.act("cancel")
    assert (states(rollout)[0], rollout.deployments()[0].status.message) == ("canceled", message)


def test_canaries_wait_for_the_caller():
    """Only the caller promotes, and not before the canaries are resolved. [contract]"""
    rollout = live(scenario())
    rollout.advance(59 * NS_PER_S)
    assert rollout.why_not("promote") == "not all canaries are resolved"
    rollout.advance(10**6 * NS_PER_S)
    assert rollout.deployments()[0].status.message == "canaries await promotion"
    rollout.act("promote")
    assert rollout.why_not("promote") == "the canaries are already promoted"
    rollout.advance(10**7 * NS_PER_S)
    assert states(rollout) == ["completed"]


def test_an_escape_stays_until_it_is_rolled_back():
    """A completed defective release stays until somebody rolls it back, once. [contract]"""
    bad = {"bad": {"probability": 1, "defective": True}}
    rollout = live(scenario({"auto_promote": True}, release=bad, operator={"escape_detection": "1m"}))
    rollout.advance(10**6 * NS_PER_S)
    assert states(rollout) == ["completed"]
    rollout.act("rollback")
    rollout.advance(2 * 10**6 * NS_PER_S)
    assert states(rollout) == ["completed", "completed"]
    assert rollout.deployments()[1].status.updated_nodes == 6
    assert rollout.why_not("rollback") == "the deployment is already rolled back"


def test_a_rollback_by_hand_is_that_of_a_cancel():
    """A rollback by hand equals an automatic one, even if the policy has none; only the message differs. [contract]"""
    rollout = live(scenario({"no_auto_rollback": True}))
    rollout.advance(45 * NS_PER_S)
    rollout.act("rollback")
    rollout.advance(10**6 * NS_PER_S)
    world = scenario(operator={"script": [{"at": "45000000001ns", "do": "cancel"}]})
    recording = run_reference(world, world.policy(), seed=0, replication=0)
    update, rollback = histories(rollout.recorded)
    assert rollback == revisions_of(recording.rollback)
    assert [replace_message(fields) for _, fields in update] == [
        replace_message(fields) for _, fields in revisions_of(recording.update)
    ]
    assert update[-1][1].message == "operator: rollback"


def test_nodes_already_rolled_back_locally():
    """If no touched node is left to roll back, a rollback is refused; before that it isn't. [contract]"""
    fleet = {**IN_TWOS["fleet"], "start_failure": 1}
    switches = {"node_local_rollback": True, "on_failure": "continue"}
    rollout = live(scenario({"auto_promote": True}, fleet=fleet, orchestrator=switches))
    rollout.advance(NS_PER_S)
    assert rollout.why_not("rollback") is None
    rollout.advance(10**6 * NS_PER_S)
    assert rollout.why_not("rollback") == "all touched nodes went back by themselves"
    assert len(rollout.deployments()) == 1


def replace_message(fields):
    return fields._replace(message="")


@pytest.mark.parametrize(
    ("type_name", "why"),
    [
        ("restart", "a deployment of type restart can't be rolled back"),
        ("stop", "a deployment of type stop can't be rolled back"),
        ("create", None),
    ],
)
def test_types_that_can_be_rolled_back(type_name, why):
    """A restart and a stop refuse a rollback, a create doesn't. [contract]"""
    rollout = live(scenario(deployment={"type": type_name}))
    rollout.advance(45 * NS_PER_S)
    assert rollout.why_not("rollback") == why


def awaited(**more) -> LiveRollout:
    """Return a rollout that waits for its promotion, under a gate that looks at running nodes."""
    check = {**CANARY["health_check"], "max_error_rate": 0.5, "gate": {"kind": "cusum", "good": 0.01, "bad": 0.1}}
    return live(scenario({"health_check": check}, fleet={**IN_TWOS["fleet"], "requests_per_second": 10}, **more))


def test_waiting_takes_no_memory():
    """Looks of a gate while a promotion is awaited are not stored. [contract]"""
    rollout = awaited()
    rollout.advance(1000 * NS_PER_S)
    tracemalloc.start()
    rollout.advance(50_000 * NS_PER_S)
    before = tracemalloc.get_traced_memory()[0]
    rollout.advance(100_000 * NS_PER_S)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert rollout.deployments()[0].status.message == "canaries await promotion"
    assert grown < 100_000


def test_a_rollout_resumes():
    """Simulated a few events at a time, it has the same revisions. [property]"""
    stops = itertools.count()
    whole, parts = awaited(), awaited()
    assert whole.advance(2000 * NS_PER_S)
    n_calls = 1
    while not parts.advance(2000 * NS_PER_S, lambda: next(stops) % 7 < 6):
        n_calls += 1
    assert n_calls > 20
    assert histories(parts.recorded) == histories(whole.recorded)


def test_gates_keep_looking_while_somebody_may_act():
    """An alarm of running nodes stops a canary that waits for promotion, by whomever. [contract]"""
    check = {**CANARY["health_check"], "max_error_rate": 0.5, "gate": {"kind": "cusum", "good": 0.01, "bad": 0.1}}
    latent = {"bad": {"probability": 1, "defective": True, "error_rate": 0.4, "after": "2m"}}
    fleet = {**IN_TWOS["fleet"], "requests_per_second": 10}
    rollout = live(scenario({"health_check": check}, release=latent, fleet=fleet))
    rollout.advance(110 * NS_PER_S)
    assert rollout.deployments()[0].status.message == "canaries await promotion"
    rollout.advance(600 * NS_PER_S)
    assert states(rollout) == ["failed", "completed"]
