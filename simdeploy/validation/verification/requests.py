"""Cases of requests: lost while nodes are out of service, or shed by a service whose nodes share them."""

from __future__ import annotations

import math
from typing import Any

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import NEVER_STOPS, Case, below, make_case, number_of, rolling
from simdeploy.world.distributions import Constant, Exponential, Lognormal

_HOUR_S = 3600
_GOES_ON = {"on_failure": "continue"}


def requests() -> tuple[Case, ...]:
    """Lost and shed requests, traffic by the time of day, and overload."""
    return (*_lost(), *_by_the_hour(), *_shed(), *_overloaded())


def _lost() -> tuple[Case, ...]:
    daily = [(6 * _HOUR_S, 0.2), (8 * _HOUR_S, 1.0), (20 * _HOUR_S, 0.6)]
    return (
        make_case(
            "waves, each node with its own requests",
            "requests lost",
            "lost_requests",
            lambda: math.fsum(oracles.lost_requests(Lognormal(60.0, 0.8), size, 5) for size in (4, 4, 2)),
            number_of("lost_requests"),
            {
                "nodes": 10,
                "requests_per_second": 5,
                "update_duration": {"lognormal": {"median": "1m", "sigma": 0.8}},
            },
            rolling(4),
        ),
        make_case(
            "one wave at 7:30, exponential starts",
            "requests lost",
            "lost_requests traffic_s",
            lambda: oracles.lost_requests(Exponential(2400.0), 20, 5, daily=daily, start_s=7.5 * _HOUR_S),
            number_of("lost_requests"),
            {
                "nodes": 20,
                "requests_per_second": 5,
                "update_duration": {"exponential": {"mean": "40m"}},
                "traffic": {"daily": [["6h", 0.2], ["8h", 1], ["20h", 0.6]]},
            },
            rolling(),
            deployment={"created_at": "2026-03-02T07:30:00+01:00"},
        ),
    )


def _by_the_hour() -> tuple[Case, ...]:
    daily, starts_s, rate = [(6 * _HOUR_S, 1.0), (18 * _HOUR_S, 3.0)], 23 * _HOUR_S, 7
    wave_s = 25 * 60 + 3 * 600
    sent_s = [starts_s + wave * wave_s for wave in range(3)]
    policy = rolling(2, health_check={"deadline": "24h", "min_healthy_time": "30m"})
    scenario: dict[str, Any] = {
        "fleet": {
            "nodes": 6,
            "requests_per_second": rate,
            "update_duration": "25m",
            "traffic": {"daily": [["6h", 1], ["18h", 3]]},
        },
        "policy": policy,
        "health": {"interval": "10m"},
        "deployment": {"created_at": "2026-03-02T23:00:00Z"},
    }

    def met() -> float:
        starts = (sent + 25 * 60 + window * 600 for sent in sent_s for window in range(3))
        return sum(2 * math.floor(rate * oracles.traffic_s(daily, start, 600) + 0.5) for start in starts)

    def lost() -> float:
        return math.fsum(
            oracles.lost_requests(Constant(25 * 60.0), 2, rate, daily=daily, start_s=sent) for sent in sent_s
        )

    name = "waves over midnight"
    return (
        make_case(name, "requests of windows", "traffic_s", met, number_of("decision_requests"), **scenario),
        make_case(name, "requests lost", "lost_requests", lost, number_of("lost_requests"), **scenario),
    )


def _shed() -> tuple[Case, ...]:
    sizes = [4, 4, 2]
    scenario: dict[str, Any] = {
        "fleet": {
            "nodes": 10,
            "requests_per_second": 5,
            "update_duration": {"exponential": {"mean": "1m"}},
            "service": {"shared": {"capacity": 1.3}},
        },
        "policy": rolling(4),
    }
    return (
        make_case(
            "waves of a shared service",
            "requests shed",
            "waves_shed_requests shed_fraction",
            lambda: oracles.waves_shed_requests(Exponential(60.0), 10, sizes, 1.3, 5),
            number_of("shed_requests"),
            **scenario,
        ),
        make_case(
            "waves of a shared service",
            "lowest capacity / demand",
            "waves_min_capacity_ratio",
            lambda: oracles.waves_min_capacity_ratio(10, sizes, 1.3),
            number_of("min_capacity_ratio"),
            **scenario,
        ),
    )


def _overloaded() -> tuple[Case, ...]:
    def nodes_that_pass() -> float:
        # Nodes that did not start stay out while the others are validated, for at most five windows.
        from scipy.stats import binom

        total = 0.0
        for out in range(20):
            healthy = oracles.loaded_window_probability(40, 20, out, 1.1, 0.05, error_level=0.01)
            passed = oracles.validation(healthy, 3, 5).pass_probability
            total += float(binom.pmf(out, 20, 0.1)) * (20 - out) * passed
        return total / 20

    return (
        make_case(
            "a wave while other nodes are down",
            "waves that overload",
            "overload_probability largest_wave",
            lambda: oracles.overload_probability(30, 3, oracles.unavailability(9, 1), 1.26),
            below("min_capacity_ratio", 1),
            {
                "nodes": 30,
                "requests_per_second": 5,
                # So short that no other node goes down meanwhile.
                "update_duration": "1ns",
                "rollback_duration": "0s",
                "crash": {"up": {"exponential": {"mean": "9h"}}, "repair": {"exponential": {"mean": "1h"}}},
                "service": {"shared": {"capacity": 1.26}},
            },
            rolling(3, **NEVER_STOPS),
            orchestrator={"unreachable_nodes": "skip"},
            operator={"script": [{"at": "1ns", "do": "cancel"}]},
        ),
        make_case(
            "nodes that don't start overload the others",
            "nodes that pass",
            "loaded_window_probability validation",
            nodes_that_pass,
            number_of("updated_nodes", 20),
            {
                "nodes": 20,
                "requests_per_second": 4,
                "start_failure": 0.1,
                "error_rate": 0.01,
                "service": {"shared": {"capacity": 1.1}},
            },
            rolling(health_check={"deadline": "80s", "min_healthy_time": "30s", "max_error_rate": 0.05}, **NEVER_STOPS),
            orchestrator=_GOES_ON,
        ),
    )
