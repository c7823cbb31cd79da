"""The plan of waves, as a pure function of policy, orchestrator and fleet size (model section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from simdeploy.units import exact, round_half_up

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator, Pacing, Rate
    from simdeploy.rules.policy import Policy

# What `max_parallel` of the rollout dialect means when it is 0 or unset, percent.
DEFAULT_WAVE_PERCENT = 10


@dataclass(frozen=True)
class Plan:
    """Number of nodes per wave.

    Attributes
    ----------
    total : int
        Nodes of the fleet.
    canaries : int
        Size of the canary set, which is a separate wave; 0 without one.
    parallel : int
        Nodes in flight at once: a wave's size, or the slots under sliding.
    pacing : {'barrier', 'sliding', 'rate'}
    sizes : tuple of int
        Nodes of every wave, canaries first; they sum to `total`. Under sliding all nodes after the canaries are one
        wave.
    """

    total: int
    canaries: int
    parallel: int
    pacing: Pacing
    sizes: tuple[int, ...]


def plan_waves(policy: Policy, orchestrator: Orchestrator, total: int) -> Plan:
    """Plan the waves of a rollout over `total` nodes.

    Parameters
    ----------
    orchestrator : Orchestrator
        `pacing`, `canary_size`, `canary_rounding` and `rate` are read.
    total : int
        Nodes of the fleet, at least 1.

    Examples
    --------
    >>> from simdeploy.rules.orchestrator import EXPANSO
    >>> from simdeploy.rules.policy import Policy
    >>> careful = Policy("deployment", "canary", 40, 0, 5, True, 300, 10, None, 30, None, None, None, None, False)
    >>> plan_waves(careful, EXPANSO, 100).sizes
    (5, 40, 40, 15)
    """
    if policy.strategy == "immediate":
        return Plan(total=total, canaries=0, parallel=total, pacing="barrier", sizes=(total,))
    canaries = count_canaries(policy, orchestrator, total) if policy.strategy == "canary" else 0
    parallel = _parallel_nodes(policy, total)
    rest = total - canaries
    if orchestrator.pacing == "sliding":
        following = [rest] if rest else []
    elif orchestrator.pacing == "rate":
        following = _batches(orchestrator.rate, rest)
    else:
        following = [parallel] * (rest // parallel) + ([rest % parallel] if rest % parallel else [])
    sizes = ([canaries] if canaries else []) + following
    return Plan(total=total, canaries=canaries, parallel=parallel, pacing=orchestrator.pacing, sizes=tuple(sizes))


def count_canaries(policy: Policy, orchestrator: Orchestrator, total: int) -> int:
    """Return the size of the canary set: at least 1, at most the fleet."""
    share = Fraction(policy.canary_percent * total, 100)
    if orchestrator.canary_rounding == "ceil":
        rounded = math.ceil(share)
    elif orchestrator.canary_rounding == "floor":
        rounded = math.floor(share)
    else:
        rounded = round_half_up(share)
    by_percent = max(rounded, 1) if policy.canary_percent else 0
    by_count = policy.canary_count
    if orchestrator.canary_size == "count_first":
        wanted = by_count or by_percent
    elif orchestrator.canary_size == "percent_first":
        wanted = by_percent or by_count
    else:
        wanted = max(by_count, by_percent)
    return min(wanted, total)


def _parallel_nodes(policy: Policy, total: int) -> int:
    if policy.dialect == "rollout":
        return min(math.ceil(Fraction((policy.max_parallel or DEFAULT_WAVE_PERCENT) * total, 100)), total)
    return min(policy.max_parallel or total, total)


def _batches(rate: Rate, total: int) -> list[int]:
    batches: list[int] = []
    left = total
    while left:
        batches.append(min(left, batch_size(rate, len(batches), left)))
        left -= batches[-1]
    return batches


def batch_size(rate: Rate, k: int, most: int) -> int:
    """Return the size of batch `k` under rate pacing: floor(min(max_per_minute, per_minute x growth^k)), at least 1.

    A size above `most` may be returned as any number of at least `most`. Powers are computed in floating point and
    repeated exactly only near a whole number, where rounding could change the answer, because exact powers of a long
    decimal have too many digits.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from simdeploy.rules.orchestrator import Rate
    >>> [batch_size(Rate(per_minute=Fraction(50), growth=Fraction(3, 2)), k, 1000) for k in range(4)]
    [50, 75, 112, 168]
    """
    ceiling = most if rate.max_per_minute is None else min(most, math.floor(rate.max_per_minute))
    if ceiling < 1:
        return 1
    log_size = math.log(rate.per_minute) + k * math.log(rate.growth)
    if log_size > math.log(ceiling + 1) + 1e-6:
        return ceiling
    if log_size < -1e-6:
        return 1
    approximate = math.exp(log_size)
    size = math.floor(approximate)
    if abs(approximate - round(approximate)) < 1e-6 * max(approximate, 1.0):
        size = math.floor(rate.per_minute * exact(rate.growth) ** k)
    return max(min(size, ceiling), 1)
