"""One node in the reference engine, by its records: starting, windows, deadlines, retries, hangs."""

import math

import pytest
import small
from by_hand import CHECK, switches as expanso
from small import IMMEDIATE

from simdeploy import simulate


def rolling(**health):
    return small.rolling(health_check=CHECK | health)


@pytest.fixture
def run(make_scenario):
    """Simulate a rollout on the orchestrator expanso with other switches."""

    def run(policy=None, *, fleet, switches=None, **sections):
        scenario = make_scenario(fleet=fleet, orchestrator=expanso(**(switches or {})), **sections)
        return simulate(scenario, policy or rolling())

    return run


def node(rollout, number=0):
    return rollout.nodes.loc[number]


def test_a_node_starts_validates_and_runs(run):
    """30 s of starting and three windows of 10 s make a node running after 60 s. [contract]"""
    rollout = run(fleet={"nodes": 1})
    events = rollout.events[rollout.events["node"].notna()]
    assert events["time_s"].tolist() == [0, 30, 60]
    assert events["to_status"].tolist() == ["starting", "validating", "running"]


def test_a_node_that_fails_its_health_check_stays_in_service(run):
    """A failed health check leaves the node in service with the new version; a failed start doesn't. [contract]"""
    how = {"switches": {"on_failure": "stop"}, "operator": {"escape_detection": "1000s"}}
    sick = run(rolling(deadline="100s"), fleet={"nodes": 1, "requests_per_second": 10, "error_rate": 0.9}, **how)
    assert node(sick)["status"] == "rolled_back"
    assert node(sick)["exposed_s"] == 1100 - 30
    assert sick.responses["unavailable_node_s"] == 30 + 30
    broken = run(fleet={"nodes": 1, "start_failure": 1}, **how)
    assert node(broken)["reason"] == "back"
    assert broken.responses["exposed_node_s"] == 0
    assert broken.responses["unavailable_node_s"] == 30 + 1000 + 30


def test_retries_follow_at_once(run):
    """A node that never starts is attempted as often as allowed, each time for the whole duration. [contract]"""
    rollout = run(fleet={"nodes": 1, "start_failure": 1, "start_attempts": 3})
    assert node(rollout)["attempts"] == 3
    assert rollout.responses["stopped_at_s"] == 90


def test_the_deadline_cuts_retries(run):
    """An attempt that would end after the deadline fails at the deadline. [contract]"""
    rollout = run(rolling(deadline="70s"), fleet={"nodes": 1, "start_failure": 1, "start_attempts": 9})
    assert rollout.responses["stopped_at_s"] == 70
    assert "deadline passed while starting" in rollout.events["reason"].tolist()


@pytest.mark.parametrize("operator", [{}, {"script": [{"at": "60s", "do": "cancel"}]}], ids=["running", "canceled"])
def test_a_start_is_given_up_at_the_deadline_and_a_validation_is_not(run, operator):
    """A node that is a second too late is lost if it still starts, and serves on if it is validated. [contract]"""
    policy = {**rolling(deadline="2m"), "no_auto_rollback": True}
    how = {"switches": {"on_failure": "continue"}, "operator": operator}
    slow = run(policy, fleet={"nodes": 1, "update_duration": 121}, **how)
    late = run(policy, fleet={"nodes": 1, "update_duration": 91}, **how)
    assert node(slow)["resolved_at_s"] == node(late)["resolved_at_s"] == 120
    assert (slow.responses["exposed_node_s"], late.responses["exposed_node_s"] >= 29) == (0, True)


def test_a_start_that_fails_exactly_on_the_deadline(run):
    """An attempt that fails exactly on the deadline is a failed start. [contract]"""
    policy = rolling(deadline="30s", min_healthy_time="0s")
    rollout = run(policy, fleet={"nodes": 1, "start_failure": 1})
    assert "did not start" in rollout.events["reason"].tolist()


@pytest.mark.parametrize(("switch", "known_at"), [("dispatch", 600), ("started", 630)])
def test_a_hung_node_is_silent_until_the_deadline(run, switch, known_at):
    """A hang is only known at the deadline, has no further attempts, and is out of service. [contract]"""
    hung = {"nodes": 1, "start_hang": 1, "start_attempts": 5}
    rollout = run(fleet=hung, switches={"deadline_starts": switch})
    assert rollout.responses["stopped_at_s"] == known_at
    assert node(rollout)["attempts"] == 1
    assert rollout.responses["unavailable_node_s"] == known_at + 30


def test_immediate_takes_a_hung_node_for_running(run):
    """The strategy immediate doesn't check: a hung node counts as running and is out of service. [contract]"""
    rollout = run(IMMEDIATE, fleet={"nodes": 4, "start_hang": 1})
    assert rollout.responses["state"] == "completed"
    assert rollout.responses["updated_nodes"] == 4
    assert rollout.responses["exposed_node_s"] == 0
    assert rollout.timeline["in_service"].iloc[-1] == 0


