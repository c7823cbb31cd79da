"""The rollout (model section 4), for compiled code: the reference engine's controller, dispatcher and rollback in one record.

Everything of an instant happens first; then `act` looks once, as the reference engine's controller does, and what it does may
happen at the same instant.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.evidence import find_partners, watch
from simdeploy.engines.compiled.fates import after_ns, is_down, meet_fate, up_again
from simdeploy.engines.compiled.gates import (
    CUSUM,
    FAILS,
    NO_VERDICT,
    PASSES,
    adds_up_to_alarm,
    reset_gates,
    take_look,
    without_verdict,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.quick import dispatch_quickly, set_quick_words
from simdeploy.engines.compiled.run import (
    AFFECTED,
    ALONE,
    AWAIT,
    BACK_FROM,
    BACK_UNTIL,
    BAKE,
    BAKE_CLOCK,
    BAKED,
    BATCH_CLOCK,
    CAN_TELL,
    CANCELED,
    COMPLETED,
    DEADLINE,
    DISPATCHED,
    DONE,
    DUE,
    FAILED,
    FIRST_PLACE,
    GATE_BEGUN,
    GATE_VERDICT,
    GETS_VERDICT,
    HAS_FAILED,
    HAS_STARTED,
    HOLDING,
    IN_PROGRESS,
    IS_BACK,
    IS_LOOKED_AT,
    IS_OBSERVED,
    IS_UP,
    LOOK_DUE,
    MAIN,
    MEETS_DEADLINE,
    N_WAVE,
    NEVER,
    NO_CLOCK,
    OBSERVED,
    OPERATOR_CLOCK,
    ORDER,
    PAUSED,
    READY,
    RESOLVED,
    ROLLBACK,
    ROLLED,
    ROLLED_WAVE,
    STARTED,
    TOUCHED,
    TURNS,
    UNRESOLVED,
    UP_AGAIN,
    WAITING,
    WAVE,
    WAVE_FAILED,
    WAVE_OUT,
    WINDOWS,
    begins_of,
    dequeue,
    drawn,
    enqueue,
    fates,
    lists,
    next_in_queue,
    policy_of,
    reset,
    script,
    size_of_wave,
    waves,
)
from simdeploy.engines.compiled.sampling import set_rollbacks
from simdeploy.units import NS_PER_S

_BATCH_EVERY = 60 * NS_PER_S
_PAUSE, _RESUME, _PROMOTE, _CANCEL = range(4)
_FAIL, _SKIP, _WAIT = range(3)
_ROLLBACK, _ON_FAILURE_PAUSE, _STOP, _CONTINUE = range(4)
_FLEET, _RESOLVED, _BY_WAVE = range(3)
_BARRIER, _SLIDING, _RATE = range(3)


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
    for node in range(run.nodes):
        fate[DISPATCHED, node] = NEVER
        fate[STARTED, node] = NEVER
        fate[RESOLVED, node] = NEVER
        fate[BACK_FROM, node] = NEVER
        fate[BACK_UNTIL, node] = NEVER
        fate[HAS_FAILED, node] = 0
        fate[WINDOWS, node] = 0
        fate[WAVE, node] = 0
    if policy_of(run).pacing == _RATE and policy_of(run).canaries == 0:
        _batch_is_due(run)  # its clock runs from the start, even if a pause at 0 s holds the batch back
    while True:
        _let_happen(run)
        if run.is_rung:
            run.is_rung = False
            _act(run)
            _act_on_rollback(run)
            continue
        following = _next_instant(run)
        if following >= NEVER:
            # Nothing happens any more; what lies beyond is more than 146 years away.
            run.ran_too_long = _is_something_beyond(run)
            return
        run.now = following


@compiled
def _is_something_beyond(run):
    """Tell whether the control plane would have more to do beyond the times that can be told."""
    if run.makespan == NEVER:
        return run.queued > 0 or (run.clock != NO_CLOCK and not run.clock_is_frozen)
    if run.rollback_is_asked:
        return run.rollback_ended == NEVER and run.queued > 0
    return run.escape_is_pending


# -- time ------------------------------------------------------------------------------------------


@compiled
def _next_instant(run):
    following = next_in_queue(run)
    if run.clock != NO_CLOCK and not run.clock_is_frozen:
        following = min(following, run.clock_since + run.clock_left)
    if run.acts_told < run.n_acts:
        following = min(following, script(run)[run.acts_told, 0])
    if run.escape_is_pending:
        following = min(following, run.escape_at)
    if not run.watch_has_ended and run.makespan == NEVER:
        following = min(following, run.watch_at)
    return following


@compiled
def _let_happen(run):
    """Let everything of the present instant happen that the control plane does not do itself."""
    now = run.now
    while run.queued and next_in_queue(run) <= now:
        node, what = dequeue(run)
        if what >= HAS_STARTED:
            _happens_before_gate(run, node, what)
        elif what == GETS_VERDICT:
            # A node that was sent back, or judged by its gate, meanwhile gets no verdict any more.
            if fates(run)[BACK_FROM, node] == NEVER and fates(run)[RESOLVED, node] == now:
                _hear_of(run, node)
                if fates(run)[HAS_FAILED, node] and run.goes_back_by_itself:
                    run.any_went_by_itself = True
                    _go_back(run, node)
        elif what == IS_UP:
            if run.makespan == NEVER:
                lists(run)[UP_AGAIN, run.n_up_again] = node
                run.n_up_again += 1
                run.is_rung = True
        else:
            _is_back(run, node)
    if run.clock != NO_CLOCK and not run.clock_is_frozen and run.clock_since + run.clock_left <= now:
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


@compiled
def _count_down(run, clock, duration):
    run.clock = clock
    run.clock_is_frozen = run.state == PAUSED and run.clocks_stop
    run.clock_left = duration
    run.clock_since = run.now


@compiled
def _batch_is_due(run):
    plan = policy_of(run)
    run.batches_due += 1
    if run.batches_due < plan.n_waves - (1 if plan.canaries else 0):
        _count_down(run, BATCH_CLOCK, _BATCH_EVERY)
    run.is_rung = True


# -- nodes -----------------------------------------------------------------------------------------


@compiled
def _hear_of(run, node):
    """Take note that a node is resolved; after the end nobody counts any more."""
    if run.makespan < NEVER:
        return
    wave = fates(run)[WAVE, node] - 1
    _resolve_in_wave(run, wave)
    if fates(run)[HAS_FAILED, node]:
        run.failed += 1
        waves(run)[WAVE_FAILED, wave] += 1
        if fates(run)[DISPATCHED, node] < NEVER and not run.goes_back_by_itself:
            waves(run)[HOLDING, wave] += 1
    else:
        run.updated += 1
        if run.watch_at == NEVER and policy_of(run).gate == CUSUM:
            run.watch_at = run.now + policy_of(run).interval
    run.news = True
    run.is_rung = True


@compiled
def _resolve_in_wave(run, wave):
    waves(run)[UNRESOLVED, wave] -= 1
    if _is_wave_over(run, wave):
        run.waves_over += 1


@compiled
def _is_wave_over(run, wave):
    size = size_of_wave(run, wave)
    return waves(run)[TURNS, wave] == size and waves(run)[UNRESOLVED, wave] == 0


@compiled
def _go_back(run, node):
    """Send a node back to the old version; what it was about to do does not happen."""
    fate = fates(run)
    set_rollbacks(run)
    if fate[STARTED, node] > run.now:
        fate[STARTED, node] = NEVER
    if fate[RESOLVED, node] > run.now:
        fate[RESOLVED, node] = NEVER
    duration = drawn(run)[ROLLBACK, node]
    fate[BACK_FROM, node] = run.now
    run.going_back += 1
    enqueue(run, run.now + (duration if duration >= 0 else -1 - duration), node, IS_BACK)


@compiled
def _is_back(run, node):
    fates(run)[BACK_UNTIL, node] = run.now
    run.going_back -= 1
    if drawn(run)[ROLLBACK, node] < 0:
        run.any_back_failed = True
    if run.rollback_has_begun and lists(run)[ROLLED_WAVE, node] == run.rolled_wave:
        run.rolled_in_wave -= 1
    if run.rollback_is_asked:
        run.is_rung = True


@compiled
def _give_turns(run, count):
    """Let the next nodes have their turn, as part of the wave that was opened last."""
    fate = fates(run)
    wave = run.waves_open - 1
    first = run.next_turn
    count = min(count, run.nodes - first)
    run.next_turn += count
    waves(run)[TURNS, wave] += count
    waves(run)[UNRESOLVED, wave] += count
    if judges_waves(policy_of(run)):
        waves(run)[FIRST_PLACE, wave] = first
        if policy_of(run).gate_compares and not find_partners(run, first, count):
            waves(run)[ALONE, wave] = 1
    for place in range(first, first + count):
        node = drawn(run)[ORDER, place]
        fate[WAVE, node] = wave + 1
        if not run.goes_down or not is_down(run, node, run.now):
            _dispatch(run, node)
            _expect(run, node)
        else:
            _give_turn_to_down_node(run, node, wave)


@compiled
def _give_turn_to_down_node(run, node, wave):
    fate = fates(run)
    fate[WAVE, node] = wave + 1
    if run.unreachable == _FAIL:
        fate[HAS_FAILED, node] = 1
        fate[RESOLVED, node] = run.now
        _hear_of(run, node)
    elif run.unreachable == _SKIP:
        _resolve_in_wave(run, wave)
        run.is_rung = True
    else:
        run.any_waits = True
        enqueue(run, up_again(run, node, run.now), node, IS_UP)


@compiled
def send_wave(run, count):
    """Let a whole wave have its turn, all of which is in flight before anything else happens.

    If nothing can happen before its last verdict that anybody would act upon, the others are counted at once.
    """
    fate, turns = fates(run), lists(run)
    wave = run.waves_open - 1
    is_alone = run.queued == 0 and run.clock == NO_CLOCK and run.acts_told == run.n_acts
    # Where nodes go back in the order of their dispatch, it has to be kept.
    if not is_alone or run.goes_back_by_itself or run.rollback_in_waves or run.leaves or policy_of(run).gate >= 0:
        _give_turns(run, count)
        return
    first = run.next_turn
    run.next_turn += count
    waves(run)[TURNS, wave] += count
    waves(run)[UNRESOLVED, wave] += count
    before = run.n_touched
    n_slow = dispatch_quickly(run, first, count, turns[UP_AGAIN])
    for place in range(n_slow):
        node = turns[UP_AGAIN, place]
        if not run.goes_down or not is_down(run, node, run.now):
            _dispatch(run, node)
        else:
            # Its turn comes after those of all others here; nobody can tell.
            _give_turn_to_down_node(run, node, wave)
    n_failed = 0
    lasts, last = np.int64(-1), np.int64(-1)
    for place in range(before, run.n_touched):
        node = turns[TOUCHED, place]
        n_failed += fate[HAS_FAILED, node]
        if fate[RESOLVED, node] > lasts:
            lasts, last = fate[RESOLVED, node], node
    can_be_counted = not run.is_rung and run.queued == 0 and last >= 0 and not _might_stop(run, wave, n_failed)
    for place in range(before, run.n_touched):
        node = turns[TOUCHED, place]
        if not can_be_counted or node == last:
            enqueue(run, fate[RESOLVED, node], node, GETS_VERDICT)
    if can_be_counted:
        n_others = run.n_touched - before - 1
        failed = n_failed - fate[HAS_FAILED, last]
        waves(run)[UNRESOLVED, wave] -= n_others
        waves(run)[WAVE_FAILED, wave] += failed
        waves(run)[HOLDING, wave] += failed
        run.failed += failed
        run.updated += n_others - failed


@compiled
def _might_stop(run, wave, n_failed):
    """Tell whether the rollout might stop, or pause, when `n_failed` more nodes of the wave have failed."""
    policy = policy_of(run)
    failed = run.failed + n_failed
    if failed == 0:
        return False
    if n_failed and wave == 0 and policy.canaries and run.gate_all_healthy:
        return True
    if not policy.has_limits:
        return False
    if policy.percent_of == _RESOLVED or policy.minimum_sample > 0:
        return True
    return is_limit_crossed(policy, failed, run.updated, n_failed, size_of_wave(run, wave), run.nodes)


@compiled
def _dispatch(run, node):
    lists(run)[TOUCHED, run.n_touched] = node
    run.n_touched += 1
    meet_fate(run, node, run.now)


@compiled
def _admit_returned(run):
    """Dispatch the nodes that were waited for and are up again, by number."""
    n = run.n_up_again
    if n == 0:
        return
    returned = np.sort(lists(run)[UP_AGAIN, :n])
    run.n_up_again = 0
    for node in returned:
        if is_down(run, node, run.now):
            at = up_again(run, node, run.now)
            enqueue(run, at, node, IS_UP)
        else:
            _dispatch(run, node)
            _expect(run, node)


# -- before a gate ---------------------------------------------------------------------------------


@compiled
def judges_waves(policy):
    """Tell whether a gate judges the requests of whole waves."""
    return policy.gate >= 0 and policy.gate != CUSUM


@compiled
def _expect(run, node):
    """Queue what a node that is dispatched comes to."""
    fate, policy = fates(run), policy_of(run)
    if judges_waves(policy) and fate[STARTED, node] < NEVER:
        started = fate[STARTED, node]
        enqueue(run, started, node, HAS_STARTED)
        if not fate[HAS_FAILED, node]:
            fate[DEADLINE, node] = (fate[DISPATCHED, node] if policy.from_dispatch else started) + policy.deadline
            fate[OBSERVED, node] = fate[RESOLVED, node]
            fate[RESOLVED, node] = NEVER
            # As many as it meets if the gate never speaks.
            fate[WINDOWS, node] = (fate[DEADLINE, node] - started) // policy.interval
            enqueue(run, fate[OBSERVED, node], node, IS_OBSERVED)
            return
    enqueue(run, fate[RESOLVED, node], node, GETS_VERDICT)


@compiled
def _happens_before_gate(run, node, what):
    """Let a node start, have its own observation, or meet its deadline; or let a wave be looked at."""
    fate, table = fates(run), waves(run)
    if what == IS_LOOKED_AT:
        wave = node
        if table[GATE_VERDICT, wave] == NO_VERDICT and not _is_wave_over(run, wave) and run.makespan == NEVER:
            table[LOOK_DUE, wave] = 1
            run.looks_due += 1
            run.is_rung = True
            enqueue(run, run.now + policy_of(run).interval, wave, IS_LOOKED_AT)
        return
    # Judged by the gate, or sent back, meanwhile.
    if fate[RESOLVED, node] < run.now or fate[BACK_FROM, node] < NEVER:
        return
    wave = fate[WAVE, node] - 1
    if what == HAS_STARTED:
        if table[GATE_BEGUN, wave] == NEVER:
            table[GATE_BEGUN, wave] = run.now
            enqueue(run, run.now + policy_of(run).interval, wave, IS_LOOKED_AT)
        if table[GATE_VERDICT, wave] == FAILS:
            _settle(run, node, True)
    elif fate[RESOLVED, node] < NEVER:
        return
    elif what == IS_OBSERVED:
        if table[GATE_VERDICT, wave] == PASSES:
            _settle(run, node, False)
        elif table[GATE_VERDICT, wave] == NO_VERDICT:
            table[WAITING, wave] += 1
            enqueue(run, fate[DEADLINE, node], node, MEETS_DEADLINE)
    else:
        lists(run)[DUE, run.n_due] = node
        run.n_due += 1
        run.is_rung = True


@compiled
def _settle(run, node, fails):
    """Give a node the verdict of its gate."""
    fate = fates(run)
    fate[RESOLVED, node] = run.now
    fate[HAS_FAILED, node] = fails
    fate[WINDOWS, node] = (run.now - fate[STARTED, node]) // policy_of(run).interval
    _hear_of(run, node)
    if fails and run.goes_back_by_itself:
        run.any_went_by_itself = True
        _go_back(run, node)


@compiled
def _look_at_waves(run):
    """Look at the waves that are due, then settle nodes that have met their deadline."""
    table, fate = waves(run), fates(run)
    if run.looks_due:
        run.looks_due = 0
        for wave in range(run.waves_open):
            if table[LOOK_DUE, wave]:
                table[LOOK_DUE, wave] = 0
                if not _is_wave_over(run, wave) and run.makespan == NEVER:
                    verdict = take_look(run, wave, _is_observed(run, wave))
                    if verdict != NO_VERDICT:
                        _speak(run, wave, verdict)
    if run.n_due:
        due = np.sort(lists(run)[DUE, : run.n_due])
        run.n_due = 0
        for node in due:
            if fate[RESOLVED, node] < NEVER:
                continue
            wave = fate[WAVE, node] - 1
            verdict = NO_VERDICT
            if run.makespan == NEVER and not table[CAN_TELL, wave]:
                verdict = without_verdict(run, wave)
            if verdict == NO_VERDICT:
                table[WAITING, wave] -= 1
                _settle(run, node, True)
            else:
                _speak(run, wave, verdict)


@compiled
def _is_waiting(run, node):
    fate = fates(run)
    return fate[STARTED, node] < NEVER and fate[RESOLVED, node] == NEVER and fate[OBSERVED, node] <= run.now


@compiled
def _is_observed(run, wave):
    """Tell whether no node is still being observed, or a node that waits can't wait for another look."""
    table = waves(run)
    if table[TURNS, wave] == size_of_wave(run, wave) and table[UNRESOLVED, wave] == table[WAITING, wave]:
        return True
    next_look = run.now + policy_of(run).interval
    first = table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        if _is_waiting(run, node) and fates(run)[DEADLINE, node] < next_look:
            return True
    return False


