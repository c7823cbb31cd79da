"""What an operator does who looks at the canaries (model section 4), for compiled code."""

from __future__ import annotations

from simdeploy.engines.compiled.exposure import after_ns
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    BACK_FROM,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_STARTED,
    STARTED,
    UNHEARD,
    drawn,
    fates,
    relative,
)


@compiled
def rejects(run):
    """Tell whether the operator, looking at the nodes that had their turn, cancels instead of promoting."""
    fate = fates(run)
    if run.kind >= 0 and run.defective:
        for place in range(run.next_turn):
            node = drawn(run)[ORDER, place]
            # A node that was not heard of by its deadline tells the operator nothing.
            is_seen = not run.goes_offline or fate[UNHEARD, node] == 0
            if is_seen and fate[STARTED, node] <= run.now and drawn(run)[AFFECTED, node]:
                until = min(run.now, fate[BACK_FROM, node])
                if fate[STARTED, node] + after_ns(run, node) <= until:
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good


@compiled
def rejects_in_bundle(run, canaries, now):
    """Tell the same of a bundle of policies, whose canaries' fates are relative to the start of the rollout (see `barrier`)."""
    if run.kind >= 0 and run.defective:
        rel = relative(run)
        for position in range(canaries):
            started = rel[REL_STARTED, position]
            if started < NEVER and rel[REL_AFFECTED, position]:
                if started + after_ns(run, drawn(run)[ORDER, position]) <= now:
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good
