"""Cases of the control plane: pacing, limits, health windows, late reports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simdeploy.validation import oracles
from simdeploy.validation.verification.case import NEVER_STOPS, Case, at_least, make_case, number_of, rolling, share_of
from simdeploy.world.distributions import Beta, Exponential, Lognormal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_MINUTE = {"exponential": {"mean": "1m"}}


def pacing() -> tuple[Case, ...]:
    """Makespans when nothing fails."""
    makespan_s = number_of("makespan_s")
    return (
        make_case(
            "waves, exponential starts",
            "makespan, s",
            "exponential_barrier_makespan_s",
            lambda: oracles.exponential_barrier_makespan_s(60, [4, 4, 2]),
            makespan_s,
            {"nodes": 10, "update_duration": _MINUTE},
            rolling(4),
        ),
        make_case(
            "one wave, exponential starts",
            "rollouts of 4 min or more",
            "slowest_exceeds",
            lambda: oracles.slowest_exceeds(10, math.exp(-4)),
            at_least("makespan_s", 240),
            {"nodes": 10, "update_duration": _MINUTE},
            rolling(),
        ),
        make_case(
            "waves, lognormal starts",
            "makespan, s",
            "barrier_makespan_s",
            lambda: oracles.barrier_makespan_s(Lognormal(60.0, 0.8), [3, 3, 1], validation_s=40, bake_s=25),
            makespan_s,
            {"nodes": 7, "update_duration": {"lognormal": {"median": "1m", "sigma": 0.8}}},
            rolling(3, health_check={"deadline": "24h", "min_healthy_time": "40s"}),
            orchestrator={"bake_time": "25s"},
            health={"interval": "20s"},
        ),
        make_case(
            "sliding",
            "makespan, s",
            "exponential_sliding_makespan_s",
            lambda: oracles.exponential_sliding_makespan_s(60, 12, 3),
            makespan_s,
            {"nodes": 12, "update_duration": _MINUTE},
            rolling(3),
            orchestrator={"pacing": "sliding"},
        ),
        make_case(
            "batches by the clock",
            "makespan, s",
            "last_end_s",
            lambda: oracles.last_end_s(Exponential(60.0), [(0, 2), (60, 4), (120, 3)]),
            makespan_s,
            {"nodes": 9, "update_duration": _MINUTE},
            rolling(),
            orchestrator={"pacing": "rate", "rate": {"per_minute": 2, "growth": 2}},
        ),
    )


def limits() -> tuple[Case, ...]:
    """Starts that fail, and limits on them."""
    stopped = share_of("state", "failed")
    failing = {"nodes": 20, "start_failure": 0.15}
    certain = {"nodes": 9, "start_failure": 1}
    one_by_one = rolling(1, max_failed_nodes=3, max_failed_nodes_percent=100)
    beta = Beta(0.3, 0.3)

    def squared(table: pd.DataFrame) -> np.ndarray:
        return (number_of("failed_nodes")(table) - 20 * beta.mean) ** 2

    return (
        make_case(
            "stop above a limit",
            "rollouts stopped",
            "stop_probability failures_to_stop",
            lambda: oracles.stop_probability(20, 0.15, 2),
            stopped,
            failing,
            rolling(6, max_failed_nodes=2, max_failed_nodes_percent=100),
        ),
        make_case(
            "failures, in one wave",
            "rollouts with 5 or more",
            "binomial_tail",
            lambda: oracles.binomial_tail(20, 0.15, 5),
            at_least("failed_nodes", 5),
            failing,
            rolling(**NEVER_STOPS),
        ),
        make_case(
            "stop at a limit",
            "rollouts stopped",
            "stop_probability failures_to_stop",
            lambda: oracles.stop_probability(20, 0.15, 2, reaches=True),
            stopped,
            failing,
            rolling(6, max_failed_nodes=2, max_failed_nodes_percent=100),
            orchestrator={"limit_comparison": "reaches"},
        ),
        *(
            make_case(
                f"every start fails, {where} a limit",
                "failed nodes",
                "failures_to_stop",
                lambda where=where: oracles.failures_to_stop(3, reaches=where == "at"),  # type: ignore[misc]
                number_of("failed_nodes"),
                certain,
                one_by_one,
                orchestrator={"limit_comparison": comparison},
            )
            for where, comparison in (("above", "exceeds"), ("at", "reaches"))
        ),
        make_case(
            "one at a time until a limit",
            "nodes touched",
            "mean_dispatched_until_stop",
            lambda: oracles.mean_dispatched_until_stop(30, 0.25, 3),
            number_of("touched_nodes"),
            {"nodes": 30, "start_failure": 0.25},
            one_by_one,
        ),
        make_case(
            "failures that come together",
            "rollouts stopped",
            "correlated_stop_probability",
            lambda: oracles.correlated_stop_probability(20, 1.5, 3.5, 2),
            stopped,
            {"nodes": 20, "start_failure": {"beta": {"alpha": 1.5, "beta": 3.5}}},
            {"strategy": "immediate", "max_failed_nodes": 2, "max_failed_nodes_percent": 100},
        ),
        make_case(
            "failures that come together, never stopped",
            "variance of failed nodes",
            "correlated_failures_variance",
            lambda: oracles.correlated_failures_variance(20, beta.mean, math.sqrt(beta.variance)),
            squared,
            {"nodes": 20, "start_failure": {"beta": {"alpha": 0.3, "beta": 0.3}}},
            {"strategy": "immediate", **NEVER_STOPS},
        ),
        make_case(
            "two attempts, some hang",
            "nodes that start",
            "start_success_probability",
            lambda: oracles.start_success_probability(0.6, hang=0.3, attempts=2),
            number_of("updated_nodes", 20),
            {"nodes": 20, "start_failure": 0.6, "start_hang": 0.3, "start_attempts": 2},
            rolling(health_check={"deadline": "10m", "min_healthy_time": "0s"}, **NEVER_STOPS),
        ),
        make_case(
            "two attempts at once, some hang",
            "nodes left out of service",
            "start_success_probability",
            lambda: 1 - oracles.start_success_probability(0.6, hang=0.3, attempts=2),
            number_of("unrestored_nodes", 20),
            {"nodes": 20, "start_failure": 0.6, "start_hang": 0.3, "start_attempts": 2},
            {"strategy": "immediate", **NEVER_STOPS},
        ),
    )


def windows() -> tuple[Case, ...]:
    """Health windows of nodes with failing requests."""
    level, requests = 0.1, 40
    fleet = {"nodes": 20, "requests_per_second": 4, "error_rate": level}
    goes_on = {"on_failure": "continue"}

    def healthy() -> float:
        return oracles.healthy_window_probability(requests, level, level)

    def checks(deadline: str, healthy_for: str) -> dict[str, Any]:
        health_check = {"deadline": deadline, "min_healthy_time": healthy_for, "max_error_rate": level}
        return rolling(health_check=health_check, **NEVER_STOPS)

    def validated() -> oracles.Validation:
        return oracles.validation(healthy(), 3, 7)

    in_a_row, held = "three windows in a row of seven", "validation Validation"
    single, three = checks("45s", "10s"), checks("100s", "25s")
    quantities = (
        ("one window", "nodes that pass", "healthy_window_probability", healthy, "updated_nodes", single),
        (in_a_row, "nodes that pass", held, lambda: validated().pass_probability, "updated_nodes", three),
        (in_a_row, "windows of a node", held, lambda: validated().mean_windows, "decision_windows", three),
    )
    return tuple(
        make_case(name, quantity, held, truth, number_of(column, 20), fleet, policy, orchestrator=goes_on)
        for name, quantity, held, truth, column, policy in quantities
    )


def reports() -> tuple[Case, ...]:
    """Nodes that are dispatched before a failure is reported."""
    touched = number_of("touched_nodes")
    delay = {"reporting_delay": "90s"}
    return (
        make_case(
            "waves go on until a failure is reported",
            "nodes touched",
            "barrier_dispatched_until_report",
            lambda: oracles.barrier_dispatched_until_report(60, 5, 0.05, update_s=60, delay_s=90),
            touched,
            {"nodes": 60, "update_duration": "60s", "start_failure": 0.05},
            rolling(5, max_failed_nodes=0),
            orchestrator=delay,
        ),
        make_case(
            "slots are filled until a failure is reported",
            "nodes touched",
            "sliding_dispatched_until_report",
            lambda: oracles.sliding_dispatched_until_report(5, 0.2, mean_s=60, delay_s=90),
            touched,
            {"nodes": 300, "update_duration": {"exponential": {"mean": "60s"}}, "start_failure": 0.2},
            rolling(5, max_failed_nodes=0),
            orchestrator={**delay, "pacing": "sliding"},
        ),
    )
