"""The minimally different world: one thing changes, and everything else stays the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import IMMEDIATE, rolling

from simdeploy import Rollout, Scenario, simulate
from simdeploy.world import draws as draws_module, streams as streams_module
from simdeploy.world.availability import Processes
from simdeploy.world.draws import Draws
from simdeploy.world.realized import World
from simdeploy.world.streams import Stream

NODES = 30
SEED, REPLICATION = 11, 2
MANY_NS = 1 << 62

OUTAGES = {"up": {"exponential": {"mean": "10m"}}, "repair": {"exponential": {"mean": "5m"}}}
LATENT = {"probability": 0.5, "error_rate": 0.5, "after": {"exponential": {"mean": "1m"}}, "affects": {"share": 0.5}}
HEALTH_CHECK = {"deadline": "10m", "max_error_rate": 0.3, "min_healthy_time": "20s"}

# Every stream decides something here, with even odds.
WORLD: dict[str, Any] = {
    "name": "world",
    "fleet": {
        "nodes": NODES,
        "zones": 3,
        "order": "random",
        "requests_per_second": 3,
        "update_duration": {"exponential": {"mean": "40s"}},
        "rollback_duration": {"exponential": {"mean": "30s"}},
        "rollback_failure": 0.5,
        "slowdown": {"uniform": {"low": 0.5, "high": 2}},
        "start_failure": {"uniform": {"low": 0.3, "high": 0.6}},
        "start_attempts": 3,
        "start_hang": 0.3,
        "error_rate": {"uniform": {"low": 0, "high": 0.4}},
        "flapping": {"good": "2m", "degraded": "1m", "error_rate": 0.5},
        "crash": OUTAGES,
        "zone_outage": OUTAGES,
        "connection": {"online": OUTAGES["up"], "offline": OUTAGES["repair"]},
        "classes": [{"name": "other", "share": 0.4, "requests_per_second": 4}],
    },
    # Two kinds that differ only in name, so that their choice changes nothing else.
    "release": {"this": {**LATENT, "defective": True}, "that": {**LATENT, "defective": True}},
    "operator": {
        "promote_after": {"exponential": {"mean": "2m"}},
        "notices_defect": 0.5,
        "rejects_good": 0.5,
        "escape_detection": {"exponential": {"mean": "1h"}},
    },
    "orchestrator": {"on_failure": "continue", "unreachable_nodes": "wait"},
    "policies": {"p": rolling(10, strategy="canary", canary_count=5, health_check=HEALTH_CHECK)},
}

# Streams that only a policy with a gate draws from.
GATE_STREAMS: dict[Stream, Any] = {
    Stream.OLD_WINDOW: {"kind": "baseline", "alpha": 0.5},
    Stream.GATE_ORDER: {"kind": "sprt", "on": "requests", "good": 0.3, "bad": 0.6},
    Stream.WATCHED_WINDOW: "cusum",
}


# Streams that make up a world; others choose among rollouts on record, or reconstruct an observation.
WORLD_STREAMS = [s for s in Stream if s is not Stream.PAST_ROLLOUT and not s.name.startswith("SEEN_")]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.from_dict(WORLD)


def make_world(scenario: Scenario) -> World:
    return World(scenario.fleet, scenario.release, scenario.operator, SEED, REPLICATION)


def spells(processes: Processes | None, subject: int) -> tuple[list[int], list[int]]:
    """Lengths of the first good and of the first bad spells."""
    if processes is None:
        return [], []
    bad = list(islice(processes.undisturbed(subject).bad_spells(0, MANY_NS), 5))
    ends = [0, *(end for _, end in bad)]
    good = [start - end for (start, _), end in zip(bad, ends, strict=False) if start]
    return good, [end - start for start, end in bad]


def decisions(world: World, nodes: range) -> dict[Stream, Any]:
    """Return the decisions of each stream for a range of nodes."""
    attempts = [(node, attempt) for node in nodes for attempt in range(3)]
    crash, flapping, line = world._crash, world._flapping, world.lines._processes
    zones = [(zone, next((one for one in world._zones if one), None)) for zone in range(3)]
    return {
        Stream.RELEASE_KIND: world.release.name if world.release else None,
        Stream.SLOWDOWN: world._slowdown[0],
        Stream.START_FAILURE_LEVEL: world._p_start_failure[0],
        Stream.PROMOTE_AFTER: world.promote_after_ns,
        Stream.OPERATOR_DECISION: world.operator_uniform,
        Stream.ESCAPE_DETECTION: (world.escape_detection_ns, world.undo_after_ns),
        Stream.ORDER: [node for node in world.order if node in nodes],
        Stream.CLASS: world.class_of[list(nodes)].tolist(),
        Stream.AFFECTED: [world.affected[node] for node in nodes],
        Stream.AFTER: [world.after_ns(node) for node in nodes],
        Stream.ERROR_RATE: [world.baseline[node] for node in nodes],
        Stream.UPDATE_DURATION: [world.start_ns(*attempt) for attempt in attempts],
        Stream.START_FAILURE: [world.start_fails(*attempt) for attempt in attempts],
        Stream.START_HANG: [world.start_hangs(*attempt) for attempt in attempts],
        Stream.WINDOW: [world.window_uniform(node, window) for node in nodes for window in (0, 1, 2, 70)],
        Stream.ROLLBACK_DURATION: [world.rollback_ns(node) for node in nodes],
        Stream.ROLLBACK_FAILURE: [world.rollback_fails(node) for node in nodes],
        Stream.CRASH_STATE: [bool(one and one.bad_at(node, 0)) for node, one in enumerate(crash) if node in nodes],
        Stream.CRASH_UP: [spells(crash[node], node)[0] for node in nodes],
        Stream.CRASH_REPAIR: [spells(crash[node], node)[1] for node in nodes],
        Stream.FLAP_STATE: [bool(one and one.bad_at(node, 0)) for node, one in enumerate(flapping) if node in nodes],
        Stream.FLAP_GOOD: [spells(flapping[node], node)[0] for node in nodes],
        Stream.FLAP_DEGRADED: [spells(flapping[node], node)[1] for node in nodes],
        Stream.ZONE_STATE: [bool(one and one.bad_at(zone, 0)) for zone, one in zones],
        Stream.ZONE_UP: [spells(one, zone)[0] for zone, one in zones],
        Stream.ZONE_REPAIR: [spells(one, zone)[1] for zone, one in zones],
        Stream.CONNECTION_STATE: [not world.lines.is_online(node, 0) for node in nodes],
        Stream.CONNECTION_ONLINE: [spells(line[node], node)[0] for node in nodes],
        Stream.CONNECTION_OFFLINE: [spells(line[node], node)[1] for node in nodes],
        **{
            stream: [world.draws.draw(stream, node, index) for node in nodes for index in (0, 1, 2, 70)]
            for stream in GATE_STREAMS
        },
    }


@pytest.fixture(scope="module")
def before(scenario: Scenario) -> dict[Stream, Any]:
    """Return the decisions of the unchanged world."""
    return decisions(make_world(scenario), range(NODES))


# By the model, other numbers enter these decisions: the level that a number is compared with, the factor on a
# duration, and whether the spell at time 0 is the first of its kind.
ENTERS: dict[Stream, set[Stream]] = {
    Stream.SLOWDOWN: {Stream.UPDATE_DURATION},
    Stream.START_FAILURE_LEVEL: {Stream.START_FAILURE},
    Stream.CRASH_STATE: {Stream.CRASH_UP, Stream.CRASH_REPAIR},
    Stream.FLAP_STATE: {Stream.FLAP_GOOD, Stream.FLAP_DEGRADED},
    Stream.ZONE_STATE: {Stream.ZONE_UP, Stream.ZONE_REPAIR},
    Stream.CONNECTION_STATE: {Stream.CONNECTION_ONLINE, Stream.CONNECTION_OFFLINE},
}


def turn_around(patch: pytest.MonkeyPatch, stream: Stream) -> None:
    """Replace every number u of one stream by 1 - u."""
    original = streams_module.block_uniforms

    def mutated(seed: int, replication: Any, block: int, nodes: Any, index_blocks: Any) -> np.ndarray:
        lanes = original(seed, replication, block, nodes, index_blocks).copy()
        turned = [0, 1] if stream.paired_indices else [stream.lane]
        lanes[turned] = np.where(np.equal(block, stream.block), 1 - lanes[turned], lanes[turned])
        return lanes

    patch.setattr(streams_module, "block_uniforms", mutated)
    patch.setattr(draws_module, "block_uniforms", mutated)


@pytest.mark.parametrize("stream", WORLD_STREAMS, ids=lambda stream: stream.name)
def test_a_stream_makes_only_its_own_decision(
    scenario: Scenario, before: dict[Stream, Any], stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other numbers in one stream change its decision, and none of any other stream. [property]"""
    turn_around(monkeypatch, stream)
    after = decisions(make_world(scenario), range(NODES))
    changed = {one for one in WORLD_STREAMS if before[one] != after[one]}
    assert stream in changed
    assert changed - {stream} <= ENTERS.get(stream, set())


