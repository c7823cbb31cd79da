"""The weight of a replication under a tilt: the likelihood ratio of its random draws (model section 9).

The draws that count are, for nodes that were dispatched: whether a release that affects a share of the nodes affects this one;
whether each attempt to start hangs, its duration, and whether it
fails, including attempts that would have followed without an interruption; for nodes that rolled back: duration and failure
of the rollback; and all draws that are made once per replication, whether they mattered or not.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from simdeploy.world.streams import Stream
from simdeploy.world.tilt import log_weight_of_chance, log_weight_of_draw, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.engines.recording import NodeFate
    from simdeploy.rules.deployment_types import TypeTraits
    from simdeploy.rules.health import HealthRule
    from simdeploy.world.realized import World
    from simdeploy.world.release import ReleaseKind


def weigh(
    world: World,
    kinds: Sequence[ReleaseKind],  # possible kinds of the release
    rule: HealthRule,
    traits: TypeTraits,
    fates: Sequence[NodeFate],  # by node number
) -> float:
    """Return the likelihood ratio of the draws: under the scenario over under the tilt."""
    logs = [_once(world, kinds)]
    for node, fate in enumerate(fates):
        if fate.dispatched_ns is not None:
            logs.append(_add_up(_attempts(world, rule, traits, node)))
            if fate.back_from_ns is not None:
                logs.append(_going_back(world, node))
    return weight_of(_add_up(logs))


def _add_up(terms: Iterable[float]) -> float:
    # Plain addition as in the compiled engine; from Python 3.12 on, `sum` compensates for rounding.
    return reduce(operator.add, terms, 0.0)


def weight_of(log_weight: float) -> float:
    """Return a weight, limited to the largest float.

    Examples
    --------
    >>> weight_of(0.0), weight_of(1e6) < math.inf
    (1.0, True)
    """
    return math.exp(min(log_weight, 700.0))


def _once(world: World, kinds: Sequence[ReleaseKind]) -> float:
    tilt, total = world.tilt, 0.0
    if world.release is not None and tilt.release:
        place = kinds.index(world.release)
        total += math.log(kinds[place].probability / tilted_probabilities(kinds, tilt)[place])
    for stream, factor in (
        (Stream.SLOWDOWN, tilt.slowdown),
        (Stream.START_FAILURE_LEVEL, tilt.start_failure_level),
        (Stream.PROMOTE_AFTER, tilt.promote_after),
        (Stream.ESCAPE_DETECTION, tilt.escape_detection),
    ):
        total += log_weight_of_draw(world.draws.draw(stream), factor)
    return total


def _attempts(world: World, rule: HealthRule, traits: TypeTraits, node: int) -> Iterator[float]:
    """Yield the log weights of whether a node is affected, and of its attempts to start, draw by draw."""
    if world.release is not None and world.release.affects.by == "share":
        share = float(world.release.affects.share or 0)
        yield log_weight_of_chance(share, world.tilt.affects, happened=bool(world.affected[node]))
    first, is_over = 0, False
    for _ in range(rule.retries + 1):
        first, is_over = yield from _attempts_of_try(world, rule, traits, node, first)
        if is_over:
            return


def _attempts_of_try(
    world: World, rule: HealthRule, traits: TypeTraits, node: int, first: int
) -> Generator[float, None, tuple[int, bool]]:
    """Yield the log weights of one try's attempts, from `first` on; return the next attempt, and whether no other try follows."""
    tilt, number, affected = world.tilt, world.class_numbers[node], world.affected[node]
    p_hang, p_fail = world.true_start_hang[number][affected], world.true_start_failure[number][affected]
    took_ns, last = 0, first + world.behaviour_of[node].start_attempts
    for attempt in range(first, last):
        yield log_weight_of_draw(world.draws.draw(Stream.UPDATE_DURATION, node, attempt), tilt.update_duration)
        if traits.leaves:
            return attempt + 1, True
        hangs = world.start_hangs(node, attempt)
        yield log_weight_of_chance(p_hang, tilt.start_hang, happened=hangs)
        took_ns += world.start_ns(node, attempt)
        if hangs or (rule.is_checked and rule.deadline_from_dispatch and took_ns > rule.deadline_ns):
            return attempt + 1, not rule.is_checked
        fails = world.start_fails(node, attempt)
        yield log_weight_of_chance(p_fail, tilt.start_failure, happened=fails)
        if not fails:
            # Health depends on draws that don't count, so assume that the node becomes unhealthy and is tried again.
            return attempt + 1, not rule.retries_unhealthy
    return last, False


def _going_back(world: World, node: int) -> float:
    tilt, p = world.tilt, world.behaviour_of[node].rollback_failure
    fails = world.rollback_fails(node)
    length = world.draws.draw(Stream.ROLLBACK_DURATION, node)
    return log_weight_of_draw(length, tilt.rollback_duration) + log_weight_of_chance(
        p, tilt.rollback_failure, happened=fails
    )
