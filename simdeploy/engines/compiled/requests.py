"""Requests that a shared service sheds, and the load of its pools over a rollout (model section 5), for compiled code."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import drawn, is_surged, load_starts, load_times, loads, policy_of, scratch
from simdeploy.engines.compiled.fates import is_down_for_good
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.load import demand_at, integrate, next_point, pool_of, weight_of
from simdeploy.engines.compiled.outcomes import outcome_of
from simdeploy.engines.compiled.outlook import look_ahead
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.service import beside_bounds, down_spells, out_by_status, scope, unite
from simdeploy.engines.compiled.sorting import find_order
from simdeploy.engines.compiled.tables import (
    CLASS,
    LOAD,
    LOAD_AFTER,
    LOAD_DEMAND,
    LOAD_DEMAND_AFTER,
    LOAD_SERVED,
    LOAD_WEIGHT,
)
from simdeploy.units import NS_PER_S

# Numbers of a class in a pool that change: missed nodes, and those of them that are out of service.
_MISSED, _OUT = range(2)


@part("shares", types.int64, returns=types.boolean, seconds=1, beside="outcomes", can_fail=True)
def measure_sharing(run, horizon):
    """Compute the requests shed, and keep the load of every pool; False if there was not enough room."""
    look_ahead(run, horizon + 1)
    shed, lowest = follow_pools(run, horizon, True)
    anyway, _ = follow_pools(run, horizon, False) if shed >= 0 else (shed, lowest)
    if shed < 0 or anyway < 0:
        return False
    outcome = outcome_of(run)
    outcome.lost_requests = outcome.lost_requests_excess = 0.0
    outcome.shed_requests, outcome.shed_requests_excess = shed, shed - anyway
    outcome.min_capacity_ratio = lowest if lowest < math.inf else math.nan
    return True


@compiled
def follow_pools(run, horizon, is_real):
    """Return the requests shed, -1 if there is not enough room, and the lowest capacity over demand.

    For the real rollout, or as if only nodes were out of service that would be down without it.
    """
    times, codes = np.empty(run.room, np.int64), np.empty(run.room, np.int64)
    missed = np.zeros((run.n_pools, run.n_classes), np.int64)
    n = _list_changes(run, horizon, is_real, times, codes, missed)
    if n < 0:
        return -1.0, math.inf
    # By pool, in order of time.
    first = np.zeros(run.n_pools + 1, np.int64)
    for place in range(n):
        first[_pool_of_code(run, codes[place]) + 1] += 1
    for pool in range(run.n_pools):
        first[pool + 1] += first[pool]
    ahead = first.copy()
    sorted_times, sorted_codes = np.empty(n, np.int64), np.empty(n, np.int64)
    for place in range(n):
        pool = _pool_of_code(run, codes[place])
        sorted_times[ahead[pool]] = times[place]
        sorted_codes[ahead[pool]] = codes[place]
        ahead[pool] += 1
    shed, lowest, piece = 0.0, math.inf, np.int64(0)
    for pool in range(run.n_pools):
        order = find_order(sorted_times[first[pool] : first[pool + 1]])
        own_times, own_codes = times[: len(order)], codes[: len(order)]  # both are sorted by now
        for place in range(len(order)):
            own_times[place] = sorted_times[first[pool] + order[place]]
            own_codes[place] = sorted_codes[first[pool] + order[place]]
        if is_real:
            load_starts(run)[pool] = piece
        beyond, ratio, piece = _follow_pool(run, horizon, own_times, own_codes, missed[pool], piece, is_real)
        if piece < 0:
            return -1.0, math.inf
        shed += beyond
        lowest = min(lowest, ratio)
    if is_real:
        load_starts(run)[run.n_pools] = piece
    return shed, lowest


@inlined
def _pool_of_code(run, code):
    return code // (4 * run.n_classes) if run.n_pools > 1 else 0


@compiled
def _list_changes(run, horizon, is_real, times, codes, missed):
    """List the times at which nodes begin and cease to be missed, and to be out of service; return their number, -1 without room.

    Nodes that are missed from the start on are counted, by pool and class; changes after the horizon are left out.
    """
    spans, until, n = scratch(run), horizon + 1, 0
    if not (is_real or run.goes_down or run.begins or run.leaves) and run.n_classes == 1 and run.n_pools == 1:
        missed[0, 0] = run.nodes
        return n
    last = _last_to_leave(run, until)
    for node in range(run.nodes):
        since, upto = scope(run, node, until)
        if since > horizon:
            continue
        if run.leaves and is_down_for_good(run, node) and last[pool_of(run, node)] >= 0:
            upto = last[pool_of(run, node)]
        k = out_by_status(run, node, until, 0) if is_real else 0
        if run.goes_down:
            k = down_spells(run, node, until, is_real, k)
            if k < 0:
                return -1
            k = unite(run, 0, k)
        if n + 2 * k + 2 > run.room:
            return -1
        pool, number = pool_of(run, node), drawn(run)[CLASS, node]
        code = 4 * (pool * run.n_classes + number)
        if since > 0:
            n = _list(times, codes, n, since, code + 2 * _MISSED + 1, horizon)
        else:
            missed[pool, number] += 1
        n = _list(times, codes, n, upto, code + 2 * _MISSED, horizon)
        for place in range(k):
            n = _list(times, codes, n, spans[0, place], code + 2 * _OUT + 1, horizon)
            n = _list(times, codes, n, min(spans[1, place], upto), code + 2 * _OUT, horizon)
        if is_real and is_surged(run, node):
            n = _list_beside(run, node, k, code, upto, times, codes, n)
            if n < 0:
                return -1
    return n


@inlined
def _list(times, codes, n, t, code, horizon):
    times[n], codes[n] = t, code
    return n + (t <= horizon)


@compiled
def _list_beside(run, node, k, code, upto, times, codes, n):
    """List when a second instance of a node serves, outside the k intervals in which the node is down."""
    spans = scratch(run)
    t, until = beside_bounds(run, node)
    until = min(until, upto)
    if n + 2 * k + 2 > run.room:
        return -1
    for place in range(k + 1):
        end = min(spans[0, place], until) if place < k else until
        if t < end:
            times[n], codes[n] = t, code + 2 * _OUT
            times[n + 1], codes[n + 1] = end, code + 2 * _OUT + 1
            n += 2
        if place < k:
            t = max(t, spans[1, place])
    return n


@compiled
def _last_to_leave(run, until):
    """Return for each pool until when nodes that are not down for good are missed; -1 if it has none, or nodes don't leave."""
    last = np.full(run.n_pools, -1, np.int64)
    if run.leaves:
        for node in range(run.nodes):
            if not is_down_for_good(run, node):
                last[pool_of(run, node)] = max(last[pool_of(run, node)], scope(run, node, until)[1])
    return last


