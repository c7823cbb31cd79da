"""The controller (model section 4), for compiled code: sends waves, judges limits, and brings the rollout to its end.

Everything of an instant happens first; then `_act` looks once, as the reference engine's controller does, and what it does may
happen at the same instant.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.change_windows import is_open, next_opening
from simdeploy.engines.compiled.clock import (
    BAKE_CLOCK,
    BATCH_CLOCK,
    COUNTS,
    ENDS_WINDOW,
    FAILS_TRY,
    FREES_SLOT,
    GETS_ORDER,
    GETS_VERDICT,
    GIVES_UP_SLOT,
    GOES_BACK,
    HAS_STARTED,
    IS_UP,
    MISSES_DEADLINE,
    NO_CLOCK,
    OPERATOR_CLOCK,
    TRIES_AGAIN,
    count_down,
    dequeue,
    freeze_clock,
    next_in_queue,
    thaw_clock,
)
from simdeploy.engines.compiled.codes import (
    BARRIER,
    CANCELED,
    COMPLETED,
    CUSUM,
    FAILED,
    IN_PROGRESS,
    ON_FAILURE_PAUSE,
    ON_FAILURE_ROLLBACK,
    ON_FAILURE_STOP,
    PAUSED,
    RATE,
    SCRIPT_CANCEL,
    SCRIPT_PAUSE,
    SCRIPT_PROMOTE,
    SCRIPT_RESUME,
    SLIDING,
)
from simdeploy.engines.compiled.deadlines import (
    is_deadline_now,
    let_progress_stand_still,
    next_deadline,
    reset_deadlines,
    tell_deadline,
)
from simdeploy.engines.compiled.dispatch import (
    admit_returned,
    fill_slots,
    nodes_left,
    open_wave,
    send_wave,
    try_again,
    turns_due,
)
from simdeploy.engines.compiled.gates import happens_before_gate, judges_waves, look_at_waves, reset_gates
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.limits import is_crossed, reset_tally
from simdeploy.engines.compiled.line import reset_lines
from simdeploy.engines.compiled.node import count, go_back, hear_of
from simdeploy.engines.compiled.people import rejects
from simdeploy.engines.compiled.pools import reset_pools
from simdeploy.engines.compiled.quick import set_quick_words
from simdeploy.engines.compiled.rollback import act_on_rollback, has_returned
from simdeploy.engines.compiled.running_watch import look_at_running
from simdeploy.engines.compiled.slots import count_free, free_late, give_up_slot, is_stuck, reset_slots
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    BACK_UNTIL,
    DISPATCHED,
    DUE,
    EARLIER,
    HAS_FAILED,
    IN_FLIGHT,
    N_WAVE,
    NEVER,
    RESOLVED,
    STARTED,
    SURGED,
    TRIED,
    TURNS,
    UNRESOLVED,
    UP_AGAIN,
    WAVE,
    WINDOWS,
    awaits_promotion,
    bake_after,
    fates,
    is_wave_over,
    lists,
    policy_of,
    script,
    size_of_wave,
    waves,
)
from simdeploy.engines.compiled.validation import happens_at_verdict, happens_while_sharing
from simdeploy.units import NS_PER_S

# ready: the next wave may go. wave: one is in flight. bake, baked: after it. await: the canaries wait for a promotion.
# main: sliding or rate pacing is at work. done: every node has had its turn.
READY, WAVE_OUT, BAKE, BAKED, AWAIT, MAIN, DONE = range(7)

_BATCH_EVERY = 60 * NS_PER_S


@compiled
def run_rollout(run):
    """Run one rollout to its end; the outcome is in the record and its tables."""
    fate = fates(run)
    reset(run)
    run.quiet_until = -1
    set_quick_words(run)
    wave = waves(run)
    for row in range(N_WAVE):
        for place in range(policy_of(run).n_waves):
            wave[row, place] = 0
    reset_gates(run)
    reset_slots(run)
    for node in range(run.nodes):
        fate[DISPATCHED, node] = NEVER
        fate[STARTED, node] = NEVER
        fate[RESOLVED, node] = NEVER
        fate[BACK_FROM, node] = NEVER
        fate[BACK_UNTIL, node] = NEVER
        fate[HAS_FAILED, node] = 0
        fate[WINDOWS, node] = 0
        fate[WAVE, node] = 0
    if run.has_more:
        for node in range(run.nodes):
            fate[SURGED, node] = fate[TRIED, node] = fate[EARLIER, node] = 0
    if run.shared:
        reset_pools(run)
    if run.goes_offline:
        reset_lines(run)
    if policy_of(run).pacing == RATE and policy_of(run).canaries == 0:
        _batch_is_due(run)  # its clock runs from the start, even if a pause at 0 s holds the batch back
    while True:
        _let_happen(run)
        if run.is_rung:
            run.is_rung = False
            _act(run)
            if run.rollback_is_asked or run.n_due:
                act_on_rollback(run)
            continue
        following = _next_instant(run)
        if following >= NEVER:
            # Nothing happens any more; what lies beyond is more than 146 years away.
            run.ran_too_long = _is_something_beyond(run)
            return
        run.now = following


@compiled
def reset(run):
    """Put the record at the start of a rollout."""
    run.has_more = policy_of(run).has_more
    run.now = 0
    run.state = IN_PROGRESS
    run.phase = READY
    run.is_rung = True
    run.news = run.promotion_wanted = run.operator_is_due = False
    run.batches_due = run.acts_done = run.acts_told = run.acknowledged_failures = run.promoted_waves = 0
    run.updated = run.failed = 0
    run.makespan = NEVER
    run.next_turn = run.waves_open = run.waves_over = run.waves_judged = run.first_unjudged = 0
    run.n_touched = run.n_up_again = run.waiting = run.waited_in_vain = 0
    run.surging = run.earlier_tries = run.between_tries = run.earlier_windows = run.earlier_requests = 0
    run.is_frozen = run.was_stuck = run.lost_wave = run.has_crossed = False
    run.clock = NO_CLOCK
    run.clock_is_frozen = False
    run.clock_left = run.clock_since = run.clock_ends = 0
    run.escape_is_pending = run.rollback_is_asked = run.rollback_has_begun = False
    run.n_rolled = run.rolled_sent = run.rolled_in_wave = run.rolled_wave = run.going_back = 0
    run.any_back_failed = run.any_went_by_itself = run.any_waits = run.any_order_late = False
    run.rollback_ended = NEVER
    run.queued = 0
    run.ran_too_long = False
    run.awaits_opening = False
    run.next_rollback = NEVER
    reset_tally(run)
    reset_deadlines(run)


@compiled
def _is_something_beyond(run):
    """Tell whether the control plane would have more to do beyond the times that can be told."""
    if run.makespan == NEVER:
        return run.queued > 0 or (run.clock != NO_CLOCK and not run.clock_is_frozen) or run.awaits_opening
    if run.rollback_is_asked:
        return run.rollback_ended == NEVER and run.queued > 0
    return run.escape_is_pending


# -- time ------------------------------------------------------------------------------------------


@inlined
def _next_instant(run):
    following = next_in_queue(run)
    if run.clock != NO_CLOCK and not run.clock_is_frozen:
        following = min(following, run.clock_ends)
    if run.acts_told < run.n_acts:
        following = min(following, script(run)[run.acts_told, 0])
    if run.escape_is_pending:
        following = min(following, run.escape_at)
    if not run.watch_has_ended and run.makespan == NEVER:
        following = min(following, run.watch_at)
    if run.awaits_opening:
        following = min(following, run.opens_at)
    if run.has_more:
        if run.makespan == NEVER and policy_of(run).counts_each:
            following = min(following, next_deadline(run))
        if run.next_rollback > run.now:
            following = min(following, run.next_rollback)
    return following


@compiled
def _let_happen(run):
    """Let everything of the present instant happen that the control plane does not do itself."""
    now = run.now
    while run.queued and next_in_queue(run) <= now:
        node, what = dequeue(run)
        if what == GETS_VERDICT:
            if run.goes_offline:
                # After the end, when a node may have been sent back meanwhile, nobody counts.
                hear_of(run, node)
            # A node that was sent back, or judged by its gate, meanwhile gets no verdict any more.
            elif fates(run)[BACK_FROM, node] == NEVER and fates(run)[RESOLVED, node] == now:
                if run.shared:
                    happens_at_verdict(run, node)
                hear_of(run, node)
                if fates(run)[HAS_FAILED, node] and run.goes_back_by_itself:
                    run.any_went_by_itself = True
                    go_back(run, node)
        elif what == FAILS_TRY:
            try_again(run, node)
        elif run.shared and (what == HAS_STARTED or what == ENDS_WINDOW or what == MISSES_DEADLINE):
            happens_while_sharing(run, node, what)
        elif HAS_STARTED <= what < GIVES_UP_SLOT:
            happens_before_gate(run, node, what)
        elif what == COUNTS:
            count(run, node)
        elif what == GIVES_UP_SLOT:
            if run.makespan == NEVER:
                give_up_slot(run, node, True)
        elif what == TRIES_AGAIN:
            run.between_tries -= 1
            run.is_rung = True
        elif what == FREES_SLOT:
            free_late(run, node)
        elif what == GOES_BACK:
            # Of a node that was sent back before it could fail, there is no verdict.
            if fates(run)[BACK_FROM, node] == NEVER and fates(run)[RESOLVED, node] == now:
                if run.shared:
                    happens_at_verdict(run, node)
                if fates(run)[HAS_FAILED, node] and run.goes_back_by_itself:
                    run.any_went_by_itself = True
                    go_back(run, node)
        elif what == GETS_ORDER:
            # Nothing else is due where lines break, for there are no gates.
            lists(run)[DUE, run.n_due] = node
            run.n_due += 1
            run.is_rung = True
        elif what == IS_UP:
            if run.makespan == NEVER:
                lists(run)[UP_AGAIN, run.n_up_again] = node
                run.n_up_again += 1
                run.is_rung = True
        else:
            has_returned(run, node)
    if run.clock != NO_CLOCK and not run.clock_is_frozen and run.clock_ends <= now:
        clock = run.clock
        run.clock = NO_CLOCK
        run.is_rung = True
        if clock == BAKE_CLOCK:
            run.phase = BAKED
        elif clock == OPERATOR_CLOCK:
            run.operator_is_due = True
        else:
            _batch_is_due(run)
    while run.acts_told < run.n_acts and script(run)[run.acts_told, 0] <= now:
        run.acts_told += 1
        run.is_rung = True
    if not run.watch_has_ended and run.makespan == NEVER and run.watch_at <= now:
        run.watch_at += policy_of(run).interval
        run.look_at_running = True
        run.is_rung = True
    if run.escape_is_pending and run.escape_at <= now:
        run.escape_is_pending = False
        run.rollback_is_asked = True
        run.is_rung = True
    if run.awaits_opening and run.opens_at <= now:
        run.awaits_opening = False
        run.is_rung = True
    if run.has_more and (
        run.next_rollback == now or (run.makespan == NEVER and policy_of(run).counts_each and is_deadline_now(run))
    ):
        run.is_rung = True


@compiled
def _batch_is_due(run):
    plan = policy_of(run)
    run.batches_due += 1
    if run.batches_due < plan.n_waves - (1 if plan.canaries else 0):
        count_down(run, BATCH_CLOCK, _BATCH_EVERY)
    run.is_rung = True


# -- the end of an instant -------------------------------------------------------------------------


@compiled
def _act(run):
    if judges_waves(policy_of(run)):
        look_at_waves(run)
    elif run.look_at_running:
        run.look_at_running = False
        if run.makespan == NEVER:
            look_at_running(run)
    _judge(run)
    if run.acts_done < run.acts_told:
        _obey_script(run)
    if run.operator_is_due:
        _obey_operator(run)
    _advance(run)
    if run.has_more and policy_of(run).counts_each:
        waits = run.phase == BAKE or run.phase == BAKED or run.phase == AWAIT or run.awaits_opening
        let_progress_stand_still(run, run.state == PAUSED or waits or run.makespan < NEVER)
    # Looks at waves would not end by themselves only where a node is waited for, or never has its turn.
    policy = policy_of(run)
    if policy.gate >= 0 and (policy.gate == CUSUM or run.any_waits or policy.has_steps) and _is_at_rest(run):
        run.watch_has_ended = True


@compiled
def _judge(run):
    alarm = run.gate_alarm
    run.gate_alarm = False
    if run.makespan < NEVER:
        return
    if run.has_more and policy_of(run).counts_each and not alarm and not _had_all_turns_and_promotion(run):
        alarm = tell_deadline(run)
    # A sliding wave ends with the rollout.
    at_wave_end = run.judged_at_wave_end and policy_of(run).pacing != SLIDING
    is_crossed_now = alarm
    if alarm or (run.news and not (at_wave_end and run.waves_over == run.waves_judged)):
        run.news = False
        run.waves_judged = run.waves_over
        judged_before = run.first_unjudged
        if run.reporting_delay:
            while run.first_unjudged < run.waves_open and is_wave_over(run, run.first_unjudged):
                run.first_unjudged += 1
        # After a pause the same crossing counts again only when a further node has failed.
        if not alarm and run.failed + run.earlier_tries > run.acknowledged_failures:
            is_crossed_now = is_crossed(run, judged_before)
    is_crossed_now = is_crossed_now or run.lost_wave
    run.lost_wave = False
    run.has_crossed |= is_crossed_now
    if not is_crossed_now and not (run.fails_when_stuck and _find_stuck(run)):
        return
    if run.on_failure == ON_FAILURE_ROLLBACK or run.on_failure == ON_FAILURE_STOP:
        undo = run.on_failure == ON_FAILURE_ROLLBACK and not policy_of(run).no_auto_rollback
        _end(run, FAILED, undo)
        return
    run.acknowledged_failures = run.failed + run.earlier_tries
    if run.on_failure == ON_FAILURE_PAUSE and run.state != PAUSED:
        _pause(run)


@compiled
def _find_stuck(run):
    """Tell once whether failed nodes let no other one have its turn, now that nothing is in flight."""
    if run.was_stuck:
        return False
    unresolved = np.int64(0)
    for wave in range(run.waves_open):
        unresolved += waves(run)[UNRESOLVED, wave]
    if _freezes_any(run):
        run.was_stuck = unresolved == run.waiting
    else:
        run.was_stuck = unresolved == 0 and is_stuck(run)
    return run.was_stuck


@compiled
def _freezes_any(run):
    """Tell whether a failed node, or one that waits for its next try, keeps any from being dispatched."""
    return (run.is_frozen or run.between_tries > 0) and (nodes_left(run) > 0 or run.waiting > 0)


@compiled
def _obey_script(run):
    while run.acts_done < run.acts_told:
        action = script(run)[run.acts_done, 1]
        run.acts_done += 1
        if run.makespan < NEVER:
            continue
        is_paused = run.state == PAUSED
        if action == SCRIPT_PAUSE and not is_paused:
            _pause(run)
        elif action == SCRIPT_RESUME and is_paused:
            _resume(run)
        elif action == SCRIPT_PROMOTE:
            if not run.promotion_wanted and _awaits_promotion(run) and is_wave_over(run, run.waves_open - 1):
                run.promotion_wanted = True
        elif action == SCRIPT_CANCEL:
            _end(run, CANCELED, not policy_of(run).no_auto_rollback)


@inlined
def _awaits_promotion(run):
    """Tell whether the wave that was opened last needs a promotion that it hasn't had yet."""
    return run.waves_open > run.promoted_waves and awaits_promotion(run, run.waves_open - 1)