@compiled
def _speak(run, wave, verdict):
    """Settle the nodes of a wave by the verdict of its gate."""
    table, fate = waves(run), fates(run)
    table[GATE_VERDICT, wave] = verdict
    run.gate_alarm = run.gate_alarm or verdict == FAILS
    first = table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        if verdict == PASSES:
            if _is_waiting(run, node):
                _settle(run, node, False)
        elif fate[STARTED, node] <= run.now and fate[RESOLVED, node] > run.now:
            _settle(run, node, True)


@compiled
def _look_at_running(run):
    """Look at all running nodes together."""
    fate = fates(run)
    start = run.now - policy_of(run).interval
    requests = failed = np.int64(0)
    for place in range(run.n_touched):
        node = lists(run)[TOUCHED, place]
        if fate[RESOLVED, node] <= start and not fate[HAS_FAILED, node]:
            met, bad = watch(run, node, run.watch_looks)
            if met >= 0:
                run.watched_windows += 1
                requests += met
                failed += bad
    run.watch_looks += 1
    run.watched_requests += requests
    run.gate_alarm = adds_up_to_alarm(run, requests, failed)


@compiled
def _is_at_rest(run):
    """Tell whether a rollout that goes on has nothing ahead of it."""
    if run.makespan < NEVER or run.is_rung or run.acts_done < run.n_acts:
        return False
    if run.clock != NO_CLOCK and not run.clock_is_frozen:
        return False
    for wave in range(run.waves_open):
        if waves(run)[UNRESOLVED, wave] > 0:
            return False
    return True


