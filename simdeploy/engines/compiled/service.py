"""When nodes served, or were out of service (model section 5), for compiled code."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import classes, drawn, fates, is_surged, lists, policy_of, scratch, walk_at
from simdeploy.engines.compiled.codes import SLIDING
from simdeploy.engines.compiled.exposure import begin_crashes, crash_rate, is_disturbed
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.load import served_between, traffic_between
from simdeploy.engines.compiled.node import keeps_old
from simdeploy.engines.compiled.out_at_once import LISTED, back_at, lost_between, most_at_few_instants, most_at_once
from simdeploy.engines.compiled.outcomes import outcome_of, sum_s
from simdeploy.engines.compiled.outlook import list_going_down, look_ahead, stays_undegraded, stays_up
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import BACK_FROM, CLASS, DISPATCHED, HAS_FAILED, NEVER, RESOLVED, STARTED
from simdeploy.units import NS_PER_S

_LOW = (1 << 32) - 1


@inlined
def requested_between(run, node, start, end):
    """Return the nanoseconds of its own requests that a node in service serves within [start, end)."""
    return _requested_by_traffic(run, node, start, end) if run.varies else float(end - start)


@part("served", types.int64, types.int64, types.int64, returns=types.float64, seconds=0.2)
def _requested_by_traffic(run, node, start, end):
    if run.shared:
        return served_between(run, node, start, end) * NS_PER_S
    return traffic_between(run, drawn(run)[CLASS, node], start, end) * NS_PER_S


@compiled
def served_well(run, node, start, end):
    """Return the nanoseconds of its own requests that a node served within [start, end), without the fraction that failed while it
    was degraded.
    """
    look_ahead(run, end)
    if _may_go_down(run, node, end) or not stays_undegraded(run, node):
        return _served_in_spells(run, node, start, end)
    return requested_between(run, node, start, end)


@inlined
def _may_go_down(run, node, end):
    return run.goes_down and (is_disturbed(run, node) or not stays_up(run, node, end))


@part("interruptions", types.int64, types.int64, types.int64, returns=types.float64, seconds=0.3)
def _served_in_spells(run, node, start, end):
    fate = fates(run)
    node_class = classes(run)[drawn(run)[CLASS, node]]
    goes_down, flaps = _may_go_down(run, node, end), not stays_undegraded(run, node)
    if goes_down and node_class.crash >= 0:
        begin_crashes(walk_at(run, spells.CRASH), run, node, fate[STARTED, node], fate[BACK_FROM, node])
    if goes_down and node_class.zone_outage >= 0:
        zone = node % run.zones
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, zone)
    if flaps:
        spells.begin(run, walk_at(run, spells.FLAPPING), node_class.flapping, node)
    served = degraded = 0.0
    t = start
    while t < end:
        until = end
        is_up = True
        if goes_down and node_class.crash >= 0:
            spells.reach(run, walk_at(run, spells.CRASH), t)
            until = min(until, walk_at(run, spells.CRASH).end)
            is_up = not walk_at(run, spells.CRASH).is_bad
        if goes_down and node_class.zone_outage >= 0:
            spells.reach(run, walk_at(run, spells.ZONE), t)
            until = min(until, walk_at(run, spells.ZONE).end)
            is_up = is_up and not walk_at(run, spells.ZONE).is_bad
        is_degraded = False
        if flaps:
            spells.reach(run, walk_at(run, spells.FLAPPING), t)
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
    return served - node_class.degraded_level * degraded


@compiled
def measure_service(run, horizon):
    """Compute the time out of service, the part of it that would have been without the rollout, and the fewest nodes in service.

    False if there was not enough room.
    """
    until = horizon + 1  # one instant beyond the horizon, so that it is settled
    # Nodes go out of service at few instants: when waves are sent, when all roll back, and when nodes go down.
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
    spans, listed = scratch(run), lists(run)[LISTED]
    n_listed = list_going_down(run, until, listed)
    k = next_listed = 0
    for turn in range(n_listed if few else run.nodes):
        node = listed[turn] if few else turn
        is_plain = next_listed == n_listed or listed[next_listed] != node
        next_listed += not is_plain
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
        most_at_few_instants(run, horizon, k, n_listed, sums, lost)
        if few
        else most_at_once(spans[0, :k], spans[1, :k], horizon)
    )
    after = np.zeros(4, np.int64)
    if (
        run.goes_down and run.kind >= 0 and run.crash_rate > 1.0 and not run.begins
    ):  # nobody misses a node that was removed
        _measure_down_after(run, horizon, after, lost)
    outcome = outcome_of(run)
    outcome.unavailable_node_s = sum_s(sums[0], sums[1]) + sum_s(after[0], after[1])
    anyway = sum_s(sums[2], sums[3]) + sum_s(after[2], after[3])
    outcome.unavailable_excess_node_s = outcome.unavailable_node_s - anyway
    outcome.min_in_service_fraction = 1 - most / run.nodes
    outcome.unrestored_nodes = _count_unrestored(run)
    if not run.shared:
        outcome.lost_requests, outcome.lost_requests_excess = lost[0], lost[0] - lost[1]
        outcome.shed_requests = outcome.shed_requests_excess = 0.0
        if run.is_even:
            outcome.lost_requests = run.even_rate * outcome.unavailable_node_s
            outcome.lost_requests_excess = run.even_rate * outcome.unavailable_excess_node_s
    return True


@compiled
def _measure_down_after(run, horizon, sums, lost):
    """Compute how long nodes that were rolled back stay down after the horizon because they crashed under a release that crashes
    more, and how long without the rollout, by crashes that began in the same time; add the requests lost meanwhile.
    """
    fate = fates(run)
    for node in range(run.nodes):
        is_back = fate[STARTED, node] < NEVER and back_at(run, node) < NEVER
        if not is_back or crash_rate(run, node) <= 1.0 or classes(run)[drawn(run)[CLASS, node]].crash < 0:
            continue
        for place in range(2):
            until = _crashed_until(run, node, horizon, place == 0)
            sums[2 * place] += (until - horizon) >> 32
            sums[2 * place + 1] += (until - horizon) & _LOW
            if until > horizon and not run.is_even:
                lost[place] += lost_between(run, node, horizon, until)


@compiled
def _crashed_until(run, node, t, is_real):
    """Return the end of the crash in progress at t if it began while the node was exposed, really or without the rollout; otherwise t."""
    started, back, walk = fates(run)[STARTED, node], fates(run)[BACK_FROM, node], walk_at(run, spells.CRASH)
    if is_real:
        begin_crashes(walk, run, node, started, back)
    else:
        spells.begin(run, walk, classes(run)[drawn(run)[CLASS, node]].crash, node)
    spells.reach(run, walk, t)
    return walk.end if walk.is_bad and started <= walk.start < back else t


@compiled
def _count_unrestored(run):
    """Count the nodes that the rollout leaves out of service."""
    if run.leaves:
        return 0
    fate, n = fates(run), 0
    for node in range(run.nodes):
        if back_at(run, node) < NEVER or keeps_old(run, node):
            continue
        # Nobody misses a new node before its first start.
        never_started = not run.begins and fate[DISPATCHED, node] < NEVER and fate[STARTED, node] == NEVER
        not_back = fate[STARTED, node] < NEVER and fate[BACK_FROM, node] < NEVER
        n += never_started or not_back
    return n


@compiled
def _lost_within(run, node, first, last, horizon):
    """Return the requests of a node within the intervals in columns first, ..., last - 1."""
    spans = scratch(run)
    lost = 0.0
    for place in range(first, last):
        lost += lost_between(run, node, min(spans[0, place], horizon), min(spans[1, place], horizon))
    return lost


@compiled
def _add_lengths(run, first, last, horizon, sums):
    spans = scratch(run)
    for place in range(first, last):
        length = min(spans[1, place], horizon) - min(spans[0, place], horizon)
        sums[0] += length >> 32
        sums[1] += length & _LOW


@inlined
def out_by_status(run, node, until, k):
    """Append the intervals within [0, until) in which a node is out of service regardless of crashes."""
    if run.leaves:
        return k
    fate, spans = fates(run), scratch(run)
    back = back_at(run, node)
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
    """Return begin and end of the time in which a node's old instance serves beside the new one, unless the node is down."""
    fate = fates(run)
    if not run.shared or not is_surged(run, node) or fate[STARTED, node] == NEVER:
        return np.int64(NEVER), np.int64(NEVER)
    until = fate[BACK_FROM, node]
    return fate[STARTED, node], until if keeps_old(run, node) else min(until, fate[RESOLVED, node])


