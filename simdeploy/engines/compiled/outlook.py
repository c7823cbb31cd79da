"""Nodes that surely neither crash nor are degraded up to some time, for compiled code: found without computing spells."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    at_once,
    classes,
    counted,
    drawn,
    law_at,
    process_at,
    today,
    walk_at,
    words,
    zone_ends,
)
from simdeploy.engines.compiled.exposure import is_disturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import fill_words
from simdeploy.engines.compiled.lasting import survival
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import block, first_word_not_below, to_uniform
from simdeploy.engines.compiled.special import log
from simdeploy.engines.compiled.spells import CRASH, FLAPPING, ZONE, begin
from simdeploy.engines.compiled.tables import CLASS, CRASH_WORD, DURATION, FLAP_WORD, NEVER, UNDEGRADED
from simdeploy.units import NS_PER_S
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_1 = np.uint64(1)
_FLAP_BLOCK = np.uint64(Stream.FLAP_GOOD.block)
_WORDS = 2.0**52
_MARGIN_NS = 1000.0


@compiled
def begin_spells(run):
    """Compute the words below which nodes begin with a bad spell, and the ends of zones' first good spells."""
    for number in range(run.n_classes):
        node_class, chances = classes(run)[number], today(run)[number]
        chances.begins_bad[CRASH] = (
            first_word_not_below(process_at(run, node_class.crash).p_bad) if node_class.crash >= 0 else 0
        )
        chances.begins_bad[FLAPPING] = (
            first_word_not_below(process_at(run, node_class.flapping).p_bad) if node_class.flapping >= 0 else 0
        )
        if node_class.zone_outage >= 0:
            for zone in range(run.zones):
                walk = walk_at(run, ZONE)
                begin(run, walk, node_class.zone_outage, zone)
                zone_ends(run)[number, zone] = 0 if walk.is_bad else walk.end


@compiled
def set_first_spells(run, first, last):
    """Draw the words of some nodes' spells at time 0; -1 - word for a bad spell."""
    crash_words, flap_words = drawn(run)[CRASH_WORD, first:last], drawn(run)[FLAP_WORD, first:last]
    any_crashes = any_flapping = False
    for number in range(run.n_classes):
        any_crashes |= classes(run)[number].crash >= 0
        any_flapping |= classes(run)[number].flapping >= 0
    if any_crashes or any_flapping:
        fill_words(run, Stream.CRASH_STATE.value, first, last)
        crash_states, flap_states = words(run)[0], words(run)[1]
        for place in range(last - first):
            crash_words[place] = np.int64(crash_states[place] >> _12)
            flap_words[place] = np.int64(flap_states[place] >> _12)
    if any_crashes:
        fill_words(run, Stream.CRASH_UP.value, first, last)
        set_spells(run, CRASH, crash_words, drawn(run)[CLASS, first:last])
    if any_flapping:
        fill_words(run, Stream.FLAP_GOOD.value, first, last)
        set_spells(run, FLAPPING, flap_words, drawn(run)[CLASS, first:last])


@compiled
def set_spells(run, kind, states, class_of):
    """Replace words that decide the nodes' states at first by the words of their first spells, which were drawn last."""
    good, bad = words(run)[0], words(run)[1]
    if run.n_classes == 1:
        begins_bad = today(run)[0].begins_bad[kind]
        for place in range(len(states)):
            up, down = np.int64(good[place] >> _12), -1 - np.int64(bad[place] >> _12)
            states[place] = down if states[place] < begins_bad else up
        return
    for place in range(len(states)):
        is_bad = states[place] < today(run)[class_of[place]].begins_bad[kind]
        states[place] = -1 - np.int64(bad[place] >> _12) if is_bad else np.int64(good[place] >> _12)


@compiled
def look_ahead(run, t):
    """Update the words beyond which a first spell lasts until t, with some reserve."""
    if t > run.quiet_until:
        run.quiet_until = t + (t >> 5)
        if run.goes_down or run.degrades:  # otherwise they remain -NEVER, as set by :mod:`.memory`
            _find_words_that_last(run)


