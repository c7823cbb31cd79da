"""The engines' work per node update, counted: an additional draw or event per node fails here on any machine."""

from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter
from types import FrameType
from typing import Any

import numpy as np
import pytest
import simpy
from interpreted import Interpreted
from speed_cases import CASES, POLICY, bench_1000

from simdeploy import simulate
from simdeploy.engines.compiled.engine import run_compiled
from simdeploy.engines.reference.controller import Controller
from simdeploy.engines.reference.prober import Prober
from simdeploy.world.spells import SpellLaws

NODES = 200
SMALL = {
    "fleet.nodes": NODES,
    f"policies.{POLICY}.max_parallel": NODES // 10,
    f"policies.{POLICY}.max_failed_nodes": 20,
}
TABLES = ("events", "timeline", "nodes", "windows", "revisions")
# Maximum per node update: blocks of Philox, draws from distributions, windows computed exactly, and steps of loops, where vector
# instructions may take eight at once. One more of these per node exceeds the maximum.
MOST = {
    "plain": (4.4, 1.2, 0.1, 17.4),
    "mix of releases, 20 % defective": (7.2, 1.4, 0.1, 20.4),
    "own levels": (5.5, 1.9, 2.8, 32.5),
    "flapping and crashes": (8, 1.4, 0.2, 43.2),
    "sliding": (4.4, 1.2, 0.1, 33),
    "sliding, flapping and crashes": (8.1, 1.5, 0.2, 40.1),
    "traffic": (6.4, 1.2, 0.4, 51.8),
    "shared service": (5, 1.2, 0.1, 84.5),
}


@pytest.mark.parametrize("name", CASES)
def test_work_per_node_update(interpreted: Interpreted, name: str) -> None:
    """Blocks, draws and steps per node update stay within their bounds, and the counted source gives the engine's results. [property]"""
    case = CASES[name]
    scenario = bench_1000({**SMALL, **case.changes})
    count = 10 if case.stops else 1
    outcomes, index = interpreted.run(scenario, count=count)
    block = run_compiled(scenario, list(scenario.policies.values()), seed=0, first=0, count=count)
    updates = 0
    for response in ("updated_nodes", "failed_nodes", "touched_nodes"):
        found = outcomes[response][index]
        np.testing.assert_array_equal(found, block.numbers[response][block.index])
        updates += int(found.sum()) if response != "touched_nodes" else 0
    assert updates == NODES * count or case.stops
    counts = interpreted.counts
    per_update = [counts[what] / updates for what in ("blocks", "draws", "binomials", "passes")]
    assert all(np.less_equal(per_update, MOST[name])), (per_update, MOST[name])


@pytest.mark.parametrize("last", [10**9, (1 << 53) + 1, (1 << 61) - 1])
def test_instants_lie_within_the_steps_that_count_them(interpreted: Interpreted, last: int) -> None:
    """Most instants at once are counted within bounds years later, with rounded nanoseconds; compiled code would not notice. [contract]"""
    most_at_once = interpreted.modules["out_at_once"].most_at_once
    for n in range(2, 12):
        starts = np.array([0, *[last] * (n - 1)])
        assert most_at_once(starts, np.array([last, *[last + 1] * (n - 1)]), last) == n - 1


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts of some operations of the reference engine, by name."""
    counts: Counter[str] = Counter()

    def counted(owner: type, name: str) -> None:
        work = getattr(owner, name)

        def count(*args: Any, **keys: Any) -> Any:
            counts[name] += 1
            return work(*args, **keys)

        monkeypatch.setattr(owner, name, count)

    counted(simpy.Environment, "schedule")
    counted(Controller, "act")
    counted(Prober, "_see")
    counted(SpellLaws, "length_ns")
    return counts


def test_events_per_node_update_of_the_reference_engine(counts: Counter[str]) -> None:
    """A node's start and its windows are a SimPy event each, and the control plane looks once at its verdict. [property]"""
    rollout = simulate(bench_1000(SMALL), engine="reference")
    assert rollout.response_values["touched_nodes"] == NODES
    # Some nodes have an unhealthy window, after which they need others; each wave begins with two looks.
    assert 2 * NODES < counts["schedule"] < 2.15 * NODES
    assert NODES < counts["act"] < 1.15 * NODES


def test_windows_and_spells_of_the_reference_engine(counts: Counter[str]) -> None:
    """Only windows with events are computed singly, and only spells that are waited for. [property]"""
    rollout = simulate(bench_1000({**SMALL, **CASES["flapping and crashes"].changes}), engine="reference")
    assert len(rollout.timeline) > 6 * NODES
    degraded = rollout._service.degraded
    assert len(degraded.node) > 0.1 * NODES
    assert 0 < counts["_see"] < 0.4 * NODES
    assert 0 < counts["length_ns"] < 0.4 * NODES


def count_steps(nodes: int, case: str = "flapping and crashes", tables: tuple[str, ...] = TABLES) -> int:
    """Return the number of lines of Python that a rollout and its records execute."""
    changes = CASES[case].changes | {
        "fleet.nodes": nodes,
        f"policies.{POLICY}.max_parallel": nodes // 10,
        f"policies.{POLICY}.max_failed_nodes": nodes,
    }
    scenario = bench_1000(changes)
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        rollout = simulate(scenario, seed=5, engine="reference")
        for table in tables:
            getattr(rollout, table)
    finally:
        sys.settrace(before)
    assert rollout.response_values["updated_nodes"] + rollout.response_values["failed_nodes"] == nodes
    return steps


def test_the_reference_engine_is_linear() -> None:
    """Eight times the nodes take at most eight times the steps, including records. [property]"""
    count_steps(400)  # what is read once is read
    assert 7 < count_steps(3200) / count_steps(400) < 8


def test_steps_per_node_update_of_the_reference_engine() -> None:
    """A plain node executes a known number of lines, SimPy's included; one more per window fails here on any machine. [property]"""
    for tables, most in (((), 391), (TABLES, 424)):
        count_steps(400, "plain", tables)  # what is read once is read
        fewer, more = (count_steps(nodes, "plain", tables) for nodes in (400, 800))
        assert 0 < (more - fewer) / 400 < most, (more - fewer) / 400


def test_garbage_of_the_reference_engine() -> None:
    """The garbage collector visits two objects per node, and has none to free. [property]"""

    def count_left(nodes: int) -> int:
        scenario = bench_1000({**SMALL, "fleet.nodes": nodes})
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            rollout = simulate(scenario, engine="reference")
            for table in TABLES:
                getattr(rollout, table)
            left, world = len(gc.get_objects()) - before, weakref.ref(rollout._recording.world)
            del rollout
            assert world() is None
        finally:
            gc.enable()
        return left

    count_left(NODES)  # caches are filled
    assert count_left(3 * NODES) - count_left(2 * NODES) < 2.5 * NODES
