"""Sliding pacing from verdict to verdict (model section 4), for compiled code: nodes take the slots of nodes with a verdict.

While no other events are possible, nothing is queued: the next verdict is the winner of a tournament between slots. When the winner's
slot gets another node, only its matches are replayed, in steps that don't depend on the winner of the previous match.
"""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import drawn, fates, lists, policy_of, queue, scratch, size_of_wave, waves
from simdeploy.engines.compiled.clock import EVENT_BITS, GETS_VERDICT, LAST, NO_CLOCK, enqueue, next_visit
from simdeploy.engines.compiled.dispatch import can_be_reached, expect_verdicts
from simdeploy.engines.compiled.drawing import sample_nodes
from simdeploy.engines.compiled.fates import meet_fate
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.limits import is_limit_crossed
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.quick import is_surely_quick, latest_start, send_quick
from simdeploy.engines.compiled.tables import (
    DURATION,
    HAS_FAILED,
    NEVER,
    ORDER,
    RESOLVED,
    TOUCHED,
    TURNS,
    UNRESOLVED,
    UP_AGAIN,
    WAVE,
    WAVE_FAILED,
)

# By slot: twice the time of its node's verdict, plus 1 unless it fails, so that failures come first; and the node. A free slot has the
# latest end.
_ENDS, _NODES = 0, 1


@compiled
def _may_slide(run):
    """Tell whether only verdicts and slots matter now."""
    policy = policy_of(run)
    return not (
        run.next_turn < run.slides_from
        or run.next_turn == run.nodes
        or run.has_more
        or run.has_crossed
        or run.shared
        or run.varies
        or run.leaves
        or run.goes_offline
        or run.goes_back_by_itself
        or run.reporting_delay > 0
        or run.n_openings > 0
        or run.waiting > 0
        or run.clock != NO_CLOCK
        or policy.gate >= 0
        or policy.minimum_sample > 0
        or (policy.canaries > 0 and run.promoted_waves == 0)
        or (policy.is_checked and policy.deadline == 0)
    )


@part("slots", returns=types.boolean, seconds=1, can_fail=True)
def slide(run):
    """If only verdicts and slots matter, count verdicts and dispatch nodes into free slots until another event.

    Returns
    -------
    bool
        False if free slots must stay free at this instant, because a limit might be crossed.
    """
    if not _may_slide(run):
        return True
    wave = run.waves_open - 1
    n_slots = min(policy_of(run).parallel, waves(run)[UNRESOLVED, wave] + run.nodes - run.next_turn)
    ends, nodes = queue(run)[_ENDS], queue(run)[_NODES]
    for slot in range(run.queued):
        nodes[slot] >>= EVENT_BITS
        ends[slot] = _end_of(run, nodes[slot])
    first_free = run.queued
    while first_free < n_slots and _send_next(run, wave):
        nodes[first_free] = lists(run)[TOUCHED, run.n_touched - 1]
        ends[first_free] = _end_of(run, nodes[first_free])
        first_free += 1
    for slot in range(first_free, n_slots):
        ends[slot] = LAST
    run.slides_from = run.next_turn + n_slots  # limits how often the tournament is set up
    may_go_on = True
    if first_free == n_slots:
        may_go_on = _follow(run, wave, n_slots)
    _leave(run, wave, n_slots)
    return may_go_on


@inlined
def _end_of(run, node):
    """Return the time of a node's verdict, in the form for slots."""
    return 2 * min(fates(run)[RESOLVED, node], NEVER - 1) + 1 - fates(run)[HAS_FAILED, node]


