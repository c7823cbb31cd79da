"""How long the search for a policy takes, and how many rollouts it simulates."""

import time
from pathlib import Path

import simdeploy

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def test_ten_thousand_candidates(benchmark, say):
    """Times a search among ten thousand policies for a thousand nodes, some of them close to the best."""
    scenario = simdeploy.read_scenario(SCENARIOS / "tune-1000.yaml")
    simdeploy.replicate(scenario, replications=2, engine="compiled")
    start, cpu = time.perf_counter(), time.process_time()
    found = benchmark.pedantic(
        simdeploy.tune, (scenario,), {"candidates": 10_000, "engine": "compiled", "workers": 2}, rounds=1, iterations=1
    )
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    assert len(found.candidates) >= 10_000
    assert found.choice is not None
    first = found.stages.set_index("stage").loc["try all"]
    assert first["rollouts"] == 100 * first["candidates"] >= 1_000_000
    rollouts, updates = int(found.stages["rollouts"].sum()), int(found.stages["node_updates"].sum())
    assert updates > 100_000_000
    say(
        f"tune: {len(found.candidates):,} candidates for 1,000 nodes in {wall_s:.0f} s on two workers ({cpu_s:.0f} s of processor time): {rollouts:,} rollouts, "
        f"{updates / 1e6:,.0f} million node updates, at most {int(found.stages['worlds'].max()):,} worlds a candidate"
    )
