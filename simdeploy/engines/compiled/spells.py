"""Up and down, good and degraded, for compiled code: one process walked from time 0 on (model section 3).

The same processes as in `simdeploy.world.availability`, but only walked forwards: the effects of an update on a process (it may renew
the spell, and multiply the rate at which good spells end until the rollback) are known before the walk begins.
"""

from __future__ import annotations

import math

import numpy as np
from numba import from_dtype, types

from simdeploy.engines.compiled.access import drawn, law_at, process_at
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lasting import inverse_survival, left_at, survival
from simdeploy.engines.compiled.laws import draw_ns, to_ns
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import block, draw, replication_of, to_uniform
from simdeploy.engines.compiled.records import WALK_RECORD
from simdeploy.engines.compiled.tables import CRASH_WORD, FLAP_WORD, NEVER
from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world.streams import Stream

# Three kinds of process, each with its own walk, and their blocks of good and bad spells. Lines are followed in `line`.
CRASH, FLAPPING, ZONE, N_WALKS = range(4)
LINE = N_WALKS
if FLAP_WORD - CRASH_WORD != FLAPPING - CRASH:  # `begin` finds a node's first word by the kind of its process
    raise AssertionError(CRASH_WORD, FLAP_WORD)
_WALK = from_dtype(WALK_RECORD)
_WORDS = 2.0**52
_BLOCKS = np.array([Stream.CRASH_UP.block, Stream.FLAP_GOOD.block, Stream.ZONE_UP.block], dtype=np.int64)


@part("walks", _WALK, types.int64, types.int64, seconds=0.2)
def begin(run, walk, process, subject):
    """Start a walk at time 0, undisturbed unless :func:`disturb` is called. Nodes' first words must be drawn (see `outlook`)."""
    walk.process = process
    walk.subject = subject
    law = process_at(run, process)
    kind = law.kind
    walk.words_of = -1
    if kind == ZONE:
        walk.is_bad = draw(run, Stream.ZONE_STATE.value, subject, 0) < law.p_bad
        walk.uniform = _draw_spell(run, walk, kind, 0, walk.is_bad)
    else:
        word = drawn(run)[CRASH_WORD + kind, subject]
        walk.is_bad = word < 0
        walk.uniform = (max(word, -1 - word) + 0.5) / _WORDS
    walk.start = 0
    walk.bad_index = 0
    walk.good_index = 0
    walk.is_first = True
    walk.rate = 1.0
    walk.renews = False
    walk.starts_at = NEVER
    walk.back_at = NEVER
    walk.hazard = 0.0
    if law.bad < 0:
        walk.end = NEVER
    elif walk.is_bad:
        walk.end = to_ns(left_at(run, law.bad, walk.uniform), 1.0)
    else:
        walk.hazard_left = math.nan
        walk.end = to_ns(left_at(run, law.good, walk.uniform), 1.0)


@compiled
def disturb(walk, starts_at, back_at, rate, renews):
    """Set begin and end of the disturbance of a walk that was just started."""
    walk.starts_at = starts_at
    walk.back_at = back_at
    walk.next_rate = rate
    walk.renews = renews


@compiled
def reach(run, walk, t):
    """Walk on to the spell that contains t, which must not be before the present one."""
    if walk.end <= t or walk.starts_at <= t or walk.back_at <= t:  # seldom
        _walk_on(run, walk, t)


@part("spells", _WALK, types.int64, seconds=0.4)
def _walk_on(run, walk, t):
    while True:
        if walk.starts_at <= t and walk.starts_at < walk.end:
            at = walk.starts_at
            walk.starts_at = NEVER
            if walk.renews and not walk.is_bad:
                walk.good_index += 1
                walk.rate = walk.next_rate
                walk.end = min(at + _good_spell(run, walk, at), NEVER)
            else:
                _set_rate(run, walk, at, walk.next_rate)
        elif walk.starts_at == NEVER and walk.back_at <= t and walk.back_at < walk.end:
            at = walk.back_at
            walk.back_at = NEVER
            _set_rate(run, walk, at, 1.0)
        elif walk.end <= t:
            _next_spell(run, walk)
        else:
            return


@compiled
def _next_spell(run, walk):
    start = walk.end
    walk.is_bad = not walk.is_bad
    if walk.is_bad:
        walk.bad_index += 1
        walk.start = start
        walk.is_first = False
        law = process_at(run, walk.process)
        u = _draw_spell(run, walk, law.kind, walk.bad_index, True)
        walk.end = start + draw_ns(law_at(run, law.bad), u, 1.0)
    else:
        walk.good_index += 1
        walk.end = start + _good_spell(run, walk, start)
    walk.end = min(walk.end, NEVER)


@compiled
def _draw_spell(run, walk, kind, index, is_bad):
    """Return the uniform of a spell; those of a good one and of the bad one of the same number share a block."""
    if walk.words_of != index:
        walk.words_of = index
        stream_block, subject = _BLOCKS[kind], walk.subject
        replication = replication_of(run, stream_block, subject)
        walk.words[0], walk.words[1] = block(
            run.key0, run.key1, replication, np.uint64(stream_block), np.uint64(subject), np.uint64(index)
        )
    return to_uniform(walk.words[1 if is_bad else 0])


@compiled
def _good_spell(run, walk, start):
    """Begin the good spell of the present index at `start`; return its length."""
    law = process_at(run, walk.process)
    walk.uniform = _draw_spell(run, walk, law.kind, walk.good_index, False)
    walk.start = start
    walk.is_first = False
    walk.hazard = 0.0
    walk.hazard_left = math.nan
    if walk.rate == 1.0:
        return draw_ns(law_at(run, law.good), walk.uniform, 1.0)
    walk.hazard_left = -math.log1p(-walk.uniform)
    return _end_age(run, walk)


@compiled
def _set_rate(run, walk, t, rate):
    if not walk.is_bad and rate != walk.rate:
        hazard = _hazard(run, walk, t - walk.start)
        if walk.hazard_left != walk.hazard_left:
            walk.hazard_left = -math.log1p(-walk.uniform)
        if walk.rate > 0:
            walk.hazard_left -= walk.rate * (hazard - walk.hazard)
        walk.hazard = hazard
        walk.rate = rate
        if walk.hazard_left > 0:
            walk.end = min(max(t, walk.start + _end_age(run, walk)), NEVER)
    walk.rate = rate


@compiled
def _hazard(run, walk, age):
    left = survival(run, process_at(run, walk.process).good, age / NS_PER_S, walk.is_first)
    return -math.log(left) if left > 0 else math.inf


@compiled
def _end_age(run, walk):
    if walk.rate == 0:
        return MAX_DURATION_NS
    left = math.exp(-(walk.hazard + walk.hazard_left / walk.rate))
    x = inverse_survival(run, process_at(run, walk.process).good, left, walk.is_first)
    ns = x * NS_PER_S + 0.5
    return np.int64(math.floor(ns)) if ns < MAX_DURATION_NS else MAX_DURATION_NS
