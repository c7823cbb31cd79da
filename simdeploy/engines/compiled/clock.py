"""Time, for compiled code: the queue of events, and the countdown that a pause may freeze."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import pool_members, queue, script
from simdeploy.engines.compiled.change_windows import open_time_until, when_open_for
from simdeploy.engines.compiled.codes import CLOCKS_RUN, PAUSED
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.tables import ENDS_AT, IN_RING, NEVER

LAST = np.iinfo(np.int64).max

NO_CLOCK, BAKE_CLOCK, OPERATOR_CLOCK, BATCH_CLOCK = range(4)

# Events in the queue, each of a node (IS_LOOKED_AT: of a wave).
(
    GETS_VERDICT,
    IS_UP,
    IS_BACK,
    GOES_BACK,
    GETS_ORDER,
    COUNTS,
    HAS_STARTED,
    IS_OBSERVED,
    MEETS_DEADLINE,
    IS_LOOKED_AT,
    ENDS_WINDOW,
    MISSES_DEADLINE,
    FAILS_TRY,
    GIVES_UP_SLOT,
    FREES_SLOT,
    TRIES_AGAIN,
    N_EVENTS,
) = range(17)
# Event and node share one number: the event has the lowest bits.
EVENT_BITS = 5
EVENT_MASK = (1 << EVENT_BITS) - 1
if N_EVENTS > 1 << EVENT_BITS:
    raise AssertionError(N_EVENTS)


@inlined
def next_in_queue(run):
    """When the first event of the queue, or of the ring of windows, is due; NEVER if both are empty."""
    first = queue(run)[0, 0] if run.queued else NEVER
    return min(first, pool_members(run)[ENDS_AT, run.first_in_ring]) if run.n_in_ring else first


@inlined
def next_visit(run):
    """Return when the rollout is next looked at, acted on, or its policy changed; NEVER without any."""
    acts_at = script(run)[run.acts_told, 0] if run.acts_told < run.last_act else NEVER
    return min(acts_at, run.look_at, run.change_at)


@compiled
def enqueue(run, time, node, what):
    """Put an event of a node into the queue."""
    push(queue(run), run.queued, time, (node << EVENT_BITS) + what)
    run.queued += 1


@inlined
def _place_in_ring(run, n):
    place = run.first_in_ring + n
    return place - run.nodes if place >= run.nodes else place


@compiled
def enqueue_window(run, time, node):
    """Put the end of a node's window into the ring: windows have equal lengths, so each mostly ends after those that began earlier."""
    ring, n = pool_members(run), run.n_in_ring
    if n == run.nodes or (n and time < ring[ENDS_AT, _place_in_ring(run, n - 1)]):
        enqueue(run, time, node, ENDS_WINDOW)
        return
    place = _place_in_ring(run, n)
    ring[IN_RING, place], ring[ENDS_AT, place] = node, time
    run.n_in_ring += 1


@compiled
def dequeue(run):
    """Take the first event out of the queue or the ring; return its node and the event."""
    if run.n_in_ring and (run.queued == 0 or pool_members(run)[ENDS_AT, run.first_in_ring] <= queue(run)[0, 0]):
        node = pool_members(run)[IN_RING, run.first_in_ring]
        run.first_in_ring = _place_in_ring(run, 1)
        run.n_in_ring -= 1
        return node, np.int64(ENDS_WINDOW)
    first = pop(queue(run), run.queued)
    run.queued -= 1
    return first >> EVENT_BITS, np.int64(first & EVENT_MASK)


@inlined
def push(heap, n, time, code):
    """Put a code into a binary heap of n codes ordered by time."""
    place = n
    while place > 0:
        parent = (place - 1) >> 1
        if heap[0, parent] <= time:
            break
        heap[0, place] = heap[0, parent]
        heap[1, place] = heap[1, parent]
        place = parent
    heap[0, place] = time
    heap[1, place] = code


@inlined
def pop(heap, n):
    """Take the first code out of a heap of n codes."""
    first = heap[1, 0]
    n -= 1
    time, code = heap[0, n], heap[1, n]
    heap[0, n] = LAST  # the place after the last one may be compared
    place = 0
    while True:
        child = 2 * place + 1
        if child >= n:
            break
        # Added instead of branching, because the result is unpredictable.
        child += np.int64(heap[0, child + 1] < heap[0, child])
        if heap[0, child] >= time:
            break
        heap[0, place] = heap[0, child]
        heap[1, place] = heap[1, child]
        place = child
    heap[0, place] = time
    heap[1, place] = code
    return first


@compiled
def count_down(run, clock, duration):
    run.clock = clock
    run.clock_left = duration
    run.clock_is_frozen = True
    if run.state != PAUSED or run.paused_clocks == CLOCKS_RUN:
        thaw_clock(run)


@compiled
def thaw_clock(run):
    """Let the countdown continue; that of rate pacing stops while no change window is open."""
    run.clock_is_frozen = False
    run.clock_since = run.now
    if run.n_openings and run.clock == BATCH_CLOCK:
        run.clock_ends = when_open_for(run, run.now, run.clock_left)
    else:
        run.clock_ends = run.now + run.clock_left


@compiled
def freeze_clock(run):
    if run.n_openings and run.clock == BATCH_CLOCK:
        run.clock_left -= open_time_until(run, run.now) - open_time_until(run, run.clock_since)
    else:
        run.clock_left -= run.now - run.clock_since
    run.clock_is_frozen = True
