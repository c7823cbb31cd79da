"""Worlds that continue an observation: their random numbers, their states on the way, and effects of acts."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from generators import Decisions, scenario_of
from refusals import refused
from rows_equal import are_equal
from small import IMMEDIATE, rolling

from simdeploy import Scenario, simulate
from simdeploy.analysis.advice.messages import read_awaited
from simdeploy.engines import continuing as continuing_module, looks as looks_module
from simdeploy.engines.continuing import (
    NOT_THERE,
    Act,
    Continuation,
    Continued,
    Pause,
    Worlds,
    change_problems,
    run_continuations,
    run_continued,
)
from simdeploy.engines.reference import engine as engine_module
from simdeploy.engines.reference.judging import Judging
from simdeploy.engines.reference.node import Node
from simdeploy.engines.reference.pacing import Pacing
from simdeploy.engines.running import run_block
from simdeploy.errors import InputError
from simdeploy.rules.changing import CAN_CHANGE
from simdeploy.scenario import ScenarioPolicy
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import NODE_STATUSES, STATES, TERMINAL_STATES
from simdeploy.world.draws import OF_NODES, Lineage
from simdeploy.world.operator import ScriptedAct
from simdeploy.world.streams import Stream

CHECK = {"deadline": "2m", "min_healthy_time": "30s"}
IN_TWOS = Scenario.from_dict(
    {
        "name": "in twos",
        "fleet": {"nodes": 6, "update_duration": "30s", "rollback_duration": "20s"},
        "release": {"good": {"probability": 0.5}, "bad": {"probability": 0.5, "defective": True}},
        "operator": {"promote_after": "10m", "rejects_good": 0, "notices_defect": 0},
        "policies": {
            "in-twos": {"strategy": "canary", "canary_count": 2, "max_parallel": 2, "health_check": CHECK},
        },
    }
)
POLICY = IN_TWOS.policy("in-twos")


def generated(number: int) -> tuple[Scenario, ScenarioPolicy]:
    scenario = Scenario.from_dict(scenario_of(Decisions(random.Random(number).randbytes(256))))
    return scenario, next(iter(scenario.policies.values()))


def plain(n: int, scenario: Scenario) -> Worlds:
    """Return worlds that are replications."""
    numbers = np.arange(n)
    return Worlds(numbers, np.repeat(numbers[:, np.newaxis], scenario.fleet.nodes, axis=1))


def run_world(
    scenario: Scenario, policy: ScenarioPolicy, engine: str, looks_s: tuple[float, ...] = (), **how: Any
) -> Continued:
    """Continue the first replication, and look at it at some instants."""
    looks_ns = [int(look * NS_PER_S) for look in looks_s]
    return run_continued(scenario, policy, plain(1, scenario), looks_ns=looks_ns, seed=1, engine=engine, **how)


def run_one(at_s: float, act: Act, engine: str, looks_s: tuple[float, ...] = ()) -> Continued:
    return run_world(IN_TWOS, POLICY, engine, looks_s, change=(int(at_s * NS_PER_S), act))


def test_worlds_of_one_replication_are_replications(engine: str) -> None:
    """Worlds whose nodes use their root's numbers have the responses of that replication. [property]"""
    for number in range(10):
        scenario, policy = generated(number)
        worlds = run_continued(scenario, policy, plain(3, scenario), looks_ns=[], seed=number, engine=engine)
        block = run_block(scenario, [policy], seed=number, first=0, count=3, engine=engine)
        for place in range(3):
            one, other = block.row(0, place), worlds.block.row(0, place)
            assert all(are_equal(name, one, other, 0) for name in one), number