@compiled
def _obey_operator(run):
    run.operator_is_due = False
    if run.makespan < NEVER or not _awaits_promotion(run) or run.promotion_wanted:
        return
    if rejects(run):
        _end(run, CANCELED, not policy_of(run).no_auto_rollback)
    else:
        run.promotion_wanted = True


@compiled
def _is_at_rest(run):
    """Tell whether a rollout that goes on has nothing ahead of it."""
    if run.makespan < NEVER or run.is_rung or run.acts_done < run.n_acts:
        return False
    if run.awaits_opening or run.slots_delayed or (run.clock != NO_CLOCK and not run.clock_is_frozen):
        return False
    if policy_of(run).counts_each and next_deadline(run) < NEVER:
        return False
    # Nothing happens by itself to a node that is down for good, or that came up while the rollout is paused.
    held_back = run.waited_in_vain + run.n_up_again
    for wave in range(run.waves_open):
        held_back -= waves(run)[UNRESOLVED, wave]
    return held_back == 0


# -- what comes next -------------------------------------------------------------------------------


@compiled
def _advance(run):
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
    if run.failed_node_freezes and _freezes_any(run):
        return  # nor will it end
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
        _end(run, COMPLETED, False)


@compiled
def _is_wave_through(run):
    """Tell whether what comes after the last wave may come: promotions and the end wait until verdicts count, other waves don't."""
    wave = run.waves_open - 1
    if nodes_left(run) == 0:
        return run.waves_over == run.waves_open
    if run.reporting_delay == 0 or awaits_promotion(run, wave):
        return is_wave_over(run, wave)
    return waves(run)[TURNS, wave] == size_of_wave(run, wave) and waves(run)[IN_FLIGHT, wave] == 0


