"""The responses of one rollout (model section 5), for compiled code: whole nanoseconds summed exactly.

Sums of many times may not fit into 64 bits, so the upper and lower halves of each are summed apart.
"""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.control import horizon_of, judges_waves
from simdeploy.engines.compiled.fates import added_level, after_ns, begin_crashes, is_disturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.run import (
    AFFECTED,
    BACK_FROM,
    BACK_UNTIL,
    CANCELED,
    CLASS,
    COMPLETED,
    DISPATCHED,
    FAILED,
    HAS_FAILED,
    NEVER,
    RESOLVED,
    ROLLBACK,
    ROLLED,
    SEEN,
    STARTED,
    WAVE,
    WINDOWS,
    begins_of,
    class_rule_of,
    classes,
    drawn,
    fates,
    lists,
    policy_of,
    queue,
    scratch,
    walk_at,
    waves,
)
from simdeploy.engines.compiled.sampling import look_ahead, own_level, stays_undegraded, stays_up
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import VERDICTS

# One outcome: whole numbers and times in rows of two tables.
(
    STATE,
    KIND,
    VERDICT,
    WAVES,
    UPDATED,
    FAILED_NODES,
    TOUCHED,
    PEAK_EXPOSED,
    DECISION_WINDOWS,
    DECISION_REQUESTS,
    TOO_LONG,
    N_WHOLE,
) = range(12)
(
    MAKESPAN,
    STOPPED_AT,
    RESTORED_AT,
    EXPOSED,
    DEFECTIVE,
    FAILED_REQUESTS,
    UNAVAILABLE,
    MIN_IN_SERVICE,
    UNAVAILABLE_EXCESS,
    WEIGHT,
    N_REAL,
) = range(11)

GOOD, STOPPED_DEFECTIVE, FALSE_ALARM, ESCAPED = (
    VERDICTS.index(name) for name in ("completed_good", "stopped_defective", "false_alarm", "escaped")
)
_LOW = (1 << 32) - 1
_CRASH, _FLAPPING, _ZONE = range(3)
_SLIDING = 1