# -- the end of an instant -------------------------------------------------------------------------


@compiled
def _act(run):
    if judges_waves(policy_of(run)):
        _look_at_waves(run)
    elif run.look_at_running:
        run.look_at_running = False
        if run.makespan == NEVER:
            _look_at_running(run)
    _judge(run)
    _obey_script(run)
    _obey_operator(run)
    _advance(run)
    if policy_of(run).gate == CUSUM and _is_at_rest(run):
        run.watch_has_ended = True


@compiled
def _judge(run):
    alarm = run.gate_alarm
    run.gate_alarm = False
    if run.makespan < NEVER or not (run.news or alarm):
        return
    # A sliding wave ends with the rollout.
    at_wave_end = run.judged_at_wave_end and policy_of(run).pacing != _SLIDING
    if not alarm and at_wave_end and run.waves_over == run.waves_judged:
        return
    run.news = False
    run.waves_judged = run.waves_over
    # After a pause the same crossing counts again only when a further node has failed.
    if not alarm and (run.failed <= run.acknowledged_failures or not _is_crossed(run)):
        return
    if run.on_failure == _ROLLBACK or run.on_failure == _STOP:
        undo = run.on_failure == _ROLLBACK and not policy_of(run).no_auto_rollback
        _end(run, FAILED, undo)
        return
    run.acknowledged_failures = run.failed
    if run.on_failure == _ON_FAILURE_PAUSE and run.state != PAUSED:
        _pause(run)