@compiled
def _finish_wave(run):
    """Bake after a wave, if the plan says so."""
    bake_time = bake_after(run, run.waves_open - 1)
    if bake_time:
        run.phase = BAKE
        count_down(run, BAKE_CLOCK, bake_time)
    else:
        _look_beyond_wave(run)


@compiled
def _look_beyond_wave(run):
    if _awaits_promotion(run):
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
        _batch_is_due(run)


@compiled
def _keep_going(run):
    """Sliding and rate pacing: fill free slots, or send a batch that is due; one step a look."""
    is_due = True
    if policy_of(run).pacing == RATE:
        late = _late_batches(run)
        is_due = late > 0
        if is_due:
            open_wave(run)
        if late > 1:
            run.is_rung = True
    # Nothing ends in the look in which nodes have their turn: those that are down then are resolved at once.
    if not (is_due and fill_slots(run)) and not nodes_left(run) and run.waves_over == run.waves_open:
        run.phase = DONE


@compiled
def _finds_slot(run):
    """Tell whether a node of the wave at hand, or of the next one, could have its turn now."""
    if run.phase == READY:
        return not policy_of(run).marks_slots or count_free(run, 1) > 0
    return (run.phase == WAVE_OUT or run.phase == MAIN) and turns_due(run) > 0


