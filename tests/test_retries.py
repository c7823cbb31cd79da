"""Nodes that did not start and are retried, worked out by hand on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import steady

from simdeploy import Scenario, simulate
from simdeploy.errors import InputError
from simdeploy.world.draws import Draws
from simdeploy.world.streams import Stream

CHECK = {"deadline": "50s", "min_healthy_time": "10s"}
ONE_BY_ONE = {"dialect": "general", "strategy": "rolling", "max_parallel": 1, "health_check": CHECK}
# Failing attempts by node and number.
Fails = dict[int, tuple[int, ...]]


def scenario_of(fleet: Any = None, policy: Any = None, **sections: Any) -> Scenario:
    """Make three nodes that go one after the other."""
    return steady(3, ONE_BY_ONE | (policy or {}), fleet, **sections)


def values_of(engine: str, fleet: Any = None, policy: Any = None, **sections: Any) -> dict[str, Any]:
    return dict(simulate(scenario_of(fleet, policy, **sections), engine=engine).response_values)


@pytest.mark.parametrize(
    ("fleet", "takes_s"),
    [
        # An attempt of 30 s.
        ({"start_failure": 1}, 30),
        # A second one would take until 60 s, beyond the deadline of 50 s; two of 20 s don't.
        ({"start_failure": 1, "start_attempts": 2}, 50),
        ({"start_failure": 1, "start_attempts": 2, "update_duration": 20}, 40),
        ({"start_hang": 1}, 50),
        ({"update_duration": 60}, 50),
    ],
    ids=["fails", "is late", "fails twice", "hangs", "is slow"],
)
@pytest.mark.parametrize(("retries", "delay_s"), [(0, 0), (1, 0), (3, 7)])
def test_every_try_has_its_own_deadline(engine: str, fleet: Any, takes_s: float, retries: int, delay_s: float) -> None:
    """A node that never starts fails at the end of its last try; each begins after a pause. [contract]"""
    policy = {"max_failed_nodes": 0, "retries": retries, "retry_delay": delay_s}
    values = values_of(engine, fleet, policy)
    stops_s = takes_s + retries * (delay_s + takes_s)
    assert (values["stopped_at_s"], values["failed_nodes"], values["touched_nodes"]) == (stops_s, 1, 1)
    assert values["unavailable_node_s"] == stops_s + 20


def test_deadlines_that_begin_at_the_start(engine: str) -> None:
    """Under deadline_starts: started each try of a hanging node lasts until its deadline after its attempt. [contract]"""
    policy = {"max_failed_nodes": 0, "retries": 1, "retry_delay": 5}
    values = values_of(engine, {"start_hang": 1}, policy, orchestrator={"deadline_starts": "started"})
    assert values["stopped_at_s"] == 80 + 5 + 80


@pytest.fixture
def attempts_fail(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make exactly these attempts fail on the reference engine, where the probability is one half."""
    draw = Draws.draw

    def plant(fails: Fails) -> None:
        def next_draw(draws: Draws, stream: Stream, node: int = 0, index: int = 0) -> float:
            if stream == Stream.START_FAILURE:
                return 0.1 if index in fails.get(node, ()) else 0.9
            return draw(draws, stream, node, index)

        monkeypatch.setattr(Draws, "draw", next_draw)

    return plant


def test_attempts_are_numbered_on(attempts_fail: Any) -> None:
    """A retry continues the numbering of attempts, and its windows begin with its start. [contract]"""
    attempts_fail({0: (0, 1), 1: (1, 2)})
    fleet = {"start_failure": 0.5, "start_attempts": 2, "update_duration": 10}
    rollout = simulate(scenario_of(fleet, {"retries": 1, "retry_delay": 15}))
    assert rollout.nodes["attempts"].tolist() == [3, 1, 1]
    # Two attempts of 10 s, a pause of 15 s, an attempt; then a window of 10 s.
    assert rollout.nodes["started_at_s"].tolist() == [45, 65, 85]
    assert (rollout.nodes["resolved_at_s"] - rollout.nodes["started_at_s"]).tolist() == [10, 10, 10]
    assert rollout.nodes["ever_failed"].tolist() == [False] * 3
    assert rollout.nodes["unavailable_s"].tolist() == [45, 10, 10]


def test_events_and_deadlines_of_tries(attempts_fail: Any) -> None:
    """The record has the reason of a retry, and the deployment the deadline of the current try. [contract]"""
    attempts_fail({0: (0,)})
    rollout = simulate(scenario_of({"start_failure": 0.5}, {"retries": 2, "retry_delay": 5}))
    own = rollout.events[rollout.events["node"].eq(0)]
    assert own["reason"].tolist() == ["dispatched", "did not start; is tried again", "try 2 of 3", "started", "healthy"]
    assert own["time_s"].tolist() == [0, 30, 35, 65, 75]
    revisions = rollout.revisions.set_index("time_s")
    deadlines = (revisions["health_check_deadline"] - revisions["created_at"]).dt.total_seconds()
    assert deadlines.loc[0] == 50
    assert deadlines.loc[30] != deadlines.loc[30]
    assert deadlines.loc[35] == 85


