"""Fates of nodes relative to their dispatch, computed on demand and shared by bundles of policies (see `barrier`).

Rules that differ only in the highest error rate follow one another, the strictest first. Nearly every node is healthy at once under
all of them; the others are listed once, and looser rules consider only nodes that are not healthy at once under stricter ones.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import drawn, fates, lists, policy_of, relative, rule_at, steps
from simdeploy.engines.compiled.codes import ORDER_INDEX
from simdeploy.engines.compiled.drawing import sample_nodes
from simdeploy.engines.compiled.fates import meet_fate
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.quick import is_quick, latest_start, list_slow, set_quick_words
from simdeploy.engines.compiled.records import MOST_STEP_WINDOWS, N_STEPPING
from simdeploy.engines.compiled.sorting import first_not_below
from simdeploy.engines.compiled.steps import draw_first_windows, go_by_steps, has_same_fate
from simdeploy.engines.compiled.tables import (
    DURATION,
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
    STEP_KEY0,
    STEP_KEY1,
    STEPS_AT,
    WINDOWS,
)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_29, _32 = np.uint64(29), np.uint64(32)


@compiled
def begin_rule(run, number):
    """Prepare for fates under a rule; its policy is the current one."""
    rule, record = policy_of(run), rule_at(run, number)
    if run.group != record.group:
        run.group = record.group
        run.step_group += 1
        _clean(run, rule.needed)
        run.n_listed = run.n_stepping = run.n_slow = 0
    else:
        # Nodes that were quick under a stricter rule are quick under this one.
        lists_of = lists(run)
        for place in range(run.n_slow - run.n_met):
            lists_of[SLOW, run.n_kept + place] = lists_of[SLOW, run.n_met + place]
            lists_of[STEPS_AT, run.n_kept + place] = lists_of[STEPS_AT, run.n_met + place]
        run.n_slow -= run.n_met - run.n_kept
    run.n_met = run.n_kept = 0
    run.has_steps = (
        record.n_alike > 1 and rule.consecutive and rule.failure_threshold == 0 and rule.needed <= MOST_STEP_WINDOWS
    )
    set_quick_words(run)


@compiled
def _clean(run, needed):
    """Reset all fates to healthy windows only, which nearly all have already."""
    rel, slow = relative(run), lists(run)[SLOW]
    if run.clean_windows != needed:
        run.clean_windows = needed
        run.n_clean = 0
    for place in range(run.n_slow):
        rel[REL_FAILED, slow[place]] = 0
        rel[REL_WINDOWS, slow[place]] = needed


@compiled
def know_fates(run, last):
    """Compute the fates of nodes before position `last` that are not known yet."""
    _list_nodes(run, last)
    rule, n_slow, n_met, n_kept = policy_of(run), run.n_slow, run.n_met, run.n_kept
    positions, rows = lists(run)[SLOW], lists(run)[STEPS_AT]
    while n_met < n_slow and positions[n_met] < last:
        position, row = positions[n_met], rows[n_met]
        n_met += 1
        if _know_fate(run, rule, position, row, n_kept):
            positions[n_kept], rows[n_kept] = position, row
            n_kept += 1
    run.n_met, run.n_kept = n_met, n_kept


@inlined
def _know_fate(run, rule, position, row, n_kept):
    """Write a node's fate, and tell whether it counts in the key of all fates; that of a quick node doesn't."""
    node, has_steps = drawn(run)[ORDER, position], run.has_steps and row < N_STEPPING
    of_node = steps(run)[row if has_steps else 0]
    if has_steps and has_same_fate(run, rule, of_node, node):
        _add_to_key(run, n_kept, of_node[STEP_KEY0], of_node[STEP_KEY1])
        return True
    if _find_fate(run, rule, position, row, node, has_steps):
        return False
    rel = relative(run)[:, position]
    started, has_failed, windows = rel[REL_STARTED], rel[REL_FAILED], rel[REL_WINDOWS]
    if not has_failed and windows == rule.needed and started == drawn(run)[DURATION, node]:
        return False
    if run.n_bundles > 1:
        word = _mix(np.uint64(position) * _MIX, np.uint64(started))
        key0 = np.int64(_mix(word, np.uint64(windows)))
        key1 = np.int64(_mix(word, np.uint64(rel[REL_RESOLVED] * 2 + has_failed)))
        if has_steps:
            of_node[STEP_KEY0], of_node[STEP_KEY1] = key0, key1
        _add_to_key(run, n_kept, key0, key1)
    return True


@inlined
def _find_fate(run, rule, position, row, node, has_steps):
    """Write a node's fate; True if a quick test shows that it is a quick node's."""
    if not (has_steps and go_by_steps(run, rule, row, position, node)):
        if run.n_rules > 1 and is_quick(run, rule, latest_start(rule), node):
            _be_quick(run, rule, position)
            return True
        # One column of the table of fates is reused for all nodes, because each fate is copied at once.
        run.fates_at -= 8 * node
        fate, rel = fates(run), relative(run)
        fate[STARTED, node] = NEVER
        meet_fate(run, node, 0, 0)
        rel[REL_STARTED, position] = fate[STARTED, node]
        rel[REL_RESOLVED, position] = fate[RESOLVED, node]
        rel[REL_FAILED, position] = fate[HAS_FAILED, node]
        rel[REL_WINDOWS, position] = fate[WINDOWS, node]
        run.fates_at += 8 * node
        run.work_fates += 1
    return False


@compiled
def _add_to_key(run, n_kept, key0, key1):
    """Store the key of all fates up to one, a sum over nodes: under two rules with the same key all nodes have the same fates."""
    keys0, keys1 = lists(run)[KEY0], lists(run)[KEY1]
    before0, before1 = key_of_fates(run, n_kept)
    keys0[n_kept], keys1[n_kept] = before0 + key0, before1 + key1


@compiled
def key_before(run, last):
    """Return the key of the fates before position `last`, which are known."""
    return key_of_fates(run, first_not_below(lists(run)[SLOW], run.n_kept, last))


@compiled
def key_of_fates(run, n):
    """Return the key of the first fates that are not quick."""
    if n == 0:
        return policy_of(run).interval, policy_of(run).needed
    return lists(run)[KEY0, n - 1], lists(run)[KEY1, n - 1]


@compiled
def _mix(key, word):
    key = (key ^ word) * _MIX
    key = (key ^ (key >> _32)) * _MIX
    return key ^ (key >> _29)


@compiled
def _be_quick(run, rule, position):
    """Write the fate of a quick node."""
    rel = relative(run)
    duration = drawn(run)[DURATION, drawn(run)[ORDER, position]]
    rel[REL_STARTED, position] = duration
    rel[REL_RESOLVED, position] = duration + rule.needed * rule.interval
    rel[REL_FAILED, position] = 0
    rel[REL_WINDOWS, position] = rule.needed


@compiled
def _list_nodes(run, last):
    """Advance to a position: write the fate of a quick node for every node, and list those that are not quick under the current rule."""
    first = run.n_listed
    if first >= last:
        return
    run.n_listed = last
    sample_nodes(run, last)
    rule, rel = policy_of(run), relative(run)
    started, resolved = rel[REL_STARTED, first:last], rel[REL_RESOLVED, first:last]
    span = rule.needed * rule.interval
    if run.order == ORDER_INDEX:
        durations = drawn(run)[DURATION, first:last]
        for place in range(last - first):
            started[place] = durations[place]
            resolved[place] = durations[place] + span
    else:
        order, durations = drawn(run)[ORDER, first:last], drawn(run)[DURATION]
        for place in range(last - first):
            duration = durations[order[place]]
            started[place] = duration
            resolved[place] = duration + span
    if run.n_clean < last:
        failed, windows = rel[REL_FAILED, run.n_clean : last], rel[REL_WINDOWS, run.n_clean : last]
        for place in range(len(failed)):
            failed[place] = 0
            windows[place] = rule.needed
        run.n_clean = last
    n_slow = list_slow(run, rule, first, last, 0, lists(run)[SLOW], run.n_slow)
    for place in range(run.n_slow, n_slow):
        lists(run)[STEPS_AT, place] = run.n_stepping
        run.n_stepping += 1
    if run.has_steps:
        draw_first_windows(run, rule.needed, run.n_slow, n_slow)
    run.n_slow = n_slow
