"""One node, from its turn to its verdict (model section 3): a function of when it is dispatched."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.binomial import ALWAYS, last_healthy_word
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import CONSTANT, draw_ns
from simdeploy.engines.compiled.line import online_again
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.philox import draw, draw_window
from simdeploy.engines.compiled.sampling import own_level
from simdeploy.engines.compiled.tables import (
    AFFECTED,
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
    UNKNOWN,
    WINDOWS,
    class_rule_of,
    classes,
    drawn,
    fates,
    last_word_of,
    law_at,
    peak_words,
    policy_of,
    process_at,
    today,
    walk_at,
)
from simdeploy.engines.compiled.tilting import bend
from simdeploy.world.streams import Stream


@compiled
def meet_fate(run, node, at):
    """Work out when a node that is dispatched at `at` starts, and when it gets which verdict."""
    rule, fate = policy_of(run), fates(run)
    number = drawn(run)[CLASS, node]
    chances = today(run)[number]
    affected = drawn(run)[AFFECTED, node] != 0
    one = classes(run)[number]
    fate[DISPATCHED, node] = at
    fate[HAS_FAILED, node] = 0
    fate[WINDOWS, node] = 0
    if run.leaves:
        fate[RESOLVED, node] = at + drawn(run)[DURATION, node]
        fate[DEADLINE, node] = NEVER
        return
    deadline = at + rule.deadline if rule.is_checked and rule.from_dispatch else np.int64(-1)
    fate[DEADLINE, node] = deadline if deadline >= 0 else NEVER
    p_hang = chances.start_hang_affected if affected else chances.start_hang
    t = at
    attempt = 0
    while True:
        if attempt == 0:
            duration = drawn(run)[DURATION, node]
        else:
            u = bend(draw(run, Stream.UPDATE_DURATION.value, node, attempt), run.tilt_update)
            duration = draw_ns(law_at(run, one.update), u, chances.slowdown)
        if attempt == 0:
            hangs = drawn(run)[HANGS, node] != 0
        else:
            hangs = p_hang > 0 and draw(run, Stream.START_HANG.value, node, attempt) < p_hang
        if hangs:
            if not rule.is_checked:
                fate[RESOLVED, node] = t + duration
                return
            fate[RESOLVED, node] = deadline if deadline >= 0 else t + duration + rule.deadline
            fate[DEADLINE, node] = fate[RESOLVED, node]
            fate[HAS_FAILED, node] = 1
            return
        if deadline >= 0 and t + duration > deadline:
            fate[RESOLVED, node] = deadline
            fate[HAS_FAILED, node] = 1
            return
        t = min(t + duration, NEVER)
        if attempt == 0:
            fails = drawn(run)[FAILS, node] != 0
        else:
            p = chances.start_failure_affected if affected else chances.start_failure
            fails = draw(run, Stream.START_FAILURE.value, node, attempt) < p
        if not fails:
            break
        attempt += 1
        if attempt == one.start_attempts:
            fate[RESOLVED, node] = t
            fate[HAS_FAILED, node] = 1
            return
    fate[STARTED, node] = t
    if deadline < 0 and rule.is_checked:
        deadline = t + rule.deadline
        fate[DEADLINE, node] = deadline
    if rule.needed == 0:
        fate[RESOLVED, node] = t
        return
    if run.varies:
        return  # it is validated where its requests are known
    _validate(run, node, t, deadline)


@compiled
def added_level(run, node):
    """Return the level of failed requests that the release adds on a node once it shows."""
    return run.error_rate if run.kind >= 0 and drawn(run)[AFFECTED, node] else 0.0


@compiled
def after_ns(run, node):
    """Return the exposure after which the release's level shows on a node."""
    if run.after_law < 0:
        return np.int64(0)
    law = law_at(run, run.after_law)
    if law.kind == CONSTANT:
        return law.constant_ns
    return draw_ns(law, draw(run, Stream.AFTER.value, node, 0), 1.0)


@compiled
def is_disturbed(run, node):
    """Tell whether an update changes when a node crashes."""
    one = classes(run)[drawn(run)[CLASS, node]]
    return one.crash >= 0 and (one.renewed or crash_rate(run, node) != 1.0)


