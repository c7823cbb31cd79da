"""Node updates per second and core with each gate, and the cost of the rank comparison relative to the threshold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from speed_cases import POLICY, Row, bench_1000

from simdeploy import read_scenario
from simdeploy.engines.compiled.engine import run_compiled

pytestmark = [
    pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning"),
    pytest.mark.benchmark(timer=time.process_time),
]

RANKS = {"kind": "baseline", "test": "mann_whitney"}
EACH_WINDOW = "two dozen windows of each node, as a wave waits for its slowest: Philox and the cdf"
SOON = "passes over the nodes of a wave: dispatch, first windows, verdict, outcome"
# The gate, what limits its speed, and the million updates a second and core required on any machine.
GATES: dict[str, tuple[Any, str, float]] = {
    "pooled": ("pooled", EACH_WINDOW, 3),
    "sprt": ("sprt", SOON, 7),
    "e_process": ("e_process", EACH_WINDOW, 3),
    "baseline": ("baseline", f"{EACH_WINDOW}, twice", 2),
    "mann_whitney": (RANKS, f"{EACH_WINDOW}, twice", 2),
    "bayes": ("bayes", SOON, 6),
    "cusum": ("cusum", "137 windows of each running node: Philox and the cdf", 1),
}


@pytest.mark.parametrize("name", GATES)
def test_gates(benchmark: Any, name: str, row: Row) -> None:
    """Times the nodes of bench-1000 with a gate that looks at their requests repeatedly."""
    gate, bound_by, least = GATES[name]
    gated = bench_1000({f"policies.{POLICY}.health_check.gate": gate})
    block = benchmark.pedantic(
        run_compiled,
        (gated, list(gated.policies.values())),
        {"seed": 0, "first": 0, "count": 100},
        rounds=5,
        warmup_rounds=1,
    )
    done = int(block.numbers["touched_nodes"][block.index].sum())
    looked_at = int(block.numbers["decision_requests"][block.index].sum())
    assert done >= 0.5 * 100 * 1000
    assert looked_at > done
    rate = done / benchmark.stats.stats.min / 1e6
    benchmark.extra_info["million_updates_per_second"] = round(rate, 2)
    row(
        f"gate {name}, {looked_at / done:,.0f} requests of each node",
        f"{rate:.2f} million node updates a second and core, {1e3 / rate:.0f} ns each",
        bound_by,
    )
    assert rate > least


@pytest.mark.parametrize("requests_per_second", [10, 100, 10_000])
def test_ranks(benchmark: Any, requests_per_second: int, row: Row) -> None:
    """Comparing error rates of a small fleet by ranks takes a few times as long as the threshold, however many requests there are."""
    fleet = read_scenario(Path(__file__).parents[1] / "scenarios" / "small-fleet.yaml")
    changed = fleet.with_values({"fleet.requests_per_second": requests_per_second})
    gated = changed.with_values({"policies.rolling.health_check.gate": RANKS})
    n, times = 1000, {}
    for _ in range(6):
        for scenario in (changed, gated):
            start = time.process_time()
            block = run_compiled(scenario, [scenario.policies["rolling"]], seed=0, first=0, count=n)
            times[scenario is gated] = min(times.get(scenario is gated, 1e9), time.process_time() - start)
            assert (block.numbers["touched_nodes"] >= 8).all()
    benchmark.pedantic(
        run_compiled, (gated, [gated.policies["rolling"]]), {"seed": 0, "first": 0, "count": n}, rounds=1
    )
    row(
        f"gate mann_whitney, small fleet, {requests_per_second:,} requests a second",
        f"{1e6 * times[True] / n:.0f} us a rollout, {times[True] / times[False]:.1f} times the threshold",
        "error levels of nodes and their partners",
    )
    assert times[True] < 6 * times[False]
