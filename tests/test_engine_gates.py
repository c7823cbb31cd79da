"""Gates in a rollout: when they look, the outcome of nodes, and stops. Worked out by hand."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from by_hand import script
from small import rolling

from simdeploy import InputError, Rollout, Scenario, SimdeployWarning, simulate


def rollout(
    gate: Any, *, nodes: int = 4, fleet: Any = None, policy: Any = None, health_check: Any = None, **sections: Any
) -> Rollout:
    """Four nodes that start after 10 s and meet 10 requests a second, judged by a gate; windows of 10 s, two of them needed."""
    check = {"deadline": "60s", "min_healthy_time": "20s", "gate": gate, **(health_check or {})}
    limits = {"max_failed_nodes": 100, "max_failed_nodes_percent": 100}
    fleet = {"nodes": nodes, "update_duration": 10, "requests_per_second": 10, **(fleet or {})}
    policies = {"p": rolling(2, health_check=check, **limits) | (policy or {})}
    scenario = Scenario.from_dict({"name": "gated", "fleet": fleet, "policies": policies, **sections})
    return simulate(scenario, engine="reference")


BAD = {"bad": {"probability": 1, "defective": True, "error_rate": 1}}
SPRT = {"kind": "sprt", "good": 0.01, "bad": 0.5}


def outcomes_after_start(run: Rollout) -> list[tuple[float, int, str, str]]:
    """Return events of nodes after their start: time, node, status, reason."""
    rows = run.events[run.events["node"].notna() & ~run.events["to_status"].isin(["starting", "validating"])]
    return list(rows[["time_s", "node", "to_status", "reason"]].itertuples(index=False, name=None))


def gate_messages(run: Rollout) -> list[tuple[float, str]]:
    """Return times and messages of the control plane about gates."""
    rows = run.events[run.events["node"].isna()]
    is_about_gates = rows["reason"].str.contains("gate|passes")
    return list(rows.loc[is_about_gates, ["time_s", "reason"]].itertuples(index=False, name=None))


def test_a_wave_passes_at_the_end_of_its_observation() -> None:
    """Both waves pass when every node has its two windows: at the second look after the first start. [contract]"""
    run = rollout("pooled")
    passed = "passed by the gate"
    assert outcomes_after_start(run) == [(30, n, "running", passed) for n in (0, 1)] + [
        (60, n, "running", passed) for n in (2, 3)
    ]
    assert gate_messages(run) == [(30, "wave 1 passes"), (60, "wave 2 passes")]
    assert run.response_values["decision_requests"] == 4 * 2 * 100


def test_a_gate_stops_whatever_the_limits_are() -> None:
    """A wave that fails at its first look stops the rollout at once, under limits that nothing could cross. [contract]"""
    run = rollout(SPRT, release=BAD, orchestrator={"limits_judged": "wave_end"})
    assert (run.response_values["state"], run.response_values["stopped_at_s"]) == ("failed", 20)
    assert (run.response_values["failed_nodes"], run.response_values["decision_requests"]) == (2, 200)
    assert run.deployment.status is not None
    assert run.deployment.status.message == "gate sprt windows: 200 of 200 requests failed"


def test_an_sprt_on_single_requests_needs_few() -> None:
    """Judged request by request, the same test stops after the first few of the look. [contract]"""
    run = rollout({**SPRT, "on": "requests"}, release=BAD)
    # Every failure adds log(50): the second is beyond log(19).
    assert (run.response_values["stopped_at_s"], run.response_values["decision_requests"]) == (20, 1)


def test_an_early_pass_waits_for_each_node() -> None:
    """A gate that passes at the first look lets each node run after its own two windows. [contract]"""
    run = rollout(SPRT)
    assert gate_messages(run)[0] == (20, "wave 1 passes")
    assert [time for time, *_ in outcomes_after_start(run)] == [30, 30, 60, 60]


SLOW = {"classes": [{"name": "slow", "share": 0.5, "update_duration": 35}], "order": "index"}


def test_the_observation_waits_for_late_starts() -> None:
    """Looks run from the first start; a wave judged once is judged when its last node has its windows. [contract]"""
    run = rollout("pooled", fleet=SLOW, policy={"max_parallel": 0}, health_check={"deadline": "5m"})
    # Fast ones start at 10 and look every 10 s; slow ones have their windows at 55.
    assert {(time, status) for time, _, status, _ in outcomes_after_start(run)} == {(60, "running")}
    # Fast ones had five windows by then, slow ones two.
    assert run.response_values["decision_requests"] == (2 * 5 + 2 * 2) * 100


def test_the_observation_ends_before_a_deadline() -> None:
    """The last look before the deadline of waiting nodes judges the wave without late starters. [contract]"""
    run = rollout("pooled", fleet=SLOW, policy={"max_parallel": 0}, health_check={"deadline": "52s"})
    fates = {(time, status, reason) for time, _, status, reason in outcomes_after_start(run)}
    assert fates == {(50, "running", "passed by the gate"), (52, "failed", "not healthy by the deadline")}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("wait", (60, "failed", "not passed by the gate before the deadline")),
        ("pass", (30, "running", "passed by the gate")),
        ("stop", (30, "failed", "its wave failed the gate")),
    ],
)
def test_an_undecided_gate_waits_passes_or_stops(action: str, expected: tuple[float, str, str]) -> None:
    """Below the minimum sample the switch decides at the end of the observation; under `wait`, nodes fail at their deadline. [contract]"""
    with pytest.warns(SimdeployWarning, match="no wave can reach this"):
        run = rollout({"kind": "pooled", "minimum_sample": 10**6}, nodes=2, orchestrator={"cant_tell": action})
    time, status, reason = expected
    assert outcomes_after_start(run)[0] == (time, 0, status, reason)
    assert run.response_values["state"] == ("failed" if action == "stop" else "completed")


@pytest.mark.parametrize(
    ("cant_tell", "keys", "stopped_at_s"),
    [
        ("stop", {"failure_threshold": 3}, 20),
        ("unhealthy", {"failure_threshold": 3}, 40),
        ("unhealthy", {"failure_threshold": 3, "cumulative_failures": True}, 40),
        ("unhealthy", {"failure_threshold": 6}, None),  # the deadlines come first, and fail no more than the nodes
    ],
)
def test_windows_without_requests_may_count_as_unhealthy(
    engine: str, cant_tell: str, keys: dict[str, Any], stopped_at_s: float | None
) -> None:
    """Under `unhealthy` the third window without requests stops the rollout; under `stop` the first one does. [oracle]"""
    gate = {"kind": "pooled", "over": "window"}
    check = {"deadline": "60s", "min_healthy_time": "20s", "max_error_rate": 0.1, "gate": gate, **keys}
    policy = rolling(2, dialect="general", health_check=check)
    switches = {"cant_tell": cant_tell}
    fleet = {"nodes": 4, "update_duration": 10}
    raw = {"name": "idle", "fleet": fleet, "orchestrator": switches, "policies": {"p": policy}}
    with pytest.warns(SimdeployWarning, match="nothing to judge"):
        responses = simulate(Scenario.from_dict(raw), engine=engine).responses
    assert (responses["stopped_at_s"] if stopped_at_s else responses["state"]) == (stopped_at_s or "completed")


@pytest.mark.parametrize(
    ("cant_tell", "deadline_s", "ended"),
    [("wait", 60, ("completed", 60, 0)), ("pass", 15, ("completed", 15, 2)), ("stop", 15, ("failed", 15, 0))],
)
def test_a_waiting_node_is_settled_at_its_deadline(
    engine: str, cant_tell: str, deadline_s: int, ended: tuple[str, float, int]
) -> None:
    """Unhealthy windows don't fail nodes that wait for the gate; without evidence the switch decides at their deadline. [oracle]"""
    check = {"deadline": f"{deadline_s}s", "max_error_rate": 0.1, "failure_threshold": 1, "gate": "pooled"}
    switches = {"cant_tell": cant_tell, "no_traffic": "unhealthy"}
    fleet = {"nodes": 2, "update_duration": 10}
    policies = {"p": rolling(2, dialect="general", health_check=check)}
    raw = {"name": "idle", "fleet": fleet, "orchestrator": switches, "policies": policies}
    with pytest.warns(SimdeployWarning, match="nothing to judge"):
        responses = simulate(Scenario.from_dict(raw), engine=engine).responses
    assert (responses["state"], responses["makespan_s"], responses["updated_nodes"]) == ended


