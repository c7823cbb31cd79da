"""Nodes updated beside their old instance, worked out by hand on both engines."""

from __future__ import annotations

import math
from typing import Any

import pytest
from by_hand import script, steady

from simdeploy import SimdeployWarning, simulate

CHECK = {"deadline": "5m", "min_healthy_time": "30s"}
IN_TWOS = {"dialect": "general", "strategy": "rolling", "max_parallel": 2, "health_check": CHECK}
SHARED = {"service": {"shared": {"capacity": 1.5}}}
STOPS = {"max_failed_nodes": 0}


def run(
    engine: str = "compiled", fleet: Any = None, *, kind: str = "update", policy: Any = None, **sections: Any
) -> Any:
    """Roll out to four nodes in twos, which are healthy 30 s after their start."""
    scenario = steady(4, IN_TWOS | (policy or {}), fleet, deployment={"type": kind}, **sections)
    return simulate(scenario, engine=engine)


def release(*nodes: int, **effect: Any) -> dict[str, Any]:
    """Return a release with these effects on these nodes, not marked as defective."""
    return {"odd": {"probability": 1, "affects": {"nodes": list(nodes)}, **effect}}


@pytest.mark.parametrize(("surge", "n_in_place"), [(0, 4), (1, 2), (2, 0), ("50%", 0), ("25%", 2), (9, 0)])
def test_surged_nodes_start_while_they_serve(engine: str, surge: Any, n_in_place: int) -> None:
    """The given number of nodes in each wave of two stays in service while starting. [contract]"""
    values = run(engine, policy={"surge": surge}).response_values
    assert values["unavailable_node_s"] == 30 * n_in_place
    assert values["lost_requests"] == 10 * 30 * n_in_place
    assert values["min_in_service_fraction"] == 1 - n_in_place / 8
    # Both versions start at 30 and 90 s, and are exposed until the end at 120 s.
    assert (values["exposed_node_s"], values["makespan_s"], values["peak_exposed_nodes"]) == (2 * 90 + 2 * 30, 120, 4)


@pytest.mark.parametrize(
    ("surge", "requests", "ratio"),
    [
        # In place: two nodes serve 40 requests per second while two start, then all four.
        (0, 100, 1.5 * 2 / 4),
        # One serves beside its old instance: while it is validated five serve, 8 per second each.
        (1, 80, 1.5 * 3 / 4),
        # Two do: six serve 6.67 per second each.
        (2, 67, 1.5),
    ],
)
def test_old_instances_serve_beside_new_ones(engine: str, surge: int, requests: int, ratio: float) -> None:
    """In a shared service both instances of a surged node serve until it runs. [contract]"""
    values = run(engine, SHARED, policy={"surge": surge}).response_values
    assert values["decision_requests"] == 12 * requests
    assert values["min_capacity_ratio"] == pytest.approx(ratio)
    # Without surge 40 requests per second meet a capacity of 30 for 30 s, twice.
    shed = 2 * 30 * 10 if surge == 0 else 0
    assert values["shed_requests"] == pytest.approx(shed)
    assert values["shed_requests_excess"] == pytest.approx(shed)


