"""Barrier pacing in one pass for many policies: no queue, and whatever two policies share is worked out once.

Where nothing depends on the clock (no crashes, outages or degraded spells), a node's fate in time relative to its dispatch
is the same under every plan. So fates are found once per rule of judging nodes; rules under which all fates are equal share
what follows. A wave takes as long as its slowest node, and limits only say at which of the few failures the rollout stops:
one trajectory per plan serves all limits. Sums over whole waves make the outcome of each stop cheap.
"""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled import integrals as at
from simdeploy.engines.compiled.fates import after_ns, meet_fate
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.quick import latest_start, quick_word_of, set_quick_words
from simdeploy.engines.compiled.run import (
    AFFECTED,
    BACK_FAILED,
    BACK_HIGH,
    BACK_LONGEST,
    BACK_LOW,
    BACK_OUT,
    CANCELED,
    CLASS,
    COMPLETED,
    DURATION,
    FAILED,
    FAILS,
    HANGS,
    HAS_FAILED,
    NEVER,
    ORDER,
    REL_AFFECTED,
    REL_FAILED,
    REL_RESOLVED,
    REL_STARTED,
    REL_WINDOWS,
    RESOLVED,
    ROLLBACK,
    STARTED,
    TOUCHED,
    UP_AGAIN,
    WINDOWS,
    begins_of,
    class_rule_of,
    classes,
    drawn,
    fates,
    lists,
    peak_words,
    policy_of,
    relative,
    size_of_wave,
    today,
)
from simdeploy.engines.compiled.sampling import own_level, set_rollbacks
from simdeploy.engines.compiled.weighing import weigh_first
from simdeploy.units import NS_PER_S

_LOW = (1 << 32) - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_29, _32 = np.uint64(29), np.uint64(32)


# -- fates -----------------------------------------------------------------------------------------


@compiled
def find_fates(run):
    """Find every node's fate relative to its dispatch, under the rule of the policy at hand; return a key of all of them.

    Nearly every node starts at once and has healthy windows only, which the highest of its words tells. The rest is worked
    out one by one; two rules with the same key give every node the same fate.
    """
    rule = policy_of(run)
    set_quick_words(run)
    if run.quick_needed != rule.needed or run.quick_interval != rule.interval:
        run.quick_needed, run.quick_interval = rule.needed, rule.interval
        run.n_slow = 0
        _be_quick_all(run, rule)
    # Those that were slow under the rule before are what they would be if they were not.
    for place in range(run.n_slow):
        _be_quick(run, rule, lists(run)[UP_AGAIN, place])
    run.n_slow = n_slow = _list_slow(run, rule)
    key0, key1 = np.uint64(rule.interval), np.uint64(rule.needed)
    slow, fate, rel, order = lists(run)[UP_AGAIN], fates(run), relative(run), drawn(run)[ORDER]
    for place in range(n_slow):
        position = slow[place]
        node = order[position]
        fate[STARTED, node] = NEVER
        meet_fate(run, node, 0)
        rel[REL_STARTED, position] = fate[STARTED, node]
        rel[REL_RESOLVED, position] = fate[RESOLVED, node]
        rel[REL_FAILED, position] = fate[HAS_FAILED, node]
        rel[REL_WINDOWS, position] = fate[WINDOWS, node]
        is_quick = not fate[HAS_FAILED, node] and fate[WINDOWS, node] == rule.needed
        if not is_quick or fate[STARTED, node] != drawn(run)[DURATION, node]:
            word = np.uint64(position) * _MIX + np.uint64(fate[STARTED, node])
            key0 = _mix(key0, word)
            key1 = _mix(key1, np.uint64(fate[RESOLVED, node] * 2 + fate[HAS_FAILED, node]) ^ (word << _32))
            key0 = _mix(key0, np.uint64(fate[WINDOWS, node]))
    return key0, key1