def test_nobody_looks_after_the_end(engine: str) -> None:
    """Canceled at 15 s, both nodes miss their deadline, 20 s after they would have passed, and go back by themselves. [oracle]"""
    check = {"deadline": "50s", "min_healthy_time": "20s", "max_error_rate": 0.1, "gate": "pooled"}
    raw = {
        "name": "canceled",
        "fleet": {"nodes": 2, "update_duration": 10, "requests_per_second": 10},
        "operator": {"undo_after": "1h", **script((15, "cancel"))},
        "orchestrator": {"node_local_rollback": True},
        "policies": {"p": rolling(2, no_auto_rollback=True, health_check=check)},
    }
    assert simulate(Scenario.from_dict(raw), engine=engine).responses["exposed_node_s"] == 2 * 40


def test_pooled_windows_are_judged_as_those_of_a_node() -> None:
    """Two healthy looks in a row pass; without any, nodes fail at their deadline, not by the gate. [contract]"""
    window = {"kind": "pooled", "over": "window"}
    assert [time for time, *_ in outcomes_after_start(rollout(window))] == [30, 30, 60, 60]
    run = rollout(window, release=BAD, nodes=2)
    assert outcomes_after_start(run)[0] == (60, 0, "failed", "not passed by the gate before the deadline")
    assert (run.response_values["state"], gate_messages(run)) == ("completed", [])


