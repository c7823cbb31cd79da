"""Worlds that continue what was seen: whose numbers they have, how they look on the way, and what an act changes."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from generators import Decisions, scenario_of
from rows_equal import are_equal

from simdeploy import Scenario, simulate
from simdeploy.engines.continuing import NOT_THERE, Act, Continued, Pause, Worlds, change_problems, run_continued
from simdeploy.engines.running import run_block
from simdeploy.errors import InputError
from simdeploy.scenario import ScenarioPolicy
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import NODE_STATUSES, STATES
from simdeploy.world.draws import OF_NODES
from simdeploy.world.streams import Stream

pytestmark = pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")

ENGINES = ("reference", "compiled")

IN_TWOS = Scenario.from_dict(
    {
        "name": "in twos",
        "fleet": {"nodes": 6, "update_duration": "30s", "rollback_duration": "20s"},
        "release": {"good": {"probability": 0.5}, "bad": {"probability": 0.5, "defective": True}},
        "operator": {"promote_after": "10m", "rejects_good": 0, "notices_defect": 0},
        "policies": {
            "in-twos": {
                "strategy": "canary",
                "canary_count": 2,
                "max_parallel": 2,
                "health_check": {"deadline": "2m", "min_healthy_time": "30s"},
            }
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


def run_one(at_s: float, act: Act, engine: str, looks_s: tuple[float, ...] = ()) -> Continued:
    return run_continued(
        IN_TWOS,
        POLICY,
        plain(1, IN_TWOS),
        looks_ns=[int(look * NS_PER_S) for look in looks_s],
        change=(int(at_s * NS_PER_S), act),
        seed=1,
        engine=engine,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_worlds_of_one_replication_are_replications(engine: str) -> None:
    """Worlds whose nodes have their root's numbers have the responses of that replication. [property]"""
    for number in range(20):
        scenario, policy = generated(number)
        worlds = run_continued(scenario, policy, plain(3, scenario), looks_ns=[], seed=number, engine=engine)
        block = run_block(scenario, [policy], seed=number, first=0, count=3, engine=engine)
        for place in range(3):
            one, other = block.row(0, place), worlds.block.row(0, place)
            assert all(are_equal(name, one, other, 0) for name in one), number


def test_every_number_is_of_the_fleet_or_of_a_node() -> None:
    """Nodes have all numbers of their own, but for those that deal them their place in the fleet. [contract]"""
    of_nodes = {stream for stream in Stream if stream.node_is == "node"} - {Stream.ORDER, Stream.CLASS}
    assert {stream for stream in Stream if stream.block in OF_NODES} == of_nodes


@pytest.mark.parametrize("engine", ENGINES)
def test_a_node_takes_only_its_own_numbers_along(engine: str) -> None:
    """A node that has another replication's numbers starts when it does there, and nobody else changes. [property]"""
    scenario = IN_TWOS.with_values(
        {"fleet.update_duration": {"exponential": {"mean": "30s"}}, "policies": {"all": {"strategy": "immediate"}}}
    )
    policy = scenario.policy("all")
    worlds = plain(2, scenario)
    worlds.nodes[0, 3] = 1
    seen = run_continued(scenario, policy, worlds, looks_ns=[], nodes_at_ns=10**15, seed=1, engine=engine).nodes
    alone = [simulate(scenario, policy, seed=1, replication=number).nodes["started_at_s"] for number in range(2)]
    assert seen is not None
    assert (seen["started_ns"][0] / NS_PER_S).tolist() == [alone[int(node == 3)][node] for node in range(6)]


@pytest.mark.parametrize("engine", ENGINES)
def test_looks_show_the_deployment_and_its_nodes(engine: str) -> None:
    """Canaries of 30 s each are validated at 30 s, running at 60 s, and promoted at 660 s; four nodes follow. [contract]"""
    looks_s = (0, 59, 60, 660, 720, 780)
    seen = run_continued(
        IN_TWOS,
        POLICY,
        plain(1, IN_TWOS),
        looks_ns=[look * NS_PER_S for look in looks_s],
        nodes_at_ns=690 * NS_PER_S,
        seed=1,
        engine=engine,
    )
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
    assert [NODE_STATUSES[status] for status in nodes["status"]] == (
        ["running"] * 2 + ["validating"] * 2 + ["pending"] * 2
    )
    assert (nodes["dispatched_ns"] / NS_PER_S).tolist() == [0, 0, 660, 660, none, none]
    assert (nodes["started_ns"] / NS_PER_S).tolist() == [30, 30, 690, 690, none, none]
    assert (nodes["resolved_ns"] / NS_PER_S).tolist() == [60, 60] + [none] * 4


@pytest.mark.parametrize("engine", ENGINES)
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
def test_what_an_act_does(act: Act, makespan_s: float, state: str, engine: str) -> None:
    """Acts at 100 s, when the canaries wait for their promotion: a pause until 800 s delays the two waves that follow. [contract]"""
    done = run_one(100, act, engine).block.row(0, 0)
    assert done["state"] == state
    assert done["makespan_s"] == pytest.approx(makespan_s, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_act_comes_after_the_end_of_its_instant(engine: str) -> None:
    """A cancel after 60 s leaves the deployment of 60 s as it is. [contract]"""
    looks = run_one(60, "cancel", engine, (60, 61)).looks[0]
    assert [STATES[state] for state in looks["state"]] == ["in_progress", "canceled"]
    assert looks["updated_nodes"].tolist() == [2, 2]
    assert looks["completed_ns"].tolist() == [NOT_THERE, 60 * NS_PER_S + 1]


# -- both engines ----------------------------------------------------------------------------------


def instant(chance: random.Random, scenario: Scenario, policy: ScenarioPolicy, worlds: Worlds, seed: int) -> int:
    """Return an instant at which something happens in a replication, or one just before or after, or any other."""
    rollout = simulate(scenario, policy, seed=seed, replication=int(worlds.roots[0]), engine="reference")
    times: list[float] = rollout.revisions["time_s"].tolist()
    return max(0, round(chance.choice(times) * NS_PER_S) + chance.choice((-1, 0, 0, 1, 7 * NS_PER_S)))


def changed(chance: random.Random, scenario: Scenario) -> ScenarioPolicy | None:
    """Return the first policy with other limits, another health check, or waves of another size; None if that isn't possible."""
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
    if is_general:
        others |= {
            "retries": (0, 1, 2),
            "retry_delay": ("0s", "7s"),
            "retry_unhealthy": (False, True),
            "progress_deadline": ("20s", "1m"),
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
    """Run three worlds of a generated scenario on both engines, which must agree; return what became of them."""
    scenario, policy = generated(number)
    numbers = np.random.default_rng(number).integers(0, 2**32, size=(3, scenario.fleet.nodes + 1))
    worlds = Worlds(numbers[:, 0], numbers[:, 1:])
    at_ns = instant(chance, scenario, policy, worlds, number)
    looks_ns = [instant(chance, scenario, policy, worlds, number) for _ in range(4)]
    one, other = (
        run_continued(
            scenario,
            policy,
            worlds,
            looks_ns=[*looks_ns, at_ns],
            nodes_at_ns=looks_ns[0],
            change=None if act is None else (at_ns, act),
            seed=number,
            engine=engine,
        )
        for engine in ("reference", "compiled")
    )
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
