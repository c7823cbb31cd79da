"""The people (model section 4), for compiled code: acts of the script, and an operator who promotes or cancels."""

from __future__ import annotations

from simdeploy.engines.compiled.access import drawn, fates, is_wave_over, policy_of, relative, script
from simdeploy.engines.compiled.codes import (
    CANCELED,
    PAUSED,
    SCRIPT_CANCEL,
    SCRIPT_PAUSE,
    SCRIPT_PROMOTE,
    SCRIPT_RESUME,
)
from simdeploy.engines.compiled.ending import end, pause, resume
from simdeploy.engines.compiled.exposure import after_ns
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.pacing import is_promotion_awaited
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    BACK_FROM,
    DISPATCHED,
    HAS_FAILED,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_FAILED,
    REL_STARTED,
    STARTED,
    UNHEARD,
)


@compiled
def rejects(run):
    """Tell whether the operator, looking at the nodes that had their turn, cancels instead of promoting."""
    fate = fates(run)
    if run.kind >= 0 and run.defective:
        for place in range(run.next_turn):
            node = drawn(run)[ORDER, place]
            # The operator sees no defect on a node without a report by its deadline.
            is_seen = not run.goes_offline or fate[UNHEARD, node] == 0
            if is_seen and fate[DISPATCHED, node] < NEVER and drawn(run)[AFFECTED, node]:
                until = min(run.now, fate[BACK_FROM, node])
                if fate[HAS_FAILED, node] or _shows_while_running(run, node, fate[STARTED, node], until):
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good


@compiled
def rejects_in_bundle(run, canaries, now):
    """Tell the same for a bundle of policies; the canaries' fates are relative to the start of the rollout (see `barrier`)."""
    if run.kind >= 0 and run.defective:
        rel = relative(run)
        for position in range(canaries):
            if rel[REL_AFFECTED, position]:
                node, started = drawn(run)[ORDER, position], rel[REL_STARTED, position]
                if rel[REL_FAILED, position] or _shows_while_running(run, node, started, now):
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good


@compiled
def _shows_while_running(run, node, started, until):
    """Tell whether an affected node that did not fail was exposed long enough, by `until`, for the defect to show."""
    hurts_running_nodes = run.error_rate > 0 or run.crash_rate > 1
    return hurts_running_nodes and started < NEVER and started + after_ns(run, node) <= until


@compiled
def obey_script(run):
    while run.acts_done < run.acts_told:
        action = script(run)[run.acts_done, 1]
        run.acts_done += 1
        if run.makespan < NEVER:
            continue
        is_paused = run.state == PAUSED
        if action == SCRIPT_PAUSE and not is_paused:
            pause(run)
        elif action == SCRIPT_RESUME and is_paused:
            resume(run)
        elif action == SCRIPT_PROMOTE:
            if not run.promotion_wanted and is_promotion_awaited(run) and is_wave_over(run, run.waves_open - 1):
                run.promotion_wanted = True
        elif action == SCRIPT_CANCEL:
            end(run, CANCELED, not policy_of(run).no_auto_rollback)


@compiled
def obey_operator(run):
    run.operator_is_due = False
    if run.makespan < NEVER or not is_promotion_awaited(run) or run.promotion_wanted:
        return
    if rejects(run):
        end(run, CANCELED, not policy_of(run).no_auto_rollback)
    else:
        run.promotion_wanted = True
