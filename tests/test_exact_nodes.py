"""Exact nodes: a fleet's order, nodes of a class, nodes that a release affects, and nodes that are down for good."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import jsonschema
import numpy as np
import pytest
from by_hand import ENGINES, NO_WINDOWS, canary, rolling, script, values_of
from refusals import refused
from small import IMMEDIATE

from simdeploy import Rollout, Scenario, simulate, sweep
from simdeploy.errors import InputError, SimdeployWarning, format_path
from simdeploy.scenario import scenario_schema
from simdeploy.world.dealing import deal_classes
from simdeploy.world.draws import Draws

AWAY = {"name": "away", "nodes": [4], "down": True}
NEVER_STOPPED = {"max_failed_nodes": 30, "max_failed_nodes_percent": 100}
LENIENT = {"p": {**IMMEDIATE, **NEVER_STOPPED}}


def raw_of(fleet: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a scenario of ten nodes that take 30 s each, in waves of two."""
    fleet = {"nodes": 10, "update_duration": 30, **fleet}
    return {"name": "exact", "fleet": fleet, "policies": {"p": rolling(2)}, **copy.deepcopy(sections)}


def scenario_of(fleet: dict[str, Any], **sections: Any) -> Scenario:
    return Scenario.from_dict(raw_of(fleet, **sections))


def affecting(*nodes: int, **others: Any) -> dict[str, Any]:
    """Return a release that breaks every start on the given nodes, or on nodes chosen otherwise."""
    affects = others or {"nodes": [*nodes]}
    return {"bad": {"probability": 1, "defective": True, "start_failure": 1, "affects": affects}}


# -- reading ---------------------------------------------------------------------------------------


def test_exact_nodes_are_read_and_written() -> None:
    """A list as order, nodes of a class and of a release, and `down` are read, and written back unchanged. [contract]"""
    raw = raw_of({"order": [9, 2], "classes": [AWAY, {"name": "rest", "share": 0.5}]}, release=affecting(2, 9))
    scenario = Scenario.from_dict(raw)
    fleet = scenario.fleet
    assert (fleet.order, fleet.first) == ("nodes", (9, 2))
    away, rest = ((one.name, one.share, one.nodes, one.behaviour.down) for one in fleet.classes)
    assert (away, rest) == (("away", None, (4,), True), ("rest", 0.5, (), False))
    affects = scenario.release[0].affects
    assert (affects.by, affects.members) == ("nodes", (2, 9))
    assert scenario.to_dict() == raw
    assert Scenario.from_dict(scenario.to_dict()) == scenario


def test_exact_nodes_can_be_changed() -> None:
    """Lists and their items, `down` and the number of nodes can be set by path. [contract]"""
    scenario = scenario_of({"order": [9, 2], "classes": [AWAY]}, release=affecting(2))
    of_class = {"fleet.classes.away.nodes": [5, 19], "fleet.classes.away.down": False}
    values = {"fleet.nodes": 20, "fleet.order": [19], **of_class, "release.bad.affects.nodes.0": 12}
    changed = scenario.with_values(values)
    assert (changed.fleet.nodes, changed.fleet.first, changed.fleet.classes[0].nodes) == (20, (19,), (5, 19))
    assert not changed.fleet.classes[0].behaviour.down
    assert changed.release[0].affects.members == (12,)
    assert scenario.with_values({"fleet.order": "random"}).fleet.first == ()


def fleet_and(classes: Any) -> dict[str, Any]:
    return raw_of({"classes": classes})


