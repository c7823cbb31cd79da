"""Traces (see `simdeploy.engines.traces`), for compiled code: changes are added up from instant to instant."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled import spells
from simdeploy.engines.compiled.access import (
    classes,
    drawn,
    fates,
    policy_of,
    scratch,
    traced_counts,
    traced_sums,
    traces,
    walk_at,
)
from simdeploy.engines.compiled.drawing import own_level
from simdeploy.engines.compiled.ending import horizon_of
from simdeploy.engines.compiled.exposure import added_level, after_ns
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.line import counted_at, counts_as_failed
from simdeploy.engines.compiled.load import demand_and_weight_at, factor_at, pool_of
from simdeploy.engines.compiled.outlook import look_ahead, stays_undegraded
from simdeploy.engines.compiled.requests import follow_pools
from simdeploy.engines.compiled.service import beside_bounds, down_spells, out_by_status, scope, unite
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    CLASS,
    N_TRACED_COUNTS,
    N_TRACED_SUMS,
    NEVER,
    SERVING_NEW,
    SERVING_OLD,
    STARTED,
)
from simdeploy.engines.traces import (
    ERROR_RATE,
    ERROR_RATE_NEW,
    EXPOSED,
    FAILED,
    IN_SERVICE,
    MIDDLE,
    SHED,
    STEP,
    UNKNOWN,
    UPDATED,
)

_REQUESTS_OLD, _REQUESTS_NEW, _FAILED_OLD, _FAILED_NEW = range(4)


@compiled
def trace(run):
    """Trace the current rollout; False if there was not enough room."""
    counts, sums = traced_counts(run), traced_sums(run)
    n_slots = run.n_times + 1
    for slot in range(n_slots):
        for row in range(N_TRACED_COUNTS):
            counts[row, slot] = 0
        for group in range(run.n_groups):
            for row in range(N_TRACED_SUMS):
                sums[group, row, slot] = 0.0
    end = min(horizon_of(run), (run.n_times - 1) * run.every)
    look_ahead(run, end + 1)
    if run.shared and follow_pools(run, end, True)[0] < 0:
        return False
    fate = fates(run)
    for node in range(run.nodes):
        if counted_at(run, node) <= run.makespan:
            _count(run, FAILED if counts_as_failed(run, node) else UPDATED, counted_at(run, node), NEVER, end)
        if run.releases:
            _count(run, EXPOSED, fate[STARTED, node], fate[BACK_FROM, node], end)
        k = out_by_status(run, node, end + 1, 0)
        if run.goes_down:
            k = down_spells(run, node, end + 1, True, k)
            if k < 0:
                return False
        k = unite(run, 0, k)
        _add_service(run, node, k, end)
    _write(run, end)
    return True


@compiled
def _slot(run, t, end):
    """Return the first slot that shows a change at time t <= `end`: an instant, or the horizon."""
    slot = -(-t // run.every)
    return slot if slot * run.every <= end else end // run.every + 1


@compiled
def _count(run, row, since, until, end):
    """Count a node from one time to another."""
    if since <= end and since < until:
        traced_counts(run)[row, _slot(run, since, end)] += 1
        if until <= end:
            traced_counts(run)[row, _slot(run, until, end)] -= 1


@compiled
def _add_service(run, node, k, end):
    """Add the service of a node outside the k intervals in `scratch`, in which it is out of service."""
    spans = scratch(run)
    t, until = scope(run, node, end + 1)
    for place in range(k + 1):
        upto = until
        if place < k:
            upto = min(upto, spans[0, place])
        if t < upto:
            _count(run, IN_SERVICE, t, upto, end)
            _add_spell(run, node, t, upto, end)
        if place < k:
            t = max(t, spans[1, place])
    t, until = beside_bounds(run, node)
    until = min(until, end + 1)
    for place in range(k + 1):
        upto = min(until, spans[0, place]) if place < k else until
        _add_part(run, node, False, t, upto, end)
        if place < k:
            t = max(t, spans[1, place])


@compiled
def _add_spell(run, node, since, until, end):
    """Add an uninterrupted service of a node, in parts: on the old version, on the new one, and again on the old one."""
    fate = fates(run)
    starts, back = fate[STARTED, node], fate[BACK_FROM, node]
    if not run.releases or starts == NEVER:
        starts = back = NEVER  # a node that never started may roll back nevertheless
    _add_part(run, node, False, since, min(until, starts), end)
    _add_part(run, node, True, max(since, starts), min(until, back), end)
    _add_part(run, node, False, max(since, back), until, end)


@compiled
def _add_part(run, node, is_new, since, until, end):
    if since >= until:
        return
    node_class = classes(run)[drawn(run)[CLASS, node]]
    requests = node_class.requests_per_second
    if requests == 0:
        return
    level, group = own_level(run, node), _group_of(run, node)
    failed_row = _FAILED_NEW if is_new else _FAILED_OLD
    _count(run, SERVING_NEW if is_new else SERVING_OLD, since, until, end)
    _add(run, group, _REQUESTS_NEW if is_new else _REQUESTS_OLD, requests, since, until, end)
    _add(run, group, failed_row, requests * level, since, until, end)
    added = 0.0
    shown_from = until
    if is_new and run.kind >= 0:
        added = added_level(run, node)
        if added > 0:
            shown_from = max(since, fates(run)[STARTED, node] + after_ns(run, node))
            _add(run, group, failed_row, requests * (1 - level) * added, shown_from, until, end)
    if stays_undegraded(run, node):
        return
    walk = walk_at(run, spells.FLAPPING)
    spells.begin(run, walk, node_class.flapping, node)
    t = since
    while t < until:
        spells.reach(run, walk, t)
        upto = min(walk.end, until)
        if walk.is_bad:
            _add(run, group, failed_row, requests * (1 - level) * node_class.degraded_level, t, upto, end)
            if added > 0:
                both = -requests * (1 - level) * added * node_class.degraded_level
                _add(run, group, failed_row, both, max(t, shown_from), upto, end)
        t = upto


@compiled
def _group_of(run, node):
    """Return the number of a node's group, whose nodes receive the same per request per second."""
    if run.shared:
        return pool_of(run, node)
    return drawn(run)[CLASS, node] if run.varies else np.int64(0)


