"""Node updates per second per core of both engines, grids on one pass, workers, sizes, memory, and the first result.

A node update is one node from its dispatch to its verdict. Ratios are of times taken one after the other in one run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speed_cases import CASES, CRASHES, FLAPPING, Row, bench_1000

from simdeploy import Scenario, replicate, simulate
from simdeploy.engines.block import Block
from simdeploy.engines.branching import Branches, run_branches
from simdeploy.engines.compiled.engine import run_compiled
from simdeploy.scenario import ScenarioPolicy

# One thread computes, so its processor time is the time it takes on an idle machine.
pytestmark = [
    pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning"),
    pytest.mark.benchmark(timer=time.process_time),
]

# A fifth of the nodes is offline at any time.
CONNECTION = {
    "fleet.update_duration": {"lognormal": {"median": "30s", "p95": "60s"}},
    "fleet.connection": {"online": {"exponential": {"mean": "20m"}}, "offline": {"exponential": {"mean": "5m"}}},
    "policies.waves-of-100.max_failed_nodes_percent": 100,
}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    made = bench_1000()
    run_compiled(made, list(made.policies.values()), seed=0, first=0, count=1)
    return made


def policies_of(scenario: Scenario) -> list[ScenarioPolicy]:
    return list(scenario.policies.values())


def updates(block: Block) -> int:
    """Nodes that got a verdict, over all policies and replications."""
    resolved = block.numbers["updated_nodes"] + block.numbers["failed_nodes"]
    assert block.is_ok.all()
    return int(resolved[block.index].sum())


def best_of(rounds: int, work: Callable[[], Any]) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", CASES)
def test_node_updates(benchmark: Any, scenario: Scenario, name: str, row: Row) -> None:
    """Nodes are updated, some starts fail and some windows are unhealthy; the rate per core is at least the stated one."""
    case = CASES[name]
    changed = scenario.with_values(case.changes)
    n = case.replications
    block = benchmark.pedantic(
        run_compiled, (changed, policies_of(changed)), {"seed": 0, "first": 0, "count": n}, rounds=5, warmup_rounds=1
    )
    done = updates(block)
    assert (
        done >= (0.5 if case.stops else 0.999) * n * 1000
    )  # a node that is down at its turn has failed without an update
    assert block.numbers["failed_nodes"].sum() > n * 10 * 0.9
    assert (block.numbers["decision_windows"] > 6 * block.numbers["updated_nodes"]).any()
    rate = done / benchmark.stats.stats.min / 1e6
    benchmark.extra_info["million_updates_per_second"] = round(rate, 2)
    row(name, f"{rate:.1f} million node updates a second and core, {1e3 / rate:.0f} ns each", case.bound_by)
    assert rate > case.least


@pytest.mark.parametrize("unreachable", ["skip", "fail", "wait"])
def test_connection(benchmark: Any, scenario: Scenario, unreachable: str, say: Callable[[str], None]) -> None:
    """Nodes that come and go, by what becomes of those that are offline at their turn."""
    changed = scenario.with_values(
        {
            **CONNECTION,
            "orchestrator.unreachable_nodes": unreachable,
            "policies.waves-of-100.max_failed_nodes": 1000,
        }
    )
    block = benchmark.pedantic(
        run_compiled, (changed, policies_of(changed)), {"seed": 0, "first": 0, "count": 300}, rounds=9, warmup_rounds=1
    )
    done = int(block.numbers["touched_nodes"][block.index].sum())
    assert done > (0.999 if unreachable == "wait" else 0.78) * 300 * 1000
    rate = done / benchmark.stats.stats.min / 1e6
    say(f"connection, {unreachable}: {rate:.1f} million node updates a second per core, {1e3 / rate:.0f} ns each")
    assert rate > 3


@pytest.mark.parametrize("how", ["under a tilt", "branches"])
def test_rare_events(benchmark: Any, scenario: Scenario, how: str, say: Callable[[str], None]) -> None:
    """The same nodes with weights, and as branches of which each node has a replication of its own."""
    policy = policies_of(scenario)[0]
    n, n_nodes = 500, scenario.fleet.nodes
    lineages = np.random.default_rng(0).integers(0, 1 << 32, size=(n, n_nodes))
    branches = Branches(np.arange(n), lineages, "failed_nodes", 5)
    tilted = scenario.tilted({"start_failure": 2})

    def work() -> Block:
        if how == "branches":
            return run_branches(scenario, policy, branches, seed=0, engine="compiled")[0]
        return run_compiled(tilted, [policy], seed=0, first=0, count=n)

    block = benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    assert updates(block) == n * n_nodes
    assert ("weight" in block.numbers) == (how != "branches")
    rate = n * n_nodes / benchmark.stats.stats.min / 1e6
    say(f"{how}: {rate:.1f} million node updates a second per core, {1e3 / rate:.0f} ns each")


def test_ratio_to_the_reference(benchmark: Any, scenario: Scenario, say: Callable[[str], None]) -> None:
    """On the same replications, with the same outcomes, the compiled engine is at least 200 times as fast."""
    policies, n = policies_of(scenario), 20
    records = ("events", "timeline", "nodes", "revisions")

    def reference() -> list[dict[str, Any]]:
        rollouts = [simulate(scenario, seed=0, replication=number, engine="reference") for number in range(n)]
        return [{**one.response_values, "rows": sum(len(getattr(one, name)) for name in records)} for one in rollouts]

    rows = reference()
    expected = best_of(3, reference) / n
    alone = best_of(3, lambda: [simulate(scenario, seed=0, replication=number).response_values for number in range(n)])
    block = benchmark.pedantic(
        run_compiled, (scenario, policies), {"seed": 0, "first": 0, "count": 1000}, rounds=5, warmup_rounds=1
    )
    seconds = benchmark.stats.stats.min / 1000
    for place, row in enumerate(rows):
        assert row["failed_nodes"] == block.numbers["failed_nodes"][block.index[0, place]]
        assert row["makespan_s"] == pytest.approx(block.numbers["makespan_s"][block.index[0, place]], rel=1e-9)
    say(
        f"reference: {1e3 * expected:.1f} us a node update with records, {1e3 * alone / n:.1f} with responses only; "
        f"compiled: {alone / n / seconds:.0f} times as fast as the latter, {expected / seconds:.0f} as the former"
    )
    assert alone / n / seconds >= 200


def grid(scenario: Scenario, waves: Sequence[int], healthy_s: Sequence[int]) -> list[ScenarioPolicy]:
    """Make 20 error rates x 20 limits x waves x times."""
    spec = scenario.to_dict()["policies"]["waves-of-100"]
    return [
        scenario.policy(
            {
                **spec,
                "max_failed_nodes": limit,
                "max_parallel": size,
                "health_check": {"deadline": "10m", "max_error_rate": rate, "min_healthy_time": f"{healthy}s"},
            }
        )
        for rate in np.linspace(0.01, 0.2, 20).round(4).tolist()
        for limit in range(20)
        for size in waves
        for healthy in healthy_s
    ]


@pytest.mark.parametrize(
    ("waves", "healthy_s", "most"),
    [((100,), (60,), 8), ((20, 50, 100, 200, 500), (20, 40, 60, 80, 100), 80)],
    ids=["400 cells", "10,000 cells"],
)
def test_cells_on_one_pass(
    benchmark: Any,
    scenario: Scenario,
    waves: Sequence[int],
    healthy_s: Sequence[int],
    most: float,
    say: Callable[[str], None],
) -> None:
    """All cells of a grid cost a few times one cell, and each has the outcome that it has alone."""
    cells = grid(scenario, waves, healthy_s)
    n = 1000
    one = best_of(5, lambda: run_compiled(scenario, policies_of(scenario), seed=0, first=0, count=1000)) / 1000
    block = benchmark.pedantic(
        run_compiled, (scenario, cells), {"seed": 0, "first": 0, "count": n}, rounds=3, warmup_rounds=1
    )
    assert block.index.shape == (len(cells), n)
    for number in range(0, len(cells), len(cells) // 20):
        alone = run_compiled(scenario, [cells[number]], seed=0, first=0, count=n)
        for name, values in alone.numbers.items():
            np.testing.assert_array_equal(values[alone.index[0]], block.numbers[name][block.index[number]])
    times = benchmark.stats.stats.min / n / one
    say(
        f"{len(cells):,} cells cost {times:.1f} times one cell; {block.n_rows / n:.0f} different outcomes a replication"
    )
    assert times <= most


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Dask cluster of two processes on this machine, each of which has loaded the engine."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made.scheduler_address


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("where", ["two threads", "Dask on two processes"])
def test_two_workers(
    benchmark: Any, scenario: Scenario, where: str, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> None:
    """Two workers do the same work in about half the time (wall clock; only a quiet machine shows it)."""
    options: dict[str, Any] = {"workers": 2}
    if where != "two threads":
        options = {"cluster": request.getfixturevalue("cluster")}

    def work(options: dict[str, Any], replications: int = 1_000_000) -> Any:
        return replicate(scenario, replications=replications, engine="compiled", **options)

    work(options, 20_000)
    start = time.perf_counter()
    table = work({})
    one = time.perf_counter() - start
    same = benchmark.pedantic(work, (options,), rounds=2)
    assert table["makespan_s"].equals(same["makespan_s"])
    two = benchmark.stats.stats.min
    say(
        f"{where}: {one / two:.2f} times as fast as one worker, over {len(table):,} replications ({os.cpu_count()} cores)"
    )


@pytest.mark.parametrize("what", ["plain", "with flapping and crashes", "with a connection"])
@pytest.mark.parametrize("nodes", [1_000, 10_000, 100_000, 1_000_000])
def test_nodes(benchmark: Any, scenario: Scenario, nodes: int, what: str, say: Callable[[str], None]) -> None:
    """A fleet of any size in ten waves: all of it is updated."""
    waits = {**CONNECTION, "orchestrator.unreachable_nodes": "wait"}
    changes = {"plain": {}, "with flapping and crashes": {**FLAPPING, **CRASHES}, "with a connection": waits}[what]
    changed = scenario.with_values(
        {
            "fleet.nodes": nodes,
            "policies.waves-of-100.max_parallel": nodes // 10,
            "policies.waves-of-100.max_failed_nodes": nodes,
            **changes,
        }
    )
    count = max(1, 100_000 // nodes)
    block = benchmark.pedantic(
        run_compiled, (changed, policies_of(changed)), {"seed": 0, "first": 0, "count": count}, rounds=3
    )
    assert updates(block) == nodes * count
    seconds = benchmark.stats.stats.min / count
    say(f"{nodes:>9,} nodes {what}: {seconds:.4f} s a replication, {1e9 * seconds / nodes:.0f} ns a node")


@pytest.mark.parametrize("replications", [100, 10_000, 1_000_000])
def test_replications_into_a_store(
    benchmark: Any, scenario: Scenario, replications: int, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """Memory is flat in replications: a million of them into a store stay under 1 GB."""
    code = textwrap.dedent(
        f"""
        import re, simdeploy
        from pathlib import Path
        scenario = simdeploy.read_scenario({str(Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml")!r})
        result = simdeploy.sweep(scenario, "waves-of-100", vary={{"max_failed_nodes": [100]}},
                                 replications={replications}, engine="compiled", store={str(tmp_path / "store")!r})
        stored = simdeploy.read_store({str(tmp_path / "store")!r})
        assert len(stored) == {replications}
        # Not ru_maxrss, which a process inherits from the one that started it.
        print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)
        """
    )
    run = benchmark.pedantic(
        subprocess.run, ([sys.executable, "-c", code],), {"check": True, "capture_output": True, "text": True}, rounds=1
    )
    megabytes = int(run.stdout.split()[-1])
    say(f"{replications:>9,} replications into a store: {megabytes} MB at most")
    assert megabytes < 1000


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_first_result(
    benchmark: Any, cache: str, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> None:
    """A fresh process has its first result at once from the cache; without it, once the engine is compiled."""
    folder = tmp_path_factory.mktemp("cache", numbered=True) if cache == "cold" else None
    code = textwrap.dedent(
        f"""
        import simdeploy
        scenario = simdeploy.read_scenario({str(Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml")!r})
        print(simdeploy.simulate(scenario, engine="compiled").response_values["state"])
        """
    )
    environment = dict(os.environ) if folder is None else {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    run = benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-c", code],),
        {"check": True, "capture_output": True, "text": True, "env": environment},
        rounds=1,
    )
    assert run.stdout.split() == ["completed"]
    assert ("compiling" in run.stderr) == (cache == "cold")
    say(f"first result in a fresh process, {cache} cache: {benchmark.stats.stats.min:.1f} s")
