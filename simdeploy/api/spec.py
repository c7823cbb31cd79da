"""The two forms of a deployment spec: what an SRE chooses. The descriptions are the editors' help."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simdeploy.api.gate import Gate, accept_name
from simdeploy.api.values import (
    Count,
    Flag,
    FractionNumber,
    GoDuration,
    NsDuration,
    NsInterval,
    Percent,
    PercentNumber,
    Threshold,
    choice,
)
from simdeploy.api.wire import Dialect, WireObject
from simdeploy.units import parse_duration

Strategy = Annotated[Literal["immediate", "rolling", "canary"], choice("immediate", "rolling", "canary")]
GateKey = Annotated[
    Gate | None,
    Field(
        description="What judges the new version, beyond the API; threshold if left out.", json_schema_extra=accept_name
    ),
]


class HealthCheck(WireObject):
    """Health check of the deployment dialect: durations are Go strings.

    Examples
    --------
    >>> HealthCheck(deadline="5m").min_healthy_time_ns
    30000000000
    """

    deadline: GoDuration | None = Field(
        default=None, description='Longest wait for one node to become healthy, such as "5m"; required.'
    )
    max_error_rate: FractionNumber | None = Field(
        default=None, description="Highest fraction of failed requests allowed during health checks: 0.10 is 10 %."
    )
    min_healthy_time: GoDuration | None = Field(
        default=None, description='Shortest continuous healthy time required, such as "30s".'
    )
    gate: GateKey = None

    @property
    def deadline_ns(self) -> int | None:
        """The deadline in nanoseconds, None where it is unset."""
        return parse_duration(self.deadline) if self.deadline else None

    @property
    def min_healthy_time_ns(self) -> int:
        """The shortest continuous healthy time in nanoseconds, 30 s where it is unset."""
        return parse_duration(self.effective("min_healthy_time"))


class RolloutHealthCheck(WireObject):
    """Health check of the rollout dialect: durations are whole nanoseconds, healthy is counted in windows.

    Examples
    --------
    >>> RolloutHealthCheck(deadline=300_000_000_000).interval_ns
    10000000000
    """

    dialect: ClassVar[Dialect] = "rollout"

    deadline: NsDuration | None = Field(
        default=None, description="Longest wait for one node to become healthy, nanoseconds; required."
    )
    interval: NsInterval | None = Field(default=None, description="Length of one evaluation window, nanoseconds.")
    max_error_rate: FractionNumber | None = Field(
        default=None, description="Highest fraction of failed requests in a healthy window: 0.10 is 10 %."
    )
    success_threshold: Threshold | None = Field(
        default=None, description="Consecutive healthy windows until a node is healthy."
    )
    failure_threshold: Threshold | None = Field(
        default=None, description="Consecutive unhealthy windows until a node is unhealthy."
    )
    gate: GateKey = None

    @property
    def deadline_ns(self) -> int | None:
        """The deadline in nanoseconds, None where it is unset."""
        return None if self.deadline == "" else self.deadline

    @property
    def interval_ns(self) -> int:
        """The length of one evaluation window in nanoseconds, 10 s where it is unset."""
        return int(self.effective("interval"))


class _CommonSpec(WireObject):
    """The fields that mean the same in both dialects."""

    strategy: Strategy = Field(description="How nodes are updated: all at once, in waves, or canaries first.")
    canary_count: Count | None = Field(default=None, description="Canaries, nodes; 0 is unset.")
    canary_percent: Percent | None = Field(default=None, description="Canaries, percent of all nodes; 0 is unset.")
    auto_promote: Flag | None = Field(default=None, description="Promote healthy canaries without a person.")
    max_failed_nodes: Count | None = Field(default=None, description="Most failed nodes before the rollout stops.")
    max_failed_nodes_percent: PercentNumber | None = Field(
        default=None, description="Most failed nodes before the rollout stops, percent: 10.0 is 10 %."
    )
    no_auto_rollback: Flag | None = Field(
        default=None, description="Leave the nodes as they are when the rollout fails, instead of rolling back."
    )


class DeploymentSpec(_CommonSpec):
    """A spec of the deployment dialect.

    Examples
    --------
    >>> spec = DeploymentSpec(strategy="rolling", max_parallel=50, health_check=HealthCheck(deadline="5m"))
    >>> spec.to_dict()
    {'strategy': 'rolling', 'max_parallel': 50, 'health_check': {'deadline': '5m'}}
    """

    max_parallel: Count | None = Field(default=None, description="Most nodes updated in parallel; 0 is all at once.")
    health_check: HealthCheck | None = Field(
        default=None, description="When a node is healthy; required for rolling and canary, ignored for immediate."
    )


class RolloutSpec(_CommonSpec):
    """A spec of the newer, rollout dialect: `max_parallel` is a percent.

    Examples
    --------
    >>> RolloutSpec(strategy="immediate").effective("max_parallel")
    10
    """

    dialect: ClassVar[Dialect] = "rollout"

    max_parallel: Percent | None = Field(
        default=None, description="Size of a wave, percent of all nodes; 0 is the default."
    )
    health_check: RolloutHealthCheck | None = Field(
        default=None, description="When a node is healthy; required for rolling and canary, ignored for immediate."
    )


Spec = DeploymentSpec | RolloutSpec
SPEC_TYPES: dict[Dialect, type[DeploymentSpec | RolloutSpec]] = {
    "deployment": DeploymentSpec,
    "rollout": RolloutSpec,
}


def api_spec(spec: Spec) -> Spec:
    """Return a spec as the API takes it: without what is beyond it.

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
