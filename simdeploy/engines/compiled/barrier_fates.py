"""Fates of nodes relative to their dispatch, found for whole fleets at once: what bundles of policies share (see `barrier`)."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import drawn, fates, lists, peak_words, policy_of, relative, today
from simdeploy.engines.compiled.codes import ORDER_INDEX
from simdeploy.engines.compiled.fates import meet_fate
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.quick import latest_start, quick_word_of, set_quick_words
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    DURATION,
    FAILS,
    HANGS,
    HAS_FAILED,
    NEVER,
    ORDER,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    RESOLVED,
    STARTED,
    UP_AGAIN,
    WINDOWS,
)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_29, _32 = np.uint64(29), np.uint64(32)


@compiled
def find_fates(run):
    """Find every node's fate relative to its dispatch, under the rule of the policy at hand; return a key of all of them.

    Nearly every node starts at once and has healthy windows only, which the highest of its words tells. The rest is worked
    out one by one; two rules with the same key give every node the same fate.
    """
    rule = policy_of(run)
    set_quick_words(run)
    if run.quick_needed != rule.needed or run.quick_interval != rule.interval:
        run.quick_needed, run.quick_interval = rule.needed, rule.interval
        run.n_slow = 0
        _be_quick_all(run, rule)
    # Those that were slow under the rule before are what they would be if they were not.
    for place in range(run.n_slow):
        _be_quick(run, rule, lists(run)[UP_AGAIN, place])
    run.n_slow = _list_slow(run, rule)
    run.n_met = 0
    # With no other rule to compare it with, fates can wait for the wave: most defects stop the rollout early.
    return meet_fates(run, run.nodes) if run.n_rules > 1 else (np.uint64(0), np.uint64(0))


@compiled
def meet_fates(run, last):
    """Work out the fates of those nodes before position `last` that are not known yet; return their key."""
    rule = policy_of(run)
    key0, key1 = np.uint64(rule.interval), np.uint64(rule.needed)
    slow, fate, rel, order = lists(run)[UP_AGAIN], fates(run), relative(run), drawn(run)[ORDER]
    while run.n_met < run.n_slow and slow[run.n_met] < last:
        position = slow[run.n_met]
        run.n_met += 1
        node = order[position]
        fate[STARTED, node] = NEVER
        meet_fate(run, node, 0, 0)
        rel[REL_STARTED, position] = fate[STARTED, node]
        rel[REL_RESOLVED, position] = fate[RESOLVED, node]
        rel[REL_FAILED, position] = fate[HAS_FAILED, node]
        rel[REL_WINDOWS, position] = fate[WINDOWS, node]
        is_quick = not fate[HAS_FAILED, node] and fate[WINDOWS, node] == rule.needed
        if not is_quick or fate[STARTED, node] != drawn(run)[DURATION, node]:
            word = np.uint64(position) * _MIX + np.uint64(fate[STARTED, node])
            key0 = _mix(key0, word)
            key1 = _mix(key1, np.uint64(fate[RESOLVED, node] * 2 + fate[HAS_FAILED, node]) ^ (word << _32))
            key0 = _mix(key0, np.uint64(fate[WINDOWS, node]))
    return key0, key1


@compiled
def _mix(key, word):
    key = (key ^ word) * _MIX
    return key ^ (key >> _29)


@compiled
def _be_quick(run, rule, position):
    """Write the fate of a node that starts at once and has healthy windows only."""
    rel = relative(run)
    duration = drawn(run)[DURATION, drawn(run)[ORDER, position]]
    rel[REL_STARTED, position] = duration
    rel[REL_RESOLVED, position] = duration + rule.needed * rule.interval
    rel[REL_FAILED, position] = 0
    rel[REL_WINDOWS, position] = rule.needed


@compiled
def _be_quick_all(run, rule):
    """Write that fate for every node."""
    rel, order, durations = relative(run), drawn(run)[ORDER], drawn(run)[DURATION]
    span, needed = rule.needed * rule.interval, rule.needed
    started, resolved, failed, windows = rel[REL_STARTED], rel[REL_RESOLVED], rel[REL_FAILED], rel[REL_WINDOWS]
    if run.order == ORDER_INDEX:
        for node in range(run.nodes):
            started[node] = durations[node]
            resolved[node] = durations[node] + span
            failed[node] = 0
            windows[node] = needed
        return
    for position in range(run.nodes):
        duration = durations[order[position]]
        started[position] = duration
        resolved[position] = duration + span
        failed[position] = 0
        windows[position] = needed


@compiled
def _list_slow(run, rule):
    """List the positions of nodes whose fate has to be worked out; return how many there are."""
    slow, draws = lists(run)[UP_AGAIN], drawn(run)
    order, durations, fails, hangs, affected = (
        draws[ORDER],
        draws[DURATION],
        draws[FAILS],
        draws[HANGS],
        draws[AFFECTED],
    )
    peak = peak_words(run)[max(rule.peak, 0)] if rule.peak >= 0 else draws[FAILS]
    latest = latest_start(rule)
    n_slow = 0
    if run.n_classes == 1 and run.order == ORDER_INDEX and not run.depends_on_level:
        plain, hurt = today(run)[0].quick_word, today(run)[0].quick_word_affected
        for node in range(run.nodes):
            last = hurt if affected[node] else plain
            is_quick = (fails[node] + hangs[node] == 0) & (peak[node] <= last) & (durations[node] <= latest)
            slow[n_slow] = node
            n_slow += not is_quick
        return n_slow
    for position in range(run.nodes):
        node = order[position]
        last = quick_word_of(run, node)
        is_quick = (fails[node] + hangs[node] == 0) & (peak[node] <= last) & (durations[node] <= latest)
        slow[n_slow] = position
        n_slow += not is_quick
    return n_slow
