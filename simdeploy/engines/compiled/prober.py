"""A single window of a node (model section 3), for compiled code: whether the node was up, its requests, its error level."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import class_rule_of, classes, drawn, fates, policy_of_node, walk_at
from simdeploy.engines.compiled.binomial import is_healthy_word
from simdeploy.engines.compiled.drawing import own_level
from simdeploy.engines.compiled.exposure import (
    added_level,
    after_ns,
    begin_crashes,
    degraded_within,
    is_disturbed,
    is_good_throughout,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.load import allowed_of, count_requests, traffic_between
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw_window
from simdeploy.engines.compiled.tables import CLASS, NEVER, STARTED

_NOTHING = -1.0  # no failures beyond the node's own level


@compiled
def requests_within(run, node, start, end):
    """Return the requests of a node of a local service in a window."""
    number = drawn(run)[CLASS, node]
    node_class = classes(run)[number]
    if node_class.first_piece == node_class.last_piece:
        return class_rule_of(run, policy_of_node(run, node), number).requests
    return count_requests(node_class.requests_per_second, traffic_between(run, number, start, end))


@part("requests", types.int64, types.int64, types.int64, returns=types.boolean, seconds=0.3)
def is_window_healthy(run, node, window, start):
    """Tell whether a window of a local service is healthy, whose requests vary."""
    end = start + policy_of_node(run, node).interval
    return is_healthy(run, node, window, start, end, requests_within(run, node, start, end), 0.0)


@compiled
def is_healthy(run, node, window, start, end, requests, shed):
    """Tell whether a window is healthy, given its requests and the fraction of them that was shed."""
    allowed = allowed_of(policy_of_node(run, node), requests)
    if allowed < 0:
        return False
    if allowed < requests:
        level = with_shed(level_within(run, node, start, end), shed)
        if not is_healthy_word(draw_window(run, node, window), allowed, requests, level):
            return False
    return was_up(run, node, start, end)


@compiled
def with_shed(level, shed):
    """Return the expected fraction of failed requests: failures of the node, and shed requests."""
    return 1 - (1 - level) * (1 - shed) if shed > 0 else level


@compiled
def was_up(run, node, start, end):
    """Tell whether a node was up throughout [start, end)."""
    return not run.goes_down or _stayed_up(run, node, start, end)


@part("ups", types.int64, types.int64, types.int64, returns=types.boolean, seconds=0.2)
def _stayed_up(run, node, start, end):
    look_ahead(run, end)
    if not is_disturbed(run, node) and stays_up(run, node, end):
        return True
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if node_class.crash >= 0:
        begin_crashes(walk_at(run, spells.CRASH), run, node, fates(run)[STARTED, node], NEVER)
        if not is_good_throughout(run, walk_at(run, spells.CRASH), start, end):
            return False
    if node_class.zone_outage >= 0:
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, node % run.zones)
        return is_good_throughout(run, walk_at(run, spells.ZONE), start, end)
    return True


@compiled
def level_within(run, node, start, end):
    """Return the time-average of a node's error level over [start, end), by the steps of the reference engine."""
    return level_given(run, node, own_level(run, node), start, end)


@compiled
def level_given(run, node, level, start, end):
    """Return the same for a given own level of the node."""
    lost = _lost_within(run, node, start, end)
    return level if lost == _NOTHING else min(max(1 - (1 - level) * (1 - lost), 0.0), 1.0)


@part("levels", types.int64, types.int64, types.int64, returns=types.float64, seconds=0.3)
def _lost_within(run, node, start, end):
    """Return the fraction of requests that fail among those that the node's own level lets succeed."""
    started = fates(run)[STARTED, node]
    node_class = classes(run)[drawn(run)[CLASS, node]]
    added = added_level(run, node) if started < NEVER else 0.0
    shown = end
    if added > 0:
        shown = min(max(started + after_ns(run, node), start), end)
    degraded = both = np.int64(0)
    if node_class.flapping >= 0:
        look_ahead(run, end)
        if not stays_undegraded(run, node):
            spells.begin(run, walk_at(run, spells.FLAPPING), node_class.flapping, node)
            degraded, both = degraded_within(run, walk_at(run, spells.FLAPPING), start, end, shown)
    if shown == end and degraded == 0:
        return _NOTHING
    level = node_class.degraded_level
    return (added * (end - shown) + level * degraded - added * level * both) / (end - start)
