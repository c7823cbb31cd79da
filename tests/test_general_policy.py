"""The general dialect: its file format, plans, limits and deadlines, and a policy's own orchestrator."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from by_hand import ENGINES, script
from refusals import refused
from small import maybe_bad

from simdeploy import Scenario, read_scenario, simulate
from simdeploy.analysis import tune
from simdeploy.analysis.tradeoffs.lever_ranges import find_ranges
from simdeploy.api import DeploymentSpec, GeneralSpec, RolloutSpec, parse_deployment, spec_from_dict
from simdeploy.dialects import policy_from_spec
from simdeploy.dialects.translation import translate_spec
from simdeploy.errors import InputError, SimdeployWarning
from simdeploy.rules.orchestrator import EXPANSO
from simdeploy.rules.waves import Plan, WaveLimits, plan_waves
from simdeploy.scenario.policies import read_policy_file
from simdeploy.units import NS_PER_S

S = NS_PER_S
HEALTH_CHECK = {"deadline": "5m"}
ROLLING = {"dialect": "general", "strategy": "rolling", "health_check": HEALTH_CHECK}


def scenario_of(policy: dict[str, Any], **more: Any) -> Scenario:
    fleet = {"nodes": 12, "zones": 3, "update_duration": "30s", "requests_per_second": 10, **more.pop("fleet", {})}
    raw = {"name": "general", "fleet": fleet, "health": {"interval": "1s"}, "policies": {"one": ROLLING | policy}}
    return Scenario.from_dict(raw | more)


def responses_of(policy: dict[str, Any], engine: str, **more: Any) -> pd.Series:
    """Return the responses of a rollout."""
    return simulate(scenario_of(policy, **more), engine=engine).responses


def failing(*nodes: int, **effect: Any) -> dict[str, Any]:
    """Return a release in which these nodes fail to start, or with other keys."""
    effect = effect or {"start_failure": 1}
    return {"bad": {"probability": 1, "defective": True, "affects": {"nodes": list(nodes)}, **effect}}


def message_of(policy: dict[str, Any], engine: str = "reference", **more: Any) -> tuple[float, str]:
    """Return when and why a rollout was stopped."""
    rollout = simulate(scenario_of(policy, **more), engine=engine)
    return float(rollout.responses["stopped_at_s"]), str(rollout.deployment.status.message)


def plan_of(total: int, zones: int = 1, **spec: Any) -> Plan:
    switches = {key: spec.pop(key) for key in ("wave_rounding", "pacing", "bake_time_ns") if key in spec}
    given = {"strategy": "rolling", "health_check": HEALTH_CHECK} | spec
    read, problems = spec_from_dict(given, dialect="general")
    assert read is not None, problems
    return plan_waves(policy_from_spec(read, interval_ns=S), replace(EXPANSO, **switches), total, zones)


# -- waves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waves", "total", "sizes"),
    [
        ([1, 2, 4], 10, (1, 2, 4, 3)),
        ([1, 2], 10, (1, 2, 2, 2, 2, 1)),
        (["10%", "50%"], 40, (4, 20, 16)),
        ([1, {"until": "50%"}, {"until": "80%"}], 100, (1, 49, 30, 20)),
        ([{"until": "10%"}, {"until": "5%"}, {"until": "100%"}], 100, (10, 90)),
        ([{"until": "0%"}, {"until": 0}, {"until": "50%"}], 10, (5, 5)),
        ([30], 10, (10,)),
        (["1%"], 10, (1,) * 10),
    ],
)
def test_sizes_of_listed_waves(waves: list[Any], total: int, sizes: tuple[int, ...]) -> None:
    """The last size repeats, the rest follows a sum, and waves that add nothing are left out. [contract]"""
    assert plan_of(total, waves=waves).sizes == sizes


@pytest.mark.parametrize(("rounding", "first"), [("ceil", 4), ("floor", 3), ("nearest", 3)])
def test_percents_of_waves_are_rounded_as_the_switch_says(rounding: str, first: int) -> None:
    """33 % of 10 nodes is rounded by the switch; a percentage is at least one node. [contract]"""
    assert plan_of(10, waves=["33%"], wave_rounding=rounding).sizes[0] == first
    assert plan_of(10, waves=["1%"], wave_rounding=rounding).sizes[0] == 1
    assert plan_of(10, max_parallel="33%", wave_rounding=rounding).parallel == first


def test_bake_times_and_limits_belong_to_waves() -> None:
    """A wave's bake time replaces the switch's; the rest after a sum has none of its own. [contract]"""
    waves = [{"size": 1, "bake_time": "5s", "max_failed_nodes": 0}, {"until": "50%", "max_failed_nodes_percent": 5}]
    plan = plan_of(10, waves=waves, bake_time_ns=60 * S)
    assert plan.sizes == (1, 4, 5)
    assert plan.bakes_ns == (5 * S, 60 * S, 0)
    assert plan.limits == (WaveLimits(0, None), WaveLimits(None, Fraction(5)), WaveLimits())


def test_waves_within_zones() -> None:
    """Each zone has its own waves; bake times of zones follow the last wave of all zones but the last. [contract]"""
    given = {"zone_by_zone": True, "zone_bake_time": "5s", "first_zone_bake_time": "9s"}
    plan = plan_of(8, 3, waves=[1, "100%"], **given)
    assert plan.sizes == (1, 2, 1, 2, 1, 1)
    assert plan.bakes_ns == (0, 9 * S, 0, 5 * S, 0, 0)


def test_rate_grows_with_nodes() -> None:
    """Batches grow after the given number of nodes, not after each minute. [oracle]"""
    rate = {"per_minute": 50, "growth": 2, "growth_every": 100}
    scenario = scenario_of({}, fleet={"nodes": 500}, orchestrator={"pacing": "rate", "rate": rate})
    plan = plan_waves(scenario.policy().policy, scenario.orchestrator, 500)
    assert plan.sizes == (50, 50, 100, 200, 100)


# -- promotion and observation of single waves, on both engines -------------------------------------


def test_any_wave_may_await_a_promotion(engine: str) -> None:
    """With waves of 30 s an operator promotes 5 minutes after the second, and after the last. [oracle]"""
    waves = [2, {"size": 4, "promotion": True}, 4, {"until": "100%", "promotion": True}]
    by_hand = {"promote_after": "5m"}
    assert responses_of({"waves": waves}, engine, operator=by_hand)["makespan_s"] == 4 * 30 + 2 * 300
    assert responses_of({"waves": waves, "auto_promote": True}, engine)["makespan_s"] == 4 * 30
    scripted = by_hand | script(*((at, "promote") for at in (45, 70, 80, 200)))
    assert responses_of({"waves": waves}, engine, operator=scripted)["makespan_s"] == 200


def test_messages_about_promotions() -> None:
    """A promotion too early, or once too often, has no effect; the waiting wave is named. [contract]"""
    waves = [2, {"size": 4, "promotion": True}, 6]
    acts = script((45, "promote"), (70, "promote"), (80, "promote"))
    rollout = simulate(scenario_of({"waves": waves}, operator={"promote_after": "5m", **acts}))
    events = rollout.events.loc[rollout.events["node"].isna(), ["time_s", "reason"]].to_numpy().tolist()
    assert [45, "script: promote has no effect: not all nodes of a wave that awaits it are resolved"] in events
    assert [70, "wave 2 promoted"] in events
    assert [80, "script: promote has no effect: everything is already promoted"] in events
    assert "wave 2 awaits promotion" in rollout.revisions["message"].tolist()
    assert not rollout.deployment.status.canary_promoted


@pytest.mark.parametrize(("node", "after"), [(0, "3m"), (3, "1m")])
def test_an_operator_sees_all_nodes_so_far(engine: str, node: int, after: str) -> None:
    """A defect that shows late, or on a node of the second wave, is noticed at the second promotion. [oracle]"""
    affects = {"nodes": [node]}
    late = {"late": {"probability": 1, "defective": True, "error_rate": 0.5, "after": after, "affects": affects}}
    waves = [{"size": 2, "promotion": True}, {"size": 4, "promotion": True}, 6]
    operator = {"promote_after": "2m", "notices_defect": 1}
    responses = responses_of({"waves": waves}, engine, operator=operator, release=late)
    assert (responses["state"], responses["stopped_at_s"]) == ("canceled", 30 + 120 + 30 + 120)


def test_waves_have_their_own_healthy_times(engine: str) -> None:
    """Four waves take 30 s each, and 60, 10, 0 and again 0 s of health. [oracle]"""
    waves = [{"size": 2, "min_healthy_time": "60s"}, 3, {"size": 4, "min_healthy_time": "0s"}]
    check = HEALTH_CHECK | {"min_healthy_time": "10s", "interval": "10s"}
    responses = responses_of({"waves": waves, "health_check": check}, engine)
    assert responses["makespan_s"] == 4 * 30 + 60 + 10
    assert responses["decision_windows"] == 2 * 6 + 3


@pytest.mark.parametrize(("judged", "stopped_at_s"), [((False, True), 80), ((True, False), 40), ((False, False), None)])
def test_a_gate_judges_some_waves(engine: str, judged: tuple[bool, bool], stopped_at_s: float | None) -> None:
    """Both waves fail half of their requests, but only judged ones stop the rollout. [oracle]"""
    waves = [{"size": 6, "gate": gate} for gate in judged]
    check = {"interval": "10s", "min_healthy_time": "10s", "max_error_rate": 0.1, "gate": "pooled"}
    policy = {"waves": waves, "health_check": HEALTH_CHECK | check}
    bad = {"bad": {"probability": 1, "defective": True, "error_rate": 0.5}}
    responses = responses_of(policy, engine, release=bad)
    assert responses["state"] == ("completed" if stopped_at_s is None else "failed")
    assert stopped_at_s is None or responses["stopped_at_s"] == stopped_at_s
    assert responses["decision_requests"] == (0 if stopped_at_s is None else 6 * 100)


def test_invalid_settings_of_waves() -> None:
    """A healthy time beyond the deadline or beside a number of windows is refused; `gate` without a gate causes a warning. [contract]"""
    with pytest.raises(InputError, match=r"waves\[1\].min_healthy_time: no node of the wave can become healthy"):
        scenario_of({"waves": [1, {"size": 2, "min_healthy_time": "10m"}]})
    windows = {"health_check": HEALTH_CHECK | {"success_threshold": 3}}
    with pytest.raises(InputError, match=r"waves\[0\].min_healthy_time: not allowed beside success_threshold"):
        scenario_of(windows | {"waves": [{"size": 2, "min_healthy_time": "10s"}]})
    with pytest.warns(SimdeployWarning, match=r"waves\[0\].gate: no effect: no gate judges waves"):
        scenario_of({"waves": [{"size": 2, "gate": False}]})


# -- waves that are lost, on both engines ------------------------------------------------------------


@pytest.mark.parametrize("lost_waves", ["continue", "fail"])
@pytest.mark.parametrize(("failing_nodes", "is_lost"), [((4,), True), ((5,), False), ((), False)])
def test_a_wave_without_a_running_node(
    engine: str, lost_waves: str, failing_nodes: tuple[int, ...], is_lost: bool
) -> None:
    """Node 3 of the second wave is skipped; if node 4 fails, too, the wave is lost. [oracle]"""
    fleet = {"classes": [{"name": "down", "nodes": [3], "down": True}]}
    switches = {"lost_waves": lost_waves, "unreachable_nodes": "skip"}
    sections = {"release": failing(*failing_nodes)} if failing_nodes else {}
    policy = {"waves": [3, 2, 4]}
    stopped_s, message = message_of(policy, engine, fleet=fleet, orchestrator=switches, **sections)
    if is_lost and lost_waves == "fail":
        assert (stopped_s, message) == (60, "no node of wave 2 is running: 1 failed of 2")
    else:
        assert message.endswith(f"{len(failing_nodes)} failed")


def test_a_wave_that_is_skipped_as_a_whole(engine: str) -> None:
    """A wave is lost without failures, and after a resume isn't lost again. [oracle]"""
    fleet = {"classes": [{"name": "down", "nodes": [3, 4], "down": True}]}
    switches = {"lost_waves": "fail", "unreachable_nodes": "skip"}
    policy, resumed = {"waves": [3, 2, 4]}, script((100, "resume"))
    assert message_of(policy, engine, fleet=fleet, orchestrator=switches)[0] == 30
    switches["on_failure"] = "pause"
    responses = responses_of(policy, engine, fleet=fleet, orchestrator=switches, operator=resumed)
    assert responses["makespan_s"] == 100 + 30 + 30


