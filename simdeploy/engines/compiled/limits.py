"""When a rollout has failed too often (model section 4), for compiled code: `simdeploy.rules.limits` once more."""

from __future__ import annotations

from simdeploy.engines.compiled.codes import OF_RESOLVED, OF_WAVE
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.tables import WAVE_FAILED, is_wave_over, policy_of, size_of_wave, waves


@compiled
def is_limit_crossed(limits, failed, updated, wave_failed, wave_size, total):
    """Tell whether the limits stop a rollout with these counts, in whole numbers."""
    if not limits.has_limits or failed == 0:
        return False
    by_count = failed >= limits.stopping_count
    resolved = failed + updated
    among, of = failed, total
    if limits.percent_of == OF_RESOLVED:
        of = resolved
    elif limits.percent_of == OF_WAVE:
        among, of = wave_failed, wave_size
    have, allowed = among * limits.bottom, limits.top * of
    by_percent = (
        resolved >= limits.minimum_sample
        and among > 0
        and of >= 1
        and (have > allowed or (have == allowed and limits.reaches))
    )
    return (by_count and by_percent) if limits.both else (by_count or by_percent)


@compiled
def is_crossed(run, judged_before):
    """Tell whether a limit, or the gate of the canaries, is crossed now.

    Under a reporting delay several waves may have verdicts that were not judged yet, from `judged_before` on.
    """
    wave = run.waves_open - 1
    wave_failed = waves(run)[WAVE_FAILED, wave]
    if policy_of(run).canaries and not run.promoted and run.gate_all_healthy and wave_failed:
        return True
    if not run.reporting_delay or policy_of(run).percent_of != OF_WAVE:
        size = size_of_wave(run, wave)
        return is_limit_crossed(policy_of(run), run.failed, run.updated, wave_failed, size, run.nodes)
    for judged in range(judged_before, run.waves_open):
        if not run.judged_at_wave_end or is_wave_over(run, judged):
            wave_failed, size = waves(run)[WAVE_FAILED, judged], size_of_wave(run, judged)
            if is_limit_crossed(policy_of(run), run.failed, run.updated, wave_failed, size, run.nodes):
                return True
    return False


@compiled
def might_stop(run, wave, n_failed):
    """Tell whether the rollout might stop, or pause, when `n_failed` more nodes of the wave have failed."""
    policy = policy_of(run)
    failed, wave_failed = run.failed + n_failed, waves(run)[WAVE_FAILED, wave] + n_failed
    if failed == 0:
        return False
    if wave_failed and wave == 0 and policy.canaries and run.gate_all_healthy:
        return True
    if not policy.has_limits:
        return False
    if policy.percent_of == OF_RESOLVED or policy.minimum_sample > 0:
        return True
    return is_limit_crossed(policy, failed, run.updated, wave_failed, size_of_wave(run, wave), run.nodes)
