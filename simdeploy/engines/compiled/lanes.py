"""Random words of many nodes at once, and durations from them, for compiled code: loops that become vector instructions."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from simdeploy.engines.compiled import laws
from simdeploy.engines.compiled.access import batch, lineages, words
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.laws import draw_ns
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import block, is_of_nodes, to_uniform
from simdeploy.engines.compiled.special import exp, normal_quantiles
from simdeploy.engines.compiled.tables import N_BATCH
from simdeploy.engines.compiled.tilting import bend
from simdeploy.units import MAX_DURATION_NS, NS_PER_S

_0 = np.uint64(0)
_NS = float(NS_PER_S)
_MAX_NS = float(MAX_DURATION_NS)
NODES_AT_ONCE = 2048  # whose draws and fates fit into the cache of a core


@compiled
def fill_words(run, stream, first, last):
    """Draw both words of the stream's block at index 0 for some nodes; the word of node `first` has place 0."""
    if is_of_nodes(run, stream >> 1):
        _fill_own_words(run, stream, first, last)
    else:
        fill_coupled_words(run, stream, first, last)


@part("own_words", types.int64, types.int64, types.int64, seconds=0.2)
def _fill_own_words(run, stream, first, last):
    key0, key1, of_nodes = run.key0, run.key1, lineages(run)[run.row]
    stream_block = np.uint64(stream >> 1)
    both = words(run)
    for place in range(last - first):
        even, odd = block(key0, key1, of_nodes[first + place], stream_block, np.uint64(first + place), _0)
        both[0, place] = even
        both[1, place] = odd


@part("words", types.int64, types.int64, types.int64, seconds=0.2)
def fill_coupled_words(run, stream, first, last):
    """Draw words for a decision about all nodes together, so no lineage applies."""
    key0, key1, replication = run.key0, run.key1, run.replication
    stream_block = np.uint64(stream >> 1)
    both = words(run)
    for place in range(last - first):
        even, odd = block(key0, key1, replication, stream_block, np.uint64(first + place), _0)
        both[0, place] = even
        both[1, place] = odd


@compiled
def spread(run, law, lane, factor, tilt, out):
    """Sample a duration in nanoseconds for each of many words."""
    if law.kind == laws.CONSTANT:
        fill(out, draw_ns(law, 0.5, factor))
    elif tilt != 1:
        for i in range(len(lane)):
            out[i] = draw_ns(law, bend(to_uniform(lane[i]), tilt), factor)
    elif law.kind == laws.LOGNORMAL:
        _spread_lognormal(run, law.a, law.b, lane, factor, out)
    else:
        for i in range(len(lane)):
            out[i] = draw_ns(law, to_uniform(lane[i]), factor)


@compiled
def _spread_lognormal(run, median, sigma, lane, factor, out):
    # In batches, so that intermediate values stay in the fastest cache.
    uniforms, z, r = batch(run)[0], batch(run)[1], batch(run)[2]
    for first in range(0, len(lane), N_BATCH):
        some, some_out = lane[first : first + N_BATCH], out[first : first + N_BATCH]
        for i in range(len(some)):
            uniforms[i] = to_uniform(some[i])
        normal_quantiles(uniforms[: len(some)], z, r)
        for i in range(len(some)):
            ns = min(median * exp(sigma * z[i]) * _NS * factor, _MAX_NS)
            whole = math.floor(ns)
            some_out[i] = np.int64(whole) + np.int64(ns - whole >= 0.5)


@inlined
def times_in(length, interval, per_ns):
    """Return how often an interval fits into a length of at least 0: an integer division by means of the interval's reciprocal."""
    times = np.int64(length * per_ns)
    left = length - times * interval
    return times + (left >= interval) - (left < 0)


@compiled
def fill(row, value):
    for place in range(len(row)):
        row[place] = value
