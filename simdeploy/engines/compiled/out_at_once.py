"""The most nodes out of service at once (model section 5), for compiled code."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import (
    begins_of,
    classes,
    drawn,
    fates,
    lists,
    policy_of,
    queue,
    scratch,
    traffic,
)
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.load import STARTS, end_of_piece, piece_at, traffic_between, within_piece
from simdeploy.engines.compiled.sorting import first_not_below, sort
from simdeploy.engines.compiled.tables import (
    BACK_FROM,
    BACK_UNTIL,
    CLASS,
    DISPATCHED,
    DUE,
    NEVER,
    ROLLBACK,
    ROLLED,
    STARTED,
    UP_AGAIN,
    WAVE,
)
from simdeploy.world.traffic import DAY_NS

_LOW = (1 << 32) - 1
_NEARLY_1 = 1 - 2.0**-50  # so that rounding never gives a step after the last one
# Lists that are not needed any more are reused: for nodes that are not plain, and places of waves' starts among all instants.
LISTED, _PLACES = UP_AGAIN, DUE


@compiled
def most_at_once(starts, ends, until):
    """Return the most intervals [start, end) that hold at once, at any settled instant up to and including `until`."""
    n, starts = len(starts), sort(starts)
    if n == 0:
        return 0
    # The time is divided into n equal steps; `before` has the number of starts before each step.
    origin, last = starts[0], starts[n - 1]
    per_ns = _NEARLY_1 * n / (last - origin + 1.0)
    before, gone = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    for place in range(n):
        before[np.int64((starts[place] - origin) * per_ns) + 1] = place + 1
    for step in range(n):
        before[step + 1] = max(before[step], before[step + 1])
    for place in range(n):
        end, low, high = ends[place], n, n
        if end <= last:
            step = np.int64((end - origin) * per_ns)
            low, high = before[step], before[step + 1]
        while low < high:
            middle = (low + high) >> 1
            if starts[middle] < end:
                low = middle + 1
            else:
                high = middle
        gone[low] += 1  # at the first start that is not before its end
    most = at_once = 0
    for place in range(n):
        if starts[place] > until:
            break
        at_once += 1 - gone[place]
        # Several starts at one instant count together.
        if place + 1 == n or starts[place + 1] != starts[place]:
            most = max(most, at_once)
    return most


@compiled
def most_at_few_instants(run, horizon, k, n_listed, sums, lost):
    """Find the most nodes out of service at once, given k spells of listed nodes in `scratch`; all other nodes are plain.

    Times out of service of the other nodes are added to `sums`, the requests lost meanwhile to `lost`.
    """
    fate, spans, until = fates(run), scratch(run), horizon + 1
    instants, changes = queue(run)[0], queue(run)[1]  # the queue is not needed any more
    n = 0
    for place in range(k):
        instants[n] = spans[0, place]
        n += 1
    for wave in range(run.waves_open):
        instants[n] = begins_of(run)[wave]
        n += 1
    if run.rollback_has_begun and run.n_rolled:
        instants[n] = fate[BACK_FROM, lists(run)[ROLLED, 0]]
        n += 1
    if k:
        ordered = sort(instants[:n])
        for place in range(n):
            instants[place] = ordered[place]
    for place in range(n + 1):
        changes[place] = 0
    for place in range(k):
        changes[first_not_below(instants, n, spans[0, place])] += 1
        changes[first_not_below(instants, n, spans[1, place])] -= 1
    for wave in range(run.waves_open):
        lists(run)[_PLACES, wave] = first_not_below(instants, n, begins_of(run)[wave])
    if not run.leaves and not run.begins:
        # For all nodes; the listed ones are subtracted below.
        sums[0], sums[1] = _sum_starting(run, horizon, sums[0], sums[1])
        _change_all_starting(run, until, n)
        for listed in range(n_listed):
            node = lists(run)[LISTED, listed]
            end = min(_starts_by(run, node), until)
            if fate[DISPATCHED, node] < end:
                place = lists(run)[_PLACES, fate[WAVE, node] - 1]
                changes[place] -= 1
                changes[first_not_below(instants, n, end)] += 1
            begin, length = _starting(run, node, horizon)
            sums[0] -= length >> 32
            sums[1] -= length & _LOW
    counts_lost = not run.is_even and not run.shared  # in a shared service they follow from the load of pools
    if counts_lost and run.n_classes == 1 and not (run.leaves or run.begins or run.rollback_has_begun):
        lost[0] += _lost_at_starts(run, horizon, n_listed)
    elif not run.leaves and (run.rollback_has_begun or counts_lost):
        place = 0
        for node in range(run.nodes):
            if place < n_listed and lists(run)[LISTED, place] == node:
                place += 1
                continue
            if not run.begins and counts_lost:
                begin, length = _starting(run, node, horizon)
                lost[0] += lost_between(run, node, begin, begin + length)
            begin, end = fate[BACK_FROM, node], min(back_at(run, node), until)
            if fate[STARTED, node] < NEVER and begin < end:
                length = min(end, horizon) - min(begin, horizon)
                sums[0] += length >> 32
                sums[1] += length & _LOW
                if counts_lost:
                    lost[0] += lost_between(run, node, min(begin, horizon), min(end, horizon))
                changes[first_not_below(instants, n, begin)] += 1
                changes[first_not_below(instants, n, end)] -= 1
    most = at_once = np.int64(0)
    for place in range(n):
        at_once += changes[place]
        # Several changes at one instant count together.
        if place + 1 == n or instants[place + 1] != instants[place]:
            most = max(most, at_once)
    return most


@inlined
def _starting(run, node, horizon):
    """Return when and how long, up to the horizon, a plain node is out of service because it starts."""
    begin = min(fates(run)[DISPATCHED, node], horizon)
    return begin, max(min(_starts_by(run, node), horizon) - begin, 0)


@inlined
def _starts_by(run, node):
    """Return when a plain node is in service again after its dispatch: at its start, or if it never starts at the end of its rollback."""
    started = fates(run)[STARTED, node]
    return back_at(run, node) if started == NEVER and run.rollback_has_begun else started


@inlined
def _sum_starting(run, horizon, high, low):
    """Add the times out of service because of starts, for all nodes."""
    dispatched, started = fates(run)[DISPATCHED], fates(run)[STARTED]
    if run.rollback_has_begun:
        for node in range(run.nodes):
            _, length = _starting(run, node, horizon)
            high += length >> 32
            low += length & _LOW
    else:
        for node in range(run.nodes):
            begin = min(dispatched[node], horizon)
            length = max(min(started[node], horizon) - begin, 0)
            high += length >> 32
            low += length & _LOW
    return high, low


@compiled
def _change_all_starting(run, until, n):
    """Write the changes for all nodes, out of service from dispatch to start, at n instants."""
    fate, instants, changes, places = fates(run), queue(run)[0], queue(run)[1], lists(run)[_PLACES]
    # For nodes of one wave, which are mostly neighbours: their number so far, and the next instant.
    at, n_at, following = np.int64(0), np.int64(0), instants[1] if n > 1 else np.int64(NEVER)
    for node in range(run.nodes):
        end = min(_starts_by(run, node), until)
        if fate[DISPATCHED, node] >= end:
            continue
        place = places[fate[WAVE, node] - 1]
        if place != at:
            changes[at] += n_at
            changes[at + 1] -= n_at
            at, n_at = place, np.int64(0)
            following = instants[place + 1] if place + 1 < n else np.int64(NEVER)
        n_at += 1
        if following < end:
            changes[place + 1] += 1
            changes[first_not_below(instants, n, end)] -= 1
    changes[at] += n_at
    changes[at + 1] -= n_at


@compiled
def _lost_at_starts(run, horizon, n_listed):
    """Return the requests lost up to the horizon while nodes of one class start, without the listed nodes."""
    node_class, table, begins = classes(run)[0], traffic(run), policy_of(run).begins_in_week
    day = low = high = end_low = end_high = np.int64(0)
    piece = end_piece = node_class.first_piece
    lost, listed = 0.0, 0
    for node in range(run.nodes):
        if listed < n_listed and lists(run)[LISTED, listed] == node:
            listed += 1
            continue
        begin, length = _starting(run, node, horizon)
        rest = begin + begins - day
        if rest < 0 or rest + length >= DAY_NS:
            lost += node_class.requests_per_second * traffic_between(run, 0, begin, begin + length)
            day += rest // DAY_NS * DAY_NS
            continue
        if rest < low or rest >= high:
            piece = piece_at(run, node_class, rest)
            low, high = np.int64(table[STARTS, piece]), end_of_piece(node_class, table, piece)
        end = rest + length
        if end < end_low or end >= end_high:
            end_piece = piece_at(run, node_class, end)
            end_low, end_high = np.int64(table[STARTS, end_piece]), end_of_piece(node_class, table, end_piece)
        lost += node_class.requests_per_second * (
            within_piece(table, end_piece, end) - within_piece(table, piece, rest)
        )
    return lost


@compiled
def lost_between(run, node, start, end):
    """Return the requests of a node between two times, all lost."""
    number = drawn(run)[CLASS, node]
    return classes(run)[number].requests_per_second * traffic_between(run, number, start, end)


@compiled
def back_at(run, node):
    """Return when a node's rollback ends; NEVER if it fails."""
    back = fates(run)[BACK_UNTIL, node]
    return back if back == NEVER or drawn(run)[ROLLBACK, node] >= 0 else np.int64(NEVER)