# -- limits and deadlines, on both engines ---------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "nodes", "expected"),
    [
        (1, (0, 3), (60, "2 failed nodes of a zone exceed max_failed_nodes_per_zone 1")),
        ("50%", (0, 3, 6), (120, "3 of 4 nodes of a zone failed, which exceeds max_failed_nodes_per_zone 50%")),
        (1, (0, 1, 2), None),
    ],
)
def test_a_limit_of_every_zone(
    engine: str, limit: Any, nodes: tuple[int, ...], expected: tuple[float, str] | None
) -> None:
    """A limit per zone stops by the failures of one zone, however small the sample; zones don't add up. [oracle]"""
    policy, switch = {"max_parallel": 2, "max_failed_nodes_per_zone": limit}, {"minimum_sample": 12}
    found = message_of(policy, engine, release=failing(*nodes), orchestrator=switch)
    if expected is None:
        assert found[1] == "9 nodes updated, 3 failed"
    else:
        assert found == expected


def test_a_limit_of_one_wave(engine: str) -> None:
    """The first wave allows no failure, the second 40 % of its five nodes, whatever `minimum_sample` is. [oracle]"""
    waves = [{"size": 2, "max_failed_nodes": 0}, {"size": 5, "max_failed_nodes_percent": 40}]
    expected = (60, "3 of 5 nodes of the wave failed, which exceeds its max_failed_nodes_percent 40")
    assert message_of({"waves": waves}, engine, release=failing(2, 3, 4)) == expected
    large = {"minimum_sample": 12}
    assert message_of({"waves": waves}, engine, release=failing(2, 3, 4), orchestrator=large) == expected
    expected = (30, "1 failed node of the wave exceeds its max_failed_nodes 0")
    assert message_of({"waves": waves}, engine, release=failing(1)) == expected
    assert responses_of({"waves": waves}, engine, release=failing(2, 3))["state"] == "completed"


