"""The speed of both engines relative to programs that simulate only the plain rollout, in one run."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from peers import N_NODES, PEERS, run_simpy
from speed_cases import POLICY, Row, bench_1000, best_of

from simdeploy import Scenario, simulate
from simdeploy.engines.compiled.engine import run_compiled

pytestmark = [
    pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning"),
    pytest.mark.benchmark(timer=time.process_time),
]

ROLLOUTS = {"plain SimPy": 200, "a heapq loop": 400, "a numba loop": 4000}
RECORDS = ("events", "timeline", "nodes", "windows", "revisions")
SIZES = (1_000, 10_000, 100_000)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return bench_1000()


def of_engine(scenario: Scenario, count: int) -> np.ndarray:
    """Makespans, failed nodes and windows of the compiled engine."""
    block = run_compiled(scenario, list(scenario.policies.values()), seed=0, first=0, count=count)
    names = ("makespan_s", "failed_nodes", "decision_windows")
    return np.column_stack([block.numbers[name][block.index[0]] for name in names])


def assert_alike(some: np.ndarray, others: np.ndarray) -> None:
    """Means and variances are within four standard errors of each other."""
    for place in range(some.shape[1]):
        a, b = some[:, place], others[:, place]
        squares = (a - a.mean()) ** 2, (b - b.mean()) ** 2
        for x, y in ((a, b), squares):
            error = math.hypot(x.std(ddof=1) / math.sqrt(len(x)), y.std(ddof=1) / math.sqrt(len(y)))
            assert abs(x.mean() - y.mean()) <= 4 * error, (place, x.mean(), y.mean(), error)


@pytest.mark.parametrize("name", PEERS)
def test_compiled_beside_peers(benchmark: Any, scenario: Scenario, name: str, row: Row) -> None:
    """Makespans, failed nodes and windows have the peer's distributions; the engine is faster."""
    count, run = ROLLOUTS[name], PEERS[name]
    run(0, 1)  # compiled
    assert_alike(run(1, count), of_engine(scenario, 4000))
    seconds = benchmark.pedantic(lambda: best_of(1, lambda: run(2, count)), rounds=1) / count
    seconds = min(seconds, best_of(2, lambda: run(2, count)) / count)
    own = best_of(3, lambda: of_engine(scenario, 1000)) / 1000
    per_node = 1e9 / N_NODES
    row(
        f"compiled engine beside {name} of the plain case",
        f"{seconds / own:.0f} times as fast: {own * per_node:.0f} against {seconds * per_node:,.0f} ns a node",
        "the peer's eight events a node; the engine has none",
    )
    assert seconds > own


@pytest.mark.parametrize("what", ["responses only", "with records"])
def test_reference_beside_simpy(benchmark: Any, scenario: Scenario, what: str, row: Row) -> None:
    """The reference engine takes a few times as long as plain SimPy, taken in turn on the same machine."""
    n = 20
    tables = RECORDS if what == "with records" else ()

    def reference() -> None:
        for number in range(n):
            rollout = simulate(scenario, seed=0, replication=number, engine="reference")
            assert rollout.response_values["touched_nodes"] == N_NODES
            for table in tables:
                getattr(rollout, table)

    def times() -> tuple[float, float]:
        pairs = [(best_of(1, reference), best_of(1, lambda: run_simpy(3, n))) for _ in range(5)]
        ours, theirs = (min(column) for column in zip(*pairs, strict=True))
        return ours, theirs

    ours, theirs = benchmark.pedantic(times, rounds=1)
    per_node = 1e6 / n / N_NODES
    row(
        f"reference engine beside plain SimPy, {what}",
        f"{ours / theirs:.1f} times as long: {ours * per_node:.1f} against {theirs * per_node:.1f} us a node",
        "SimPy's own events, then recording transitions and windows for responses and records",
    )


@pytest.fixture(scope="module")
def seconds_per_node() -> dict[tuple[str, int], float]:
    """Best times by program and size, filled by the tests in their order."""
    return {}


@pytest.mark.parametrize("nodes", SIZES)
def test_growth_beside_simpy(
    benchmark: Any, nodes: int, seconds_per_node: dict[tuple[str, int], float], row: Row
) -> None:
    """The cost of a node, with records, grows less with the fleet than in plain SimPy, whose data outgrow the caches, too."""
    changes = {
        "fleet.nodes": nodes,
        **{f"policies.{POLICY}.max_{what}": nodes // 10 for what in ("parallel", "failed_nodes")},
    }
    scenario = bench_1000(changes)

    def reference() -> None:
        rollout = simulate(scenario, seed=0, engine="reference")
        assert rollout.response_values["touched_nodes"] == nodes
        for table in RECORDS:
            getattr(rollout, table)

    def times() -> dict[str, float]:
        rounds = max(SIZES[-1] // nodes // 4, 2)
        pairs = [(best_of(1, reference), best_of(1, lambda: run_simpy(3, 1, nodes // 10))) for _ in range(rounds)]
        return dict(zip(("reference", "simpy"), map(min, zip(*pairs, strict=True)), strict=True))

    of_size = {name: seconds / nodes for name, seconds in benchmark.pedantic(times, rounds=1).items()}
    growth = {name: seconds / seconds_per_node.get((name, nodes // 10), seconds) for name, seconds in of_size.items()}
    seconds_per_node.update({(name, nodes): seconds for name, seconds in of_size.items()})
    ours, theirs = (
        f"{1e6 * of_size[name]:.1f}{f' ({growth[name]:.2f} times that of {nodes // 10:,} nodes)' if nodes > SIZES[0] else ''}"
        for name in ("reference", "simpy")
    )
    row(
        f"reference engine with records beside plain SimPy, {nodes:,} nodes",
        f"{of_size['reference'] / of_size['simpy']:.1f} times as long: {ours} against {theirs} us a node",
        "memory: events and generators of the nodes in flight exceed the caches, in both",
    )
    assert growth["reference"] <= 1.1 * growth["simpy"]
