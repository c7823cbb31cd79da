"""Fates of nodes relative to their dispatch, found as far as somebody asks: what bundles of policies share (see `barrier`).

Rules whose windows are as long and as many come one after the other. Nearly every node is healthy at once under all of them; the
others are listed once, and each rule looks at these only.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    class_rule_of,
    drawn,
    fates,
    lists,
    peak_words,
    policy_of,
    relative,
    rule_at,
    today,
)
from simdeploy.engines.compiled.binomial import ALWAYS
from simdeploy.engines.compiled.codes import ORDER_INDEX
from simdeploy.engines.compiled.fates import meet_fate
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.quick import latest_start, quick_word_of, set_quick_words
from simdeploy.engines.compiled.records import MOST_STEP_WINDOWS, N_STEPPING
from simdeploy.engines.compiled.sampling import sample_nodes
from simdeploy.engines.compiled.steps import go_by_steps, least_word_of
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    DURATION,
    FAILS,
    HANGS,
    HAS_FAILED,
    KEY0,
    KEY1,
    NEVER,
    ORDER,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    RESOLVED,
    SLOW,
    STARTED,
    WINDOWS,
)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_29, _32 = np.uint64(29), np.uint64(32)


@compiled
def begin_rule(run, number):
    """Make ready for fates under a rule, whose policy is at hand."""
    policy = run.policy
    rule, kind = policy_of(run), rule_at(run, number)
    if run.span_needed != rule.needed or run.span_interval != rule.interval:
        run.span_needed, run.span_interval = rule.needed, rule.interval
        run.n_listed = run.n_slow = 0
        _set_least_words(run, number)
        run.policy = policy
    if run.group != kind.group:
        run.group = kind.group
        run.step_group += 1
    run.has_steps = (
        kind.n_alike > 1 and rule.consecutive and rule.failure_threshold == 0 and rule.needed <= MOST_STEP_WINDOWS
    )
    set_quick_words(run)
    run.n_met = 0


@compiled
def _set_least_words(run, number):
    """Note up to which word, and until when, a node is healthy at once under each of the rules with such windows."""
    for one in range(run.n_classes):
        chances = today(run)[one]
        chances.least_word = chances.least_word_affected = ALWAYS
        chances.least_bracket = chances.least_bracket_affected = -1
        chances.least_allowed = ALWAYS
    run.latest_of_all = NEVER
    while number < run.n_rules:
        run.policy = rule_at(run, number).policy
        rule = policy_of(run)
        if rule.needed != run.span_needed or rule.interval != run.span_interval:
            return
        number += 1
        run.latest_of_all = min(run.latest_of_all, latest_start(rule))
        set_quick_words(run)
        for one in range(run.n_classes):
            chances, allowed = today(run)[one], class_rule_of(run, rule, one).allowed
            if chances.bracket < 0:
                chances.least_word = min(chances.least_word, chances.quick_word)
            if chances.bracket_affected < 0:
                chances.least_word_affected = min(chances.least_word_affected, chances.quick_word_affected)
            if chances.bracket >= 0 and allowed < chances.least_allowed:
                # The fewer failures a rule allows, the lower is its word for every level.
                chances.least_allowed = allowed
                chances.least_bracket, chances.least_bracket_affected = chances.bracket, chances.bracket_affected


@compiled
def know_fates(run, last):
    """Work out the fates of nodes before position `last`, as far as they are not known yet."""
    _list_nodes(run, last)
    rule, slow = policy_of(run), lists(run)[SLOW]
    while run.n_met < run.n_slow and slow[run.n_met] < last:
        place = run.n_met
        run.n_met += 1
        _know_fate(run, rule, place, slow[place])


@compiled
def _know_fate(run, rule, place, position):
    node = drawn(run)[ORDER, position]
    # A rule that is alone with its windows has no other nodes in its list.
    if run.n_rules > 1 and _is_quick(run, rule, node):
        _be_quick(run, rule, position)
    elif not (run.has_steps and place < N_STEPPING and go_by_steps(run, rule, place, position, node)):
        fate, rel = fates(run), relative(run)
        fate[STARTED, node] = NEVER
        meet_fate(run, node, 0, 0)
        rel[REL_STARTED, position] = fate[STARTED, node]
        rel[REL_RESOLVED, position] = fate[RESOLVED, node]
        rel[REL_FAILED, position] = fate[HAS_FAILED, node]
        rel[REL_WINDOWS, position] = fate[WINDOWS, node]
        run.work_fates += 1
    if run.n_bundles > 1:
        _add_to_key(run, rule, place, position, node)


@compiled
def _add_to_key(run, rule, place, position, node):
    """Note the key of all fates up to a node in the list, in which those that are quick count nothing: two rules with the same key
    give every node the same fate.
    """
    keys, rel = lists(run), relative(run)
    key0, key1 = key_of_fates(run, place)
    started, has_failed, windows = rel[REL_STARTED, position], rel[REL_FAILED, position], rel[REL_WINDOWS, position]
    if has_failed or windows != rule.needed or started != drawn(run)[DURATION, node]:
        word = np.uint64(position) * _MIX + np.uint64(started)
        key0 = np.int64(_mix(_mix(np.uint64(key0), word), np.uint64(windows)))
        ends = np.uint64(rel[REL_RESOLVED, position] * 2 + has_failed)
        key1 = np.int64(_mix(np.uint64(key1), ends ^ (word << _32)))
    keys[KEY0, place], keys[KEY1, place] = key0, key1


@compiled
def key_of_fates(run, n):
    """Return the key of the first nodes in the list, so many that their fates are known."""
    if n == 0:
        return np.int64(run.span_interval), np.int64(run.span_needed)
    return lists(run)[KEY0, n - 1], lists(run)[KEY1, n - 1]


@compiled
def _mix(key, word):
    key = (key ^ word) * _MIX
    return key ^ (key >> _29)


@compiled
def _is_quick(run, rule, node):
    """Tell whether a node starts at once and has healthy windows only under the rule at hand."""
    draws = drawn(run)
    if draws[FAILS, node] + draws[HANGS, node] or draws[DURATION, node] > latest_start(rule):
        return False
    peak = peak_words(run)[rule.peak, node] if rule.peak >= 0 else np.int64(0)
    return peak <= quick_word_of(run, node)


@compiled
def _be_quick(run, rule, position):
    """Write the fate of such a node."""
    rel = relative(run)
    duration = drawn(run)[DURATION, drawn(run)[ORDER, position]]
    rel[REL_STARTED, position] = duration
    rel[REL_RESOLVED, position] = duration + rule.needed * rule.interval
    rel[REL_FAILED, position] = 0
    rel[REL_WINDOWS, position] = rule.needed


@compiled
def _list_nodes(run, last):
    """Go on to a position: write that fate for every node, and list those that don't have it under each rule."""
    first = run.n_listed
    if first >= last:
        return
    run.n_listed = last
    sample_nodes(run, last)
    rule, rel = policy_of(run), relative(run)
    started, resolved = rel[REL_STARTED, first:last], rel[REL_RESOLVED, first:last]
    failed, windows = rel[REL_FAILED, first:last], rel[REL_WINDOWS, first:last]
    span, needed = rule.needed * rule.interval, rule.needed
    if run.order == ORDER_INDEX:
        durations = drawn(run)[DURATION, first:last]
        for place in range(last - first):
            started[place] = durations[place]
            resolved[place] = durations[place] + span
            failed[place] = 0
            windows[place] = needed
    else:
        order, durations = drawn(run)[ORDER, first:last], drawn(run)[DURATION]
        for place in range(last - first):
            duration = durations[order[place]]
            started[place] = duration
            resolved[place] = duration + span
            failed[place] = 0
            windows[place] = needed
    _list_slow(run, rule, first, last)