@compiled
def _send_next(run, wave):
    """Give the next node its turn, unless there is none, it can't be reached, or it might have its verdict at this instant."""
    if run.next_turn == run.nodes:
        return False
    node, rule = drawn(run)[ORDER, run.next_turn], policy_of(run)
    if run.next_turn >= run.n_sampled:
        sample_nodes(run, min(run.next_turn + rule.parallel, run.nodes))
    if drawn(run)[DURATION, node] == 0:
        return False
    if is_surely_quick(run, rule, latest_start(rule), node):
        send_quick(run, rule, node)
    elif can_be_reached(run, node):
        fates(run)[WAVE, node] = wave + 1
        meet_fate(run, node, run.now, 0)
    else:
        return False
    lists(run)[TOUCHED, run.n_touched] = node
    run.n_touched += 1
    run.next_turn += 1
    run.last_turn_at = run.now
    waves(run)[TURNS, wave] += 1
    waves(run)[UNRESOLVED, wave] += 1
    return True


@compiled
def _follow(run, wave, n_slots):
    """Follow verdict after verdict, while all slots are taken; False if a limit is crossed next."""
    policy, until, size = policy_of(run), 2 * min(next_visit(run), NEVER - 1), size_of_wave(run, wave)
    ends, nodes, winners = queue(run)[_ENDS], queue(run)[_NODES], scratch(run)[0]
    first, free = _begin_matches(ends, winners, n_slots), np.int64(-1)
    while ends[first] < until and run.next_turn < run.nodes:
        slot, end = first, ends[first]
        has_failed = 1 - (end & 1)
        if has_failed:
            failed, of_wave = run.failed + 1, waves(run)[WAVE_FAILED, wave] + 1
            if is_limit_crossed(policy, failed, run.updated, of_wave, size, run.nodes, failed):
                return False
        run.now = run.last_count_at = end >> 1
        _count(run, wave, has_failed)
        nodes[slot], free = free, slot  # a linked list of free slots
        if has_failed:
            ends[slot] = LAST
            first = _play(ends, winners, n_slots, slot)
            if ends[first] == end:
                continue  # another one fails at this instant
        while free >= 0 and _send_next(run, wave):
            slot, free = free, nodes[free]
            nodes[slot] = lists(run)[TOUCHED, run.n_touched - 1]
            ends[slot] = _end_of(run, nodes[slot])
            first = _play(ends, winners, n_slots, slot)
        if free >= 0:
            # The next node is dispatched elsewhere, after all verdicts of this instant.
            while free >= 0:
                ends[free], free = LAST, nodes[free]
            for place in range(n_slots):
                if ends[place] == (end | 1) and run.next_turn < run.nodes:
                    ends[place] = LAST
                    _count(run, wave, 0)
            break
    return True


@inlined
def _count(run, wave, has_failed):
    waves(run)[UNRESOLVED, wave] -= 1
    waves(run)[WAVE_FAILED, wave] += has_failed
    run.failed += has_failed
    run.updated += 1 - has_failed


@compiled
def _begin_matches(ends, winners, n_slots):
    """Play all matches between slots, won by the earlier end; return the overall winner."""
    for slot in range(n_slots):
        winners[n_slots + slot] = slot
    for match in range(n_slots - 1, 0, -1):
        first, other = winners[2 * match], winners[2 * match + 1]
        winners[match] = other if ends[other] < ends[first] else first
    return winners[1]


@inlined
def _play(ends, winners, n_slots, slot):
    """Replay the matches of a slot whose end has changed; return the overall winner."""
    place, end = n_slots + slot, ends[slot]
    while place > 1:
        other = winners[place ^ 1]
        other_end = ends[other]
        slot = other if other_end < end else slot
        end = min(end, other_end)
        place >>= 1
        winners[place] = slot
    return slot


@compiled
def _leave(run, wave, n_slots):
    """Queue the remaining verdicts."""
    ends, nodes, left = queue(run)[_ENDS], queue(run)[_NODES], lists(run)[UP_AGAIN]
    n_left = 0
    for slot in range(n_slots):
        left[n_left] = nodes[slot]
        n_left += ends[slot] < LAST
    run.queued = 0
    if run.next_turn == run.nodes:
        expect_verdicts(run, wave, left[:n_left])
    else:
        for place in range(n_left):
            enqueue(run, fates(run)[RESOLVED, left[place]], left[place], GETS_VERDICT)