def test_unhealthy_looks_are_counted_in_the_whole_rollout(engine: str) -> None:
    """Unhealthy looks at waves that pass still count: the third of all stops the rollout. [oracle]"""
    check = {"failure_threshold": 3, "cumulative_failures": True, "max_error_rate": 0.1, "deadline": "1h"}
    gate = {"kind": "pooled", "over": "window", "failures_of": "rollout"}
    policy = rolling(2, dialect="general", health_check=check | {"min_healthy_time": "10s", "gate": gate})
    fleet = {"nodes": 12, "update_duration": "10s", "requests_per_second": 10, "error_rate": 0.1}
    scenario = Scenario.from_dict({"name": "carried", "fleet": fleet, "policies": {"p": policy}})
    stopped_late = 0
    for seed in range(12):
        windows = simulate(scenario, seed=seed, engine="reference").windows
        looks = windows.groupby("ended_s")[["requests", "failed_requests"]].sum()
        unhealthy = looks.index[looks["failed_requests"] > 0.1 * looks["requests"]]
        run = simulate(scenario, seed=seed, engine=engine)
        assert len(unhealthy) == 3 or run.responses["state"] == "completed"
        if len(unhealthy) == 3:
            assert (run.responses["state"], run.responses["stopped_at_s"]) == ("failed", unhealthy[2])
            stopped_late += run.responses["waves"] > 1
    assert stopped_late > 3


def test_the_last_wave_has_nothing_to_compare_with() -> None:
    """Once all nodes are on the new version a comparison is undecided; before, it sees as many old requests as new ones. [contract]"""
    run = rollout("baseline")
    assert gate_messages(run) == [(30, "wave 1 passes"), (60, "wave 2 passes")]
    assert run.response_values["decision_requests"] == 2 * 2 * 100
    stops = rollout("baseline", orchestrator={"cant_tell": "stop"})
    assert gate_messages(stops)[-1] == (60, "gate multinomial, undecided: 0 of 0 requests failed")
    with pytest.warns(SimdeployWarning, match="no wave has old nodes to compare with"):
        rollout("baseline", policy={"max_parallel": 0})


