"""The nodes' turns (model section 4), for compiled code: waves, the order of nodes, and nodes that can't be reached at their turn."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    begins_of,
    drawn,
    fates,
    is_surged,
    lists,
    policy_at,
    policy_of,
    policy_of_node,
    size_of_wave,
    terms_of_wave,
    waves,
)
from simdeploy.engines.compiled.clock import GETS_VERDICT, IS_UP, NO_CLOCK, TRIES_AGAIN, enqueue, next_visit
from simdeploy.engines.compiled.codes import LOST_WAVE_FAILS, UNREACHABLE_FAIL, UNREACHABLE_SKIP
from simdeploy.engines.compiled.drawing import sample_nodes
from simdeploy.engines.compiled.evidence import find_partners
from simdeploy.engines.compiled.fates import is_down, is_down_for_good, meet_fate, up_again
from simdeploy.engines.compiled.gates import expect, judges_waves
from simdeploy.engines.compiled.gates_at_once import wait_together
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.judge import PASSES
from simdeploy.engines.compiled.limits import might_stop, note_failure
from simdeploy.engines.compiled.line import begin_line, is_online, set_heard
from simdeploy.engines.compiled.node import hear_of, look_for_lost_wave, resolve_in_wave
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.pools import let_serve
from simdeploy.engines.compiled.quick import dispatch_quickly
from simdeploy.engines.compiled.slots import count_free, give_up_slot, take_slot
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.tables import (
    ALONE,
    ATTEMPTS,
    BACK_FROM,
    COUNTS_FAILED,
    FIRST_PLACE,
    GATE_VERDICT,
    HAS_FAILED,
    HEARD,
    IN_FLIGHT,
    NEVER,
    ORDER,
    PASSED_OVER,
    RESOLVED,
    STARTED,
    SURGED,
    TAKES_PLACE,
    TOUCHED,
    TRIED,
    TURNS,
    UNRESOLVED,
    UP_AGAIN,
    WAVE,
    WAVE_FAILED,
    WINDOWS_FROM,
)
from simdeploy.engines.compiled.validation import end_try, validate


@compiled
def nodes_left(run):
    return run.nodes - run.next_turn


@compiled
def open_wave(run):
    wave = run.waves_open
    begins_of(run)[wave] = run.now
    run.waves_open += 1
    if judges_waves(policy_of(run)):
        waves(run)[FIRST_PLACE, wave] = run.next_turn
        if policy_of(run).watches_by_wave and not terms_of_wave(run, wave).by_gate:
            waves(run)[GATE_VERDICT, wave] = PASSES
        elif policy_of(run).gate_compares and not find_partners(run, run.next_turn, size_of_wave(run, wave)):
            waves(run)[ALONE, wave] = 1


@inlined
def turns_due(run):
    """Return the number of nodes of the wave opened last that find a slot."""
    wave = run.waves_open - 1
    return count_free(run, size_of_wave(run, wave) - waves(run)[TURNS, wave])


@inlined
def fill_slots(run):
    """Give as many nodes of the wave opened last their turn as find a slot; tell whether any does."""
    count = turns_due(run)
    if count > 0:
        give_turns(run, count)
    return count > 0


@compiled
def give_turns(run, count):
    """Give the next nodes their turn, as part of the wave opened last."""
    fate = fates(run)
    wave = run.waves_open - 1
    marks_slots = policy_of(run).marks_slots
    first = run.next_turn
    count = min(count, run.nodes - first)
    run.next_turn += count
    sample_nodes(run, run.next_turn)
    run.last_turn_at = run.now
    waves(run)[TURNS, wave] += count
    waves(run)[UNRESOLVED, wave] += count
    if run.reporting_delay:
        waves(run)[IN_FLIGHT, wave] += count
    for place in range(first, first + count):
        node = drawn(run)[ORDER, place]
        fate[WAVE, node] = wave + 1
        if marks_slots:
            take_slot(run, node)
        if run.goes_offline:
            begin_line(run, node)
        if can_be_reached(run, node):
            _dispatch(run, node)
            expect(run, node)
        else:
            _give_turn_to_unreachable_node(run, node, wave)


@inlined
def can_be_reached(run, node):
    """Tell whether a node is up and online."""
    if run.goes_down and is_down(run, node, run.now):
        return False
    return not run.goes_offline or is_online(run, node, run.now)


@compiled
def _give_turn_to_unreachable_node(run, node, wave):
    fate = fates(run)
    fate[WAVE, node] = wave + 1
    if run.unreachable_nodes == UNREACHABLE_FAIL:
        fate[HAS_FAILED, node] = 1
        fate[COUNTS_FAILED, node] = 1
        fate[RESOLVED, node] = run.now
        fate[HEARD, node] = run.now
        hear_of(run, node)
    elif run.unreachable_nodes == UNREACHABLE_SKIP:
        waves(run)[IN_FLIGHT, wave] -= 1
        give_up_slot(run, node)
        resolve_in_wave(run, wave)
        waves(run)[PASSED_OVER, wave] += 1
        if run.lost_waves == LOST_WAVE_FAILS:
            look_for_lost_wave(run, wave)
        run.is_rung = True
    else:
        run.any_waits = True
        run.waiting += 1
        if is_down_for_good(run, node):
            run.waited_in_vain += 1
            return
        enqueue(run, up_again(run, node, run.now), node, IS_UP)


@compiled
def send_wave(run, count):
    """Give all nodes of a wave their turn before any other event.

    If no event before the last verdict can cause an act, the other verdicts are counted at once.
    """
    turns, wave = lists(run), run.waves_open - 1
    is_gated = judges_waves(policy_of(run)) and not run.varies
    is_alone = run.queued == 0 and run.clock == NO_CLOCK and not run.goes_back_by_itself and policy_of(run).gate < 0
    # If nodes roll back in the order of their dispatch, it must be kept. Nodes that share requests depend on each other.
    if (
        not (is_gated or is_alone)
        or run.shared
        or run.reporting_delay > 0
        or _goes_back_in_order(run)
        or run.leaves
        or run.has_more
    ):
        give_turns(run, count)
        return
    first = run.next_turn
    run.next_turn += count
    sample_nodes(run, run.next_turn)
    run.last_turn_at = run.now
    waves(run)[TURNS, wave] += count
    waves(run)[UNRESOLVED, wave] += count
    before = run.n_touched
    n_slow = dispatch_quickly(run, first, count)
    if is_gated:
        wait_together(run, wave, before)
    for place in range(n_slow):
        node = turns[UP_AGAIN, place]
        if can_be_reached(run, node):
            _dispatch(run, node)
            if is_gated:
                expect(run, node)
            elif run.goes_offline:
                set_heard(run, node)
        else:
            # Here its turn comes after all others, which makes no difference.
            _give_turn_to_unreachable_node(run, node, wave)
    if not is_gated:
        expect_verdicts(run, wave, turns[TOUCHED, before : run.n_touched])


@compiled
def expect_verdicts(run, wave, nodes):
    """Queue the verdicts of a wave's last nodes; if no act can follow before the last verdict, the others count at once."""
    fate = fates(run)
    counted = HEARD if run.goes_offline else RESOLVED
    has_failed = COUNTS_FAILED if run.goes_offline else HAS_FAILED
    n_failed = 0
    lasts, last = np.int64(-1), np.int64(-1)
    for node in nodes:
        n_failed += fate[has_failed, node]
        if fate[counted, node] > lasts:
            lasts, last = fate[counted, node], node
    # Only nodes of this wave that the rollout waits for are queued; they may fail, too.
    can_be_counted = last >= 0 and lasts < next_visit(run) and not might_stop(run, wave, n_failed + run.queued)
    for node in nodes:
        if not can_be_counted or node == last:
            enqueue(run, fate[counted, node], node, GETS_VERDICT)
    if can_be_counted:
        n_others = len(nodes) - 1
        failed = n_failed - fate[has_failed, last]
        waves(run)[UNRESOLVED, wave] -= n_others
        waves(run)[WAVE_FAILED, wave] += failed
        run.failed += failed
        run.updated += n_others - failed


