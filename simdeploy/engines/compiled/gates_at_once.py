"""Waves judged by a gate when no single node matters (see `gates`): all nodes of a wave wait, or pass, at once; and its looks."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import drawn, fates, is_wave_over, lists, policy_of, queue, waves
from simdeploy.engines.compiled.clock import (
    EVENT_MASK,
    GETS_VERDICT,
    HAS_STARTED,
    IS_LOOKED_AT,
    LAST,
    MEETS_DEADLINE,
    NO_CLOCK,
    dequeue,
    enqueue,
    next_visit,
)
from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import times_in
from simdeploy.engines.compiled.limits import might_stop
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import (
    DEADLINE,
    FIRST_DUE,
    FIRST_PLACE,
    FIRST_START,
    LAST_OBSERVED,
    NEVER,
    OBSERVED,
    ORDER,
    RESOLVED,
    STARTED,
    TOUCHED,
    TURNS,
    UNRESOLVED,
    WAITING,
    WINDOWS,
)


@part("together", types.int64, types.int64, seconds=0.2)
def wait_together(run, wave, before):
    """Let all touched nodes but the first `before` wait for the gate of their wave, as `expect` does for single nodes.

    They are dispatched now, and none fails by itself.
    """
    nodes = lists(run)[TOUCHED, before : run.n_touched]
    if len(nodes) == 0:
        return
    fate, table, policy = fates(run), waves(run), policy_of(run)
    interval, per_ns = policy.interval, 1.0 / policy.interval
    first_start, first_due, last_observed = np.int64(LAST), np.int64(LAST), np.int64(0)
    starter = first_late = np.int64(-1)
    for node in nodes:
        started, observed = fate[STARTED, node], fate[RESOLVED, node]
        deadline = (run.now if policy.from_dispatch else started) + policy.deadline
        fate[OBSERVED, node] = observed
        fate[RESOLVED, node] = NEVER
        fate[DEADLINE, node] = deadline
        fate[WINDOWS, node] = times_in(deadline - started, interval, per_ns)
        last_observed = max(last_observed, observed)
        starter = node if started < first_start else starter
        first_start = min(first_start, started)
        first_late = node if deadline < first_due else first_late
        first_due = min(first_due, deadline)
    table[WAITING, wave] += len(nodes)
    table[LAST_OBSERVED, wave] = max(table[LAST_OBSERVED, wave], last_observed)
    if first_start < table[FIRST_START, wave]:
        table[FIRST_START, wave] = first_start
        enqueue(run, first_start, starter, HAS_STARTED)
    if first_due < table[FIRST_DUE, wave]:
        table[FIRST_DUE, wave] = first_due
        enqueue(run, first_due, first_late, MEETS_DEADLINE)


@compiled
def pass_together(run, wave):
    """Let all nodes of a wave that has passed its gate run, at once or when each is observed; False if an act might follow meanwhile.

    Only the last verdict is queued, unless it is now; the others count at once.
    """
    fate, table, policy = fates(run), waves(run), policy_of(run)
    if run.has_more or run.shared or run.reporting_delay or policy.pacing != BARRIER or run.clock != NO_CLOCK:
        return False
    # The worst case for nodes that are queued, or up again, is their failure.
    n_failed = run.queued + run.n_up_again
    if table[LAST_OBSERVED, wave] >= next_visit(run) or might_stop(run, wave, n_failed):
        return False
    interval, per_ns = policy.interval, 1.0 / policy.interval
    n, lasts, last = np.int64(0), np.int64(-1), np.int64(-1)
    first = table[FIRST_PLACE, wave]
    for place in range(first, first + table[TURNS, wave]):
        node = drawn(run)[ORDER, place]
        started = fate[STARTED, node]
        if started < NEVER and fate[RESOLVED, node] == NEVER:
            resolved = max(fate[OBSERVED, node], run.now)
            fate[RESOLVED, node] = resolved
            fate[WINDOWS, node] = times_in(resolved - started, interval, per_ns)
            last = node if resolved > lasts else last
            lasts = max(lasts, resolved)
            n += 1
    if lasts > run.now:
        enqueue(run, lasts, last, GETS_VERDICT)
        n -= 1
    run.updated += n
    table[UNRESOLVED, wave] -= n
    if n and is_wave_over(run, wave):
        run.waves_over += 1
    run.last_count_at = run.now
    run.news = run.is_rung = True
    return True


@compiled
def goes_to_next_look(run):
    """Go to the next look at a wave, if there is no event until then and nothing else to do now, such as sending a batch."""
    at, events = run.now + policy_of(run).interval, queue(run)
    if not run.only_looks:
        return False
    if run.has_more or run.any_waits or run.shared or run.n_due or run.is_rung or run.clock != NO_CLOCK:
        return False
    if run.awaits_opening or next_visit(run) <= at or events[1, 0] & EVENT_MASK != IS_LOOKED_AT or events[0, 0] != at:
        return False
    for place in range(1, min(run.queued, 3)):
        if events[0, place] <= at:
            return False
    wave, _ = dequeue(run)
    run.now = at
    enqueue(run, at + policy_of(run).interval, wave, IS_LOOKED_AT)
    return True
