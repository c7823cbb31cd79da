"""The evidence of gates (model section 8), for compiled code: failed requests of nodes, by interval."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import (
    at_once,
    class_rule_of,
    classes,
    counted,
    drawn,
    fates,
    lists,
    met,
    policy_of,
    pool_looks,
    waves,
)
from simdeploy.engines.compiled.at_once import count_failed
from simdeploy.engines.compiled.binomial import failed_of
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.load import count_requests, pool_of
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.philox import draw, draw_look, draw_window
from simdeploy.engines.compiled.prober import level_within, requests_within, was_up, with_shed
from simdeploy.engines.compiled.tables import (
    CLASS,
    COUNT,
    DISPATCHED,
    FIRST_PLACE,
    HAS_FAILED,
    LEFT,
    LEVEL,
    LOOK_FRACTION,
    LOOK_SECONDS,
    MET_FRACTION,
    MET_SECONDS,
    OLD_FRACTION,
    ORDER,
    PARTNER,
    REQUESTS,
    RESOLVED,
    STARTED,
    TURNS,
    WINDOW_WORD,
)
from simdeploy.world.streams import Stream

_WORDS = 2.0**-52
_MOST_GROUPS = 8


@part("partners", types.int64, types.int64, returns=types.boolean, seconds=0.2, can_fail=True)
def find_partners(run, first, count):
    """Assign to each of the next nodes the node on the old version that it is compared with, -1 for none; tell whether any has one."""
    draws, partner = drawn(run), lists(run)[PARTNER]
    order = draws[ORDER]
    for place in range(first, first + count):
        partner[order[place]] = -1
    if run.begins:
        return False
    if run.n_classes == 1:
        n_left = run.nodes - (first + count)
        for place in range(min(count, n_left)):
            partner[order[first + place]] = order[run.nodes - 1 - place]
        return n_left > 0
    wanted, open_ones = np.zeros(run.n_classes, np.int64), np.int64(0)
    for place in range(first, first + count):
        wanted[draws[CLASS, order[place]]] += 1
        open_ones += 1
    # By class: the place of the next node to assign a partner to.
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
    fate, order, interval = fates(run), drawn(run)[ORDER], policy_of(run).interval
    first = waves(run)[FIRST_PLACE, wave]
    requests = failed = old_failed = np.int64(0)
    for place in range(first, first + waves(run)[TURNS, wave]):
        node = order[place]
        if fate[STARTED, node] <= run.now - interval:
            more, bad, old_bad = see(run, node, (run.now - fate[STARTED, node]) // interval - 1)
            if more > 0:
                requests += more
                failed += bad
                old_failed += old_bad
    return requests, failed, old_failed


@compiled
def see(run, node, window):
    """Return the same for one window of a node; no requests if looks leave it out."""
    policy, fate = policy_of(run), fates(run)
    interval, started = policy.interval, fate[STARTED, node]
    start = started + window * interval
    end = start + interval
    nothing = np.int64(0)
    if fate[HAS_FAILED, node] and end > fate[RESOLVED, node]:
        return nothing, nothing, nothing
    if not was_up(run, node, start, end):
        return nothing, nothing, nothing
    shed = old_shed = 0.0
    if run.shared:  # in its last window
        node_class = classes(run)[drawn(run)[CLASS, node]]
        requests = count_requests(node_class.requests_per_second, met(run)[MET_SECONDS, node])
        shed, old_shed = met(run)[MET_FRACTION, node], met(run)[OLD_FRACTION, node]
    else:
        requests = requests_within(run, node, start, end)
    old_failed = nothing
    if policy.gate_compares:
        partner = lists(run)[PARTNER, node]
        if partner < 0 or fate[DISPATCHED, partner] < end or not was_up(run, partner, start, end):
            return nothing, nothing, nothing
        if requests > 0:
            # Counted in 32 bits, as all indices are.
            u = draw(run, Stream.OLD_WINDOW.value, partner, (end // interval) & 0xFFFFFFFF)
            old_failed = failed_of(requests, with_shed(level_within(run, partner, start, end), old_shed), u)
    if requests == 0:
        return nothing, nothing, nothing
    u = (draw_window(run, node, window) + 0.5) * _WORDS
    return requests, failed_of(requests, with_shed(level_within(run, node, start, end), shed), u), old_failed


@compiled
def watch(run, node, look):
    """Return requests and failed ones of a running node in the last interval; -1 requests if it wasn't up throughout."""
    policy = policy_of(run)
    start = run.now - policy.interval
    if not was_up(run, node, start, run.now):
        return np.int64(-1), np.int64(0)
    shed = 0.0
    if run.shared:
        pooled = pool_looks(run)[pool_of(run, node)]
        node_class = classes(run)[drawn(run)[CLASS, node]]
        requested, shed = count_requests(node_class.requests_per_second, pooled[LOOK_SECONDS]), pooled[LOOK_FRACTION]
    else:
        requested = requests_within(run, node, start, run.now)
    if requested == 0:
        return np.int64(0), np.int64(0)
    u = draw(run, Stream.WATCHED_WINDOW.value, node, look)
    return requested, failed_of(requested, with_shed(level_within(run, node, start, run.now), shed), u)


@compiled
def watch_many(run, nodes, look):
    """Return requests and failed ones of undisturbed running nodes in the last interval, of as many nodes as fit."""
    policy, n = policy_of(run), len(nodes)
    real, counts, numbers = at_once(run), counted(run)[COUNT], counted(run)[REQUESTS]
    words, levels, left = counted(run)[WINDOW_WORD], real[LEVEL], counted(run)[LEFT]
    node_class = classes(run)[0]
    requests = failed = np.int64(0)
    draw_look(run, nodes, look, words)
    if run.n_classes == 1 and node_class.baseline == node_class.baseline and (run.kind < 0 or run.error_rate == 0):
        each = class_rule_of(run, policy, 0).requests
        if each > 0:
            count_failed(run, n, each, node_class.baseline, 0.0)
            for place in range(n):
                failed += counts[place]
        return each * n, failed
    for place in range(n):
        node = nodes[place]
        numbers[place] = class_rule_of(run, policy, drawn(run)[CLASS, node]).requests
        levels[place] = level_within(run, node, run.now - policy.interval, run.now)
        left[place] = words[place]
        requests += numbers[place]
    # Count nodes with the same requests and level together, while there are enough of them.
    n_left, n_groups = n, 0
    while n_left > 0:
        each, level = numbers[0], levels[0]
        n_alike = n_others = 0
        for place in range(n_left):
            if n_groups < _MOST_GROUPS and numbers[place] == each and levels[place] == level:
                words[n_alike] = left[place]
                n_alike += 1
            elif n_groups < _MOST_GROUPS:
                numbers[n_others], levels[n_others], left[n_others] = numbers[place], levels[place], left[place]
                n_others += 1
            elif numbers[place] > 0:
                failed += failed_of(numbers[place], levels[place], (left[place] + 0.5) * _WORDS)
        if each > 0 and n_alike > 0:
            count_failed(run, n_alike, each, level, 0.0)
            for place in range(n_alike):
                failed += counts[place]
        n_left = n_others
        n_groups += 1
    return requests, failed