@pytest.mark.parametrize(
    ("policy", "orchestrator", "kind", "warning"),
    [
        ({}, {}, "update", "the last wave has no old nodes to compare with: stops every rollout"),
        ({}, {"on_failure": "pause"}, "update", "the last wave has no old nodes to compare with: pauses every rollout"),
        ({}, {"on_failure": "continue"}, "update", "the last wave has no old nodes to compare with: fails its nodes"),
        ({"max_parallel": 1}, {"cant_tell": "wait"}, "update", None),
        ({"max_parallel": 1}, {"cant_tell": "pass"}, "update", None),
        ({}, {"cant_tell": "wait"}, "update", "2 of 4 nodes have no old nodes in later waves to compare with: defects there pass"),
        ({"max_parallel": 3}, {"cant_tell": "pass"}, "update", "3 of 4 nodes have no old nodes in later waves to compare with: defects there pass"),
        ({"waves": [2, 1]}, {"cant_tell": "wait"}, "update", None),
        ({"waves": [1, {"size": 2, "gate": False}, 1]}, {"cant_tell": "wait"}, "update", None),
        ({"waves": [3, {"size": 1, "gate": False}]}, {}, "update", "2 of 4 nodes have no old nodes in later waves to compare with: defects there pass"),
        ({}, {}, "create", "no wave has old nodes to compare with: stops every rollout"),
        ({}, {"on_failure": "continue"}, "create", "no wave has old nodes to compare with: fails every node"),
        ({}, {}, "stop", None),
        ({"waves": [4]}, {"cant_tell": "wait"}, "update", "no wave has old nodes to compare with: passes every release"),
        ({"waves": [2, {"size": 2, "gate": False}]}, {}, "update", None),
        ({"waves": [{"size": 4, "gate": False}]}, {}, "update", "no wave has old nodes to compare with: passes every release"),
        ({"waves": [{"size": 2, "gate": False}, 2]}, {}, "update", "no wave has old nodes to compare with: stops every rollout"),
    ],
)  # fmt: skip
def test_a_certain_stop_without_old_nodes_is_announced(policy, orchestrator, kind, warning) -> None:
    """If a wave without old nodes ends every rollout, or none has some, a warning says so, and it is true. [contract]"""
    check = {"deadline": "5m", "max_error_rate": 0.2, "gate": "baseline"}
    raw = {
        "name": "x",
        "fleet": {"nodes": 4, "update_duration": "10s", "requests_per_second": 10},
        "deployment": {"type": kind},
        "orchestrator": {"cant_tell": "stop", **orchestrator},
        "policies": {
            "p": {"dialect": "general", "strategy": "rolling", "max_parallel": 2, "health_check": check, **policy}
        },
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SimdeployWarning)
        scenario = Scenario.from_dict(raw)
    found = [each.message for each in scenario.warnings if "old nodes" in each.message]
    assert found == ([] if warning is None else [warning])
    outcome = simulate(scenario, engine="reference").responses
    is_good = (outcome["state"], outcome["failed_nodes"]) == ("completed", 0)
    assert is_good == (warning is None or "pass" in warning)


@pytest.mark.parametrize("affected", range(3))
def test_nodes_without_a_partner_are_not_compared(affected: int, engine: str) -> None:
    """Of two nodes of the first wave only the first is compared with the last node; a defect elsewhere passes. [contract]"""
    release = {"bad": {"probability": 1, "defective": True, "error_rate": 0.5, "affects": {"nodes": [affected]}}}
    check = {"deadline": "2m", "min_healthy_time": "30s", "gate": "baseline"}
    raw = {
        "name": "x",
        "fleet": {"nodes": 3, "update_duration": "10s", "requests_per_second": 100},
        "release": release,
        "policies": {"p": {"strategy": "rolling", "max_parallel": 2, "health_check": check}},
    }
    with pytest.warns(SimdeployWarning, match="2 of 3 nodes have no old nodes in later waves"):
        scenario = Scenario.from_dict(raw)
    assert simulate(scenario, engine=engine).responses["verdict"] == ("escaped" if affected else "stopped_defective")


def test_a_comparison_allows_for_failures_of_the_old_version() -> None:
    """A fleet in which a third of all requests fails passes a comparison, but no limit of 10 percent. [contract]"""
    fleet = {"error_rate": 0.3}
    assert rollout("baseline", nodes=20, fleet=fleet).response_values["verdict"] == "completed_good"
    assert rollout("pooled", nodes=20, fleet=fleet).response_values["verdict"] == "false_alarm"


