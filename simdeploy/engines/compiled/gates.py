"""Gates in a run (model section 8), for compiled code: waves that wait for the verdict of their gate, and looks at them."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled.access import (
    drawn,
    fates,
    is_surged,
    is_wave_over,
    lists,
    needed_of,
    policy_of,
    policy_of_node,
    size_of_wave,
    waves,
    windows_from,
)
from simdeploy.engines.compiled.ahead import reset_ahead
from simdeploy.engines.compiled.clock import (
    FAILS_TRY,
    GETS_VERDICT,
    GOES_BACK,
    HAS_STARTED,
    IS_LOOKED_AT,
    IS_OBSERVED,
    LAST,
    MEETS_DEADLINE,
    enqueue,
)
from simdeploy.engines.compiled.codes import CUSUM
from simdeploy.engines.compiled.gates_at_once import goes_to_next_look, pass_together
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.judge import FAILS, NO_VERDICT, PASSES, take_look, without_verdict
from simdeploy.engines.compiled.line import set_heard
from simdeploy.engines.compiled.node import go_back, hear_of
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.pools import let_serve
from simdeploy.engines.compiled.slots import expect_free_slot, give_up_slot
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    CAN_TELL,
    DEADLINE,
    DUE,
    FIRST_DUE,
    FIRST_PLACE,
    FIRST_START,
    GATE_BEGUN,
    GATE_VERDICT,
    HAS_FAILED,
    HEARD,
    LAST_OBSERVED,
    LOOK_DUE,
    NEVER,
    OBSERVED,
    ORDER,
    RESOLVED,
    STARTED,
    TRIED,
    TURNS,
    UNRESOLVED,
    WAITING,
    WAVE,
    WINDOWS,
)


@compiled
def judges_waves(policy):
    """Tell whether a gate judges the requests of whole waves."""
    return policy.gate >= 0 and policy.gate != CUSUM


@compiled
def reset_gates(run):
    """Reset the gates' part of the table of waves, which is 0 otherwise."""
    for wave in range(policy_of(run).n_waves):
        waves(run)[GATE_BEGUN, wave] = waves(run)[FIRST_START, wave] = NEVER
        waves(run)[FIRST_DUE, wave] = LAST
    run.looks_due = run.n_due = run.n_ranked = 0
    run.n_running = run.n_watched = 0
    run.is_full = False
    reset_ahead(run)
    run.gate_alarm = run.look_at_running = run.watch_has_ended = False
    run.watch_at = NEVER
    run.watch_looks = run.watched_seen = run.watched_bad = run.watched_windows = run.watched_requests = 0
    run.watched_sum = 0.0


@compiled
def expect(run, node):
    """Queue the events of a dispatched node."""
    fate, policy = fates(run), policy_of(run)
    if run.has_more:
        expect_free_slot(run, node)
        if _expects_further_try(run, node):
            return
    if run.shared and windows_from(run, node) < NEVER:
        # Its windows depend on what other nodes do meanwhile.
        fate[WINDOWS, node] = 0
        fate[OBSERVED, node] = NEVER
        enqueue(run, windows_from(run, node), node, HAS_STARTED)
        if needed_of(run, node) > 0:
            return
        if judges_waves(policy):
            fate[RESOLVED, node] = NEVER
        else:
            _expect_verdict(run, node)
        return
    if judges_waves(policy) and fate[STARTED, node] < NEVER:
        table, wave, started = waves(run), fate[WAVE, node] - 1, fate[STARTED, node]
        # Later starts change nothing, unless the wave has failed.
        if run.has_more or started < table[FIRST_START, wave] or table[GATE_VERDICT, wave] == FAILS:
            table[FIRST_START, wave] = min(table[FIRST_START, wave], started)
            enqueue(run, started, node, HAS_STARTED)
        if not fate[HAS_FAILED, node]:
            fate[OBSERVED, node] = fate[RESOLVED, node]
            fate[RESOLVED, node] = NEVER
            # The number if the gate never gives a verdict.
            fate[WINDOWS, node] = (fate[DEADLINE, node] - started) // policy.interval
            if run.has_more or table[GATE_VERDICT, wave] == PASSES:
                enqueue(run, fate[OBSERVED, node], node, IS_OBSERVED)
            else:
                _wait(run, node)
            return
    _expect_verdict(run, node)


