"""Many policies in one pass of the compiled engine, and worlds with few defective releases, compared with one policy and per node."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from speed_cases import MIX, Row, bench_1000

from simdeploy import Scenario
from simdeploy.engines.block import Block
from simdeploy.engines.compiled.engine import prepare_compiled, run_compiled
from simdeploy.scenario import ScenarioPolicy

pytestmark = [
    pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning"),
    pytest.mark.benchmark(timer=time.process_time),
]

N = 1000


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    made = bench_1000()
    run_compiled(made, list(made.policies.values()), seed=0, first=0, count=1)
    return made


def best_of(rounds: int, scenario: Scenario, policies: Sequence[ScenarioPolicy]) -> float:
    """Return the processor time of a replication of prepared policies, in seconds."""
    prepared, times = prepare_compiled(scenario, policies), []
    for _ in range(rounds):
        start = time.process_time()
        run_compiled(scenario, policies, seed=0, first=0, count=N, prepared=prepared)
        times.append(time.process_time() - start)
    return min(times) / N


def grid(scenario: Scenario, waves: Sequence[int] = (100,), healthy_s: Sequence[int] = (60,)) -> list[ScenarioPolicy]:
    """Make a grid of 20 error rates, 20 limits, wave sizes and times."""
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


def assert_as_alone(scenario: Scenario, cells: Sequence[ScenarioPolicy], block: Block) -> None:
    """Assert that some cells have the outcomes that they have alone."""
    for number in range(0, len(cells), len(cells) // 20):
        alone = run_compiled(scenario, [cells[number]], seed=0, first=0, count=N)
        for name, values in alone.numbers.items():
            np.testing.assert_array_equal(values[alone.index[0]], block.numbers[name][block.index[number]])


@pytest.mark.parametrize("limit", [10, 100])
def test_mix(benchmark: Any, scenario: Scenario, limit: int, row: Row) -> None:
    """Good releases reach every node; defective ones are stopped in the first waves and rolled back automatically."""
    mix = scenario.with_values({**MIX, "policies.waves-of-100.max_failed_nodes": limit})
    policies = list(mix.policies.values())
    options = {"seed": 0, "first": 0, "count": N, "prepared": prepare_compiled(mix, policies)}
    block = benchmark.pedantic(run_compiled, (mix, policies), options, rounds=9, warmup_rounds=1)
    touched, verdict = block.numbers["touched_nodes"], np.array(block.words["verdict"])[block.codes["verdict"]]
    stopped = verdict[block.index[0]] == "stopped_defective"
    assert 0.15 < stopped.mean() < 0.25
    assert not (verdict == "escaped").any()
    done = int((block.numbers["updated_nodes"] + block.numbers["failed_nodes"])[block.index].sum())
    assert 600 * N < done < int(touched[block.index].sum())
    rate = done / benchmark.stats.stats.min / 1e6
    row(
        f"mix of releases, 20 % defective, stopped at {limit + 1} failed nodes",
        f"{rate:.1f} million node updates a second and core, {1e3 / rate:.0f} ns each",
        "good releases, and the nodes in waves of defective ones",
    )
    assert rate > 18


@pytest.mark.parametrize(
    ("changes", "waves", "healthy_s", "most"),
    [
        ({}, (100,), (60,), 6),
        ({}, (20, 50, 100, 200, 500), (20, 40, 60, 80, 100), 40),
        (MIX, (100,), (60,), 6),
        ({"orchestrator.failed_percent_of": "resolved"}, (100,), (60,), 6),
        ({"orchestrator.failed_percent_of": "wave"}, (100,), (60,), 6),
        ({"orchestrator.minimum_sample": 50}, (100,), (60,), 6),
    ],
    ids=[
        "400 cells",
        "10,000 cells",
        "400 cells of a mix",
        "400 cells, resolved",
        "400 cells, wave",
        "400 cells, sample",
    ],
)
def test_cells_in_one_pass(
    benchmark: Any,
    scenario: Scenario,
    changes: dict[str, Any],
    waves: Sequence[int],
    healthy_s: Sequence[int],
    most: float,
    row: Row,
    request: pytest.FixtureRequest,
) -> None:
    """A whole grid costs a few times as much as one cell, and each cell has the outcome that it has alone."""
    changed = scenario.with_values(changes)
    cells = grid(changed, waves, healthy_s)
    alone = (
        scenario if "orchestrator" in str(changes) else changed
    )  # otherwise the percentage would stop rollouts early
    one = best_of(5, alone, list(alone.policies.values()))
    options = {"seed": 0, "first": 0, "count": N, "prepared": prepare_compiled(changed, cells)}
    block = benchmark.pedantic(run_compiled, (changed, cells), options, rounds=3, warmup_rounds=1)
    assert block.index.shape == (len(cells), N)
    assert_as_alone(changed, cells, block)
    times = benchmark.stats.stats.min / N / one
    name = request.node.callspec.id.replace("400 cells", f"{len(cells):,} cells")
    row(
        f"{name}, in one pass",
        f"{times:.1f} times one cell",
        f"{block.n_rows / N:.0f} different outcomes a replication, each summed over its waves",
    )
    assert times <= most