@compiled
def _list_slow(run, rule, first, last):
    slow, draws, latest, n_slow = lists(run)[SLOW], drawn(run), run.latest_of_all, run.n_slow
    chances = today(run)[0]
    if (
        run.n_classes == 1
        and run.order == ORDER_INDEX
        and chances.least_bracket < 0
        and chances.least_bracket_affected < 0
    ):
        durations, fails, hangs = draws[DURATION, first:last], draws[FAILS, first:last], draws[HANGS, first:last]
        affected = draws[AFFECTED, first:last]
        peak = peak_words(run)[rule.peak, first:last] if rule.peak >= 0 else fails
        plain, hurt = chances.least_word, chances.least_word_affected
        for place in range(last - first):
            word = hurt if affected[place] else plain
            is_quick = (fails[place] + hangs[place] == 0) & (peak[place] <= word) & (durations[place] <= latest)
            slow[n_slow] = first + place
            n_slow += not is_quick
    else:
        order, durations, fails, hangs = draws[ORDER], draws[DURATION], draws[FAILS], draws[HANGS]
        peak = peak_words(run)[rule.peak] if rule.peak >= 0 else fails
        for position in range(first, last):
            node = order[position]
            is_quick = (fails[node] + hangs[node] == 0) & (peak[node] <= least_word_of(run, node))
            slow[n_slow] = position
            n_slow += not (is_quick & (durations[node] <= latest))
    run.n_slow = n_slow
