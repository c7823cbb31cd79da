"""The controller (model section 4), for compiled code: it sends waves, judges limits, and ends the rollout.

All events of an instant come first; then `_act` acts once, as the reference engine's controller does, possibly with effects at the
same instant.
"""

from __future__ import annotations

from simdeploy.engines.compiled.access import fates, lists, policy_of, script, waves
from simdeploy.engines.compiled.changing import change_policy
from simdeploy.engines.compiled.clock import (
    BAKE_CLOCK,
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
    dequeue,
    next_in_queue,
)
from simdeploy.engines.compiled.codes import CUSUM, IN_PROGRESS, PAUSED, RATE
from simdeploy.engines.compiled.deadlines import (
    is_deadline_now,
    is_rollout_late,
    let_progress_stand_still,
    next_deadline,
    reset_deadlines,
)
from simdeploy.engines.compiled.dispatch import try_again
from simdeploy.engines.compiled.gates import happens_before_gate, judges_waves, look_at_waves, reset_gates
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.judging import judge
from simdeploy.engines.compiled.lanes import fill
from simdeploy.engines.compiled.limits import reset_tally
from simdeploy.engines.compiled.line import reset_lines
from simdeploy.engines.compiled.looks import begin_looks, look_until
from simdeploy.engines.compiled.node import count, go_back, hear_of
from simdeploy.engines.compiled.pacing import AWAIT, BAKE, BAKED, READY, advance, batch_is_due
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.people import obey_operator, obey_script
from simdeploy.engines.compiled.pools import reset_pools
from simdeploy.engines.compiled.quick import set_quick_words
from simdeploy.engines.compiled.rollback import act_on_rollback, has_returned
from simdeploy.engines.compiled.running_watch import look_at_running
from simdeploy.engines.compiled.slots import free_late, give_up_slot, reset_slots
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    BACK_UNTIL,
    DISPATCHED,
    DUE,
    EARLIER,
    HAS_FAILED,
    N_WAVE,
    NEVER,
    RESOLVED,
    STARTED,
    SURGED,
    TRIED,
    UNRESOLVED,
    UP_AGAIN,
    WAVE,
    WINDOWS,
)
from simdeploy.engines.compiled.validation import happens_at_verdict, happens_while_sharing


@part("rollouts", seconds=4.5, can_fail=True)
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
    for row in (DISPATCHED, STARTED, RESOLVED, BACK_FROM, BACK_UNTIL):
        fill(fate[row], NEVER)
    for row in (HAS_FAILED, WINDOWS, WAVE):
        fill(fate[row], 0)
    if run.has_more:
        for node in range(run.nodes):
            fate[SURGED, node] = fate[TRIED, node] = fate[EARLIER, node] = 0
    if run.shared:
        reset_pools(run)
    if run.goes_offline:
        reset_lines(run)
    if policy_of(run).pacing == RATE and policy_of(run).canaries == 0:
        batch_is_due(run)  # its clock runs from the start, even if a pause at 0 s holds back the batch
    while True:
        _let_happen(run)
        if run.is_rung or run.looks_due:
            run.only_looks = not run.is_rung
            run.is_rung = False
            _act(run)
            run.looks_due = 0
            if run.rollback_is_asked or run.n_due:
                act_on_rollback(run)
            continue
        following = _next_instant(run)
        if run.visit_at <= following:
            following = _visit(run, following)
        if following >= NEVER:
            # No event is left, except any that are more than 146 years away.
            run.ran_too_long = _is_something_beyond(run)
            return
        run.now = following


@compiled
def reset(run):
    """Reset the record to the start of a rollout."""
    run.has_more = policy_of(run).has_more
    run.now = 0
    run.state = IN_PROGRESS
    run.phase = READY
    run.is_rung = True
    run.news = run.promotion_wanted = run.operator_is_due = False
    run.acts_done = run.acts_told = run.first_act
    run.batches_due = run.acknowledged_failures = run.promoted_waves = 0
    run.updated = run.failed = 0
    run.makespan = NEVER
    run.next_turn = run.slides_from = run.waves_open = run.waves_over = run.waves_judged = run.first_unjudged = 0
    run.n_touched = run.n_up_again = run.waiting = run.waited_in_vain = 0
    run.surging = run.earlier_tries = run.between_tries = run.earlier_windows = run.earlier_requests = 0
    run.is_frozen = run.was_stuck = run.lost_wave = run.has_crossed = False
    run.clock = NO_CLOCK
    run.clock_is_frozen = False
    run.clock_left = run.clock_since = run.clock_ends = 0
    run.undoing_is_pending = run.rollback_is_asked = run.rollback_has_begun = False
    run.n_rolled = run.rolled_sent = run.rolled_in_wave = run.rolled_wave = run.going_back = 0
    run.any_back_failed = run.any_went_by_itself = run.any_waits = run.any_order_late = False
    run.rollback_ended = NEVER
    run.queued = run.n_in_ring = run.first_in_ring = 0
    run.ran_too_long = False
    run.awaits_opening = False
    run.next_rollback = NEVER
    run.change_at, run.changed_at = run.planned_change_at, 0
    run.last_turn_at = run.last_count_at = -1
    begin_looks(run)
    run.visit_at = min(run.look_at, run.change_at)
    reset_tally(run)
    reset_deadlines(run)


@compiled
def _is_something_beyond(run):
    """Tell whether the control plane would have more to do after the last representable time."""
    is_queued = run.queued + run.n_in_ring > 0
    if run.makespan == NEVER:
        return is_queued or (run.clock != NO_CLOCK and not run.clock_is_frozen) or run.awaits_opening
    if run.rollback_is_asked:
        return run.rollback_ended == NEVER and is_queued
    return run.undoing_is_pending