@pytest.fixture(scope="module")
def originals() -> dict[int, Rollout]:
    """Return the unchanged world's rollouts by replication, simulated as needed."""
    return {}


@pytest.mark.parametrize("stream", WORLD_STREAMS, ids=lambda stream: stream.name)
def test_stream_is_drawn_from(
    scenario: Scenario, originals: dict[int, Rollout], stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other numbers in one stream change the rollout, so the engine draws from it. [property]"""
    judged, known = scenario, originals
    if stream in GATE_STREAMS:
        # Gates are refused where nodes go offline.
        judged = scenario.with_values({"policies.p.health_check.gate": GATE_STREAMS[stream], "fleet.connection": None})
        known = {}

    def is_another(number: int) -> bool:
        if number not in known:
            known[number] = simulate(judged, seed=SEED, replication=number)
        original = known[number]
        with monkeypatch.context() as patch:
            turn_around(patch, stream)
            other = simulate(judged, seed=SEED, replication=number)
            if not other.responses.equals(original.responses):
                return True
            tables = other.events, other.timeline  # made now, because they may need further numbers
        return not all(map(pd.DataFrame.equals, tables, (original.events, original.timeline)))

    assert any(map(is_another, range(3)))


# One change each, and the decisions it may affect.
CHANGES: dict[str, tuple[dict[str, Any], set[Stream]]] = {
    "more-attempts": ({"fleet.start_attempts": 7}, set()),
    "more-traffic": ({"fleet.requests_per_second": 100}, set()),
    "no-slowdown": ({"fleet.slowdown": 1}, {Stream.SLOWDOWN, Stream.UPDATE_DURATION}),
    "other-durations": ({"fleet.update_duration": {"lognormal": {"median": 9, "p95": 99}}}, {Stream.UPDATE_DURATION}),
    "no-hangs": ({"fleet.start_hang": 0}, {Stream.START_HANG}),
    "other-failures": ({"fleet.start_failure": 0.1}, {Stream.START_FAILURE, Stream.START_FAILURE_LEVEL}),
    "sure-rollbacks": ({"fleet.rollback_failure": 0}, {Stream.ROLLBACK_FAILURE}),
    "other-rollbacks": ({"fleet.rollback_duration": 5}, {Stream.ROLLBACK_DURATION}),
    "other-baseline": ({"fleet.error_rate": 0.1}, {Stream.ERROR_RATE}),
    "no-crashes": ({"fleet.crash": None}, {Stream.CRASH_STATE, Stream.CRASH_UP, Stream.CRASH_REPAIR}),
    "other-repairs": ({"fleet.crash.repair": {"uniform": {"low": 0, "high": 600}}}, {Stream.CRASH_REPAIR}),
    "no-flapping": ({"fleet.flapping": None}, {Stream.FLAP_STATE, Stream.FLAP_GOOD, Stream.FLAP_DEGRADED}),
    "no-outages": ({"fleet.zone_outage": None}, {Stream.ZONE_STATE, Stream.ZONE_UP, Stream.ZONE_REPAIR}),
    "always-online": (
        {"fleet.connection": None},
        {Stream.CONNECTION_STATE, Stream.CONNECTION_ONLINE, Stream.CONNECTION_OFFLINE},
    ),
    "longer-offline": ({"fleet.connection.offline": "5m"}, {Stream.CONNECTION_OFFLINE}),
    "by-index": ({"fleet.order": "index"}, {Stream.ORDER}),
    "no-classes": ({"fleet.classes": None}, {Stream.CLASS}),
    "shows-at-once": ({"release.this.after": 0, "release.that.after": 0}, {Stream.AFTER}),
    "affects-all": ({"release.this.affects": "all", "release.that.affects": "all"}, {Stream.AFFECTED}),
    "affects-count": ({"release.this.affects": {"count": 9}, "release.that.affects": {"count": 9}}, {Stream.AFFECTED}),
    "one-kind": ({"release.this.probability": 1, "release.that.probability": 0}, {Stream.RELEASE_KIND}),
    "other-people": ({"operator.notices_defect": 0.1, "operator.rejects_good": 0.9}, set()),
    "prompt-operator": ({"operator.promote_after": 1}, {Stream.PROMOTE_AFTER}),
    "slow-detection": ({"operator.escape_detection": "9h"}, {Stream.ESCAPE_DETECTION}),
    "prompt-undoing": ({"operator.undo_after": "9m"}, {Stream.ESCAPE_DETECTION}),
    "script": ({"operator.script": [{"at": "1m", "do": "pause"}]}, set()),
    "longer-windows": ({"health.interval": "20s"}, set()),
    "other-policy": ({"policies.p.max_parallel": 1, "policies.p.canary_count": 2}, set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_affects_only_its_own_decisions(scenario: Scenario, before: dict[Stream, Any], change: str) -> None:
    """One changed key of the world affects no unrelated decision. [property]"""
    values, about = CHANGES[change]
    after = decisions(make_world(scenario.with_values(values)), range(NODES))
    assert {stream for stream in WORLD_STREAMS if before[stream] != after[stream]} <= about


@pytest.mark.parametrize("more", [1, 700, 2000])
def test_more_nodes_change_no_other_node(scenario: Scenario, before: dict[Stream, Any], more: int) -> None:
    """Nodes added at the end leave decisions about the others, and their relative order, unchanged. [property]"""
    # Classes are shares of the fleet: more nodes are more members, so membership may change.
    after = decisions(make_world(scenario.with_values({"fleet.nodes": NODES + more})), range(NODES))
    assert {stream for stream in WORLD_STREAMS if before[stream] != after[stream]} <= {Stream.CLASS}


def test_another_class_changes_no_node_outside(scenario: Scenario) -> None:
    """Other laws for one class leave the nodes outside it unchanged. [property]"""
    laws = {"update_duration": 3, "start_failure": 0.9, "crash": {"up": 100, "repair": 100}, "flapping": None}
    values = {f"fleet.classes.other.{name}": law for name, law in laws.items()}
    changed = scenario.with_values({**values, "fleet.classes.other.error_rate": 0})
    one, other = make_world(scenario), make_world(changed)
    assert (one.class_of == other.class_of).all()
    for node in np.flatnonzero(one.class_of == 0).tolist():
        assert decisions(one, range(node, node + 1)) == decisions(other, range(node, node + 1))


def fates(rollout: Rollout) -> dict[int, list[Any]]:
    """Return attempts and durations of a node's start and rollback, which don't depend on their times."""
    nodes = rollout.nodes[rollout.nodes["started_at_s"].notna()]
    took_s = nodes["started_at_s"] - nodes["dispatched_at_s"]
    columns = zip(nodes["node"], nodes["attempts"], took_s.round(6), nodes["affected"], strict=True)
    return {node: rest for node, *rest in columns}


POLICIES: dict[str, dict[str, Any]] = {
    "one-by-one": rolling(1, health_check=HEALTH_CHECK),
    "waves": rolling(7, health_check=HEALTH_CHECK),
    "at-once": IMMEDIATE,
    "thresholds": rolling(40, dialect="rollout", health_check={"deadline": 600000000000, "interval": 5000000000}),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("pacing", ["barrier", "sliding", "rate"])
def test_policy_changes_no_fate(scenario: Scenario, policy: str, pacing: str) -> None:
    """Under another policy or pacing a node that starts takes as many attempts, and as long. [property]"""
    changed = scenario.with_values({"orchestrator.pacing": pacing})
    before = fates(simulate(scenario, {"strategy": "immediate"}, seed=SEED))
    after = fates(simulate(changed, POLICIES[policy], seed=SEED))
    both = before.keys() & after.keys()
    assert len(both) >= 8
    assert {node: before[node] for node in both} == {node: after[node] for node in both}


def drawn_in(scenario: Scenario, patch: pytest.MonkeyPatch) -> Iterator[tuple[Stream, int, int]]:
    """The places of the numbers that one rollout draws individually."""
    places: list[tuple[Stream, int, int]] = []
    draw = Draws.draw

    def spy(draws: Draws, stream: Stream, node: int = 0, index: int = 0) -> float:
        places.append((stream, node, index))
        return draw(draws, stream, node, index)

    with patch.context() as context:
        context.setattr(Draws, "draw", spy)
        simulate(scenario, seed=SEED)
    return iter(places)


def test_no_number_decides_twice(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window and each attempt has a number of its own. [property]"""
    once = {Stream.WINDOW, Stream.START_FAILURE, Stream.START_HANG}
    # A number that isn't cached is drawn again when it is: in succession, by `draw` itself.
    places = list(drawn_in(scenario, monkeypatch))
    asked = Counter(place for place, before in zip(places, [None, *places], strict=False) if place != before)
    assert {place[0] for place in asked} >= once
    assert not [place for place, times in asked.items() if place[0] in once and times > 1]
