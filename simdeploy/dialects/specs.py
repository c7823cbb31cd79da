"""Conversion of a spec to the general policy."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from simdeploy.api import DeploymentSpec, GeneralHealthCheck, GeneralSpec, HealthCheck, RolloutHealthCheck
from simdeploy.api.general import duration_ns
from simdeploy.rules.policy import GateTerms, Policy, WaveTerms
from simdeploy.units import exact

if TYPE_CHECKING:
    from simdeploy.api import Spec, WaveEntry
    from simdeploy.api.gate import Gate


def policy_from_spec(
    spec: Spec,  # without `spec_problems`
    *,
    interval_ns: int,  # length of an evaluation window where the dialect states none, nanoseconds
) -> Policy:
    """Return the general policy that a spec means.

    Examples
    --------
    >>> policy_from_spec(DeploymentSpec(strategy="immediate", max_failed_nodes=3), interval_ns=10**10).max_failed_nodes
    3
    """
    if isinstance(spec, GeneralSpec):
        return _policy_from_general(spec, interval_ns)
    health_check: HealthCheck | RolloutHealthCheck
    healthy: dict[str, Any]
    if isinstance(spec, DeploymentSpec):  # requires a healthy time, in windows of the scenario's length
        health_check = spec.health_check or HealthCheck()
        healthy = {
            "interval_ns": interval_ns,
            "min_healthy_ns": health_check.min_healthy_time_ns,
            "success_threshold": None,
            "failure_threshold": None,
        }
    else:  # requires a number of healthy windows
        health_check = spec.health_check or RolloutHealthCheck()
        healthy = {
            "interval_ns": health_check.interval_ns,
            "min_healthy_ns": None,
            "success_threshold": health_check.effective("success_threshold"),
            "failure_threshold": health_check.effective("failure_threshold"),
        }
    return Policy(max_parallel=spec.effective("max_parallel"), **_common_terms(spec, health_check), **healthy)


def _common_terms(spec: Spec, check: HealthCheck | RolloutHealthCheck | GeneralHealthCheck) -> dict[str, Any]:
    """Return the fields of a policy that all dialects have in common."""
    return {
        "dialect": spec.dialect,
        "strategy": spec.strategy,
        "canary_count": spec.canary_count or 0,
        "canary_percent": spec.canary_percent or 0,
        "auto_promote": spec.effective("auto_promote"),
        "deadline_ns": check.deadline_ns,
        "max_error_rate": _exact_or_none(check.max_error_rate),
        "max_failed_nodes": spec.max_failed_nodes,
        "max_failed_nodes_percent": _exact_or_none(spec.max_failed_nodes_percent),
        "no_auto_rollback": spec.effective("no_auto_rollback"),
        "gate": _gate_terms(check.gate),
    }


def _policy_from_general(spec: GeneralSpec, interval_ns: int) -> Policy:
    check = spec.health_check or GeneralHealthCheck()
    by_windows = check.success_threshold is not None
    return Policy(
        **_common_terms(spec, check),
        max_parallel=_amount(spec.max_parallel) or 0,
        interval_ns=duration_ns(check.interval) or interval_ns,
        min_healthy_ns=None if by_windows else duration_ns(check.min_healthy_time) or 0,
        success_threshold=check.success_threshold,
        failure_threshold=check.failure_threshold,
        waves=tuple(_wave_terms(entry) for entry in spec.waves or ()),
        zone_by_zone=bool(spec.zone_by_zone),
        zone_bake_ns=duration_ns(spec.zone_bake_time),
        first_zone_bake_ns=duration_ns(spec.first_zone_bake_time),
        max_parallel_per_zone=_amount(spec.max_parallel_per_zone) or 0,
        surge=_amount(spec.surge) or 0,
        surge_canaries=bool(spec.surge_canaries),
        slot_delay_ns=duration_ns(spec.slot_delay) or 0,
        cumulative_failures=bool(check.cumulative_failures),
        max_failed_nodes_per_zone=_amount(spec.max_failed_nodes_per_zone),
        retries=spec.retries or 0,
        retry_delay_ns=duration_ns(spec.retry_delay) or 0,
        retry_unhealthy=bool(spec.retry_unhealthy),
        progress_deadline_ns=duration_ns(spec.progress_deadline),
        rollout_deadline_ns=duration_ns(spec.rollout_deadline),
        rollback_parallel=_amount(spec.rollback_parallel),
        rollback_delay_ns=duration_ns(spec.rollback_delay) or 0,
    )


def _wave_terms(entry: WaveEntry) -> WaveTerms:
    is_until = entry.until is not None
    amount = _amount(entry.until if is_until else entry.size)
    return WaveTerms(
        amount=1 if amount is None else amount,
        is_until=is_until,
        bake_ns=duration_ns(entry.bake_time),
        max_failed_nodes=entry.max_failed_nodes,
        max_failed_nodes_percent=_exact_or_none(entry.max_failed_nodes_percent),
        min_healthy_ns=duration_ns(entry.min_healthy_time),
        by_gate=entry.gate is not False,
        promotion=bool(entry.promotion),
    )


def _amount(amount: int | str | None) -> int | Fraction | None:
    """Return an amount: a number of nodes, or a fraction that is a percent."""
    return Fraction(amount.removesuffix("%")) if isinstance(amount, str) else amount


def _exact_or_none(number: float | None) -> Fraction | None:
    """Return a limit as an exact rational; None if it is unset."""
    return None if number is None else exact(number)


def _gate_terms(gate: Gate | None) -> GateTerms | None:
    """Return the terms of a spec's gate; None if the API's threshold judges."""
    if gate is None or gate.kind == "threshold":
        return None
    return GateTerms(**{name: value for name, value in gate if name in GateTerms.__dataclass_fields__})
