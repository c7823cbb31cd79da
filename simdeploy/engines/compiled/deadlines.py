"""The deadlines of a whole rollout, for compiled code: the reference engine's `Deadlines`."""

from __future__ import annotations

from simdeploy.engines.compiled.access import policy_of
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.tables import NEVER


@compiled
def reset_deadlines(run):
    """Reset both deadlines to the start of a rollout."""
    run.is_late = False
    run.progress_since = 0
    run.progress_stands_still = True


@compiled
def let_progress_stand_still(run, stands_still):
    """Stop or restart the clock of progress."""
    if run.progress_stands_still and not stands_still:
        run.progress_since = run.now
    run.progress_stands_still = stands_still


@compiled
def next_deadline(run):
    """Return when the next deadline passes; NEVER if none is ahead."""
    policy = policy_of(run)
    following = NEVER
    if policy.rollout_deadline < NEVER and not run.is_late and policy.rollout_deadline > run.now:
        following = policy.rollout_deadline
    if policy.progress_deadline < NEVER and not run.progress_stands_still:
        cutoff = run.progress_since + policy.progress_deadline
        if cutoff > run.now:
            following = min(following, cutoff)
    return following


@compiled
def is_deadline_now(run):
    """Tell whether a deadline passes at this instant."""
    policy = policy_of(run)
    return (policy.rollout_deadline == run.now and not run.is_late) or (
        policy.progress_deadline < NEVER
        and not run.progress_stands_still
        and run.progress_since + policy.progress_deadline == run.now
    )


@compiled
def is_rollout_late(run):
    """Tell whether the deadline of the rollout has passed, and this was not reported."""
    return policy_of(run).rollout_deadline <= run.now and not run.is_late


@compiled
def tell_deadline(run):
    """Report once that a deadline has passed."""
    policy = policy_of(run)
    if is_rollout_late(run):
        run.is_late = True
        return True
    if policy.progress_deadline == NEVER or run.progress_stands_still:
        return False
    if run.now < run.progress_since + policy.progress_deadline:
        return False
    run.progress_since = NEVER  # until a node runs, or the clock restarts
    return True
