"""The requests that a node receives (model section 3), for compiled code: its own, by the time of day, or a share of its pool's.

A pool is followed from change to change: two running sums hold the requests of its nodes since the start, and those that were shed.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    class_rule_of,
    classes,
    day_points,
    drawn,
    load_starts,
    load_times,
    loads,
    policy_of,
    policy_of_node,
    pool_counts,
    pool_sums,
    pool_times,
    traffic,
)
from simdeploy.engines.compiled.binomial import ALWAYS, surely_healthy_word, words_of_rate
from simdeploy.engines.compiled.codes import ACROSS_CLASS, ACROSS_ZONE
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import (
    CLASS,
    LOAD,
    LOAD_AFTER,
    LOAD_DEMAND,
    LOAD_DEMAND_AFTER,
    LOAD_SERVED,
    LOAD_WEIGHT,
    POOL_MET,
    POOL_SERVED,
    POOL_SHED,
)
from simdeploy.units import NS_PER_S
from simdeploy.world.traffic import DAY_NS

STARTS, _FACTORS, _SLOPES, _SUMS = range(4)
_MOST_NUMBERS = 8  # numbers of allowed failures that are examined


@compiled
def piece_at(run, node_class, rest):
    """Return the piece of a class's day that contains a time since midnight."""
    low, high = node_class.first_piece, node_class.last_piece - 1
    while low < high:
        middle = (low + high + 1) // 2
        if traffic(run)[STARTS, middle] <= rest:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def factor_at(run, number, t):
    """Return the traffic of a class at a time, nanoseconds since midnight."""
    node_class = classes(run)[number]
    if node_class.first_piece == node_class.last_piece:
        return 1.0
    rest = t % DAY_NS
    place, table = piece_at(run, node_class, rest), traffic(run)
    return table[_FACTORS, place] + table[_SLOPES, place] * ((rest - table[STARTS, place]) / NS_PER_S)


@compiled
def traffic_between(run, number, start, end):
    """Return the integral of a class's traffic over [start, end), times since the start of the rollout, seconds."""
    node_class = classes(run)[number]
    if node_class.first_piece == node_class.last_piece:
        return (end - start) / NS_PER_S
    start += policy_of(run).begins_in_week
    end += policy_of(run).begins_in_week
    first_day, last_day = start // DAY_NS, end // DAY_NS
    within = _within_day(run, node_class, end - last_day * DAY_NS) - _within_day(
        run, node_class, start - first_day * DAY_NS
    )
    return (last_day - first_day) * node_class.day_s + within


@compiled
def _within_day(run, node_class, rest):
    return within_piece(traffic(run), piece_at(run, node_class, rest), rest)


@inlined
def within_piece(table, place, rest):
    """Return the integral of traffic from midnight up to a time within a piece of the day."""
    x = (rest - table[STARTS, place]) / NS_PER_S
    return table[_SUMS, place] + x * (table[_FACTORS, place] + 0.5 * table[_SLOPES, place] * x)


@inlined
def end_of_piece(node_class, table, piece):
    """Return when a piece of a class's day ends, nanoseconds since midnight."""
    return np.int64(table[STARTS, piece + 1]) if piece + 1 < node_class.last_piece else np.int64(DAY_NS)


@compiled
def requests_met(run, node, start, windows):
    """Return the requests of consecutive windows of a node, from `start` on; in a shared service they were counted."""
    return np.int64(0) if run.shared else _requests_met(run, node, start, windows)


@part("met", types.int64, types.int64, types.int64, returns=types.int64, seconds=0.2)
def _requests_met(run, node, start, windows):
    policy, number = policy_of_node(run, node), drawn(run)[CLASS, node]
    if classes(run)[number].first_piece == classes(run)[number].last_piece:
        return windows * class_rule_of(run, policy, number).requests
    return requests_of_windows(run, number, start, policy.interval, windows)