NONE_SUCH = "no such node (found {}); allowed: 0 to 9".format
BAD = [
    (raw_of({"order": [9, 10]}), "fleet.order[1]", f"{NONE_SUCH(10)}; nodes are numbered from 0"),
    (raw_of({"order": [9, 2, 9]}), "fleet.order[2]", "duplicate node; first named by order[0] (found 9)"),
    (raw_of({"order": [-1]}), "fleet.order[0]", "negative"),
    (raw_of({"order": [1.5]}), "fleet.order[0]", "not a whole number"),
    (raw_of({"order": []}), "fleet.order", "a non-empty list"),
    (raw_of({"order": "zones"}), "fleet.order", "or a list of nodes such as [9, 2]; did you mean 'zone'?"),
    (raw_of({"order": 3}), "fleet.order", "write [3]"),
    (raw_of({"down": True}), "fleet.down", "a key of a class"),
    (fleet_and([{"name": "a", "nodes": [4, 99]}]), "fleet.classes[0].nodes[1]", NONE_SUCH(99)),
    (fleet_and([{"name": "a", "nodes": [4, 4]}]), "fleet.classes[0].nodes[1]", "first named by nodes[0]"),
    (fleet_and([{"name": "a", "nodes": 4}]), "fleet.classes[0].nodes", "write [4]"),
    (fleet_and([{"name": "a", "nods": [4]}]), "fleet.classes[0].nods", "did you mean 'nodes'?"),
    (fleet_and([{"name": "a"}]), "fleet.classes[0]", "exactly one of share and nodes is required (found neither)"),
    (fleet_and([{"name": "a", "share": 0.1, "nodes": [4]}]), "fleet.classes[0]", "exactly one of share and nodes"),
    (fleet_and([{**AWAY, "down": "yes"}]), "fleet.classes[0].down", "not a boolean"),
    (
        fleet_and([AWAY, {"name": "b", "nodes": [3, 4]}]),
        "fleet.classes[1].nodes[1]",
        "a node of two classes; first named by classes[0].nodes[0] (found 4)",
    ),
    (raw_of({}, release=affecting(2, 10)), "release.bad.affects.nodes[1]", NONE_SUCH(10)),
    (raw_of({}, release=affecting(2, 2)), "release.bad.affects.nodes[1]", "duplicate node; first named by nodes[0]"),
    (raw_of({}, release=affecting(-2)), "release.bad.affects.nodes[0]", "negative"),
    (raw_of({}, release=affecting()), "release.bad.affects.nodes", "a non-empty list"),
]


@pytest.mark.parametrize(("raw", "path", "fragment"), BAD, ids=[f"{path} {fragment}"[:60] for _, path, fragment in BAD])
def test_bad_nodes_are_reported(raw: dict[str, Any], path: str, fragment: str) -> None:
    """Unknown and repeated nodes, and classes without nodes, are one error with path and allowed values. [contract]"""
    (problem,) = refused(Scenario.from_dict, raw).problems
    assert format_path(problem.path) == path
    assert fragment in str(problem)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (raw_of({"order": [9, 2]}), "fleet.order[0]"),
        (fleet_and([{**AWAY, "nodes": [7]}]), "fleet.classes[0].nodes[0]"),
        (raw_of({}, release=affecting(1, 8)), "release.bad.affects.nodes[1]"),
    ],
)
def test_nodes_must_exist_in_smaller_fleets(raw: dict[str, Any], path: str) -> None:
    """A fleet made smaller than a named node is an error, also within a sweep. [contract]"""
    scenario = Scenario.from_dict(raw)
    with pytest.raises(InputError, match=r"no such node .*allowed: 0 to 4") as caught:
        scenario.with_values({"fleet.nodes": 5})
    assert [format_path(problem.path) for problem in caught.value.problems] == [path]
    with pytest.raises(InputError, match="no such node"):
        sweep(scenario, "p", vary={"fleet.nodes": [10, 5]}, replications=1, engine="reference")


def test_the_schema_covers_exact_nodes() -> None:
    """The JSON Schema accepts valid lists, and refuses what it can detect. [contract]"""
    validator = jsonschema.Draft202012Validator(scenario_schema())
    good = raw_of({"order": [9, 2], "classes": [AWAY, {"name": "b", "share": 0.1, "down": True}]}, release=affecting(3))
    assert list(validator.iter_errors(good)) == []
    # A schema can't know which nodes the fleet has, whether two classes share one, or where a key belongs elsewhere.
    unseen = ("no such node", "two classes")
    for raw, path, fragment in BAD:
        is_seen = not any(words in fragment for words in unseen)
        assert bool(list(validator.iter_errors(raw))) == is_seen, (path, fragment)


LIMITED = {"p": rolling(2, max_failed_nodes=0)}
WAITS = {"unreachable_nodes": "wait"}


