"""Slots (model section 4), for compiled code: what bounds the nodes in flight, in all and of each zone."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.clock import FREES_SLOT, GIVES_UP_SLOT, enqueue
from simdeploy.engines.compiled.codes import SLIDING
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.line import fails_unheard, online_again
from simdeploy.engines.compiled.tables import (
    DISPATCHED,
    HAS_FAILED,
    HAS_SLOT,
    NEVER,
    ORDER,
    STARTED,
    WAVE,
    drawn,
    fates,
    lists,
    policy_of,
    slots_of_zones,
)


@compiled
def reset_slots(run):
    """Put slots at the start of a rollout."""
    run.slots_taken = run.slots_delayed = 0
    if policy_of(run).has_slots:
        for node in range(run.nodes):
            lists(run)[HAS_SLOT, node] = 0
        for zone in range(run.zones):
            slots_of_zones(run)[zone] = 0


@compiled
def _is_bounded(run):
    """Tell whether `max_parallel` bounds the next nodes: it does not bound canaries, unless their wave is in a list."""
    plan = policy_of(run)
    return plan.is_list or (plan.pacing == SLIDING and run.next_turn >= plan.canaries)


@compiled
def count_free(run, most):
    """Return how many of the next nodes find a slot, at most so many; one whose zone is full keeps those behind it waiting."""
    plan = policy_of(run)
    if _is_bounded(run):
        most = min(most, plan.parallel - run.slots_taken)
    if plan.per_zone >= run.nodes:
        return max(most, 0)
    taken = slots_of_zones(run)
    count = np.int64(0)
    while count < most:
        zone = drawn(run)[ORDER, run.next_turn + count] % run.zones
        if taken[zone] >= plan.per_zone:
            break
        taken[zone] += 1
        count += 1
    for place in range(run.next_turn, run.next_turn + count):
        taken[drawn(run)[ORDER, place] % run.zones] -= 1
    return count


@compiled
def take_slots(run, count):
    """Let the next nodes take a slot each."""
    run.slots_taken += count
    for place in range(run.next_turn, run.next_turn + count):
        node = drawn(run)[ORDER, place]
        lists(run)[HAS_SLOT, node] = 1
        slots_of_zones(run)[node % run.zones] += 1


@compiled
def expect_start(run, node):
    """Queue that a node gives up its slot at its start, once that is heard."""
    started = fates(run)[STARTED, node]
    if started < NEVER:
        enqueue(run, online_again(run, node, started) if run.goes_offline else started, node, GIVES_UP_SLOT)


@compiled
def resolve_slot(run, node):
    """Let a node that has its verdict give up its slot, unless it keeps that for good."""
    # A node that was not dispatched never needed one; canaries outside a list are apart from the waves that follow.
    plan, fate = policy_of(run), fates(run)
    has_slot = fate[DISPATCHED, node] < NEVER and (plan.is_list or plan.canaries == 0 or fate[WAVE, node] > 1)
    is_unheard = fails_unheard(run, node)
    keeps = run.failed_node_holds_slot and (is_unheard or (fate[HAS_FAILED, node] and not run.goes_back_by_itself))
    if not (has_slot and keeps):
        give_up_slot(run, node, has_slot)


@compiled
def give_up_slot(run, node, may_delay):
    """Let a node give up its slot, if it has one."""
    if not policy_of(run).has_slots or not lists(run)[HAS_SLOT, node]:
        return
    lists(run)[HAS_SLOT, node] = 0
    if may_delay and policy_of(run).slot_delay:
        run.slots_delayed += 1
        enqueue(run, run.now + policy_of(run).slot_delay, node, FREES_SLOT)
    else:
        _free(run, node)


@compiled
def free_late(run, node):
    """Let a slot be free whose delay is over."""
    run.slots_delayed -= 1
    _free(run, node)


@compiled
def _free(run, node):
    run.slots_taken -= 1
    slots_of_zones(run)[node % run.zones] -= 1
    run.is_rung = True


@compiled
def is_stuck(run):
    """Tell whether no slot will ever be free for the next node, nothing being in flight."""
    plan = policy_of(run)
    if not plan.has_slots or run.slots_delayed or run.next_turn == run.nodes:
        return False
    if _is_bounded(run) and run.slots_taken >= plan.parallel:
        return True
    return slots_of_zones(run)[drawn(run)[ORDER, run.next_turn] % run.zones] >= plan.per_zone