@compiled
def _wait(run, node):
    """Let a node wait for its gate once it is observed long enough; of a wave's waiting nodes only the first deadline is queued."""
    table, wave = waves(run), fates(run)[WAVE, node] - 1
    table[WAITING, wave] += 1
    table[LAST_OBSERVED, wave] = max(table[LAST_OBSERVED, wave], fates(run)[OBSERVED, node])
    if fates(run)[DEADLINE, node] < table[FIRST_DUE, wave]:
        table[FIRST_DUE, wave] = fates(run)[DEADLINE, node]
        enqueue(run, fates(run)[DEADLINE, node], node, MEETS_DEADLINE)


@compiled
def _expects_further_try(run, node):
    """Queue the failure of a node's try instead of its verdict, unless it is the last one."""
    fate = fates(run)
    if not fate[HAS_FAILED, node] or fate[TRIED, node] >= policy_of_node(run, node).retries:
        return False
    if fate[STARTED, node] < NEVER and not policy_of_node(run, node).tries_unhealthy:
        return False
    enqueue(run, fate[RESOLVED, node], node, FAILS_TRY)
    fate[RESOLVED, node] = NEVER
    fate[HAS_FAILED, node] = 0
    return True


@compiled
def _expect_verdict(run, node):
    """Queue the verdict of a node if its time is known."""
    fate = fates(run)
    if not run.goes_offline:
        enqueue(run, fate[RESOLVED, node], node, GETS_VERDICT)
        return
    set_heard(run, node)
    enqueue(run, fate[HEARD, node], node, GETS_VERDICT)
    goes_back = fate[HAS_FAILED, node] and run.goes_back_by_itself
    if goes_back or (run.shared and (run.leaves or is_surged(run, node))):
        enqueue(run, fate[RESOLVED, node], node, GOES_BACK)


@part("waits", types.int64, types.int64, seconds=0.5)
def happens_before_gate(run, node, what):
    """Process the start of a node, the end of its own observation, its deadline, or a look at a wave."""
    fate, table = fates(run), waves(run)
    if what == IS_LOOKED_AT:
        wave = node
        is_open = table[GATE_VERDICT, wave] == NO_VERDICT and not is_wave_over(run, wave)
        if is_open and run.makespan == NEVER and not run.watch_has_ended:
            table[LOOK_DUE, wave] = 1
            run.looks_due += 1
            enqueue(run, run.now + policy_of(run).interval, wave, IS_LOOKED_AT)
        return
    if what == MEETS_DEADLINE and not _is_told_each(run):
        _meet_deadlines(run, fate[WAVE, node] - 1)
        return
    # Judged by the gate, or rolled back, meanwhile.
    if fate[RESOLVED, node] < run.now or fate[BACK_FROM, node] < NEVER:
        return
    wave = fate[WAVE, node] - 1
    if what == HAS_STARTED:
        if table[GATE_BEGUN, wave] == NEVER:
            table[GATE_BEGUN, wave] = run.now
            enqueue(run, run.now + policy_of(run).interval, wave, IS_LOOKED_AT)
        if table[GATE_VERDICT, wave] == FAILS and fate[RESOLVED, node] > run.now:
            _settle(run, node, True)
    elif fate[RESOLVED, node] < NEVER:
        return
    elif what == IS_OBSERVED:
        is_observed(run, node)
    else:
        _is_due(run, node)


@inlined
def _is_told_each(run):
    """Tell whether all events of nodes are queued one by one."""
    return run.has_more or run.shared


@inlined
def _is_due(run, node):
    lists(run)[DUE, run.n_due] = node
    run.n_due += 1
    run.is_rung = True