@part("outlook", seconds=0.1)
def _find_words_that_last(run):
    x = run.quiet_until / NS_PER_S
    for number in range(run.n_classes):
        node_class, chances = classes(run)[number], today(run)[number]
        chances.quiet_beyond[CRASH] = (
            _word_that_lasts(run, node_class.crash, x) if node_class.crash >= 0 else np.int64(-NEVER)
        )
        chances.quiet_beyond[FLAPPING] = (
            _word_that_lasts(run, node_class.flapping, x) if node_class.flapping >= 0 else np.int64(-NEVER)
        )


@compiled
def _word_that_lasts(run, process, x):
    """Return a word beyond which a spell in progress at time 0 surely lasts x seconds, except for rounding."""
    left = survival(run, process_at(run, process).good, x, True)
    return np.int64(min((1.0 - left) + 1e-9, 1.0) * _WORDS)


@compiled
def stays_up(run, node, t):
    """Tell quickly whether an undisturbed node is up until t; call `look_ahead` for t first."""
    number = drawn(run)[CLASS, node]
    return drawn(run)[CRASH_WORD, node] > today(run)[number].quiet_beyond[CRASH] and (
        classes(run)[number].zone_outage < 0 or zone_ends(run)[number, node % run.zones] >= t
    )


@compiled
def stays_undegraded(run, node):
    """Tell quickly whether a node is never degraded before the time of `look_ahead`."""
    return drawn(run)[FLAP_WORD, node] > today(run)[drawn(run)[CLASS, node]].quiet_beyond[FLAPPING]


@compiled
def list_going_down(run, t, nodes):
    """List the nodes that may be down before t, or crash at other times because of their update; return their number."""
    node_class, n = classes(run)[0], 0
    if not run.goes_down:
        return n
    look_ahead(run, t)
    if (
        run.n_classes == 1
        and node_class.zone_outage < 0
        and not node_class.renewed
        and (run.kind < 0 or run.crash_rate == 1.0)
    ):
        crash_words, beyond = drawn(run)[CRASH_WORD], today(run)[0].quiet_beyond[CRASH]
        for node in range(run.nodes):
            nodes[n] = node
            n += crash_words[node] <= beyond
        return n
    for node in range(run.nodes):
        nodes[n] = node
        n += not stays_up(run, node, t) or is_disturbed(run, node)
    return n


@compiled
def find_undegraded(run, nodes, span):
    """Note in the row UNDEGRADED which of some nodes, dispatched now and starting at once, are surely not degraded for a span.

    For a single class: nodes whose first good spell lasts, or ends early enough and the second one lasts. Times are accurate to far less
    than a microsecond; nodes for which the error might matter aren't noted.
    """
    law, n = process_at(run, classes(run)[0].flapping), len(nodes)
    good_ns, bad_ns = law_at(run, law.good).a * NS_PER_S, law_at(run, law.bad).a * NS_PER_S
    firsts, bads, goods, starts = at_once(run)[0], at_once(run)[1], at_once(run)[2], at_once(run)[3]
    is_noted = counted(run)[UNDEGRADED]
    key0, key1, replication = run.key0, run.key1, run.replication
    for place in range(n):
        firsts[place] = (drawn(run)[FLAP_WORD, nodes[place]] + 0.5) / _WORDS
        starts[place] = run.now + drawn(run)[DURATION, nodes[place]]
    for place in range(n):
        good, bad = block(key0, key1, replication, _FLAP_BLOCK, np.uint64(nodes[place]), _1)
        goods[place], bads[place] = to_uniform(good), to_uniform(bad)
    for place in range(n):
        begins_good = firsts[place] > 0
        end = -good_ns * log(1.0 - max(firsts[place], 0.0))
        again = end - bad_ns * log(1.0 - bads[place])
        until = again - good_ns * log(1.0 - goods[place])
        start = starts[place]
        is_between = (again < start - _MARGIN_NS) & (until > start + span + _MARGIN_NS)
        is_noted[place] = begins_good & (is_between | (end > start + span + _MARGIN_NS))