def test_failures_in_a_row(engine: str) -> None:
    """A running node resets the count; at the same instant it counts as earlier. [oracle]"""
    switch = {"failures_counted": "consecutive"}
    one_by_one = {"max_parallel": 1, "max_failed_nodes": 1}
    expected = (180, "2 failed nodes in a row exceed max_failed_nodes 1")
    assert message_of(one_by_one, engine, orchestrator=switch, release=failing(0, 2, 4, 5)) == expected
    in_threes = {"max_parallel": 3, "max_failed_nodes": 1}
    expected = (30, "2 failed nodes in a row exceed max_failed_nodes 1")
    assert message_of(in_threes, engine, orchestrator=switch, release=failing(0, 1)) == expected


def test_the_deadline_of_a_rollout(engine: str) -> None:
    """Six waves of 30 s meet a deadline of 180 s exactly, but not one an instant shorter. [oracle]"""
    in_time = {"max_parallel": 2, "rollout_deadline": "180s"}
    assert responses_of(in_time, engine)["state"] == "completed"
    expected = (179, "not complete after rollout_deadline 2m 59s")
    assert message_of({"max_parallel": 2, "rollout_deadline": "179s"}, engine) == expected


def test_progress_is_a_node_that_becomes_running(engine: str) -> None:
    """If nodes 2 and 3 are silent and hold all slots, progress ends at 30 s. [oracle]"""
    sliding = {"pacing": "sliding", "failed_node_holds_slot": True}
    policy = {"max_parallel": 2, "progress_deadline": "45s"}
    expected = (75, "no node was reported running within progress_deadline 45s")
    assert message_of(policy, engine, orchestrator=sliding, release=failing(2, 3, start_hang=1)) == expected
    assert responses_of(policy, engine)["state"] == "completed"