@compiled
def _is_crossed(run):
    wave = run.waves_open - 1
    wave_failed = waves(run)[WAVE_FAILED, wave]
    if policy_of(run).canaries and not run.promoted and run.gate_all_healthy and wave_failed:
        return True
    size = size_of_wave(run, wave)
    return is_limit_crossed(policy_of(run), run.failed, run.updated, wave_failed, size, run.nodes)


@compiled
def is_limit_crossed(limits, failed, updated, wave_failed, wave_size, total):
    """Tell whether the limits stop a rollout with these counts, in whole numbers."""
    if not limits.has_limits or failed == 0:
        return False
    by_count = failed >= limits.stopping_count
    resolved = failed + updated
    among, of = failed, total
    if limits.percent_of == _RESOLVED:
        of = resolved
    elif limits.percent_of == _BY_WAVE:
        among, of = wave_failed, wave_size
    have, allowed = among * limits.bottom, limits.top * of
    by_percent = (
        resolved >= limits.minimum_sample
        and among > 0
        and of >= 1
        and (have > allowed or (have == allowed and limits.reaches))
    )
    return (by_count and by_percent) if limits.both else (by_count or by_percent)


@compiled
def _obey_script(run):
    while run.acts_done < run.acts_told:
        action = script(run)[run.acts_done, 1]
        run.acts_done += 1
        if run.makespan < NEVER:
            continue
        is_paused = run.state == PAUSED
        if action == _PAUSE and not is_paused:
            _pause(run)
        elif action == _RESUME and is_paused:
            _resume(run)
        elif action == _PROMOTE:
            if (
                policy_of(run).canaries
                and not run.promoted
                and not run.promotion_wanted
                and run.waves_open
                and _is_wave_over(run, 0)
            ):
                run.promotion_wanted = True
        elif action == _CANCEL:
            _end(run, CANCELED, not policy_of(run).no_auto_rollback)


