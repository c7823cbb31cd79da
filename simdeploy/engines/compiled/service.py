"""Who served, who was out of service, and when (model section 5), for compiled code."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import (
    begins_of,
    classes,
    drawn,
    fates,
    is_surged,
    lists,
    policy_of,
    queue,
    scratch,
    walk_at,
)
from simdeploy.engines.compiled.codes import SLIDING
from simdeploy.engines.compiled.exposure import begin_crashes, is_disturbed
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.load import served_between, traffic_between
from simdeploy.engines.compiled.node import keeps_old
from simdeploy.engines.compiled.outcomes import (
    LOST,
    LOST_EXCESS,
    MIN_IN_SERVICE,
    SHED,
    SHED_EXCESS,
    UNAVAILABLE,
    UNAVAILABLE_EXCESS,
    sum_s,
)
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    BACK_UNTIL,
    CLASS,
    DISPATCHED,
    HAS_FAILED,
    NEVER,
    RESOLVED,
    ROLLBACK,
    ROLLED,
    STARTED,
    WAVE,
)
from simdeploy.units import NS_PER_S

_LOW = (1 << 32) - 1


@compiled
def requested_between(run, node, start, end):
    """Return how many nanoseconds of its requests a node that is in service serves within [start, end)."""
    if not run.varies:
        return float(end - start)
    if run.shared:
        return served_between(run, node, start, end) * NS_PER_S
    return traffic_between(run, drawn(run)[CLASS, node], start, end) * NS_PER_S


@compiled
def served_within(run, node, start, end):
    """Return how many nanoseconds of its requests a node served within [start, end), and of those the ones while degraded."""
    fate = fates(run)
    one = classes(run)[drawn(run)[CLASS, node]]
    look_ahead(run, end)
    goes_down = run.goes_down and (is_disturbed(run, node) or not stays_up(run, node, end))
    flaps = not stays_undegraded(run, node)
    if not goes_down and not flaps:
        return requested_between(run, node, start, end), 0.0
    if goes_down and one.crash >= 0:
        begin_crashes(walk_at(run, spells.CRASH), run, node, fate[STARTED, node], fate[BACK_FROM, node])
    if goes_down and one.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(walk_at(run, spells.ZONE), run, one.zone_outage, zone)
    if flaps:
        spells.begin(walk_at(run, spells.FLAPPING), run, one.flapping, node)
    served = degraded = 0.0
    t = start
    while t < end:
        until = end
        is_up = True
        if goes_down and one.crash >= 0:
            spells.reach(walk_at(run, spells.CRASH), run, t)
            until = min(until, walk_at(run, spells.CRASH).end)
            is_up = not walk_at(run, spells.CRASH).is_bad
        if goes_down and one.zone_outage >= 0:
            spells.reach(walk_at(run, spells.ZONE), run, t)
            until = min(until, walk_at(run, spells.ZONE).end)
            is_up = is_up and not walk_at(run, spells.ZONE).is_bad
        is_degraded = False
        if flaps:
            spells.reach(walk_at(run, spells.FLAPPING), run, t)
            until = min(until, walk_at(run, spells.FLAPPING).end)
            is_degraded = walk_at(run, spells.FLAPPING).is_bad
        # A disturbance cuts a spell off early, and the walk takes note of it only when it gets there.
        if t < fate[STARTED, node]:
            until = min(until, fate[STARTED, node])
        if t < fate[BACK_FROM, node]:
            until = min(until, fate[BACK_FROM, node])
        if is_up:
            met = requested_between(run, node, t, until)
            served += met
            if is_degraded:
                degraded += met
        t = until
    return served, degraded


@compiled
def measure_service(run, horizon, real):
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
        and not run.any_order_late
        and not (run.rollback_has_begun and policy_of(run).rollback_size < run.nodes)
        and policy_of(run).pacing != SLIDING
        and not policy_of(run).has_steps
        and policy_of(run).canary_surge == 0
    )
    sums, lost = np.zeros(4, np.int64), np.zeros(2)
    spans = scratch(run)
    k = 0
    for node in range(run.nodes):
        is_plain = not run.goes_down or (stays_up(run, node, until) and not is_disturbed(run, node))
        if is_plain and few:
            continue
        if k + 4 > run.room:
            return False
        first = k
        k = out_by_status(run, node, until, k)
        if not is_plain:
            k = down_spells(run, node, until, True, k)
            if k < 0:
                return False
            k = unite(run, first, k)
            after = down_spells(run, node, until, False, k)
            if after < 0:
                return False
            after = unite(run, k, after)
            _add_lengths(run, k, after, horizon, sums[2:])
            if not run.is_even:
                lost[1] += _lost_within(run, node, k, after, horizon)
        _add_lengths(run, first, k, horizon, sums[:2])
        if not run.is_even:
            lost[0] += _lost_within(run, node, first, k, horizon)
    if k + run.waves_open + 2 > run.room:
        return False
    most = (
        _most_at_few_instants(run, horizon, k, sums, lost) if few else most_at_once(spans[0, :k], spans[1, :k], horizon)
    )
    real[UNAVAILABLE] = sum_s(sums[0], sums[1])
    real[UNAVAILABLE_EXCESS] = real[UNAVAILABLE] - sum_s(sums[2], sums[3])
    real[MIN_IN_SERVICE] = 1 - most / run.nodes
    if not run.shared:
        real[LOST], real[LOST_EXCESS], real[SHED], real[SHED_EXCESS] = lost[0], lost[0] - lost[1], 0.0, 0.0
        if run.is_even:
            real[LOST] = run.even_rate * real[UNAVAILABLE]
            real[LOST_EXCESS] = run.even_rate * real[UNAVAILABLE_EXCESS]
    return True


@compiled
def _lost_within(run, node, first, last, horizon):
    """Return the requests of a node within the intervals in columns first, ..., last - 1."""
    spans = scratch(run)
    lost = 0.0
    for place in range(first, last):
        lost += _lost_between(run, node, min(spans[0, place], horizon), min(spans[1, place], horizon))
    return lost


@compiled
def _add_lengths(run, first, last, horizon, sums):
    spans = scratch(run)
    for place in range(first, last):
        length = min(spans[1, place], horizon) - min(spans[0, place], horizon)
        sums[0] += length >> 32
        sums[1] += length & _LOW


@compiled
def most_at_once(starts, ends, until):
    """Return how many intervals [start, end) hold at once, at most, at any settled instant up to and including `until`."""
    starts, ends = sort(starts), sort(ends)
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
def _most_at_few_instants(run, horizon, k, sums, lost):
    """Find the most nodes out of service at once, where k spells of some nodes stand in `scratch` and the others are plain.

    The others' times out of service are added to `sums`, the requests lost meanwhile to `lost`.
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
        ordered = sort(instants[:n])
        for place in range(n):
            instants[place] = ordered[place]
    for place in range(n + 1):
        changes[place] = 0
    for place in range(k):
        changes[_first_not_before(instants, n, spans[0, place])] += 1
        changes[_first_not_before(instants, n, spans[1, place])] -= 1
    if not run.leaves:
        high, low, is_even = sums[0], sums[1], run.is_even
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
                    if not is_even:
                        lost[0] += _lost_between(run, node, begin, min(end, horizon))
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
                if not is_even:
                    lost[0] += _lost_between(run, node, min(begin, horizon), min(end, horizon))
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
def _lost_between(run, node, start, end):
    """Return the requests of a node that is out of service all the time."""
    number = drawn(run)[CLASS, node]
    return classes(run)[number].requests_per_second * traffic_between(run, number, start, end)


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