def with_canaries(*sizes: int) -> dict[str, Any]:
    """Return one policy with this many canaries, and limits above the number of nodes that are down here."""
    waves = [*sizes, {"until": "100%"}]
    promoted = {"dialect": "general", "auto_promote": True, "waves": waves, "max_failed_nodes_percent": 50}
    return {"p": {"strategy": "canary", "health_check": NO_WINDOWS, **promoted}}


def away(*nodes: int) -> dict[str, Any]:
    """Return a class of nodes that are down for good."""
    return {"name": "away", "nodes": list(nodes), "down": True}


# Of ten nodes in three zones.
LOST_CANARIES = [
    ({"classes": [away(4)]}, with_canaries(5), "node 4 is down for good"),
    ({"classes": [away(9)], "order": [9, 2]}, with_canaries(1), "node 9 is down for good"),
    (
        {"classes": [away(3, 6)], "order": "zone", "zones": 3},
        with_canaries(3),
        "2 of them are down for good, such as node 3",
    ),
    ({"classes": [away(9)], "order": "random"}, with_canaries(10), "1 of 10 nodes is down for good"),
    ({"classes": [{"name": "a", "share": 0.2, "down": True}]}, with_canaries(9), "2 of 10 nodes are down for good"),
    ({"classes": [away(1)]}, with_canaries(2, 5), "node 1 is down for good"),
]
KEPT_CANARIES = [
    ({"classes": [away(4)]}, with_canaries(4), {}),
    ({"classes": [away(4)]}, with_canaries(5), {"canary_gate": "limits"}),
    ({"classes": [away(4)]}, with_canaries(5), {"unreachable_nodes": "skip"}),
    ({"classes": [away(4)]}, with_canaries(5), {"on_failure": "continue"}),
    ({"classes": [away(4)], "order": "random"}, with_canaries(9), {}),
    ({"classes": [{"name": "a", "share": 0.2, "down": True}]}, with_canaries(8), {}),
]


@pytest.mark.parametrize(
    ("raw", "path", "fragment"),
    [
        (fleet_and([{"name": "all", "share": 1, "down": True}]), "fleet.classes", "every node is down for good"),
        (raw_of({"classes": [AWAY]}, orchestrator=WAITS), "orchestrator.unreachable_nodes", "no rollout completes"),
        (
            raw_of({"classes": [AWAY]}, policies={"p": rolling(2, dialect="general", orchestrator=WAITS)}),
            "policies.p.orchestrator.unreachable_nodes",
            "no rollout completes",
        ),
        (raw_of({"classes": [AWAY]}, policies=LIMITED), "policies.p", "1 failed node exceeds max_failed_nodes 0"),
        (
            fleet_and([{**AWAY, "update_duration": 5, "crash": {"up": 1, "repair": 1}}]),
            "fleet.classes[0]",
            "no effect on nodes that are down for good: update_duration, crash",
        ),
        (
            fleet_and([{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}, AWAY]),
            "fleet.classes[1].share",
            "gives 4 nodes instead of 5",
        ),
    ],
)
def test_dangerous_nodes_are_warned_about(raw: dict[str, Any], path: str, fragment: str) -> None:
    """Each fleet and policy that can't work because nodes are down for good gives one warning. [contract]"""
    with pytest.warns(SimdeployWarning) as caught:
        scenario = Scenario.from_dict(raw)
    assert len(caught) == 1
    (problem,) = scenario.warnings
    assert format_path(problem.path) == path
    assert fragment in str(problem)


@pytest.mark.filterwarnings("ignore:.*instead of")
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.05, 0.85), (0.25, 0.25), (1,)])
@pytest.mark.parametrize("exact", [(), (4,), tuple(range(10))])
def test_sizes_of_classes(shares: tuple[float, ...], exact: tuple[int, ...]) -> None:
    """Each class has as many nodes in a rollout as its size says, also if exact nodes leave less than its share. [property]"""
    classes = [{"name": f"c{place}", "share": share} for place, share in enumerate(shares)]
    scenario = scenario_of({"classes": [*classes, *([{"name": "exact", "nodes": [*exact]}] if exact else [])]})
    dealt = deal_classes(scenario.fleet, Draws(0, 0))
    assert scenario.fleet.class_sizes == tuple(np.bincount(dealt, minlength=len(scenario.fleet.behaviours)).tolist())