@compiled
def _obey_operator(run):
    if not run.operator_is_due:
        return
    run.operator_is_due = False
    if run.makespan < NEVER or run.promoted or run.promotion_wanted:
        return
    if _rejects(run):
        _end(run, CANCELED, not policy_of(run).no_auto_rollback)
    else:
        run.promotion_wanted = True


@compiled
def _rejects(run):
    """Tell whether the operator, looking at the canaries now, cancels instead of promoting."""
    fate = fates(run)
    if run.kind >= 0 and run.defective:
        for place in range(policy_of(run).canaries):
            node = drawn(run)[ORDER, place]
            if fate[STARTED, node] <= run.now and drawn(run)[AFFECTED, node]:
                until = min(run.now, fate[BACK_FROM, node])
                if fate[STARTED, node] + after_ns(run, node) <= until:
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good


# -- what comes next -------------------------------------------------------------------------------


@compiled
def _advance(run):
    if run.makespan < NEVER:
        return
    if run.phase == WAVE_OUT and _is_wave_over(run, run.waves_open - 1):
        _finish_wave(run)
    if run.phase == BAKED:
        _look_beyond_wave(run)
    if run.state == PAUSED:
        return
    if run.promotion_wanted:
        _promote(run)
    _admit_returned(run)
    if run.phase == READY:
        _send_next(run)
    if run.phase == MAIN:
        _keep_going(run)
    if run.phase == DONE:
        _end(run, COMPLETED, False)


