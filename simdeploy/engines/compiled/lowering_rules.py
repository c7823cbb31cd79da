"""Lowering of rules, limits and gates to plain numbers.

Exact comparisons are prepared here, with unlimited precision: a percent becomes a fraction whose products fit into 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from simdeploy.engines.compiled.binomial import ALWAYS, NEVER
from simdeploy.engines.compiled.bundling import BEYOND_ANY_FLEET
from simdeploy.engines.compiled.codes import code_of
from simdeploy.engines.compiled.records import POLICY_RECORD, UNKNOWN
from simdeploy.rules.gates.gate import MOST_GATED_REQUESTS, Gate, Method
from simdeploy.rules.limits import NO_PERCENT, Limits
from simdeploy.rules.orchestrator import PercentOf
from simdeploy.world.binomial import binomial_cdf
from simdeploy.world.distributions import Constant
from simdeploy.world.levels import mean_level
from simdeploy.world.special import special

if TYPE_CHECKING:
    from simdeploy.rules.health import HealthRule
    from simdeploy.world.fleet import Behaviour
    from simdeploy.world.release import ReleaseKind


def lower_rule(rule: HealthRule, peaks: list[int]) -> dict[str, int]:
    rate, _ = _exact_in_64_bits(rule.max_error_rate, MOST_GATED_REQUESTS, reaches=False)
    return {
        "rate_top": rate.numerator,
        "rate_bottom": rate.denominator,
        "idle_is_healthy": rule.no_traffic_is_healthy,
        "interval": rule.interval_ns,
        "is_checked": rule.is_checked,
        "deadline": rule.deadline_ns,
        "from_dispatch": rule.deadline_from_dispatch,
        "needed": rule.windows_needed,
        "consecutive": rule.consecutive,
        "failure_threshold": rule.failure_threshold or 0,
        "retries": rule.retries,
        "retry_delay": rule.retry_delay_ns,
        "tries_unhealthy": rule.retries_unhealthy,
        "cumulative": rule.cumulative,
        "peak": peaks.index(rule.windows_needed) if rule.windows_needed in peaks else -1,
    }


def lower_class_rule(rule: HealthRule, behaviour: Behaviour) -> dict[str, int]:
    requests = rule.requests_per_window(behaviour.requests_per_second)
    return {"requests": requests, "allowed": min(rule.allowed_failures(requests), requests)}


def last_words(rule: HealthRule, behaviour: Behaviour, kinds: Sequence[ReleaseKind]) -> list[int]:
    """Return the last healthy words by level; see `tables.CLASS_RULE_RECORD`."""
    lowered = lower_class_rule(rule, behaviour)
    requests, allowed = lowered["requests"], lowered["allowed"]
    if allowed < 0 or allowed >= requests:
        return [NEVER if allowed < 0 else ALWAYS] * (1 + len(kinds))
    if not isinstance(behaviour.error_rate, Constant):
        return [UNKNOWN] * (1 + len(kinds))
    level = behaviour.error_rate.quantile(0.5)
    levels = [level, *(mean_level(level, kind.error_rate, 0.0, 1, 1, 0, 0) for kind in kinds)]
    return [NEVER if p >= 1 else math.floor(binomial_cdf(allowed, requests, p) * 2.0**52 - 0.5) for p in levels]


def lower_limits(limits: Limits | None, total: int) -> dict[str, int]:
    if limits is None:
        return {
            "has_limits": False,
            "stopping_count": BEYOND_ANY_FLEET,
            "top": 0,
            "bottom": 1,
            "reaches": False,
            "own_reaches": False,
            "both": False,
            "counts_tries": False,
            "percent_of": 0,
            "minimum_sample": 0,
            "in_a_row": False,
            "watches_zones": False,
            "zone_count": BEYOND_ANY_FLEET,
            **_fraction("zone", NO_PERCENT),
        }
    share, reaches = _exact_in_64_bits(limits.max_failed_nodes_percent / 100, total, reaches=limits.reaches)
    return {
        "has_limits": True,
        "stopping_count": min(max(limits.max_failed_nodes + (0 if limits.reaches else 1), 1), BEYOND_ANY_FLEET),
        "top": share.numerator,
        "bottom": share.denominator,
        "reaches": reaches,
        "own_reaches": limits.reaches,
        "both": limits.both,
        "counts_tries": limits.counts_tries,
        "percent_of": code_of(PercentOf, limits.percent_of),
        "minimum_sample": min(limits.minimum_sample, BEYOND_ANY_FLEET),
        "in_a_row": limits.consecutive,
        **_lower_zone_limit(limits),
    }


def _lower_zone_limit(limits: Limits) -> dict[str, int]:
    of_zone = limits.per_zone
    is_percent = isinstance(of_zone, Fraction)
    count = BEYOND_ANY_FLEET if is_percent or of_zone is None else of_zone + (0 if limits.reaches else 1)
    percent = of_zone if isinstance(of_zone, Fraction) else NO_PERCENT
    return {"watches_zones": of_zone is not None, "zone_count": int(count), **_fraction("zone", percent)}


def _fraction(name: str, percent: Fraction) -> dict[str, int]:
    """Return a percent as a fraction in two numbers; those of waves and zones have few digits."""
    return {f"{name}_top": (percent / 100).numerator, f"{name}_bottom": (percent / 100).denominator}


# The fields of a policy's record that depend on its limits.
OF_LIMITS = frozenset(lower_limits(None, 1))


_NO_GATE: dict[str, float] = {
    **{name: 0 for name in POLICY_RECORD.names or () if name.startswith("gate")},
    "gate": -1,
    "gate_needed": 1,
    "gate_bottom": 1,
}


def lower_gate(gate: Gate | None) -> dict[str, float]:
    if gate is None:
        return _NO_GATE
    rate, _ = _exact_in_64_bits(gate.max_error_rate, MOST_GATED_REQUESTS, reaches=False)
    prior = 0.0
    if gate.method in ("e_process", "multinomial"):
        a, b = gate.prior_a, gate.prior_b
        prior = float(special.betaln(a, b)) + math.log(float(special.betaincc(a, b, gate.null)))
    return {
        "gate": code_of(Method, gate.method),
        "gate_compares": gate.compares,
        "gate_of_rollout": gate.of_rollout,
        "gate_minimum": gate.minimum_sample,
        "gate_needed": gate.windows_needed,
        "gate_top": rate.numerator,
        "gate_bottom": rate.denominator,
        "gate_most": gate.most,
        "gate_if_failed": gate.if_failed,
        "gate_if_served": gate.if_served,
        "gate_upper": gate.upper,
        "gate_lower": gate.lower,
        "gate_null": gate.null,
        "gate_a": gate.prior_a,
        "gate_b": gate.prior_b,
        "gate_prior": prior,
        "gate_confidence": gate.confidence,
        "gate_tolerance": gate.tolerance,
        "gate_z": gate.z,
    }


def _exact_in_64_bits(share: Fraction, total: int, *, reaches: bool) -> tuple[Fraction, bool]:
    """Return a share with a small denominator that is crossed by the same numbers of failures among at most `total` nodes.

    No ratio of such numbers equals a share whose denominator is larger than `total`, nor lies between it and the next
    fraction below it (in the Farey sequence of that order); above that fraction is above the share.
    """
    if share.denominator <= total:
        return share, reaches
    nearest = share.limit_denominator(total)
    if nearest > share:
        # The neighbour below: the one with the largest denominator for which the determinant with `nearest` is 1.
        p, q = nearest.numerator, nearest.denominator
        below = pow(p, -1, q) if q > 1 else 0
        below += (total - below) // q * q
        nearest = Fraction((p * below - 1) // q, below)
    return nearest, False
