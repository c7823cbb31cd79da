"""When a rollout has too many failures (model section 4), for compiled code, as in `simdeploy.rules.limits`."""

from __future__ import annotations

from simdeploy.engines.compiled.access import is_wave_over, policy_of, size_of_wave, terms_of_wave, waves, zone_failed
from simdeploy.engines.compiled.codes import ALL_CANARIES_HEALTHY, JUDGED_AT_ONCE, OF_RESOLVED, OF_WAVE
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.tables import WAVE_FAILED


@compiled
def is_limit_crossed(limits, failed, updated, wave_failed, wave_size, total, counted):
    """Tell whether the limits of the API stop a rollout with these counts; `max_failed_nodes` limits `counted`."""
    if not limits.has_limits:
        return False
    by_count = counted >= limits.stopping_count
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
def _is_own_limit_crossed(run, wave):
    """Tell whether a limit of a wave alone, or of a zone, is crossed."""
    policy = policy_of(run)
    if policy.has_wave_limits:
        terms, failed = terms_of_wave(run, wave), waves(run)[WAVE_FAILED, wave]
        if _is_crossed_by(failed, size_of_wave(run, wave), terms.count, terms.top, terms.bottom, policy.own_reaches):
            return True
    if policy.watches_zones:
        for zone in range(run.zones):
            failed, size = zone_failed(run)[zone], (run.nodes - zone + run.zones - 1) // run.zones
            if _is_crossed_by(failed, size, policy.zone_count, policy.zone_top, policy.zone_bottom, policy.own_reaches):
                return True
    return False


@compiled
def _is_crossed_by(failed, of, count, top, bottom, reaches):
    if failed == 0:
        return False
    have, allowed = failed * bottom, top * of
    return failed >= count or have > allowed or (have == allowed and reaches)


@compiled
def note_verdict(run, node, has_failed):
    """Record a verdict that counts, for deadlines, and for limits on counts that the deployment doesn't show."""
    if has_failed:
        note_failure(run)
        if policy_of(run).watches_zones:
            zone_failed(run)[node % run.zones] += 1
        return
    run.progress_since = run.now
    if run.now != run.ran_last_at:
        run.ran_last_at = run.now
        run.failed_in_a_row = run.failed_then if run.now == run.failed_last_at else 0


@compiled
def note_failure(run):
    """Record a failure in a row: of a node, or of a try."""
    if run.now != run.failed_last_at:
        run.failed_last_at, run.failed_then = run.now, 0
    run.failed_then += 1
    run.failed_in_a_row += 1


@compiled
def reset_tally(run):
    """Reset the counts for limits to the start of a rollout."""
    run.failed_in_a_row = run.failed_last_at = run.failed_then = 0
    run.ran_last_at = -1
    if policy_of(run).watches_zones:
        for zone in range(run.zones):
            zone_failed(run)[zone] = 0


@inlined
def _is_wave_limit_crossed(run, wave):
    policy, wave_failed, counted = policy_of(run), waves(run)[WAVE_FAILED, wave], run.failed
    if run.has_more:
        if _is_own_limit_crossed(run, wave):
            return True
        counted = run.failed_in_a_row if policy.in_a_row else run.failed + run.earlier_tries
    return is_limit_crossed(policy, run.failed, run.updated, wave_failed, size_of_wave(run, wave), run.nodes, counted)


@compiled
def is_crossed(run, judged_before):
    """Tell whether a limit, or the gate of the canaries, is crossed now.

    Under a reporting delay several waves, from `judged_before` on, may have verdicts that were not judged yet.
    """
    wave = run.waves_open - 1
    wave_failed = waves(run)[WAVE_FAILED, wave]
    if policy_of(run).canaries and run.promoted_waves == 0 and run.canary_gate == ALL_CANARIES_HEALTHY and wave_failed:
        return True
    if not run.reporting_delay or not (policy_of(run).percent_of == OF_WAVE or policy_of(run).has_wave_limits):
        return _is_wave_limit_crossed(run, wave)
    for judged in range(judged_before, run.waves_open):
        if (run.limits_judged == JUDGED_AT_ONCE or is_wave_over(run, judged)) and _is_wave_limit_crossed(run, judged):
            return True
    return False


@compiled
def might_stop(run, wave, n_failed):
    """Tell whether the rollout might stop, or pause, when `n_failed` more nodes of the wave have failed."""
    policy = policy_of(run)
    failed, wave_failed = run.failed + n_failed, waves(run)[WAVE_FAILED, wave] + n_failed
    if failed == 0:
        return False
    if wave_failed and wave == 0 and policy.canaries and run.canary_gate == ALL_CANARIES_HEALTHY:
        return True
    if not policy.has_limits:
        return False
    if policy.percent_of == OF_RESOLVED or policy.minimum_sample > 0:
        return True
    return is_limit_crossed(policy, failed, run.updated, wave_failed, size_of_wave(run, wave), run.nodes, failed)
