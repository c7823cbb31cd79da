"""Philox 4x32-10 for compiled code: the same words as `simdeploy.world.streams`, one block at a time.

A loop over nodes around :func:`block` has no branches or calls after inlining, so the compiler turns it into vector
instructions: on a processor with 512-bit vectors a block costs about 1.5 ns.
"""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import lineages
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.world.streams import Stream

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_32, _12, _1 = np.uint64(32), np.uint64(12), np.uint64(1)


@inlined
def block(key0, key1, replication, stream_block, node, index_block):
    """Return both 64-bit words of a block; all arguments are uint64."""
    c0, c1, c2, c3 = index_block, node, stream_block, replication
    k0, k1 = key0, key1
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _MASK, (p0 >> _32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return c0 | (c1 << _32), c2 | (c3 << _32)


@inlined
def to_uniform(word):
    """Return the uniform of a word."""
    return (np.float64(word >> _12) + 0.5) * 2.0**-52


@compiled
def is_of_nodes(run, stream_block):
    """Tell whether each node has its own replication for a block of streams."""
    return (run.blocks_of_nodes >> np.uint64(stream_block)) & _1 != 0


@compiled
def replication_of(run, stream_block, node):
    """Return the replication that supplies a node's numbers of a block of streams."""
    return lineages(run)[run.row, node] if is_of_nodes(run, stream_block) else run.replication


@compiled
def draw(run, stream, node, index):
    """Return one uniform of a stream that does not pair its indices.

    Parameters
    ----------
    run : record
        With `key0`, `key1` and `replication`.
    stream : int
        The member's value: twice the block number plus the lane.
    """
    replication = replication_of(run, stream >> 1, node)
    even, odd = block(run.key0, run.key1, replication, np.uint64(stream >> 1), np.uint64(node), np.uint64(index))
    return to_uniform(odd if stream & 1 else even)


@compiled
def draw_window(run, node, index):
    """Return the word, shifted down to its 52 bits, that decides a node's window."""
    replication = replication_of(run, WINDOW, node)
    even, odd = block(run.key0, run.key1, replication, np.uint64(WINDOW), np.uint64(node), np.uint64(index >> 1))
    return np.int64((odd if index & 1 else even) >> _12)


@compiled
def draw_windows(run, node, first, step, words):
    """Draw the words of a node's windows: of the first one and of every `step`-th after it, each together with the other window of
    its block, in the row of its parity.
    """
    key0, key1, replication, subject = run.key0, run.key1, replication_of(run, WINDOW, node), np.uint64(node)
    for place in range(words.shape[1]):
        index_block = np.uint64((first + place * step) >> 1)
        even, odd = block(key0, key1, replication, np.uint64(WINDOW), subject, index_block)
        words[0, place] = np.int64(even >> _12)
        words[1, place] = np.int64(odd >> _12)


@compiled
def draw_pairs(run, node, first, n, words):
    """Draw the words of at least n windows of a node, from an even one on; return how many."""
    return draw_pairs_by(run.key0, run.key1, replication_of(run, WINDOW, node), node, first, n, words)


@inlined
def draw_pairs_by(key0, key1, replication, node, first, n, words):
    """The same with given keys, which are computed once for many nodes."""
    n_blocks = (n + 15) >> 4 << 3  # a multiple of 8, as vectors are
    for place in range(n_blocks):
        index = np.uint64((first >> 1) + place)
        even, odd = block(key0, key1, replication, np.uint64(WINDOW), np.uint64(node), index)
        words[2 * place] = np.int64(even >> _12)
        words[2 * place + 1] = np.int64(odd >> _12)
    return 2 * n_blocks


@compiled
def draw_intervals(run, node, first, n, words):
    """Draw the words of at least n intervals of a node on the old version; return how many."""
    return draw_intervals_by(run.key0, run.key1, replication_of(run, OLD_WINDOW, node), node, first, n, words)


@inlined
def draw_intervals_by(key0, key1, replication, node, first, n, words):
    """The same with given keys."""
    n_blocks = (n + 7) >> 3 << 3
    for place in range(n_blocks):
        index = np.uint64(first + place) & _MASK  # counted in 32 bits, as all indices are
        even, _ = block(key0, key1, replication, np.uint64(OLD_WINDOW), np.uint64(node), index)
        words[place] = np.int64(even >> _12)
    return n_blocks


@compiled
def draw_look(run, nodes, look, words):
    """Draw the words of a look at running nodes."""
    key0, key1, replication = run.key0, run.key1, run.replication
    for place in range(len(nodes)):
        subject = np.uint64(nodes[place])
        even, _ = block(key0, key1, replication, np.uint64(_WATCHED_WINDOW), subject, np.uint64(look))
        words[place] = np.int64(even >> _12)


WINDOW, OLD_WINDOW = Stream.WINDOW.block, Stream.OLD_WINDOW.block
_WATCHED_WINDOW = Stream.WATCHED_WINDOW.block


@compiled
def first_word_not_below(p):
    return np.int64(math.ceil(p * 2.0**52 - 0.5))
