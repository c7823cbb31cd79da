"""Changes of a rollout's policy (model section 9), for compiled code."""

from __future__ import annotations

from simdeploy.engines.compiled.access import bakes, policy_of, sizes, waves
from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.pacing import AWAIT
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.quick import set_quick_words
from simdeploy.engines.compiled.tables import N_WAVE, NEVER


@part("changes", seconds=0.2)
def change_policy(run):
    """Switch to the next policy; nodes already dispatched keep their health check."""
    run.change_at = NEVER
    if run.makespan < NEVER:
        return
    before = policy_of(run)
    run.first_policy, run.policy, run.changed_at = run.policy, run.next_policy, run.now
    after = policy_of(run)
    if after.pacing == BARRIER and not after.is_list:
        _plan_waves(run, before, after)
    if after.rollout_deadline != before.rollout_deadline:
        run.is_late = False
    if before.progress_deadline == NEVER:
        run.progress_stands_still = True  # its clock begins now
    run.news = True
    if run.phase == AWAIT and after.auto_promote:
        run.promotion_wanted = True
    set_quick_words(run)


@compiled
def _plan_waves(run, before, after):
    """Plan the waves that have not been opened by the new policy."""
    size_of, bake_of, done = sizes(run), bakes(run), 0
    n = 0
    while done < run.nodes:
        size = min(after.parallel, run.nodes - done)
        if n < run.waves_open:
            size = size_of[before.first_size + n]
        else:
            if n == 0 and after.canaries:
                size = after.canaries
            for row in range(N_WAVE):
                waves(run)[row, n] = 0
        size_of[after.first_size + n] = size
        bake_of[after.first_size + n] = run.bake_time
        done += size
        n += 1
    bake_of[after.first_size + n - 1] = 0
