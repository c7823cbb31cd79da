"""Watching all running nodes together (model section 8), for compiled code, look by look."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import fates, lists, policy_of
from simdeploy.engines.compiled.codes import CANT_TELL_PASS, CANT_TELL_WAIT
from simdeploy.engines.compiled.evidence import watch, watch_many
from simdeploy.engines.compiled.health import is_undisturbed
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.judge import log_ratio
from simdeploy.engines.compiled.philox import is_of_nodes
from simdeploy.engines.compiled.pools import look_at_pools
from simdeploy.engines.compiled.tables import DUE, N_AT_ONCE, RESOLVED, RUNS
from simdeploy.world.streams import Stream

_BLOCK = Stream.WATCHED_WINDOW.block


@compiled
def look_at_running(run):
    """Look at all running nodes together."""
    fate = fates(run)
    start = run.now - policy_of(run).interval
    requests = failed = np.int64(0)
    if run.shared:
        look_at_pools(run)
    runs = lists(run)[RUNS]
    while run.n_watched < run.n_running and fate[RESOLVED, runs[run.n_watched]] <= start:
        run.n_watched += 1
    many, n_many = runs, run.n_watched
    if run.shared or run.varies or run.goes_down or run.degrades or is_of_nodes(run, _BLOCK):
        many, n_many = lists(run)[DUE], 0
        for place in range(run.n_watched):
            node = runs[place]
            if _is_plain(run, node, start):
                many[n_many] = node
                n_many += 1
                continue
            met, bad = watch(run, node, run.watch_looks)
            if met >= 0:
                run.watched_windows += 1
                requests += met
                failed += bad
    for first in range(0, n_many, N_AT_ONCE):
        met, bad = watch_many(run, many[first : min(first + N_AT_ONCE, n_many)], run.watch_looks)
        requests += met
        failed += bad
    run.watched_windows += n_many
    run.watch_looks += 1
    run.watched_requests += requests
    run.gate_alarm = _adds_up_to_alarm(run, requests, failed)


@compiled
def _is_plain(run, node, start):
    """Tell whether a look at a node depends only on its level."""
    if run.shared or run.varies or is_of_nodes(run, _BLOCK):
        return False
    return is_undisturbed(run, node, start, run.now)


@compiled
def _adds_up_to_alarm(run, requests, failed):
    """Add one more look at running nodes, and the rest of earlier ones; tell whether it raises an alarm."""
    gate = policy_of(run)
    run.watched_seen += requests
    run.watched_bad += failed
    seen, bad = run.watched_seen, run.watched_bad
    if seen >= max(gate.gate_minimum, 1):
        run.watched_sum = max(0.0, run.watched_sum + log_ratio(gate, bad, seen))
        is_alarm = run.watched_sum >= gate.gate_upper
    elif run.cant_tell == CANT_TELL_WAIT:
        return False
    else:
        is_alarm = run.cant_tell != CANT_TELL_PASS
    run.watched_seen = run.watched_bad = 0
    if is_alarm:
        run.watched_sum = 0.0
    return is_alarm
