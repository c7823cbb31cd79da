"""From a spec of the API to the general policy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from simdeploy.api import (
    DEFAULTS,
    DeploymentSpec,
    Dialect,
    HealthCheck,
    RolloutHealthCheck,
    RolloutSpec,
    spec_from_dict,
)
from simdeploy.dialects import policy_from_spec
from simdeploy.rules import health, limits, waves
from simdeploy.rules.policy import Policy

S = 10**9


def policy_of(raw: dict[str, Any], dialect: Dialect, interval_ns: int = 7 * S) -> Policy:
    spec, problems = spec_from_dict(raw, dialect=dialect)
    assert spec is not None, problems
    return policy_from_spec(spec, interval_ns=interval_ns)


# Keys common to both dialects, and their meaning.
CANARIES = {"strategy": "canary", "canary_count": 3, "canary_percent": 7, "auto_promote": True}
COMMON = {**CANARIES, "max_failed_nodes": 4, "no_auto_rollback": True}
WRITTEN = {**COMMON, "max_failed_nodes_percent": 0.3}
READ = {**COMMON, "max_failed_nodes_percent": Fraction(3, 10), "max_error_rate": Fraction(7, 100)}


def test_every_field_of_the_deployment_dialect_is_mapped() -> None:
    """Each key of a deployment spec is in the policy, with exact numbers and durations in nanoseconds. [contract]"""
    health_check = {"deadline": "5m", "max_error_rate": 0.07, "min_healthy_time": "1.5s"}
    assert policy_of({**WRITTEN, "max_parallel": 50, "health_check": health_check}, "deployment") == Policy(
        **READ,
        dialect="deployment",
        max_parallel=50,
        deadline_ns=300 * S,
        interval_ns=7 * S,
        min_healthy_ns=1_500_000_000,
        success_threshold=None,
        failure_threshold=None,
    )


def test_every_field_of_the_rollout_dialect_is_mapped() -> None:
    """Each key of a rollout spec is in the policy; the scenario's interval is not used. [contract]"""
    thresholds = {"success_threshold": 4, "failure_threshold": 6}
    health_check = {"deadline": 300 * S, "interval": 11 * S, "max_error_rate": 0.07, **thresholds}
    assert policy_of({**WRITTEN, "max_parallel": 5, "health_check": health_check}, "rollout") == Policy(
        **READ,
        **thresholds,
        dialect="rollout",
        max_parallel=5,
        deadline_ns=300 * S,
        interval_ns=11 * S,
        min_healthy_ns=None,
    )


@pytest.mark.parametrize("health_check", [None, HealthCheck(), HealthCheck(deadline="", min_healthy_time="")])
def test_unset_keys_of_the_deployment_dialect(health_check: HealthCheck | None) -> None:
    """Unset limits stay unset, min_healthy_time is 30 s, everything else is off. [contract]"""
    policy = policy_from_spec(DeploymentSpec(strategy="immediate", health_check=health_check), interval_ns=S)
    assert (policy.max_error_rate, policy.max_failed_nodes, policy.max_failed_nodes_percent) == (None, None, None)
    assert (policy.deadline_ns, policy.min_healthy_ns, policy.windows_needed) == (None, 30 * S, 30)
    assert (policy.max_parallel, policy.canary_count, policy.canary_percent) == (0, 0, 0)
    assert (policy.auto_promote, policy.no_auto_rollback) == (False, False)


@pytest.mark.parametrize("health_check", [None, RolloutHealthCheck(), RolloutHealthCheck(deadline="", interval="")])
def test_unset_keys_of_the_rollout_dialect(health_check: RolloutHealthCheck | None) -> None:
    """Unset limits stay unset; windows are 10 s, two to pass, three to fail; waves are 10 percent. [contract]"""
    policy = policy_from_spec(RolloutSpec(strategy="immediate", health_check=health_check), interval_ns=S)
    assert (policy.max_error_rate, policy.max_failed_nodes, policy.max_failed_nodes_percent) == (None, None, None)
    assert (policy.interval_ns, policy.success_threshold, policy.failure_threshold) == (10 * S, 2, 3)
    assert (policy.deadline_ns, policy.min_healthy_ns, policy.max_parallel) == (None, None, 10)


def test_an_explicit_zero_stays_zero() -> None:
    """A limit of 0 and a min_healthy_time of 0 are not taken for unset. [contract]"""
    raw = {
        "strategy": "rolling",
        "max_failed_nodes": 0,
        "max_failed_nodes_percent": 0,
        "health_check": {"deadline": "0", "max_error_rate": 0, "min_healthy_time": 0},
    }
    policy = policy_of(raw, "deployment")
    assert (policy.max_error_rate, policy.max_failed_nodes_percent) == (Fraction(0), Fraction(0))
    assert policy.max_failed_nodes == 0
    assert (policy.deadline_ns, policy.min_healthy_ns, policy.windows_needed) == (0, 0, 0)
    assert policy_of({"strategy": "immediate", "max_parallel": 0}, "rollout").max_parallel == 0


@pytest.mark.parametrize("number", [0.1, 0.07, 1e-9, 1 / 3, 0.3])
def test_fractions_are_those_of_the_literal(number: float) -> None:
    """A limit is the exact rational of the literal in the file, not of the nearest float. [oracle]"""
    policy = policy_of({"strategy": "rolling", "health_check": {"deadline": 1, "max_error_rate": number}}, "deployment")
    assert policy.max_error_rate == Fraction(repr(number))


def test_the_rules_have_the_documented_defaults() -> None:
    """Unset limits have the API's documented defaults. [contract]"""
    for documented in (DEFAULTS["deployment"], DEFAULTS["rollout"]):
        assert documented["max_failed_nodes"] == limits.DEFAULT_MAX_FAILED_NODES
        assert documented["max_failed_nodes_percent"] == limits.DEFAULT_MAX_FAILED_NODES_PERCENT
        assert Fraction(str(documented["max_error_rate"])) == health.DEFAULT_MAX_ERROR_RATE
    assert DEFAULTS["rollout"]["max_parallel"] == waves.DEFAULT_WAVE_PERCENT