@compiled
def _mix(key, word):
    key = (key ^ word) * _MIX
    return key ^ (key >> _29)


@compiled
def _be_quick(run, rule, position):
    """Write the fate of a node that starts at once and has healthy windows only."""
    rel = relative(run)
    duration = drawn(run)[DURATION, drawn(run)[ORDER, position]]
    rel[REL_STARTED, position] = duration
    rel[REL_RESOLVED, position] = duration + rule.needed * rule.interval
    rel[REL_FAILED, position] = 0
    rel[REL_WINDOWS, position] = rule.needed


@compiled
def _be_quick_all(run, rule):
    """Write that fate for every node."""
    rel, order, durations = relative(run), drawn(run)[ORDER], drawn(run)[DURATION]
    span, needed = rule.needed * rule.interval, rule.needed
    started, resolved, failed, windows = rel[REL_STARTED], rel[REL_RESOLVED], rel[REL_FAILED], rel[REL_WINDOWS]
    if run.order == 0:
        for node in range(run.nodes):
            started[node] = durations[node]
            resolved[node] = durations[node] + span
            failed[node] = 0
            windows[node] = needed
        return
    for position in range(run.nodes):
        duration = durations[order[position]]
        started[position] = duration
        resolved[position] = duration + span
        failed[position] = 0
        windows[position] = needed


@compiled
def _list_slow(run, rule):
    """List the positions of nodes whose fate has to be worked out; return how many there are."""
    slow, draws = lists(run)[UP_AGAIN], drawn(run)
    order, durations, fails, hangs, affected = (
        draws[ORDER],
        draws[DURATION],
        draws[FAILS],
        draws[HANGS],
        draws[AFFECTED],
    )
    peak = peak_words(run)[max(rule.peak, 0)] if rule.peak >= 0 else draws[FAILS]
    latest = latest_start(rule)
    n_slow = 0
    if run.n_classes == 1 and run.order == 0 and not run.depends_on_level:
        plain, hurt = today(run)[0].quick_word, today(run)[0].quick_word_affected
        for node in range(run.nodes):
            last = hurt if affected[node] else plain
            is_quick = (fails[node] + hangs[node] == 0) & (peak[node] <= last) & (durations[node] <= latest)
            slow[n_slow] = node
            n_slow += not is_quick
        return n_slow
    for position in range(run.nodes):
        node = order[position]
        last = quick_word_of(run, node)
        is_quick = (fails[node] + hangs[node] == 0) & (peak[node] <= last) & (durations[node] <= latest)
        slow[n_slow] = position
        n_slow += not is_quick
    return n_slow


# -- trajectories ----------------------------------------------------------------------------------


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
def _sum_rollbacks(run):
    """Sum up how long going back takes, over the first nodes in the order of dispatch."""
    if run.has_rollback_sums:
        return
    run.has_rollback_sums = True
    set_rollbacks(run)
    rel, draws = relative(run), drawn(run)
    high = low = longest = n_failed = n_out = np.int64(0)
    for position in range(run.nodes):
        duration = draws[ROLLBACK, draws[ORDER, position]]
        if duration < 0:
            duration = -1 - duration
            n_failed += 1
            n_out += 1
        else:
            high += duration >> 32
            low += duration & _LOW
            n_out += duration > 0
        longest = max(longest, duration)
        rel[BACK_HIGH, position] = high
        rel[BACK_LOW, position] = low
        rel[BACK_LONGEST, position] = longest
        rel[BACK_FAILED, position] = n_failed
        rel[BACK_OUT, position] = n_out


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
        if n_failed:
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
                everyone = is_canary and gate
                if not everyone and stops[next_stop] > run.sum_failed + place:
                    continue
                if t == 0 or not _write_outcome(run, FAILED, begins + t, wave, first, last, begins, whole, real):
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
        if not is_last:
            begins += run.bake_time
        how = COMPLETED if is_last else 0
        if is_canary and not policy.auto_promote:
            begins += run.promote_after
            if _rejects(run, policy.canaries, begins):
                how = CANCELED
        if how != 0:
            if not _write_outcome(run, how, begins, wave, last, last, begins, whole, real):
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
    run.most_out = 0


