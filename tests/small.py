"""The small scenario of many tests: a few flaky nodes, a release that may be bad, waves and all at once."""

from __future__ import annotations

from typing import Any

from simdeploy import Scenario

IMMEDIATE = {"strategy": "immediate"}


def rolling(max_parallel: int | None = None, **keys: Any) -> dict[str, Any]:
    """Return a policy of waves whose nodes have five minutes, unless the keys say otherwise."""
    size = {} if max_parallel is None else {"max_parallel": max_parallel}
    return {"strategy": "rolling", **size, "health_check": {"deadline": "5m"}, **keys}


def maybe_bad(probability: float = 0.5, error_rate: float = 0.4) -> dict[str, Any]:
    """Return a release that is bad with some probability."""
    bad = {"probability": probability, "defective": True, "error_rate": error_rate}
    return {"good": {"probability": 1 - probability}, "bad": bad}


SMALL: dict[str, Any] = {
    "name": "small",
    "fleet": {
        "nodes": 12,
        "requests_per_second": 10,
        "update_duration": {"exponential": {"mean": "30s"}},
        "start_failure": 0.1,
    },
    "release": maybe_bad(),
    "policies": {"waves": rolling(5), "at-once": IMMEDIATE},
}


def small(fleet: dict[str, Any] | None = None, **sections: Any) -> Scenario:
    """Return the small scenario with other keys of the fleet, and other sections; None removes a section."""
    raw = {**SMALL, **sections, "fleet": {**SMALL["fleet"], **(fleet or {})}}
    return Scenario.from_dict({name: section for name, section in raw.items() if section is not None})


def one_by_one(orchestrator: Any = "expanso", policy: dict[str, Any] | None = None, **fleet: Any) -> Scenario:
    """Return a scenario with a known makespan: nodes one after the other, each started and then healthy for a while."""
    health_check = {"min_healthy_time": "10s", "deadline": "1h"}
    return Scenario.from_dict(
        {
            "name": "one-by-one",
            "fleet": {"nodes": 5, "update_duration": "60s", **fleet},
            "orchestrator": orchestrator,
            "policies": {"waves": rolling(1, health_check=health_check) | (policy or {})},
        }
    )


def rarely_bad(**sections: Any) -> Scenario:
    """Return a scenario in which one release in a hundred fails requests for an hour on average, and nothing else costs.

    The expected cost of all releases is 7,200 times the error rate of the bad one: 10 nodes with 20 requests per second.
    """
    sections = {
        "fleet": {"nodes": 10, "requests_per_second": 20, "update_duration": "1m", "rollback_duration": "0s"},
        "release": maybe_bad(0.01),
        "operator": {"escape_detection": {"exponential": {"mean": "1h"}}},
        "costs": {"failed_request": 1, "lost_request": 0},
        "policies": {"at-once": IMMEDIATE},
        **sections,
    }
    return Scenario.from_dict({"name": "rarely-bad", **sections})
