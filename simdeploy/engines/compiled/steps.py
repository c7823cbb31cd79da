"""The windows of a node, examined once for many rules that differ only in the highest error rate of a healthy window.

A window is healthy up to a word that depends on how strict a rule is. So a node becomes healthy at the end of the first run of windows
whose highest word is at most that of the rule. It suffices to know the ends of runs whose highest word is lower than that of all runs
before: they are few, and descend like steps.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import drawn, fates, lists, relative, step_words, steps
from simdeploy.engines.compiled.binomial import ALWAYS
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.fates import find_start
from simdeploy.engines.compiled.health import bounds_at
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.philox import WINDOW, draw_pairs, draw_pairs_by, replication_of
from simdeploy.engines.compiled.records import MOST_STEP_WINDOWS, N_STEPPING
from simdeploy.engines.compiled.tables import (
    DURATION,
    FAILS,
    HANGS,
    HAS_FAILED,
    MOST_STEPS,
    NEVER,
    ORDER,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    RESOLVED,
    SLOW,
    STARTED,
    STEP_DEADLINE,
    STEP_ENDS,
    STEP_FAILED,
    STEP_GROUP,
    STEP_IS_WHOLE,
    STEP_LEVEL,
    STEP_N,
    STEP_NEXT,
    STEP_RESOLVED,
    STEP_STARTED,
    STEP_WINDOWS,
    STEP_WORDS,
    STEPS_AT,
)

_FEW = 16  # windows, mostly enough


@inlined
def _count_first(needed):
    return (max(needed, _FEW) + 15) & ~15


@compiled
def draw_first_windows(run, needed, first, last):
    """Draw the first windows of listed nodes together, because the processor can then draw several nodes' words in parallel."""
    positions, rows, order = lists(run)[SLOW], lists(run)[STEPS_AT], drawn(run)[ORDER]
    key0, key1, n = run.key0, run.key1, _count_first(needed)
    for place in range(first, last):
        row, node = rows[place], order[positions[place]]
        if row < N_STEPPING:
            draw_pairs_by(key0, key1, replication_of(run, WINDOW, node), node, 0, n, step_words(run)[row])


@inlined
def has_same_fate(run, rule, of_node, node):
    """Tell whether a node has the fate that was found under a stricter rule of the same group."""
    if of_node[STEP_GROUP] != run.step_group or of_node[STEP_NEXT] < 0:
        return False
    _, beyond = bounds_at(run, rule, node, of_node[STEP_LEVEL])
    return beyond < of_node[STEP_NEXT]


@compiled
def go_by_steps(run, rule, row, position, node):
    """Write the fate of the node at a position, whose steps have a row; False if they don't determine it."""
    of_node, rel = steps(run)[row], relative(run)[:, position]
    if of_node[STEP_GROUP] != run.step_group:
        of_node[STEP_GROUP] = run.step_group
        _find_steps(run, rule, of_node, step_words(run)[row], node)
    n, level = of_node[STEP_N], of_node[STEP_LEVEL]
    of_node[STEP_NEXT] = -1
    step = np.int64(0)
    if n >= 0:
        if level < 0:
            return False
        surely, beyond = bounds_at(run, rule, node, level)
        while step < n and of_node[STEP_WORDS + 2 * step] > beyond:
            step += 1
        # If only an interval is known for the node's own level, it may become healthy later.
        if step < n and of_node[STEP_WORDS + 2 * step] > surely:
            return False
        if step < n:
            windows = of_node[STEP_ENDS + 2 * step]
            rel[REL_RESOLVED] = of_node[STEP_STARTED] + windows * rule.interval
            rel[REL_FAILED] = 0
            rel[REL_WINDOWS] = windows
        elif of_node[STEP_IS_WHOLE]:
            rel[REL_RESOLVED] = of_node[STEP_DEADLINE]
            rel[REL_FAILED] = 1
            rel[REL_WINDOWS] = of_node[STEP_WINDOWS]
        else:
            return False
    else:
        rel[REL_RESOLVED] = of_node[STEP_RESOLVED]
        rel[REL_FAILED] = of_node[STEP_FAILED]
        rel[REL_WINDOWS] = 0
    rel[REL_STARTED] = of_node[STEP_STARTED]
    of_node[STEP_NEXT] = of_node[STEP_WORDS + 2 * (step - 1)] if step else NEVER
    return True


@compiled
def _find_steps(run, rule, of_node, word_of, node):
    """Find the start of a node, and the steps of its windows from then on; -1 steps if its verdict depends on no window."""
    draws = drawn(run)
    started = draws[DURATION, node]
    deadline = rule.deadline if rule.from_dispatch else started + rule.deadline
    starts = draws[FAILS, node] + draws[HANGS, node] == 0 and rule.is_checked
    if not (starts and rule.needed > 0 and started <= deadline):
        started, deadline = _find_late_start(run, of_node, node)
    of_node[STEP_STARTED] = started
    of_node[STEP_LEVEL] = 0
    if deadline < 0:
        of_node[STEP_N] = -1
        return
    of_node[STEP_N] = 0
    if added_level(run, node) > 0:
        shown_from = started + after_ns(run, node)
        of_node[STEP_LEVEL] = 1 + run.kind if shown_from <= started else (0 if shown_from >= deadline else -1)
        if of_node[STEP_LEVEL] < 0:
            return
    n_windows = (deadline - started) // rule.interval if deadline > started else np.int64(0)
    of_node[STEP_DEADLINE], of_node[STEP_WINDOWS] = deadline, n_windows
    # Later rules are not stricter.
    least, _ = bounds_at(run, rule, node, of_node[STEP_LEVEL])
    _look_at_windows(run, rule.needed, least, of_node, word_of, node, n_windows)
    run.work_looks += 1


@compiled
def _find_late_start(run, of_node, node):
    """Find the start of a node that may need several attempts, and until when its windows are judged; -1 if none is."""
    run.fates_at -= 8 * node  # see `barrier_fates`
    fate = fates(run)
    fate[STARTED, node] = NEVER
    deadline = find_start(run, node, 0, 0)
    started = fate[STARTED, node]
    of_node[STEP_RESOLVED], of_node[STEP_FAILED] = fate[RESOLVED, node], fate[HAS_FAILED, node]
    run.fates_at += 8 * node
    return started, deadline


@compiled
def _look_at_windows(run, needed, least, of_node, word_of, node, n_windows):
    """Find the steps down to a word, or to the last window."""
    n_looked, n_drawn = min(n_windows, MOST_STEP_WINDOWS), _count_first(needed)
    first = n = np.int64(0)
    top, is_open = np.int64(ALWAYS), True
    while is_open and first + needed <= n_looked:
        if first + needed > n_drawn:
            draw_pairs(run, node, n_drawn, n_looked - n_drawn, word_of[n_drawn:])
            n_drawn = n_looked
        # A word that is not lower rules out every run that contains it.
        place = at = first + needed - 1
        highest = np.int64(-1)
        while place >= first and word_of[place] < top:
            at = place if word_of[place] > highest else at
            highest = max(highest, word_of[place])
            place -= 1
        if place >= first:
            first = place + 1
            continue
        of_node[STEP_WORDS + 2 * n], of_node[STEP_ENDS + 2 * n] = highest, first + needed
        n += 1
        top, first = highest, at + 1
        is_open = top > least and n < MOST_STEPS
    of_node[STEP_N] = n
    of_node[STEP_IS_WHOLE] = is_open and n_looked == n_windows
