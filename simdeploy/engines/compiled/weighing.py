"""The weight of a replication under a tilt, for compiled code: `simdeploy.engines.reference.weighing` says what counts."""

from __future__ import annotations

import math

from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import draw_ns
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.run import (
    AFFECTED,
    BACK_FROM,
    CLASS,
    DISPATCHED,
    NEVER,
    classes,
    drawn,
    fates,
    law_at,
    policy_of,
    today,
)
from simdeploy.engines.compiled.tilting import bend, log_weight_of_chance, log_weight_of_draw
from simdeploy.world.streams import Stream

_LARGEST_LOG = 700.0


@compiled
def weigh(run):
    """Return the weight of the rollout at hand."""
    fate = fates(run)
    total = run.log_weight_once
    for node in range(run.nodes):
        if fate[DISPATCHED, node] < NEVER:
            total += _attempts(run, node)
            if fate[BACK_FROM, node] < NEVER:
                total += _going_back(run, node)
    return math.exp(min(total, _LARGEST_LOG))


@compiled
def _attempts(run, node):
    rule, number = policy_of(run), drawn(run)[CLASS, node]
    one, chances = classes(run)[number], today(run)[number]
    if drawn(run)[AFFECTED, node]:
        p_fail, p_hang = chances.start_failure_affected, chances.start_hang_affected
        true_fail, true_hang = chances.true_failure_affected, chances.true_hang_affected
    else:
        p_fail, p_hang = chances.start_failure, chances.start_hang
        true_fail, true_hang = chances.true_failure, chances.true_hang
    has_deadline = rule.is_checked and rule.from_dispatch
    total = 0.0
    took = 0
    for attempt in range(one.start_attempts):
        u = draw(run, Stream.UPDATE_DURATION.value, node, attempt)
        total += log_weight_of_draw(u, run.tilt_update)
        if run.leaves:
            break
        hangs = p_hang > 0 and draw(run, Stream.START_HANG.value, node, attempt) < p_hang
        total += log_weight_of_chance(true_hang, run.tilt_hang, hangs)
        took += draw_ns(law_at(run, one.update), bend(u, run.tilt_update), chances.slowdown)
        if hangs or (has_deadline and took > rule.deadline):
            break
        fails = p_fail > 0 and draw(run, Stream.START_FAILURE.value, node, attempt) < p_fail
        total += log_weight_of_chance(true_fail, run.tilt_failure, fails)
        if not fails:
            break
    return total


@compiled
def _going_back(run, node):
    one = classes(run)[drawn(run)[CLASS, node]]
    p = one.rollback_failure
    fails = p > 0 and draw(run, Stream.ROLLBACK_FAILURE.value, node, 0) < p
    length = draw(run, Stream.ROLLBACK_DURATION.value, node, 0)
    return log_weight_of_draw(length, run.tilt_rollback) + log_weight_of_chance(
        one.true_rollback_failure, run.tilt_back, fails
    )
