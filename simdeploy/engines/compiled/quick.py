"""Nodes with a simple fate that is found quickly: one start, only healthy windows, and no disturbance."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    bracket_at,
    bracket_of,
    bracket_words,
    classes,
    counted,
    drawn,
    fates,
    last_word_of,
    law_at,
    lists,
    peak_words,
    policy_of,
    today,
)
from simdeploy.engines.compiled.binomial import ALWAYS
from simdeploy.engines.compiled.codes import ORDER_INDEX
from simdeploy.engines.compiled.exposure import is_disturbed
from simdeploy.engines.compiled.health import is_undisturbed
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.lanes import fill
from simdeploy.engines.compiled.laws import CONSTANT
from simdeploy.engines.compiled.line import begin_line, is_online, line_holds, look_at_lines, set_heard
from simdeploy.engines.compiled.load import bounds_of_factor, words_between
from simdeploy.engines.compiled.outlook import find_undegraded, look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import is_of_nodes
from simdeploy.engines.compiled.records import UNKNOWN
from simdeploy.engines.compiled.spells import CRASH, FLAPPING
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    CLASS,
    CRASH_WORD,
    DEADLINE,
    DISPATCHED,
    DURATION,
    FAILS,
    FLAP_WORD,
    HANGS,
    HEARD,
    LEVEL_WORD,
    N_AT_ONCE,
    NEVER,
    ORDER,
    RESOLVED,
    STARTED,
    TOUCHED,
    UNDEGRADED,
    UP_AGAIN,
    WAVE,
    WINDOWS,
)
from simdeploy.units import NS_PER_S
from simdeploy.world.streams import Stream

_FLAP_BLOCK = Stream.FLAP_GOOD.block


@compiled
def latest_start(rule):
    """Return the latest start after the dispatch with which a node can meet its deadline; -1 if there is none."""
    if not rule.is_checked:
        return np.int64(NEVER)
    span = rule.needed * rule.interval
    if rule.from_dispatch:
        return rule.deadline - span
    return np.int64(NEVER) if span <= rule.deadline else np.int64(-1)


@compiled
def set_quick_words(run):
    """Note, by class, the last word up to which all windows are surely healthy: of a plain node, and of an affected one."""
    rule = policy_of(run)
    span = rule.needed * rule.interval
    constant_after = np.int64(-1)
    if run.error_rate > 0 and run.after_law >= 0 and law_at(run, run.after_law).kind == CONSTANT:
        constant_after = law_at(run, run.after_law).constant_ns
    for number in range(run.n_classes):
        chances = today(run)[number]
        level = 0 if run.error_rate == 0 or constant_after >= span else 1 + run.kind
        is_known = run.error_rate == 0 or constant_after == 0 or constant_after >= span
        chances.quick_word = last_word_of(run, rule, number, 0)
        chances.quick_word_affected = last_word_of(run, rule, number, level) if is_known else np.int64(-1)
        chances.bracket = chances.bracket_affected = -1
        if rule.needed == 0 or chances.quick_word == ALWAYS:  # at any level
            chances.quick_word = chances.quick_word_affected = ALWAYS
        elif rule.peak < 0:
            chances.quick_word = chances.quick_word_affected = -1
        elif chances.quick_word == UNKNOWN:
            chances.bracket = bracket_of(run, rule, number, 0)
            chances.bracket_affected = bracket_of(run, rule, number, level) if is_known else -1
            chances.quick_word = chances.quick_word_affected = -1


@part("traffic", types.int64, seconds=0.3)
def _set_quick_words_by_traffic(run, until):
    """Set these words for windows from now up to a time, for classes with traffic, whose windows have different numbers of requests.

    The fewest and the most requests of a window, and the highest p, determine the words.
    """
    rule = policy_of(run)
    for number in range(run.n_classes):
        node_class, chances = classes(run)[number], today(run)[number]
        if (
            node_class.first_piece < node_class.last_piece
            and rule.needed > 0
            and (rule.peak >= 0 or rule.rate_top >= rule.rate_bottom)
        ):
            usual = node_class.requests_per_second * (rule.interval / NS_PER_S)
            lowest, highest = bounds_of_factor(run, number, run.now, until)
            fewest, most = np.int64(math.floor(usual * lowest)), np.int64(math.floor(usual * highest + 0.51))
            chances.quick_word = words_between(rule, fewest, most, node_class.baseline)
            hurt = 1 - (1 - node_class.baseline) * (1 - run.error_rate)
            chances.quick_word_affected = words_between(rule, fewest, most, hurt)
            chances.bracket = chances.bracket_affected = -1


@compiled
def quick_word_of(run, node):
    """Return the last word up to which all windows of a node are surely healthy; call `set_quick_words` first."""
    chances = today(run)[drawn(run)[CLASS, node]]
    affected = drawn(run)[AFFECTED, node] != 0
    bracket = chances.bracket_affected if affected else chances.bracket
    if bracket >= 0:
        return bracket_words(run)[bracket, bracket_at(drawn(run)[LEVEL_WORD, node])]
    return chances.quick_word_affected if affected else chances.quick_word


@inlined
def is_quick(run, rule, latest, node):
    """Tell whether a node starts at the first attempt, in time, and has only healthy windows if nothing disturbs it."""
    draws = drawn(run)
    peak = peak_words(run)[rule.peak, node] if rule.peak >= 0 else np.int64(0)
    starts = (draws[FAILS, node] + draws[HANGS, node] == 0) & (draws[DURATION, node] <= latest)
    return starts & (peak <= quick_word_of(run, node))


@inlined
def _is_calm(run, node, end):
    """Tell quickly whether a node is up and not degraded until `end`; call `look_ahead` first."""
    return stays_up(run, node, end) and stays_undegraded(run, node) and not is_disturbed(run, node)


@compiled
def is_surely_quick(run, rule, latest, node):
    """Tell whether a node that is dispatched now is quick and undisturbed: by a quick test, or by a walk along its spells."""
    if not is_quick(run, rule, latest, node):
        return False
    if not (run.goes_down or run.degrades):
        return True
    started = run.now + drawn(run)[DURATION, node]
    end = started + rule.needed * rule.interval
    # The node must be up at its turn even if it needs no time.
    look_ahead(run, max(end, run.now + 1))
    if not stays_up(run, node, max(end, run.now + 1)) or is_disturbed(run, node):
        return False
    return is_undisturbed(run, node, started, end)


@compiled
def list_slow(run, rule, first, last, now, slow, n_slow):
    """List the positions from first to last of nodes that are not quick and calm if dispatched now; return the length of the list."""
    draws, latest = drawn(run), latest_start(rule)
    may_be_disturbed = run.goes_down or run.degrades
    chances, node_class = today(run)[0], classes(run)[0]
    is_plain = chances.bracket < 0 and chances.bracket_affected < 0 and node_class.zone_outage < 0
    if run.n_classes == 1 and run.order == ORDER_INDEX and is_plain:
        durations, fails, hangs = draws[DURATION, first:last], draws[FAILS, first:last], draws[HANGS, first:last]
        affected = draws[AFFECTED, first:last]
        peak = peak_words(run)[rule.peak, first:last] if rule.peak >= 0 else fails
        plain, hurt = chances.quick_word, chances.quick_word_affected
        if not may_be_disturbed:
            for place in range(last - first):
                word = hurt if affected[place] else plain
                is_slow = (fails[place] + hangs[place] != 0) | (peak[place] > word) | (durations[place] > latest)
                slow[n_slow] = first + place
                n_slow += is_slow
            return n_slow
        if node_class.crash >= 0 and (node_class.renewed or (run.crash_rate != 1.0 and run.kind >= 0)):
            plain, hurt = np.int64(-1) if node_class.renewed else plain, np.int64(-1)
        crashes, crash_beyond = draws[CRASH_WORD, first:last], chances.quiet_beyond[CRASH]
        flaps, flap_beyond = draws[FLAP_WORD, first:last], chances.quiet_beyond[FLAPPING]
        for place in range(last - first):
            word = hurt if affected[place] else plain
            is_slow = (fails[place] + hangs[place] != 0) | (peak[place] > word) | (durations[place] > latest)
            slow[n_slow] = first + place
            n_slow += is_slow | (crashes[place] <= crash_beyond) | (flaps[place] <= flap_beyond)
        return n_slow
    order, span = draws[ORDER], rule.needed * rule.interval
    for position in range(first, last):
        node = order[position]
        slow[n_slow] = position
        # The node must be up at its turn even if it needs no time.
        n_slow += not is_quick(run, rule, latest, node) or (
            may_be_disturbed and not _is_calm(run, node, max(now + draws[DURATION, node] + span, now + 1))
        )
    return n_slow


@part("waves", types.int64, types.int64, returns=types.int64, seconds=0.8)
def dispatch_quickly(run, first, count):
    """Dispatch those of the next nodes that are quick; list the others as `UP_AGAIN`, and return their number."""
    slow = lists(run)[UP_AGAIN]
    rule, draws = policy_of(run), drawn(run)
    now, last = run.now, first + count
    durations, order = draws[DURATION], draws[ORDER]
    longest = np.int64(0)
    if run.order == ORDER_INDEX:
        for node in range(first, last):
            longest = max(longest, durations[node])
    else:
        for place in range(first, last):
            longest = max(longest, durations[order[place]])
    lasts = min(longest, max(latest_start(rule), 0)) + rule.needed * rule.interval
    if run.varies:
        _set_quick_words_by_traffic(run, now + lasts)
    if run.goes_down or run.degrades:
        look_ahead(run, now + lasts + 1)
    if run.goes_offline:
        look_at_lines(run, lasts + 1)
    n_slow = list_slow(run, rule, first, last, now, slow, 0)
    _send_all(run, rule, first, last)
    fate, touched, n_touched = fates(run), lists(run)[TOUCHED], run.n_touched
    for place in range(n_slow):
        slow[place] = order[slow[place]]
    if run.degrades and run.n_classes == 1 and not is_of_nodes(run, _FLAP_BLOCK):
        n_slow = _drop_undegraded(run, n_slow)
    for place in range(n_slow):
        node = slow[place]
        fate[DISPATCHED, node] = fate[STARTED, node] = fate[RESOLVED, node] = NEVER
        fate[WINDOWS, node] = 0
    if run.goes_offline:
        n_slow = _send_by_line(run, rule, first, last, slow, n_slow)
    for place in range(first, last):
        node = order[place]
        touched[n_touched] = node
        n_touched += fate[DISPATCHED, node] < NEVER
    run.n_touched = n_touched
    return n_slow


@part("undegraded", types.int64, returns=types.int64, seconds=0.3)
def _drop_undegraded(run, n_slow):
    """Drop nodes from the list of those that are not quick and calm if a closer test finds them so; return how many are left."""
    rule, slow = policy_of(run), lists(run)[UP_AGAIN]
    now, span, latest = run.now, rule.needed * rule.interval, latest_start(rule)
    n_left = 0
    for first in range(0, n_slow, N_AT_ONCE):
        nodes = slow[first : min(first + N_AT_ONCE, n_slow)]
        find_undegraded(run, nodes, span)
        for place in range(len(nodes)):
            node = nodes[place]
            end = now + drawn(run)[DURATION, node] + span
            is_dropped = (
                counted(run)[UNDEGRADED, place] != 0
                and is_quick(run, rule, latest, node)
                and stays_up(run, node, max(end, now + 1))
                and not is_disturbed(run, node)
            )
            slow[n_left] = node
            n_left += not is_dropped
    return n_left


@compiled
def _send_all(run, rule, first, last):
    """Write the fates of quick nodes that are dispatched now."""
    fate, now, span = fates(run), run.now, rule.needed * rule.interval
    if run.order == ORDER_INDEX:
        durations = drawn(run)[DURATION, first:last]
        started, resolved = fate[STARTED, first:last], fate[RESOLVED, first:last]
        for place in range(last - first):
            started[place] = now + durations[place]
            resolved[place] = now + durations[place] + span
        fill(fate[DISPATCHED, first:last], now)
        fill(fate[WINDOWS, first:last], rule.needed)
        fill(fate[WAVE, first:last], run.waves_open)
        return
    for place in range(first, last):
        send_quick(run, rule, drawn(run)[ORDER, place])


@inlined
def send_quick(run, rule, node):
    """Write the fate of a quick node that is dispatched now, as part of the wave opened last."""
    fate = fates(run)
    started = run.now + drawn(run)[DURATION, node]
    fate[DISPATCHED, node] = run.now
    fate[STARTED, node] = started
    fate[RESOLVED, node] = started + rule.needed * rule.interval
    fate[WINDOWS, node] = rule.needed
    fate[WAVE, node] = run.waves_open


@compiled
def _send_by_line(run, rule, first, last, slow, n_slow):
    """Begin the lines of nodes; compute when verdicts of dispatched ones are heard, and list nodes that can't be reached."""
    fate = fates(run)
    for place in range(first, last):
        node = drawn(run)[ORDER, place]
        begin_line(run, node)
        if fate[DISPATCHED, node] == NEVER:
            continue
        # The node must be online at its turn even if it needs no time.
        if line_holds(run, node):
            fate[HEARD, node] = fate[RESOLVED, node]
        elif is_online(run, node, run.now):
            fate[DEADLINE, node] = NEVER
            if rule.is_checked:
                fate[DEADLINE, node] = (run.now if rule.from_dispatch else fate[STARTED, node]) + rule.deadline
            set_heard(run, node)
        else:
            fate[DISPATCHED, node] = fate[STARTED, node] = fate[RESOLVED, node] = NEVER
            fate[WINDOWS, node] = 0
            slow[n_slow] = node
            n_slow += 1
    return n_slow