def test_continuations_are_the_same_together_as_alone(engine: str) -> None:
    """Several continuations of a world equal each alone; rollouts that end before they diverge run once. [property]"""
    n_shared = n_run = 0
    for number in range(20 if engine == "compiled" else 4):
        scenario, policy = generated(number)
        worlds, how = plain(6, scenario), {"seed": number, "engine": engine}
        plainly = run_continued(scenario, policy, worlds, looks_ns=[], **how).block
        half_ns = int(np.nan_to_num(plainly.numbers["makespan_s"], nan=600).mean() / 2 * NS_PER_S)
        looks_ns = half_ns, 2 * half_ns
        # The same policy may replace itself, if any may.
        changes = [] if change_problems(scenario, policy, policy) else [(half_ns + 1, policy)]
        pause, resume = ScriptedAct(half_ns + 1, "pause"), ScriptedAct(2 * half_ns + 1, "resume")
        ways = [
            Continuation(looks_ns=looks_ns, nodes_at_ns=half_ns),
            *(Continuation(change=change, looks_ns=looks_ns) for change in changes),
            Continuation((ScriptedAct(half_ns + 1, "cancel"),), looks_ns=looks_ns[:1], nodes_at_ns=2 * half_ns),
            Continuation((pause, resume), looks_ns=looks_ns),
            Continuation((ScriptedAct(2 * half_ns + 1, "cancel"),), looks_ns=looks_ns[1:]),
        ]
        together = run_continuations(scenario, policy, worlds, ways, **how)
        for way, found in zip(ways, together, strict=True):
            (alone,) = run_continuations(scenario, policy, worlds, [way], **how)
            for place in range(6):
                one, other = found.block.row(0, place), alone.block.row(0, place)
                assert all(are_equal(name, one, other, 0) for name in one), (number, way)
            assert (found.looks == alone.looks).all()
            assert way.nodes_at_ns is None or (found.nodes == alone.nodes).all()
        n_shared += int((together[-1].block.index == together[0].block.index).sum())
        n_run += 6
    # The reference engine has a row for each.
    assert 0 < n_shared < n_run or engine == "reference"


def test_every_number_is_of_the_fleet_or_of_a_node() -> None:
    """All random numbers of nodes are their own, except those that assign their places in the fleet. [contract]"""
    of_nodes = {stream for stream in Stream if stream.node_is == "node"} - {Stream.ORDER, Stream.CLASS}
    # Which rollout on record a world uses is drawn before there are nodes.
    assert {stream for stream in Stream if stream.block in OF_NODES} - {Stream.PAST_ROLLOUT} == of_nodes


def test_a_node_takes_only_its_own_numbers_along(engine: str) -> None:
    """A node with another replication's numbers starts when it does there, and no other node changes. [property]"""
    values = {"fleet.update_duration": {"exponential": {"mean": "30s"}}, "policies": {"all": IMMEDIATE}}
    scenario = IN_TWOS.with_values(values)
    policy = scenario.policy("all")
    worlds = plain(2, scenario)
    worlds.nodes[0, 3] = 1
    seen = run_continued(scenario, policy, worlds, looks_ns=[], nodes_at_ns=10**15, seed=1, engine=engine).nodes
    alone = [simulate(scenario, policy, seed=1, replication=number).nodes["started_at_s"] for number in range(2)]
    assert seen is not None
    assert (seen["started_ns"][0] / NS_PER_S).tolist() == [alone[int(node == 3)][node] for node in range(6)]


def test_looks_show_the_deployment_and_its_nodes(engine: str) -> None:
    """Canaries of 30 s are validated at 30 s, running at 60 s, promoted at 660 s; four nodes follow. [contract]"""
    seen = run_world(IN_TWOS, POLICY, engine, (0, 59, 60, 660, 720, 780), nodes_at_ns=690 * NS_PER_S)
    looks = seen.looks[0]
    assert [STATES[state] for state in looks["state"]] == ["in_progress"] * 5 + ["completed"]
    assert looks["current_wave"].tolist() == [1, 1, 1, 2, 3, 3]
    assert looks["updated_nodes"].tolist() == [0, 0, 2, 2, 4, 6]
    assert looks["canary_promoted"].tolist() == [False, False, False, True, True, True]
    seconds = {name: (looks[name] / NS_PER_S).tolist() for name in looks.dtype.names if name.endswith("_ns")}
    none = NOT_THERE / NS_PER_S
    assert seconds["completed_ns"] == [none] * 5 + [780]
    assert seconds["last_progress_ns"] == [0, 0, 60, 660, 720, 780]
    assert seconds["health_check_deadline_ns"] == [120, 120, none, 780, 840, none]
    assert seconds["healthy_deadline_ns"] == seconds["health_check_deadline_ns"]
    assert seen.nodes is not None
    nodes = seen.nodes[0]
    statuses = ["running"] * 2 + ["validating"] * 2 + ["pending"] * 2
    assert [NODE_STATUSES[status] for status in nodes["status"]] == statuses
    assert (nodes["dispatched_ns"] / NS_PER_S).tolist() == [0, 0, 660, 660, none, none]
    assert (nodes["started_ns"] / NS_PER_S).tolist() == [30, 30, 690, 690, none, none]
    assert (nodes["resolved_ns"] / NS_PER_S).tolist() == [60, 60] + [none] * 4


