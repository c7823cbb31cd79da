"""Connections between nodes and the control plane, by hand: which nodes are reached, when verdicts are heard, and rollbacks."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import BAD, CHECK, run, script
from small import IMMEDIATE

from simdeploy import InputError, Rollout, Scenario, simulate
from simdeploy.analysis import compare_gates
from simdeploy.units import NS_PER_S
from simdeploy.world.realized import World

NEVER_ONLINE = {"online": "1ns", "offline": "1000h"}
# Every dispatched node, which takes 30 s and then 30 s of windows, is offline from 45 s at the latest, for ten minutes.
BREAKS = {"online": "45s", "offline": "10m"}
MANY = 200


def switches(**values):
    return {"preset": "expanso", "unreachable_nodes": "skip", "on_failure": "continue", **values}


def rolling(parallel=0, deadline="10m", **keys):
    return {"strategy": "rolling", "max_parallel": parallel, "health_check": {**CHECK, "deadline": deadline}, **keys}


def breaking(make_scenario, fleet=None, orchestrator=None, **changes):
    """Make a fleet that goes offline after its dispatch."""
    fleet = {"nodes": MANY, "connection": BREAKS, **(fleet or {})}
    return make_scenario(fleet=fleet, orchestrator=orchestrator or switches(), **changes)


def online_again_s(scenario: Scenario, nodes: list[int], t_s: float) -> dict[int, float]:
    """Return when nodes are online from a time on."""
    lines = World(scenario.fleet, scenario.release, scenario.operator, 0, 0).lines
    return {node: lines.online_again(node, round(t_s * NS_PER_S)) / NS_PER_S for node in nodes}


def touched(rollout: Rollout) -> Any:
    """Return the nodes that were dispatched; BREAKS leaves some."""
    nodes = rollout.nodes[rollout.nodes["dispatched_at_s"].notna()].set_index("node")
    assert 5 < len(nodes) < 40
    return nodes


# -- a node's turn -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "failed"), [("fail", 10), ("skip", 0)])
def test_nodes_that_are_offline_at_their_turn(make_scenario, engine, what, failed):
    """Nodes that are offline at their turn fail at once or are skipped, are not touched, and serve on. [contract]"""
    scenario = make_scenario(fleet={"connection": NEVER_ONLINE}, orchestrator=switches(unreachable_nodes=what))
    values = run(scenario, rolling(), engine)
    assert (values["failed_nodes"], values["touched_nodes"], values["makespan_s"]) == (failed, 0, 0)
    assert (values["min_in_service_fraction"], values["unavailable_node_s"]) == (1, 0)


def test_being_offline_does_not_depend_on_the_policy(make_scenario, engine):
    """Whether a node is reached depends neither on the time of its turn nor on other nodes. [property]"""
    scenario = breaking(make_scenario, {"connection": {"online": "10m", "offline": "5m"}})
    at_once, *others = (run(scenario, rolling(parallel), engine)["touched_nodes"] for parallel in (0, 10, 70))
    assert others == [at_once] * 2
    assert 0 < at_once < MANY


def test_a_connection_is_stationary_from_its_turn_on(make_scenario):
    """At any time after their turn the offline share is that at the turn, for any distribution. [oracle]"""
    n, turn = 20_000, 7200 * NS_PER_S
    spells = {"online": {"weibull": {"mean": "3h", "shape": 0.6}}, "offline": {"lognormal": {"mean": "1h", "sd": "2h"}}}
    scenario = make_scenario(fleet={"nodes": n, "connection": spells}, orchestrator=switches())
    lines = World(scenario.fleet, scenario.release, scenario.operator, 0, 0).lines
    for node in range(n):
        lines.begin(node, turn)
    for after_s in (0, 600, 3600):
        online = sum(lines.is_online(node, turn + after_s * NS_PER_S) for node in range(n)) / n
        assert abs(online - 0.75) <= 4 * (0.75 * 0.25 / n) ** 0.5


def test_the_records_name_offline(make_scenario):
    """The reason of a node that was offline at its turn says so; such a failure is known at once. [contract]"""
    orchestrator = switches(unreachable_nodes="fail", on_failure="rollback")
    scenario = make_scenario(fleet={"connection": NEVER_ONLINE}, orchestrator=orchestrator)
    rollout = simulate(scenario, rolling(4, max_failed_nodes=3, max_failed_nodes_percent=100))
    assert rollout.responses["stopped_at_s"] == 0
    failed = rollout.nodes[rollout.nodes["status"] == "failed"]
    assert failed["reason"].eq("offline when its turn came").all()
    assert failed["heard_at_s"].tolist() == [0] * 4
    assert rollout.timeline["in_service"].tolist() == [10] * len(rollout.timeline)


def test_a_node_is_waited_for_until_it_is_up_and_online(make_scenario, engine):
    """`wait` dispatches a node at the first instant at which it is both up and online. [contract]"""
    fleet = {"nodes": 30, "connection": {"online": "7m", "offline": "4m"}, "crash": {"up": "5m", "repair": "3m"}}
    scenario = make_scenario(fleet=fleet, orchestrator=switches(unreachable_nodes="wait"))
    world = World(scenario.fleet, scenario.release, scenario.operator, 0, 0)
    expected = []
    for node in range(30):
        offline = world.lines._processes[node].undisturbed(node).bad_spells(0, 10**13)
        t = 0
        for start, end in sorted([*world.down_spells(node, 0, 10**13), *offline]):
            t = end if start <= t < end else t
        expected.append(t / NS_PER_S)
    rollout = simulate(scenario, IMMEDIATE)
    assert rollout.nodes["dispatched_at_s"].tolist() == pytest.approx(expected, abs=1e-9)
    assert max(expected) > 0
    assert run(scenario, IMMEDIATE, engine)["makespan_s"] == rollout.responses["makespan_s"]


def test_offline_spells_begin_at_a_nodes_turn(make_scenario):
    """A waiting node is dispatched at the end of the spell at its turn; a verdict is heard at the end of its spell. [oracle]"""
    fleet = {"nodes": MANY, "connection": {"online": "5m", "offline": "3m"}}
    scenario = make_scenario(fleet=fleet, orchestrator=switches(unreachable_nodes="wait"))
    rollout = simulate(scenario, rolling(50, deadline="30m", max_failed_nodes=200, max_failed_nodes_percent=100))
    nodes, spells = rollout.nodes.set_index("node"), rollout.offline_spells
    turns = nodes.groupby("wave")["dispatched_at_s"].transform("min")
    waited = nodes[nodes["dispatched_at_s"] > turns]
    first = spells.drop_duplicates("node").set_index("node")
    assert len(waited) > 40
    assert first.loc[waited.index, "from_s"].tolist() == turns[waited.index].tolist()
    assert first.loc[waited.index, "until_s"].tolist() == waited["dispatched_at_s"].tolist()
    for node, verdict in nodes.iterrows():
        within = spells[spells["node"].eq(node) & spells["from_s"].le(verdict["resolved_at_s"])]
        within = within[within["until_s"] > verdict["resolved_at_s"]]
        expected = within["until_s"].tolist() or [verdict["resolved_at_s"]]
        assert [verdict["heard_at_s"]] == pytest.approx(expected, abs=1e-9)


# -- verdicts ----------------------------------------------------------------------------------------


def test_a_verdict_counts_when_it_is_heard(make_scenario, engine):
    """A node that runs while offline counts at the end of its spell; its service and windows use true time. [contract]"""
    scenario = breaking(make_scenario)
    rollout = simulate(scenario, rolling(deadline="700s"))
    nodes = touched(rollout)
    heard = online_again_s(scenario, nodes.index, 60)
    assert nodes["resolved_at_s"].eq(60).all()
    assert nodes["heard_at_s"].to_dict() == heard
    assert nodes["status"].eq("running").all()
    assert all(600 < at < 645 for at in heard.values())
    values = run(scenario, rolling(deadline="700s"), engine)
    assert (values["state"], values["updated_nodes"], values["failed_nodes"]) == ("completed", len(nodes), 0)
    assert values["makespan_s"] == max(heard.values())
    assert values["unavailable_node_s"] == 30 * len(nodes)
    assert values["decision_windows"] == 3 * len(nodes)
    assert values["exposed_node_s"] == pytest.approx(len(nodes) * (max(heard.values()) - 30), rel=1e-12)


def test_counts_of_the_deployment_are_of_heard_verdicts(make_scenario):
    """Each verdict makes a revision when it is heard; its event names the node. [contract]"""
    rollout = simulate(breaking(make_scenario), rolling(deadline="700s"))
    heard = sorted(touched(rollout)["heard_at_s"])
    counts = rollout.revisions.set_index("time_s")["updated_nodes"]
    assert counts.loc[0] == 0
    assert [counts.loc[at] for at in heard] == list(range(1, len(heard) + 1))
    events = rollout.events[rollout.events["reason"] == "heard of"]
    assert events["time_s"].tolist() == heard
    assert events[["from_status", "to_status"]].eq("running").all(axis=None)
    last = rollout.revisions.iloc[-1]
    assert last["last_progress_time"].value - last["created_at"].value == round(heard[-1] * NS_PER_S)


def test_a_verdict_heard_on_the_deadline_counts(make_scenario, engine):
    """A verdict heard exactly on the deadline counts; a nanosecond later the node has failed. [contract]"""
    scenario = breaking(make_scenario)
    nodes = touched(simulate(scenario, rolling(deadline="700s")))
    last_ns = round(max(nodes["heard_at_s"]) * NS_PER_S)
    in_time = run(scenario, rolling(deadline=f"{last_ns}ns"), engine)
    assert (in_time["updated_nodes"], in_time["failed_nodes"]) == (len(nodes), 0)
    late = run(scenario, rolling(deadline=f"{last_ns - 1}ns"), engine)
    assert (late["updated_nodes"], late["failed_nodes"]) == (len(nodes) - 1, 1)
    assert late["makespan_s"] == pytest.approx((last_ns - 1) / NS_PER_S, rel=1e-15)


@pytest.mark.parametrize("local", [False, True])
def test_a_node_that_is_not_heard_of(make_scenario, engine, local):
    """A node not heard of fails at its deadline, exposed and in service, is not rolled back, and later verdicts don't count. [contract]"""
    scenario = breaking(make_scenario, orchestrator=switches(node_local_rollback=local))
    rollout = simulate(scenario, rolling())
    nodes = touched(rollout)
    assert nodes["status"].eq("failed").all()
    assert nodes["reason"].eq("not heard of by the deadline").all()
    assert nodes["failed_reason"].eq("not heard of by the deadline").all()
    assert nodes["resolved_at_s"].eq(60).all()
    assert nodes[["failed_at_s", "heard_at_s"]].eq(600).all(axis=None)
    assert nodes["exposed_s"].eq(570).all()
    assert nodes["unavailable_s"].eq(30).all()
    values = run(scenario, rolling(), engine)
    assert (values["state"], values["updated_nodes"], values["failed_nodes"]) == ("completed", 0, len(nodes))
    assert values["makespan_s"] == 600
    assert values["exposed_node_s"] == 570 * len(nodes)


