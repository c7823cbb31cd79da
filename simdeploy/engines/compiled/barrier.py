"""Barrier pacing in one pass for many policies: without a queue, and everything that two policies share is computed once.

If nothing depends on the clock (no crashes, outages or degraded spells), a node's fate, in time relative to its dispatch, is the
same under every plan. So fates are computed once per rule of judging nodes; rules with equal fates, up to where all policies have
ended, share the rest. A wave takes as long as its slowest node, and limits only determine at which of the few failures the rollout
stops: one trajectory per plan serves all limits. Sums over whole waves make the outcome of each stop cheap.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    bake_after,
    begins_of,
    bundle_at,
    class_rule_of,
    drawn,
    lists,
    places_of,
    policy_of,
    relative,
    size_of_wave,
    stops_of,
)
from simdeploy.engines.compiled.barrier_fates import know_fates
from simdeploy.engines.compiled.barrier_limits import sort_least, stop_by_limits
from simdeploy.engines.compiled.barrier_outcomes import rate_at, requests_at, write_outcome
from simdeploy.engines.compiled.codes import (
    ALL_CANARIES_HEALTHY,
    CANCELED,
    COMPLETED,
    FAILED,
    JUDGED_AT_WAVE_END,
    ORDER_INDEX,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.lanes import NODES_AT_ONCE
from simdeploy.engines.compiled.people import rejects_in_bundle
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    FAILURES,
    GOES_ON,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
)

_LOW = (1 << 32) - 1


@compiled
def prepare_barrier(run):
    """Sort the numbers of a replication by the order of dispatch, if trajectories need it."""
    affected, of_node = relative(run)[REL_AFFECTED], drawn(run)[AFFECTED]
    run.n_back = 0
    run.group = -1
    if run.kind >= 0 and (run.defective or run.error_rate > 0):
        if run.order == ORDER_INDEX:
            for node in range(run.nodes):
                affected[node] = of_node[node]
        else:
            for position in range(run.nodes):
                affected[position] = of_node[drawn(run)[ORDER, position]]


@compiled
def follow_bundle(run, number):
    """Follow the rollout of a bundle of policies, which differ in their limits only, under the current rule.

    Parameters
    ----------
    number : int
        Number of the bundle; the row of the outcome is written for each of its stops.

    Returns
    -------
    bool
        False if these rollouts must be run one by one: another event happens at the instant of a stop, or times are too long.
    """
    policy, bundle = policy_of(run), bundle_at(run, number)
    stops, places = stops_of(run)[bundle.first : bundle.last], places_of(run)[bundle.first : bundle.last]
    gate = policy.canaries > 0 and run.canary_gate == ALL_CANARIES_HEALTHY
    _reset_sums(run)
    run.work_bundles += 1
    failures = lists(run)[FAILURES]
    wave = first = next_stop = 0
    begins = np.int64(0)
    for stop in range(len(places)):
        places[stop] = GOES_ON
    while True:
        begins_of(run)[wave] = begins
        run.last_wave = wave
        last = first + size_of_wave(run, wave)
        run.touched = last
        is_canary = wave == 0 and policy.canaries > 0
        n_failed, lasts = _look_at_wave(run, first, last, failures)
        everyone = is_canary and gate
        if bundle.by_limits:
            n_left = stop_by_limits(run, number, everyone, wave, first, begins, lasts)
            if n_left <= 0:
                return n_left == 0
        elif n_failed and (everyone or stops[next_stop] <= run.sum_failed + n_failed):
            if run.limits_judged == JUDGED_AT_WAVE_END:
                failures[0] = lasts
                failures[n_failed - 1] = lasts
            else:
                n_failed = sort_least(failures, n_failed, 1 if everyone else stops[len(stops) - 1] - run.sum_failed)
            place = 0
            while place < n_failed and next_stop < len(stops):
                t = failures[place]
                while place < n_failed and failures[place] == t:
                    place += 1
                if run.limits_judged == JUDGED_AT_WAVE_END:
                    place = n_failed
                if not everyone and stops[next_stop] > run.sum_failed + place:
                    continue
                if t == 0 or not write_outcome(run, FAILED, begins + t, wave, first, last, begins):
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
            if not write_outcome(run, how, begins, wave, last, last, begins):
                return False
            for stop in range(len(places)):
                if places[stop] == GOES_ON:
                    places[stop] = run.n_outcomes - 1
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
    """Sum up a wave and list its failures; return their number, and how long the wave takes."""
    run.work_waves += 1
    run.wave_size = last - first
    run.wave_failed = run.wave_started = run.wave_windows = run.wave_requests = run.wave_at_once = 0
    run.wave_starts_high = run.wave_starts_low = run.wave_hurt = run.wave_hurt_high = run.wave_hurt_low = 0
    run.wave_rate_starts = run.wave_rate_stuck = 0.0
    lasts = np.int64(0)
    # Block by block, so that drawn numbers are still in the processor's cache.
    while first < last:
        until = min(first + NODES_AT_ONCE, last)
        know_fates(run, until)
        lasts = max(lasts, _sum_up(run, first, until, failures))
        if run.n_classes > 1:
            _sum_up_requests(run, first, until)
        first = until
    if run.n_classes == 1:
        run.wave_requests = run.wave_windows * class_rule_of(run, policy_of(run), 0).requests
    return run.wave_failed, lasts


@compiled
def _sum_up(run, first, last, failures):
    """Add nodes to the sums of their wave, and the failed ones to its list; return how long they take."""
    rel, n = relative(run), last - first
    started, resolved = rel[REL_STARTED, first:last], rel[REL_RESOLVED, first:last]
    failed, windows = rel[REL_FAILED, first:last], rel[REL_WINDOWS, first:last]
    lasts = n_started = total = n_windows = at_once = n_failed = np.int64(0)
    for place in range(n):
        start = started[place]
        has_started = start < NEVER
        lasts = max(lasts, resolved[place])
        n_started += has_started
        total += start if has_started else 0
        n_windows += windows[place]
        at_once += start == 0
        n_failed += failed[place]
    if n_failed:
        n_listed = run.wave_failed
        for place in range(n):
            failures[n_listed] = resolved[place]
            n_listed += failed[place]
    high, low = total >> 32, total & _LOW
    if lasts >= NEVER // n:  # the sum may not have fitted
        high = low = np.int64(0)
        for place in range(n):
            start = started[place]
            high += (start >> 32) if start < NEVER else 0
            low += (start & _LOW) if start < NEVER else 0
    run.wave_failed += n_failed
    run.wave_started += n_started
    run.wave_starts_high += high
    run.wave_starts_low += low
    run.wave_windows += n_windows
    run.wave_at_once += at_once
    if run.defective:
        affected = rel[REL_AFFECTED, first:last]
        n_hurt = total = np.int64(0)
        for place in range(n):
            start = started[place]
            is_hurt = (start < NEVER) & (affected[place] != 0)
            n_hurt += is_hurt
            total += start if is_hurt else 0
        high, low = total >> 32, total & _LOW
        if lasts >= NEVER // n:
            high = low = np.int64(0)
            for place in range(n):
                start = started[place]
                is_hurt = (start < NEVER) & (affected[place] != 0)
                high += (start >> 32) if is_hurt else 0
                low += (start & _LOW) if is_hurt else 0
        run.wave_hurt += n_hurt
        run.wave_hurt_high += high
        run.wave_hurt_low += low
    return lasts


@compiled
def _sum_up_requests(run, first, last):
    """Add the requests of nodes of several classes to the sums of their wave."""
    rel, policy = relative(run), policy_of(run)
    for position in range(first, last):
        run.wave_requests += rel[REL_WINDOWS, position] * requests_at(run, policy, position)
    if not run.is_even:
        for position in range(first, last):
            rate, start = rate_at(run, position), rel[REL_STARTED, position]
            if start < NEVER:
                run.wave_rate_starts += rate * start
            else:
                run.wave_rate_stuck += rate


@compiled
def _absorb_wave(run, begins):
    """Add a completed wave to the sums over all waves."""
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