def test_looks_are_the_revisions_on_both_engines() -> None:
    """Both engines show a rollout that waits for nodes alike at each revision, with the number that its message names. [property]"""
    begins, n_waiting = set(), 0
    for number in range(90):
        scenario, policy = generated(number)
        revisions = simulate(scenario, policy, seed=1).revisions
        revisions = revisions[revisions["deployment"] == revisions["deployment"].iloc[0]].iloc[:40]
        is_over = revisions["state"].isin(TERMINAL_STATES)
        begins |= {re.sub(r"\d+", "N", message.split("; ")[0]) for message in revisions["message"][~is_over]}
        if scenario.orchestrator_of(policy).unreachable_nodes != "wait":
            continue
        looks, compiled = (
            run_world(scenario, policy, engine, tuple(revisions["time_s"])).looks[0]
            for engine in ("reference", "compiled")
        )
        assert (looks == compiled).all(), number
        named = revisions["message"].str.extract(r"waits for (\d+) unreachable node", expand=False).astype(float)
        assert looks["awaited_nodes"].tolist() == named.fillna(0).mask(is_over, NOT_THERE).tolist(), number
        n_waiting += int(named.notna().sum())
    assert n_waiting > 20
    assert begins >= {"wave N of N", "baking after wave N of N", "canaries await promotion", "wave N awaits promotion"}
    seldom = {"baked after wave N of N", "nothing dispatched yet"}
    assert all(read_awaited(begin.replace("N", "1"), 1) == 0 for begin in begins | seldom)


@pytest.mark.parametrize(
    ("act", "makespan_s", "state"),
    [
        ("promote", 220, "completed"),
        ("cancel", 100, "canceled"),
        ("pause", np.nan, "paused"),
        (Pause(700 * NS_PER_S), 920, "completed"),
        ("resume", 780, "completed"),
    ],
)
def test_effects_of_acts(act: Act, makespan_s: float, state: str, engine: str) -> None:
    """Acts at 100 s, while canaries wait: a pause until 800 s delays the two waves that follow. [contract]"""
    done = run_one(100, act, engine).block.row(0, 0)
    assert done["state"] == state
    assert done["makespan_s"] == pytest.approx(makespan_s, abs=1e-6, nan_ok=True)


def test_an_act_comes_after_the_end_of_its_instant(engine: str) -> None:
    """A cancel after 60 s leaves the deployment of 60 s as it is. [contract]"""
    looks = run_one(60, "cancel", engine, (60, 61)).looks[0]
    assert [STATES[state] for state in looks["state"]] == ["in_progress", "canceled"]
    assert looks["updated_nodes"].tolist() == [2, 2]
    assert looks["completed_ns"].tolist() == [NOT_THERE, 60 * NS_PER_S + 1]


# -- another policy --------------------------------------------------------------------------------

FAILING = Scenario.from_dict(
    {
        "name": "failing",
        "fleet": {
            "nodes": 12,
            "update_duration": "30s",
            "rollback_duration": "20s",
            "order": "index",
            "classes": [{"name": "broken", "nodes": [1, 3], "start_failure": 1}],
        },
        "policies": {
            "in-threes": rolling(3, max_failed_nodes=9, max_failed_nodes_percent=100, health_check=CHECK),
        },
    }
)


def change_at(
    at_s: float, engine: str, looks_s: tuple[float, ...] = (), *, dialect: str = "deployment", **fields: Any
) -> Continued:
    """Run the policy above with other fields after an instant; its waves take 60 s."""
    raw = FAILING.to_dict()["policies"]["in-threes"] | {"dialect": dialect}
    before, raw = FAILING.policy(raw), raw | fields
    return run_world(FAILING, before, engine, looks_s, change=(int(at_s * NS_PER_S), FAILING.policy(raw)))