@compiled
def _meet_deadlines(run, wave):
    """Note the waiting nodes of a wave whose deadline is now, and queue the next deadline."""
    table, fate = waves(run), fates(run)
    if table[GATE_VERDICT, wave] != NO_VERDICT or table[FIRST_DUE, wave] != run.now:
        return
    following, first = LAST, table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        deadline = fate[DEADLINE, node]
        if fate[STARTED, node] == NEVER or fate[RESOLVED, node] < NEVER or fate[BACK_FROM, node] < NEVER:
            continue
        if deadline == run.now:
            _is_due(run, node)
        elif run.now < deadline < following:
            following = deadline
            next_node = node
    table[FIRST_DUE, wave] = following
    if following < LAST:
        enqueue(run, following, next_node, MEETS_DEADLINE)


@compiled
def is_observed(run, node):
    """Let a node that is observed long enough run if its gate has passed, or else wait for it."""
    table, wave = waves(run), fates(run)[WAVE, node] - 1
    if table[GATE_VERDICT, wave] == PASSES:
        _settle(run, node, False)
    elif table[GATE_VERDICT, wave] == NO_VERDICT:
        table[WAITING, wave] += 1
        table[FIRST_DUE, wave] = min(table[FIRST_DUE, wave], fates(run)[DEADLINE, node])
        give_up_slot(run, node)
        enqueue(run, fates(run)[DEADLINE, node], node, MEETS_DEADLINE)


@compiled
def _settle(run, node, fails):
    """Give a node the verdict of its gate."""
    fate = fates(run)
    fate[RESOLVED, node] = run.now
    fate[HAS_FAILED, node] = fails
    fate[WINDOWS, node] = (run.now - fate[STARTED, node]) // policy_of(run).interval
    if run.shared and not fails and is_surged(run, node):
        let_serve(run, node, 1)
    hear_of(run, node)
    if fails and run.goes_back_by_itself:
        run.any_went_by_itself = True
        go_back(run, node)


@compiled
def look_at_waves(run):
    """Look at the waves that are due, then settle nodes whose deadline has passed."""
    table, fate = waves(run), fates(run)
    if run.looks_due:
        run.looks_due = 0
        for wave in range(run.waves_open):
            if table[LOOK_DUE, wave]:
                table[LOOK_DUE, wave] = 0
                if not is_wave_over(run, wave) and run.makespan == NEVER:
                    verdict = take_look(run, wave, _is_observed(run, wave))
                    while verdict == NO_VERDICT and goes_to_next_look(run):
                        verdict = take_look(run, wave, _is_observed(run, wave))
                    if verdict != NO_VERDICT:
                        _speak(run, wave, verdict)
    if run.n_due:
        due = sort(lists(run)[DUE, : run.n_due])
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
    """Tell whether the observation is over: no node is still observed, or a waiting node's deadline precedes the next look."""
    table = waves(run)
    if table[TURNS, wave] == size_of_wave(run, wave) and table[UNRESOLVED, wave] == table[WAITING, wave]:
        if table[LAST_OBSERVED, wave] <= run.now:
            return True
    next_look = run.now + policy_of(run).interval
    if table[FIRST_DUE, wave] >= next_look and run.n_due == 0:
        return False
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
    is_queued = _is_told_each(run)
    if verdict == PASSES and pass_together(run, wave):
        return
    run.gate_alarm = run.gate_alarm or verdict == FAILS
    first = table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        if verdict == PASSES:
            if _is_waiting(run, node):
                _settle(run, node, False)
            elif not is_queued and fate[STARTED, node] < NEVER and fate[RESOLVED, node] == NEVER:
                enqueue(run, fate[OBSERVED, node], node, IS_OBSERVED)
        elif fate[STARTED, node] <= run.now and fate[RESOLVED, node] > run.now:
            _settle(run, node, True)
        elif not is_queued and run.now < fate[STARTED, node] < NEVER:
            enqueue(run, fate[STARTED, node], node, HAS_STARTED)
