"""The line between a node and the control plane (model section 4), for compiled code: online spells, and when verdicts are heard."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import classes, drawn, fates, law_at, lines, process_at, today, words
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import fill_words
from simdeploy.engines.compiled.lasting import left_at, survival
from simdeploy.engines.compiled.laws import draw_ns, to_ns
from simdeploy.engines.compiled.outlook import set_spells
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import block, first_word_not_below, replication_of, to_uniform
from simdeploy.engines.compiled.spells import LINE
from simdeploy.engines.compiled.tables import (
    CLASS,
    COUNTS_FAILED,
    CYCLE,
    DEADLINE,
    DISPATCHED,
    FIRST_WORD,
    HAS_FAILED,
    HEARD,
    NEVER,
    OFFLINE_FROM,
    ONLINE_FROM,
    ONLINE_UNTIL,
    RESOLVED,
    TURN,
    UNHEARD,
)
from simdeploy.units import NS_PER_S
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_0 = np.uint64(0)
_SPELL_BLOCK = np.uint64(Stream.CONNECTION_ONLINE.block)
_WORDS = 2.0**52
_ENDLESS = np.iinfo(np.int64).max


@part("first_lines", types.int64, types.int64, seconds=0.2)
def set_first_lines(run, first, last):
    """Draw the words of the spells in progress at some nodes' turns; -1 - word for an offline one."""
    for number in range(run.n_classes):
        line = classes(run)[number].connection
        today(run)[number].begins_bad[LINE] = first_word_not_below(process_at(run, line).p_bad) if line >= 0 else 0
    first_words, states = lines(run)[FIRST_WORD, first:last], words(run)[0]
    fill_words(run, Stream.CONNECTION_STATE.value, first, last)
    for place in range(last - first):
        first_words[place] = np.int64(states[place] >> _12)
    fill_words(run, Stream.CONNECTION_ONLINE.value, first, last)
    set_spells(run, LINE, first_words, drawn(run)[CLASS, first:last])


@compiled
def reset_lines(run):
    """Reset what was heard of nodes to the start of a rollout."""
    fate = fates(run)
    run.lines_hold_for = 0
    for node in range(run.nodes):
        fate[HEARD, node] = NEVER
        fate[COUNTS_FAILED, node] = 0
        fate[UNHEARD, node] = 0


@compiled
def begin_line(run, node):
    """Record that a node has its turn; its spells begin now."""
    table = lines(run)
    table[TURN, node] = run.now
    table[OFFLINE_FROM, node] = NEVER
    if classes(run)[drawn(run)[CLASS, node]].connection < 0:
        # It is always online.
        table[OFFLINE_FROM, node] = table[ONLINE_FROM, node] = run.now
        table[ONLINE_UNTIL, node] = _ENDLESS


@compiled
def look_at_lines(run, span):
    """Update the words beyond which a first online spell lasts for `span`, with some reserve."""
    if span <= run.lines_hold_for:
        return
    run.lines_hold_for = span + (span >> 5)
    x = run.lines_hold_for / NS_PER_S
    for number in range(run.n_classes):
        line = classes(run)[number].connection
        beyond = np.int64(-2)
        if line >= 0:
            left = survival(run, process_at(run, line).good, x, True)
            beyond = np.int64(min((1.0 - left) + 1e-9, 1.0) * _WORDS)
        today(run)[number].quiet_beyond[LINE] = beyond


@compiled
def line_holds(run, node):
    """Tell quickly whether a node is online from its turn on for the span of `look_at_lines`."""
    return lines(run)[FIRST_WORD, node] > today(run)[drawn(run)[CLASS, node]].quiet_beyond[LINE]


@compiled
def is_online(run, node, t):
    """Tell whether a node and the control plane can reach each other at t."""
    return online_again(run, node, t) == t