@pytest.mark.parametrize("key", ["progress_deadline", "rollout_deadline"])
def test_a_deadline_passes_as_a_window_of_a_shared_service_ends(key: str, engine: str) -> None:
    """Nodes start at 30 s and need sixty windows of a second, so none runs at 40 s. [oracle]"""
    fleet = {"service": {"shared": {"capacity": 2}}}
    policy = {"max_parallel": 2, "health_check": HEALTH_CHECK | {"min_healthy_time": "60s"}, key: "40s"}
    assert message_of(policy, engine, fleet=fleet)[0] == 40


def test_the_progress_clock_stops_while_canaries_wait(engine: str) -> None:
    """A promotion by people misses no deadline, and restarts the clock, even if they act at once. [oracle]"""
    canary = {"strategy": "canary", "canary_count": 1, "max_parallel": 4, "progress_deadline": "45s"}
    responses = responses_of(canary, engine, operator={"promote_after": "10m"})
    assert (responses["state"], responses["makespan_s"]) == ("completed", 30 + 600 + 90)
    more = {"release": failing(0), "orchestrator": {"canary_gate": "limits"}}
    assert responses_of(canary, engine, **more)["makespan_s"] == 30 + 90
    assert responses_of(canary | {"auto_promote": True}, engine, **more)["stopped_at_s"] == 45


def test_a_missed_deadline_that_only_pauses_is_reported_once(engine: str) -> None:
    """After the resume the rollout continues although it is late. [oracle]"""
    late = {"max_parallel": 2, "rollout_deadline": "100s"}
    responses = responses_of(late, engine, orchestrator={"on_failure": "pause"}, operator=script((200, "resume")))
    assert responses["makespan_s"] == 200 + 2 * 30


def test_looks_end_after_a_pause_beyond_the_deadline(engine: str) -> None:
    """Once a failure has paused the rollout for good, a gate stops looking at running nodes. [contract]"""
    check = HEALTH_CHECK | {"gate": {"kind": "cusum", "good": 0.05, "bad": 0.3, "alarm_every": 50}}
    policy = {"max_parallel": 0, "max_failed_nodes": 0, "rollout_deadline": "5m", "health_check": check}
    responses = responses_of(policy, engine, orchestrator={"on_failure": "pause"}, release=failing(1))
    assert (responses["state"], responses["failed_nodes"]) == ("paused", 1)