def test_unhealthy_nodes_are_not_tried_again(engine: str) -> None:
    """A node that started and is not healthy by its deadline has failed. [contract]"""
    check = {**CHECK, "max_error_rate": 0.1}
    policy = {"max_failed_nodes": 0, "retries": 5, "health_check": check}
    values = values_of(engine, {"error_rate": 1}, policy)
    assert (values["stopped_at_s"], values["failed_nodes"]) == (50, 1)


def test_immediate_retries_too(engine: str) -> None:
    """Under immediate a node that fails to start is retried, and one that hangs counts as running. [contract]"""
    policy = {"strategy": "immediate", "retries": 2, "retry_delay": 5}
    values = values_of(engine, {"start_failure": 1}, policy)
    assert (values["makespan_s"], values["failed_nodes"]) == (30 + 2 * 35, 3)
    values = values_of(engine, {"start_hang": 1}, policy)
    assert (values["makespan_s"], values["updated_nodes"]) == (30, 3)


def test_a_rollback_ends_retries(engine: str) -> None:
    """A node rolled back while it waits for its next try goes back at once, and is not retried. [contract]"""
    policy = {"retries": 5, "retry_delay": "1h"}
    script = {"script": [{"at": 100, "do": "cancel"}]}
    values = values_of(engine, {"start_failure": 1}, policy, operator=script)
    assert (values["stopped_at_s"], values["restored_at_s"], values["unavailable_node_s"]) == (100, 120, 120)
    assert (values["failed_nodes"], values["touched_nodes"]) == (0, 1)


def test_retries_continue_after_a_stop(engine: str) -> None:
    """Without a rollback a node in flight is still retried after the stop, and the deployment's counts stay. [contract]"""
    policy = {"retries": 1, "retry_delay": 40, "no_auto_rollback": True}
    people = {"script": [{"at": 50, "do": "cancel"}], "escape_detection": 1000}
    values = values_of(engine, {"start_hang": 0, "start_failure": 1}, policy, operator=people)
    assert (values["stopped_at_s"], values["restored_at_s"], values["failed_nodes"]) == (50, 1070, 0)
    assert values["unavailable_node_s"] == 1070


def test_a_surged_node_serves_while_it_is_retried(engine: str) -> None:
    """Between tries the old instance of a surged node serves. [contract]"""
    policy = {"surge": 1, "retries": 2, "retry_delay": 5, "max_failed_nodes": 0}
    values = values_of(engine, {"start_failure": 1}, policy)
    assert (values["stopped_at_s"], values["unavailable_node_s"]) == (30 + 2 * 35, 0)


# -- failed tries that count -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "row", "limit", "stopped_at"),
    [
        # Three nodes fail, each after three tries of 30 s.
        (False, "cumulative", 1, 2 * 90),
        (True, "cumulative", 1, 2 * 30),
        (True, "cumulative", 4, 5 * 30),
        (True, "consecutive", 4, 5 * 30),
        # Nine tries fail in all.
        (True, "cumulative", 8, 9 * 30),
        (True, "cumulative", 9, None),
    ],
)
def test_failed_tries_may_count(engine: str, counts: bool, row: str, limit: int, stopped_at: float | None) -> None:
    """Each failed try counts for max_failed_nodes, or only a node's last one. [contract]"""
    switches = {"failed_tries_count": counts, "failures_counted": row}
    policy = {"retries": 2, "max_failed_nodes": limit}
    values = values_of(engine, {"start_failure": 1}, policy, orchestrator=switches)
    warned = [problem.message for problem in scenario_of({}, policy, orchestrator=switches).warnings]
    times = " that are tried up to 3 times" if counts else ""
    assert warned == ([f"can never stop a rollout of 3 nodes{times}"] if stopped_at is None else [])
    assert values["state"] == ("completed" if stopped_at is None else "failed")
    assert values["makespan_s"] == (stopped_at or 9 * 30)


def test_tries_in_a_row(attempts_fail: Any) -> None:
    """A node that finally runs ends the row of failed tries, including its own. [contract]"""
    attempts_fail({0: (0, 1), 1: (0, 1), 2: (0, 1, 2)})
    policy = {"retries": 2, "max_failed_nodes": 2}
    switches = {"failed_tries_count": True, "failures_counted": "consecutive"}
    rollout = simulate(scenario_of({"start_failure": 0.5}, policy, orchestrator=switches))
    # Nodes 0 and 1 run after two failed tries each, at 100 and 200 s; node 2 fails for the third time at 290 s.
    assert rollout.responses["stopped_at_s"] == 290
    assert rollout.deployment.status.message == "3 failed tries in a row exceed max_failed_nodes 2"