@compiled
def _follow_pool(run, horizon, times, codes, missed, piece, is_kept):
    """Return the requests shed, the lowest capacity over demand, and the next piece; -1 if there is not enough room."""
    counts, serving = np.zeros((2, run.n_classes), np.int64), np.zeros(run.n_classes, np.int64)
    for number in range(run.n_classes):
        counts[_MISSED, number] = missed[number]
    midnight = policy_of(run).begins_in_week
    shed, lowest, met = 0.0, math.inf, 0.0
    t, place = np.int64(0), 0
    while True:
        while place < len(times) and times[place] <= t:
            code = codes[place]
            number = code // 4 % run.n_classes if run.n_classes > 1 else 0
            counts[code // 2 % 2, number] += 1 if code % 2 else -1
            place += 1
        end = min(horizon, next_point(run, midnight + t) - midnight)
        if place < len(times):
            end = min(end, times[place])
        before, after = demand_at(run, counts[0], midnight + t), demand_at(run, counts[0], midnight + end)
        for number in range(run.n_classes):
            serving[number] = counts[_MISSED, number] - counts[_OUT, number]
        served, seconds = weight_of(run, serving), (end - t) / NS_PER_S
        peak = max(before, after)
        if peak > 0:
            lowest = min(lowest, run.capacity * served / peak)
        load = load_after = added = beyond = 0.0
        if served > 0:
            load, load_after = before / served, after / served
            added, beyond = integrate(load, load_after, run.capacity, seconds)
            shed += served * beyond
        else:
            shed += (before + after) * 0.5 * seconds
        if is_kept:
            if piece == run.room:
                return shed, lowest, np.int64(-1)
            load_times(run)[piece] = t
            table = loads(run)
            table[LOAD, piece], table[LOAD_AFTER, piece], table[LOAD_SERVED, piece] = load, load_after, met
            table[LOAD_DEMAND, piece], table[LOAD_DEMAND_AFTER, piece], table[LOAD_WEIGHT, piece] = (
                before,
                after,
                served,
            )
            piece += 1
        met += added - beyond
        if t == horizon:
            return shed, lowest, piece
        t = end