@compiled
def _look_at_wave(run, first, last, failures):
    """Sum up a wave and list its failures; return how many there are, and how long the wave takes."""
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
            run.wave_requests += windows[position] * _requests_at(run, policy_of(run), position)
    run.wave_at_once = at_once
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
def _requests_at(run, policy, position):
    """Return the requests of a window of the node at a position."""
    return class_rule_of(run, policy, drawn(run)[CLASS, drawn(run)[ORDER, position]]).requests


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
    run.sum_stuck += stuck
    run.sum_stuck_high += stuck * high
    run.sum_stuck_low += stuck * low
    if run.defective:
        run.sum_hurt += run.wave_hurt
        run.sum_hurt_high += run.wave_hurt * high + run.wave_hurt_high
        run.sum_hurt_low += run.wave_hurt * low + run.wave_hurt_low


@compiled
def _sort(numbers, n):
    for i in range(1, n):
        one = numbers[i]
        j = i - 1
        while j >= 0 and numbers[j] > one:
            numbers[j + 1] = numbers[j]
            j -= 1
        numbers[j + 1] = one


@compiled
def _rejects(run, canaries, now):
    """Tell whether the operator, looking at the canaries now, cancels instead of promoting."""
    if run.kind >= 0 and run.defective:
        rel = relative(run)
        for position in range(canaries):
            started = rel[REL_STARTED, position]
            if started < NEVER and rel[REL_AFFECTED, position]:
                if started + after_ns(run, drawn(run)[ORDER, position]) <= now:
                    return run.operator_uniform < run.notices_defect
    return run.operator_uniform < run.rejects_good


# -- outcomes --------------------------------------------------------------------------------------


