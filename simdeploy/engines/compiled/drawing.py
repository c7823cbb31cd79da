"""Random numbers of each node, drawn on demand, for compiled code.

Loops over nodes have no branches if a number is needed for every node, so that they become vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    baselines,
    classes,
    drawn,
    law_at,
    lineages,
    peak_words,
    peaks,
    today,
    words,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import NODES_AT_ONCE, fill, fill_words, spread
from simdeploy.engines.compiled.laws import draw_ns, quantile
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import block, draw, first_word_not_below, is_of_nodes, to_uniform
from simdeploy.engines.compiled.tables import AFFECTED, CLASS, DURATION, FAILS, HANGS, LEVEL_WORD, ROLLBACK
from simdeploy.engines.compiled.tilting import bend
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_WINDOW_BLOCK = np.uint64(Stream.WINDOW.block)


@compiled
def sample_nodes(run, last):
    """Draw the numbers of all nodes up to a number, whether they have their turn or not."""
    if run.n_sampled < last:
        _draw(run, run.n_sampled, last, False)
        run.n_sampled = last


@compiled
def set_rollbacks(run):
    """Draw the rollback time of every node; -1 - duration if the rollback fails."""
    if not run.has_rollbacks:
        run.has_rollbacks = True
        draw_rollbacks(run, 0, run.nodes)


@compiled
def draw_rollbacks(run, first, last):
    """Draw the rollback times of some nodes."""
    _draw(run, first, last, True)


@part("draws", types.int64, types.int64, types.boolean, seconds=1.5)
def _draw(run, first, last, back):
    """Draw the numbers of nodes for rollbacks, or for everything else: in blocks that fit into the processor's cache."""
    if back:
        _set_rollbacks(run, first, last)
        return
    while first < last:
        until = min(first + NODES_AT_ONCE, last)
        _set_starts(run, first, until)
        _set_hangs(run, first, until)
        _set_peaks(run, first, until)
        _forget_levels(run, first, until)
        if run.n_brackets:
            _set_level_words(run, first, until)
        run.work_sampled += until - first
        first = until


@compiled
def _set_starts(run, first, last):
    """Draw the duration of each node's first attempt to start, and whether it fails."""
    fill_words(run, Stream.UPDATE_DURATION.value, first, last)
    durations, fails = drawn(run)[DURATION, first:last], drawn(run)[FAILS, first:last]
    affected, lane = drawn(run)[AFFECTED, first:last], words(run)[1]
    if run.n_classes == 1:
        chances = today(run)[0]
        law = law_at(run, classes(run)[0].update)
        spread(run, law, words(run)[0, : last - first], chances.slowdown, run.tilt_update, durations)
        # Below the first words that do not fail: u = (word + 1/2) / 2**52 < p.
        plain, hurt = (
            first_word_not_below(chances.start_failure),
            first_word_not_below(chances.start_failure_affected),
        )
        for place in range(last - first):
            fails[place] = np.int64(lane[place] >> _12) < (hurt if affected[place] else plain)
        return
    for place in range(last - first):
        number = drawn(run)[CLASS, first + place]
        chances = today(run)[number]
        law = law_at(run, classes(run)[number].update)
        durations[place] = draw_ns(law, bend(to_uniform(words(run)[0, place]), run.tilt_update), chances.slowdown)
        p = chances.start_failure_affected if affected[place] else chances.start_failure
        fails[place] = to_uniform(lane[place]) < p


@compiled
def _set_hangs(run, first, last):
    """Draw whether each node's first attempt to start leaves it silent."""
    hangs, affected = drawn(run)[HANGS, first:last], drawn(run)[AFFECTED, first:last]
    class_of = drawn(run)[CLASS, first:last]
    any_hangs = False
    for number in range(run.n_classes):
        any_hangs |= today(run)[number].start_hang_affected > 0 or today(run)[number].start_hang > 0
    if not any_hangs:
        if run.any_hangs:
            fill(drawn(run)[HANGS], 0)
        run.any_hangs = False
        return
    run.any_hangs = True
    fill_words(run, Stream.START_HANG.value, first, last)
    lane = words(run)[Stream.START_HANG.value & 1]
    for place in range(last - first):
        chances = today(run)[class_of[place]]
        p = chances.start_hang_affected if affected[place] else chances.start_hang
        hangs[place] = to_uniform(lane[place]) < p


