"""The weight of a replication under a tilt, for compiled code; see `simdeploy.engines.reference.weighing`."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import classes, drawn, fates, kinds, law_at, policy_of, today
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import draw_ns
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    BACK_FROM,
    CLASS,
    DISPATCHED,
    DURATION,
    FAILS,
    HANGS,
    NEVER,
    ORDER,
)
from simdeploy.engines.compiled.tilting import bend, log_weight_of_chance, log_weight_of_draw
from simdeploy.world.streams import Stream

_LARGEST_LOG = 700.0


@compiled
def weigh(run):
    """Return the weight of the current rollout."""
    fate = fates(run)
    total = run.log_weight_once
    for node in range(run.nodes):
        if fate[DISPATCHED, node] < NEVER:
            total += _attempts(run, node)
            if fate[BACK_FROM, node] < NEVER:
                total += _going_back(run, node)
    return math.exp(min(total, _LARGEST_LOG))


@compiled
def weigh_first(run, last, goes_back):
    """Return the weight of a rollout in which the first `last` nodes were dispatched, and all of them rolled back, or none."""
    order = drawn(run)[ORDER]
    total = run.log_weight_once
    for position in range(last):
        total += _attempts(run, order[position])
    if goes_back and (run.tilt_back != 1 or run.tilt_rollback != 1):
        for position in range(last):
            total += _going_back(run, order[position])
    return math.exp(min(total, _LARGEST_LOG))


@compiled
def _attempts(run, node):
    """Return the log weight of whether a node is affected, and of its attempts to start; nearly always there is one, drawn already."""
    draws, chances = drawn(run), today(run)[drawn(run)[CLASS, node]]
    affected = draws[AFFECTED, node]
    total = 0.0
    if run.kind >= 0:
        total += kinds(run)[run.kind].log_affected if affected else kinds(run)[run.kind].log_spared
    if run.tilt_update != 1:
        total += log_weight_of_draw(draw(run, Stream.UPDATE_DURATION.value, node, 0), run.tilt_update)
    if run.leaves:
        return total
    total += chances.log_hangs[affected] if draws[HANGS, node] else chances.log_answers[affected]
    rule = policy_of(run)
    has_deadline = rule.is_checked and rule.from_dispatch
    if draws[HANGS, node] or (has_deadline and draws[DURATION, node] > rule.deadline):
        return total + _later_tries(run, node, 1)
    if not draws[FAILS, node]:
        total += chances.log_starts[affected]
        return total + _later_tries(run, node, 1) if rule.tries_unhealthy else total
    later, attempt = _later_attempts(
        run, node, draws[DURATION, node], 1, classes(run)[draws[CLASS, node]].start_attempts
    )
    total += chances.log_fails[affected] + later
    return total + _later_tries(run, node, attempt) if attempt > 0 else total


@compiled
def _later_tries(run, node, attempt):
    """Return the log weight of the attempts of further tries, from the number `attempt` on."""
    rule, total = policy_of(run), 0.0
    if not rule.is_checked and drawn(run)[HANGS, node]:
        return total
    for _ in range(rule.retries):
        last = attempt + classes(run)[drawn(run)[CLASS, node]].start_attempts
        later, attempt = _later_attempts(run, node, np.int64(0), attempt, last)
        total += later
        if attempt == 0:
            break
    return total


@compiled
def _later_attempts(run, node, took, first, last):
    """Return the log weight of attempts of one try, and the number of the next attempt; 0 if the node is not tried again."""
    rule, number = policy_of(run), drawn(run)[CLASS, node]
    node_class, chances = classes(run)[number], today(run)[number]
    affected = drawn(run)[AFFECTED, node]
    p_fail = chances.start_failure_affected if affected else chances.start_failure
    p_hang = chances.start_hang_affected if affected else chances.start_hang
    has_deadline = rule.is_checked and rule.from_dispatch
    total = 0.0
    for attempt in range(first, last):
        u = draw(run, Stream.UPDATE_DURATION.value, node, attempt)
        total += log_weight_of_draw(u, run.tilt_update)
        took += draw_ns(law_at(run, node_class.update), bend(u, run.tilt_update), chances.slowdown)
        hangs = p_hang > 0 and draw(run, Stream.START_HANG.value, node, attempt) < p_hang
        total += chances.log_hangs[affected] if hangs else chances.log_answers[affected]
        if hangs or (has_deadline and took > rule.deadline):
            return total, np.int64(attempt + 1 if rule.is_checked else 0)
        fails = p_fail > 0 and draw(run, Stream.START_FAILURE.value, node, attempt) < p_fail
        total += chances.log_fails[affected] if fails else chances.log_starts[affected]
        if not fails:
            return total, np.int64(attempt + 1 if rule.tries_unhealthy else 0)
    return total, np.int64(last)


@compiled
def _going_back(run, node):
    node_class = classes(run)[drawn(run)[CLASS, node]]
    p = node_class.rollback_failure
    fails = p > 0 and draw(run, Stream.ROLLBACK_FAILURE.value, node, 0) < p
    length = draw(run, Stream.ROLLBACK_DURATION.value, node, 0)
    return log_weight_of_draw(length, run.tilt_rollback) + log_weight_of_chance(
        node_class.true_rollback_failure, run.tilt_back, fails
    )
