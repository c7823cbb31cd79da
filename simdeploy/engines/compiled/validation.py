"""A node that has started is validated window by window (model section 3), for compiled code, where windows meet different numbers
of requests.
"""

from __future__ import annotations

from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.prober import is_healthy, requests_within
from simdeploy.engines.compiled.tables import DEADLINE, HAS_FAILED, NEVER, RESOLVED, STARTED, WINDOWS, fates, policy_of


@compiled
def validate(run, node):
    """Work out when a node of a local service that starts gets which verdict."""
    rule, fate = policy_of(run), fates(run)
    if fate[STARTED, node] == NEVER or rule.needed == 0:
        return
    start, deadline = fate[STARTED, node], fate[DEADLINE, node]
    window = healthy = unhealthy = 0
    while start + rule.interval <= deadline:
        end = start + rule.interval
        requests = requests_within(run, node, start, end)
        is_good = is_healthy(run, node, window, start, end, requests, 0.0)
        window += 1
        start = end
        if is_good:
            healthy += 1
            unhealthy = 0
            if healthy >= rule.needed:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                return
        else:
            unhealthy += 1
            if rule.consecutive:
                healthy = 0
            if rule.failure_threshold > 0 and unhealthy >= rule.failure_threshold:
                fate[RESOLVED, node] = end
                fate[WINDOWS, node] = window
                fate[HAS_FAILED, node] = 1
                return
    fate[RESOLVED, node] = deadline
    fate[WINDOWS, node] = window
    fate[HAS_FAILED, node] = 1
