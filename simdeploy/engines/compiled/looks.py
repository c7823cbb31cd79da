"""The visible state of a rollout at the end of an instant (see `simdeploy.engines.looks`), for compiled code."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled.access import (
    drawn,
    fates,
    lists,
    look_times,
    looks,
    needed_of,
    node_looks,
    policy_of,
    policy_of_node,
    windows_from,
)
from simdeploy.engines.compiled.codes import (
    NODE_FAILED,
    NODE_PENDING,
    NODE_REMOVED,
    NODE_ROLLBACK_FAILED,
    NODE_ROLLED_BACK,
    NODE_ROLLING_BACK,
    NODE_RUNNING,
    NODE_SKIPPED,
    NODE_STARTING,
    NODE_STOPPED,
    NODE_VALIDATING,
    UNREACHABLE_SKIP,
)
from simdeploy.engines.compiled.gates import judges_waves
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    BACK_UNTIL,
    DEADLINE,
    DISPATCHED,
    HAS_FAILED,
    HEARD,
    NEVER,
    RESOLVED,
    ROLLBACK,
    STARTED,
    TOUCHED,
    UNHEARD,
    WAVE,
)
from simdeploy.engines.looks import NOT_THERE


@compiled
def begin_looks(run):
    """Reset looks to the start of a rollout."""
    run.looks_taken = run.first_look
    run.looked_from = 0
    _find_next(run, -1)


@compiled
def _find_next(run, last):
    """Find the time of the next look, after a last one."""
    run.look_at = look_times(run)[run.looks_taken] if run.looks_taken < run.last_look else NEVER
    if run.nodes_look_at > last:
        run.look_at = min(run.look_at, run.nodes_look_at)


@part("looks", types.int64, seconds=0.4)
def look_until(run, until):
    """Take all looks before a time, if there is no event until then."""
    while run.look_at < until:
        at = run.look_at
        while run.looks_taken < run.last_look and look_times(run)[run.looks_taken] == at:
            _look(run, at)
            run.looks_taken += 1
        if run.nodes_look_at == at:
            for node in range(run.nodes):
                _look_at_node(run, node, at)
        _find_next(run, at)


@compiled
def _look(run, at):
    look = looks(run)[run.row, run.looks_taken]
    look.state = run.state
    look.current_wave = run.waves_open
    look.updated_nodes = run.updated
    look.failed_nodes = run.failed
    look.canary_promoted = policy_of(run).canaries > 0 and run.promoted_waves > 0
    look.awaited_nodes = run.waiting - run.n_up_again if run.makespan == NEVER else NOT_THERE
    look.completed_ns = _or_not_there(run.makespan)
    look.last_progress_ns = max(run.last_turn_at, run.last_count_at)
    first, last = NEVER, -1
    if run.makespan == NEVER:
        heard = fates(run)[HEARD if run.goes_offline else RESOLVED]
        while run.looked_from < run.n_touched and heard[lists(run)[TOUCHED, run.looked_from]] <= at:
            run.looked_from += 1
        for place in range(run.looked_from, run.n_touched):
            deadline = _deadline_at(run, lists(run)[TOUCHED, place], at)
            if deadline >= 0:
                first, last = min(first, deadline), max(last, deadline)
    look.health_check_deadline_ns = _or_not_there(first)
    look.healthy_deadline_ns = last if last >= 0 else NOT_THERE


@compiled
def _or_not_there(t):
    return t if t < NEVER else NOT_THERE


@compiled
def _deadline_at(run, node, at):
    """Return the deadline of a node in flight; -1 if it has none or none is known yet."""
    rule, fate = policy_of_node(run, node), fates(run)
    heard = fate[HEARD if run.goes_offline else RESOLVED, node]
    if not rule.is_checked or run.leaves or heard <= at:
        return -1
    if rule.from_dispatch:
        if rule.retries == 0:
            return fate[DISPATCHED, node] + rule.deadline
        # The deadline of a try that hasn't begun is not known.
        begins = fate[DEADLINE, node] - rule.deadline
    else:
        begins = windows_from(run, node) if needed_of(run, node) > 0 or judges_waves(rule) else NEVER
    return begins + rule.deadline if begins <= at else -1


@compiled
def _look_at_node(run, node, at):
    fate, look = fates(run), node_looks(run)[run.row, run.first_node_look + node]
    look.dispatched_ns = _if_by(fate[DISPATCHED, node], at)
    look.started_ns = _if_by(fate[STARTED, node], at)
    look.resolved_ns = _if_by(fate[RESOLVED, node], at)
    look.status = _status_at(run, node, at)


@compiled
def _if_by(t, at):
    return t if t <= at else NOT_THERE


@compiled
def _status_at(run, node, at):
    fate = fates(run)
    if fate[DISPATCHED, node] > at:
        if fate[HAS_FAILED, node]:
            return NODE_FAILED
        return NODE_SKIPPED if fate[WAVE, node] and run.unreachable_nodes == UNREACHABLE_SKIP else NODE_PENDING
    if fate[BACK_FROM, node] <= at:
        if fate[BACK_UNTIL, node] > at:
            return NODE_ROLLING_BACK
        if drawn(run)[ROLLBACK, node] < 0:
            return NODE_ROLLBACK_FAILED
        return NODE_REMOVED if run.begins else NODE_ROLLED_BACK
    if run.goes_offline and fate[UNHEARD, node] and fate[HEARD, node] <= min(at, run.makespan):
        return NODE_FAILED
    if fate[RESOLVED, node] <= at:
        if run.leaves:
            return NODE_STOPPED
        return NODE_FAILED if fate[HAS_FAILED, node] else NODE_RUNNING
    return NODE_VALIDATING if windows_from(run, node) <= at else NODE_STARTING