@compiled
def _add(run, group, row, term, since, until, end):
    if since <= end and since < until:
        traced_sums(run)[group, row, _slot(run, since, end)] += term
        if until <= end:
            traced_sums(run)[group, row, _slot(run, until, end)] -= term


@compiled
def _write(run, end):
    """Write the trace; after the horizon it keeps the values at the horizon."""
    counts, sums, written = traced_counts(run), traced_sums(run), traces(run)[run.trace]
    n_live = end // run.every + 1
    for slot in range(1, min(n_live, run.n_times) + 1):
        for row in range(N_TRACED_COUNTS):
            counts[row, slot] += counts[row, slot - 1]
        for group in range(run.n_groups):
            for row in range(N_TRACED_SUMS):
                sums[group, row, slot] += sums[group, row, slot - 1]
    for place in range(run.n_times):
        slot = min(place, n_live)
        t = min(place * run.every, end)
        is_over = t >= run.makespan
        written[UPDATED, place] = run.updated if is_over else counts[UPDATED, slot]
        written[FAILED, place] = run.failed if is_over else counts[FAILED, slot]
        written[EXPOSED, place] = counts[EXPOSED, slot]
        written[IN_SERVICE, place] = counts[IN_SERVICE, slot]
        requests_old = requests_new = failed_old = failed_new = demand = shed = 0.0
        for group in range(run.n_groups):
            load, fraction = 1.0, 0.0
            if run.shared:
                of_pool, served = demand_and_weight_at(run, group, t)
                load = of_pool / served if served > 0 else 0.0
                beyond = max(of_pool - run.capacity * served, 0.0)
                fraction = beyond / of_pool if of_pool > 0 else 0.0
                demand += of_pool
                shed += beyond
            elif run.varies:
                load = factor_at(run, group, policy_of(run).begins_in_week + t)
            if counts[SERVING_NEW, slot]:
                met, failed = sums[group, _REQUESTS_NEW, slot], sums[group, _FAILED_NEW, slot]
                requests_new += load * met
                failed_new += load * (failed + fraction * (met - failed))
            if counts[SERVING_OLD, slot]:
                met, failed = sums[group, _REQUESTS_OLD, slot], sums[group, _FAILED_OLD, slot]
                requests_old += load * met
                failed_old += load * (failed + fraction * (met - failed))
        written[ERROR_RATE, place] = _in_steps(failed_old + failed_new, requests_old + requests_new)
        written[ERROR_RATE_NEW, place] = _in_steps(failed_new, requests_new)
        written[SHED, place] = _in_steps(shed, demand)


@compiled
def _in_steps(failed, requests):
    if requests <= 0:
        return UNKNOWN
    return math.floor(min(max(failed / requests, 0.0), 1.0) / STEP + MIDDLE)
