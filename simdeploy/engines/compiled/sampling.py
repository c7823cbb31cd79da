"""Numbers of one replication that all policies share, except those of single nodes, which are drawn on demand (:mod:`.drawing`)."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    affects_class,
    affects_nodes,
    affects_zone,
    class_nodes,
    classes,
    drawn,
    kinds,
    law_at,
    ordered,
    scratch,
    today,
    words,
)
from simdeploy.engines.compiled.codes import (
    AFFECTS_ALL,
    AFFECTS_CLASSES,
    AFFECTS_COUNT,
    AFFECTS_NODES,
    AFFECTS_SHARE,
    ORDER_INDEX,
    ORDER_NODES,
    ORDER_RANDOM,
    ORDER_ZONE,
)
from simdeploy.engines.compiled.drawing import sample_nodes
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import NODES_AT_ONCE, fill, fill_coupled_words, fill_words
from simdeploy.engines.compiled.laws import draw_ns, quantile
from simdeploy.engines.compiled.line import set_first_lines
from simdeploy.engines.compiled.outlook import begin_spells, set_first_spells
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw, to_uniform
from simdeploy.engines.compiled.sorting import find_order
from simdeploy.engines.compiled.tables import AFFECTED, CLASS, ORDER
from simdeploy.engines.compiled.tilting import bend, log_weight_of_draw, odds_times, set_log_weights
from simdeploy.world.streams import Stream

_12 = np.uint64(12)
_WORDS = 2.0**52


@compiled
def prepare(run):
    """Prepare everything that is the same in every replication, in tables that are 0 at first."""
    if run.order == ORDER_INDEX:
        for node in range(run.nodes):
            drawn(run)[ORDER, node] = node
    elif run.order == ORDER_ZONE:
        place = 0
        for zone in range(run.zones):
            node = zone
            while node < run.nodes:
                drawn(run)[ORDER, place] = node
                place += 1
                node += run.zones
    elif run.order == ORDER_NODES:
        _put_in_order(run)


@compiled
def _put_in_order(run):
    """Write the order of nodes: those that the scenario names first, then the others by number."""
    order, is_named = drawn(run)[ORDER], drawn(run)[AFFECTED]  # used as scratch: no node is affected yet
    run.affected_are = -1
    fill(is_named, 0)
    for place in range(run.n_ordered):
        order[place] = ordered(run)[place]
        is_named[order[place]] = 1
    place = run.n_ordered
    for node in range(run.nodes):
        if not is_named[node]:
            order[place] = node
            place += 1


@compiled
def sample(run):
    """Draw the numbers that every rollout of the current replication needs; the record identifies the replication.

    If bundles of policies are followed, in the order of nodes' numbers, the numbers of nodes are left to `sample_nodes`, because most
    rollouts of a defective release touch few nodes. For worlds with several continuations they are left to the nodes' turns.
    """
    _sample_once(run)
    if run.n_classes > 1:
        _assign_classes(run)
    if run.order == ORDER_RANDOM:
        _shuffle(run, Stream.ORDER.value)
        for place in range(run.nodes):
            drawn(run)[ORDER, place] = scratch(run)[0, place]
    if run.kind >= 0 and kinds(run)[run.kind].affects != AFFECTS_ALL:
        _set_affected(run)
    elif run.affected_are != (run.kind >= 0):
        run.affected_are = run.kind >= 0
        fill(drawn(run)[AFFECTED], run.affected_are)
    if run.goes_down or run.degrades or run.goes_offline:
        _set_spells(run)
    run.n_sampled = 0
    if not run.draws_at_turns and (run.n_rules == 0 or run.order != ORDER_INDEX):
        sample_nodes(run, run.nodes)
    run.has_rollbacks = False


@part("first_spells", seconds=0.7)
def _set_spells(run):
    """Draw the first spells of all nodes, whether they will have their turn or not."""
    begin_spells(run)
    for first in range(0, run.nodes, NODES_AT_ONCE):
        last = min(first + NODES_AT_ONCE, run.nodes)
        set_first_spells(run, first, last)
        if run.goes_offline:
            set_first_lines(run, first, last)


@compiled
def _sample_once(run):
    run.kind = -1
    run.defective = False
    run.error_rate = 0.0
    run.crash_rate = 1.0
    run.after_law = -1
    run.log_weight_once = 0.0
    added_failure = added_hang = 0.0
    if run.releases:
        word = np.int64(draw(run, Stream.RELEASE_KIND.value, 0, 0) * _WORDS - 0.5)
        run.kind = 0
        while run.kind < run.n_kinds - 1 and word >= kinds(run)[run.kind].first_word_beyond:
            run.kind += 1
        kind = kinds(run)[run.kind]
        run.defective = kind.defective
        run.error_rate = kind.error_rate
        run.crash_rate = kind.crash_rate
        run.after_law = kind.after
        added_failure, added_hang = kind.start_failure, kind.start_hang
        run.log_weight_once += kind.log_weight
    level = _once(run, Stream.START_FAILURE_LEVEL.value, run.tilt_level)
    slow = _once(run, Stream.SLOWDOWN.value, run.tilt_slowdown)
    for number in range(run.n_classes):
        node_class, chances = classes(run)[number], today(run)[number]
        p = quantile(law_at(run, node_class.start_failure), level)
        chances.slowdown = quantile(law_at(run, node_class.slowdown), slow)
        p_affected, hang_affected = _either(p, added_failure), _either(node_class.start_hang, added_hang)
        chances.start_failure = odds_times(p, run.tilt_failure)
        chances.start_failure_affected = odds_times(p_affected, run.tilt_failure)
        chances.start_hang = odds_times(node_class.start_hang, run.tilt_hang)
        chances.start_hang_affected = odds_times(hang_affected, run.tilt_hang)
        if run.is_tilted:
            set_log_weights(chances.log_fails, chances.log_starts, p, p_affected, run.tilt_failure)
            set_log_weights(chances.log_hangs, chances.log_answers, node_class.start_hang, hang_affected, run.tilt_hang)
    run.operator_uniform = draw(run, Stream.OPERATOR_DECISION.value, 0, 0)
    u = _once(run, Stream.PROMOTE_AFTER.value, run.tilt_promote)
    run.promote_after = draw_ns(law_at(run, run.promote_after_law), u, 1.0)
    u = _once(run, Stream.ESCAPE_DETECTION.value, run.tilt_escape)
    run.escape_detection = draw_ns(law_at(run, run.escape_detection_law), u, 1.0)
    run.undo_after = draw_ns(law_at(run, run.undo_after_law), u, 1.0)


@compiled
def _once(run, stream, factor):
    """Draw a number that is drawn once, and add its log weight."""
    u = draw(run, stream, 0, 0)
    run.log_weight_once += log_weight_of_draw(u, factor)
    return bend(u, factor)


@compiled
def _either(a, b):
    """Combine two independent causes, by the same steps as `simdeploy.world.realized.either`."""
    if a == 0 or b == 0:
        return a + b
    return 1 - (1 - a) * (1 - b)


@part("shuffles", types.int64, seconds=0.4, can_fail=True)
def _shuffle(run, stream):
    """Write the nodes into the first row of `scratch`, in the order of their uniforms."""
    fill_coupled_words(run, stream, 0, run.nodes)
    row = words(run)[stream & 1]
    keys = np.empty(run.nodes, np.int64)
    for node in range(run.nodes):
        keys[node] = np.int64(row[node] >> _12)
    order, shuffled = find_order(keys), scratch(run)[0]
    for place in range(run.nodes):
        shuffled[place] = order[place]


@part("assignments", seconds=0.3, can_fail=True)
def _assign_classes(run):
    class_of = drawn(run)[CLASS]
    fill(class_of, 0)
    for place in range(run.n_class_nodes):
        class_of[class_nodes(run)[place, 0]] = class_nodes(run)[place, 1]
    if not run.deals_classes:
        return
    _shuffle(run, Stream.CLASS.value)
    shuffled, place = scratch(run)[0], 0
    for number in range(1, run.n_classes):
        left = classes(run)[number].size
        while left > 0 and place < run.nodes:
            if class_of[shuffled[place]] == 0:
                class_of[shuffled[place]] = number
                left -= 1
            place += 1


@part("affected", seconds=0.5, can_fail=True)
def _set_affected(run):
    """Set which nodes are affected by a release that doesn't affect all."""
    affected, kind = drawn(run)[AFFECTED], kinds(run)[run.kind]
    run.affected_are = -1
    if kind.affects == AFFECTS_SHARE:
        fill_words(run, Stream.AFFECTED.value, 0, run.nodes)
        lane, share = words(run)[0], kind.share
        for node in range(run.nodes):
            affected[node] = to_uniform(lane[node]) < share
    elif kind.affects == AFFECTS_COUNT:
        fill(affected, 0)
        _shuffle(run, Stream.AFFECTED.value)
        for place in range(min(kind.count, run.nodes)):
            affected[scratch(run)[0, place]] = 1
    elif kind.affects == AFFECTS_CLASSES:
        for node in range(run.nodes):
            affected[node] = affects_class(run)[run.kind, drawn(run)[CLASS, node]]
    elif kind.affects == AFFECTS_NODES:
        fill(affected, 0)
        for place in range(kind.first_node, kind.last_node):
            affected[affects_nodes(run)[place]] = 1
    else:
        for node in range(run.nodes):
            affected[node] = affects_zone(run)[run.kind, node % run.zones]
