"""How long validating distinct scenarios takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speed_cases import Row

from simdeploy import Scenario, read_scenario

BENCH = Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml"
SCENARIOS = 10_000

Ways = dict[str, Callable[[dict[str, Any]], Scenario]]


@pytest.fixture(scope="module")
def ways() -> Ways:
    """Ways to make a scenario with other values: from the contents of a file, or from another scenario, as sweeps do."""
    base = read_scenario(BENCH)
    contents = base.to_dict()

    def from_dict(values: dict[str, Any]) -> Scenario:
        fleet = contents["fleet"] | {path.removeprefix("fleet."): value for path, value in values.items()}
        return Scenario.from_dict({**contents, "fleet": fleet})

    return {"from_dict": from_dict, "with_values": base.with_values}


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("way", ["from_dict", "with_values"])
def test_distinct_scenarios(benchmark: Any, row: Row, ways: Ways, way: str) -> None:
    """Times making scenarios that differ in four values, no value being shared by two of them."""
    changes = [
        {
            "fleet.nodes": 1000 + number,
            "fleet.requests_per_second": 20 + number / 1000,
            "fleet.start_failure": (number + 1) / 100_000,
            "fleet.error_rate": (number + 1) / 2_000_000,
        }
        for number in range(SCENARIOS)
    ]
    make = ways[way]
    made = benchmark.pedantic(lambda: {make(values).fleet for values in changes}, rounds=2)
    assert len(made) == SCENARIOS
    row(
        f"{SCENARIOS:,} distinct scenarios by {way}",
        f"{benchmark.stats.stats.min:.2f} s",
        "validating the changed section, in Python",
    )
