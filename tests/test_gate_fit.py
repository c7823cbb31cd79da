"""Fleets on which a gate's bound on false alarms does not hold: warnings, and default gates."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from simdeploy import Scenario, SimdeployWarning, compare_gates
from simdeploy.analysis.gates.variants import make_variants
from simdeploy.scenario.gate_fit import _find_degraded, find_misfit
from simdeploy.world.fleet import Flapping

WIDE = {"error_rate": {"beta": {"mean": 0.02, "sd": 0.015}}}
FLAPPING = {"flapping": {"good": "30m", "degraded": "5m", "error_rate": 0.3}}
BUSY = {"requests_per_second": 50}
SILENT = {"requests_per_second": 0}


def make(gate: Any = None, **fleet: Any) -> Scenario:
    health: dict[str, Any] = {"deadline": "2m", "max_error_rate": 0.05, "min_healthy_time": "30s"}
    policy = {"strategy": "rolling", "max_parallel": 10, "health_check": health | ({"gate": gate} if gate else {})}
    raw = {
        "name": "forty",
        "fleet": {"nodes": 40, "update_duration": "30s", "requests_per_second": 2, "error_rate": 0.02} | fleet,
        "release": {"good": {"probability": 0.5}, "bad": {"probability": 0.5, "defective": True, "error_rate": 0.05}},
        "policies": {"waves": policy},
    }
    return Scenario.from_dict(raw)


def misfits(**fleet: Any) -> dict[str, str]:
    scenario = make(**fleet)
    return make_variants(scenario, scenario.policy(), None)[1]


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        ({}, set()),
        (BUSY, set()),
        ({"error_rate": {"beta": {"mean": 0.02, "sd": 0.004}}}, set()),
        (WIDE, {"baseline"}),
        (WIDE | BUSY, {"baseline", "mann_whitney"}),
        (FLAPPING, {"baseline", "mann_whitney", "e_process"}),
        ({"flapping": {"good": "30m", "degraded": "1s", "error_rate": 0.1}}, set()),
        # Pairs are of one class, but a wave is of both.
        ({"classes": [{"name": "bad", "share": 0.5, "error_rate": 0.1}]}, {"e_process"}),
        # No node is left for the share.
        pytest.param(
            {"classes": [{"name": "all", "nodes": [*range(40)]}, {"name": "bad", "share": 0.5, "error_rate": 0.1}]},
            set(),
            marks=pytest.mark.filterwarnings("ignore:.*gives 0 nodes instead of 20"),
        ),
        (WIDE | SILENT, set()),
    ],
)
def test_unsuitable_gates_are_not_offered(fleet: dict[str, Any], expected: set[str]) -> None:
    """Default gates whose bound fails under varying error rates are left out, with the reason. [contract]"""
    found = misfits(**fleet)
    assert set(found) == expected
    assert all("stops good releases too often" in reason for reason in found.values())


@pytest.mark.parametrize("gate", ["baseline", {"kind": "baseline", "test": "mann_whitney"}, "e_process"])
def test_a_gate_in_a_file_is_warned_about(gate: Any) -> None:
    """A file with such a gate causes a warning at its kind; without the spells it doesn't. [contract]"""
    raw = make(gate, **FLAPPING).to_dict()
    with pytest.warns(SimdeployWarning, match=r"waves\.health_check\.gate\.kind.*stops good releases too often"):
        Scenario.from_dict(raw)
    raw["fleet"].pop("flapping")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SimdeployWarning)
        Scenario.from_dict(raw)


@pytest.mark.parametrize("gate", ["baseline", "e_process"])
@pytest.mark.parametrize("fleet", [{}, FLAPPING], ids=["constant", "flapping"])
def test_the_bound_holds_without_a_warning(gate: str, fleet: dict[str, Any]) -> None:
    """Good releases are stopped at most as often as `alpha` per wave allows if there is no warning, else more often. [oracle]"""
    scenario = make(gate, **fleet)
    bound = 1 - (1 - 0.05) ** 4
    found = compare_gates(scenario, gates=[gate], sizes=[0.05], replications=400, engine="compiled")
    stopped = found.row(gate, 0.0, "stopped")["estimate"]
    margin = 4 * math.sqrt(bound * (1 - bound) / 400)
    is_warned = find_misfit(scenario.policy().policy, scenario.fleet, scenario.orchestrator) is not None
    assert is_warned == bool(fleet)
    assert stopped > bound + margin if is_warned else stopped < bound + margin


def test_degraded_time_of_an_observation() -> None:
    """Mean and variance of the error rate of spells match simulated ones. [oracle]"""
    good_s, degraded_s, observed_s, n = 100.0, 20.0, 60.0, 20_000
    rng = np.random.default_rng(3)
    is_bad = rng.random(n) < degraded_s / (good_s + degraded_s)
    t, bad_s = np.zeros(n), np.zeros(n)
    while (t < observed_s).any():
        until = np.minimum(t + rng.exponential(np.where(is_bad, degraded_s, good_s)), observed_s)
        bad_s += np.where(is_bad, until - t, 0.0)
        t, is_bad = until, ~is_bad
    added = 0.3 * bad_s / observed_s
    mean, variance = _find_degraded(Flapping(good_s, degraded_s, 0.3), observed_s)
    assert abs(added.mean() - mean) < 4 * math.sqrt(variance / n)
    squares = (added - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / math.sqrt(n)


@pytest.mark.filterwarnings("ignore::simdeploy.errors.SimdeployWarning")
@pytest.mark.parametrize(
    ("gate", "fleet", "is_warned"), [("pooled", {}, False), ("pooled", SILENT, True), ("threshold", SILENT, False)]
)
def test_a_gate_without_requests_is_warned_about(gate: str, fleet: dict[str, Any], is_warned: bool) -> None:
    """A gate that no requests reach never gives a verdict, which causes a warning. [contract]"""
    warned = [problem for problem in make(gate, **fleet).warnings if "nothing to judge" in str(problem)]
    assert bool(warned) == is_warned