def test_the_deadline_may_start_when_the_node_has_started(make_scenario, engine):
    """Under deadline_starts: started, nodes that started at 30 s must be heard of by 10m30s. [contract]"""
    scenario = breaking(make_scenario, orchestrator=switches(deadline_starts="started"))
    nodes = touched(simulate(scenario, rolling(deadline="10m")))
    in_time = sum(at <= 630 for at in online_again_s(scenario, nodes.index, 60).values())
    assert 0 < in_time < len(nodes)
    values = run(scenario, rolling(deadline="10m"), engine)
    assert (values["updated_nodes"], values["failed_nodes"]) == (in_time, len(nodes) - in_time)
    # Without windows there is such a deadline, too.
    no_windows = {**rolling(), "health_check": {"deadline": "10m", "min_healthy_time": "0s"}}
    slower = breaking(make_scenario, {"update_duration": 60}, switches(deadline_starts="started"))
    makespan_s = max(online_again_s(scenario, nodes.index, 60).values())
    assert run(slower, no_windows, engine)["makespan_s"] == pytest.approx(makespan_s, rel=1e-12)


def test_immediate_has_no_deadline(make_scenario, engine):
    """Under immediate a verdict heard late is only late. [contract]"""
    scenario = breaking(make_scenario, {"update_duration": 60})
    nodes = touched(simulate(scenario, IMMEDIATE))
    values = run(scenario, IMMEDIATE, engine)
    assert (values["updated_nodes"], values["failed_nodes"]) == (len(nodes), 0)
    assert values["makespan_s"] == max(online_again_s(scenario, nodes.index, 60).values())


