"""Ten problems of choosing a policy that are hard to decide by simulation, each with an exact optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from simdeploy.validation.decisions.optimum import Problem

# A node starts in a minute and needs three healthy windows of 200 requests; it fails with one unhealthy window.
_FLEET = {
    "nodes": 60,
    "update_duration": "60s",
    "rollback_duration": "30s",
    "requests_per_second": 20,
    "start_failure": 1e-4,
    "error_rate": 0.005,
}
_COSTS = {"hour_of_delay": 20, "false_alarm": 150, "lost_request": 0}
_HEALTH_CHECK = {"deadline": "90s", "min_healthy_time": "30s"}
_GRID = {
    "canary_count": (1, 2, 3, 5, 8, 12),
    "max_parallel": (5, 10, 15, 30, 60),
    "max_failed_nodes": (0, 1, 2, 5, 10, 60),
    "max_error_rate": (0.01, 0.02, 0.05, 0.1),
}


def _policy(canaries: int, parallel: int, limit: int, rate: float) -> dict[str, Any]:
    return {
        "strategy": "canary",
        "auto_promote": True,
        "canary_count": canaries,
        "max_parallel": parallel,
        "max_failed_nodes": limit,
        "max_failed_nodes_percent": 100,
        "health_check": {**_HEALTH_CHECK, "max_error_rate": rate},
    }


# The values of the grid, in its order; the first is the current policy.
_POLICIES = {
    "usual": (2, 10, 10, 0.1),
    "lax": (1, 60, 60, 0.1),
    "careful": (5, 10, 2, 0.02),
    "strict": (12, 5, 0, 0.01),
}


def _problem(
    name: str,
    difficulty: str,
    release: Mapping[str, Mapping[str, Any]],
    *,
    fleet: Mapping[str, Any] | None = None,
    costs: Mapping[str, float] | None = None,
    requirements: Sequence[Mapping[str, Any]] = (),
    vary: Mapping[str, Sequence[Any]] | None = None,
) -> Problem:
    good = 1 - sum(kind["probability"] for kind in release.values())
    defects = {name: {"defective": True, **kind} for name, kind in release.items()}
    grid = {**_GRID, **(vary or {})}
    policies = {name: _policy(*values) for name, values in _POLICIES.items()}
    for policy in policies.values():
        if policy["max_failed_nodes"] not in grid["max_failed_nodes"]:
            policy["max_failed_nodes"] = grid["max_failed_nodes"][-1]
    contents = {
        "name": name,
        "description": difficulty,
        "fleet": {**_FLEET, **(fleet or {})},
        "release": {"good": {"probability": round(good, 9)}, **defects},
        "operator": {"escape_detection": "1h"},
        "costs": {**_COSTS, **(costs or {})},
        "requirements": list(requirements),
        "policies": policies,
    }
    return Problem(name, difficulty, contents, grid)


@cache
def make_problems() -> tuple[Problem, ...]:
    """Return the problems, from the plain to the tricky."""
    return (
        _problem(
            "common-defects",
            "nothing: one release in five is defective",
            {"bad": {"probability": 0.2, "error_rate": 0.03}},
            costs={"failed_request": 0.01, "false_alarm": 1000, "escape": 2000},
        ),
        _problem(
            "rare-defect",
            "a defect in 1 of 5,000 releases decides",
            {"bad": {"probability": 2e-4, "error_rate": 0.03}},
            costs={"hour_of_delay": 4, "failed_request": 2, "escape": 200_000},
        ),
        _problem(
            "very-rare-defect",
            "a defect in 1 of 10,000 releases costs a million",
            {"bad": {"probability": 1e-4, "error_rate": 0.025}},
            costs={"hour_of_delay": 4, "failed_request": 2, "escape": 1_000_000},
        ),
        _problem(
            "flat",
            "many policies are equal",
            {"bad": {"probability": 0.1, "error_rate": 0.5}},
            fleet={"start_failure": 0, "error_rate": 0},
            costs={"failed_request": 0.002, "escape": 5000},
        ),
        _problem(
            "edge",
            "the optimum is at the edge of the grid: more canaries would be better",
            {"bad": {"probability": 0.05, "error_rate": 0.5, "affects": {"share": 0.1}}},
            costs={"escape": 1000},
            vary={"max_failed_nodes": (60,)},
        ),
        _problem(
            "infeasible",
            "no policy meets the requirements",
            {"bad": {"probability": 0.1, "error_rate": 0.01}},
            fleet={"start_failure": 0.03},
            costs={"failed_request": 0.02, "escape": 2000},
            requirements=(
                {"of": "escaped", "given": "defective", "at_most": 0.01},
                {"of": "false_alarm", "given": "good", "at_most": 0.01},
            ),
        ),
        _problem(
            "binding",
            "the cheapest policy misses a requirement",
            {"bad": {"probability": 0.1, "error_rate": 0.02}},
            costs={"false_alarm": 1000, "escape": 60},
            requirements=({"of": "escaped", "given": "defective", "at_most": 0.02},),
        ),
        _problem(
            "rare-false-alarm",
            "false alarms of less than 0.1 % decide",
            {"bad": {"probability": 0.02, "error_rate": 0.03}},
            costs={"failed_request": 0.2, "false_alarm": 3000, "escape": 1000},
        ),
        _problem(
            "latent",
            "canaries miss a defect of some nodes once in 10,000 rollouts",
            {"latent": {"probability": 0.05, "error_rate": 0.5, "affects": {"share": 0.4}}},
            costs={"escape": 10_000},
            vary={"canary_count": (1, 2, 5, 8, 12, 15, 18, 22, 27, 33), "max_failed_nodes": (60,)},
        ),
        _problem(
            "two-defects",
            "a blatant defect hides a subtle one",
            {
                "blatant": {"probability": 0.1, "error_rate": 0.3},
                "subtle": {"probability": 0.002, "error_rate": 0.02},
            },
            costs={"failed_request": 0.02, "escape": 20_000},
        ),
    )