@pytest.mark.parametrize(
    ("deadline_s", "acts", "state", "makespan_s"),
    [
        (100, [(10, "pause")], "failed", 100),
        (100, [(10, "pause"), (100, "resume")], "failed", 100),
        (100, [(10, "pause"), (99, "resume")], "completed", 99),
        (30, [(30, "pause")], "failed", 30),
    ],
)
def test_a_deadline_passes_in_a_pause(
    engine: str, deadline_s: int, acts: list[tuple[int, str]], state: str, makespan_s: float
) -> None:
    """All nodes run at 30 s, but a paused rollout is not complete. [contract]"""
    policy = {"max_parallel": 0, "rollout_deadline": f"{deadline_s}s"}
    responses = responses_of(policy, engine, operator=script(*acts))
    assert (responses["state"], responses["makespan_s"]) == (state, makespan_s)


def test_a_rollback_in_waves_with_pauses(engine: str) -> None:
    """8 touched nodes are rolled back three at a time, with 10 s between waves, also by hand; so are the 12 of an escape. [oracle]"""
    policy = {"max_parallel": 2, "rollout_deadline": "100s", "rollback_parallel": "25%", "rollback_delay": "10s"}
    assert responses_of(policy, engine)["restored_at_s"] == 100 + 3 * 30 + 2 * 10
    people = {"undo_after": "1m", "escape_detection": "2m"}
    by_hand = responses_of(policy | {"no_auto_rollback": True}, engine, operator=people)
    assert by_hand["restored_at_s"] == 100 + 60 + 3 * 30 + 2 * 10
    escaped = responses_of(policy | {"max_parallel": 0}, engine, release=failing(0, error_rate=0.5), operator=people)
    assert escaped["restored_at_s"] == 30 + 120 + 4 * 30 + 3 * 10


@pytest.mark.parametrize(("slowest_s", "back_s"), [(32, 32 + 20), (7200, 30 + 20 + 3600 + 20)])
def test_rollback_waves_that_are_back_by_themselves_are_passed_over(engine: str, slowest_s: int, back_s: int) -> None:
    """Node 1 fails at 30 s. Nodes 2 and 3 fail later, and no hour is waited for nodes that are back before their wave. [oracle]"""
    classes = [
        {"name": "bad", "nodes": [1], "start_failure": 1},
        {"name": "slow", "nodes": [2], "start_failure": 1, "update_duration": "32s"},
        {"name": "slowest", "nodes": [3], "start_failure": 1, "update_duration": f"{slowest_s}s"},
    ]
    policy = {"max_failed_nodes": 0, "rollback_parallel": 1, "rollback_delay": "1h", "health_check": {"deadline": "3h"}}
    fleet = {"nodes": 4, "rollback_duration": "20s", "classes": classes}
    found = responses_of(policy, engine, fleet=fleet, orchestrator={"node_local_rollback": True})
    assert found["restored_at_s"] == back_s


def test_unhealthy_windows_need_not_be_consecutive(engine: str) -> None:
    """With every second window unhealthy, three in a row never occur, but three in all do. [oracle]"""
    check = {"deadline": "60s", "success_threshold": 5, "max_error_rate": 0.25, "failure_threshold": 3}
    release = failing(*range(12), error_rate=0.3)
    for cumulative in (False, True):
        policy = {"health_check": check | {"cumulative_failures": cumulative}}
        rollout = simulate(scenario_of(policy, release=release))
        windows, nodes = rollout.windows, rollout.nodes
        failed = nodes.index[nodes["failed_reason"] == "unhealthy"]
        for node in failed:
            healthy = windows.loc[windows["node"] == nodes.loc[node, "node"], "healthy"].tolist()
            assert healthy.count(False) >= 3
            assert (healthy.count(False) == 3) or not cumulative
            assert cumulative or not any(healthy[-3:])
        assert len(failed) > 0
        assert responses_of(policy, engine, release=release)["failed_nodes"] == nodes["failed_reason"].ne("").sum()


# -- own orchestrators -----------------------------------------------------------------------------


def test_a_policy_may_have_its_own_orchestrator(engine: str) -> None:
    """A policy's own orchestrator replaces the scenario's completely, for this policy alone. [oracle]"""
    own = {"max_parallel": 2, "max_failed_nodes": 1, "orchestrator": {"limit_comparison": "reaches"}}
    scenario = scenario_of(own, orchestrator={"on_failure": "continue"}, release=failing(0))
    assert simulate(scenario, engine=engine).responses["stopped_at_s"] == 30
    without = {key: value for key, value in own.items() if key != "orchestrator"}
    assert simulate(scenario, ROLLING | without, engine=engine).responses["state"] == "completed"


def test_own_orchestrators_side_by_side() -> None:
    """On both engines one call simulates policies under different orchestrators. [contract]"""
    from simdeploy import replicate

    raw = scenario_of({"max_failed_nodes": 1}, release=failing(0)).to_dict()
    raw["policies"]["two"] = raw["policies"]["one"] | {"orchestrator": {"limit_comparison": "reaches"}}
    scenario = Scenario.from_dict(raw)
    for engine in ENGINES:
        both = replicate(scenario, ["one", "two"], replications=2, engine=engine)
        assert both.groupby("policy")["state"].unique().map(list).to_dict() == {"one": ["completed"], "two": ["failed"]}


