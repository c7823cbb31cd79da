"""Many policies in one pass of the compiled engine have their individual outcomes, with a counted amount of work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from small import maybe_bad, rolling

from simdeploy import Scenario
from simdeploy.engines.compiled.kernel import DONE, run_replications
from simdeploy.engines.compiled.lowering import lower
from simdeploy.engines.compiled.memory import Memory
from simdeploy.engines.compiled.outcomes import OUTCOME
from simdeploy.engines.compiled.run import RUN
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario import ScenarioPolicy

RATES = (0.02, 0.06, 0.1, 0.3)
LIMITS = (0, 1, 4, 9, 30)
REPLICATIONS = 20


def bench(fleet: dict[str, Any] | None = None, **sections: Any) -> Scenario:
    """Make a scenario of 120 nodes, some of which fail to start, and some are unhealthy for a while."""
    plain = {
        "nodes": 120,
        "requests_per_second": 20,
        "error_rate": 0.01,
        "start_failure": 0.03,
        "update_duration": "45s",
    }
    policies = {"p": {"strategy": "rolling", "health_check": {"deadline": "10m"}}}
    return Scenario.from_dict({"name": "bench", "fleet": plain | (fleet or {}), "policies": policies} | sections)


def grid(scenario: Scenario, rates: Sequence[float] = RATES, sizes: Sequence[int] = (20,)) -> list[ScenarioPolicy]:
    """Make policies of all error rates, sizes of waves and limits, those of one rate together."""
    policies = []
    for rate, size, limit in product(rates, sizes, LIMITS):
        health_check = {"deadline": "10m", "max_error_rate": rate, "min_healthy_time": "60s"}
        limits = {"max_failed_nodes": limit, "max_failed_nodes_percent": 10 + limit}
        policies.append(scenario.policy(rolling(size, health_check=health_check, **limits)))
    return policies


def follow(
    scenario: Scenario, policies: list[ScenarioPolicy], *, may_bundle: bool = True
) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Return the counted work, the index of outcomes, and the outcomes."""
    memory = Memory(lower(scenario, policies, TYPES[policies[0].identity.type], may_bundle=may_bundle), seed=3)
    rows = len(policies) * REPLICATIONS
    outcomes = np.empty(rows, OUTCOME)
    index, progress = np.empty((REPLICATIONS, len(policies)), np.int32), np.zeros(3, np.int64)
    assert run_replications(memory.run, 0, outcomes, index, progress) == DONE
    work = {name.removeprefix("work_"): int(memory.run[name][0]) for name in RUN.names or () if "work_" in name}
    return work, index.T, outcomes[: progress[1]]


def assert_equal(outcomes: np.ndarray, others: np.ndarray) -> None:
    """Compare responses: whole numbers exactly, times up to the last digits."""
    for name in outcomes.dtype.names or ():
        np.testing.assert_allclose(outcomes[name], others[name], rtol=1e-12 if outcomes[name].dtype.kind == "f" else 0)


def count_distinct(index: np.ndarray, size: int) -> int:
    """Return the number of bundles of this many policies that differ from all earlier ones in the same replication."""
    bundles = index.reshape(-1, size, index.shape[1])
    return sum(len({tuple(one) for one in of_replication.T}) for of_replication in bundles.transpose(2, 1, 0))


@pytest.mark.parametrize("percent_of", ["fleet", "resolved", "wave"])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"minimum_sample": 13},
        {"minimum_sample": 20, "limits_judged": "wave_end"},
        {"limit_combination": "both", "limit_comparison": "reaches", "minimum_sample": 7},
        {"limits_judged": "wave_end", "on_failure": "stop"},
    ],
    ids=lambda switches: " ".join(map(str, switches.values())) or "plain",
)
def test_limits_in_one_pass(percent_of: str, switches: dict[str, Any]) -> None:
    """For any limits, policies have the same outcomes in one pass as singly, and none is run alone. [property]"""
    orchestrator = {"failed_percent_of": percent_of, **switches}
    operator = {"undo_after": {"exponential": {"mean": "7m"}}}  # under on_failure: stop
    scenario = bench({"start_failure": 0.08}, release=maybe_bad(), orchestrator=orchestrator, operator=operator)
    policies = grid(scenario, (0.02, 0.1), (7, 40))
    work, index, outcomes = follow(scenario, policies)
    alone, index_alone, outcomes_alone = follow(scenario, policies, may_bundle=False)
    assert (work["rollouts"], alone["bundles"]) == (0, 0)
    assert_equal(outcomes[index], outcomes_alone[index_alone])
    n_different = [len(set(of_replication)) for of_replication in index.T]
    assert min(n_different) < max(n_different) > 8


