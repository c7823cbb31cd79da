"""Who surely neither crashes nor is degraded up to some time, for compiled code: told without working out when others do."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import classes, drawn, law_at, lineages, process_at, today, walk_at, zone_ends
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.laws import residual_survival
from simdeploy.engines.compiled.philox import block, first_word_not_below, is_of_nodes
from simdeploy.engines.compiled.tables import CLASS, CRASH_WORD, FLAP_WORD
from simdeploy.units import NS_PER_S
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_0 = np.uint64(0)
_STATE_BLOCK = np.uint64(Stream.CRASH_STATE.block)
_CRASH_BLOCK = np.uint64(Stream.CRASH_UP.block)
_FLAP_BLOCK = np.uint64(Stream.FLAP_GOOD.block)
_WORDS = 2.0**52


@compiled
def set_first_spells(run):
    """Draw the words of every node's spells at time 0; -1 where that spell is a bad one."""
    key0, key1, replication = run.key0, run.key1, run.replication
    crash_words, flap_words, class_of = drawn(run)[CRASH_WORD], drawn(run)[FLAP_WORD], drawn(run)[CLASS]
    for number in range(run.n_classes):
        one, chances = classes(run)[number], today(run)[number]
        chances.crash_begins_bad = first_word_not_below(process_at(run, one.crash).p_bad) if one.crash >= 0 else 0
        chances.flap_begins_bad = first_word_not_below(process_at(run, one.flapping).p_bad) if one.flapping >= 0 else 0
        if one.zone_outage >= 0:
            for zone in range(run.zones):
                walk = walk_at(run, spells.ZONE)
                spells.begin(walk, run, one.zone_outage, zone)
                zone_ends(run)[number, zone] = 0 if walk.is_bad else walk.end
    if is_of_nodes(run, _STATE_BLOCK):
        own = lineages(run)[run.row]
        for node in range(run.nodes):
            crash_words[node], flap_words[node] = _draw_states(key0, key1, own[node], node)
        for node in range(run.nodes):
            chances = today(run)[class_of[node]]
            crash_word, flap_word = _draw_spells(key0, key1, own[node], node)
            crash_words[node] = -1 if crash_words[node] < chances.crash_begins_bad else crash_word
            flap_words[node] = -1 if flap_words[node] < chances.flap_begins_bad else flap_word
        return
    crash_bad, flap_bad = today(run)[0].crash_begins_bad, today(run)[0].flap_begins_bad
    is_one = run.n_classes == 1
    for node in range(run.nodes):
        crash_words[node], flap_words[node] = _draw_states(key0, key1, replication, node)
    for node in range(run.nodes):
        if not is_one:
            crash_bad = today(run)[class_of[node]].crash_begins_bad
            flap_bad = today(run)[class_of[node]].flap_begins_bad
        crash_word, flap_word = _draw_spells(key0, key1, replication, node)
        crash_words[node] = -1 if crash_words[node] < crash_bad else crash_word
        flap_words[node] = -1 if flap_words[node] < flap_bad else flap_word


@inlined
def _draw_states(key0, key1, replication, node):
    """Draw the words that decide whether a node is down and whether it is degraded at time 0."""
    crash, flap = block(key0, key1, replication, _STATE_BLOCK, np.uint64(node), _0)
    return np.int64(crash >> _12), np.int64(flap >> _12)


@inlined
def _draw_spells(key0, key1, replication, node):
    """Draw the words of a node's first good spells."""
    crash, _ = block(key0, key1, replication, _CRASH_BLOCK, np.uint64(node), _0)
    flap, _ = block(key0, key1, replication, _FLAP_BLOCK, np.uint64(node), _0)
    return np.int64(crash >> _12), np.int64(flap >> _12)


@compiled
def look_ahead(run, t):
    """See to it that the words beyond which a first spell lasts are right for times up to t, and a little further."""
    if t <= run.quiet_until:
        return
    run.quiet_until = t + (t >> 5)
    x = run.quiet_until / NS_PER_S
    for number in range(run.n_classes):
        one, chances = classes(run)[number], today(run)[number]
        chances.crash_quiet_beyond = _word_that_lasts(run, one.crash, x) if one.crash >= 0 else np.int64(-2)
        chances.flap_quiet_beyond = _word_that_lasts(run, one.flapping, x) if one.flapping >= 0 else np.int64(-2)


@compiled
def _word_that_lasts(run, process, x):
    """Return a word beyond which a spell that runs at time 0 surely lasts x seconds; a last digit doesn't matter."""
    left = residual_survival(law_at(run, process_at(run, process).good), x)
    return np.int64(min((1.0 - left) + 1e-9, 1.0) * _WORDS)


@compiled
def stays_up(run, node, t):
    """Tell at a glance whether an undisturbed node is up until t; `look_ahead` has been asked for t."""
    number = drawn(run)[CLASS, node]
    one = classes(run)[number]
    return (one.crash < 0 or drawn(run)[CRASH_WORD, node] > today(run)[number].crash_quiet_beyond) and (
        one.zone_outage < 0 or zone_ends(run)[number, node % run.zones] >= t
    )


@compiled
def stays_undegraded(run, node):
    """Tell at a glance whether a node is never degraded before the time that `look_ahead` was asked for."""
    number = drawn(run)[CLASS, node]
    return classes(run)[number].flapping < 0 or drawn(run)[FLAP_WORD, node] > today(run)[number].flap_quiet_beyond
