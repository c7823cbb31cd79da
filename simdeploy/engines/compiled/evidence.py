"""What gates look at (model section 8), for compiled code: failed requests of nodes, by the interval."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import classes, drawn, fates, lists, met, policy_of, pool_looks, waves
from simdeploy.engines.compiled.binomial import failed_of
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.load import count_requests, pool_of
from simdeploy.engines.compiled.philox import draw, draw_window
from simdeploy.engines.compiled.prober import level_within, requests_within, was_up, with_shed
from simdeploy.engines.compiled.tables import (
    CLASS,
    DISPATCHED,
    FIRST_PLACE,
    HAS_FAILED,
    LOOK_FRACTION,
    LOOK_SECONDS,
    MET_FRACTION,
    MET_SECONDS,
    OLD_FRACTION,
    ORDER,
    PARTNER,
    RESOLVED,
    STARTED,
    TURNS,
)
from simdeploy.world.streams import Stream

_WORDS = 2.0**-52


@compiled
def find_partners(run, first, count):
    """Give each of the next nodes the node on the old version that it is compared with, -1 for none; tell whether any has one."""
    draws, partner = drawn(run), lists(run)[PARTNER]
    order = draws[ORDER]
    for place in range(first, first + count):
        partner[order[place]] = -1
    if run.begins:
        return False
    wanted, open_ones = np.zeros(run.n_classes, np.int64), np.int64(0)
    for place in range(first, first + count):
        wanted[draws[CLASS, order[place]]] += 1
        open_ones += 1
    # The next node of each class that is to be given one, by place.
    next_of = np.full(run.n_classes, first, np.int64)
    place = run.nodes - 1
    while place >= first + count and open_ones > 0:
        number = draws[CLASS, order[place]]
        if wanted[number] > 0:
            taker = next_of[number]
            while draws[CLASS, order[taker]] != number:
                taker += 1
            partner[order[taker]] = order[place]
            next_of[number] = taker + 1
            wanted[number] -= 1
            open_ones -= 1
        place -= 1
    return open_ones < count


@compiled
def gather(run, wave):
    """Return requests, failed ones, and failed ones of nodes on the old version, of windows that ended in the last interval."""
    policy, fate, order = policy_of(run), fates(run), drawn(run)[ORDER]
    interval, now = policy.interval, run.now
    first = waves(run)[FIRST_PLACE, wave]
    requests = failed = old_failed = np.int64(0)
    for place in range(first, first + waves(run)[TURNS, wave]):
        node = order[place]
        started = fate[STARTED, node]
        if started > now - interval:
            continue
        window = (now - started) // interval - 1
        end = started + (window + 1) * interval
        if fate[HAS_FAILED, node] and end > fate[RESOLVED, node]:
            continue
        if not was_up(run, node, end - interval, end):
            continue
        shed = old_shed = 0.0
        if run.shared:  # in its last window
            one = classes(run)[drawn(run)[CLASS, node]]
            requested = count_requests(one.requests_per_second, met(run)[MET_SECONDS, node])
            shed, old_shed = met(run)[MET_FRACTION, node], met(run)[OLD_FRACTION, node]
        else:
            requested = requests_within(run, node, end - interval, end)
        if policy.gate_compares:
            partner = lists(run)[PARTNER, node]
            if partner < 0 or fate[DISPATCHED, partner] < end or not was_up(run, partner, end - interval, end):
                continue
            if requested > 0:
                # Counted in 32 bits, as all indices are.
                u = draw(run, Stream.OLD_WINDOW.value, partner, (end // interval) & 0xFFFFFFFF)
                level = level_within(run, partner, end - interval, end)
                old_failed += failed_of(requested, with_shed(level, old_shed), u)
        if requested > 0:
            u = (draw_window(run, node, window) + 0.5) * _WORDS
            failed += failed_of(requested, with_shed(level_within(run, node, end - interval, end), shed), u)
        requests += requested
    return requests, failed, old_failed


@compiled
def watch(run, node, look):
    """Return requests and failed ones of a running node in the last interval; -1 requests where it was not up throughout."""
    policy = policy_of(run)
    start = run.now - policy.interval
    if not was_up(run, node, start, run.now):
        return np.int64(-1), np.int64(0)
    shed = 0.0
    if run.shared:
        pooled = pool_looks(run)[pool_of(run, node)]
        one = classes(run)[drawn(run)[CLASS, node]]
        requested, shed = count_requests(one.requests_per_second, pooled[LOOK_SECONDS]), pooled[LOOK_FRACTION]
    else:
        requested = requests_within(run, node, start, run.now)
    if requested == 0:
        return np.int64(0), np.int64(0)
    u = draw(run, Stream.WATCHED_WINDOW.value, node, look)
    return requested, failed_of(requested, with_shed(level_within(run, node, start, run.now), shed), u)
