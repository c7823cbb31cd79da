"""A node's windows at one look for many rules, which differ in the highest error rate of a healthy window only.

A window is healthy up to a word that says how strict a rule is. So a node becomes healthy at the end of the first windows in a row
whose highest word is that rule's at most: the ends of runs whose highest word is lower than that of all runs before are all there
is to know. They are few, and come down like steps.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    fates,
    relative,
    step_words,
    steps,
    window_words,
)
from simdeploy.engines.compiled.binomial import ALWAYS
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.fates import find_start
from simdeploy.engines.compiled.health import bounds_at
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.philox import draw_windows
from simdeploy.engines.compiled.records import MOST_STEP_WINDOWS, N_WINDOW_WORDS
from simdeploy.engines.compiled.tables import (
    HAS_FAILED,
    MOST_STEPS,
    NEVER,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    RESOLVED,
    STARTED,
    STEP_DEADLINE,
    STEP_ENDS,
    STEP_FAILED,
    STEP_GROUP,
    STEP_IS_WHOLE,
    STEP_LEVEL,
    STEP_N,
    STEP_RESOLVED,
    STEP_STARTED,
    STEP_WINDOWS,
    STEP_WORDS,
)


@compiled
def go_by_steps(run, rule, row, position, node):
    """Write the fate of the node at a position, whose steps have a row; False if they don't tell."""
    of_node, rel = steps(run)[row], relative(run)
    if of_node[STEP_GROUP] != run.step_group:
        of_node[STEP_GROUP] = run.step_group
        _find_steps(run, rule, of_node, node)
    n = of_node[STEP_N]
    if n >= 0:
        level = of_node[STEP_LEVEL]
        if level < 0:
            return False
        surely, beyond = bounds_at(run, rule, node, level)
        step = np.int64(0)
        while step < n and of_node[STEP_WORDS + step] > beyond:
            step += 1
        # Where the node's own level is known by an interval only, it may become healthy later.
        if step < n and of_node[STEP_WORDS + step] > surely:
            return False
        if step < n:
            windows = of_node[STEP_ENDS + step]
            rel[REL_RESOLVED, position] = of_node[STEP_STARTED] + windows * rule.interval
            rel[REL_FAILED, position] = 0
            rel[REL_WINDOWS, position] = windows
        elif of_node[STEP_IS_WHOLE]:
            rel[REL_RESOLVED, position] = of_node[STEP_DEADLINE]
            rel[REL_FAILED, position] = 1
            rel[REL_WINDOWS, position] = of_node[STEP_WINDOWS]
        else:
            return False
    else:
        rel[REL_RESOLVED, position] = of_node[STEP_RESOLVED]
        rel[REL_FAILED, position] = of_node[STEP_FAILED]
        rel[REL_WINDOWS, position] = 0
    rel[REL_STARTED, position] = of_node[STEP_STARTED]
    return True


@compiled
def _find_steps(run, rule, of_node, node):
    """Find when a node starts, and the steps of its windows from then on; -1 steps if its verdict depends on no window."""
    fate = fates(run)
    fate[STARTED, node] = NEVER
    deadline = find_start(run, node, 0, 0)
    started = fate[STARTED, node]
    of_node[STEP_STARTED] = started
    of_node[STEP_N] = -1
    if deadline < 0:
        of_node[STEP_RESOLVED], of_node[STEP_FAILED] = fate[RESOLVED, node], fate[HAS_FAILED, node]
        return
    of_node[STEP_N] = 0
    of_node[STEP_LEVEL] = 0
    if added_level(run, node) > 0:
        shown_from = started + after_ns(run, node)
        of_node[STEP_LEVEL] = 1 + run.kind if shown_from <= started else (0 if shown_from >= deadline else -1)
        if of_node[STEP_LEVEL] < 0:
            return
    n_windows = (deadline - started) // rule.interval if deadline > started else np.int64(0)
    of_node[STEP_DEADLINE], of_node[STEP_WINDOWS] = deadline, n_windows
    # Rules that are still to come are no stricter.
    least, _ = bounds_at(run, rule, node, of_node[STEP_LEVEL])
    _look_at_windows(run, rule.needed, least, of_node, node, n_windows)
    run.work_looks += 1


@compiled
def _look_at_windows(run, needed, least, of_node, node, n_windows):
    """Find the steps down to a word, or to the last window."""
    word_of, pairs = step_words(run), window_words(run)
    n_looked = min(n_windows, MOST_STEP_WINDOWS)
    window = in_row = n = np.int64(0)
    top = np.int64(ALWAYS)
    is_open = True
    while is_open and window < n_looked:
        draw_windows(run, node, window, 2, pairs)
        for place in range(N_WINDOW_WORDS):
            word_of[window + 2 * place] = pairs[0, place]
            word_of[window + 2 * place + 1] = pairs[1, place]
        until = min(window + 2 * N_WINDOW_WORDS, n_looked)
        while is_open and window < until:
            in_row = in_row + 1 if word_of[window] < top else np.int64(0)
            window += 1
            if in_row == needed:
                top = np.int64(-1)
                for earlier in range(window - needed, window):
                    if word_of[earlier] >= top:
                        top = word_of[earlier]
                        in_row = window - earlier - 1
                of_node[STEP_WORDS + n], of_node[STEP_ENDS + n] = top, window
                n += 1
                is_open = top > least and n < MOST_STEPS
    of_node[STEP_N] = n
    of_node[STEP_IS_WHOLE] = is_open and n_looked == n_windows