def test_a_window_is_judged_by_whole_requests(run):
    """With p = 1 every request fails, with p = 0 none, and the limit is exact. [contract]"""
    fleet = {"nodes": 1, "requests_per_second": 10, "error_rate": 1}
    passed = run(rolling(max_error_rate=1.0), fleet=fleet)
    assert passed.responses["state"] == "completed"
    assert passed.timeline["failed_requests"].sum() == passed.timeline["requests"].sum() == 300
    assert run(rolling(max_error_rate=0.99), fleet=fleet).responses["state"] == "failed"


def test_a_latent_defect_shows_after_exposure(run):
    """A defect that shows 25 s after exposure affects half of the third window, and all later ones. [contract]"""
    rollout = run(
        rolling(max_error_rate=0.4),
        fleet={"nodes": 1, "requests_per_second": 1000},
        release={"bad": {"probability": 1, "defective": True, "error_rate": 1, "after": 25}},
        operator={"escape_detection": 100},
        switches={"on_failure": "stop"},
    )
    windows = rollout.timeline[rollout.timeline["requests"] > 0]
    assert windows["failed_requests"].iloc[:2].tolist() == [0, 0]
    share = windows["failed_requests"].iloc[2] / 10_000
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / 10_000)
    # Fails at 600 s, undone 100 s later: exposed from 30 s, showing from 55 s, to 700 s.
    assert rollout.responses["failed_requests_excess"] == pytest.approx(1000 * (700 - 55), rel=1e-12)
    assert rollout.responses["defective_node_s"] == 670


def test_a_node_that_is_down_is_unhealthy(run):
    """A node that crashes while it starts passes no window until its repair, and fails at its deadline. [contract]"""
    fleet = {"nodes": 400, "crash": {"up": "20s", "repair": "15m"}}
    rollout = run(fleet=fleet, switches={"unreachable_nodes": "skip", "on_failure": "continue"})
    # An up time lasts 20 s at most, a start 30 s, a repair longer than the deadline.
    touched = rollout.nodes[rollout.nodes["dispatched_at_s"].notna()]
    assert 0 < len(touched) < 40
    assert touched["status"].eq("failed").all()
    assert touched["resolved_at_s"].eq(600).all()
    assert rollout.responses["exposed_node_s"] == len(touched) * 570


def test_a_crash_spoils_a_window_and_repair_ends_it(run):
    """A node with a crash of 1 s in a window needs three more healthy ones after it. [contract]"""
    fleet = {"nodes": 300, "crash": {"up": "45s", "repair": "1s"}}
    rollout = run(fleet=fleet, switches={"unreachable_nodes": "skip"})
    done = rollout.nodes[rollout.nodes["status"] == "running"]
    # A crash every 46 s: the first one in [0, 45] s falls into starting, or into one of the three windows;
    # then what is left of 45 s of up time holds three windows, or not.
    assert len(done) > 200
    assert set(done["windows"]) <= {3, 4, 5, 6, 7, 8}
    assert (done["windows"] > 3).any()
    assert ((done["resolved_at_s"] - done["started_at_s"]) == 10 * done["windows"]).all()


def test_classes_have_their_own_behaviour(run):
    """A class has exactly its share of nodes, and its keys override the fleet's. [contract]"""
    classes = [{"name": "slow", "share": 0.25, "update_duration": 90}]
    rollout = run(IMMEDIATE, fleet={"nodes": 10, "classes": classes})
    slow = rollout.nodes[rollout.nodes["class"] == "slow"]
    assert len(slow) == 3
    assert slow["started_at_s"].eq(90).all()
    assert (rollout.nodes["started_at_s"] == 30).sum() == 7


@pytest.mark.parametrize(
    ("affects", "expected"),
    [("all", 10), ({"count": 3}, 3), ({"zones": [1]}, 5), ({"classes": ["few"]}, 2), ({"share": 0}, 0)],
)
def test_whom_a_release_affects(run, affects, expected):
    """A release affects all, an exact count, whole zones or classes, or a share. [contract]"""
    rollout = run(
        IMMEDIATE,
        fleet={"nodes": 10, "zones": 2, "classes": [{"name": "few", "share": 0.2}]},
        release={"bad": {"probability": 1, "defective": True, "start_failure": 1, "affects": affects}},
        switches={"limits_apply_to_immediate": False},
    )
    assert rollout.nodes["affected"].sum() == expected
    assert (rollout.nodes["status"] == "failed").sum() + (rollout.nodes["status"] == "rolled_back").sum() >= expected
    assert rollout.responses["failed_nodes"] == expected
    if not expected:  # the verdict is that of the kind of release
        assert rollout.responses["verdict"] == "escaped"


def test_updates_follow_the_fleets_order(run):
    """Zone order updates zone by zone; random order is a permutation determined by the seed. [contract]"""
    one_by_one = {**rolling(), "max_parallel": 1}
    by_zone = run(one_by_one, fleet={"nodes": 6, "zones": 3, "order": "zone"})
    assert by_zone.nodes.sort_values("position")["node"].tolist() == [0, 3, 1, 4, 2, 5]
    assert by_zone.nodes.sort_values("dispatched_at_s")["node"].tolist() == [0, 3, 1, 4, 2, 5]
    shuffled = run(one_by_one, fleet={"nodes": 50, "order": "random"})
    order = shuffled.nodes.sort_values("position")["node"].tolist()
    assert order != sorted(order)
    assert sorted(order) == list(range(50))