@pytest.mark.parametrize(
    "raw",
    [
        fleet_and([{**AWAY, "requests_per_second": 5}]),
        fleet_and([AWAY, {"name": "b", "share": 0.9}]),
        raw_of({"classes": [AWAY]}, orchestrator={"unreachable_nodes": "skip"}, policies=LIMITED),
        raw_of({"classes": [{"name": "a", "share": 0.01, "down": True}]}, orchestrator=WAITS),
        raw_of({"classes": [AWAY]}, orchestrator=WAITS, policies={"p": rolling(2, dialect="general", orchestrator={})}),
        fleet_and([{"name": "off", "share": 0.5, "down": False, "update_duration": 5}]),
    ],
)
def test_usual_nodes_are_not_warned_about(raw: dict[str, Any]) -> None:
    """Nodes that are down for good within the limits cause no warning. [contract]"""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Scenario.from_dict(raw).warnings == ()


@pytest.mark.parametrize(("fleet", "policies", "fragment"), LOST_CANARIES)
def test_canaries_that_are_down_for_good_are_warned_about(fleet: dict, policies: dict, fragment: str) -> None:
    """If canaries that are down for good stop every rollout, there is one warning. [contract]"""
    with pytest.warns(SimdeployWarning, match=f"canaries are never all healthy.*{fragment}") as caught:
        scenario = scenario_of(fleet, policies=policies)
    assert len(caught) == 1
    ended = {simulate(scenario, replication=number).responses["state"] for number in range(20)}
    assert "completed" not in ended


@pytest.mark.parametrize(("fleet", "policies", "switches"), KEPT_CANARIES)
def test_canaries_that_may_be_up_are_not_warned_about(fleet: dict, policies: dict, switches: dict) -> None:
    """If some rollouts complete, there is no warning. [contract]"""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scenario = scenario_of(fleet, policies=policies, orchestrator=switches)
    assert "completed" in {simulate(scenario, replication=number).responses["state"] for number in range(100)}


# -- order, classes, affected nodes ----------------------------------------------------------------


def test_listed_nodes_go_first() -> None:
    """Listed nodes are dispatched first, in the order of the list; the others follow by number. [contract]"""
    scenario = scenario_of({"order": [9, 2, 7]}, policies={"p": rolling(1)})
    nodes = simulate(scenario).nodes
    expected = [9, 2, 7, 0, 1, 3, 4, 5, 6, 8]
    assert nodes.sort_values("position")["node"].tolist() == expected
    assert nodes.sort_values("dispatched_at_s")["node"].tolist() == expected


def test_listed_nodes_are_the_canaries(engine: str) -> None:
    """A defect on the first listed node is found by the canary, whatever its number. [contract]"""
    policies = {"p": canary(1, auto_promote=True)}
    scenario = scenario_of({"order": [9, 2]}, release=affecting(9), policies=policies)
    assert values_of(scenario, engine)["touched_nodes"] == 1
    assert values_of(scenario.with_values({"fleet.order": "index"}), engine)["touched_nodes"] == 10


def test_listed_nodes_are_affected_exactly(engine: str) -> None:
    """A release affects exactly the listed nodes, in every replication. [contract]"""
    scenario = scenario_of({}, release=affecting(2, 9), policies=LENIENT)
    for replication in range(3):
        assert values_of(scenario, engine, replication)["failed_nodes"] == 2
    rollout = simulate(scenario)
    assert rollout.nodes.loc[rollout.nodes["affected"], "node"].tolist() == [2, 9]
    assert rollout.events.loc[rollout.events["reason"] == "did not start", "node"].tolist() == [2, 9]


def test_classes_take_their_nodes_first() -> None:
    """Named nodes are in their class in every replication; shares are drawn from the others. [contract]"""
    classes = [
        {"name": "half", "share": 0.5, "update_duration": 40},
        {"name": "named", "nodes": [8, 3], "update_duration": 50},
        {"name": "rest", "share": 0.5, "update_duration": 60},
    ]
    scenario = scenario_of({"classes": classes}, policies={"p": IMMEDIATE})
    members = set()
    for replication in range(10):
        nodes = simulate(scenario, replication=replication).nodes
        assert nodes.loc[nodes["class"] == "named", "node"].tolist() == [3, 8]
        assert nodes["class"].value_counts().to_dict() == {"half": 5, "rest": 3, "named": 2}
        assert set(nodes.loc[nodes["class"] == "named", "started_at_s"]) == {50}
        members.add(tuple(nodes.loc[nodes["class"] == "half", "node"]))
    assert len(members) > 5


