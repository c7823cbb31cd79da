"""Whether and when a node that has started becomes healthy (model section 3), if all windows have the same number of requests."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import (
    bracket_at,
    bracket_of,
    bracket_words,
    class_rule_of,
    classes,
    drawn,
    fates,
    last_word_of,
    needed_of,
    peak_words,
    policy_of_node,
    walk_at,
    window_words,
    words_beyond,
)
from simdeploy.engines.compiled.binomial import ALWAYS, is_healthy_word
from simdeploy.engines.compiled.drawing import own_level
from simdeploy.engines.compiled.exposure import (
    added_level,
    after_ns,
    begin_crashes,
    degraded_within,
    is_disturbed,
    is_good_throughout,
)
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw_window, draw_windows
from simdeploy.engines.compiled.prober import is_window_healthy
from simdeploy.engines.compiled.records import N_WINDOW_WORDS, UNKNOWN
from simdeploy.engines.compiled.tables import CLASS, HAS_FAILED, LEVEL_WORD, NEVER, RESOLVED, STARTED, WINDOWS

# Tolerance, in words, for rounding that makes a degraded window seem healthier than another: far more than needed.
_SLACK = 1 << 23
# If the last healthy word is below this, most runs are ruled out by their last window.
_SELDOM = 1 << 48


@part("health", types.int64, types.int64, types.int64, seconds=0.7, beside="fates")
def become_healthy(run, node, started, deadline):
    """Compute a node's verdict and its time, from its start on."""
    rule, fate = policy_of_node(run, node), fates(run)
    number = drawn(run)[CLASS, node]
    class_rule = class_rule_of(run, rule, number)
    interval, needed = rule.interval, needed_of(run, node)
    node_class = classes(run)[number]
    shown_from = started + after_ns(run, node) if added_level(run, node) > 0 else NEVER
    bounds = _find_bounds(run, rule, node, shown_from < NEVER)

    end = started + needed * interval
    if end <= deadline:
        surely = bounds[0] if shown_from >= end else (bounds[2] if shown_from <= started else np.int64(-1))
        has_peak = rule.peak >= 0 and needed == rule.needed
        is_surely_healthy = surely == ALWAYS or (has_peak and peak_words(run)[rule.peak, node] <= surely)
        if is_surely_healthy and is_undisturbed(run, node, started, end):
            fate[RESOLVED, node] = end
            fate[WINDOWS, node] = needed
            return

    has_crashes, has_outages = node_class.crash >= 0, node_class.zone_outage >= 0
    flaps = node_class.flapping >= 0 and 0 <= class_rule.allowed < class_rule.requests
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
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, zone)
    if flaps:
        spells.begin(run, walk_at(run, spells.FLAPPING), node_class.flapping, node)
    if rule.consecutive and rule.failure_threshold == 0:
        walks = has_crashes, has_outages, flaps
        find_healthy_run(run, rule, needed, node, started, deadline, shown_from, bounds, walks, 0, False)
        return

    window = healthy = unhealthy = 0
    start = started
    while start + interval <= deadline:
        end = start + interval
        word = draw_window(run, node, window)
        is_good = _is_good(run, rule, node, word, start, shown_from, bounds, (has_crashes, has_outages, flaps))
        window += 1
        start = end
        if is_good:
            healthy += 1
            if not rule.cumulative:
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
def _is_good(run, rule, node, word, start, shown_from, bounds, walks):
    """Tell whether a window is healthy, including spells; windows must come in order, because walks only go forwards."""
    has_crashes, has_outages, flaps = walks
    end = start + rule.interval
    degraded = both = np.int64(0)
    if flaps:
        shown = min(max(shown_from, start), end)
        degraded, both = degraded_within(run, walk_at(run, spells.FLAPPING), start, end, shown)
    if not _is_healthy(run, rule, node, word, start, shown_from, bounds, degraded, both):
        return False
    if has_crashes and not is_good_throughout(run, walk_at(run, spells.CRASH), start, end):
        return False
    return not has_outages or is_good_throughout(run, walk_at(run, spells.ZONE), start, end)