def test_a_failed_start_without_a_deadline_is_heard_late(make_scenario, engine):
    """Under deadline_starts: started a node that doesn't start has no deadline, and is heard of when it is online. [contract]"""
    scenario = breaking(make_scenario, {"update_duration": 60, "start_failure": 1}, switches(deadline_starts="started"))
    nodes = touched(simulate(scenario, rolling()))
    values = run(scenario, rolling(), engine)
    assert values["failed_nodes"] == len(nodes)
    assert values["makespan_s"] == max(online_again_s(scenario, nodes.index, 60).values())


@pytest.mark.parametrize("deadline", ["700s", "10m"])  # the spells end between them
def test_a_node_is_rolled_back_by_its_own_verdict(make_scenario, engine, deadline):
    """Node-local rollback needs no connection: the node is back before its failure is heard of. [contract]"""
    scenario = breaking(make_scenario, {"update_duration": 50, "start_failure": 1}, switches(node_local_rollback=True))
    rollout = simulate(scenario, rolling(deadline=deadline))
    nodes = touched(rollout)
    assert nodes["status"].eq("rolled_back").all()
    assert nodes["rollback_started_at_s"].eq(50).all()
    assert nodes["failed_at_s"].eq(50).all()
    online = online_again_s(scenario, nodes.index, 50)
    assert nodes["heard_at_s"].to_dict() == (online if deadline == "700s" else dict.fromkeys(nodes.index, 600))
    values = run(scenario, rolling(deadline=deadline), engine)
    assert values["makespan_s"] == (max(online.values()) if deadline == "700s" else 600)
    assert (values["failed_nodes"], values["unavailable_node_s"]) == (len(nodes), 100 * len(nodes))