def test_waves_to_come_have_another_size(engine: str) -> None:
    """After two waves of 3 at 70 s, the other six nodes take three waves of 2, or one of 6. [contract]"""
    for size, waves, makespan_s in ((2, 5, 300), (0, 3, 180), (3, 4, 240)):
        done = change_at(70, engine, max_parallel=size).block.row(0, 0)
        assert (done["waves"], done["makespan_s"]) == (waves, makespan_s)


def test_a_limit_crossed_by_its_change_stops_at_once(engine: str) -> None:
    """With two nodes failed at 100 s, a limit of one stops the rollout then, one of two doesn't. [contract]"""
    stopped, goes_on = (change_at(100, engine, max_failed_nodes=limit).block.row(0, 0) for limit in (1, 2))
    assert (stopped["state"], stopped["stopped_at_s"]) == ("failed", pytest.approx(100))
    assert (goes_on["state"], goes_on["makespan_s"]) == ("completed", 240)


def test_nodes_in_flight_keep_their_health_check(engine: str) -> None:
    """Nodes dispatched at 60 s run at 120 s; those of later waves need a minute more, and have longer. [contract]"""
    check = {"deadline": "4m", "min_healthy_time": "90s"}
    seen = change_at(70, engine, (71, 121), health_check=check)
    assert (seen.looks["healthy_deadline_ns"][0] / NS_PER_S).tolist() == [180, 360]
    assert seen.looks["current_wave"][0].tolist() == [2, 3]
    assert seen.block.row(0, 0)["makespan_s"] == 360


def test_retried_nodes_keep_their_health_check(engine: str) -> None:
    """The first wave, unhealthy up to 150 s, is retried, and finally fails under its original limit. [contract]"""
    scenario = FAILING.with_values({"fleet.error_rate": 0.05, "fleet.requests_per_second": 100})
    raw = scenario.to_dict()["policies"]["in-threes"] | {"dialect": "general", "retries": 1, "retry_unhealthy": True}
    checks = [raw["health_check"] | {"max_error_rate": rate} for rate in (0.01, 0.2)]
    strict, lax = (scenario.policy(raw | {"health_check": check}) for check in checks)
    done = run_world(scenario, strict, engine, change=(100 * NS_PER_S, lax)).block.row(0, 0)
    assert (done["state"], done["failed_nodes"]) == ("completed", 4)  # nodes 0 and 2, and those of the broken class


def test_canaries_are_promoted_once_auto_promote_is_set(engine: str) -> None:
    """Canaries that wait for the operator at 100 s continue when the policy changes to auto_promote. [contract]"""
    raw = IN_TWOS.to_dict()["policies"]["in-twos"] | {"auto_promote": True}
    assert run_one(100, IN_TWOS.policy(raw), engine).block.row(0, 0)["makespan_s"] == pytest.approx(220)


@pytest.mark.parametrize(
    ("at_s", "fields", "stopped_at_s"),
    [
        (70, {"rollout_deadline": "150s"}, 150),
        (160, {"rollout_deadline": "150s"}, 160),
        (70, {"progress_deadline": "40s"}, 110),
        (70, {"progress_deadline": "50s"}, 170),
    ],
)
def test_deadlines_of_a_rollout_count_from_their_change_on(
    at_s: float, fields: dict[str, Any], stopped_at_s: float, engine: str
) -> None:
    """A passed deadline stops at once; a progress clock begins at the change, and anew at 120 s. [contract]"""
    done = change_at(at_s, engine, dialect="general", **fields).block.row(0, 0)
    assert (done["state"], done["stopped_at_s"]) == ("failed", pytest.approx(stopped_at_s))


def test_a_change_after_the_end_has_no_effect(engine: str) -> None:
    """A change after the end changes nothing, not even what is undone later. [contract]"""
    done = change_at(300, engine, no_auto_rollback=True, max_failed_nodes=0).block.row(0, 0)
    assert (done["state"], done["makespan_s"]) == ("completed", 240)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"strategy": "canary", "canary_count": 1}, "strategy"),
        ({"dialect": "general", "surge": 1}, "surge"),
        ({"health_check": CHECK | {"gate": {"kind": "cusum", "good": 0.01, "bad": 0.1}}}, "health_check.gate"),
        ({"orchestrator": "expanso-rollout"}, "orchestrator"),
    ],
)
def test_unchangeable_fields_are_refused_by_name(fields: dict[str, Any], key: str) -> None:
    """Strategy, canaries, lists of waves, gate and orchestrator can't change. [contract]"""
    error = refused(change_at, 10, "compiled", **{"dialect": "deployment", **fields})
    assert f"{key}: can't change during a rollout" in str(error)