@compiled
def requests_of_windows(run, number, start, interval, windows):
    """Return the requests of consecutive windows of a node of a local service, from `start` on."""
    node_class, table, total = classes(run)[number], traffic(run), np.int64(0)
    start += policy_of(run).begins_in_week
    day = start // DAY_NS
    rest = start - day * DAY_NS
    place = piece_at(run, node_class, rest)
    before = within_piece(table, place, rest)
    for _ in range(windows):
        rest += interval
        whole_days = 0.0
        if rest >= DAY_NS:
            whole_days = float(rest // DAY_NS)
            rest %= DAY_NS
            place = piece_at(run, node_class, rest)
        while place + 1 < node_class.last_piece and table[STARTS, place + 1] <= rest:
            place += 1
        after = within_piece(table, place, rest)
        total += count_requests(node_class.requests_per_second, whole_days * node_class.day_s + (after - before))
        before = after
    return total


@compiled
def bounds_of_factor(run, number, start, end):
    """Return the lowest and the highest traffic of a class between two times since the start of the rollout."""
    node_class, table = classes(run)[number], traffic(run)
    if node_class.first_piece == node_class.last_piece:
        return 1.0, 1.0
    start += policy_of(run).begins_in_week
    end = min(end + policy_of(run).begins_in_week, start + DAY_NS)
    here, there = factor_at(run, number, start), factor_at(run, number, end)
    lowest, highest = min(here, there), max(here, there)
    day = start - start % DAY_NS
    for place in range(node_class.first_piece, node_class.last_piece):
        today = day + np.int64(table[STARTS, place])
        if start < today < end or start < today + DAY_NS < end:
            lowest = min(lowest, table[_FACTORS, place])
            highest = max(highest, table[_FACTORS, place])
    return lowest, highest


@compiled
def count_requests(rate, seconds):
    """Return the requests in some seconds, rounded as by `simdeploy.world.traffic.count_requests`."""
    return np.int64(math.floor(rate * seconds + (0.5 + 1e-6)))


@compiled
def allowed_of(policy, requests):
    """Return the most failed requests of a healthy window; -1 if no window with this many requests is healthy."""
    if requests == 0:
        return np.int64(0) if policy.idle_is_healthy else np.int64(-1)
    return min(policy.rate_top * requests // policy.rate_bottom, requests)


@compiled
def words_between(policy, fewest, most, p):
    """Return a word up to which windows with `fewest` to `most` requests are surely healthy under a policy's error rate, if each request
    fails with probability p; -1 if there is none or p is unknown.

    Among numbers of requests with equally many allowed failures, the largest is decisive.
    """
    surely, first = np.int64(ALWAYS), fewest
    if not p >= 0:
        return np.int64(-1)
    for _ in range(_MOST_NUMBERS):
        allowed, last = allowed_of(policy, first), first
        if first > 0 and allowed < first:
            last = most
            if policy.rate_top > 0:
                last = min(most, ((allowed + 1) * policy.rate_bottom - 1) // policy.rate_top)
        surely = min(surely, surely_healthy_word(allowed, last, p))
        if last >= most:
            return surely
        first = last + 1
    return words_of_rate(fewest, policy.rate_top / policy.rate_bottom, p)[0]


# -- pools -----------------------------------------------------------------------------------------


@compiled
def pool_of(run, node):
    """Return the number of a node's pool."""
    if run.across == ACROSS_ZONE:
        return node % run.zones
    if run.across == ACROSS_CLASS:
        return drawn(run)[CLASS, node]
    return np.int64(0)


@compiled
def demand_at(run, missed, t):
    """Return the requests per second of missed nodes, whose numbers are given by class, at a time since midnight."""
    demand = 0.0
    for number in range(run.n_classes):
        node_class = classes(run)[number]
        weight = missed[number] * node_class.requests_per_second
        demand += weight if node_class.first_piece == node_class.last_piece else weight * factor_at(run, number, t)
    return demand


@compiled
def weight_of(run, serving):
    """Return the requests per second, without traffic, of serving nodes, whose numbers are given by class."""
    served = 0.0
    for number in range(run.n_classes):
        served += serving[number] * classes(run)[number].requests_per_second
    return served


@compiled
def next_point(run, t):
    """Return the next time after t at which the slope of traffic changes, times since midnight; never without traffic."""
    points = day_points(run)
    if not len(points):
        return np.int64(1 << 62)
    day = t // DAY_NS
    rest = t - day * DAY_NS
    for place in range(len(points)):
        if points[place] > rest:
            return day * DAY_NS + points[place]
    return (day + 1) * DAY_NS + points[0]


@compiled
def integrate(before, after, capacity, seconds):
    """Integrate a load that changes linearly, and the part of it above the capacity (`simdeploy.world.pools.integrate`)."""
    met = (before + after) * 0.5 * seconds
    first, last = before - capacity, after - capacity
    if first <= 0 and last <= 0:
        return met, 0.0
    if first >= 0 and last >= 0:
        return met, (first + last) * 0.5 * seconds
    top = max(first, last)
    return met, top * (top / abs(last - first)) * 0.5 * seconds


@compiled
def sums_now(run, pool, t):
    """Return the sums of a pool, received and shed, up to a time that is not before its last change."""
    sums, counts = pool_sums(run)[pool], pool_counts(run)[pool]
    met, shed, served = sums[POOL_MET], sums[POOL_SHED], sums[POOL_SERVED]
    first, last = pool_times(run)[pool], t
    if served == 0 or first == last:
        return met, shed
    first += policy_of(run).begins_in_week
    last += policy_of(run).begins_in_week
    before = demand_at(run, counts[0], first)
    while first < last:
        end = min(last, next_point(run, first))
        after = demand_at(run, counts[0], end)
        load = before / served
        added, beyond = integrate(
            load, load if after == before else after / served, run.capacity, (end - first) / NS_PER_S
        )
        met += added
        shed += beyond
        first, before = end, after
    return met, shed


@compiled
def change_pool(run, node, t, demand, serving):
    """Change the numbers of missed and of serving nodes of a node's class in its pool."""
    pool, number = pool_of(run, node), drawn(run)[CLASS, node]
    sums, counts = pool_sums(run)[pool], pool_counts(run)[pool]
    sums[POOL_MET], sums[POOL_SHED] = sums_now(run, pool, t)
    pool_times(run)[pool] = t
    counts[0, number] += demand
    counts[1, number] += serving
    sums[POOL_SERVED] = weight_of(run, counts[1])


@compiled
def served_between(run, node, start, end):
    """Return the seconds of its own requests that a node in service serves within [start, end)."""
    pool = pool_of(run, node)
    return _served_up_to(run, pool, end) - _served_up_to(run, pool, start)


@compiled
def _load_piece_at(run, pool, t):
    """Return the piece of a pool's load that contains a time."""
    low, high = load_starts(run)[pool], load_starts(run)[pool + 1] - 1
    while low < high:
        middle = (low + high + 1) // 2
        if load_times(run)[middle] <= t:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def demand_and_weight_at(run, pool, t):
    """Return the demand of a pool at a time, and the requests per second, without traffic, of its nodes in service."""
    piece, table = _load_piece_at(run, pool, t), loads(run)
    start, demand = load_times(run)[piece], table[LOAD_DEMAND, piece]
    if piece + 1 < load_starts(run)[pool + 1]:
        share = (t - start) / max(load_times(run)[piece + 1] - start, 1)
        demand += (table[LOAD_DEMAND_AFTER, piece] - demand) * share
    return demand, table[LOAD_WEIGHT, piece]


@compiled
def _served_up_to(run, pool, t):
    low, last = _load_piece_at(run, pool, t), load_starts(run)[pool + 1]
    load, start = loads(run)[LOAD, low], load_times(run)[low]
    here = load
    if low + 1 < last:
        share = (t - start) / max(load_times(run)[low + 1] - start, 1)
        here = load + (loads(run)[LOAD_AFTER, low] - load) * share
    added, beyond = integrate(load, here, run.capacity, (t - start) / NS_PER_S)
    return loads(run)[LOAD_SERVED, low] + (added - beyond)