def test_after_a_pause_a_further_try_counts(engine: str) -> None:
    """A resumed rollout pauses again at the next failed try. [contract]"""
    switches = {"failed_tries_count": True, "on_failure": "pause"}
    policy = {"retries": 3, "retry_delay": 10, "max_failed_nodes": 0}
    script = {"script": [{"at": 35, "do": "resume"}, {"at": 60, "do": "resume"}, {"at": 75, "do": "cancel"}]}
    values = values_of(engine, {"start_failure": 1}, policy, orchestrator=switches, operator=script)
    # Tries fail at 30 and 70 s; at 60 s nothing is paused.
    assert (values["stopped_at_s"], values["failed_nodes"]) == (75, 0)
    rollout = simulate(scenario_of({"start_failure": 1}, policy, orchestrator=switches, operator=script))
    paused = rollout.events[rollout.events["to_status"].eq("paused") & rollout.events["from_status"].ne("paused")]
    assert paused["time_s"].tolist() == [30, 70]


@pytest.mark.parametrize(
    ("late", "words"),
    [
        ({"fleet": {"connection": {"online": 60, "offline": 30}}}, "fleet.connection"),
        ({"orchestrator": {"failed_tries_count": True, "reporting_delay": 10}}, "reporting_delay"),
    ],
)
def test_unreported_tries_do_not_count(late: Any, words: str) -> None:
    """Counting failed tries is refused where only verdicts are reported, and late; retries alone are allowed. [contract]"""
    sections = {"orchestrator": {"failed_tries_count": True}, **late}
    with pytest.raises(InputError, match=rf"policies\.p\.retries: .*{words}.*allowed: 0, failed_tries_count: false"):
        scenario_of(policy={"retries": 1}, **sections)
    sections["orchestrator"] = {**sections["orchestrator"], "failed_tries_count": False}
    scenario_of(policy={"retries": 1}, **sections)


@pytest.mark.parametrize(
    ("freezes", "delay_s", "times"), [(True, 30, [0, 0, 60]), (False, 30, [0, 0, 30, 60]), (True, 0, [0, 0, 30])]
)
def test_a_waiting_retry_freezes(engine: str, freezes: bool, delay_s: float, times: list[float]) -> None:
    """Of four nodes, two at once, node 0 fails at 30 s and finally: nothing goes before its next try begins. [oracle]"""
    policy = {"max_parallel": 2, "retries": 1, "retry_delay": delay_s, "health_check": {"deadline": "50s"}}
    release = {"bad": {"probability": 1, "defective": True, "start_failure": 1, "affects": {"nodes": [0]}}}
    switches = {"pacing": "sliding", "failed_node_freezes": freezes}
    scenario = scenario_of({"nodes": 4}, policy, release=release, orchestrator=switches)
    assert simulate(scenario, engine=engine).responses["touched_nodes"] == len(times)
    assert sorted(simulate(scenario).nodes["dispatched_at_s"].dropna()) == times


@pytest.mark.parametrize("service", ["local", {"shared": {"capacity": 10}}])
@pytest.mark.parametrize(("retries", "tried"), [(0, True), (2, False), (2, True)])
def test_unhealthy_nodes_may_be_retried(engine: str, service: Any, retries: int, tried: bool) -> None:
    """A try takes 30 s and a window of 10 s, which fails, then 5 s pass; the node serves from its first start on. [oracle]"""
    check = CHECK | {"failure_threshold": 1, "max_error_rate": 0.5}
    policy = {"max_failed_nodes": 0, "retry_delay": 5, "retries": retries, "health_check": check}
    bad = {"bad": {"probability": 1, "defective": True, "error_rate": 1}}
    values = values_of(engine, {"service": service}, policy | {"retry_unhealthy": tried}, release=bad)
    tries = 1 + retries * tried
    stopped_s = 40 * tries + 5 * (tries - 1)
    assert (values["stopped_at_s"], values["failed_nodes"]) == (stopped_s, 1)
    assert (values["exposed_node_s"], values["unavailable_node_s"]) == (stopped_s - 30, 30 + 20)
    assert values["decision_windows"] == tries


def test_an_unhealthy_node_that_does_not_start_again(engine: str) -> None:
    """A node whose second try is silent until its deadline of 50 s fails, and serves until it is rolled back. [oracle]"""
    check = CHECK | {"failure_threshold": 1, "max_error_rate": 0.5}
    policy = {"max_failed_nodes": 0, "retries": 1, "retry_unhealthy": True, "health_check": check}
    bad = {"bad": {"probability": 1, "defective": True, "error_rate": 1}}
    for seed in range(200):
        scenario = scenario_of({"start_hang": 0.5}, policy, release=bad)
        rollout = simulate(scenario, engine="reference", seed=seed)
        if rollout.nodes["started_at_s"][0] == 30 and rollout.responses["stopped_at_s"] == 90:
            break
    values = simulate(scenario, engine=engine, seed=seed).response_values
    assert (values["stopped_at_s"], values["exposed_node_s"], values["unavailable_node_s"]) == (90, 60, 30 + 20)


def test_the_verdict_of_a_gate_is_final() -> None:
    """With a gate that judges waves unhealthy nodes are not retried. [contract]"""
    check = CHECK | {"max_error_rate": 0.5, "gate": "pooled"}
    with pytest.raises(InputError, match="retry_unhealthy: not allowed beside a gate that judges waves"):
        scenario_of(None, {"retries": 1, "retry_unhealthy": True, "health_check": check})