# -- both engines ----------------------------------------------------------------------------------


def instants(chance: random.Random, scenario: Scenario, policy: ScenarioPolicy, worlds: Worlds, seed: int) -> list[int]:
    """Return five instants: when something happens in a replication, just before or after, or any others."""
    rollout = simulate(scenario, policy, seed=seed, replication=int(worlds.roots[0]), engine="reference")
    times = [round(t * NS_PER_S) for t in rollout.revisions["time_s"]]
    return [max(0, chance.choice(times) + chance.choice((-1, 0, 0, 1, 7 * NS_PER_S))) for _ in range(5)]


def changed(chance: random.Random, scenario: Scenario) -> ScenarioPolicy | None:
    """Return the first policy with other limits, health check or wave size; None if that isn't possible."""
    name, raw = next(iter(scenario.to_dict()["policies"].items()))
    check = dict(raw.get("health_check") or {})
    is_general = raw["dialect"] == "general"
    for key, values in {
        "deadline": ("20s", "50s", "5m"),
        "max_error_rate": (0, 0.05, 0.3),
        "min_healthy_time": ("0s", "10s", "45s"),
        "success_threshold": (1, 2, 4),
        "failure_threshold": (1, 3),
        "interval": ("5s", "20s"),
        "evaluation_window": ("5s", "20s"),
    }.items():
        if key in check and chance.random() < 0.5:
            check[key] = chance.choice(values)
    after = dict(raw, health_check=check) if check else dict(raw)
    n = scenario.fleet.nodes
    others: dict[str, tuple[Any, ...]] = {
        "max_failed_nodes": (0, 1, 3, n),
        "max_failed_nodes_percent": (0, 10, 40, 100),
        "max_parallel": (1, 2, 5, n),
        "auto_promote": (False, True),
        "no_auto_rollback": (False, True),
    }
    # If a failure stops nothing, a rollout that waits for ever would miss its progress deadline repeatedly.
    on_failure = scenario.orchestrator_of(scenario.policy(name)).on_failure
    if is_general:
        others |= {
            "retries": (0, 1, 2),
            "retry_delay": ("0s", "7s"),
            "retry_unhealthy": (False, True),
            "progress_deadline": (None,) if on_failure == "continue" else ("20s", "1m"),
            "rollout_deadline": ("1m", "5m"),
            "max_failed_nodes_per_zone": (0, 1, 3),
        }
    for key, values in others.items():
        if (key in raw or is_general or key == "auto_promote") and chance.random() < 0.4:
            after[key] = chance.choice(values)
    try:
        policy = scenario.policy(after)
    except InputError:
        return None
    return None if change_problems(scenario, scenario.policy(name), policy) else policy


def agree(number: int, chance: random.Random, act: Act | None) -> Continued:
    """Run three worlds of a generated scenario on both engines, which must agree; return their outcomes."""
    scenario, policy = generated(number)
    numbers = np.random.default_rng(number).integers(0, 2**32, size=(3, scenario.fleet.nodes + 1))
    worlds = Worlds(numbers[:, 0], numbers[:, 1:])
    at_ns, *looks_ns = instants(chance, scenario, policy, worlds, number)
    change = None if act is None else (at_ns, act)
    how: dict[str, Any] = {"looks_ns": [*looks_ns, at_ns], "nodes_at_ns": looks_ns[0], "change": change, "seed": number}
    one, other = (run_continued(scenario, policy, worlds, engine=engine, **how) for engine in ("reference", "compiled"))
    for place in range(3):
        row, same = one.block.row(0, place), other.block.row(0, place)
        differing = {name: (row[name], same.get(name)) for name in row if not are_equal(name, row, same, 1e-9)}
        assert not differing, (number, place, act, differing)
    assert one.nodes is not None
    assert other.nodes is not None
    for seen, also in ((one.looks, other.looks), (one.nodes, other.nodes)):
        for name in seen.dtype.fields or ():
            assert seen[name].tolist() == also[name].tolist(), (number, act, name)
    return one


