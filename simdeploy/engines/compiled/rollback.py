"""The rollback, after a stop or once people notice an escape (model section 4), for compiled code."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import drawn, fates, lists, policy_of
from simdeploy.engines.compiled.drawing import set_rollbacks
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.node import go_back, send_back, stop_at_once
from simdeploy.engines.compiled.pools import let_serve, set_missed
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.tables import BACK_FROM, BACK_UNTIL, DUE, NEVER, ROLLBACK, ROLLED, ROLLED_WAVE, TOUCHED


@compiled
def has_returned(run, node):
    """Record that a node's rollback has ended, successfully or not."""
    fates(run)[BACK_UNTIL, node] = run.now
    run.going_back -= 1
    if drawn(run)[ROLLBACK, node] < 0:
        run.any_back_failed = True
    elif run.shared and run.begins:
        set_missed(run, node, False)
    elif run.shared:
        let_serve(run, node, 1)
    if run.rollback_has_begun and lists(run)[ROLLED_WAVE, node] == run.rolled_wave:
        run.rolled_in_wave -= 1
    if run.rollback_is_asked:
        run.is_rung = True


@compiled
def _obey_orders(run):
    """Roll back the nodes that an order has reached, after all other events of this instant."""
    reached = sort(lists(run)[DUE, : run.n_due])
    run.n_due = 0
    for node in reached:
        if fates(run)[BACK_FROM, node] == NEVER:
            go_back(run, node)


@compiled
def _go_back_unseen(run):
    """Roll back all nodes at once if their single returns don't matter; tell whether this was done."""
    fate, rolled = fates(run), lists(run)[ROLLED]
    if run.shared or run.goes_offline or run.going_back > 0 or run.goes_back_by_itself:
        return False
    if run.n_rolled:
        set_rollbacks(run)
    durations, longest = drawn(run)[ROLLBACK], np.int64(0)
    for place in range(run.n_rolled):
        duration = durations[rolled[place]]
        longest = max(longest, duration if duration >= 0 else -1 - duration)
    if run.now + longest >= NEVER:
        return False
    for place in range(run.n_rolled):
        node = rolled[place]
        duration = durations[node]
        run.any_back_failed |= duration < 0
        stop_at_once(run, node)
        fate[BACK_UNTIL, node] = run.now + (duration if duration >= 0 else -1 - duration)
    run.rollback_ended = run.now + longest
    return True


@compiled
def _pass_over_waves(run, size):
    """Pass over the next waves if all their nodes have rolled back by themselves."""
    rolled = lists(run)[ROLLED]
    while run.rolled_sent < run.n_rolled:
        last = min(run.rolled_sent + size, run.n_rolled)
        for place in range(run.rolled_sent, last):
            if fates(run)[BACK_UNTIL, rolled[place]] == NEVER:
                return
        run.rolled_sent = last


@compiled
def act_on_rollback(run):
    """Begin the rollback, send its next wave, or end it (the reference engine's Rollback.act)."""
    fate, turns = fates(run), lists(run)
    if run.goes_offline and run.n_due:
        _obey_orders(run)
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
    size = policy_of(run).rollback_size
    if size >= run.n_rolled and _go_back_unseen(run):
        return
    _pass_over_waves(run, size)
    while run.rolled_sent < run.n_rolled and run.rolled_in_wave == 0:
        if run.rolled_sent == 0:
            run.next_rollback = run.now
        elif run.next_rollback == NEVER:
            run.next_rollback = run.now + policy_of(run).rollback_delay
        if run.next_rollback > run.now:
            break
        run.next_rollback = NEVER
        last = min(run.rolled_sent + size, run.n_rolled)
        run.rolled_wave += 1
        for place in range(run.rolled_sent, last):
            node = turns[ROLLED, place]
            if fate[BACK_FROM, node] == NEVER:
                send_back(run, node)
            # A node that rolled back by itself before its turn may have ended already; an order may still be on its way.
            if fate[BACK_UNTIL, node] == NEVER:
                turns[ROLLED_WAVE, node] = run.rolled_wave
                run.rolled_in_wave += 1
        run.rolled_sent = last
        _pass_over_waves(run, size)
    if run.rolled_sent == run.n_rolled and run.rolled_in_wave == 0 and run.going_back == 0:
        run.rollback_ended = run.now
        run.next_rollback = NEVER