def test_bad_switches_of_an_own_orchestrator() -> None:
    """Bad switches of a policy's own orchestrator are reported with the policy's path. [contract]"""
    error = refused(scenario_of, {"orchestrator": {"pacng": "sliding", "limit_comparison": "above"}})
    paths = {problem.path for problem in error.problems}
    assert paths == {("policies", "one", "orchestrator", key) for key in ("pacng", "limit_comparison")}


# -- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "path", "message"),
    [
        ({"waves": []}, ("waves",), "an empty list"),
        ({"waves": ["ten"]}, ("waves", 0, "size"), "neither a number of nodes nor a percentage from 0% to 100%"),
        ({"waves": [0]}, ("waves", 0, "size"), "too small"),
        ({"waves": [{"bake_time": "5m"}]}, ("waves", 0), "a wave needs either size or until"),
        ({"waves": [{"sizes": 3, "until": 4}]}, ("waves", 0, "sizes"), "unknown key"),
        (
            {"waves": [1], "canary_count": 3},
            ("canary_count",),
            "not allowed beside waves, whose first entry is the canaries",
        ),
        ({"max_parallel": "120%"}, ("max_parallel",), "neither a number of nodes nor a percentage from 0% to 100%"),
        ({"zone_bake_time": "5m"}, ("zone_bake_time",), "needs zone_by_zone: true"),
        ({"zone_by_zone": True, "waves": [1]}, ("zone_by_zone",), "needs fleet.order: zone"),
        ({"strategy": "canary"}, ("strategy",), "canary needs waves, canary_count or canary_percent (0 is unset)"),
        (
            {"health_check": {"deadline": "5m", "min_healthy_time": "5s", "success_threshold": 3}},
            ("health_check", "min_healthy_time"),
            "not allowed beside success_threshold: both define when a node is healthy",
        ),
        ({"surg": 1}, ("surg",), "unknown key"),
    ],
)
def test_bad_values_are_reported_by_key(policy: dict[str, Any], path: tuple[str | int, ...], message: str) -> None:
    """A bad value is the only problem, with its path below the policy's name. [contract]"""
    error = refused(scenario_of, policy)
    assert [(problem.path[2:], problem.message) for problem in error.problems] == [(path, message)]


def test_keys_of_the_general_dialect_have_a_hint() -> None:
    """In a dialect of the API its keys are unknown, and the hint says where they belong. [contract]"""
    with pytest.raises(InputError, match="surge: unknown key; a key of the general dialect: add 'dialect: general'"):
        scenario_of({"dialect": "deployment", "surge": 2})


def test_values_are_set_by_path() -> None:
    """Values in a list of waves, and of a policy's own orchestrator, can be set by path. [contract]"""
    scenario = scenario_of({"waves": [1, {"until": "50%"}], "orchestrator": "expanso"})
    values = {"waves.1.until": "75%", "retries": 2, "orchestrator.limit_comparison": "reaches"}
    changed = scenario.with_values({f"policies.one.{key}": value for key, value in values.items()})
    policy = changed.policy()
    assert policy.policy.waves[1].amount == Fraction(75)
    assert policy.policy.retries == 2
    assert changed.orchestrator_of(policy).limit_comparison == "reaches"


def test_a_general_policy_survives_json() -> None:
    """The deployment object states its dialect, so that it reads back. [contract]"""
    scenario = scenario_of({"waves": [1, {"until": "50%", "bake_time": "5s"}], "max_parallel": "50%"})
    text = simulate(scenario).deployment.to_json()
    assert json.loads(text)["deployment"]["spec"]["waves"] == [1, {"until": "50%", "bake_time": "5s"}]
    assert parse_deployment(text).spec == scenario.policy().spec


# -- other dialects --------------------------------------------------------------------------------

API_SPECS: list[DeploymentSpec | RolloutSpec] = [
    DeploymentSpec(strategy="immediate"),
    DeploymentSpec(strategy="rolling", max_parallel=3, health_check={"deadline": "5m", "min_healthy_time": "20s"}),
    DeploymentSpec(strategy="canary", canary_percent=10, max_failed_nodes=0, health_check={"deadline": "5m"}),
    RolloutSpec(strategy="rolling", max_parallel=25, health_check={"deadline": 300 * S, "failure_threshold": 2}),
]


@pytest.mark.parametrize("spec", API_SPECS)
def test_the_general_dialect_equals_the_apis(spec: DeploymentSpec | RolloutSpec) -> None:
    """A spec and its translation into the general dialect give the same rollouts. [property]"""
    general = translate_spec(spec, "general", nodes=12, interval_ns=S)
    assert general.is_exact
    scenario = scenario_of({}, release={"bad": {"probability": 1, "defective": True, "start_failure": 0.2}})
    for replication in range(5):
        rollouts = (simulate(scenario, one, replication=replication, seed=3) for one in (spec, general.spec))
        one, other = (rollout.responses.drop("state") for rollout in rollouts)
        assert one.equals(other)