def some_act(chance: random.Random) -> Act | None:
    length_ns = chance.choice((0, NS_PER_S, 60 * NS_PER_S))
    acts: tuple[Act | None, ...] = (None, "promote", "cancel", "pause", Pause(length_ns))
    return chance.choice(acts)


def test_engines_agree_on_worlds_and_acts() -> None:
    """Responses, deployments and nodes at any instant, and after any act, are the same in both engines. [property]"""
    states: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for number in range(30, 100):
        chance = random.Random(number)
        seen = agree(20_000 + number, chance, some_act(chance))
        assert seen.nodes is not None
        states.update(STATES[state] for state in seen.looks["state"].ravel())
        statuses.update(NODE_STATUSES[status] for status in seen.nodes["status"].ravel())
    assert set(states) == set(STATES) - {"pending"}
    assert set(statuses) == set(NODE_STATUSES)


def test_engines_agree_on_policies_that_change() -> None:
    """Both engines agree on policies that change on the way, in each changeable field. [property]"""
    fields: Counter[str] = Counter()
    for number in range(90):
        chance = random.Random(number)
        scenario, policy = generated(20_000 + number)
        after = changed(chance, scenario)
        if after is not None:
            agree(20_000 + number, chance, after)
            fields.update(name for name in CAN_CHANGE if getattr(policy.policy, name) != getattr(after.policy, name))
    assert set(fields) == CAN_CHANGE - {"cumulative_failures"}


def _all_but(*streams: Stream) -> Any:
    return lambda nodes, blocks: Lineage(nodes, blocks - {stream.block for stream in streams})


def _nothing(*_: Any) -> None:
    return None


MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "nodes share their crashes": (continuing_module, "Lineage", _all_but(Stream.CRASH_UP)),
    "nodes share their levels": (continuing_module, "Lineage", _all_but(Stream.ERROR_RATE)),
    "nodes share what affects them": (continuing_module, "Lineage", _all_but(Stream.AFFECTED)),
    "nodes share their lines": (continuing_module, "Lineage", _all_but(Stream.CONNECTION_ONLINE)),
    "nodes share their attempts": (continuing_module, "Lineage", _all_but(Stream.UPDATE_DURATION)),
    "a look comes before its instant": (looks_module, "bisect_right", bisect_left),
}
MISTAKES_OF_CHANGES: dict[str, tuple[Any, str, Any]] = {
    "limits are judged with the next failure": (Judging, "judge_anew", _nothing),
    "somebody has to promote": (Pacing, "take_over_promotion", _nothing),
    "waves stay as large": (engine_module, "change_plan", lambda before, *_: before),
    "nodes in flight have the new health check": (
        Node,
        "rule",
        property(lambda node: node._site.terms.rule_of(max(node.fate.wave, 1)), _nothing),
    ),
}


# Mistakes that few scenarios show, and the number of one that does; it is tried first.
TOLD_BY = {
    "nodes share their crashes": 8,
    "nodes share their levels": 32,
    "nodes share what affects them": 12,
    "nodes share their lines": 8,
    "somebody has to promote": 40,
    "waves stay as large": 45,
    "nodes in flight have the new health check": 15,
}


def finds(mistake: str, monkeypatch: pytest.MonkeyPatch, acts: Callable[..., Act | None]) -> bool:
    """Return whether engines disagree if the reference engine makes a mistake."""
    monkeypatch.setattr(*(MISTAKES | MISTAKES_OF_CHANGES)[mistake])
    for number in (TOLD_BY.get(mistake, 0), *range(70)):
        chance = random.Random(number)
        act = acts(chance, generated(20_000 + number)[0])
        try:
            agree(20_000 + number, chance, act)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_worlds_are_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines disagree if one uses other numbers, or looks at another time. [property]"""
    assert finds(mistake, monkeypatch, lambda chance, _: some_act(chance))


@pytest.mark.parametrize("mistake", MISTAKES_OF_CHANGES)
def test_mistakes_in_changes_are_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines disagree if one changes less, or more. [property]"""
    assert finds(mistake, monkeypatch, changed)