@compiled
def _write_outcome(run, how, ends, wave, first, last, begins, whole_rows, real_rows):
    """Write the outcome of a rollout that ends so at `ends`, while the nodes from `first` to `last` are in flight."""
    policy, rel = policy_of(run), relative(run)
    escaped = how == COMPLETED and run.defective
    goes_back = run.undone and (how != COMPLETED or escaped)
    back = horizon = ends
    by_hand = policy.no_auto_rollback or (how == FAILED and run.on_failure != 0)
    if escaped or (goes_back and by_hand):
        back = horizon = ends + run.escape_detection
    if goes_back:
        _sum_rollbacks(run)
        horizon = back + rel[BACK_LONGEST, last - 1]
    if horizon >= NEVER:
        return False
    # Nodes that start at the very instant at which all go back are never seen exposed.
    if goes_back and first == last and back == run.last_start:
        return False
    leaves = back if goes_back else horizon  # when exposure ends

    whole, real = whole_rows[run.n_outcomes], real_rows[run.n_outcomes]
    run.n_outcomes += 1
    updated, failed, windows, requests = run.sum_updated, run.sum_failed, run.sum_windows, run.sum_requests
    high, low = leaves >> 32, leaves & _LOW
    exposed_high, exposed_low = (
        run.sum_started * high - run.sum_started_high,
        run.sum_started * low - run.sum_started_low,
    )
    hurt_high, hurt_low = run.sum_hurt * high - run.sum_hurt_high, run.sum_hurt * low - run.sum_hurt_low
    out_high = run.sum_starts_high + run.sum_stuck * high - run.sum_stuck_high
    out_low = run.sum_starts_low + run.sum_stuck * low - run.sum_stuck_low
    peak, most_out = run.sum_started, run.most_out
    if first < last:
        most_out = max(most_out, run.sum_stuck + (last - first) - run.wave_at_once)
        now, until = ends - begins, leaves - begins
        started, resolved, failures = rel[REL_STARTED], rel[REL_RESOLVED], rel[REL_FAILED]
        for position in range(first, last):
            start = started[position]
            is_resolved = resolved[position] <= now
            failed += is_resolved & (failures[position] != 0)
            updated += is_resolved & (failures[position] == 0)
            length = max(until - start, 0)
            exposed_high += length >> 32
            exposed_low += length & _LOW
            length = min(start, until)
            out_high += length >> 32
            out_low += length & _LOW
            peak += (start < until) if goes_back else (start <= until)
        if run.defective:
            affected = rel[REL_AFFECTED]
            for position in range(first, last):
                length = max(until - started[position], 0) if affected[position] else 0
                hurt_high += length >> 32
                hurt_low += length & _LOW
        for position in range(first, last):
            ended = np.int64(0)
            if resolved[position] <= now:
                ended = rel[REL_WINDOWS, position]
            elif started[position] <= now:
                ended = min(rel[REL_WINDOWS, position], (now - started[position]) // policy.interval)
            windows += ended
            requests += ended * _requests_at(run, policy, position)
    if goes_back:
        n_failed = rel[BACK_FAILED, last - 1]
        out_high += rel[BACK_HIGH, last - 1] + n_failed * ((horizon - back) >> 32)
        out_low += rel[BACK_LOW, last - 1] + n_failed * ((horizon - back) & _LOW)
        most_out = max(most_out, rel[BACK_OUT, last - 1])

    whole[at.STATE] = how
    whole[at.KIND] = run.kind
    whole[at.VERDICT] = at.verdict_of(how, run.kind, run.defective)
    whole[at.WAVES] = wave + 1
    whole[at.UPDATED] = updated
    whole[at.FAILED_NODES] = failed
    whole[at.TOUCHED] = last
    whole[at.PEAK_EXPOSED] = peak if run.releases else 0
    whole[at.DECISION_WINDOWS] = windows
    whole[at.DECISION_REQUESTS] = requests
    whole[at.TOO_LONG] = 0
    real[at.MAKESPAN] = ends / NS_PER_S
    real[at.STOPPED_AT] = math.nan if how == COMPLETED else real[at.MAKESPAN]
    real[at.RESTORED_AT] = math.nan
    if goes_back and rel[BACK_FAILED, last - 1] == 0:
        real[at.RESTORED_AT] = horizon / NS_PER_S
    real[at.EXPOSED] = at.sum_s(exposed_high, exposed_low) if run.releases else 0.0
    real[at.DEFECTIVE] = at.sum_s(hurt_high, hurt_low)
    real[at.FAILED_REQUESTS] = _added_failures(run, last, leaves)
    real[at.UNAVAILABLE] = real[at.UNAVAILABLE_EXCESS] = at.sum_s(out_high, out_low)
    real[at.MIN_IN_SERVICE] = 1 - most_out / run.nodes
    if run.is_tilted:
        real[at.WEIGHT] = weigh_first(run, last, goes_back)
    return True


@compiled
def _added_failures(run, last, leaves):
    """Return the expected failed requests that the release added until all went back."""
    total = 0.0
    if run.kind < 0 or run.error_rate == 0:
        return total
    rel, order = relative(run), drawn(run)[ORDER]
    wave, wave_begins, wave_last = 0, np.int64(0), 0
    for position in range(last):
        if position == wave_last:
            wave_begins = begins_of(run)[wave]
            wave_last += size_of_wave(run, wave)
            wave += 1
        start = rel[REL_STARTED, position]
        if start == NEVER or not rel[REL_AFFECTED, position]:
            continue
        node = order[position]
        since = wave_begins + start + after_ns(run, node)
        if since < leaves:
            one = classes(run)[drawn(run)[CLASS, node]]
            rate = one.requests_per_second * (1 - own_level(run, node)) * run.error_rate
            total += rate * float(leaves - since) / NS_PER_S
    return total
