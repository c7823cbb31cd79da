"""From a spec on the wire to the general policy, to a spec of another dialect, and from other orchestrators' files.

From outside: `policy_from_spec`, `translate_spec` of `translation`, and `read_policy`, which imports a file. Each format that
can be imported has one module, with `recognises(source)` and `read(reading)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeploy.api import DeploymentSpec, HealthCheck, RolloutHealthCheck
from simdeploy.dialects.imported import Note, PolicyImport
from simdeploy.dialects.importing import KINDS, read_policy
from simdeploy.rules.policy import GateTerms, Policy
from simdeploy.units import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from simdeploy.api import RolloutSpec
    from simdeploy.api.gate import Gate

__all__ = ["KINDS", "Note", "PolicyImport", "policy_from_spec", "read_policy"]


def policy_from_spec(spec: DeploymentSpec | RolloutSpec, *, interval_ns: int) -> Policy:
    """Return the general policy that a spec means.

    Parameters
    ----------
    spec : DeploymentSpec or RolloutSpec
        Without `spec_problems`.
    interval_ns : int
        Length of an evaluation window where the dialect states none, nanoseconds.

    Examples
    --------
    >>> policy_from_spec(DeploymentSpec(strategy="immediate", max_failed_nodes=3), interval_ns=10**10).max_failed_nodes
    3
    """
    health_check: HealthCheck | RolloutHealthCheck
    healthy: dict[str, Any]
    if isinstance(spec, DeploymentSpec):  # healthy is a time, in windows as long as the scenario says
        health_check = spec.health_check or HealthCheck()
        healthy = {
            "interval_ns": interval_ns,
            "min_healthy_ns": health_check.min_healthy_time_ns,
            "success_threshold": None,
            "failure_threshold": None,
        }
    else:  # healthy is a number of windows
        health_check = spec.health_check or RolloutHealthCheck()
        healthy = {
            "interval_ns": health_check.interval_ns,
            "min_healthy_ns": None,
            "success_threshold": health_check.effective("success_threshold"),
            "failure_threshold": health_check.effective("failure_threshold"),
        }
    return Policy(
        dialect=spec.dialect,
        strategy=spec.strategy,
        max_parallel=spec.effective("max_parallel"),
        canary_count=spec.canary_count or 0,
        canary_percent=spec.canary_percent or 0,
        auto_promote=spec.effective("auto_promote"),
        deadline_ns=health_check.deadline_ns,
        max_error_rate=_exact_or_none(health_check.max_error_rate),
        max_failed_nodes=spec.max_failed_nodes,
        max_failed_nodes_percent=_exact_or_none(spec.max_failed_nodes_percent),
        no_auto_rollback=spec.effective("no_auto_rollback"),
        gate=_gate_terms(health_check.gate),
        **healthy,
    )


def _exact_or_none(number: float | None) -> Fraction | None:
    """Return a limit as an exact rational, None where it is unset."""
    return None if number is None else exact(number)


def _gate_terms(gate: Gate | None) -> GateTerms | None:
    """Return what a spec says of its gate; None where the API's threshold judges."""
    if gate is None or gate.kind == "threshold":
        return None
    return GateTerms(**{name: value for name, value in gate if name in GateTerms.__dataclass_fields__})