def test_naming_a_node_changes_no_other() -> None:
    """A named node that is down leaves the fate of every node, and the others' classes, unchanged. [property]"""
    fleet = {
        "nodes": 30,
        "update_duration": {"exponential": {"mean": 30}},
        "start_failure": 0.2,
        "crash": {"up": "5m", "repair": "1m"},
        "order": "random",
    }
    before = simulate(scenario_of(fleet, policies=LENIENT)).nodes
    after = simulate(scenario_of({**fleet, "classes": [AWAY]}, policies=LENIENT)).nodes
    columns = ["position", "dispatched_at_s", "started_at_s", "status", "attempts", "resolved_at_s"]
    others = before["node"] != 4
    assert before.loc[others, columns].equals(after.loc[others, columns])
    assert after["status"][4] == "failed"


# -- nodes that are down for good ------------------------------------------------------------------


def rollout_of(unreachable: str) -> Rollout:
    return simulate(scenario_of({"classes": [AWAY]}, orchestrator={"unreachable_nodes": unreachable}))


def test_down_nodes_fail_at_their_turn() -> None:
    """Under `fail` a node that is down for good fails at its turn, untouched, and adds no excess. [contract]"""
    rollout = rollout_of("fail")
    nodes, values = rollout.nodes, rollout.response_values
    failed = nodes.loc[nodes["status"] == "failed", ["node", "reason", "resolved_at_s"]]
    assert failed.values.tolist() == [[4, "down when its turn came", 60.0]]
    assert math.isnan(nodes["dispatched_at_s"][4])
    assert (values["state"], values["makespan_s"]) == ("completed", 150)
    assert (values["failed_nodes"], values["touched_nodes"], values["updated_nodes"]) == (1, 9, 9)
    # One node for 150 s, the nine others for 30 s each.
    assert (values["unavailable_node_s"], values["unavailable_excess_node_s"]) == (150 + 270, 270)
    assert values["min_in_service_fraction"] == pytest.approx(1 - 3 / 10)
    assert nodes["unavailable_s"].tolist() == [30] * 4 + [150] + [30] * 5
    assert rollout.timeline["in_service"].max() == 9


def test_down_nodes_are_skipped() -> None:
    """Under `skip` a node that is down for good is skipped. [contract]"""
    rollout = rollout_of("skip")
    assert rollout.nodes["status"].tolist() == ["running"] * 4 + ["skipped"] + ["running"] * 5
    values = rollout.response_values
    assert (values["state"], values["failed_nodes"], values["makespan_s"]) == ("completed", 0, 150)


def test_down_nodes_are_waited_for_in_vain() -> None:
    """Under `wait` a rollout waits for ever for a node that is down for good, and the simulation ends. [contract]"""
    rollout = rollout_of("wait")
    values = rollout.response_values
    assert (values["state"], values["waves"], values["touched_nodes"]) == ("in_progress", 3, 5)
    assert math.isnan(values["makespan_s"])
    assert math.isnan(values["unavailable_node_s"])
    assert rollout.nodes["status"].tolist() == ["running"] * 4 + ["pending"] + ["running"] + ["pending"] * 4
    assert rollout.events["time_s"].max() == 90


GATES = [
    {"kind": "pooled"},
    {"kind": "pooled", "over": "window"},
    {"kind": "sprt", "good": 0.05, "bad": 0.2},
    {"kind": "e_process"},
    {"kind": "baseline"},
    {"kind": "cusum", "good": 0.05, "bad": 0.3, "alarm_every": 50},
]


with_each_gate = pytest.mark.parametrize("gate", GATES, ids=lambda gate: " ".join(map(str, gate.values())))
JUDGED = {"deadline": "2m", "min_healthy_time": "20s", "max_error_rate": 0.05}


