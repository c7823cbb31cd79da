"""Reasons to stop or pause a rollout (model section 4), for compiled code: limits, deadlines, gates, and failed nodes that block it."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import is_wave_over, policy_of, waves
from simdeploy.engines.compiled.codes import (
    FAILED,
    HELD_SLOTS_FAIL,
    JUDGED_AT_WAVE_END,
    ON_FAILURE_PAUSE,
    ON_FAILURE_ROLLBACK,
    ON_FAILURE_STOP,
    PAUSED,
    SLIDING,
)
from simdeploy.engines.compiled.deadlines import tell_deadline
from simdeploy.engines.compiled.dispatch import nodes_left
from simdeploy.engines.compiled.ending import end, pause
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.limits import is_crossed
from simdeploy.engines.compiled.pacing import freezes_any, is_promotion_awaited
from simdeploy.engines.compiled.slots import is_stuck
from simdeploy.engines.compiled.tables import NEVER, UNRESOLVED


@compiled
def judge(run):
    alarm = run.gate_alarm
    run.gate_alarm = False
    if run.makespan < NEVER:
        return
    if run.has_more and policy_of(run).counts_each and not alarm and not _completes_now(run):
        alarm = tell_deadline(run)
    # A sliding wave ends with the rollout.
    at_wave_end = run.limits_judged == JUDGED_AT_WAVE_END and policy_of(run).pacing != SLIDING
    is_crossed_now = alarm
    # A wave may be over without a further verdict, if its last nodes were passed over.
    if alarm or (run.waves_over > run.waves_judged if at_wave_end else run.news):
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
    if not is_crossed_now and not (run.all_slots_held == HELD_SLOTS_FAIL and _find_stuck(run)):
        return
    if run.on_failure == ON_FAILURE_ROLLBACK or run.on_failure == ON_FAILURE_STOP:
        undo = run.on_failure == ON_FAILURE_ROLLBACK and not policy_of(run).no_auto_rollback
        end(run, FAILED, undo)
        return
    run.acknowledged_failures = run.failed + run.earlier_tries
    if run.on_failure == ON_FAILURE_PAUSE and run.state != PAUSED:
        pause(run)


@compiled
def _find_stuck(run):
    """Report once whether failed nodes block all others while none is in flight."""
    if run.was_stuck:
        return False
    unresolved = np.int64(0)
    for wave in range(run.waves_open):
        unresolved += waves(run)[UNRESOLVED, wave]
    if freezes_any(run):
        run.was_stuck = unresolved == run.waiting
    else:
        run.was_stuck = unresolved == 0 and is_stuck(run)
    return run.was_stuck


@compiled
def _completes_now(run):
    """Tell whether the rollout is complete at the end of this instant, unless people act."""
    if nodes_left(run) or run.waves_over < run.waves_open:
        return False
    return not is_promotion_awaited(run) and run.state != PAUSED
