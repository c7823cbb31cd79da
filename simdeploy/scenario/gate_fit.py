"""Fleets whose error rates vary so much that a gate stops good releases more often than its `alpha` promises."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.rules.gates.gate import method_of
from simdeploy.rules.health import HealthRule, read_health_rule, read_max_error_rate
from simdeploy.rules.waves import plan_waves
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator
    from simdeploy.rules.policy import Policy
    from simdeploy.world.fleet import Behaviour, Flapping, Fleet

# Above this ratio of the variance of nodes' error rates to that of chance alone, a comparison of versions errs noticeably more
# often. Ranks, with a tolerance, are more robust than counts.
_MOST_SPREAD = {"multinomial": 0.5, "mann_whitney": 2.0}
# A wave's mean error rate rarely exceeds its expectation by more standard deviations.
_FAR = 3.0


class _Rates(NamedTuple):
    """A node's error rate over its observation, without a release: mean and variance over nodes and times."""

    mean: float
    variance: float


def find_misfit(policy: Policy, fleet: Fleet, orchestrator: Orchestrator) -> str | None:
    r"""Say why a policy's gate stops good releases of this fleet too often; None if it doesn't, or guarantees nothing.

    Notes
    -----
    The error rate of a node with n requests in its observation has variance :math:`p (1 - p) / n` by chance. Comparisons of
    versions assume no other variance, but a law of error rates or degraded spells adds some: the ratio of both is limited. An
    e-process is valid at all rates up to `max_error_rate`, so the mean rate of a wave must not exceed it.

    The time-average over an observation of length T of a process that is degraded with probability q has variance :math:`q (1 - q)
    \cdot 2 (x - 1 + e^{-x}) / x^2`, where x is T times the sum of both rates of change.
    """
    method = None if policy.gate is None else method_of(policy.gate)
    rule = read_health_rule(policy, orchestrator)
    if method in _MOST_SPREAD:
        spread = max((_find_spread(behaviour, rule) for behaviour in fleet.behaviours), default=0.0)
        if spread > _MOST_SPREAD[method]:
            times = float(f"{1 + spread:.2g}")  # two digits
            return (
                f"error rates of nodes vary {times:,g} times as much as by chance, so it stops good releases too often"
            )
    elif method == "e_process":
        limit = float(read_max_error_rate(policy, orchestrator))
        highest = _find_highest(fleet, rule, plan_waves(policy, orchestrator, fleet.nodes, fleet.zones).sizes[0])
        if highest > limit:
            return f"error rates of good waves reach {highest:.2g}, above max_error_rate, so it stops good releases too often"
    return None


def _find_spread(behaviour: Behaviour, rule: HealthRule) -> float:
    requests = rule.requests_per_window(behaviour.requests_per_second) * max(rule.windows_needed, 1)
    rates = _find_rates(behaviour, rule)
    chance = rates.mean * (1 - rates.mean)
    return requests * rates.variance / chance if chance > 0 else 0.0


def _find_highest(fleet: Fleet, rule: HealthRule, size: int) -> float:
    """Return the highest mean error rate that a wave of `size` nodes is likely to have."""
    weights = [
        nodes * float(behaviour.requests_per_second)
        for nodes, behaviour in zip(fleet.class_sizes, fleet.behaviours, strict=True)
    ]
    total = sum(weights)
    if total == 0:
        return 0.0
    rates = [_find_rates(behaviour, rule) for behaviour in fleet.behaviours]
    mean = sum(weight * of.mean for weight, of in zip(weights, rates, strict=True)) / total
    variance = (
        sum(weight * (of.variance + (of.mean - mean) ** 2) for weight, of in zip(weights, rates, strict=True)) / total
    )
    return mean + _FAR * math.sqrt(variance / size)


def _find_rates(behaviour: Behaviour, rule: HealthRule) -> _Rates:
    error_rate = behaviour.error_rate
    if behaviour.flapping is None:
        return _Rates(error_rate.mean, error_rate.variance)
    degraded, variance = _find_degraded(behaviour.flapping, max(rule.windows_needed, 1) * rule.interval_ns / NS_PER_S)
    # Both causes of failures are independent: 1 - (1 - own)(1 - degraded).
    return _Rates(
        1 - (1 - error_rate.mean) * (1 - degraded),
        error_rate.variance * ((1 - degraded) ** 2 + variance) + (1 - error_rate.mean) ** 2 * variance,
    )


def _find_degraded(flapping: Flapping, observed_s: float) -> tuple[float, float]:
    """Return mean and variance of the error rate that degraded spells add over an observation."""
    share = flapping.degraded_s / (flapping.good_s + flapping.degraded_s)
    x = observed_s * (1 / flapping.good_s + 1 / flapping.degraded_s)
    kept = 2 * (x + math.expm1(-x)) / x**2 if x > 1e-4 else 1.0
    return flapping.error_rate * share, flapping.error_rate**2 * share * (1 - share) * kept