@compiled
def sum_s(high, low):
    """Return high * 2**32 + low nanoseconds in seconds."""
    if high < 1 << 30:
        total = (high << 32) + low
        return float(total // NS_PER_S + (total % NS_PER_S) / NS_PER_S)
    return (float(high) * 2.0**32 + float(low)) / NS_PER_S


@compiled
def verdict_of(state, kind, defective):
    """Return the verdict as its place in `schema.VERDICTS`, -1 for none."""
    if kind < 0:
        return -1
    if state == COMPLETED:
        return ESCAPED if defective else GOOD
    if state == FAILED or state == CANCELED:
        return STOPPED_DEFECTIVE if defective else FALSE_ALARM
    return -1


@compiled
def measure(run, whole, real):
    """Compute all responses of the rollout at hand.

    Parameters
    ----------
    whole : ndarray of int64, shape (N_WHOLE,)
    real : ndarray of float64, shape (N_REAL,)
        NaN where unknown.

    Returns
    -------
    bool
        False if `scratch` had not enough room, which is then to be doubled.
    """
    for place in range(N_REAL):
        real[place] = math.nan
    horizon = horizon_of(run)
    whole[STATE] = run.state
    whole[KIND] = run.kind
    whole[VERDICT] = verdict_of(run.state, run.kind, run.defective)
    whole[WAVES] = run.waves_open
    whole[UPDATED] = run.updated
    whole[FAILED_NODES] = run.failed
    whole[TOUCHED] = run.n_touched
    whole[TOO_LONG] = run.ran_too_long
    if run.makespan < NEVER:
        real[MAKESPAN] = run.makespan / NS_PER_S
        if run.state != COMPLETED:
            real[STOPPED_AT] = real[MAKESPAN]
    if run.rollback_ended < NEVER and not run.any_back_failed:
        real[RESTORED_AT] = run.rollback_ended / NS_PER_S
    _count_windows(run, whole)
    whole[PEAK_EXPOSED] = _peak_exposed(run, horizon)
    if horizon == NEVER:
        return True
    real[EXPOSED], real[DEFECTIVE] = _exposures(run, horizon)
    real[FAILED_REQUESTS] = _added_failures(run, horizon)
    return _service(run, horizon, real)


@compiled
def _count_windows(run, whole):
    """Count the windows that ended by the makespan, and the requests that a verdict looked at."""
    fate, policy = fates(run), policy_of(run)
    interval = policy.interval
    total, requests = run.watched_windows, run.watched_requests
    for node in range(run.nodes):
        windows = fate[WINDOWS, node]
        if windows:
            until = min(run.makespan, fate[BACK_FROM, node])
            if fate[RESOLVED, node] > until:
                # It was cut short, or its verdict came after the end.
                windows = min(windows, (until - fate[STARTED, node]) // interval) if fate[STARTED, node] <= until else 0
            total += windows
            requests += windows * class_rule_of(run, policy, drawn(run)[CLASS, node]).requests
    if judges_waves(policy):
        requests = np.int64(0)
        for wave in range(run.waves_open):
            requests += waves(run)[SEEN, wave]
    whole[DECISION_WINDOWS], whole[DECISION_REQUESTS] = total, requests


# -- exposure --------------------------------------------------------------------------------------


@compiled
def _peak_exposed(run, horizon):
    """Find the most nodes that were exposed at once, at any settled instant up to the horizon."""
    fate = fates(run)
    if not run.releases:
        return 0
    if not run.any_went_by_itself and not (run.rollback_has_begun and run.rollback_in_waves):
        # Exposure only grows until all go back at one instant, when those that start then are not exposed any more.
        peak = 0
        for node in range(run.nodes):
            peak += (fate[STARTED, node] < fate[BACK_FROM, node]) & (fate[STARTED, node] <= horizon)
        return peak
    spans = scratch(run)
    k = 0
    for node in range(run.nodes):
        if fate[STARTED, node] < NEVER:
            spans[0, k] = fate[STARTED, node]
            spans[1, k] = fate[BACK_FROM, node]
            k += 1
    return _most_at_once(spans[0, :k], spans[1, :k], horizon)


@compiled
def _most_at_once(starts, ends, until):
    """Return how many intervals [start, end) hold at once, at most, at any settled instant up to and including `until`."""
    starts, ends = np.sort(starts), np.sort(ends)
    n = len(starts)
    most = at_once = 0
    i = j = 0
    while i < n and starts[i] <= until:
        now = starts[i]
        while i < n and starts[i] == now:
            at_once += 1
            i += 1
        while j < n and ends[j] <= now:
            at_once -= 1
            j += 1
        most = max(most, at_once)
    return most


@compiled
def _exposures(run, horizon):
    """Return the node-seconds exposed, and those of affected nodes of a defective release."""
    if not run.releases:
        return 0.0, 0.0
    fate, hurt = fates(run), drawn(run)[AFFECTED]
    high = low = np.int64(0)
    bad_high = bad_low = np.int64(0)
    for node in range(run.nodes):
        length = max(min(fate[BACK_FROM, node], horizon) - min(fate[STARTED, node], horizon), 0)
        affected = hurt[node]
        high += length >> 32
        low += length & _LOW
        bad_high += (length >> 32) * affected
        bad_low += (length & _LOW) * affected
    return sum_s(high, low), sum_s(bad_high, bad_low) if run.defective else 0.0


@compiled
def _added_failures(run, horizon):
    """Return the expected failed requests that the release added up to the horizon."""
    fate = fates(run)
    total = 0.0
    if run.kind < 0 or run.error_rate == 0:
        return total
    for node in range(run.nodes):
        if fate[STARTED, node] == NEVER:
            continue
        added = added_level(run, node)
        if added == 0:
            continue
        since = fate[STARTED, node] + after_ns(run, node)
        until = min(fate[BACK_FROM, node], horizon)
        if since >= until:
            continue
        one = classes(run)[drawn(run)[CLASS, node]]
        served, degraded = _served(run, node, since, until)
        rate = one.requests_per_second * (1 - own_level(run, node)) * added
        total += rate * (served - one.degraded_level * degraded) / NS_PER_S
    return total


@compiled
def _served(run, node, start, end):
    """Return for how long a node was up within [start, end), and degraded while up."""
    fate = fates(run)
    one = classes(run)[drawn(run)[CLASS, node]]
    look_ahead(run, end)
    goes_down = run.goes_down and (is_disturbed(run, node) or not stays_up(run, node, end))
    flaps = not stays_undegraded(run, node)
    if not goes_down and not flaps:
        return float(end - start), 0.0
    if goes_down and one.crash >= 0:
        begin_crashes(walk_at(run, _CRASH), run, node, fate[STARTED, node], fate[BACK_FROM, node])
    if goes_down and one.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(walk_at(run, _ZONE), run, one.zone_outage, zone)
    if flaps:
        spells.begin(walk_at(run, _FLAPPING), run, one.flapping, node)
    served = degraded = np.int64(0)
    t = start
    while t < end:
        until = end
        is_up = True
        if goes_down and one.crash >= 0:
            spells.reach(walk_at(run, _CRASH), run, t)
            until = min(until, walk_at(run, _CRASH).end)
            is_up = not walk_at(run, _CRASH).is_bad
        if goes_down and one.zone_outage >= 0:
            spells.reach(walk_at(run, _ZONE), run, t)
            until = min(until, walk_at(run, _ZONE).end)
            is_up = is_up and not walk_at(run, _ZONE).is_bad
        is_degraded = False
        if flaps:
            spells.reach(walk_at(run, _FLAPPING), run, t)
            until = min(until, walk_at(run, _FLAPPING).end)
            is_degraded = walk_at(run, _FLAPPING).is_bad
        # A disturbance cuts a spell off early, and the walk takes note of it only when it gets there.
        if t < fate[STARTED, node]:
            until = min(until, fate[STARTED, node])
        if t < fate[BACK_FROM, node]:
            until = min(until, fate[BACK_FROM, node])
        if is_up:
            served += until - t
            if is_degraded:
                degraded += until - t
        t = until
    return float(served), float(degraded)


# -- service ---------------------------------------------------------------------------------------


@compiled
def _service(run, horizon, real):
    """Compute the time out of service, what of it would have been anyway, and the fewest nodes in service.

    False if there was not enough room.
    """
    until = horizon + 1  # one instant beyond the horizon, to see it settled
    if run.goes_down:
        look_ahead(run, until)
    # Nodes go out of service at few instants only: when waves go, when all go back, and when nodes go down.
    few = (
        not run.any_waits
        and not run.any_went_by_itself
        and not (run.rollback_has_begun and run.rollback_in_waves)
        and policy_of(run).pacing != _SLIDING
    )
    sums = np.zeros(4, np.int64)
    spans = scratch(run)
    k = 0
    for node in range(run.nodes):
        is_plain = not run.goes_down or (stays_up(run, node, until) and not is_disturbed(run, node))
        if is_plain and few:
            continue
        if k + 4 > run.room:
            return False
        first = k
        k = _out_by_status(run, node, until, k)
        if not is_plain:
            k = _down_spells(run, node, until, True, k)
            if k < 0:
                return False
            k = _unite(run, first, k)
            after = _down_spells(run, node, until, False, k)
            if after < 0:
                return False
            after = _unite(run, k, after)
            _add_lengths(run, k, after, horizon, sums[2:])
        _add_lengths(run, first, k, horizon, sums[:2])
    if k + run.waves_open + 2 > run.room:
        return False
    most = _most_at_few_instants(run, horizon, k, sums) if few else _most_at_once(spans[0, :k], spans[1, :k], horizon)
    real[UNAVAILABLE] = sum_s(sums[0], sums[1])
    real[UNAVAILABLE_EXCESS] = real[UNAVAILABLE] - sum_s(sums[2], sums[3])
    real[MIN_IN_SERVICE] = 1 - most / run.nodes
    return True


@compiled
def _add_lengths(run, first, last, horizon, sums):
    spans = scratch(run)
    for place in range(first, last):
        length = min(spans[1, place], horizon) - min(spans[0, place], horizon)
        sums[0] += length >> 32
        sums[1] += length & _LOW


@compiled
def _most_at_few_instants(run, horizon, k, sums):
    """Find the most nodes out of service at once, where k spells of some nodes stand in `scratch` and the others are plain.

    The others' times out of service are added to `sums`.
    """
    fate, spans, until = fates(run), scratch(run), horizon + 1
    instants, changes = queue(run)[0], queue(run)[1]  # nothing is queued any more
    n = 0
    for place in range(k):
        instants[n] = spans[0, place]
        n += 1
    n_others = n
    for wave in range(run.waves_open):
        instants[n] = begins_of(run)[wave]
        n += 1
    if run.rollback_has_begun and run.n_rolled:
        instants[n] = fate[BACK_FROM, lists(run)[ROLLED, 0]]
        n += 1
    if n_others:
        instants[:n] = np.sort(instants[:n])
    for place in range(n + 1):
        changes[place] = 0
    for place in range(k):
        changes[_first_not_before(instants, n, spans[0, place])] += 1
        changes[_first_not_before(instants, n, spans[1, place])] -= 1
    if not run.leaves:
        high, low = sums[0], sums[1]
        for node in range(run.nodes):
            if run.goes_down and not (stays_up(run, node, until) and not is_disturbed(run, node)):
                continue
            started = fate[STARTED, node]
            back = _back_at(run, node)
            if not run.begins and fate[DISPATCHED, node] < until:
                begin, end = fate[DISPATCHED, node], min(started if started < NEVER else back, until)
                if begin < end:
                    length = min(end, horizon) - begin
                    high += length >> 32
                    low += length & _LOW
                    place = fate[WAVE, node] - 1 if n_others == 0 else _first_not_before(instants, n, begin)
                    changes[place] += 1
                    place += 1
                    if place < n and instants[place] < end:
                        place = _first_not_before(instants, n, end)
                    changes[place] -= 1
            begin, end = fate[BACK_FROM, node], min(back, until)
            if started < NEVER and begin < end:
                length = min(end, horizon) - min(begin, horizon)
                high += length >> 32
                low += length & _LOW
                changes[_first_not_before(instants, n, begin)] += 1
                changes[_first_not_before(instants, n, end)] -= 1
        sums[0], sums[1] = high, low
    most = at_once = np.int64(0)
    for place in range(n):
        at_once += changes[place]
        # Several changes at one instant count together.
        if place + 1 == n or instants[place + 1] != instants[place]:
            most = max(most, at_once)
    return most


@compiled
def _first_not_before(instants, n, t):
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if instants[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _out_by_status(run, node, until, k):
    """Append the intervals, within [0, until), in which a node is out of service whatever crashes do to it."""
    if run.leaves:
        return k
    fate, spans = fates(run), scratch(run)
    back = _back_at(run, node)
    started = fate[STARTED, node]
    if not run.begins:
        end = min(started if started < NEVER else back, until)
        if fate[DISPATCHED, node] < end:
            spans[0, k] = fate[DISPATCHED, node]
            spans[1, k] = end
            k += 1
    if started < NEVER and fate[BACK_FROM, node] < min(back, until):
        spans[0, k] = fate[BACK_FROM, node]
        spans[1, k] = min(back, until)
        k += 1
    return k


@compiled
def _back_at(run, node):
    """Return when a node is back; NEVER if its rollback fails."""
    back = fates(run)[BACK_UNTIL, node]
    return back if back == NEVER or drawn(run)[ROLLBACK, node] >= 0 else np.int64(NEVER)


@compiled
def _scope(run, node, until):
    """Return from when to when somebody misses a node."""
    fate = fates(run)
    if run.begins:
        return fate[STARTED, node], min(_back_at(run, node), until)
    if run.leaves and not fate[HAS_FAILED, node]:
        return np.int64(0), min(fate[RESOLVED, node], until)
    return np.int64(0), until


@compiled
def _down_spells(run, node, until, is_real, k):
    """Append the spells in which a node is missed and down: as they were, or as they would have been untouched."""
    fate, spans = fates(run), scratch(run)
    start, end = _scope(run, node, until)
    one = classes(run)[drawn(run)[CLASS, node]]
    for place in (_CRASH, _ZONE):
        walk = walk_at(run, place)
        if place == _CRASH:
            if one.crash < 0:
                continue
            if is_real:
                begin_crashes(walk, run, node, fate[STARTED, node], fate[BACK_FROM, node])
            else:
                spells.begin(walk, run, one.crash, node)
        else:
            if one.zone_outage < 0:
                continue
            spells.begin(walk, run, one.zone_outage, node % run.zones)
        t = np.int64(0)
        while t < end:
            spells.reach(walk, run, t)
            upto = min(walk.end, end)
            if is_real and place == _CRASH:
                # A disturbance cuts a spell off early, and the walk takes note of it only when it gets there.
                if t < fate[STARTED, node]:
                    upto = min(upto, fate[STARTED, node])
                if t < fate[BACK_FROM, node]:
                    upto = min(upto, fate[BACK_FROM, node])
            if walk.is_bad and upto > start:
                if k + 2 > run.room:
                    return -1
                spans[0, k] = max(t, start)
                spans[1, k] = upto
                k += 1
            t = upto
    return k


@compiled
def _unite(run, first, last):
    """Merge the intervals in columns first, ..., last - 1 that overlap or touch; return the new end."""
    spans = scratch(run)
    for i in range(first + 1, last):
        start, end = spans[0, i], spans[1, i]
        j = i - 1
        while j >= first and spans[0, j] > start:
            spans[0, j + 1] = spans[0, j]
            spans[1, j + 1] = spans[1, j]
            j -= 1
        spans[0, j + 1] = start
        spans[1, j + 1] = end
    k = first
    for i in range(first, last):
        if k > first and spans[0, i] <= spans[1, k - 1]:
            spans[1, k - 1] = max(spans[1, k - 1], spans[1, i])
        else:
            spans[0, k] = spans[0, i]
            spans[1, k] = spans[1, i]
            k += 1
    return k