def test_a_surge_may_shed_less_than_no_rollout(engine: str) -> None:
    """Second instances compensate for a node that is down for good. [contract]"""
    fleet = {"service": {"shared": {"capacity": 1}}, "classes": [{"name": "away", "nodes": [3], "down": True}]}
    skips = {"unreachable_nodes": "skip"}
    values = run(engine, fleet, policy={"surge": 2}, orchestrator=skips).response_values
    # Three nodes serve 30 of 40 requests per second; from 30 to 60 s five instances do, from 90 to 120 s four.
    assert values["shed_requests"] == pytest.approx(10 * 60)
    assert values["shed_requests_excess"] == pytest.approx(-10 * 60)
    assert values["min_capacity_ratio"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
def test_a_surged_node_that_does_not_start_is_never_out_of_service(engine: str, service: Any) -> None:
    """Neither its failed start nor its rollback takes a surged node out of service. [contract]"""
    stops = {"surge": 1, "max_parallel": 1, **STOPS}
    rollout = run(engine, service, policy=stops, release=release(0, start_failure=1))
    values = rollout.response_values
    assert (values["stopped_at_s"], values["restored_at_s"]) == (30, 50)
    assert (values["unavailable_node_s"], values["min_in_service_fraction"], values["exposed_node_s"]) == (0, 1, 0)
    assert service == {} or values["min_capacity_ratio"] == 1.5


@pytest.mark.parametrize(
    ("service", "failed", "ratio"), [({}, 100, math.nan), (SHARED, 80, 1.5)], ids=["local", "shared"]
)
def test_an_unhealthy_surged_node_returns_to_its_old_instance(
    engine: str, service: Any, failed: float, ratio: float
) -> None:
    """A node unhealthy at 50 s was exposed from 30 s on, and its rollback takes nothing out of service. [contract]"""
    health_check = {**CHECK, "deadline": "60s", "max_error_rate": 0.1, "failure_threshold": 2}
    policy = {"surge": 1, "max_parallel": 1, **STOPS, "health_check": health_check}
    values = run(engine, service, policy=policy, release=release(0, error_rate=0.5)).response_values
    assert (values["stopped_at_s"], values["restored_at_s"], values["exposed_node_s"]) == (50, 70, 20)
    assert (values["unavailable_node_s"], values["min_in_service_fraction"]) == (0, 1)
    # Half of its requests fail: 10 per second if it took over all of its node's, 8 if five instances share 40.
    assert values["failed_requests_excess"] == pytest.approx(failed)
    assert values["min_capacity_ratio"] == pytest.approx(ratio, nan_ok=True)


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
def test_a_running_surged_node_is_rolled_back_out_of_service(engine: str, service: Any) -> None:
    """A running node has no old instance, so its rollback takes it out of service, unlike its failed neighbour's. [contract]"""
    policy = {"surge": 1, "max_parallel": 1, **STOPS}
    values = run(engine, service, policy=policy, release=release(1, start_failure=1)).response_values
    # Node 0 runs from 60 s on, node 1 has failed to start by 90 s.
    assert (values["stopped_at_s"], values["restored_at_s"], values["exposed_node_s"]) == (90, 110, 60)
    assert (values["unavailable_node_s"], values["min_in_service_fraction"]) == (20, 0.75)
    assert service == {} or values["min_capacity_ratio"] == 1.5 * 3 / 4


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
def test_rollbacks_that_fail_beside_an_old_instance(engine: str, service: Any) -> None:
    """If a rollback fails while the old instance serves, the node stays in service, and nothing counts as restored. [contract]"""
    policy = {"surge": 1, "max_parallel": 1, **STOPS}
    fleet = {**service, "rollback_failure": 1}
    values = run(engine, fleet, policy=policy, release=release(0, start_failure=1)).response_values
    assert values["restored_at_s"] != values["restored_at_s"]
    assert (values["unavailable_node_s"], values["min_in_service_fraction"]) == (0, 1)


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
def test_a_hung_node_counted_as_running_loses_its_old_instance(engine: str, service: Any) -> None:
    """Under immediate a hung node is out of service from its turn, or if surged, from when it counts as running. [contract]"""
    policy = {"strategy": "immediate", "surge": 2}
    people = {"operator": {"escape_detection": 100}}
    bad = {"bad": {"probability": 1, "defective": True, "start_hang": 1}}
    values = run(engine, service, policy=policy, release=bad, **people).response_values
    # Noticed at 130 s, back at 150 s.
    assert (values["makespan_s"], values["restored_at_s"]) == (30, 150)
    assert (values["unavailable_node_s"], values["min_in_service_fraction"]) == (2 * 150 + 2 * 120, 0)
    # Two serve all requests for 30 s, then nobody does.
    assert service == {} or values["shed_requests"] == pytest.approx(30 * (40 - 30) + 120 * 40)


@pytest.mark.parametrize(("holds", "n_in_place"), [(False, 2), (True, 3)])
def test_a_failed_node_may_hold_its_place_of_the_surge(engine: str, holds: bool, n_in_place: int) -> None:
    """A failed node that holds its slot also holds its place, so all later ones are updated in place. [contract]"""
    switches = {"pacing": "sliding", "failed_node_holds_slot": holds}
    policy = {"surge": 1}
    values = run(engine, policy=policy, release=release(0, start_failure=1), orchestrator=switches).response_values
    # Node 0 fails at 30 s. Node 2 goes at once, beside its old instance, or at 60 s in place of node 1.
    assert values["makespan_s"] == (180 if holds else 120)
    assert values["unavailable_node_s"] == 30 * n_in_place


@pytest.mark.parametrize("pacing", [{"pacing": "sliding"}, {"pacing": "barrier"}])
@pytest.mark.parametrize("slot_delay", [None, "10s", "45s"])
def test_a_free_slot_frees_its_place_of_the_surge(engine: str, pacing: Any, slot_delay: Any) -> None:
    """If slots are free before verdicts, so are places of the surge: no node is ever replaced in place. [contract]"""
    waves = {} if pacing["pacing"] == "sliding" else {"waves": [{"until": "100%"}]}
    policy = {"max_parallel": 1, "surge": 1, "slot_delay": slot_delay, **waves}
    switches = {"slot_until": "started", **pacing}
    rollout = run(engine, policy=policy, orchestrator=switches)
    assert rollout.responses["unavailable_node_s"] == 0
    seconds = {None: 30, "10s": 40, "45s": 75}[slot_delay]
    assert rollout.nodes["dispatched_at_s"].tolist() == [seconds * turn for turn in range(4)]


def test_a_canary_keeps_its_place_until_its_verdict(engine: str) -> None:
    """A canary outside a list frees its zone's slot at its start, but its place of the surge only at its verdict. [contract]"""
    policy = {"strategy": "canary", "canary_count": 2, "max_parallel_per_zone": 1, "surge": 1}
    switches = {"slot_until": "started", "pacing": "sliding"}
    rollout = run(engine, policy=policy, orchestrator=switches)
    assert rollout.nodes["dispatched_at_s"].tolist() == [0, 30, 90, 120]
    # The second canary starts in place while the first is validated; the others have a free place at their turn.
    assert rollout.nodes["unavailable_s"].tolist() == [0, 30, 0, 0]


@pytest.mark.parametrize("slot_delay", [None, "20s", "45s"])
def test_a_failed_node_keeps_no_place_without_its_slot(engine: str, slot_delay: Any) -> None:
    """A node that fails after it gave up its slot keeps its place no longer than the slot's delay. [contract]"""
    check = {**CHECK, "max_error_rate": 0.1, "failure_threshold": 1}
    policy = {"max_parallel": 1, "surge": 1, "slot_delay": slot_delay, "health_check": check}
    switches = {"slot_until": "started", "pacing": "sliding", "failed_node_holds_slot": True, "on_failure": "continue"}
    odd = release(0, error_rate=1)
    rollout = run(engine, policy=policy, orchestrator=switches, release=odd)
    assert rollout.nodes["ever_failed"].tolist() == [True, False, False, False]
    assert rollout.nodes["unavailable_s"].tolist() == [0, 0, 0, 0]


def test_an_unreachable_node_takes_no_place(engine: str) -> None:
    """A node that is down at its turn is not dispatched, so the next one is surged. [contract]"""
    fleet = {"classes": [{"name": "away", "nodes": [0], "down": True}]}
    values = run(engine, fleet, policy={"surge": 1}).response_values
    # Node 1 and node 2 are surged, node 3 isn't; node 0 is down anyway.
    assert values["unavailable_excess_node_s"] == 30
    assert values["unavailable_node_s"] == 30 + values["makespan_s"]


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
def test_a_surged_node_with_local_rollback(engine: str, service: Any) -> None:
    """A node rolled back locally keeps its old instance throughout, and frees its place. [contract]"""
    switches = {"node_local_rollback": True, "failed_node_holds_slot": True, "pacing": "sliding"}
    policy, fails = {"surge": 2}, release(0, 1, start_failure=1)
    values = run(engine, service, policy=policy, release=fails, orchestrator=switches).response_values
    assert (values["failed_nodes"], values["unavailable_node_s"], values["makespan_s"]) == (2, 0, 90)


def test_a_restart_may_surge(engine: str) -> None:
    """A restarted instance starts and is validated beside the previous one. [contract]"""
    values = run(engine, SHARED, kind="restart", policy={"surge": 2}).response_values
    assert (values["decision_requests"], values["unavailable_node_s"], values["exposed_node_s"]) == (12 * 67, 0, 0)


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
@pytest.mark.parametrize("kind", ["create", "stop"])
def test_nodes_with_one_instance_are_not_surged(engine: str, kind: str, service: Any) -> None:
    """If nodes have no old instance, or get no new one, a surge changes nothing. [contract]"""
    one, other = (run(engine, service, kind=kind, policy={"surge": surge}).response_values for surge in (0, 2))
    assert repr(one) == repr(other)


@pytest.mark.parametrize("service", [{}, SHARED], ids=["local", "shared"])
@pytest.mark.parametrize(("error_rate", "unavailable"), [(0.5, 0), (0, 2 * 20)])
def test_a_gate_decides_on_the_old_instances(engine: str, error_rate: float, unavailable: float, service: Any) -> None:
    """Nodes of a wave that fails its gate keep their old instances; nodes of a wave that passes lose them. [contract]"""
    gated = {**CHECK, "max_error_rate": 0.1, "gate": {"kind": "pooled"}}
    policy, effect = {"surge": 2, "health_check": gated}, release(0, 1, error_rate=error_rate, start_failure=0)
    values = run(engine, service, policy=policy, release=effect, operator=script((70, "cancel"))).response_values
    assert values["stopped_at_s"] == (60 if error_rate else 70)
    assert values["unavailable_node_s"] == unavailable


def test_events_name_surged_nodes() -> None:
    """The event of a dispatch says that the old instance still serves. [contract]"""
    rollout = run("reference", policy={"surge": 1})
    events = rollout.events
    dispatched = events[events["to_status"].eq("starting")]
    beside = "dispatched beside its old instance"
    assert dispatched["reason"].tolist() == [beside, "dispatched", beside, "dispatched"]
    assert rollout.nodes["unavailable_s"].tolist() == [0, 30, 0, 30]


def test_the_timeline_has_the_requests_of_both_instances() -> None:
    """Both instances of a node meet equally many requests, and fail their own fractions of them. [contract]"""
    rollout = run("reference", SHARED | {"error_rate": 0.1}, policy={"surge": 2}, release=release(0, 1, error_rate=0.5))
    timeline = rollout.timeline.set_index("time_s")
    # Six instances serve at 30 s, two of them with 1 - 0.9 x 0.5 = 55 % errors.
    assert timeline.loc[30, "error_rate_old"] == pytest.approx(0.1)
    assert timeline.loc[30, "error_rate_new"] == pytest.approx(0.55)
    assert timeline.loc[30, "error_rate"] == pytest.approx((4 * 0.1 + 2 * 0.55) / 6)
    assert timeline.loc[30, "requests_per_second"] == pytest.approx(40)
    assert (timeline["in_service"] == 4).all()


@pytest.mark.parametrize(
    ("kind", "policy", "words"),
    [
        ("create", {"surge": 2}, r"surge: no effect: no node has an old and a new instance in a create"),
        ("stop", {"surge": "10%"}, r"surge: no effect: no node has an old and a new instance in a stop"),
        ("stop", {"retries": 1}, r"retries: no effect: nothing starts in a stop"),
        ("update", {"retry_delay": "5s"}, r"retry_delay: no effect without retries"),
    ],
)
@pytest.mark.filterwarnings("default")
def test_keys_without_effect_are_warned_about(kind: str, policy: Any, words: str) -> None:
    """A surge, retries or their delay without effect cause a warning. [contract]"""
    with pytest.warns(SimdeployWarning, match=words):
        run(kind=kind, policy=policy)


@pytest.mark.parametrize(("surge", "in_place"), [(0, 2), (1, 1)])
def test_all_canaries_may_be_surged(engine: str, surge: int, in_place: int) -> None:
    """Both canaries start beside their old instances, and of the next two nodes as many as `surge` says. [oracle]"""
    policy = {"strategy": "canary", "canary_count": 2, "auto_promote": True, "surge": surge, "surge_canaries": True}
    values = run(engine, policy=policy).response_values
    assert (values["unavailable_node_s"], values["makespan_s"]) == (30 * in_place, 120)