@compiled
def scope(run, node, until):
    """Return begin and end of the time in which a node is missed."""
    fate = fates(run)
    if run.begins:
        return fate[STARTED, node], min(back_at(run, node), until)
    if run.leaves and not fate[HAS_FAILED, node]:
        return np.int64(0), min(fate[RESOLVED, node], until)
    return np.int64(0), until


@compiled
def down_spells(run, node, until, is_real, k):
    """Append the spells in which a node is missed and down: real ones, or those without the rollout."""
    start, end = scope(run, node, until)
    node_class = classes(run)[drawn(run)[CLASS, node]]
    if node_class.crash >= 0:
        if is_real:
            begin_crashes(walk_at(run, spells.CRASH), run, node, fates(run)[STARTED, node], fates(run)[BACK_FROM, node])
        else:
            spells.begin(run, walk_at(run, spells.CRASH), node_class.crash, node)
        k = _append_bad(run, walk_at(run, spells.CRASH), node, start, end, is_real, k)
    if node_class.zone_outage >= 0 and k >= 0:
        spells.begin(run, walk_at(run, spells.ZONE), node_class.zone_outage, node % run.zones)
        k = _append_bad(run, walk_at(run, spells.ZONE), node, start, end, False, k)
    return k


@compiled
def _append_bad(run, walk, node, start, end, is_disturbed, k):
    """Append the parts of a walk's bad spells within [start, end); -1 if there is not enough room."""
    fate, spans = fates(run), scratch(run)
    t = np.int64(0)
    while t < end:
        spells.reach(run, walk, t)
        upto = min(walk.end, end)
        if is_disturbed:
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