@compiled
def _goes_back_in_order(run):
    """Tell whether nodes roll back in the order of their dispatch, under this policy or the one that replaces it."""
    may_change = run.change_at < NEVER and policy_at(run, run.next_policy).rollback_size < run.nodes
    return may_change or policy_of(run).rollback_size < run.nodes


@compiled
def _dispatch(run, node):
    lists(run)[TOUCHED, run.n_touched] = node
    run.n_touched += 1
    if run.has_more and run.surging < _places(run, node):
        run.surging += 1
        fates(run)[SURGED, node] = TAKES_PLACE
    if run.shared:
        if not run.begins and not run.leaves and not is_surged(run, node):
            let_serve(run, node, 0)
    _begin_try(run, node, run.now, 0)


@compiled
def _places(run, node):
    """Return how many nodes may be surged when this one is dispatched."""
    plan = policy_of(run)
    is_canary = plan.canaries > 0 and fates(run)[WAVE, node] == 1
    return plan.canary_surge if is_canary else plan.surge


@inlined
def _begin_try(run, node, at, first):
    was_started = first > 0 and fates(run)[STARTED, node] < NEVER
    meet_fate(run, node, at, first)
    if not run.shared and (run.varies or was_started):
        validate(run, node)


@part("tries", types.int64, seconds=0.3)
def try_again(run, node):
    """Try a node again that did not start, unless it has been rolled back meanwhile; its failed try may count."""
    fate = fates(run)
    if fate[BACK_FROM, node] < NEVER:
        return
    fate[TRIED, node] += 1
    if policy_of_node(run, node).tries_unhealthy and fate[WINDOWS_FROM, node] < NEVER:
        end_try(run, node)
    if policy_of(run).counts_tries and run.makespan == NEVER:
        run.earlier_tries += 1
        note_failure(run)
        run.news = True
        run.is_rung = True
    begins = run.now + policy_of_node(run, node).retry_delay
    if run.failed_node_freezes and begins > run.now and run.makespan == NEVER:
        run.between_tries += 1
        enqueue(run, begins, node, TRIES_AGAIN)
    _begin_try(run, node, begins, fate[ATTEMPTS, node])
    expect(run, node)


@compiled
def admit_returned(run):
    """Dispatch nodes that the rollout waited for and that can be reached again, by number."""
    returned = sort(lists(run)[UP_AGAIN, : run.n_up_again])
    run.n_up_again = 0
    for node in returned:
        if can_be_reached(run, node):
            run.waiting -= 1
            _dispatch(run, node)
            expect(run, node)
        else:
            enqueue(run, up_again(run, node, run.now), node, IS_UP)
