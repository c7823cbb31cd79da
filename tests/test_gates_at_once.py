"""Waves with a gate that the compiled engine follows as a whole: nodes that wait, pass and are observed together."""

from __future__ import annotations

from typing import Any

import pytest
from rows_equal import differences, run

from simdeploy import Scenario

BAD = {"bad": {"probability": 1, "defective": True, "error_rate": 0.2, "after": "95s"}}


def gated(gate: Any, *, limit: int = 100, **changes: Any) -> Scenario:
    """Twelve nodes in waves of four, of which some start late and some never; a node needs three windows of 10 s."""
    raw = {
        "name": "gated",
        "fleet": {
            "nodes": 12,
            "requests_per_second": 20,
            "update_duration": {"lognormal": {"median": "30s", "p95": "3m"}},
            "start_failure": 0.2,
            "error_rate": 0.004,
        },
        "policies": {
            "p": {
                "strategy": "rolling",
                "max_parallel": 4,
                "max_failed_nodes": limit,
                "max_failed_nodes_percent": 100,
                "health_check": {"deadline": "10m", "min_healthy_time": "30s", "gate": gate},
            }
        },
    }
    return Scenario.from_dict(raw).with_values(changes)


def rows_of_both(scenario: Scenario) -> list[dict[str, Any]]:
    """Return rows of 20 rollouts, in which the engines agree."""
    policies = list(scenario.policies.values())
    expected, found = (run(scenario, policies, engine, 3, replications=20) for engine in ("reference", "compiled"))
    assert differences("p", expected, found) == []
    return expected[0]


@pytest.mark.parametrize("limit", [0, 1])
def test_limits_stop_a_wave_that_has_passed(limit: int) -> None:
    """Nodes that fail to start after their gate passed stop the rollout before the others are observed. [property]"""
    rows = rows_of_both(gated("bayes", limit=limit))
    assert sum(row["state"] == "failed" and row["updated_nodes"] % 4 > 0 for row in rows) > 5


def test_a_cancellation_stops_a_wave_that_has_passed() -> None:
    """Nodes observed after the rollout is canceled are not counted, though their gate had passed. [property]"""
    rows = rows_of_both(gated("bayes", **{"operator.script": [{"at": "70s", "do": "cancel"}]}))
    assert sum(0 < row["updated_nodes"] < row["touched_nodes"] for row in rows) > 5


@pytest.mark.parametrize("gate", ["pooled", "e_process", "baseline"])
@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_looks_end_when_somebody_acts(gate: str, act: str) -> None:
    """Looks at a wave see equally many requests whether or not an operator acts between them. [property]"""
    acts = [{"at": "64s", "do": act}, *([{"at": "200s", "do": "resume"}] if act == "pause" else [])]
    rows = rows_of_both(gated(gate, **{"operator.script": acts}))
    assert sum(row["decision_requests"] > 0 for row in rows) > 5


@pytest.mark.parametrize("requests_per_second", [0.3, 20, 3000])
@pytest.mark.parametrize("error_rate", [0.004, 0.03, {"beta": {"mean": 0.01, "sd": 0.005}}], ids=["low", "high", "own"])
def test_windows_of_many_nodes_are_counted_alike(requests_per_second: float, error_rate: Any) -> None:
    """Nodes with common and individual levels have the same failures in both engines, also after a defect shows. [property]"""
    changes = {"fleet.requests_per_second": requests_per_second, "fleet.error_rate": error_rate, "release": BAD}
    rows_of_both(gated({"kind": "baseline", "test": "mann_whitney"}, **changes))
    rows = rows_of_both(gated("e_process", **changes))
    assert requests_per_second < 20 or any(row["state"] == "failed" for row in rows)
