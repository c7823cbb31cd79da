"""The plan of waves, as a pure function of policy, orchestrator and fleet size (model section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.units import NS_PER_S, exact, round_half_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simdeploy.rules.orchestrator import Orchestrator, Pacing, Rate, Rounding
    from simdeploy.rules.policy import Policy, WaveTerms

# Default of `max_parallel` in the rollout dialect, also for 0; percent.
DEFAULT_WAVE_PERCENT = 10
# Time between two batches of rate pacing.
BATCH_EVERY_NS = 60 * NS_PER_S

_ROUNDINGS: dict[Rounding, Callable[[Fraction], int]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "nearest": round_half_up,
}


@dataclass(frozen=True)
class WaveLimits:
    """Limits of one wave alone; None where there is none."""

    count: int | None = None
    percent: Fraction | None = None  # of the wave's nodes


NO_WAVE_LIMITS = WaveLimits()


@dataclass(frozen=True)
class WaveWatch:
    """Where the watching of a wave's nodes differs from the policy's health check."""

    min_healthy_ns: int | None = None  # healthy time that they need; None is the policy's
    by_gate: bool = True  # whether the gate judges the wave


USUAL_WATCH = WaveWatch()


@dataclass(frozen=True)
class Plan:
    """Number of nodes per wave, and what holds for each."""

    total: int  # nodes of the fleet
    canaries: int  # size of the canary set, which is a separate wave; 0 without one
    parallel: int  # nodes in flight at once: a wave's size, or the slots under sliding and within waves
    pacing: Pacing  # waves of a list are paced by barriers
    # Nodes of every wave, canaries first; they sum to `total`. Under sliding without a list of waves all nodes after
    # the canaries are one wave.
    sizes: tuple[int, ...]
    bakes_ns: tuple[int, ...]  # pause after every wave, nanoseconds; 0 after the last
    per_zone: int  # nodes of one zone in flight at once; `total` where nothing bounds them
    # surge, canary_surge: most nodes in flight updated beside their old instance, at the dispatch of a node and of a canary
    surge: int
    canary_surge: int
    rollback: int  # nodes rolled back at once
    promotions: tuple[bool, ...]  # whether each wave awaits a promotion; canaries do
    limits: tuple[WaveLimits, ...] = ()  # one per wave; empty if no wave has its own
    watches: tuple[WaveWatch, ...] = ()  # likewise
    is_list: bool = False  # whether the waves are those of a list, within which `parallel` bounds the nodes in flight

    @property
    def has_slots(self) -> bool:
        """Whether nodes need slots, and there are fewer slots than nodes."""
        return self.pacing == "sliding" or (self.is_list and self.parallel < self.total) or self.per_zone < self.total


class _Wave(NamedTuple):
    """A wave of a list; `bake_ns` is None if the list states no pause for it."""

    size: int
    bake_ns: int | None = None
    limits: WaveLimits = NO_WAVE_LIMITS
    watch: WaveWatch = USUAL_WATCH
    promotion: bool = False


def what_plans_depend_on(policy: Policy) -> tuple[object, ...]:
    """Return what a plan depends on in a policy, so that policies that agree in it can share the plan of a large fleet."""
    return (
        policy.strategy,
        policy.dialect,
        policy.max_parallel,
        *((policy.canary_count, policy.canary_percent) if policy.strategy == "canary" else ()),
        policy.waves,
        *((policy.zone_bake_ns, policy.first_zone_bake_ns) if policy.zone_by_zone else ()),
        policy.max_parallel_per_zone,
        policy.surge,
        policy.surge_canaries,
        policy.rollback_parallel,
    )


def plan_waves(
    policy: Policy,
    # `pacing`, `canary_size`, `canary_rounding`, `wave_rounding`, `bake_time_ns`, `rollback_pacing` and `rate` are
    # read.
    orchestrator: Orchestrator,
    total: int,  # nodes of the fleet, at least 1
    zones: int = 1,  # node i is in zone i mod zones
) -> Plan:
    """Plan the waves of a rollout over `total` nodes.

    Examples
    --------
    >>> from simdeploy.rules.orchestrator import EXPANSO
    >>> from simdeploy.rules.policy import Policy
    >>> careful = Policy("deployment", "canary", 40, 0, 5, True, 300, 10, None, 30, None, None, None, None, False)
    >>> plan_waves(careful, EXPANSO, 100).sizes
    (5, 40, 40, 15)
    """
    rounding = orchestrator.wave_rounding
    pacing: Pacing = "barrier" if policy.strategy == "immediate" or policy.waves else orchestrator.pacing
    listed: list[_Wave] = []
    if policy.strategy == "immediate":
        sizes, canaries, parallel = [total], 0, total
    elif policy.waves:
        listed = _listed_waves(policy, rounding, total, zones)
        sizes = [wave.size for wave in listed]
        canaries = sizes[0] if policy.strategy == "canary" else 0
        parallel = _parallel_nodes(policy, rounding, total)
    else:
        canaries = count_canaries(policy, orchestrator, total) if policy.strategy == "canary" else 0
        parallel = _parallel_nodes(policy, rounding, total)
        sizes = ([canaries] if canaries else []) + _waves_alike(orchestrator, parallel, total - canaries)
    has_zones = policy.strategy != "immediate" and pacing != "rate"
    surge = min(count_share(policy.surge, rounding, total, least=0), total)
    per_zone = count_share(policy.max_parallel_per_zone, rounding, Fraction(total, zones)) if has_zones else 0
    promotions = [wave.promotion for wave in listed] or [False] * len(sizes)
    return Plan(
        total=total,
        canaries=canaries,
        parallel=parallel,
        pacing=pacing,
        sizes=tuple(sizes),
        bakes_ns=_bakes(len(sizes), listed, orchestrator.bake_time_ns, canaries, pacing),
        per_zone=min(per_zone or total, total),
        surge=surge,
        canary_surge=max(surge, canaries) if policy.surge_canaries else surge,
        rollback=_rollback_nodes(policy, orchestrator, parallel, total),
        promotions=(promotions[0] or canaries > 0, *promotions[1:]),
        limits=tuple(wave.limits for wave in listed) if any(wave.limits != NO_WAVE_LIMITS for wave in listed) else (),
        watches=tuple(wave.watch for wave in listed) if any(wave.watch != USUAL_WATCH for wave in listed) else (),
        is_list=bool(listed),
    )


def _waves_alike(orchestrator: Orchestrator, parallel: int, rest: int) -> list[int]:
    if orchestrator.pacing == "sliding":
        return [rest] if rest else []
    if orchestrator.pacing == "rate":
        return _batches(orchestrator.rate, rest)
    return equal_waves(parallel, rest)


def equal_waves(size: int, total: int) -> list[int]:
    """Return the sizes of waves of `size` nodes over `total` nodes; the last one may be smaller.

    Examples
    --------
    >>> equal_waves(40, 95), equal_waves(40, 0)
    ([40, 40, 15], [])
    """
    return [size] * (total // size) + ([total % size] if total % size else [])


def _listed_waves(policy: Policy, rounding: Rounding, total: int, zones: int) -> list[_Wave]:
    if not policy.zone_by_zone:
        return list(_follow_list(policy.waves, rounding, total))
    waves: list[_Wave] = []
    for zone in range(min(zones, total)):
        of_zone = list(_follow_list(policy.waves, rounding, -(-(total - zone) // zones)))
        bake_ns = policy.zone_bake_ns if zone or policy.first_zone_bake_ns is None else policy.first_zone_bake_ns
        if bake_ns is not None:
            of_zone[-1] = of_zone[-1]._replace(bake_ns=bake_ns)
        waves += of_zone
    return waves


def _follow_list(terms: tuple[WaveTerms, ...], rounding: Rounding, total: int) -> Iterator[_Wave]:
    """Yield the waves of a list over `total` nodes: a last size repeats, after a last sum comes the rest."""
    done = 0
    for wave_terms in terms:
        size = count_share(wave_terms.amount, rounding, total) - (done if wave_terms.is_until else 0)
        size = min(size, total - done)
        if size > 0:
            done += size
            yield _listed_wave(size, wave_terms)
    last = terms[-1]
    if last.is_until and done < total:
        yield _Wave(total - done)
        return
    wave = _listed_wave(count_share(last.amount, rounding, total), last)
    while done < total:
        yield wave if wave.size <= total - done else wave._replace(size=total - done)
        done += wave.size


def _listed_wave(size: int, terms: WaveTerms) -> _Wave:
    limits = WaveLimits(terms.max_failed_nodes, terms.max_failed_nodes_percent)
    return _Wave(size, terms.bake_ns, limits, WaveWatch(terms.min_healthy_ns, terms.by_gate), terms.promotion)


def _bakes(n_waves: int, listed: list[_Wave], usual_ns: int, canaries: int, pacing: Pacing) -> tuple[int, ...]:
    """Return the pause after each wave: under sliding and rate only the canaries have one."""
    if listed:
        pauses = [usual_ns if wave.bake_ns is None else wave.bake_ns for wave in listed[:-1]]
    elif pacing == "barrier":
        pauses = [usual_ns] * (n_waves - 1)
    else:
        pauses = [usual_ns] if canaries and n_waves > 1 else []
    return (*pauses, *[0] * (n_waves - len(pauses)))


def _rollback_nodes(policy: Policy, orchestrator: Orchestrator, parallel: int, total: int) -> int:
    if policy.rollback_parallel is not None:
        return count_share(policy.rollback_parallel, orchestrator.wave_rounding, total) or total
    return parallel if orchestrator.rollback_pacing == "max_parallel" else total


def count_share(amount: int | Fraction, rounding: Rounding, of: int | Fraction, least: int = 1) -> int:
    """Return an amount as a number of nodes; a percentage above 0 gives at least `least`.

    Examples
    --------
    >>> count_share(4, "ceil", 30), count_share(Fraction(25), "ceil", 30), count_share(Fraction(25), "floor", 30)
    (4, 8, 7)
    """
    if isinstance(amount, int):
        return amount
    share = amount * of / 100
    return max(_ROUNDINGS[rounding](share), least) if amount else 0


def count_canaries(policy: Policy, orchestrator: Orchestrator, total: int) -> int:
    """Return the size of the canary set: at least 1, at most the fleet."""
    by_percent = count_share(Fraction(policy.canary_percent), orchestrator.canary_rounding, total)
    by_count = policy.canary_count
    if orchestrator.canary_size == "count_first":
        wanted = by_count or by_percent
    elif orchestrator.canary_size == "percent_first":
        wanted = by_percent or by_count
    else:
        wanted = max(by_count, by_percent)
    return min(wanted, total)


def _parallel_nodes(policy: Policy, rounding: Rounding, total: int) -> int:
    if policy.dialect == "rollout":
        return min(math.ceil(Fraction((policy.max_parallel or DEFAULT_WAVE_PERCENT) * total, 100)), total)
    return min(count_share(policy.max_parallel, rounding, total) or total, total)


def _batches(rate: Rate, total: int) -> list[int]:
    batches: list[int] = []
    left = total
    while left:
        steps = len(batches) if rate.growth_every is None else (total - left) // rate.growth_every
        batches.append(min(left, batch_size(rate, steps, left)))
        left -= batches[-1]
    return batches


def batch_size(rate: Rate, k: int, most: int) -> int:
    """Return the size of a batch after `k` steps of growth: floor(min(max_per_minute, per_minute x growth^k)), at least 1.

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