@compiled
def _left(run):
    return run.nodes - run.next_turn


@compiled
def _finish_wave(run):
    """Bake after a wave, if there is another: any wave under barrier pacing, else the canaries only."""
    is_canary = run.waves_open == 1 and policy_of(run).canaries > 0
    bakes = _left(run) > 0 and (policy_of(run).pacing == _BARRIER or is_canary)
    if bakes and run.bake_time:
        run.phase = BAKE
        _count_down(run, BAKE_CLOCK, run.bake_time)
    else:
        _look_beyond_wave(run)


@compiled
def _look_beyond_wave(run):
    if run.waves_open == 1 and policy_of(run).canaries > 0 and not run.promoted:
        run.phase = AWAIT
        if policy_of(run).auto_promote:
            run.promotion_wanted = True
        else:
            _count_down(run, OPERATOR_CLOCK, run.promote_after)
    else:
        run.phase = READY if _left(run) else DONE


@compiled
def _promote(run):
    run.promotion_wanted = False
    run.promoted = True
    run.clock = NO_CLOCK
    run.phase = READY if _left(run) else DONE


@compiled
def _send_next(run):
    plan = policy_of(run)
    canaries_first = plan.canaries > 0 and run.waves_open == 0
    if plan.pacing == _BARRIER or canaries_first:
        _open_wave(run)
        send_wave(run, size_of_wave(run, run.waves_open - 1))
        run.phase = WAVE_OUT
        return
    run.phase = MAIN
    if plan.pacing == _SLIDING:
        _open_wave(run)
    elif plan.canaries:
        _batch_is_due(run)