def test_a_limit_is_crossed_by_heard_failures(make_scenario, engine):
    """The second failure heard of stops a rollout that tolerates one; verdicts after the end don't count. [contract]"""
    scenario = breaking(make_scenario, {"update_duration": 60, "start_failure": 1}, switches(on_failure="stop"))
    policy = rolling(deadline="700s", max_failed_nodes=1, max_failed_nodes_percent=100)
    nodes = touched(simulate(scenario, policy))
    heard = sorted(online_again_s(scenario, nodes.index, 60).values())
    values = run(scenario, policy, engine)
    assert (values["state"], values["failed_nodes"]) == ("failed", 2)
    assert values["stopped_at_s"] == heard[1]


def test_deadlines_end_with_the_rollout(make_scenario):
    """A node whose deadline passes after the end keeps its own verdict, which is heard later. [contract]"""
    scenario = breaking(make_scenario, orchestrator=switches(), operator=script((300, "cancel")))
    rollout = simulate(scenario, rolling(no_auto_rollback=True))
    nodes = touched(rollout)
    assert not nodes["ever_failed"].any()
    assert nodes["heard_at_s"].gt(600).all()
    assert rollout.responses["updated_nodes"] == rollout.responses["failed_nodes"] == 0


def test_types_without_a_release(make_scenario, engine):
    """restart behaves like an update without rollback; stop has no deadline, and nodes leave before they are heard of. [contract]"""
    restart = breaking(make_scenario, deployment={"type": "restart"})
    n = len(touched(simulate(restart, rolling())))
    values = run(restart, rolling(), engine)
    assert (values["failed_nodes"], values["makespan_s"], values["unavailable_node_s"]) == (n, 600, 30 * n)
    stop = breaking(make_scenario, {"update_duration": 60}, deployment={"type": "stop"})
    nodes = touched(simulate(stop, rolling()))
    values = run(stop, rolling(), engine)
    assert values["updated_nodes"] == len(nodes)
    assert values["makespan_s"] == max(online_again_s(stop, nodes.index, 60).values())
    assert nodes["resolved_at_s"].eq(60).all()


