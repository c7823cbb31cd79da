"""Judging a canary as a whole by the error rate of its requests (Argo Rollouts, Flagger), with a gate on waves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simdeploy.dialects.manifests import RESTARTS
from simdeploy.dialects.reading import Group
from simdeploy.units import NS_PER_S, write_duration

HOUR_NS = 3600 * NS_PER_S
_LONGEST_NS = 24 * HOUR_NS
# No simulation lasts 100 years.
_ALL_TRIES_NS = 80 * 8760 * HOUR_NS


@dataclass(frozen=True)
class Check:
    """The limits of one metric.

    Attributes
    ----------
    max_error_rate : float
    interval_ns : int
        Between measurements.
    count : int or None
        Measurements; None for no end.
    failure_limit : int
        Failed measurements that are allowed; negative for no limit.
    is_empty_healthy : bool
        Whether a measurement without requests succeeds.
    """

    max_error_rate: float
    interval_ns: int
    count: int | None
    failure_limit: int
    is_empty_healthy: bool = False


@dataclass(frozen=True)
class Judgement:
    """How waves are judged: the strictest of several checks."""

    check: Check
    failure_limit: int | None
    observation_ns: int  # healthy time that a wave needs
    of_rollout: bool = False  # whether failed measurements of all waves are counted together
    is_empty_healthy: bool = False  # whether a window without requests is healthy

    @property
    def longest_ns(self) -> int:
        """The longest time until a verdict."""
        looks = -(-self.observation_ns // self.check.interval_ns) + (self.failure_limit or 0) + 1
        return looks * self.check.interval_ns

    def watch(self) -> dict[str, Any]:
        """Return the keys of a policy that watch nodes: a gate, and retries of nodes that don't start."""
        deadline_ns = max(4 * self.longest_ns, HOUR_NS)
        check = {
            "deadline": write_duration(deadline_ns),
            "interval": write_duration(self.check.interval_ns),
            "min_healthy_time": write_duration(self.observation_ns),
            "max_error_rate": self.check.max_error_rate,
            "gate": {"kind": "pooled", "over": "window", **({"failures_of": "rollout"} if self.of_rollout else {})},
        }
        if self.failure_limit is not None:
            check |= {"failure_threshold": self.failure_limit + 1, "cumulative_failures": True}
        return {"health_check": check, **RESTARTS, "retries": min(RESTARTS["retries"], _ALL_TRIES_NS // deadline_ns)}


def judge(checks: list[Check], least_ns: int, *, of_rollout: bool = False) -> Judgement:
    """Return the strictest judgement of several checks; every wave is watched for at least `least_ns`."""
    strictest = min(checks, key=lambda check: check.max_error_rate)
    limits = [check.failure_limit for check in checks if check.failure_limit >= 0]
    measured = max((check.count or 1) * check.interval_ns for check in checks)
    is_empty_healthy = all(check.is_empty_healthy for check in checks)
    return Judgement(strictest, min(limits, default=None), max(measured, least_ns), of_rollout, is_empty_healthy)


def read_interval(group: Group) -> int | None:
    """Return the interval at which a metric is measured."""
    interval_ns = group.duration("interval", NS_PER_S)
    if interval_ns is not None and interval_ns > _LONGEST_NS:
        group.refuse("interval", "too long", allowed=f"at most {write_duration(_LONGEST_NS)}")
        return _LONGEST_NS
    return interval_ns
