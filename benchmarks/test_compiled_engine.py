"""Node updates per second per core of both engines, workers, sizes, memory, and the first result.

A node update is one node from its dispatch to its verdict. Ratios are of times taken one after the other in one run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speed_cases import CASES, CRASHES, FLAPPING, OWN_LEVELS, SHARED, TRAFFIC, Row, bench_1000, best_of

from simdeploy import Scenario, replicate, simulate
from simdeploy.engines.block import Block
from simdeploy.engines.branching import Branches, run_branches
from simdeploy.engines.compiled.engine import run_compiled
from simdeploy.scenario import ScenarioPolicy
from simdeploy.vocabulary import TERMINAL_STATES

BENCH = Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml"

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

EVERYTHING = {**SHARED, **TRAFFIC, **CRASHES, **FLAPPING, **OWN_LEVELS}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    made = bench_1000()
    run_compiled(made, list(made.policies.values()), seed=0, first=0, count=1)
    return made


def policies_of(scenario: Scenario) -> list[ScenarioPolicy]:
    return list(scenario.policies.values())


def updates(block: Block) -> int:
    """Return the number of nodes with a verdict, over all policies and replications."""
    resolved = block.numbers["updated_nodes"] + block.numbers["failed_nodes"]
    assert block.is_ok.all()
    return int(resolved[block.index].sum())


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
def test_connection(benchmark: Any, scenario: Scenario, unreachable: str, row: Row) -> None:
    """Times nodes that go offline and return, for each value of `unreachable_nodes`."""
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
    row(
        f"connection, {unreachable}",
        f"{rate:.1f} million node updates a second and core, {1e3 / rate:.0f} ns each",
        "each node's first spells of its connection, and the queue of late reports",
    )
    assert rate > 3


@pytest.mark.parametrize("how", ["under a tilt", "branches"])
def test_rare_events(benchmark: Any, scenario: Scenario, how: str, row: Row) -> None:
    """Times the same nodes with weights, and as branches in which each node has its own replication."""
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
    row(
        how,
        f"{rate:.1f} million node updates a second and core, {1e3 / rate:.0f} ns each",
        "rollouts one by one instead of in bundles, and records of each node",
    )


def test_ratio_to_the_reference(benchmark: Any, scenario: Scenario, row: Row) -> None:
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
    for place, values in enumerate(rows):
        assert values["failed_nodes"] == block.numbers["failed_nodes"][block.index[0, place]]
        assert values["makespan_s"] == pytest.approx(block.numbers["makespan_s"][block.index[0, place]], rel=1e-9)
    row(
        "compiled engine beside the reference engine",
        f"{alone / n / seconds:.0f} times as fast with responses only ({1e3 * alone / n:.1f} us a node update), "
        f"{expected / seconds:.0f} with records ({1e3 * expected:.1f} us)",
        "see the reference engine compared with plain SimPy",
    )
    assert alone / n / seconds >= 200


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Dask cluster of two processes on this machine, each of which has loaded the engine."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made.scheduler_address


class Independent:
    """Two independent processes, each of which does half of a job on request."""

    def __init__(self) -> None:
        code = textwrap.dedent(
            f"""
            import simdeploy
            scenario = simdeploy.read_scenario({str(BENCH)!r})
            while count := int(input()):
                print(len(simdeploy.replicate(scenario, replications=count, engine="compiled")), flush=True)
            """
        )
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-W", "ignore", "-c", code]
        self._processes = [subprocess.Popen(command, **pipes) for _ in range(2)]  # noqa: S603 - our own

    def work(self, replications: int) -> None:
        for process in self._processes:
            print(replications // 2, file=process.stdin, flush=True)
        for process in self._processes:
            assert int(process.stdout.readline()) == replications // 2

    def close(self) -> None:
        for process in self._processes:
            process.communicate("0\n")


@pytest.fixture(scope="module")
def independent() -> Iterator[Independent]:
    """Two independent processes, each of which has loaded the engine."""
    made = Independent()
    made.work(20_000)
    yield made
    made.close()


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("replications", [100_000, 1_000_000])
@pytest.mark.parametrize("where", ["two threads", "Dask on two processes"])
def test_two_workers(
    benchmark: Any,
    scenario: Scenario,
    independent: Independent,
    where: str,
    replications: int,
    request: pytest.FixtureRequest,
    row: Row,
) -> None:
    """Two workers take about as long as two independent processes, in turn (wall clock; needs a quiet machine)."""
    options: dict[str, Any] = {"workers": 2}
    if where != "two threads":
        options = {"cluster": request.getfixturevalue("cluster")}

    def work() -> Any:
        return replicate(scenario, replications=replications, engine="compiled", **options)

    def seconds_of(work: Callable[[], Any]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    assert len(work()) == replications
    pairs = [
        (seconds_of(lambda: independent.work(replications)), seconds_of(work))
        for _ in range(5 if replications < 1_000_000 else 2)
    ]
    alone, together = (min(column) for column in zip(*pairs, strict=True))
    benchmark.pedantic(work, rounds=1)
    row(
        f"{where}, a job of {replications:,} replications",
        f"{100 * alone / together:.0f} % of two independent processes, which take {alone:.1f} s ({os.cpu_count()} cores)",
        "joining tables"
        if where == "two threads"
        else "messages of scheduler and client, which share the two cores, and joining tables",
    )


@pytest.mark.parametrize("what", ["plain", "with flapping and crashes", "with a connection"])
@pytest.mark.parametrize("nodes", [1_000, 10_000, 100_000, 1_000_000])
def test_nodes(benchmark: Any, scenario: Scenario, nodes: int, what: str, row: Row) -> None:
    """Fleets of every size in ten waves are updated completely. A call has a fixed cost, for its tables."""
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
        run_compiled,
        (changed, policies_of(changed)),
        {"seed": 0, "first": 0, "count": count},
        rounds=25,
        warmup_rounds=1,
    )
    assert updates(block) == nodes * count
    seconds = benchmark.stats.stats.min
    more = best_of(5, lambda: run_compiled(changed, policies_of(changed), seed=0, first=0, count=3 * count))
    row(
        f"{nodes:,} nodes, {what}",
        f"{1e9 * seconds / nodes / count:.0f} ns a node in a call for {max(100_000, nodes):,} nodes, "
        f"{1e9 * (more - seconds) / nodes / (2 * count):.0f} in one for many",
        "as for 1,000 nodes" if nodes < 100_000 else "memory: the tables of such a fleet exceed the caches",
    )


@pytest.mark.parametrize("replications", [100, 10_000, 1_000_000])
def test_replications_into_a_store(benchmark: Any, replications: int, tmp_path: Path, row: Row) -> None:
    """Memory is flat in replications: a million of them into a store stay under 1 GB."""
    code = textwrap.dedent(
        f"""
        import re, simdeploy
        from pathlib import Path
        scenario = simdeploy.read_scenario({str(BENCH)!r})
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
    row(f"{replications:,} replications into a store", f"{megabytes} MB of memory at most", "libraries, not rows")
    assert megabytes < 1000


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize(
    ("kind", "name", "changes"),
    [
        ("in waves", "bench-1000", {}),
        ("of any kind", "zone-breaks", {}),
        ("of a shared service", "shared-service", {}),
        ("of a shared service with traffic, crashes, flapping and own levels", "bench-1000", EVERYTHING),
    ],
    ids=["in waves", "of any kind", "of a shared service", "of everything"],
)
def test_first_result(
    benchmark: Any,
    kind: str,
    name: str,
    changes: dict[str, Any],
    cache: str,
    tmp_path_factory: pytest.TempPathFactory,
    row: Row,
) -> None:
    """A fresh process has its first result at once from the cache; without a cache, after compiling the engine."""
    scenario = BENCH.with_name(f"{name}.yaml")
    code = textwrap.dedent(
        f"""
        import simdeploy
        scenario = simdeploy.read_scenario({str(scenario)!r}).with_values({changes!r})
        print(simdeploy.simulate(scenario, engine="compiled").response_values["state"], flush=True)
        """
    )
    seconds: list[float] = []

    def prepare() -> tuple[tuple[dict[str, str]], dict[str, Any]]:
        folder = {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("cache", numbered=True))} if cache == "cold" else {}
        return ({**os.environ, **folder},), {}

    def work(environment: dict[str, str]) -> None:
        start, pipe = time.perf_counter(), subprocess.PIPE
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:  # noqa: S603
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().strip() in TERMINAL_STATES
            seconds.append(time.perf_counter() - start)
            assert ("compiling" in process.stderr.read()) == (cache == "cold")

    benchmark.pedantic(work, setup=prepare, rounds=3)
    row(
        f"first result in a fresh process, rollouts {kind}, {cache} cache",
        f"{min(seconds):.1f} s",
        "numba's compilation, mostly Python, in one process per core"
        if cache == "cold"
        else "imports, and loading compiled code",
    )