@compiled
def _had_all_turns_and_promotion(run):
    if nodes_left(run) or run.waves_over < run.waves_open:
        return False
    return not _awaits_promotion(run)


@compiled
def _late_batches(run):
    """Return how many batches of rate pacing are due and not sent."""
    sent = run.waves_open - (1 if policy_of(run).canaries else 0)
    return run.batches_due - sent if nodes_left(run) else np.int64(0)


@compiled
def _wait_for_opening(run):
    """While no change window is open: dispatch nothing, but let the clock of rate pacing begin, and see the end."""
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


# -- pausing and ending ----------------------------------------------------------------------------


@compiled
def _pause(run):
    run.state = PAUSED
    if run.clocks_stop and run.clock != NO_CLOCK and not run.clock_is_frozen:
        freeze_clock(run)


@compiled
def _resume(run):
    run.state = IN_PROGRESS
    if run.clock != NO_CLOCK and run.clock_is_frozen:
        thaw_clock(run)


@compiled
def _end(run, how, undo):
    run.state = how
    run.makespan = run.now
    run.clock = NO_CLOCK
    if not run.undone:
        return
    if undo or (how != COMPLETED and run.n_touched == 0):
        run.rollback_is_asked = True
        run.is_rung = True
    elif how != COMPLETED or run.defective:
        run.escape_is_pending = True
        run.escape_at = run.now + run.escape_detection


@compiled
def horizon_of(run):
    """Return when service is whole again, NEVER if it never is; for a rollout in which nothing happens any more."""
    if run.makespan == NEVER:
        return NEVER
    escaped = run.state == COMPLETED and run.defective
    if run.state == COMPLETED and not escaped:
        return run.makespan
    if run.undone:
        return run.rollback_ended
    return run.makespan + (run.escape_detection if escaped else 0)
