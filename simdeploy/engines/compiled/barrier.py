"""Barrier pacing in one pass for many policies: no queue, and whatever two policies share is worked out once.

Where nothing depends on the clock (no crashes, outages or degraded spells), a node's fate in time relative to its dispatch
is the same under every plan. So fates are found once per rule of judging nodes; rules under which all fates are equal share
what follows. A wave takes as long as its slowest node, and limits only say at which of the few failures the rollout stops:
one trajectory per plan serves all limits. Sums over whole waves make the outcome of each stop cheap.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    bake_after,
    begins_of,
    class_rule_of,
    drawn,
    lists,
    policy_of,
    relative,
    size_of_wave,
)
from simdeploy.engines.compiled.barrier_fates import meet_fates
from simdeploy.engines.compiled.barrier_outcomes import rate_at, requests_at, write_outcome
from simdeploy.engines.compiled.codes import CANCELED, COMPLETED, FAILED
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.people import rejects_in_bundle
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    TOUCHED,
)

_LOW = (1 << 32) - 1


@compiled
def prepare_barrier(run):
    """Put what a replication has by node into the order of dispatch, where trajectories need it so."""
    rel, draws = relative(run), drawn(run)
    run.has_rollback_sums = False
    run.quick_needed = -1
    if run.kind >= 0 and (run.defective or run.error_rate > 0):
        for position in range(run.nodes):
            rel[REL_AFFECTED, position] = draws[AFFECTED, draws[ORDER, position]]


@compiled
def follow_bundle(run, stops, places, whole, real):
    """Follow the rollout of a bundle of policies, which differ in their limits only, under the fates at hand.

    Parameters
    ----------
    stops : ndarray of int64
        Ascending: numbers of failed nodes at which one of the bundle's policies stops.
    places : ndarray of int64
        For each of them the row of its outcome; written here.
    whole, real : ndarray
        Rows of outcomes, from `run.n_outcomes` on.

    Returns
    -------
    bool
        False if these rollouts are to be run one by one: something else happens at the instant of a stop, or times are
        too long.
    """
    policy = policy_of(run)
    gate = policy.canaries > 0 and run.gate_all_healthy
    _reset_sums(run)
    failures = lists(run)[TOUCHED]
    wave = first = next_stop = 0
    begins = np.int64(0)
    while True:
        begins_of(run)[wave] = begins
        last = first + size_of_wave(run, wave)
        is_canary = wave == 0 and policy.canaries > 0
        n_failed, lasts = _look_at_wave(run, first, last, failures)
        everyone = is_canary and gate
        if n_failed and (everyone or stops[next_stop] <= run.sum_failed + n_failed):
            if run.judged_at_wave_end:
                failures[0] = lasts
                failures[n_failed - 1] = lasts
            else:
                _sort(failures, n_failed)
            place = 0
            while place < n_failed and next_stop < len(stops):
                t = failures[place]
                while place < n_failed and failures[place] == t:
                    place += 1
                if run.judged_at_wave_end:
                    place = n_failed
                if not everyone and stops[next_stop] > run.sum_failed + place:
                    continue
                if t == 0 or not write_outcome(run, FAILED, begins + t, wave, first, last, begins, whole, real):
                    return False
                while next_stop < len(stops) and (everyone or stops[next_stop] <= run.sum_failed + place):
                    places[next_stop] = run.n_outcomes - 1
                    next_stop += 1
            if next_stop == len(stops):
                return True
        _absorb_wave(run, begins)
        is_last = last == run.nodes
        begins += lasts
        run.last_start = begins
        begins += bake_after(run, wave)
        how = COMPLETED if is_last else 0
        if is_canary and not policy.auto_promote:
            begins += run.promote_after
            if rejects_in_bundle(run, policy.canaries, begins):
                how = CANCELED
        if how != 0:
            if not write_outcome(run, how, begins, wave, last, last, begins, whole, real):
                return False
            while next_stop < len(stops):
                places[next_stop] = run.n_outcomes - 1
                next_stop += 1
            return True
        wave += 1
        first = last


@compiled
def _reset_sums(run):
    run.sum_failed = run.sum_updated = run.sum_windows = run.sum_requests = run.sum_started = run.sum_hurt = (
        run.sum_stuck
    ) = 0
    run.sum_starts_high = run.sum_started_high = run.sum_hurt_high = run.sum_stuck_high = 0
    run.sum_starts_low = run.sum_started_low = run.sum_hurt_low = run.sum_stuck_low = 0
    run.sum_rate_starts = run.sum_rate_stuck = run.sum_rate_stuck_begins = 0.0
    run.most_out = 0


@compiled
def _look_at_wave(run, first, last, failures):
    """Sum up a wave and list its failures; return how many there are, and how long the wave takes."""
    meet_fates(run, last)
    rel = relative(run)
    started, resolved, failed, windows = rel[REL_STARTED], rel[REL_RESOLVED], rel[REL_FAILED], rel[REL_WINDOWS]
    lasts = n_started = high = low = n_windows = at_once = np.int64(0)
    n_failed = 0
    for position in range(first, last):
        start = started[position]
        has_started = start < NEVER
        lasts = max(lasts, resolved[position])
        n_started += has_started
        high += (start >> 32) if has_started else 0
        low += (start & _LOW) if has_started else 0
        n_windows += windows[position]
        at_once += start == 0
    for position in range(first, last):
        failures[n_failed] = resolved[position]
        n_failed += failed[position]
    run.wave_size = last - first
    run.wave_failed = n_failed
    run.wave_started = n_started
    run.wave_starts_high, run.wave_starts_low = high, low
    run.wave_windows = n_windows
    if run.n_classes == 1:
        run.wave_requests = n_windows * class_rule_of(run, policy_of(run), 0).requests
    else:
        run.wave_requests = 0
        for position in range(first, last):
            run.wave_requests += windows[position] * requests_at(run, policy_of(run), position)
    run.wave_at_once = at_once
    if not run.is_even:
        rate_starts = rate_stuck = 0.0
        for position in range(first, last):
            rate = rate_at(run, position)
            if started[position] < NEVER:
                rate_starts += rate * started[position]
            else:
                rate_stuck += rate
        run.wave_rate_starts, run.wave_rate_stuck = rate_starts, rate_stuck
    if run.defective:
        affected = rel[REL_AFFECTED]
        n_hurt = high = low = np.int64(0)
        for position in range(first, last):
            start = started[position]
            is_hurt = (start < NEVER) & (affected[position] != 0)
            n_hurt += is_hurt
            high += (start >> 32) if is_hurt else 0
            low += (start & _LOW) if is_hurt else 0
        run.wave_hurt, run.wave_hurt_high, run.wave_hurt_low = n_hurt, high, low
    return n_failed, lasts


@compiled
def _absorb_wave(run, begins):
    """Add a wave that went to its end to the sums over all waves."""
    high, low = begins >> 32, begins & _LOW
    stuck = run.wave_size - run.wave_started
    run.most_out = max(run.most_out, run.sum_stuck + run.wave_size - run.wave_at_once)
    run.sum_failed += run.wave_failed
    run.sum_updated += run.wave_size - run.wave_failed
    run.sum_windows += run.wave_windows
    run.sum_requests += run.wave_requests
    run.sum_started += run.wave_started
    run.sum_starts_high += run.wave_starts_high
    run.sum_starts_low += run.wave_starts_low
    run.sum_started_high += run.wave_started * high + run.wave_starts_high
    run.sum_started_low += run.wave_started * low + run.wave_starts_low
    if not run.is_even:
        run.sum_rate_starts += run.wave_rate_starts
        run.sum_rate_stuck += run.wave_rate_stuck
        run.sum_rate_stuck_begins += run.wave_rate_stuck * begins
    run.sum_stuck += stuck
    run.sum_stuck_high += stuck * high
    run.sum_stuck_low += stuck * low
    if run.defective:
        run.sum_hurt += run.wave_hurt
        run.sum_hurt_high += run.wave_hurt * high + run.wave_hurt_high
        run.sum_hurt_low += run.wave_hurt * low + run.wave_hurt_low


@compiled
def _sort(numbers, n):
    """Sort the first n numbers by Shell's method: mostly they are few, but under a bad release all nodes of a wave."""
    gap = max(n // 2, 1)
    while gap > 0:
        for i in range(gap, n):
            one = numbers[i]
            j = i - gap
            while j >= 0 and numbers[j] > one:
                numbers[j + gap] = numbers[j]
                j -= gap
            numbers[j + gap] = one
        gap //= 2
