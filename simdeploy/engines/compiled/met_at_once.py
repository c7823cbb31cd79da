"""The requests of many nodes under traffic, for compiled code: as in `load`, but for many nodes within one piece of the day."""

from __future__ import annotations

import numpy as np
from numba import types

from simdeploy.engines.compiled.access import at_once, classes, counted, policy_of, scratch, traffic
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.load import (
    STARTS,
    count_requests,
    end_of_piece,
    piece_at,
    requests_of_windows,
    within_piece,
)
from simdeploy.engines.compiled.parts import part
from simdeploy.engines.compiled.tables import COUNT, N_AT_ONCE, REQUESTS, UNIFORM
from simdeploy.world.traffic import DAY_NS


@part("met_at_once", types.int64, returns=types.int64, seconds=0.3)
def requests_met_at_once(run, n):
    """Return the requests of windows of n nodes of a fleet with one class; `scratch` holds their starts and numbers of windows."""
    node_class, table, spans, interval = classes(run)[0], traffic(run), scratch(run), policy_of(run).interval
    rests, windows = counted(run)[COUNT], counted(run)[REQUESTS]
    total, m, most = np.int64(0), np.int64(0), np.int64(0)
    day = low = high = np.int64(0)
    piece = node_class.first_piece
    for place in range(n):
        rest, n_windows = spans[0, place] + policy_of(run).begins_in_week - day, spans[1, place]
        if rest < low or rest + n_windows * interval >= high:
            total += _count_within_piece(run, piece, m, most)
            m = most = np.int64(0)
            skipped = rest // DAY_NS * DAY_NS
            day += skipped
            rest -= skipped
            piece = piece_at(run, node_class, rest)
            low, high = np.int64(table[STARTS, piece]), end_of_piece(node_class, table, piece)
            if rest + n_windows * interval >= high:
                total += requests_of_windows(run, 0, spans[0, place], interval, n_windows)
                continue
        rests[m], windows[m] = rest, n_windows
        most = max(most, n_windows)
        m += 1
        if m == N_AT_ONCE:
            total += _count_within_piece(run, piece, m, most)
            m = most = np.int64(0)
    return total + _count_within_piece(run, piece, m, most)


@compiled
def _count_within_piece(run, piece, m, most):
    """Return the requests of the windows of m nodes, up to `most` each, which all lie within one piece of the day."""
    table, rate, interval = traffic(run), classes(run)[0].requests_per_second, policy_of(run).interval
    rests, windows, before = counted(run)[COUNT], counted(run)[REQUESTS], at_once(run)[UNIFORM]
    total = np.int64(0)
    for i in range(m):
        before[i] = within_piece(table, piece, rests[i])
    for window in range(most):
        for i in range(m):
            rests[i] += interval
            after = within_piece(table, piece, rests[i])
            requests = count_requests(rate, after - before[i])
            before[i] = after
            total += requests if window < windows[i] else 0
    return total
