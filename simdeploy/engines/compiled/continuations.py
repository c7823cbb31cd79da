"""A world with several continuations, for compiled code: its numbers are drawn once."""

from __future__ import annotations

from simdeploy.engines.compiled.access import continuation_at
from simdeploy.engines.compiled.controller import run_rollout
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.responses import measure


@compiled
def run_continuations(run, index):
    """Run each continuation of the current world; False if one has more spells, or looks, than there is room for."""
    for number in range(len(index)):
        continuation = continuation_at(run, number)
        if continuation.stem >= 0 and continuation_at(run, continuation.stem).ended < continuation.parts_at:
            # Differences after the end have no effect.
            continuation.ended = continuation_at(run, continuation.stem).ended
            index[number] = index[continuation.stem]
            continue
        run.policy = 0
        run.first_act, run.last_act = continuation.first_act, continuation.last_act
        run.first_look, run.last_look = continuation.first_look, continuation.last_look
        run.nodes_look_at, run.first_node_look = continuation.nodes_look_at, continuation.first_node_look
        run.planned_change_at, run.next_policy = continuation.change_at, continuation.next_policy
        run.work_rollouts += 1
        run_rollout(run)
        if run.is_full or not measure(run):
            return False
        continuation.ended = run.makespan
        index[number] = run.n_outcomes
        run.n_outcomes += 1
    return True
