"""How long it takes nodes to go back, and whether they can, for compiled code: drawn only where somebody goes back."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled.access import classes, drawn, law_at, words
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import fill_words, spread
from simdeploy.engines.compiled.laws import draw_ns
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import to_uniform
from simdeploy.engines.compiled.tables import CLASS, ROLLBACK
from simdeploy.engines.compiled.tilting import bend
from simdeploy.world.streams import Stream


@compiled
def set_rollbacks(run):
    """Draw how long going back takes, for every node; -1 - duration where it fails in the end."""
    if not run.has_rollbacks:
        run.has_rollbacks = True
        draw_rollbacks(run, 0, run.nodes)


@part("rollbacks", types.int64, types.int64, seconds=0.5, beside="draws")
def draw_rollbacks(run, first, last):
    """Draw the same for some nodes."""
    fill_words(run, Stream.ROLLBACK_DURATION.value, first, last)
    durations, lane = drawn(run)[ROLLBACK, first:last], words(run)[1]
    if run.n_classes == 1:
        one = classes(run)[0]
        spread(law_at(run, one.rollback), words(run)[0, : last - first], 1.0, run.tilt_rollback, durations)
        if one.rollback_failure > 0:
            for place in range(last - first):
                if to_uniform(lane[place]) < one.rollback_failure:
                    durations[place] = -1 - durations[place]
        return
    for place in range(last - first):
        one = classes(run)[drawn(run)[CLASS, first + place]]
        u = bend(to_uniform(words(run)[0, place]), run.tilt_rollback)
        duration = draw_ns(law_at(run, one.rollback), u, 1.0)
        durations[place] = -1 - duration if to_uniform(lane[place]) < one.rollback_failure else duration
