"""Effects of release and spells on a node that has started: its level of failed requests, and when it is down."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import classes, drawn, law_at
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import CONSTANT, draw_ns
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.tables import AFFECTED, CLASS, NEVER
from simdeploy.world.streams import Stream


@compiled
def added_level(run, node):
    """Return the level of failed requests that the release adds on a node once it shows."""
    return run.error_rate if run.kind >= 0 and drawn(run)[AFFECTED, node] else 0.0


@compiled
def after_ns(run, node):
    """Return the exposure after which the release's level shows on a node."""
    if run.after_law < 0:
        return np.int64(0)
    law = law_at(run, run.after_law)
    if law.kind == CONSTANT:
        return law.constant_ns
    return _draw_after(run, node)


@part("after", types.int64, returns=types.int64, seconds=0.2)
def _draw_after(run, node):
    return draw_ns(law_at(run, run.after_law), draw(run, Stream.AFTER.value, node, 0), 1.0)


@compiled
def is_disturbed(run, node):
    """Tell whether an update affects when a node crashes."""
    node_class = classes(run)[drawn(run)[CLASS, node]]
    return node_class.crash >= 0 and (node_class.renewed or crash_rate(run, node) != 1.0)


@compiled
def crash_rate(run, node):
    """Return the factor on a node's crash rate while it is exposed."""
    return run.crash_rate if run.kind >= 0 and drawn(run)[AFFECTED, node] else 1.0


@compiled
def begin_crashes(walk, run, node, started, back_from):
    """Start a walk along a node's crashes, disturbed by an update from its start to its rollback."""
    node_class = classes(run)[drawn(run)[CLASS, node]]
    spells.begin(run, walk, node_class.crash, node)
    if started < NEVER and is_disturbed(run, node):
        spells.disturb(walk, started, back_from, crash_rate(run, node), node_class.renewed)


@compiled
def degraded_within(run, walk, start, end, shown):
    """Return how long a window was degraded, and how long it was so with the release's level shown."""
    degraded = both = np.int64(0)
    t = start
    while t < end:
        spells.reach(run, walk, t)
        until = min(walk.end, end)
        if walk.is_bad:
            degraded += until - t
            both += max(until - max(t, shown), 0)
        t = until
    return degraded, both


@compiled
def is_good_throughout(run, walk, start, end):
    t = start
    while t < end:
        spells.reach(run, walk, t)
        if walk.is_bad:
            return False
        t = walk.end
    return True
