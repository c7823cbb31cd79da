"""Windows with the same requests and level, drawn and counted together for gates in advance (see `ahead`), for compiled code."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    ahead,
    ahead_sums,
    at_once,
    class_rule_of,
    counted,
    drawn,
    fates,
    lists,
    noted,
    policy_of,
)
from simdeploy.engines.compiled.at_once import count_failed
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.lanes import times_in
from simdeploy.engines.compiled.philox import OLD_WINDOW, WINDOW, draw_intervals_by, draw_pairs_by, replication_of
from simdeploy.engines.compiled.tables import (
    AHEAD_FROM,
    AHEAD_UNTIL,
    CLASS,
    COUNT,
    DRAWN_AHEAD,
    END_AHEAD,
    FIRST_AHEAD,
    LEVEL,
    MOST_NOTED,
    N_AHEAD,
    NODE_AHEAD,
    OLD_LEVEL,
    PARTNER,
    REQUESTS,
    STARTED,
    SUM_FAILED,
    SUM_OLD_FAILED,
    TO_AHEAD,
    WINDOW_WORD,
)


@inlined
def note(run, wave, node, begin, end, to, level, old_level):
    """Note the windows of an undisturbed node, to be added later; they have one level, and those of its partner have one."""
    nodes, place = noted(run), run.n_noted
    nodes[NODE_AHEAD, place], nodes[TO_AHEAD, place] = node, to
    nodes[FIRST_AHEAD, place], nodes[END_AHEAD, place] = begin, end
    counted(run)[REQUESTS, place] = class_rule_of(run, policy_of(run), drawn(run)[CLASS, node]).requests
    at_once(run)[LEVEL, place], at_once(run)[OLD_LEVEL, place] = level, old_level
    run.n_noted = place + 1
    if place + 1 == MOST_NOTED:
        add_together(run, wave)


@compiled
def add_together(run, wave):
    """Add the windows of noted nodes to the failed requests of the looks that take them."""
    sums, state, place = ahead_sums(run)[wave % N_AHEAD], ahead(run)[wave % N_AHEAD], np.int64(0)
    columns = 1 + state[AHEAD_UNTIL] - state[AHEAD_FROM]
    while place < run.n_noted:
        place = _add_alike(run, False, place, sums[SUM_FAILED], columns)
    place = np.int64(0)
    while policy_of(run).gate_compares and place < run.n_noted:
        place = _add_alike(run, True, place, sums[SUM_OLD_FAILED], columns)
    run.n_noted = 0


@compiled
def _add_alike(run, is_old, first, sums, columns):
    """Add windows of noted nodes, or of their partners, from a place on while requests and level are equal; return the next place."""
    nodes, words, place = noted(run), counted(run)[WINDOW_WORD], first + 1
    requests, levels = counted(run)[REQUESTS], at_once(run)[OLD_LEVEL if is_old else LEVEL]
    while place < run.n_noted and requests[place] == requests[first] and levels[place] == levels[first]:
        place += 1
    key0, key1, interval, n = run.key0, run.key1, policy_of(run).interval, np.int64(0)
    for earlier in range(first, place):
        node, begin, end = nodes[NODE_AHEAD, earlier], nodes[FIRST_AHEAD, earlier], nodes[END_AHEAD, earlier]
        if is_old:
            partner = lists(run)[PARTNER, node]
            replication = replication_of(run, OLD_WINDOW, partner)
            since = times_in(fates(run)[STARTED, node], interval, 1.0 / interval) + 1
            more = draw_intervals_by(key0, key1, replication, partner, since + begin, end - begin, words[n:])
        else:
            even = begin & ~1
            more = draw_pairs_by(key0, key1, replication_of(run, WINDOW, node), node, even, end - even, words[n:])
        nodes[DRAWN_AHEAD, earlier] = more
        n += more
    count_failed(run, n, requests[first], levels[first], 0.0)
    n = np.int64(0)
    for earlier in range(first, place):
        begin, end, to = nodes[FIRST_AHEAD, earlier], nodes[END_AHEAD, earlier], nodes[TO_AHEAD, earlier]
        even = begin if is_old else begin & ~1
        # Columns beyond the last one are not needed.
        is_cut = to + end < columns
        add_counts(run, n, begin - even, end - even, is_cut, nodes[DRAWN_AHEAD, earlier], sums, to + even)
        n += nodes[DRAWN_AHEAD, earlier]
    return place


@inlined
def add_counts(run, first, begin, end, is_cut, n, sums, to):
    """Add n counts, from the first one on: those before `begin`, which is 0 or 1, are 0, and where it is cut those from `end` on."""
    counts, some = counted(run)[COUNT, first : first + n], sums[to : to + n]
    if begin:
        counts[0] = 0
    if is_cut:
        for i in range(end, n):
            counts[i] = 0
    for i in range(n):
        some[i] += counts[i]
