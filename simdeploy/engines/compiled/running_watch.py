"""Running nodes under watch (model section 8), for compiled code: all of them together, look by look."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import fates, lists, policy_of
from simdeploy.engines.compiled.codes import CANT_TELL_STOP, CANT_TELL_WAIT
from simdeploy.engines.compiled.evidence import watch
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.judge import log_ratio
from simdeploy.engines.compiled.pools import look_at_pools
from simdeploy.engines.compiled.tables import HAS_FAILED, RESOLVED, TOUCHED


@compiled
def look_at_running(run):
    """Look at all running nodes together."""
    fate = fates(run)
    start = run.now - policy_of(run).interval
    requests = failed = np.int64(0)
    if run.shared:
        look_at_pools(run)
    for place in range(run.n_touched):
        node = lists(run)[TOUCHED, place]
        if fate[RESOLVED, node] <= start and not fate[HAS_FAILED, node]:
            met, bad = watch(run, node, run.watch_looks)
            if met >= 0:
                run.watched_windows += 1
                requests += met
                failed += bad
    run.watch_looks += 1
    run.watched_requests += requests
    run.gate_alarm = _adds_up_to_alarm(run, requests, failed)


@compiled
def _adds_up_to_alarm(run, requests, failed):
    """Take one more look at running nodes, and what was left of those before; tell whether it raises an alarm."""
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
        is_alarm = run.cant_tell == CANT_TELL_STOP
    run.watched_seen = run.watched_bad = 0
    if is_alarm:
        run.watched_sum = 0.0
    return is_alarm
