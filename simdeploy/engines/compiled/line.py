"""The line between a node and the control plane (model section 4), for compiled code: who is online, and what is heard when."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import residual_survival
from simdeploy.engines.compiled.philox import block, first_word_not_below
from simdeploy.engines.compiled.tables import (
    CLASS,
    COUNTS_FAILED,
    DEADLINE,
    DISPATCHED,
    HAS_FAILED,
    HEARD,
    LINE_WORD,
    NEVER,
    RESOLVED,
    UNHEARD,
    classes,
    drawn,
    fates,
    law_at,
    process_at,
    today,
    walk_at,
)
from simdeploy.units import NS_PER_S
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_0 = np.uint64(0)
_STATE_BLOCK = np.uint64(Stream.CONNECTION_STATE.block)
_SPELL_BLOCK = np.uint64(Stream.CONNECTION_ONLINE.block)
_NOBODY = -1
_WORDS = 2.0**52


@compiled
def set_first_lines(run):
    """Draw the words of every node's spell at time 0; -1 where that is an offline one."""
    line_words, class_of = drawn(run)[LINE_WORD], drawn(run)[CLASS]
    for number in range(run.n_classes):
        line = classes(run)[number].connection
        today(run)[number].begins_offline = first_word_not_below(process_at(run, line).p_bad) if line >= 0 else 0
    key0, key1, replication = run.key0, run.key1, run.replication
    for node in range(run.nodes):
        state, _ = block(key0, key1, replication, _STATE_BLOCK, np.uint64(node), _0)
        online, _ = block(key0, key1, replication, _SPELL_BLOCK, np.uint64(node), _0)
        is_offline = np.int64(state >> _12) < today(run)[class_of[node]].begins_offline
        line_words[node] = -1 if is_offline else np.int64(online >> _12)
    walk_at(run, spells.LINE).subject = _NOBODY


@compiled
def reset_lines(run):
    """Put what is heard of nodes at the start of a rollout."""
    fate = fates(run)
    run.lines_hold_until = -1
    for node in range(run.nodes):
        fate[HEARD, node] = NEVER
        fate[COUNTS_FAILED, node] = 0
        fate[UNHEARD, node] = 0


@compiled
def look_at_lines(run, t):
    """See to it that the words beyond which a first online spell lasts are right for times up to t, and a little further."""
    if t <= run.lines_hold_until:
        return
    run.lines_hold_until = t + (t >> 5)
    x = run.lines_hold_until / NS_PER_S
    for number in range(run.n_classes):
        line = classes(run)[number].connection
        beyond = np.int64(-2)
        if line >= 0:
            left = residual_survival(law_at(run, process_at(run, line).good), x)
            beyond = np.int64(min((1.0 - left) + 1e-9, 1.0) * _WORDS)
        today(run)[number].holds_beyond = beyond


@compiled
def line_holds(run, node):
    """Tell at a glance whether a node is online up to the time that `look_at_lines` was asked for."""
    return drawn(run)[LINE_WORD, node] > today(run)[drawn(run)[CLASS, node]].holds_beyond


@compiled
def is_online(run, node, t):
    """Tell whether anything passes between a node and the control plane at t."""
    return online_again(run, node, t) == t


@compiled
def online_again(run, node, t):
    """Return the first instant from t on at which a node is online."""
    look_at_lines(run, t + 1)
    if line_holds(run, node):
        return t
    line = classes(run)[drawn(run)[CLASS, node]].connection
    walk = walk_at(run, spells.LINE)
    if walk.subject != node or walk.start > t:
        spells.begin(walk, run, line, node)
    spells.reach(walk, run, t)
    while walk.is_bad:
        t = walk.end
        if t >= NEVER:
            return t
        spells.reach(walk, run, t)
    return t


@compiled
def set_heard(run, node):
    """Work out when a node's verdict counts: once it is heard of, or at the deadline; see `fates.meet_fate`."""
    fate = fates(run)
    heard = online_again(run, node, fate[RESOLVED, node])
    is_late = heard > fate[DEADLINE, node]
    fate[HEARD, node] = fate[DEADLINE, node] if is_late else heard
    fate[UNHEARD, node] = is_late
    fate[COUNTS_FAILED, node] = is_late or fate[HAS_FAILED, node] != 0


@compiled
def fails_unheard(run, node):
    """Tell whether a node counts as failed only because nothing was heard of it."""
    return run.goes_offline and fates(run)[COUNTS_FAILED, node] != 0 and fates(run)[HAS_FAILED, node] == 0


@compiled
def counted_at(run, node):
    """Return when a node's verdict counts, unless the rollout is over by then."""
    heard = fates(run)[HEARD, node] if run.goes_offline else fates(run)[RESOLVED, node]
    # Nobody has to report that a node could not be dispatched.
    return min(heard + run.reporting_delay, NEVER) if fates(run)[DISPATCHED, node] < NEVER else heard


@compiled
def counts_as_failed(run, node):
    """Tell whether a node counts as failed once its verdict counts."""
    return fates(run)[COUNTS_FAILED if run.goes_offline else HAS_FAILED, node] != 0