# -- pacing and people -------------------------------------------------------------------------------


def test_waves_follow_heard_verdicts(make_scenario):
    """The next wave goes when the deadline of nodes not heard of has passed. [contract]"""
    scenario = breaking(make_scenario)
    rollout = simulate(scenario, rolling(MANY // 2))
    nodes = touched(rollout)
    assert sorted(set(nodes["dispatched_at_s"])) == [0, 600]


@pytest.mark.parametrize("local", [False, True])
def test_an_unheard_node_holds_its_slot(make_scenario, engine, local):
    """A node not heard of is never rolled back locally, so under failed_node_holds_slot it keeps its slot. [contract]"""
    orchestrator = switches(pacing="sliding", failed_node_holds_slot=True, node_local_rollback=local)
    values = run(breaking(make_scenario, orchestrator=orchestrator), rolling(2), engine)
    assert (values["state"], values["failed_nodes"], values["touched_nodes"]) == ("in_progress", 2, 2)


@pytest.mark.parametrize("defect", [{"error_rate": 0.01}, {"start_failure": 1}])
@pytest.mark.parametrize(("deadline", "state", "acts_s"), [("10m", "completed", 700), ("700s", "canceled", None)])
def test_an_operator_sees_heard_canaries(make_scenario, engine, deadline, state, acts_s, defect):
    """promote_after starts when the last canary is heard of or given up; one given up shows no defect. [contract]"""
    operator = {"promote_after": 100, "notices_defect": 1}
    release = {"bad": {**BAD["bad"], **defect}}
    # All are offline before their attempt or windows end.
    fleet = {"nodes": 2 * MANY, "connection": {**BREAKS, "online": "29s"}}
    scenario = breaking(make_scenario, fleet, switches(canary_gate="limits"), release=release, operator=operator)
    policy = {"strategy": "canary", "canary_count": 2 * MANY, "health_check": {**CHECK, "deadline": deadline}}
    nodes = touched(simulate(scenario, policy))
    values = run(scenario, policy, engine)
    assert values["state"] == state
    assert values["makespan_s"] == (acts_s or max(nodes["heard_at_s"]) + 100)


# -- going back --------------------------------------------------------------------------------------


def test_rollbacks_reach_online_nodes(make_scenario, engine):
    """A cancel at 50 s rolls back online nodes at once, and the others when they are online again. [contract]"""
    scenario = breaking(make_scenario, {"rollback_duration": 20}, operator=script((20, "cancel")))
    rollout = simulate(scenario, rolling())
    nodes = touched(rollout)
    online = online_again_s(scenario, nodes.index, 20)
    assert nodes["rollback_started_at_s"].to_dict() == online
    at_once = [node for node, at in online.items() if at == 20]
    assert 0 < len(at_once) < len(nodes)
    # Nodes rolled back at 20 s had not started yet; the others are exposed from 30 s on.
    assert nodes["started_at_s"].isna().to_dict() == {node: node in at_once for node in nodes.index}
    values = run(scenario, rolling(), engine)
    assert (values["state"], values["stopped_at_s"]) == ("canceled", 20)
    assert values["restored_at_s"] == max(online.values()) + 20
    late = [at for node, at in online.items() if node not in at_once]
    assert values["exposed_node_s"] == pytest.approx(sum(at - 30 for at in late), rel=1e-12)
    assert values["unavailable_node_s"] == 40 * len(at_once) + 50 * len(late)
    assert values["peak_exposed_nodes"] == len(late)
    assert values["updated_nodes"] == 0


def test_rollback_waves_wait_for_offline_nodes(make_scenario, engine):
    """A rollback wave ends at the true end of the rollback, whether or not the node is online then. [contract]"""
    pacing = switches(rollback_pacing="max_parallel")
    scenario = breaking(make_scenario, {"rollback_duration": 700}, pacing, operator=script((60, "cancel")))
    policy = {"strategy": "canary", "canary_count": MANY, "max_parallel": 1, "health_check": CHECK}
    nodes = touched(simulate(scenario, policy)).sort_index()
    sent = 60.0
    for node in nodes.index:
        begins = online_again_s(scenario, [node], sent)[node]
        assert nodes.loc[node, "rollback_started_at_s"] == pytest.approx(begins, rel=1e-12)
        sent = begins + 700
    assert run(scenario, policy, engine)["restored_at_s"] == pytest.approx(sent, rel=1e-12)


def test_people_reach_online_nodes(make_scenario, engine):
    """An escape that people notice is undone node by node, as each is online. [contract]"""
    scenario = breaking(make_scenario, release=BAD, operator={"escape_detection": 0})
    nodes = touched(simulate(scenario, rolling()))
    online = online_again_s(scenario, nodes.index, 600)
    assert max(online.values()) > 600
    values = run(scenario, rolling(), engine)
    assert (values["verdict"], values["makespan_s"]) == ("escaped", 600)
    assert values["restored_at_s"] == max(online.values()) + 30


# -- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["pooled", "cusum"])
def test_only_the_threshold_works_over_broken_connections(make_scenario, gate):
    """A gate other than threshold is refused, with the key that rules it out. [contract]"""
    policy = {"strategy": "rolling", "health_check": {**CHECK, "max_error_rate": 0.1, "gate": gate}}
    with pytest.raises(InputError, match=r"health_check\.gate\.kind: .*fleet\.connection.*allowed: threshold"):
        make_scenario(fleet={"connection": BREAKS}, policies={"p": policy})
    of_class = {"classes": [{"name": "away", "share": 0.5, "connection": BREAKS}]}
    with pytest.raises(InputError, match=r"fleet\.connection"):
        make_scenario(fleet=of_class, policies={"p": policy})


def test_gates_cannot_be_compared_over_broken_connections(make_scenario):
    """compare_gates without explicit gates says why there is none. [contract]"""
    with pytest.raises(InputError, match=r"no gate to compare.*fleet\.connection"):
        compare_gates(breaking(make_scenario, {"requests_per_second": 10}), replications=10)


def test_a_class_may_have_its_own_connection(make_scenario, engine):
    """A class may override the fleet's connection, or be always online. [contract]"""
    fleet = {
        "nodes": 10,
        "connection": NEVER_ONLINE,
        "classes": [{"name": "near", "nodes": [1, 2, 3], "connection": None}, {"name": "far", "nodes": [4]}],
    }
    scenario = make_scenario(fleet=fleet, orchestrator=switches())
    assert run(scenario, rolling(), engine)["updated_nodes"] == 3
    assert run(scenario.with_values({"fleet.classes.far.connection": "none"}), rolling(), engine)["updated_nodes"] == 4


def test_numbers_of_the_connection_are_factors(make_scenario):
    """Both laws can be changed by path, as a whole or by parameter. [contract]"""
    scenario = make_scenario(fleet={"connection": {"online": {"exponential": {"mean": "4h"}}, "offline": "1h"}})
    changed = scenario.with_values({"fleet.connection.online.exponential.mean": "9h", "fleet.connection.offline": "1m"})
    line = changed.fleet.behaviour.connection
    assert line is not None
    assert (line.online.mean, line.offline.mean) == (9 * 3600, 60)