@compiled
def find_healthy_run(run, rule, needed, node, started, deadline, shown_from, bounds, walks, earlier, varies):
    """Find the first healthy windows in a row, `earlier` windows not counted: from the last of them backwards.

    An unhealthy window rules out all runs that contain it, so few windows of a node that stays unhealthy are examined. Crashes and
    degraded spells make no window healthier, so they are examined, forwards, only for runs that are healthy without them. If
    requests vary, a window that `bounds` leave undecided is examined completely.
    """
    fate, interval, is_calm = fates(run), rule.interval, not (walks[0] or walks[1] or walks[2])
    words, first_drawn, next_drawn = window_words(run), np.int64(0), np.int64(0)  # the range of words drawn
    n_windows = (deadline - started) // interval if deadline > started else 0
    # Windows before `plain_until` have only the node's own level, those from `shown_since` on also the release's.
    plain_until = shown_since = np.int64(0)
    plain, plain_beyond, shown, shown_beyond = bounds
    if shown_from <= started:
        pass
    elif shown_from < deadline:
        plain_until = (shown_from - started) // interval
        shown_since = plain_until + ((shown_from - started) % interval > 0)
    else:
        shown, shown_beyond = plain, plain_beyond
    # Windows from here on are never healthy.
    n_open = n_windows if shown_beyond >= 0 else min(shown_since, n_windows)
    slack = np.int64(0 if is_calm else _SLACK)
    first = known = np.int64(0)  # begin of the run, and end of its windows known to be healthy apart from spells
    checked = np.int64(0)  # windows before this were examined for spells
    while first + needed <= n_open:
        if first == known and first >= max(shown_since, 1) and shown_beyond < _SELDOM:
            first = known = _skip_unhealthy(run, node, first, needed, n_open, shown_beyond + slack, earlier)
            next_drawn = 0
            if first + needed > n_open:
                break
        elif (first > 0 or not is_calm) and earlier + first + needed > next_drawn:
            first_drawn = (earlier + known) & ~1
            next_drawn = first_drawn + 2 * N_WINDOW_WORDS
            draw_windows(run, node, first_drawn, 2, words)
        window = first + needed - 1
        while window >= known:
            number = earlier + window
            word = _word_at(run, node, number, first_drawn, next_drawn)
            surely, beyond = np.int64(-1), np.int64(ALWAYS)
            if window < plain_until:
                surely, beyond = plain, plain_beyond + slack
            elif window >= shown_since:
                surely, beyond = shown, shown_beyond + slack
            if word > beyond:
                break
            start = started + window * interval
            if word > surely and varies:
                if not is_window_healthy(run, node, number, start):
                    break
            elif word > surely and is_calm and not _is_healthy(run, rule, node, word, start, shown_from, bounds, 0, 0):
                break
            window -= 1
        if window >= known:
            first, known = window + 1, first + needed
            continue
        known = first + needed
        if not is_calm:
            checked = max(checked, first)
            while checked < known and _is_good(
                run,
                rule,
                node,
                _word_at(run, node, checked, first_drawn, next_drawn),
                started + checked * interval,
                shown_from,
                bounds,
                walks,
            ):
                checked += 1
            if checked < known:
                checked += 1
                first = checked
                continue
        fate[RESOLVED, node] = started + known * interval
        fate[WINDOWS, node] = known
        return
    fate[RESOLVED, node] = deadline
    fate[WINDOWS, node] = n_windows
    fate[HAS_FAILED, node] = 1


@inlined
def _word_at(run, node, number, first_drawn, next_drawn):
    """Return the word of a window, drawn unless it is in the range of words drawn."""
    if first_drawn <= number < next_drawn:
        return window_words(run)[number & 1, (number - first_drawn) >> 1]
    return draw_window(run, node, number)


@compiled
def _skip_unhealthy(run, node, first, needed, n_open, beyond, earlier):
    """Return the earliest begin of a run, from `first` on, given that windows with words above `beyond` are unhealthy: many words
    are drawn at once, each of the last window of a run.
    """
    words = window_words(run)
    while first + needed <= n_open:
        draw_windows(run, node, earlier + first + needed - 1, needed, words)
        for place in range(N_WINDOW_WORDS):
            if words[(earlier + first + needed - 1) & 1, place] <= beyond or first + needed > n_open:
                return first
            first += needed
    return first


@compiled
def _find_bounds(run, rule, node, may_show):
    """Return words up to which a window is surely healthy and beyond which it surely isn't, first at the node's own level, then with
    the release's; they are equal unless levels are drawn per node.
    """
    plain, beyond = bounds_at(run, rule, node, 0)
    shown, shown_beyond = bounds_at(run, rule, node, 1 + run.kind) if may_show else (plain, beyond)
    return plain, beyond, shown, shown_beyond


@compiled
def bounds_at(run, rule, node, level):
    """Return those words at a level: 0 for the node's own, k + 1 with kind k shown."""
    number = drawn(run)[CLASS, node] if run.n_classes > 1 else 0
    last = last_word_of(run, rule, number, level)
    if last != UNKNOWN:
        return last, last
    row, place = bracket_of(run, rule, number, level), bracket_at(drawn(run)[LEVEL_WORD, node])
    return bracket_words(run)[row, place], words_beyond(run)[row, place]


@compiled
def _is_healthy(run, rule, node, word, start, shown_from, bounds, degraded, both):
    """Tell whether few enough requests fail in a window that is degraded for `degraded`, and for `both` also with the release's level."""
    number = drawn(run)[CLASS, node]
    class_rule = class_rule_of(run, rule, number)
    if class_rule.allowed < 0 or class_rule.allowed >= class_rule.requests:
        return class_rule.allowed >= 0
    end = start + rule.interval
    shown = min(max(shown_from, start), end)
    if degraded == 0 and (shown == end or shown == start):
        surely, beyond = (bounds[0], bounds[1]) if shown == end else (bounds[2], bounds[3])
        if word <= surely:
            return True
        if word > beyond or surely == beyond:
            return False
    p_own, added = own_level(run, node), added_level(run, node)
    if degraded == 0 and shown == end:
        p = p_own
    else:
        level = classes(run)[number].degraded_level
        lost = (added * (end - shown) + level * degraded - added * level * both) / (end - start)
        p = min(max(1 - (1 - p_own) * (1 - lost), 0.0), 1.0)
    return is_healthy_word(word, class_rule.allowed, class_rule.requests, p)


@compiled
def is_undisturbed(run, node, start, end):
    """Tell whether a node is up and not degraded throughout [start, end): by a quick test, or by a walk up to there."""
    if not run.goes_down and not run.degrades:
        return True
    look_ahead(run, end)
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if run.goes_down and (is_disturbed(run, node) or not stays_up(run, node, end)):
        if node_class.crash >= 0:
            begin_crashes(walk_at(run, spells.CRASH), run, node, fates(run)[STARTED, node], NEVER)
            if not is_good_throughout(run, walk_at(run, spells.CRASH), start, end):
                return False
        if node_class.zone_outage >= 0:
            spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, node % run.zones)
            if not is_good_throughout(run, walk_at(run, spells.ZONE), start, end):
                return False
    if run.degrades and not stays_undegraded(run, node):
        spells.begin(run, walk_at(run, spells.FLAPPING), node_class.flapping, node)
        return is_good_throughout(run, walk_at(run, spells.FLAPPING), start, end)
    return True
