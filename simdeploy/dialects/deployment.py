"""The deployment dialect: `max_parallel` is nodes, healthy is a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.api import HealthCheck
from simdeploy.dialects.common import exact_or_none, gate_terms
from simdeploy.rules.policy import Policy

if TYPE_CHECKING:
    from simdeploy.api import DeploymentSpec


def to_policy(spec: DeploymentSpec, *, interval_ns: int) -> Policy:
    """Return the general policy of a spec; its windows are as long as the scenario says.

    Examples
    --------
    >>> from simdeploy.api import DeploymentSpec, HealthCheck
    >>> spec = DeploymentSpec(strategy="rolling", health_check=HealthCheck(deadline="5m"))
    >>> to_policy(spec, interval_ns=10_000_000_000).windows_needed
    3
    """
    health_check = spec.health_check or HealthCheck()
    return Policy(
        dialect="deployment",
        strategy=spec.strategy,
        max_parallel=spec.effective("max_parallel"),
        canary_count=spec.canary_count or 0,
        canary_percent=spec.canary_percent or 0,
        auto_promote=spec.effective("auto_promote"),
        deadline_ns=health_check.deadline_ns,
        interval_ns=interval_ns,
        max_error_rate=exact_or_none(health_check.max_error_rate),
        min_healthy_ns=health_check.min_healthy_time_ns,
        success_threshold=None,
        failure_threshold=None,
        max_failed_nodes=spec.max_failed_nodes,
        max_failed_nodes_percent=exact_or_none(spec.max_failed_nodes_percent),
        no_auto_rollback=spec.effective("no_auto_rollback"),
        gate=gate_terms(health_check.gate),
    )