@pytest.mark.parametrize("after", ["0s", "95s", "11m", {"exponential": {"mean": "3m"}}])
@pytest.mark.parametrize(
    ("fleet", "deadline_starts"),
    [
        ({}, "dispatch"),
        ({"error_rate": {"beta": {"mean": 0.01, "sd": 0.01}}}, "started"),
        ({"start_attempts": 2}, "dispatch"),
        ({"start_hang": 0.1}, "started"),
    ],
    ids=["constant", "own levels", "attempts", "hangs"],
)
def test_one_look_for_all_error_rates(after: Any, fleet: dict[str, Any], deadline_starts: str) -> None:
    """Nodes whose windows are examined once for all error rates have the fates that each rate gives alone. [property]"""
    bad = {"probability": 1, "defective": True, "error_rate": 0.05, "after": after, "affects": {"share": 0.7}}
    scenario = bench(fleet, release={"bad": bad}, orchestrator={"deadline_starts": deadline_starts})
    policies = grid(scenario, np.linspace(0.02, 0.12, 8).round(3).tolist(), (40,))
    work, index, outcomes = follow(scenario, policies)
    _, index_alone, outcomes_alone = follow(scenario, policies, may_bundle=False)
    assert_equal(outcomes[index], outcomes_alone[index_alone])
    assert 0 < work["looks"] <= REPLICATIONS * 120


@pytest.mark.parametrize(
    "defect", [{"start_failure": 0.3}, {"start_hang": 0.3}, {"error_rate": 0.01, "after": "150s"}, {"crash_rate": 2}]
)
def test_an_operator_sees_the_same_in_one_pass(defect: dict[str, Any]) -> None:
    """In one pass operators cancel the rollouts that they cancel under each policy alone. [property]"""
    bad = {"probability": 1, "defective": True, "affects": {"share": 0.5}, **defect}
    operator = {"promote_after": "80s", "notices_defect": 0.8, "rejects_good": 0.2}
    scenario = bench(release={"bad": bad}, operator=operator, orchestrator={"canary_gate": "limits"})
    canaries = {"strategy": "canary", "canary_count": 2, "health_check": {"deadline": "2m", "min_healthy_time": "60s"}}
    policies = [scenario.policy(rolling(20, max_failed_nodes=limit, **canaries)) for limit in LIMITS]
    work, index, outcomes = follow(scenario, policies)
    _, index_alone, outcomes_alone = follow(scenario, policies, may_bundle=False)
    assert work["bundles"] > 0
    assert_equal(outcomes[index], outcomes_alone[index_alone])
    states = set(outcomes["state"][index[-1]].tolist())
    assert len(states) == 2


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_a_grid_looks_at_each_node_once(kind: str) -> None:
    """A grid draws the nodes with a turn under any policy, examines each at most once, and follows only differences. [contract]"""
    scenario = bench(release=maybe_bad(float(kind == "bad"), 0.08))
    policies = grid(scenario, np.linspace(0.01, 0.2, 20).round(3).tolist())
    work, index, outcomes = follow(scenario, policies)
    n_touched = outcomes["touched_nodes"][index].max(axis=0).sum()
    assert work["sampled"] == n_touched
    assert 0 < work["looks"] <= n_touched
    assert work["fates"] < work["looks"] / 100
    assert work["rollouts"] == 0
    assert work["bundles"] == count_distinct(index, len(LIMITS)) < 20 * REPLICATIONS


def test_a_defective_release_costs_the_nodes_it_touches() -> None:
    """A policy that stops early draws no node after that wave, and computes the fates of those before it. [contract]"""
    scenario = bench(release=maybe_bad(1.0, 0.2))
    policies = [scenario.policy({**scenario.to_dict()["policies"]["p"], "max_parallel": 20, "max_failed_nodes": 5})]
    work, index, outcomes = follow(scenario, policies)
    n_touched = outcomes["touched_nodes"][index[0]].sum()
    assert n_touched == 20 * REPLICATIONS
    of_nodes = {"sampled": n_touched, "looks": 0, "fates": n_touched}
    assert work == {**of_nodes, "bundles": REPLICATIONS, "waves": REPLICATIONS, "rollouts": 0}


def test_equal_rules_share_their_work() -> None:
    """Deadlines with equal fates are followed once, for each size of waves. [contract]"""
    scenario = bench(release=maybe_bad(0.0))
    spec = {"strategy": "rolling", "max_failed_nodes": 30}
    policies = [
        scenario.policy({**spec, "max_parallel": size, "health_check": {"deadline": deadline, "max_error_rate": 0.1}})
        for deadline in ("20m", "1h", "3h")
        for size in (20, 60)
    ]
    work, index, *_ = follow(scenario, policies)
    assert work["bundles"] == 2 * REPLICATIONS
    assert (index[0] == index[4]).all()
