"""Deployment specs in both dialects of the API, and the general one. Editors show the field descriptions."""

from __future__ import annotations

from typing import ClassVar

from simdeploy.api.common_spec import CommonSpec, GateKey
from simdeploy.api.general import GeneralSpec
from simdeploy.api.values import Count, FractionNumber, GoDuration, NsDuration, NsInterval, Percent, Threshold
from simdeploy.api.wire import Dialect, WireObject, unset
from simdeploy.units import parse_duration


class HealthCheck(WireObject):
    """Health check of the deployment dialect: durations are Go strings.

    Examples
    --------
    >>> HealthCheck(deadline="5m").min_healthy_time_ns
    30000000000
    """

    deadline: GoDuration | None = unset('Longest time for a node to become healthy, such as "5m"; required.')
    max_error_rate: FractionNumber | None = unset("Highest allowed fraction of failed requests: 0.10 is 10 %.")
    min_healthy_time: GoDuration | None = unset('Required continuous healthy time, such as "30s".')
    gate: GateKey = None

    @property
    def deadline_ns(self) -> int | None:
        """The deadline in nanoseconds, None if unset."""
        return parse_duration(self.deadline) if self.deadline else None

    @property
    def min_healthy_time_ns(self) -> int:
        """Minimum continuous healthy time in nanoseconds; default 30 s."""
        return parse_duration(self.effective("min_healthy_time"))


class RolloutHealthCheck(WireObject):
    """Health check of the rollout dialect: durations in whole nanoseconds, health counted in windows.

    Examples
    --------
    >>> RolloutHealthCheck(deadline=300_000_000_000).interval_ns
    10000000000
    """

    dialect: ClassVar[Dialect] = "rollout"

    deadline: NsDuration | None = unset("Longest time for a node to become healthy, nanoseconds; required.")
    interval: NsInterval | None = unset("Evaluation window, nanoseconds.")
    max_error_rate: FractionNumber | None = unset(
        "Highest allowed fraction of failed requests in a healthy window: 0.10 is 10 %."
    )
    success_threshold: Threshold | None = unset("Consecutive healthy windows before a node is healthy.")
    failure_threshold: Threshold | None = unset("Consecutive unhealthy windows before a node is unhealthy.")
    gate: GateKey = None

    @property
    def deadline_ns(self) -> int | None:
        """The deadline in nanoseconds, None if unset."""
        return None if self.deadline == "" else self.deadline

    @property
    def interval_ns(self) -> int:
        """Evaluation window in nanoseconds; default 10 s."""
        return int(self.effective("interval"))


class DeploymentSpec(CommonSpec):
    """A spec of the deployment dialect.

    Examples
    --------
    >>> spec = DeploymentSpec(strategy="rolling", max_parallel=50, health_check=HealthCheck(deadline="5m"))
    >>> spec.to_dict()
    {'strategy': 'rolling', 'max_parallel': 50, 'health_check': {'deadline': '5m'}}
    """

    max_parallel: Count | None = unset("Nodes updated in parallel; 0 is all.")
    health_check: HealthCheck | None = unset("Health check; required for rolling and canary, ignored for immediate.")


class RolloutSpec(CommonSpec):
    """A spec of the newer, rollout dialect: `max_parallel` is a percent.

    Examples
    --------
    >>> RolloutSpec(strategy="immediate").effective("max_parallel")
    10
    """

    dialect: ClassVar[Dialect] = "rollout"

    max_parallel: Percent | None = unset("Wave size, percent of all nodes; 0 is the default.")
    health_check: RolloutHealthCheck | None = unset(
        "Health check; required for rolling and canary, ignored for immediate."
    )


Spec = DeploymentSpec | RolloutSpec | GeneralSpec
SPEC_TYPES: dict[Dialect, type[DeploymentSpec | RolloutSpec | GeneralSpec]] = {
    "deployment": DeploymentSpec,
    "rollout": RolloutSpec,
    "general": GeneralSpec,
}


def api_spec(spec: Spec) -> Spec:
    """Return a spec as the API accepts it, without a gate.

    Examples
    --------
    >>> spec = DeploymentSpec(strategy="rolling", health_check={"deadline": "5m", "gate": "sprt"})
    >>> api_spec(spec).to_dict()
    {'strategy': 'rolling', 'health_check': {'deadline': '5m'}}
    """
    if spec.health_check is None or spec.health_check.gate is None:
        return spec
    plain = spec.to_dict()
    del plain["health_check"]["gate"]
    return type(spec).model_validate(plain)