@inlined
def out_by_status(run, node, until, k):
    """Append the intervals, within [0, until), in which a node is out of service whatever crashes do to it."""
    if run.leaves:
        return k
    fate, spans = fates(run), scratch(run)
    back = _back_at(run, node)
    started = fate[STARTED, node]
    stays_in = keeps_old(run, node)
    if not run.begins:
        begin, end = fate[DISPATCHED, node], min(started if started < NEVER else back, until)
        if is_surged(run, node):
            begin = np.int64(NEVER) if stays_in else fate[RESOLVED, node]
        if begin < end:
            spans[0, k] = begin
            spans[1, k] = end
            k += 1
    if started < NEVER and not stays_in and fate[BACK_FROM, node] < min(back, until):
        spans[0, k] = fate[BACK_FROM, node]
        spans[1, k] = min(back, until)
        k += 1
    return k


@compiled
def beside_bounds(run, node):
    """Return from when to when the old instance of a node serves beside the new one, unless the node is down."""
    fate = fates(run)
    if not run.shared or not is_surged(run, node) or fate[STARTED, node] == NEVER:
        return np.int64(NEVER), np.int64(NEVER)
    until = fate[BACK_FROM, node]
    return fate[STARTED, node], until if keeps_old(run, node) else min(until, fate[RESOLVED, node])


@compiled
def _back_at(run, node):
    """Return when a node is back; NEVER if its rollback fails."""
    back = fates(run)[BACK_UNTIL, node]
    return back if back == NEVER or drawn(run)[ROLLBACK, node] >= 0 else np.int64(NEVER)


@compiled
def scope(run, node, until):
    """Return from when to when somebody misses a node."""
    fate = fates(run)
    if run.begins:
        return fate[STARTED, node], min(_back_at(run, node), until)
    if run.leaves and not fate[HAS_FAILED, node]:
        return np.int64(0), min(fate[RESOLVED, node], until)
    return np.int64(0), until


@compiled
def down_spells(run, node, until, is_real, k):
    """Append the spells in which a node is missed and down: as they were, or as they would have been untouched."""
    fate, spans = fates(run), scratch(run)
    start, end = scope(run, node, until)
    one = classes(run)[drawn(run)[CLASS, node]]
    for place in (spells.CRASH, spells.ZONE):
        walk = walk_at(run, place)
        if place == spells.CRASH:
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
            if is_real and place == spells.CRASH:
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
def unite(run, first, last):
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
