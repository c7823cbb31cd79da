"""The newer dialect: `max_parallel` is a percent of all nodes, healthy is a number of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.api import RolloutHealthCheck
from simdeploy.dialects.common import exact_or_none, gate_terms
from simdeploy.rules.policy import Policy

if TYPE_CHECKING:
    from simdeploy.api import RolloutSpec


def to_policy(spec: RolloutSpec) -> Policy:
    """Return the general policy of a spec.

    Examples
    --------
    >>> from simdeploy.api import RolloutHealthCheck, RolloutSpec
    >>> spec = RolloutSpec(strategy="rolling", health_check=RolloutHealthCheck(deadline=300_000_000_000))
    >>> to_policy(spec).windows_needed
    2
    """
    health_check = spec.health_check or RolloutHealthCheck()
    return Policy(
        dialect="rollout",
        strategy=spec.strategy,
        max_parallel=spec.effective("max_parallel"),
        canary_count=spec.canary_count or 0,
        canary_percent=spec.canary_percent or 0,
        auto_promote=spec.effective("auto_promote"),
        deadline_ns=health_check.deadline_ns,
        interval_ns=health_check.interval_ns,
        max_error_rate=exact_or_none(health_check.max_error_rate),
        min_healthy_ns=None,
        success_threshold=health_check.effective("success_threshold"),
        failure_threshold=health_check.effective("failure_threshold"),
        max_failed_nodes=spec.max_failed_nodes,
        max_failed_nodes_percent=exact_or_none(spec.max_failed_nodes_percent),
        no_auto_rollback=spec.effective("no_auto_rollback"),
        gate=gate_terms(health_check.gate),
    )
