"""The cases of the speed benchmark: variants of bench-1000, and what limits the speed of each.

`tests/test_work.py` counts what the engine does in these cases, whatever the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simdeploy import Scenario, read_scenario

# Prints a row of the table: case, measurement, and what limits the speed.
Row = Callable[[str, str, str], None]

_PATH = Path(__file__).parents[1] / "scenarios" / "bench-1000.yaml"
POLICY = "waves-of-100"

FLAPPING = {"fleet.flapping": {"good": "2h", "degraded": "45s", "error_rate": 0.3}}
CRASHES = {
    "fleet.crash": {
        "up": {"weibull": {"mean": "720h", "shape": 0.8}},
        "repair": {"lognormal": {"median": "5m", "p95": "20m"}},
    }
}
SHARED = {"fleet.service": {"shared": {"capacity": 1.4}}}
TRAFFIC = {"fleet.traffic": {"daily": [["0h", 0.6], ["8h", 1], ["20h", 0.7]]}}
OWN_LEVELS = {"fleet.error_rate": {"beta": {"mean": 0.004, "sd": 0.002}}}
SLIDING = {"orchestrator.pacing": "sliding"}
# One release in five is defective; the limits stop it and it is rolled back.
MIX = {
    "release": {
        "good": {"probability": 0.8},
        "bad": {"probability": 0.2, "defective": True, "error_rate": 0.12, "start_failure": 0.05},
    },
    f"policies.{POLICY}.health_check.max_error_rate": 0.05,
}


@dataclass(frozen=True)
class Case:
    """A change of bench-1000.

    Attributes
    ----------
    bound_by : str
        What its time goes into, as a phrase.
    least : float
        Million node updates a second and core that are demanded on any machine.
    stops : bool
        Whether some rollouts stop before every node is updated.
    replications : int
    """

    changes: dict[str, Any]
    bound_by: str
    least: float = 0
    stops: bool = False
    replications: int = 1000


CASES = {
    "plain": Case({}, "four Philox blocks and one lognormal quantile per node", least=12),
    "mix of releases, 20 % defective": Case(
        MIX, "draws for the whole fleet, even in stopped rollouts, and rollbacks", stops=True
    ),
    "own levels": Case(
        OWN_LEVELS, "one more block per node, and a beta quantile where bounds on the level don't decide a window"
    ),
    "flapping and crashes": Case(
        {**FLAPPING, **CRASHES},
        "the first spells of both processes (three more blocks), and five passes over the outcomes of nodes",
        least=9,
    ),
    "sliding": Case(
        SLIDING,
        "sequential comparisons of slots, and counting the nodes out of service at once",
        least=8,
    ),
    "sliding, flapping and crashes": Case(
        {**SLIDING, **FLAPPING, **CRASHES}, "the same, and following the spells of one node in six", least=5
    ),
    "traffic": Case(
        TRAFFIC,
        "requests of each window and lost during each start; nodes with possibly unhealthy windows, one by one",
        least=5,
    ),
    "shared service": Case(
        SHARED,
        "seven events a node (start and windows), the pool's load at each, and sorting the times out of service",
        least=1.2,
        replications=100,
    ),
}


def best_of(rounds: int, work: Callable[[], Any]) -> float:
    """Return the least processor time that work takes in some rounds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def bench_1000(changes: dict[str, Any] | None = None) -> Scenario:
    """Return the scenario with some values changed."""
    return read_scenario(_PATH).with_values(changes or {})