def test_a_latent_defect_is_found_on_running_nodes() -> None:
    """A defect that shows after validation escapes the threshold, but not a gate that watches running nodes. [contract]"""
    latent = {"late": {"probability": 1, "defective": True, "error_rate": 1, "after": 40}}
    assert rollout("threshold", nodes=8, release=latent).response_values["verdict"] == "escaped"
    run = rollout({"kind": "cusum", "good": 0.01, "bad": 0.5}, nodes=8, release=latent)
    # The first nodes run at 30 and show the defect from 50 on: looks at 40, 50, 60.
    assert (run.response_values["verdict"], run.response_values["stopped_at_s"]) == ("stopped_defective", 60)
    assert "gate cusum: 200 of 200 requests failed" in gate_messages(run)[0][1]
    # Two windows of each of four nodes by then, and three looks at the two that run.
    assert run.response_values["decision_requests"] == (4 * 2 + 3 * 2) * 100


def test_looks_end_in_a_permanent_pause() -> None:
    """Once nothing else can happen, looks end, and so does the simulation. [contract]"""
    run = rollout("cusum", operator=script((35, "pause")))
    assert run.response_values["state"] == "paused"


def test_a_gate_that_fails_may_pause() -> None:
    """Under on_failure: pause the wave fails, and the rollout continues after a resume. [contract]"""
    resumes = script((100, "resume"), (200, "resume"))
    run = rollout(SPRT, release=BAD, orchestrator={"on_failure": "pause"}, operator=resumes)
    assert gate_messages(run)[0][0] == 20
    assert (run.response_values["state"], run.response_values["makespan_s"]) == ("completed", 200)
    assert run.response_values["failed_nodes"] == 4


def test_failed_waves_may_be_rolled_back_locally() -> None:
    """Nodes whose wave failed its gate are rolled back like any failed node, once. [contract]"""
    run = rollout(SPRT, release=BAD, orchestrator={"node_local_rollback": True}, fleet={"rollback_duration": 5})
    back = [event for event in outcomes_after_start(run) if event[2] == "rolling_back"]
    assert back == [(20, node, "rolling_back", "rolls back by itself") for node in (0, 1)]
    assert run.response_values["restored_at_s"] == 25


@pytest.mark.parametrize("gate", ["pooled", "sprt", "e_process", "baseline", "bayes"])
def test_gates_of_waves_need_waves(gate: str) -> None:
    """A gate that judges waves is refused by name under sliding pacing. [contract]"""
    with pytest.raises(InputError, match=f"no.*waves.*sliding.*found {gate}|judges waves.*found {gate}"):
        rollout(gate, orchestrator={"pacing": "sliding"})


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"kind": "sprt", "good": 0.2, "bad": 0.1}, "good and bad must be distinct error rates"),
        ({"kind": "sprt", "alpha": 0.6, "beta": 0.5}, "sum to 1 or more"),
        ({"kind": "bayes", "confidence": 0.4}, "confidence: out of range"),
        ({"kind": "cusum", "alarm_every": 1}, "alarm_every: out of range"),
        ({"kind": "e_process", "prior_mean": 0}, "prior_mean: out of range"),
        ({"kind": "e_process", "prior_mean": 0.001, "prior_strength": 10**5}, "no mass above max_error_rate 0.1"),
        ({"kind": "wald"}, "unknown value"),
        ({"good": 0.1}, "kind: required key is missing"),
        ("sptr", "did you mean 'sprt'"),
    ],
)
def test_invalid_gates_are_refused(gate: Any, message: str) -> None:
    """Values that leave nothing to decide are named, with the allowed values. [contract]"""
    with pytest.raises(InputError, match=message):
        rollout(gate)


def test_unused_parameters_of_a_gate_are_warned_about() -> None:
    """A parameter of another gate is only a warning, so that gates can be switched. [contract]"""
    with pytest.warns(SimdeployWarning, match="pooled ignores alpha"):
        rollout({"kind": "pooled", "alpha": 0.05})


def test_too_many_requests_are_refused() -> None:
    """Totals beyond 64-bit integers, and millions of requests one by one, are refused by name. [contract]"""
    with pytest.raises(InputError, match="requests per wave until the deadline"):
        rollout("pooled", fleet={"requests_per_second": 10**9})
    with pytest.raises(InputError, match="for a test request by request"):
        rollout({"kind": "sprt", "on": "requests"}, fleet={"requests_per_second": 10**6})
