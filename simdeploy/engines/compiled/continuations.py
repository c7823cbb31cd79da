"""A world that goes on in several ways, for compiled code: what it draws is drawn once."""

from __future__ import annotations

from simdeploy.engines.compiled.access import continuation_at
from simdeploy.engines.compiled.controller import run_rollout
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.responses import measure


@compiled
def run_continuations(run, index):
    """Run the world at hand in each of its ways; False if one has more spells, or looks, than there is room for."""
    for number in range(len(index)):
        one = continuation_at(run, number)
        if one.stem >= 0 and continuation_at(run, one.stem).ended < one.parts_at:
            # What comes after the end changes nothing.
            one.ended = continuation_at(run, one.stem).ended
            index[number] = index[one.stem]
            continue
        run.policy = 0
        run.first_act, run.last_act = one.first_act, one.last_act
        run.first_look, run.last_look = one.first_look, one.last_look
        run.nodes_look_at, run.first_node_look = one.nodes_look_at, one.first_node_look
        run.planned_change_at, run.next_policy = one.change_at, one.next_policy
        run.work_rollouts += 1
        run_rollout(run)
        if run.is_full or not measure(run):
            return False
        one.ended = run.makespan
        index[number] = run.n_outcomes
        run.n_outcomes += 1
    return True
