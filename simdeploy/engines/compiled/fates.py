"""One node, from its turn to its verdict (model section 3): a function of when it is dispatched."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import (
    classes,
    drawn,
    fates,
    law_at,
    needed_of,
    policy_of_node,
    process_at,
    today,
    walk_at,
)
from simdeploy.engines.compiled.health import become_healthy
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import draw_ns
from simdeploy.engines.compiled.line import online_again
from simdeploy.engines.compiled.outlook import look_ahead, stays_up
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    ATTEMPTS,
    CLASS,
    DEADLINE,
    DISPATCHED,
    DURATION,
    FAILS,
    HANGS,
    HAS_FAILED,
    NEVER,
    RESOLVED,
    STARTED,
    WINDOWS,
    WINDOWS_FROM,
)
from simdeploy.engines.compiled.tilting import bend
from simdeploy.world.streams import Stream


@part("fates", types.int64, types.int64, types.int64, seconds=1)
def meet_fate(run, node, at, first):
    """Compute start and verdict of a node that is tried at `at`, with attempts from the number `first` on."""
    deadline = find_start(run, node, at, first)
    if deadline >= 0:
        become_healthy(run, node, fates(run)[STARTED, node], deadline)


@compiled
def find_start(run, node, at, first):
    """Compute its start, and return until when its windows must be judged; -1 if none are judged here."""
    fate = fates(run)
    number = drawn(run)[CLASS, node]
    chances = today(run)[number]
    affected = drawn(run)[AFFECTED, node] != 0
    node_class = classes(run)[number]
    if first == 0:
        fate[DISPATCHED, node] = at
    rule = policy_of_node(run, node)
    fate[HAS_FAILED, node] = 0
    fate[WINDOWS, node] = 0
    if rule.tries_unhealthy:
        fate[WINDOWS_FROM, node] = NEVER
    if run.leaves:
        fate[RESOLVED, node] = at + drawn(run)[DURATION, node]
        fate[DEADLINE, node] = NEVER
        return np.int64(-1)
    deadline = at + rule.deadline if rule.is_checked and rule.from_dispatch else np.int64(-1)
    fate[DEADLINE, node] = deadline if deadline >= 0 else NEVER
    p_hang = chances.start_hang_affected if affected else chances.start_hang
    t = at
    attempt = first
    while True:
        duration = drawn(run)[DURATION, node] if attempt == 0 else _draw_duration(run, node, attempt)
        if attempt == 0:
            hangs = drawn(run)[HANGS, node] != 0
        else:
            hangs = p_hang > 0 and draw(run, Stream.START_HANG.value, node, attempt) < p_hang
        if hangs:
            if not rule.is_checked:
                fate[RESOLVED, node] = t + duration
                return np.int64(-1)
            fate[RESOLVED, node] = deadline if deadline >= 0 else t + duration + rule.deadline
            fate[DEADLINE, node] = fate[RESOLVED, node]
            fate[HAS_FAILED, node] = 1
            fate[ATTEMPTS, node] = attempt + 1
            return np.int64(-1)
        if deadline >= 0 and t + duration > deadline:
            fate[RESOLVED, node] = deadline
            fate[HAS_FAILED, node] = 1
            fate[ATTEMPTS, node] = attempt + 1
            return np.int64(-1)
        t = min(t + duration, NEVER)
        if attempt == 0:
            fails = drawn(run)[FAILS, node] != 0
        else:
            p = chances.start_failure_affected if affected else chances.start_failure
            fails = draw(run, Stream.START_FAILURE.value, node, attempt) < p
        if not fails:
            break
        attempt += 1
        if attempt == first + node_class.start_attempts:
            fate[RESOLVED, node] = t
            fate[HAS_FAILED, node] = 1
            fate[ATTEMPTS, node] = attempt
            return np.int64(-1)
    was_started = first > 0 and fate[STARTED, node] < NEVER
    if not was_started:
        fate[STARTED, node] = t
    if rule.tries_unhealthy:
        fate[WINDOWS_FROM, node] = t
        fate[ATTEMPTS, node] = attempt + 1
    if deadline < 0 and rule.is_checked:
        deadline = t + rule.deadline
        fate[DEADLINE, node] = deadline
    if needed_of(run, node) == 0:
        fate[RESOLVED, node] = t
        return np.int64(-1)
    if run.varies or was_started:
        return np.int64(-1)  # validated later, when its requests are known
    return deadline


@part("restarts", types.int64, types.int64, returns=types.int64, seconds=0.2)
def _draw_duration(run, node, attempt):
    """Draw how long another attempt takes than the first."""
    number = drawn(run)[CLASS, node]
    u = bend(draw(run, Stream.UPDATE_DURATION.value, node, attempt), run.tilt_update)
    return draw_ns(law_at(run, classes(run)[number].update), u, today(run)[number].slowdown)


@compiled
def is_down(run, node, t):
    """Tell whether a node that hasn't started yet is down at t."""
    look_ahead(run, t + 1)
    return not stays_up(run, node, t + 1) and _follow_down(run, node, t, True) > t


@compiled
def up_again(run, node, t):
    """Return the first instant from t on at which a node is up and online; it must not be down for good."""
    return _follow_down(run, node, t, False)


@part("downs", types.int64, types.int64, types.boolean, returns=types.int64, seconds=0.2, beside="fates")
def _follow_down(run, node, t, only_now):
    if not only_now:
        return _up_again(run, node, t)
    return t + np.int64(_is_down(run, node, t))


@compiled
def _is_down(run, node, t):
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if node_class.crash >= 0:
        spells.begin(run, walk_at(run, spells.CRASH), node_class.crash, node)
        spells.reach(run, walk_at(run, spells.CRASH), t)
        if walk_at(run, spells.CRASH).is_bad:
            return True
    if node_class.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, zone)
        spells.reach(run, walk_at(run, spells.ZONE), t)
        return walk_at(run, spells.ZONE).is_bad
    return False


@compiled
def is_down_for_good(run, node):
    """Tell whether a node is never up."""
    node_class = classes(run)[drawn(run)[CLASS, node]]
    return node_class.crash >= 0 and process_at(run, node_class.crash).bad < 0


@compiled
def _up_again(run, node, t):
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if node_class.crash >= 0:
        spells.begin(run, walk_at(run, spells.CRASH), node_class.crash, node)
    if node_class.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, zone)
    while True:
        asked = t
        if node_class.crash >= 0:
            t = _good_from(run, walk_at(run, spells.CRASH), t)
        if node_class.zone_outage >= 0:
            t = _good_from(run, walk_at(run, spells.ZONE), t)
        is_up = t == asked
        if run.goes_offline:
            online = online_again(run, node, t)
            is_up = is_up and online == t
            t = online
        if is_up or t >= NEVER:
            return t


@compiled
def _good_from(run, walk, t):
    """Return the first instant from t on that is in a good spell."""
    spells.reach(run, walk, t)
    while walk.is_bad:
        t = walk.end
        spells.reach(run, walk, t)
    return t