@inlined
def _next_instant(run):
    return min(next_in_queue(run), _next_of_others(run))


@inlined
def _next_of_others(run):
    """Return the time of the next event that is not in the queue."""
    following = NEVER
    if run.clock != NO_CLOCK and not run.clock_is_frozen:
        following = min(following, run.clock_ends)
    if run.acts_told < run.last_act:
        following = min(following, script(run)[run.acts_told, 0])
    if run.undoing_is_pending:
        following = min(following, run.undone_at)
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
def _visit(run, following):
    """Look at the rollout before the next instant; return that instant, which may be the one at which the policy changes."""
    following = min(following, run.change_at)
    if run.look_at < following:
        look_until(run, following)
    if following == run.change_at:
        run.is_rung = True
    run.visit_at = run.look_at if following == run.change_at else min(run.look_at, run.change_at)
    return following


@compiled
def _let_happen(run):
    """Process all events of the present instant except acts of the control plane."""
    now = run.now
    until = now
    if run.shared and not _is_due(run):
        # Ends of windows of nodes that share requests are processed until an event concerns the control plane.
        until = min(_next_of_others(run), run.visit_at)
    while next_in_queue(run) <= now:
        node, what = dequeue(run)
        if what == GETS_VERDICT:
            if run.goes_offline:
                # Verdicts don't count after the end of the rollout, when the node may have been rolled back.
                hear_of(run, node)
            # A node that has been rolled back, or judged by its gate, meanwhile gets no verdict any more.
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
            if not (run.is_rung or run.looks_due) and now < next_in_queue(run) < until:
                now = run.now = next_in_queue(run)
        elif HAS_STARTED <= what < GIVES_UP_SLOT:
            happens_before_gate(run, node, what)
        elif what == COUNTS:
            count(run, node)
        elif what == GIVES_UP_SLOT:
            if run.makespan == NEVER:
                give_up_slot(run, node)
        elif what == TRIES_AGAIN:
            run.between_tries -= 1
            run.is_rung = True
        elif what == FREES_SLOT:
            free_late(run, node)
        elif what == GOES_BACK:
            # A node that was rolled back before it could fail has no verdict.
            if fates(run)[BACK_FROM, node] == NEVER and fates(run)[RESOLVED, node] == now:
                if run.shared:
                    happens_at_verdict(run, node)
                if fates(run)[HAS_FAILED, node] and run.goes_back_by_itself:
                    run.any_went_by_itself = True
                    go_back(run, node)
        elif what == GETS_ORDER:
            # If lines break, nothing else is due, because gates are not allowed then.
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
            batch_is_due(run)
    while run.acts_told < run.last_act and script(run)[run.acts_told, 0] <= now:
        run.acts_told += 1
        run.is_rung = True
    if not run.watch_has_ended and run.makespan == NEVER and run.watch_at <= now:
        run.watch_at += policy_of(run).interval
        run.look_at_running = True
        run.is_rung = True
    if run.undoing_is_pending and run.undone_at <= now:
        run.undoing_is_pending = False
        run.rollback_is_asked = True
        run.is_rung = True
    if run.awaits_opening and run.opens_at <= now:
        run.awaits_opening = False
        run.is_rung = True
    if _is_due(run):
        run.is_rung = True


@inlined
def _is_due(run):
    """Tell whether a deadline of the rollout, or a wave of the rollback, is due at this instant."""
    if not run.has_more:
        return False
    return run.next_rollback == run.now or (
        run.makespan == NEVER and policy_of(run).counts_each and is_deadline_now(run)
    )


@compiled
def _act(run):
    if policy_of(run).gate >= 0:
        _look_by_gate(run)
    if run.change_at <= run.now:
        change_policy(run)
    judge(run)
    if run.acts_done < run.acts_told:
        obey_script(run)
    if run.operator_is_due:
        obey_operator(run)
    advance(run)
    if run.has_more and policy_of(run).counts_each:
        waits = run.phase == BAKE or run.phase == BAKED or run.phase == AWAIT or run.awaits_opening
        let_progress_stand_still(run, run.state == PAUSED or waits or run.makespan < NEVER)
        # A rollout that would have been complete just in time was paused instead.
        if run.state == PAUSED and is_rollout_late(run):
            run.is_rung = True
    # Looks at waves end by themselves, unless the rollout waits for a node, or a node never has its turn.
    policy = policy_of(run)
    if policy.gate >= 0 and (policy.gate == CUSUM or run.any_waits or policy.has_steps) and _is_at_rest(run):
        run.watch_has_ended = True


@part("gates", seconds=6, can_fail=True)
def _look_by_gate(run):
    if judges_waves(policy_of(run)):
        look_at_waves(run)
    elif run.look_at_running:
        run.look_at_running = False
        if run.makespan == NEVER:
            look_at_running(run)


@compiled
def _is_at_rest(run):
    """Tell whether an unfinished rollout will never change again."""
    if run.makespan < NEVER or run.is_rung or run.acts_done < run.last_act:
        return False
    if run.awaits_opening or run.slots_delayed or (run.clock != NO_CLOCK and not run.clock_is_frozen):
        return False
    if policy_of(run).counts_each and next_deadline(run) < NEVER:
        return False
    # No event is scheduled for nodes that are down for good, or that came up while the rollout is paused.
    held_back = run.waited_in_vain + run.n_up_again
    for wave in range(run.waves_open):
        held_back -= waves(run)[UNRESOLVED, wave]
    return held_back == 0