@pytest.mark.parametrize("spec", API_SPECS[1:])
def test_round_trip_into_the_api(spec: DeploymentSpec | RolloutSpec) -> None:
    """Limits and times survive both ways if the API can express them. [property]"""
    general = translate_spec(spec, "general", nodes=12, interval_ns=S).spec
    back = translate_spec(general, spec.dialect, nodes=12, interval_ns=S).spec
    assert translate_spec(back, "general", nodes=12, interval_ns=S).spec == general


def test_inexpressible_keys_are_refused() -> None:
    """Translation into the API is refused with every key that prevents it. [contract]"""
    check = {"deadline": "5m", "cumulative_failures": True}
    spec = GeneralSpec(strategy="rolling", waves=[1, 5], surge=2, health_check=check)
    error = refused(translate_spec, spec, "deployment", nodes=12, interval_ns=S)
    found = [(problem.path, problem.message) for problem in error.problems]
    message = "the deployment dialect can't express this"
    assert found == [(("waves",), message), (("surge",), message), (("health_check", "cumulative_failures"), message)]


# -- policies that are easily got wrong ------------------------------------------------------------


@pytest.mark.parametrize("entry", ["0%", "00.0%", {"size": "0%"}])
def test_a_wave_of_no_nodes_is_refused(entry: Any) -> None:
    """A wave of no nodes would be repeated for ever. [contract]"""
    with pytest.raises(InputError, match=r"waves\[0\]\.size: too small"):
        scenario_of({"waves": [entry]})


@pytest.mark.parametrize("entry", [1.5, True, None, [1]])
def test_invalid_waves_are_refused(entry: Any) -> None:
    """An invalid wave is refused with the forms that a wave can have. [contract]"""
    with pytest.raises(InputError, match=r"waves\[0\]: not a wave .*a group of keys with size or until"):
        scenario_of({"waves": [entry]})


@pytest.mark.parametrize("gate", ["pooled", "sprt", "cusum", "bayes", "e_process", {"kind": "sprt", "good": 0.01}])
def test_gates_that_compare_with_a_limit_need_one(gate: Any) -> None:
    """Without a limit, which the general dialect has no default for, they could never fail. [contract]"""
    policy = ROLLING | {"health_check": HEALTH_CHECK | {"gate": gate}, "max_parallel": 2}
    with pytest.raises(InputError, match=r"health_check\.max_error_rate: the gate \w+ needs it"):
        scenario_of(policy)


@pytest.mark.parametrize("gate", ["baseline", {"kind": "sprt", "good": 0.01, "bad": 0.1}])
def test_gates_with_rates_of_their_own_need_no_limit(gate: Any) -> None:
    """A gate that states its own rates, or compares versions, works without a limit. [contract]"""
    policy = {"health_check": HEALTH_CHECK | {"gate": gate}, "max_parallel": 2}
    assert scenario_of(policy).policy().policy.gate is not None


def test_no_warning_of_all_at_once_where_zones_bound_it() -> None:
    """An effective limit per zone avoids the warning that all nodes are updated at once. [contract]"""
    with pytest.warns(SimdeployWarning, match="unset: updates all 12 nodes at once"):
        scenario_of({})
    with warnings.catch_warnings(action="error", category=SimdeployWarning):
        scenario_of({"max_parallel_per_zone": 1})
    with pytest.warns(SimdeployWarning, match="unset: updates all 12 nodes at once"):
        scenario_of({"max_parallel_per_zone": 4})  # all of each of the three zones


@pytest.mark.parametrize("key", ["progress_deadline", "rollout_deadline"])
def test_a_zero_deadline_is_warned_about(key: str) -> None:
    """A deadline of 0, which for other keys means none, causes a warning. [contract]"""
    with pytest.warns(SimdeployWarning, match=f"{key}: no rollout can complete in 0s"):
        scenario_of({key: 0, "max_parallel": 2})


@pytest.mark.parametrize(
    ("key", "longest", "needed"),
    [
        ("progress_deadline", "59s", "a node takes at least 1m"),
        ("rollout_deadline", "5m59s", "6 waves takes at least 6m"),
    ],
)
def test_an_impossible_deadline_is_warned_about(key: str, longest: str, needed: str) -> None:
    """Twelve nodes in waves of two need 30 s of starting and 30 s of windows per wave. [contract]"""
    policy = {"max_parallel": 2, "health_check": HEALTH_CHECK | {"min_healthy_time": "30s"}}
    with pytest.warns(SimdeployWarning, match=f"{key}: no rollout can meet it: updating {needed}"):
        scenario_of(policy | {key: longest})
    with warnings.catch_warnings(action="error", category=SimdeployWarning):
        scenario_of(policy | {key: "6m"})


