"""The next step of a rollout (model section 4), for compiled code: waves, slots and batches, promotions, and completion."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import awaits_promotion, bake_after, is_wave_over, policy_of, size_of_wave, waves
from simdeploy.engines.compiled.change_windows import is_open, next_opening
from simdeploy.engines.compiled.clock import BAKE_CLOCK, BATCH_CLOCK, NO_CLOCK, OPERATOR_CLOCK, count_down
from simdeploy.engines.compiled.codes import BARRIER, COMPLETED, PAUSED, RATE, SLIDING
from simdeploy.engines.compiled.dispatch import admit_returned, fill_slots, nodes_left, open_wave, send_wave, turns_due
from simdeploy.engines.compiled.ending import end
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.sliding import slide
from simdeploy.engines.compiled.slots import count_free
from simdeploy.engines.compiled.tables import IN_FLIGHT, NEVER, TURNS
from simdeploy.rules.waves import BATCH_EVERY_NS

# ready: the next wave may open. wave: a wave is in flight. bake, baked: during and after its pause. await: it awaits a promotion.
# main: sliding or rate pacing. done: every node has had its turn.
READY, WAVE_OUT, BAKE, BAKED, AWAIT, MAIN, DONE = range(7)


@compiled
def batch_is_due(run):
    plan = policy_of(run)
    run.batches_due += 1
    if run.batches_due < plan.n_waves - (1 if plan.canaries else 0):
        count_down(run, BATCH_CLOCK, BATCH_EVERY_NS)
    run.is_rung = True


@inlined
def is_promotion_awaited(run):
    """Tell whether the wave opened last still needs a promotion."""
    return run.waves_open > run.promoted_waves and awaits_promotion(run, run.waves_open - 1)


@compiled
def freezes_any(run):
    """Tell whether a failed node, or one between two tries, blocks all dispatches."""
    return (run.is_frozen or run.between_tries > 0) and (nodes_left(run) > 0 or run.waiting > 0)


@compiled
def advance(run):
    run.awaits_opening = False
    if run.makespan < NEVER:
        return
    if run.phase == WAVE_OUT and _is_wave_through(run):
        _finish_wave(run)
    if run.phase == BAKED:
        _look_beyond_wave(run)
    if run.state == PAUSED:
        return
    if run.promotion_wanted:
        _promote(run)
    if run.failed_node_freezes and freezes_any(run):
        return
    if is_open(run):
        if run.n_up_again:
            admit_returned(run)
        if run.phase == READY:
            _send_next(run)
        elif run.phase == WAVE_OUT and policy_of(run).has_steps:
            fill_slots(run)
        if run.phase == MAIN:
            _keep_going(run)
    else:
        _wait_for_opening(run)
    if run.phase == DONE:
        end(run, COMPLETED, False)


@compiled
def _is_wave_through(run):
    """Tell whether the step after a wave may follow: promotion and completion wait until verdicts count, the next wave doesn't."""
    wave = run.waves_open - 1
    if nodes_left(run) == 0:
        return run.waves_over == run.waves_open
    if run.reporting_delay == 0 or awaits_promotion(run, wave):
        return is_wave_over(run, wave)
    return waves(run)[TURNS, wave] == size_of_wave(run, wave) and waves(run)[IN_FLIGHT, wave] == 0


@compiled
def _finish_wave(run):
    """Bake after a wave if the plan has a pause."""
    bake_time = bake_after(run, run.waves_open - 1)
    if bake_time:
        run.phase = BAKE
        count_down(run, BAKE_CLOCK, bake_time)
    else:
        _look_beyond_wave(run)


@compiled
def _look_beyond_wave(run):
    if is_promotion_awaited(run):
        run.phase = AWAIT
        if policy_of(run).auto_promote:
            run.promotion_wanted = True
        else:
            count_down(run, OPERATOR_CLOCK, run.promote_after)
    else:
        run.phase = READY if nodes_left(run) else DONE


@compiled
def _promote(run):
    run.promotion_wanted = False
    run.promoted_waves = run.waves_open
    run.clock = NO_CLOCK
    run.phase = READY if nodes_left(run) else DONE


@compiled
def _send_next(run):
    plan = policy_of(run)
    canaries_first = plan.canaries > 0 and run.waves_open == 0
    if plan.pacing == BARRIER or canaries_first:
        if not plan.has_steps:
            open_wave(run)
            send_wave(run, size_of_wave(run, run.waves_open - 1))
            run.phase = WAVE_OUT
        elif count_free(run, 1) > 0:
            open_wave(run)
            fill_slots(run)
            run.phase = WAVE_OUT
        return
    run.phase = MAIN
    if plan.pacing == SLIDING:
        open_wave(run)
    elif plan.canaries:
        batch_is_due(run)


@compiled
def _keep_going(run):
    """Sliding and rate pacing: fill free slots, or send a batch that is due; one step per look."""
    is_due = True
    if policy_of(run).pacing == RATE:
        late = _late_batches(run)
        is_due = late > 0
        if is_due:
            open_wave(run)
        if late > 1:
            run.is_rung = True
    elif run.slides and not slide(run):
        return
    # Not in the same look: nodes that are down at their turn are resolved at once.
    if not (is_due and fill_slots(run)) and not nodes_left(run) and run.waves_over == run.waves_open:
        run.phase = DONE


@compiled
def _finds_slot(run):
    """Tell whether a node of the current or the next wave could have its turn now."""
    if run.phase == READY:
        return not policy_of(run).marks_slots or count_free(run, 1) > 0
    return (run.phase == WAVE_OUT or run.phase == MAIN) and turns_due(run) > 0


@compiled
def _late_batches(run):
    """Return how many batches of rate pacing are due and not sent."""
    sent = run.waves_open - (1 if policy_of(run).canaries else 0)
    return run.batches_due - sent if nodes_left(run) else np.int64(0)


@compiled
def _wait_for_opening(run):
    """While no change window is open: dispatch nothing, but start the clock of rate pacing, and detect the end."""
    plan = policy_of(run)
    is_rate, is_canary = plan.pacing == RATE, plan.canaries > 0 and run.waves_open == 0
    if run.phase == READY and is_rate and not is_canary:
        _send_next(run)
    finds_slot = _late_batches(run) > 0 if is_rate and run.phase == MAIN else _finds_slot(run)
    run.awaits_opening = finds_slot or run.n_up_again > 0
    if run.phase == MAIN and nodes_left(run) == 0 and run.waves_over == run.waves_open:
        run.phase = DONE
    if run.awaits_opening:
        run.opens_at = next_opening(run)