@compiled
def online_again(run, node, t):
    """Return the first instant from t on at which a node is online."""
    table = lines(run)
    if t - table[TURN, node] < run.lines_hold_for and line_holds(run, node):
        return t
    if not table[OFFLINE_FROM, node] <= t < table[ONLINE_UNTIL, node]:
        _follow_line(run, node, t)
    return max(t, table[ONLINE_FROM, node])


@part("lines", types.int64, types.int64, seconds=0.3)
def _follow_line(run, node, t):
    """Follow a node's line to the offline spell and the online spell after it, one of which contains t.

    Lines are never disturbed, and both spells of a cycle share a block, so this is faster than a walk of `spells`.
    """
    table, law = lines(run), process_at(run, classes(run)[drawn(run)[CLASS, node]].connection)
    online_law, offline_law = law_at(run, law.good), law_at(run, law.bad)
    key0, key1, subject = run.key0, run.key1, np.uint64(node)
    replication = replication_of(run, _SPELL_BLOCK, node)
    word = table[FIRST_WORD, node]
    begins_offline = word < 0
    offline = _0
    if t < table[OFFLINE_FROM, node]:
        gone = back = table[TURN, node]
        if begins_offline:
            back += to_ns(left_at(run, law.bad, (-1 - word + 0.5) / _WORDS), 1.0)
            cycle = 1
            online, offline = block(key0, key1, replication, _SPELL_BLOCK, subject, np.uint64(cycle))
            until = back + draw_ns(online_law, to_uniform(online), 1.0)
        else:
            cycle = 0
            until = back + to_ns(left_at(run, law.good, (word + 0.5) / _WORDS), 1.0)
    else:
        gone, back, until = table[OFFLINE_FROM, node], table[ONLINE_FROM, node], table[ONLINE_UNTIL, node]
        cycle = table[CYCLE, node]
        if begins_offline:
            _, offline = block(key0, key1, replication, _SPELL_BLOCK, subject, np.uint64(cycle))
    # An online spell may have length 0.
    while until <= max(t, back) and back < NEVER:
        if until > back:
            gone = until
        cycle += 1
        online, other = block(key0, key1, replication, _SPELL_BLOCK, subject, np.uint64(cycle))
        # Spells are numbered by kind: a node that begins offline has had one more offline spell.
        length = draw_ns(offline_law, to_uniform(offline if begins_offline else other), 1.0)
        offline = other
        back = min(until + length, NEVER)
        until = min(back + draw_ns(online_law, to_uniform(online), 1.0), NEVER)
    table[OFFLINE_FROM, node], table[ONLINE_FROM, node], table[ONLINE_UNTIL, node] = gone, back, until
    table[CYCLE, node] = cycle


@compiled
def set_heard(run, node):
    """Compute when a node's verdict counts: once it is heard, or at the deadline; see `fates.meet_fate`."""
    fate = fates(run)
    heard = online_again(run, node, fate[RESOLVED, node])
    is_late = heard > fate[DEADLINE, node]
    fate[HEARD, node] = fate[DEADLINE, node] if is_late else heard
    fate[UNHEARD, node] = is_late
    fate[COUNTS_FAILED, node] = is_late or fate[HAS_FAILED, node] != 0


@compiled
def fails_unheard(run, node):
    """Tell whether a node counts as failed only because its verdict was not heard in time."""
    return run.goes_offline and fates(run)[COUNTS_FAILED, node] != 0 and fates(run)[HAS_FAILED, node] == 0


@compiled
def counted_at(run, node):
    """Return when a node's verdict counts, unless the rollout is over by then."""
    heard = fates(run)[HEARD, node] if run.goes_offline else fates(run)[RESOLVED, node]
    # The control plane knows without a report that a node could not be dispatched.
    return min(heard + run.reporting_delay, NEVER) if fates(run)[DISPATCHED, node] < NEVER else heard


@compiled
def counts_as_failed(run, node):
    """Tell whether a node counts as failed once its verdict counts."""
    return fates(run)[COUNTS_FAILED if run.goes_offline else HAS_FAILED, node] != 0