def test_immediate_warns_of_waves_that_it_ignores() -> None:
    """Waves and a health check have no effect under immediate, which a warning says. [contract]"""
    with pytest.warns(SimdeployWarning, match="immediate ignores health_check, waves"):
        scenario_of({"strategy": "immediate", "waves": [1]})


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_policy_in_a_file_brings_its_orchestrator(tmp_path: Path, ending: str) -> None:
    """An orchestrator in a policy's file applies, and mistakes in it name that file. [contract]"""
    file = tmp_path / f"policy.{ending}"
    file.write_text(json.dumps(ROLLING | {"max_parallel": 1, "orchestrator": {"pacing": "sliding"}}))
    raw = {"name": "general", "fleet": {"nodes": 4, "update_duration": "30s"}, "policies": {"one": {"file": file.name}}}
    (tmp_path / "scenario.yaml").write_text(json.dumps(raw))
    scenario = read_scenario(tmp_path / "scenario.yaml")
    assert scenario.orchestrator_of(scenario.policy("one")).pacing == "sliding"
    document = read_policy_file(file)
    assert scenario.orchestrator_of(scenario.policy(document)).pacing == "sliding"
    file.write_text(json.dumps(ROLLING | {"orchestrator": {"pacing": "slidin"}}))
    with pytest.raises(InputError, match=rf"policy.{ending}:1: orchestrator.pacing: unknown value .*'sliding'\?"):
        read_scenario(tmp_path / "scenario.yaml")


def test_a_dialect_beside_another_orchestrators_file(tmp_path: Path) -> None:
    """A dialect stated beside a file of another orchestrator is refused. [contract]"""
    (tmp_path / "job.hcl").write_text('job "web" {\n update { max_parallel = 4 }\n group "app" { count = 4 }\n}\n')
    policies = {"one": {"file": "job.hcl", "dialect": "general"}}
    raw = {"name": "general", "fleet": {"nodes": 4, "update_duration": "30s"}, "policies": policies}
    (tmp_path / "scenario.yaml").write_text(json.dumps(raw))
    with pytest.raises(InputError, match=r"job.hcl: dialect: a file of kind nomad, which has no dialect"):
        read_scenario(tmp_path / "scenario.yaml")


# -- analyses --------------------------------------------------------------------------------------


WORLDS = {
    "fleet": {"requests_per_second": 5, "error_rate": 0.001},
    "release": maybe_bad(error_rate=0.5),
    "costs": {"hour_of_delay": 1, "false_alarm": 10, "escape": 100},
}
LIMITED = {
    "health_check": HEALTH_CHECK | {"max_error_rate": 0.05, "min_healthy_time": "3s"},
    "max_failed_nodes": 1,
    "orchestrator": {"limit_comparison": "reaches"},
}


def test_a_search_of_a_general_policy_needs_values() -> None:
    """A general policy has no default ranges, so the message asks for --vary. [contract]"""
    with pytest.raises(InputError, match=r"one: a search of a general policy has no default ranges.*--vary"):
        tune(scenario_of(LIMITED | {"max_parallel": "50%"}, **WORLDS), engine="compiled")


def test_a_search_of_a_general_policy_keeps_its_orchestrator() -> None:
    """The recommended policy can be run as it is written. [contract]"""
    scenario = scenario_of(LIMITED | {"max_parallel": "50%"}, **WORLDS)
    found = tune(scenario, vary={"max_parallel": [2, "50%"]}, replications=4, most=8, engine="compiled")
    assert set(found.candidates["max_parallel"]) == {2, "50%"}
    (dialect,) = found.specs
    spec = found.specs[dialect]["spec"]
    assert dialect == spec["dialect"] == "general"
    assert spec["orchestrator"] == {"preset": "expanso", "limit_comparison": "reaches"}
    assert not found.default_limits
    made = Scenario.from_dict(scenario.to_dict() | {"policies": {"found": spec}})
    assert made.policy("found").orchestrator == scenario.policy("one").orchestrator


def test_thresholds_of_a_general_policy() -> None:
    """Amounts are numbers of nodes, and unset ones have no default. [contract]"""
    scenario = scenario_of(LIMITED | {"max_parallel": "30%"}, **WORLDS)
    ranges = {found.lever.name: found for found in find_ranges(scenario, scenario.policy(), None)}
    parallel = ranges["max_parallel"]
    assert (parallel.current, parallel.default) == (4, None)  # 30 % of 12, rounded up
    assert parallel.numbers[-1] == 12
    assert ranges["max_failed_nodes"].current == 1
    assert ranges["max_failed_nodes_percent"].current is None