@compiled
def _set_peaks(run, first, last):
    """Find the highest word of each node's first windows."""
    if is_of_nodes(run, _WINDOW_BLOCK):
        _set_peaks_of_nodes(run, first, last)
        return
    key0, key1, replication = run.key0, run.key1, run.replication
    done = 0
    for number in range(run.n_peaks):
        row = peak_words(run)[number, first:last]
        if number:
            before = peak_words(run)[number - 1, first:last]
            for place in range(last - first):
                row[place] = before[place]
        else:
            fill(row, 0)
        windows = peaks(run)[number]
        if done % 2 and done < windows:
            for place in range(last - first):
                node = np.uint64(first + place)
                _, odd = block(key0, key1, replication, _WINDOW_BLOCK, node, np.uint64(done >> 1))
                row[place] = max(row[place], np.int64(odd >> _12))
            done += 1
        while done + 2 <= windows:
            for place in range(last - first):
                node = np.uint64(first + place)
                even, odd = block(key0, key1, replication, _WINDOW_BLOCK, node, np.uint64(done >> 1))
                row[place] = max(row[place], np.int64(max(even, odd) >> _12))
            done += 2
        if done < windows:
            for place in range(last - first):
                node = np.uint64(first + place)
                even, _ = block(key0, key1, replication, _WINDOW_BLOCK, node, np.uint64(done >> 1))
                row[place] = max(row[place], np.int64(even >> _12))
            done += 1


@part("peaks_of_nodes", types.int64, types.int64, seconds=0.3)
def _set_peaks_of_nodes(run, first, last):
    key0, key1, of_nodes = run.key0, run.key1, lineages(run)[run.row]
    done = 0
    for number in range(run.n_peaks):
        row, windows = peak_words(run)[number], peaks(run)[number]
        for node in range(first, last):
            row[node] = peak_words(run)[number - 1, node] if number else 0
        # A block that was only partly examined is examined again.
        for pair in range(done >> 1, windows >> 1):
            for node in range(first, last):
                even, odd = block(key0, key1, of_nodes[node], _WINDOW_BLOCK, np.uint64(node), np.uint64(pair))
                row[node] = max(row[node], np.int64(max(even, odd) >> _12))
        if windows & 1:
            for node in range(first, last):
                even, _ = block(key0, key1, of_nodes[node], _WINDOW_BLOCK, np.uint64(node), np.uint64(windows >> 1))
                row[node] = max(row[node], np.int64(even >> _12))
        done = windows


@compiled
def _forget_levels(run, first, last):
    """Mark levels that are drawn per node as not drawn yet."""
    any_drawn = False
    for number in range(run.n_classes):
        any_drawn |= classes(run)[number].baseline != classes(run)[number].baseline
    if any_drawn:
        fill(baselines(run)[first:last], np.nan)


@compiled
def _set_level_words(run, first, last):
    fill_words(run, Stream.ERROR_RATE.value, first, last)
    lane, level_words = words(run)[Stream.ERROR_RATE.value & 1], drawn(run)[LEVEL_WORD, first:last]
    for place in range(last - first):
        level_words[place] = np.int64(lane[place] >> _12)


@compiled
def _set_rollbacks(run, first, last):
    fill_words(run, Stream.ROLLBACK_DURATION.value, first, last)
    durations, lane = drawn(run)[ROLLBACK, first:last], words(run)[1]
    if run.n_classes == 1:
        node_class = classes(run)[0]
        spread(run, law_at(run, node_class.rollback), words(run)[0, : last - first], 1.0, run.tilt_rollback, durations)
        if node_class.rollback_failure > 0:
            for place in range(last - first):
                if to_uniform(lane[place]) < node_class.rollback_failure:
                    durations[place] = -1 - durations[place]
        return
    for place in range(last - first):
        node_class = classes(run)[drawn(run)[CLASS, first + place]]
        u = bend(to_uniform(words(run)[0, place]), run.tilt_rollback)
        duration = draw_ns(law_at(run, node_class.rollback), u, 1.0)
        durations[place] = -1 - duration if to_uniform(lane[place]) < node_class.rollback_failure else duration


@compiled
def known_level(run, node):
    """Return a node's own level of failed requests; NaN if it is not drawn yet."""
    node_class = classes(run)[drawn(run)[CLASS, node]]
    return node_class.baseline if node_class.baseline == node_class.baseline else baselines(run)[node]


@compiled
def own_level(run, node):
    """Return a node's own level of failed requests, drawn on first use."""
    level = known_level(run, node)
    return level if level == level else _draw_level(run, node)


@part("own_levels", types.int64, returns=types.float64, seconds=0.2)
def _draw_level(run, node):
    law = law_at(run, classes(run)[drawn(run)[CLASS, node]].error_rate)
    baselines(run)[node] = quantile(law, draw(run, Stream.ERROR_RATE.value, node, 0))
    return baselines(run)[node]
