"""When windows and nodes are healthy: the health check without a clock (model section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias

from simdeploy.units import NS_PER_S, round_half_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.rules.waves import WaveWatch

DEFAULT_MAX_ERROR_RATE = Fraction(1, 10)

NodeVerdict: TypeAlias = Literal["running", "failed"] | None


@dataclass(frozen=True)
class HealthRule:
    """A health check with its thresholds in whole numbers."""

    interval_ns: int  # length of a window
    is_checked: bool  # False for the strategy immediate, which checks no node and has no deadline
    deadline_ns: int  # longest wait for a verdict
    deadline_from_dispatch: bool  # whether the deadline counts from the dispatch, otherwise from the end of the start
    windows_needed: int  # healthy windows until a node is running
    consecutive: bool  # whether one bad window restarts the count
    failure_threshold: int | None  # unhealthy windows until a node has failed
    max_error_rate: Fraction
    no_traffic_is_healthy: bool
    cumulative: bool = False  # whether the windows of `failure_threshold` need not be consecutive
    retries: int = 0  # how often a node that did not start is tried again
    retry_delay_ns: int = 0  # pause before each retry
    retries_unhealthy: bool = False  # whether nodes that fail their health check are tried again, too

    def of_wave(self, watch: WaveWatch) -> HealthRule:
        """Return the rule for the nodes of a wave."""
        if watch.min_healthy_ns is None:
            return self
        return replace(self, windows_needed=-(-watch.min_healthy_ns // self.interval_ns))

    def requests_per_window(self, requests_per_second: Fraction) -> int:
        """Return a node's requests in one window, rounded half up."""
        return round_half_up(requests_per_second * self.interval_ns / NS_PER_S)

    def allowed_failures(self, requests: int) -> int:
        """Return the most failed requests of a healthy window; -1 if no window with this many requests is healthy.

        Examples
        --------
        >>> rule = HealthRule(10, True, 60, True, 3, True, None, Fraction("0.07"), True)
        >>> rule.allowed_failures(100), rule.allowed_failures(0)
        (7, 0)
        """
        if requests == 0:
            return 0 if self.no_traffic_is_healthy else -1
        return math.floor(self.max_error_rate * requests)


def read_max_error_rate(policy: Policy, orchestrator: Orchestrator) -> Fraction:
    """Return the highest error rate that an orchestrator allows under a policy."""
    rate = policy.max_error_rate
    if policy.dialect == "general":  # without defaults
        return Fraction(1) if rate is None else rate
    if rate is None or (rate == 0 and orchestrator.explicit_zero_limit == "default"):
        return DEFAULT_MAX_ERROR_RATE
    return rate


def judges_waves(policy: Policy) -> bool:
    """Whether a gate judges the requests of whole waves, so a single node only has to be up."""
    return policy.gate is not None and policy.gate.kind not in ("threshold", "cusum")


def read_health_rule(policy: Policy, orchestrator: Orchestrator) -> HealthRule:
    """Read a policy's health check as an orchestrator does: how each node is judged."""
    immediate = policy.strategy == "immediate"
    rate = Fraction(1) if judges_waves(policy) else read_max_error_rate(policy, orchestrator)
    return HealthRule(
        interval_ns=policy.interval_ns,
        is_checked=not immediate,
        deadline_ns=policy.deadline_ns or 0,
        deadline_from_dispatch=orchestrator.deadline_starts == "dispatch",
        windows_needed=0 if immediate else policy.windows_needed,
        # A threshold counts consecutive windows, whatever the switch says.
        consecutive=orchestrator.window_reset or policy.success_threshold is not None,
        failure_threshold=None if immediate else policy.failure_threshold,
        max_error_rate=rate,
        no_traffic_is_healthy=orchestrator.no_traffic == "healthy",
        cumulative=policy.cumulative_failures,
        retries=policy.retries,
        retry_delay_ns=policy.retry_delay_ns if policy.retries else 0,
        retries_unhealthy=policy.retry_unhealthy and policy.retries > 0 and not immediate,
    )


class HealthRecord:
    """The windows of one node so far.

    Examples
    --------
    >>> rule = HealthRule(10, True, 60, True, 2, True, None, Fraction("0.1"), True)
    >>> record = HealthRecord(rule)
    >>> [record.add(healthy) for healthy in (True, False, True, True)]
    [None, None, None, 'running']
    """

    __slots__ = ("_rule", "_unhealthy", "healthy")

    def __init__(self, rule: HealthRule) -> None:
        self._rule = rule
        self.healthy = 0  # healthy ones that count
        self._unhealthy = 0

    @property
    def least_needed(self) -> int:
        """The minimum number of further windows until the node is running."""
        return self._rule.windows_needed - self.healthy

    def add_all(self, healthy: Sequence[int]) -> tuple[int, NodeVerdict]:
        """Add windows up to a verdict; return how many were added, and the verdict."""
        if len(healthy) <= self.least_needed and all(healthy):
            return len(healthy), self._add_healthy(len(healthy))
        for n, is_healthy in enumerate(healthy, start=1):
            verdict = self.add(bool(is_healthy))
            if verdict is not None:
                return n, verdict
        return len(healthy), None

    def add(self, healthy: bool) -> NodeVerdict:
        """Add a window; return the verdict on the node, if there is one now."""
        rule = self._rule
        if healthy:
            return self._add_healthy(1)
        self._unhealthy += 1
        if rule.consecutive:
            self.healthy = 0
        if rule.failure_threshold is not None and self._unhealthy >= rule.failure_threshold:
            return "failed"
        return None

    def _add_healthy(self, n: int) -> NodeVerdict:
        self.healthy += n
        if not self._rule.cumulative:
            self._unhealthy = 0
        return "running" if self.healthy >= self._rule.windows_needed else None
