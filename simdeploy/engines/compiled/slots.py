"""Slots (model section 4), for compiled code: limits on the nodes in flight, in total and per zone."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import drawn, fates, lists, policy_of, slots_of_zones, waves
from simdeploy.engines.compiled.clock import FREES_SLOT, GIVES_UP_SLOT, enqueue
from simdeploy.engines.compiled.codes import SLIDING, START_FREES_SLOT
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.line import fails_unheard, online_again
from simdeploy.engines.compiled.tables import (
    DISPATCHED,
    FREED_PLACE,
    HAS_FAILED,
    HAS_SLOT,
    IN_FLIGHT,
    NEVER,
    ORDER,
    STARTED,
    SURGED,
    TAKES_PLACE,
    UNRESOLVED,
    WAVE,
)


@compiled
def reset_slots(run):
    """Reset slots to the start of a rollout."""
    run.slots_taken = run.slots_delayed = 0
    if policy_of(run).marks_slots:
        for node in range(run.nodes):
            lists(run)[HAS_SLOT, node] = 0
        for zone in range(run.zones):
            slots_of_zones(run)[zone] = 0


@inlined
def _is_bounded(run):
    """Tell whether `max_parallel` limits the next nodes; it doesn't limit canaries, unless their wave is in a list."""
    plan = policy_of(run)
    return plan.is_list or (plan.pacing == SLIDING and run.next_turn >= plan.canaries)


@inlined
def count_free(run, most):
    """Return how many of the next nodes find a slot, up to `most`; 0 or less if none does."""
    plan = policy_of(run)
    if plan.marks_slots:
        return _count_free_marked(run, most)
    if plan.pacing == SLIDING:
        most = min(
            most, plan.parallel - waves(run)[IN_FLIGHT if run.reporting_delay else UNRESOLVED, run.waves_open - 1]
        )
    return most


@compiled
def _count_free_marked(run, most):
    """Count free slots if their holders are recorded; a node whose zone is full blocks those behind it."""
    plan = policy_of(run)
    if _is_bounded(run):
        most = min(most, plan.parallel - run.slots_taken)
    if plan.per_zone >= run.nodes:
        return most
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


@inlined
def take_slot(run, node):
    """Give a node a slot."""
    lists(run)[HAS_SLOT, node] = 1
    run.slots_taken += 1
    if policy_of(run).per_zone < run.nodes:
        slots_of_zones(run)[node % run.zones] += 1


@inlined
def has_slot(run, node):
    """Tell whether a node is recorded as holding a slot."""
    return policy_of(run).marks_slots and lists(run)[HAS_SLOT, node] != 0


@compiled
def expect_free_slot(run, node):
    """If slots are free after starts, queue that a node gives up its slot once its start is heard."""
    started = fates(run)[STARTED, node]
    if run.slot_until == START_FREES_SLOT and has_slot(run, node) and started < NEVER:
        enqueue(run, online_again(run, node, started) if run.goes_offline else started, node, GIVES_UP_SLOT)


@inlined
def resolve_slot(run, node):
    """Free the slot of a node that has its verdict, unless it keeps it for good."""
    if has_slot(run, node):
        if run.failed_node_holds_slot or policy_of(run).slot_delay:
            _resolve_slot(run, node)
        else:
            lists(run)[HAS_SLOT, node] = 0
            _free(run, node)


@inlined
def _needs_slot(run, node):
    """Tell whether a node needed its slot: skipped nodes, and canaries outside a list, don't."""
    plan, fate = policy_of(run), fates(run)
    return fate[DISPATCHED, node] < NEVER and (plan.is_list or plan.canaries == 0 or fate[WAVE, node] > 1)


@compiled
def _resolve_slot(run, node):
    if run.failed_node_holds_slot and _needs_slot(run, node):
        if fails_unheard(run, node) or (fates(run)[HAS_FAILED, node] and not run.goes_back_by_itself):
            return
    give_up_slot(run, node)


@compiled
def give_up_slot(run, node):
    """Free a node's slot, if it has one: after the delay, or at once if the node didn't need it."""
    if not has_slot(run, node):
        return
    lists(run)[HAS_SLOT, node] = 0
    if policy_of(run).slot_delay and _needs_slot(run, node):
        run.slots_delayed += 1
        enqueue(run, run.now + policy_of(run).slot_delay, node, FREES_SLOT)
    else:
        _free(run, node)


@compiled
def free_late(run, node):
    """Free a slot whose delay is over."""
    run.slots_delayed -= 1
    _free(run, node)


@inlined
def _free(run, node):
    run.slots_taken -= 1
    if policy_of(run).per_zone < run.nodes:
        slots_of_zones(run)[node % run.zones] -= 1
    if _needs_slot(run, node):  # canaries outside a list keep their place until their verdict
        give_up_surge(run, node)
    run.is_rung = True


@inlined
def give_up_surge(run, node):
    """Free a node's place of `surge`, if it still takes one."""
    if run.has_more and fates(run)[SURGED, node] == TAKES_PLACE:
        fates(run)[SURGED, node] = FREED_PLACE
        run.surging -= 1


@compiled
def is_stuck(run):
    """Tell whether no slot will ever be free for the next node, given that no node is in flight."""
    plan = policy_of(run)
    if not plan.marks_slots or run.slots_delayed or run.next_turn == run.nodes:
        return False
    if _is_bounded(run) and run.slots_taken >= plan.parallel:
        return True
    return (
        plan.per_zone < run.nodes and slots_of_zones(run)[drawn(run)[ORDER, run.next_turn] % run.zones] >= plan.per_zone
    )