@with_each_gate
@pytest.mark.parametrize("requests", [0, 7])
def test_gates_do_not_look_for_ever(engine: str, gate: dict[str, Any], requests: int) -> None:
    """Looks end once nothing can happen to the remaining nodes, and the simulation ends. [contract]"""
    scenario = scenario_of(
        {"classes": [AWAY], "requests_per_second": requests},
        orchestrator={**WAITS, "canary_gate": "limits"},
        policies={"p": rolling(5, {**JUDGED, "gate": gate})},
    )
    values = values_of(scenario, engine)
    assert values["state"] in ("in_progress", "failed")
    assert values["touched_nodes"] == 4


@with_each_gate
def test_gates_do_not_look_for_ever_in_a_pause(engine: str, gate: dict[str, Any]) -> None:
    """A node that comes up in a permanent pause is never dispatched, so looks and simulation end. [contract]"""
    scenario = scenario_of(
        {"zones": 10, "zone_outage": {"up": 100, "repair": 100}},
        orchestrator=WAITS,
        operator=script((5, "pause")),
        policies={"p": rolling(2, {**JUDGED, "gate": gate}, **NEVER_STOPPED)},
    )
    states = {values_of(scenario, engine, replication)["state"] for replication in range(8)}
    assert "paused" in states


@pytest.mark.parametrize("type_name", ["update", "create", "restart", "rollback", "stop"])
@pytest.mark.parametrize("treatment", ["fail", "skip"])
def test_down_nodes_cost_nothing_in_any_type(engine: str, type_name: str, treatment: str) -> None:
    """The excess time out of service is that of all nodes but the one that is down for good. [contract]"""
    scenario = scenario_of(
        {"classes": [AWAY], "rollback_duration": 20, "zones": 2},
        orchestrator={"unreachable_nodes": treatment},
        deployment={"type": type_name},
    )
    # All nodes of zone 0 but node 4 fail, and the rollout is stopped and rolled back.
    failing = affecting(zones=[0])
    for release in ({"good": {"probability": 1}}, failing):
        changed = scenario.with_values({"release": release})
        everyone = changed.with_values({"fleet.classes": [{**AWAY, "down": False}]})
        away, here = values_of(changed, engine), values_of(everyone, engine)
        others = simulate(changed).nodes.query("node != 4")
        assert away["unavailable_excess_node_s"] == others["unavailable_s"].sum()
        if release is not failing and type_name != "create":
            own = 0 if type_name == "stop" else 30
            assert away["unavailable_excess_node_s"] == here["unavailable_excess_node_s"] - own
        if type_name == "create":
            assert away["unavailable_node_s"] == away["unavailable_excess_node_s"]


@pytest.mark.parametrize("share", [0.1, 0.5, 1])
def test_shares_may_be_down(engine: str, share: float) -> None:
    """A share gives exactly that many random nodes down for good; a rollout without reachable nodes completes at once. [contract]"""
    scenario = scenario_of({"classes": [{"name": "off", "share": share, "down": True}]}, policies=LENIENT)
    values = values_of(scenario, engine)
    assert (values["failed_nodes"], values["touched_nodes"]) == (10 * share, 10 - 10 * share)
    assert values["state"] == "completed"
    assert values["makespan_s"] == (30 if share < 1 else 0)
    assert values["min_in_service_fraction"] == 0


def test_a_real_rollout_can_be_replayed() -> None:
    """Order, failed nodes, absent nodes and the stop of an actual rollout are reproduced. [contract]"""
    scenario = scenario_of(
        {"order": [7, 3], "classes": [AWAY, {"name": "slow", "nodes": [0, 3], "update_duration": 75}]},
        release=affecting(1, 5),
        policies={"p": rolling(2, max_failed_nodes=2, max_failed_nodes_percent=100)},
    )
    rollout = simulate(scenario)
    waves = rollout.nodes.groupby("wave")["node"].apply(list).to_dict()
    assert waves == {1: [3, 7], 2: [0, 1], 3: [2, 4], 4: [5, 6]}
    assert rollout.response_values["stopped_at_s"] == 75 + 75 + 30 + 30
    for engine in ENGINES:
        assert values_of(scenario, engine)["failed_nodes"] == 3
