"""Node updates per second of the reference engine with all records, and whether the cost is linear in nodes.

A node update is one node from its dispatch to its verdict.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from speed_cases import Row

from simdeploy import Rollout, Scenario, simulate

# One thread computes, so its processor time is the time it takes on an idle machine.
pytestmark = [
    pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning"),
    pytest.mark.benchmark(timer=time.process_time),
]

SIZES = (1_000, 10_000, 100_000)
TABLES = ("responses", "events", "timeline", "nodes", "windows", "revisions")

# Linear means: ten times the nodes cost at most this many times as much per node, if as many of them are in flight. Where waves are a
# tenth of the fleet, memory caches that no longer hold a wave account for most of the growth (plain SimPy's is larger, see
# `test_peers`), and waves that last longer, as their slowest node does, with more spells in that time. A cost that is not linear
# would show as 10.
MOST_GROWTH = 1.15
MOST_GROWTH_OF_WAVES = 1.5


def make_scenario(nodes: int) -> Scenario:
    """Windows, canaries, crashes, flapping and retries; six windows a node, and limits that never stop it.

    The number of waves is the same for every size: fleets of any size are watched for the same time.
    """
    return Scenario.from_dict(
        {
            "name": "benchmark",
            "fleet": {
                "nodes": nodes,
                "zones": 8,
                "requests_per_second": 20,
                "update_duration": {"lognormal": {"median": "45s", "p95": "2m"}},
                "slowdown": {"lognormal": {"mean": 1, "sd": 0.3}},
                "start_failure": 0.01,
                "start_attempts": 3,
                "error_rate": {"beta": {"mean": 0.004, "sd": 0.002}},
                "flapping": {"good": "2h", "degraded": "45s", "error_rate": 0.3},
                "crash": {
                    "up": {"weibull": {"mean": "720h", "shape": 0.8}},
                    "repair": {"lognormal": {"median": "5m", "p95": "20m"}},
                },
            },
            "orchestrator": {"canary_gate": "limits"},
            "policies": {
                "canary": {
                    "strategy": "canary",
                    "canary_percent": 1,
                    "auto_promote": True,
                    "max_parallel": nodes // 10,
                    "max_failed_nodes": nodes,
                    "max_failed_nodes_percent": 100,
                    "health_check": {"deadline": "30m", "max_error_rate": 0.05, "min_healthy_time": "60s"},
                }
            },
        }
    )


# A rollout with all of this takes at most three and a half times as long as one without, whose windows need no events.
EVERYTHING = {
    "fleet.service": {"shared": {"capacity": 1.4}},
    "fleet.traffic": {"daily": [["0h", 0.6], ["8h", 1], ["20h", 0.7]]},
    "fleet.connection": {"online": {"exponential": {"mean": "20h"}}, "offline": {"exponential": {"mean": "5m"}}},
    "operator.change_windows": [{"from": "0h", "to": "23h"}],
    "orchestrator.reporting_delay": "15s",
}
MOST_FOR_EVERYTHING = 3.5


def run_with_records(scenario: Scenario, tables: tuple[str, ...] = TABLES) -> Rollout:
    rollout = simulate(scenario, seed=1, engine="reference")
    for table in tables:
        getattr(rollout, table)
    return rollout


@pytest.fixture(scope="module")
def seconds_per_node() -> dict[int, float]:
    """Best times by size, filled by the tests in their order."""
    return {}


@pytest.fixture(scope="module")
def seconds_in_equal_waves() -> dict[int, float]:
    """Best times a node by size, likewise."""
    return {}


@pytest.mark.parametrize("nodes", SIZES)
def test_node_updates(benchmark: Any, nodes: int, seconds_per_node: dict[int, float], row: Row) -> None:
    """All nodes are resolved, at a cost per node that does not grow with the fleet."""
    scenario = make_scenario(nodes)
    rollout = benchmark.pedantic(
        run_with_records, (scenario,), rounds=max(3, 60_000 // nodes), warmup_rounds=int(nodes == SIZES[0])
    )
    values = rollout.response_values
    resolved = values["updated_nodes"] + values["failed_nodes"]
    assert values["state"] == "completed"
    assert resolved == nodes
    assert values["touched_nodes"] >= 0.98 * nodes  # a few are down when their turn comes
    assert values["decision_windows"] >= 6 * values["updated_nodes"]
    n_events, n_windows = len(rollout.events) / nodes, len(rollout.windows) / nodes

    seconds = benchmark.stats.stats.min
    seconds_per_node[nodes] = seconds / nodes
    smaller = max((size for size in seconds_per_node if size < nodes), default=nodes)
    growth = seconds_per_node[nodes] / seconds_per_node[smaller]
    benchmark.extra_info["node_updates_per_second"] = round(resolved / seconds)
    beside = f", {growth:.2f} times that of {smaller:,} nodes" if smaller < nodes else ""
    row(
        f"reference engine, canaries, crashes, flapping and retries, {nodes:,} nodes",
        f"{1e6 * seconds / nodes:.1f} us a node with records{beside}, for {n_events:.2f} events and {n_windows:.2f} windows",
        "events of SimPy, and records; in large fleets memory, as in plain SimPy",
    )
    assert growth <= MOST_GROWTH_OF_WAVES


@pytest.mark.parametrize("nodes", SIZES)
def test_node_updates_in_equal_waves(
    benchmark: Any, nodes: int, seconds_in_equal_waves: dict[int, float], row: Row
) -> None:
    """With as many nodes in flight, the cost of a node does not grow with the fleet (no spells, as more waves last longer)."""
    changes = {"policies.canary.max_parallel": 100, "fleet.crash": None, "fleet.flapping": None}
    scenario = make_scenario(nodes).with_values(changes)
    rollout = benchmark.pedantic(
        run_with_records, (scenario,), rounds=max(3, 60_000 // nodes), warmup_rounds=int(nodes == SIZES[0])
    )
    values = rollout.response_values
    assert values["touched_nodes"] == values["updated_nodes"] + values["failed_nodes"] == nodes
    assert values["decision_windows"] >= 6 * values["updated_nodes"]

    seconds_in_equal_waves[nodes] = benchmark.stats.stats.min / nodes
    smallest = min(seconds_in_equal_waves)
    growth = seconds_in_equal_waves[nodes] / seconds_in_equal_waves[smallest]
    beside = f", {growth:.2f} times that of {smallest:,} nodes" if smallest < nodes else ""
    row(
        f"reference engine, canaries and retries, {nodes:,} nodes in waves of 100",
        f"{1e6 * seconds_in_equal_waves[nodes]:.1f} us a node with records{beside}",
        "events of SimPy, and records",
    )
    assert growth <= MOST_GROWTH


def test_one_rollout_of_1000_nodes(benchmark: Any) -> None:
    """A single rollout of 1,000 nodes with all records takes well under 2 s."""
    rollout = benchmark.pedantic(run_with_records, (make_scenario(1_000),), rounds=5)
    assert rollout.response_values["state"] == "completed"
    assert benchmark.stats.stats.min < 0.5


def best_seconds(scenarios: dict[str, Scenario], tables: tuple[str, ...]) -> dict[str, float]:
    """Run the scenarios in turn, so that a busy machine slows all of them alike."""
    best = dict.fromkeys(scenarios, float("inf"))
    for _ in range(20):
        for name, scenario in scenarios.items():
            start = time.thread_time()
            rollout = run_with_records(scenario, tables)
            best[name] = min(best[name], time.thread_time() - start)
            assert rollout.response_values["touched_nodes"] > 950
    return best


@pytest.mark.parametrize("tables", [TABLES, ("responses",)], ids=["records", "responses"])
@pytest.mark.parametrize("breaks", [True, False], ids=["crashes", "quiet"])
def test_everything_on(benchmark: Any, breaks: bool, tables: tuple[str, ...], row: Row) -> None:
    """With service, traffic, lines, change windows and late reports a rollout takes at most three and a half times as long."""
    plain = make_scenario(1_000)
    if not breaks:
        plain = plain.with_values({"fleet.crash": None, "fleet.flapping": None})
    scenarios = {"without": plain, "with everything": plain.with_values(EVERYTHING)}
    best = benchmark.pedantic(best_seconds, (scenarios, tables), rounds=1)
    ratio = best["with everything"] / best["without"]
    kind = f"{'crashes and flapping' if breaks else 'quiet'}, {'records' if tables is TABLES else 'responses only'}"
    row(
        f"reference engine with everything on ({kind})",
        f"{1e3 * best['with everything']:.0f} us a node, {ratio:.2f} times that without",
        "loads of pools and spells of connections, at each window",
    )
    assert ratio <= MOST_FOR_EVERYTHING
