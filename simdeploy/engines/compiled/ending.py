"""Pauses and ends of a rollout, and when service is restored after them (model section 4), for compiled code."""

from __future__ import annotations

from simdeploy.engines.compiled.clock import NO_CLOCK, freeze_clock, thaw_clock
from simdeploy.engines.compiled.codes import CLOCKS_STOP, COMPLETED, IN_PROGRESS, PAUSED
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.tables import NEVER


@compiled
def pause(run):
    run.state = PAUSED
    if run.paused_clocks == CLOCKS_STOP and run.clock != NO_CLOCK and not run.clock_is_frozen:
        freeze_clock(run)


@compiled
def resume(run):
    run.state = IN_PROGRESS
    if run.clock != NO_CLOCK and run.clock_is_frozen:
        thaw_clock(run)


@compiled
def end(run, how, undo):
    run.state = how
    run.makespan = run.now
    run.clock = NO_CLOCK
    if not run.undone:
        return
    if undo or (how != COMPLETED and run.n_touched == 0):
        run.rollback_is_asked = True
        run.is_rung = True
    elif how != COMPLETED or run.defective:
        run.undoing_is_pending = True
        run.undone_at = run.now + (run.escape_detection if how == COMPLETED else run.undo_after)


@compiled
def horizon_of(run):
    """Return when service is restored, NEVER if it never is; valid only at the end of the run."""
    if run.makespan == NEVER:
        return NEVER
    escaped = run.state == COMPLETED and run.defective
    if run.state == COMPLETED and not escaped:
        return run.makespan
    if run.undone:
        return run.rollback_ended
    return run.makespan + (run.escape_detection if escaped else 0)
