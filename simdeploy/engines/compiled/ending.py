"""Pauses and ends of a rollout, and when service is restored after them (model section 4), for compiled code."""

from __future__ import annotations

from numba import types

from simdeploy.engines.compiled.access import fates, walk_at
from simdeploy.engines.compiled.clock import NO_CLOCK, freeze_clock, thaw_clock
from simdeploy.engines.compiled.codes import COMPLETED, IN_PROGRESS, PAUSED
from simdeploy.engines.compiled.exposure import begin_crashes, crash_rate, is_disturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.spells import CRASH, reach
from simdeploy.engines.compiled.tables import BACK_FROM, NEVER, STARTED


@compiled
def pause(run):
    run.state = PAUSED
    if run.clocks_stop and run.clock != NO_CLOCK and not run.clock_is_frozen:
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
    """Return the end of all integrals, NEVER if there is none; valid only at the end of the run."""
    if run.makespan == NEVER:
        return NEVER
    escaped = run.state == COMPLETED and run.defective
    if run.state == COMPLETED and not escaped:
        return run.makespan
    if run.undone:
        return restored_at(run)
    return run.makespan + (run.escape_detection if escaped else 0)


@compiled
def restored_at(run):
    """Return when the rollback has ended and nodes that the release crashed are up again, NEVER if it doesn't end."""
    if run.rollback_ended == NEVER or not run.goes_down or run.kind < 0 or run.crash_rate <= 1.0:
        return run.rollback_ended
    return _recovered_at(run)


@part("recoveries", returns=types.int64, seconds=0.3)
def _recovered_at(run):
    """Return the last end of the crashes that the release caused and that were in progress when the rollback ended."""
    fate, ended = fates(run), run.rollback_ended
    recovered = ended
    for node in range(run.nodes):
        began, back = fate[STARTED, node], fate[BACK_FROM, node]
        if began == NEVER or back == NEVER or not is_disturbed(run, node) or crash_rate(run, node) <= 1.0:
            continue
        walk = walk_at(run, CRASH)
        begin_crashes(walk, run, node, began, back)
        reach(run, walk, ended)
        if walk.is_bad and began <= walk.start < back:
            recovered = max(recovered, walk.end)
    return recovered
