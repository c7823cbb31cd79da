"""The probability that a rollout is stopped, if it follows from the scenario and the policy without simulation."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.rules.deployment_types import TYPES
from simdeploy.rules.health import HealthRule, read_health_rule
from simdeploy.rules.limits import Counts, Limits, read_limits
from simdeploy.rules.waves import count_canaries
from simdeploy.units import NS_PER_S
from simdeploy.world.distributions import Constant, sample_ns

if TYPE_CHECKING:
    from simdeploy.rules.policy import Policy
    from simdeploy.scenario import Scenario, ScenarioPolicy
    from simdeploy.world.fleet import Behaviour
    from simdeploy.world.release import ReleaseKind

# The most health windows of a node; with more, this takes longer than a simulation.
_MOST_WINDOWS = 100_000
# Smaller probabilities that a node is still undecided are neglected.
_NOTHING = 1e-18


class StopChances:
    r"""Probabilities that rollouts of a scenario are stopped, if the release is of a kind.

    A probability is known if the fates of nodes are independent, identically distributed and independent of the time: a node
    fails to start, hangs, misses its deadline or fails its health check, whatever happens to the others. Then it doesn't
    matter when, and in which wave. A rollout is stopped if a canary fails (under the gate `all_healthy`), or if more nodes
    fail than the limits allow.

    Notes
    -----
    Let q be the probability that a node fails, c the number of canaries that must not fail, n the number of other nodes and
    l the most failed nodes that cross no limit. The rollout completes with probability :math:`(1 - q)^c F(l; n, q)`, where F
    is the binomial distribution function (Feller 1968 [1]_, section VI.2).

    A node passes if it starts and has its healthy windows before the deadline: q is the complement of
    :math:`\sum_k r_k P(T \le d - k i)`, where :math:`r_k` is the probability that k windows of length i decide that it is
    running (a Markov chain), T the time it takes to start, and d the deadline.

    References
    ----------
    .. [1] Feller, W. (1968). An Introduction to Probability Theory and Its Applications, vol. I, 3rd edition. Wiley.

    Examples
    --------
    Half of the nodes fail. The second node is updated only if the first one passes.

    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m", "start_failure": 0.5},
    ...     "policies": {"p": {"strategy": "rolling", "max_parallel": 1, "max_failed_nodes": 0,
    ...                        "health_check": {"deadline": "2m", "min_healthy_time": "0s"}}},
    ... })
    >>> StopChances(scenario, scenario.release[0]).of(scenario.policy("p"))
    0.75
    """

    def __init__(self, scenario: Scenario, kind: ReleaseKind) -> None:
        self._scenario, self._kind = scenario, kind
        # Whether any probability is known.
        self.are_known = _has_independent_nodes(scenario, kind)
        # Policies share most of their settings.
        self._of_node: dict[Hashable, float] = {}
        self._most_failed: dict[Hashable, int | None] = {}

    def of(self, policy: ScenarioPolicy) -> float:
        """Return the probability that a rollout under a policy is stopped; NaN if it is not known."""
        spec = policy.policy
        if not self.are_known or not TYPES[policy.identity.type].releases:
            return math.nan
        if spec.dialect == "general" or policy.orchestrator is not None:  # these may depend on the time
            return math.nan
        is_canary = spec.strategy == "canary"
        if (is_canary and not spec.auto_promote) or (spec.gate is not None and spec.gate.kind != "threshold"):
            return math.nan
        most = self._find_most_failed(spec)
        if most is None:
            return math.nan
        total, orchestrator = self._scenario.fleet.nodes, self._scenario.orchestrator
        canaries = 0
        if is_canary and orchestrator.canary_gate == "all_healthy":
            canaries = count_canaries(spec, orchestrator, total)
        return _stop_probability(self._find_node_failure(spec), canaries, total - canaries, most)

    def _find_most_failed(self, spec: Policy) -> int | None:
        """Return the most failed nodes that cross no limit; None if that depends on when they fail."""
        key = (spec.strategy == "immediate", spec.max_failed_nodes, spec.max_failed_nodes_percent)
        if key not in self._most_failed:
            limits = read_limits(spec, self._scenario.orchestrator, self._scenario.fleet.nodes)
            self._most_failed[key] = self._scenario.fleet.nodes if limits is None else _most_failed(limits)
        return self._most_failed[key]

    def _find_node_failure(self, spec: Policy) -> float:
        """Return the probability that a node fails."""
        is_checked = spec.strategy != "immediate"
        key = is_checked and (
            spec.interval_ns, spec.deadline_ns, spec.min_healthy_ns, spec.success_threshold, spec.failure_threshold,
            spec.max_error_rate,
        )  # fmt: skip
        if key not in self._of_node:
            rule = read_health_rule(spec, self._scenario.orchestrator)
            self._of_node[key] = _node_failure(self._scenario.fleet.behaviour, self._kind, rule)
        return self._of_node[key]


def _has_independent_nodes(scenario: Scenario, kind: ReleaseKind) -> bool:
    """Return whether nodes fail independently with the same probability, in rollouts that always end."""
    fleet, orchestrator = scenario.fleet, scenario.orchestrator
    node = fleet.behaviour
    is_static = not (node.crash or node.zone_outage or node.flapping or node.connection or node.traffic or node.down)
    # Everything that is drawn once for all nodes, or once for each, must be constant.
    is_constant = all(isinstance(law, Constant) for law in (node.slowdown, node.start_failure, node.error_rate))
    is_constant &= node.start_attempts == 1 or isinstance(node.update_duration, Constant)
    is_alike = not fleet.classes and fleet.service is None and kind.affects.by in ("all", "share")
    is_alike &= isinstance(kind.after, Constant) or kind.error_rate == 0
    always_ends = orchestrator.on_failure in ("rollback", "stop") and not orchestrator.failed_node_holds_slot
    always_ends &= not orchestrator.failed_node_freezes and orchestrator.lost_waves == "continue"
    always_ends &= orchestrator.failures_counted == "cumulative"
    is_alone = not scenario.operator.script and scenario.tilt is None and scenario.past is None
    return is_static and is_constant and is_alike and always_ends and is_alone


def _most_failed(limits: Limits) -> int | None:
    if limits.percent_of != "fleet":
        if limits.reaches or limits.max_failed_nodes_percent < 100:
            return None
        limits = replace(limits, percent_of="fleet")  # 100 % is never exceeded, whatever it refers to
    # Once crossed, limits stay crossed, so the last node decides.
    low, high = 0, limits.total + 1
    while high - low > 1:
        failed = (low + high) // 2
        counts = Counts(failed, running=limits.total - failed, wave_failed=failed, wave_size=limits.total)
        low, high = (failed, high) if failed <= limits.total and limits.crossed(counts) is None else (low, failed)
    return low


def _stop_probability(failure: float, canaries: int, others: int, most: int) -> float:
    from scipy.special import bdtrc

    if math.isnan(failure):
        return math.nan
    of_canaries = -math.expm1(canaries * math.log1p(-failure)) if failure < 1 else float(canaries > 0)
    of_others = float(bdtrc(most, others, failure)) if most < others else 0.0
    return of_canaries + (1 - of_canaries) * of_others


@lru_cache(maxsize=4096)  # a search sweeps over the same settings many times
def _node_failure(node: Behaviour, kind: ReleaseKind, rule: HealthRule) -> float:
    affected = 1.0 if kind.affects.share is None else float(kind.affects.share)
    parts = ((affected, True), (1 - affected, False))
    return math.fsum(
        share * _failure(node, kind if is_affected else None, rule) for share, is_affected in parts if share
    )


def _failure(node: Behaviour, kind: ReleaseKind | None, rule: HealthRule) -> float:
    """Return the probability that a node fails if a kind of release affects it, or if none does."""
    start_failure, hang = node.start_failure.mean, node.start_hang
    if kind is not None:
        start_failure = 1 - (1 - start_failure) * (1 - kind.start_failure)
        hang = 1 - (1 - hang) * (1 - kind.start_hang)
    again = (1 - hang) * start_failure
    if not rule.is_checked:
        return again**node.start_attempts
    most = rule.deadline_ns // rule.interval_ns
    if most > _MOST_WINDOWS:
        return math.nan
    running = _running_after(rule, _healthy(node, kind, rule, most))
    passes = []
    for attempt in range(1, node.start_attempts + 1):
        in_time: Any = 1.0
        if rule.deadline_from_dispatch:
            left_ns = rule.deadline_ns - rule.interval_ns * np.arange(len(running))
            in_time = _starts_within(node, left_ns, attempt)
        passes.append(again ** (attempt - 1) * (1 - hang) * (1 - start_failure) * float((running * in_time).sum()))
    return 1 - math.fsum(passes)


def _starts_within(node: Behaviour, left_ns: np.ndarray, attempt: int) -> np.ndarray:
    """Return the probabilities that an attempt, after earlier ones of the same length, ends within some times."""
    law, slowdown = node.update_duration, node.slowdown.mean
    if isinstance(law, Constant):
        is_in_time: np.ndarray = attempt * sample_ns(law, 0.5, slowdown) <= left_ns
        return is_in_time
    # Durations are rounded to whole nanoseconds, halves up.
    return np.where(left_ns >= 0, law.cdf((left_ns + 0.5) / NS_PER_S / slowdown), 0.0) if slowdown else left_ns >= 0


def _healthy(node: Behaviour, kind: ReleaseKind | None, rule: HealthRule, most: int) -> np.ndarray:
    """Return the probability that each window is healthy."""
    from scipy.special import bdtr

    requests = rule.requests_per_window(node.requests_per_second)
    allowed = rule.allowed_failures(requests)
    if allowed < 0 or not requests:
        return np.full(most, float(allowed >= 0))
    level: Any = node.error_rate.mean
    if kind is not None and kind.error_rate:
        after_ns = sample_ns(kind.after, 0.5)
        ends = rule.interval_ns * np.arange(1, most + 1)
        present = np.clip((ends - after_ns) / rule.interval_ns, 0.0, 1.0)  # as a fraction of the window
        level = level + present * (1 - level) * kind.error_rate
    return np.broadcast_to(bdtr(allowed, requests, level), most)


def _running_after(rule: HealthRule, healthy: np.ndarray) -> np.ndarray:
    """Return at index k the probability that a node is running after exactly k windows, ignoring its deadline."""
    running = np.zeros(len(healthy) + 1)
    if rule.windows_needed == 0:
        running[0] = 1.0
        return running
    # By healthy windows that count (rows) and consecutive unhealthy ones (columns, if they matter).
    threshold = rule.failure_threshold or 1
    undecided = np.zeros((rule.windows_needed, threshold))
    undecided[0, 0] = 1.0
    for window, chance in enumerate(healthy.tolist(), start=1):
        following = np.zeros_like(undecided)
        better = chance * undecided.sum(axis=1)
        running[window] = better[-1]
        following[1:, 0] = better[:-1]
        worse = (1 - chance) * undecided
        if rule.failure_threshold is not None:
            worse = np.pad(worse[:, :-1], ((0, 0), (1, 0)))
        if rule.consecutive:
            following[0] += worse.sum(axis=0)
        else:
            following += worse
        undecided = following
        if undecided.sum() < _NOTHING:
            break
    return running