@compiled
def _open_wave(run):
    begins_of(run)[run.waves_open] = run.now
    run.waves_open += 1


@compiled
def _keep_going(run):
    """Sliding and rate pacing: fill free slots, or send a batch that is due; one step a look."""
    plan = policy_of(run)
    left = _left(run)
    count = np.int64(0)
    if plan.pacing == _SLIDING:
        wave = run.waves_open - 1
        held = waves(run)[HOLDING, wave] if run.failed_node_holds_slot else np.int64(0)
        count = min(plan.parallel - waves(run)[UNRESOLVED, wave] - held, left)
    else:
        sent = run.waves_open - (1 if plan.canaries else 0)
        if left and sent < run.batches_due:
            _open_wave(run)
            count = size_of_wave(run, run.waves_open - 1)
            if sent + 1 < run.batches_due:
                run.is_rung = True
    if count > 0:
        _give_turns(run, count)
    elif not left and run.waves_over == run.waves_open:
        run.phase = DONE


# -- pausing and ending ----------------------------------------------------------------------------


@compiled
def _pause(run):
    run.state = PAUSED
    if run.clocks_stop and run.clock != NO_CLOCK and not run.clock_is_frozen:
        run.clock_left -= run.now - run.clock_since
        run.clock_is_frozen = True


@compiled
def _resume(run):
    run.state = IN_PROGRESS
    if run.clock != NO_CLOCK and run.clock_is_frozen:
        run.clock_is_frozen = False
        run.clock_since = run.now


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


# -- going back ------------------------------------------------------------------------------------


@compiled
def _act_on_rollback(run):
    """Begin to go back, send the next wave, or end (the reference engine's Rollback.act)."""
    fate, turns = fates(run), lists(run)
    if not run.rollback_is_asked or run.rollback_ended < NEVER:
        return
    if not run.rollback_has_begun:
        run.rollback_has_begun = True
        for node in range(run.nodes):
            turns[ROLLED_WAVE, node] = -1
        for place in range(run.n_touched):
            node = turns[TOUCHED, place]
            if fate[BACK_FROM, node] == NEVER:
                turns[ROLLED, run.n_rolled] = node
                run.n_rolled += 1
    size = policy_of(run).parallel if run.rollback_in_waves else run.nodes
    while run.rolled_sent < run.n_rolled and run.rolled_in_wave == 0:
        last = min(run.rolled_sent + size, run.n_rolled)
        run.rolled_wave += 1
        for place in range(run.rolled_sent, last):
            node = turns[ROLLED, place]
            if fate[BACK_FROM, node] == NEVER:
                _go_back(run, node)
            # A node that went back by itself before its turn may be back already.
            if fate[BACK_UNTIL, node] == NEVER:
                turns[ROLLED_WAVE, node] = run.rolled_wave
                run.rolled_in_wave += 1
        run.rolled_sent = last
    if run.rolled_sent == run.n_rolled and run.rolled_in_wave == 0 and run.going_back == 0:
        run.rollback_ended = run.now


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
