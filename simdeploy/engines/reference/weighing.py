"""How much likelier a rollout was than it was made to be: the weight of a replication under a tilt (model section 9).

What counts is what was drawn for nodes that were dispatched: of each attempt to start that began, or would have begun had
the node been left alone, whether it hangs, how long it takes and whether it fails; of each node that went back, how long
that takes and whether it fails; and what is drawn once, whether it came to matter or not.
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
    kinds: Sequence[ReleaseKind],  # what the release might have been
    rule: HealthRule,
    traits: TypeTraits,
    fates: Sequence[NodeFate],  # by node number
) -> float:
    """Return the likelihood ratio of what was drawn: the scenario's over the tilted one's."""
    logs = [_once(world, kinds)]
    for node, fate in enumerate(fates):
        if fate.dispatched_ns is not None:
            logs.append(_add_up(_attempts(world, rule, traits, node)))
            if fate.back_from_ns is not None:
                logs.append(_going_back(world, node))
    return weight_of(_add_up(logs))


def _add_up(terms: Iterable[float]) -> float:
    # One after the other, as the compiled engine; `sum` compensates for rounding from Python 3.12 on.
    return reduce(operator.add, terms, 0.0)


def weight_of(log_weight: float) -> float:
    """Return a weight, at most what floating point has.

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
    """Yield what a node's attempts to start count, one draw after the other."""
    first, is_over = 0, False
    for _ in range(rule.retries + 1):
        first, is_over = yield from _attempts_of_try(world, rule, traits, node, first)
        if is_over:
            return


def _attempts_of_try(
    world: World, rule: HealthRule, traits: TypeTraits, node: int, first: int
) -> Generator[float, None, tuple[int, bool]]:
    """Yield what the attempts of one try count, from a number on; return the next number, and whether it needs no other try."""
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
            # Whether it becomes unhealthy, and is tried again, depends on what is not counted: it counts as if it did.
            return attempt + 1, not rule.retries_unhealthy
    return last, False


def _going_back(world: World, node: int) -> float:
    tilt, p = world.tilt, world.behaviour_of[node].rollback_failure
    fails = world.rollback_fails(node)
    length = world.draws.draw(Stream.ROLLBACK_DURATION, node)
    return log_weight_of_draw(length, tilt.rollback_duration) + log_weight_of_chance(
        p, tilt.rollback_failure, happened=fails
    )
