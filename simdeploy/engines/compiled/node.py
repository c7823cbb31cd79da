"""A node after its fate is known (see `fates`), for compiled code: its verdict counts, and it may roll back."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled.access import (
    drawn,
    fates,
    is_surged,
    is_wave_over,
    lists,
    policy_of,
    size_of_wave,
    waves,
)
from simdeploy.engines.compiled.clock import COUNTS, GETS_ORDER, IS_BACK, enqueue
from simdeploy.engines.compiled.codes import BARRIER, CUSUM, HELD_SLOTS_FAIL, IN_PROGRESS, LOST_WAVE_FAILS
from simdeploy.engines.compiled.drawing import set_rollbacks
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.limits import might_stop, note_verdict
from simdeploy.engines.compiled.line import fails_unheard, online_again
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.pools import crashes_change, let_serve, look_at_pools
from simdeploy.engines.compiled.slots import give_up_surge, resolve_slot
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    DISPATCHED,
    HAS_FAILED,
    IN_FLIGHT,
    NEVER,
    PASSED_OVER,
    RESOLVED,
    ROLLBACK,
    RUNS,
    STARTED,
    UNRESOLVED,
    WAVE,
    WAVE_FAILED,
)


@compiled
def hear_of(run, node):
    """Record a node's verdict for pacing, and count it, now or later; ignore it after the rollout's end."""
    _hear_of(run, node, False)


@compiled
def count(run, node):
    """Count a reported verdict for everything but pacing, unless the rollout has ended."""
    _hear_of(run, node, True)


@part("verdicts", types.int64, types.boolean, seconds=0.5)
def _hear_of(run, node, is_reported):
    if run.makespan < NEVER:
        return
    if not is_reported:
        if run.has_more:
            _make_room(run, node)
        if run.reporting_delay:
            run.is_rung = True
            waves(run)[IN_FLIGHT, fates(run)[WAVE, node] - 1] -= 1
            # The control plane knows without a report that a node could not be dispatched.
            if fates(run)[DISPATCHED, node] < NEVER:
                enqueue(run, run.now + run.reporting_delay, node, COUNTS)
                return
    _count(run, node)


@compiled
def _make_room(run, node):
    """Free the places of a node with a verdict, or freeze the rollout."""
    if run.failed_node_freezes and (fates(run)[HAS_FAILED, node] or fails_unheard(run, node)):
        run.is_frozen = True
    resolve_slot(run, node)
    if not (run.failed_node_holds_slot and _keeps_slot(run, node)):
        give_up_surge(run, node)


@compiled
def _keeps_slot(run, node):
    """Tell whether a node may hold its slot after its failure: it was dispatched, and doesn't roll back by itself."""
    if not fates(run)[HAS_FAILED, node] and not fails_unheard(run, node):
        return False
    goes_back = run.goes_back_by_itself and not fails_unheard(run, node)
    return fates(run)[DISPATCHED, node] < NEVER and not goes_back


@compiled
def _count(run, node):
    """Count a verdict for everything but pacing."""
    run.last_count_at = run.now
    wave = fates(run)[WAVE, node] - 1
    resolve_in_wave(run, wave)
    has_failed = fates(run)[HAS_FAILED, node] or fails_unheard(run, node)
    if run.has_more and policy_of(run).counts_each:
        note_verdict(run, node, has_failed)
    if has_failed:
        run.failed += 1
        waves(run)[WAVE_FAILED, wave] += 1
        if run.lost_waves == LOST_WAVE_FAILS:
            look_for_lost_wave(run, wave)
    else:
        run.updated += 1
        if policy_of(run).gate == CUSUM:
            lists(run)[RUNS, run.n_running] = node
            run.n_running += 1
        if run.watch_at == NEVER and policy_of(run).gate == CUSUM:
            run.watch_at = run.now + policy_of(run).interval
            if run.shared:
                look_at_pools(run)
    run.news = True
    if has_failed or not _passes_unnoticed(run, wave):
        run.is_rung = True


@compiled
def _passes_unnoticed(run, wave):
    """Tell whether a success in a shared service causes no act: its wave is not over, and only a failure may stop the rollout."""
    policy = policy_of(run)
    return (
        run.shared
        and policy.pacing == BARRIER
        and policy.gate < 0
        and not (run.has_more or run.goes_offline or run.failed_node_freezes)
        and not (run.all_slots_held == HELD_SLOTS_FAIL or run.lost_waves == LOST_WAVE_FAILS)
        and run.reporting_delay == 0
        and run.state == IN_PROGRESS
        and not is_wave_over(run, wave)
        and not might_stop(run, wave, 0)
    )


@compiled
def resolve_in_wave(run, wave):
    """Record that a node of a wave has its verdict, or needs none."""
    waves(run)[UNRESOLVED, wave] -= 1
    if is_wave_over(run, wave):
        run.waves_over += 1


@compiled
def look_for_lost_wave(run, wave):
    """Record a wave that is over without a running node."""
    lost = waves(run)[WAVE_FAILED, wave] + waves(run)[PASSED_OVER, wave]
    run.lost_wave = run.lost_wave or (is_wave_over(run, wave) and lost == size_of_wave(run, wave))


@compiled
def keeps_old(run, node):
    """Tell whether the old instance of a node still exists beside the new one, or did when the node rolled back."""
    fate = fates(run)
    return is_surged(run, node) and (fate[HAS_FAILED, node] != 0 or fate[RESOLVED, node] == NEVER)


@inlined
def stop_at_once(run, node):
    """Start the rollback of a node; its pending events are dropped."""
    fate = fates(run)
    if fate[STARTED, node] > run.now:
        fate[STARTED, node] = NEVER
    if fate[RESOLVED, node] > run.now:
        fate[RESOLVED, node] = NEVER
    fate[BACK_FROM, node] = run.now


@compiled
def go_back(run, node):
    """Roll a node back to the old version."""
    set_rollbacks(run)
    stop_at_once(run, node)
    duration = drawn(run)[ROLLBACK, node]
    run.going_back += 1
    if run.shared:
        crashes_change(run, node)
        let_serve(run, node, 1 if keeps_old(run, node) else 0)
    enqueue(run, run.now + (duration if duration >= 0 else -1 - duration), node, IS_BACK)


@compiled
def send_back(run, node):
    """Order a node to roll back as soon as it is online."""
    at = online_again(run, node, run.now) if run.goes_offline else run.now
    if at == run.now:
        go_back(run, node)
    else:
        run.any_order_late = True
        enqueue(run, at, node, GETS_ORDER)