@compiled
def crash_rate(run, node):
    """Return the factor on a node's crash rate while it is exposed."""
    return run.crash_rate if run.kind >= 0 and drawn(run)[AFFECTED, node] else 1.0


@compiled
def begin_crashes(walk, run, node, started, back_from):
    """Put a walk at the begin of a node's crashes, disturbed by an update that started and went back."""
    one = classes(run)[drawn(run)[CLASS, node]]
    spells.begin(walk, run, one.crash, node)
    if started < NEVER and is_disturbed(run, node):
        spells.disturb(walk, started, back_from, crash_rate(run, node), one.renewed)


@compiled
def _validate(run, node, started, deadline):
    rule, fate = policy_of(run), fates(run)
    number = drawn(run)[CLASS, node]
    class_rule = class_rule_of(run, rule, number)
    interval, needed = rule.interval, rule.needed
    one = classes(run)[number]
    added = added_level(run, node)
    shown_from = NEVER
    if added > 0:
        shown_from = started + after_ns(run, node)
    # The last healthy word of a window in which nothing but the node's own level is there, or the release all the time.
    plain_word, shown_word = last_word_of(run, rule, number, 0), ALWAYS
    if plain_word == UNKNOWN:
        own = own_level(run, node)
        plain_word = last_healthy_word(class_rule.allowed, class_rule.requests, own)
        if shown_from < NEVER:
            level = 1 - (1 - own) * (1 - added)
            shown_word = last_healthy_word(class_rule.allowed, class_rule.requests, min(max(level, 0.0), 1.0))
    elif shown_from < NEVER:
        shown_word = last_word_of(run, rule, number, 1 + run.kind)

    end = started + needed * interval
    if rule.peak >= 0 and end <= deadline and _is_undisturbed_until(run, node, started, end):
        last_word = plain_word if shown_from >= end else (shown_word if shown_from <= started else np.int64(-1))
        if peak_words(run)[rule.peak, node] <= last_word:
            fate[RESOLVED, node] = end
            fate[WINDOWS, node] = needed
            return

    depends_on_level = 0 <= class_rule.allowed < class_rule.requests
    can_be_healthy = class_rule.allowed >= 0
    has_crashes, has_outages = one.crash >= 0, one.zone_outage >= 0
    flaps = one.flapping >= 0 and depends_on_level
    if has_crashes or has_outages or flaps:
        look_ahead(run, deadline)
        if stays_up(run, node, deadline) and not is_disturbed(run, node):
            has_crashes = has_outages = False
        if stays_undegraded(run, node):
            flaps = False
    if has_crashes:
        begin_crashes(walk_at(run, spells.CRASH), run, node, started, NEVER)
    if has_outages:
        zone = node % run.zones
        spells.begin(walk_at(run, spells.ZONE), run, one.zone_outage, zone)
    if flaps:
        spells.begin(walk_at(run, spells.FLAPPING), run, one.flapping, node)

    window = healthy = unhealthy = 0
    start = started
    while start + interval <= deadline:
        end = start + interval
        is_healthy = can_be_healthy
        if depends_on_level:
            degraded = both = np.int64(0)
            shown = min(max(shown_from, start), end)
            if flaps:
                degraded, both = degraded_within(run, walk_at(run, spells.FLAPPING), start, end, shown)
            if degraded == 0 and shown == end:
                last_word = plain_word
            elif degraded == 0 and shown == start:
                last_word = shown_word
            else:
                own = own_level(run, node)
                level = one.degraded_level
                lost = (added * (end - shown) + level * degraded - added * level * both) / (end - start)
                p = min(max(1 - (1 - own) * (1 - lost), 0.0), 1.0)
                last_word = last_healthy_word(class_rule.allowed, class_rule.requests, p)
            is_healthy = draw_window(run, node, window) <= last_word
        if is_healthy and has_crashes:
            is_healthy = is_good_throughout(run, walk_at(run, spells.CRASH), start, end)
        if is_healthy and has_outages:
            is_healthy = is_good_throughout(run, walk_at(run, spells.ZONE), start, end)
        window += 1
        start = end
        if is_healthy:
            healthy += 1
            unhealthy = 0
            if healthy >= needed:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                return
        else:
            unhealthy += 1
            if rule.consecutive:
                healthy = 0
            if rule.failure_threshold > 0 and unhealthy >= rule.failure_threshold:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                fate[HAS_FAILED, node] = 1
                return
    fate[RESOLVED, node] = deadline
    fate[WINDOWS, node] = window
    fate[HAS_FAILED, node] = 1


@compiled
def _is_undisturbed_until(run, node, started, end):
    """Tell whether a node is up and not degraded throughout [started, end): at a glance, or by a walk up to there."""
    if not run.goes_down and not run.degrades:
        return True
    look_ahead(run, end)
    one = classes(run)[drawn(run)[CLASS, node]]
    if run.goes_down and (is_disturbed(run, node) or not stays_up(run, node, end)):
        if one.crash >= 0:
            begin_crashes(walk_at(run, spells.CRASH), run, node, started, NEVER)
            if not is_good_throughout(run, walk_at(run, spells.CRASH), started, end):
                return False
        if one.zone_outage >= 0:
            spells.begin(walk_at(run, spells.ZONE), run, one.zone_outage, node % run.zones)
            if not is_good_throughout(run, walk_at(run, spells.ZONE), started, end):
                return False
    if not stays_undegraded(run, node):
        spells.begin(walk_at(run, spells.FLAPPING), run, one.flapping, node)
        return is_good_throughout(run, walk_at(run, spells.FLAPPING), started, end)
    return True


@compiled
def degraded_within(run, walk, start, end, shown):
    """Return for how long a window was degraded, and for how long both that and the release's level were there."""
    degraded = both = np.int64(0)
    t = start
    while t < end:
        spells.reach(walk, run, t)
        until = min(walk.end, end)
        if walk.is_bad:
            degraded += until - t
            both += max(until - max(t, shown), 0)
        t = until
    return degraded, both


@compiled
def is_good_throughout(run, walk, start, end):
    t = start
    while t < end:
        spells.reach(walk, run, t)
        if walk.is_bad:
            return False
        t = walk.end
    return True


@compiled
def is_down(run, node, t):
    """Tell whether a node that was not started yet is down at t."""
    one = classes(run)[drawn(run)[CLASS, node]]
    look_ahead(run, t + 1)
    if stays_up(run, node, t + 1):
        return False
    if one.crash >= 0:
        spells.begin(walk_at(run, spells.CRASH), run, one.crash, node)
        spells.reach(walk_at(run, spells.CRASH), run, t)
        if walk_at(run, spells.CRASH).is_bad:
            return True
    if one.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(walk_at(run, spells.ZONE), run, one.zone_outage, zone)
        spells.reach(walk_at(run, spells.ZONE), run, t)
        return walk_at(run, spells.ZONE).is_bad
    return False


@compiled
def is_down_for_good(run, node):
    """Tell whether a node is never up."""
    one = classes(run)[drawn(run)[CLASS, node]]
    return one.crash >= 0 and process_at(run, one.crash).bad < 0


@compiled
def up_again(run, node, t):
    """Return the first instant from t on at which a node is up and online; not for one that is down for good."""
    one = classes(run)[drawn(run)[CLASS, node]]
    if one.crash >= 0:
        spells.begin(walk_at(run, spells.CRASH), run, one.crash, node)
    if one.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(walk_at(run, spells.ZONE), run, one.zone_outage, zone)
    while True:
        is_up = True
        for place in (spells.CRASH, spells.ZONE):
            if (place == spells.CRASH and one.crash >= 0) or (place == spells.ZONE and one.zone_outage >= 0):
                walk = walk_at(run, place)
                spells.reach(walk, run, t)
                while walk.is_bad:
                    is_up = False
                    t = walk.end
                    spells.reach(walk, run, t)
        if run.goes_offline:
            online = online_again(run, node, t)
            is_up = is_up and online == t
            t = online
        if is_up or t >= NEVER:
            return t
