"""Statuses of nodes and states of deployments, as numbers."""

from __future__ import annotations

from simdeploy.vocabulary import NODE_STATUSES, STATES

# A node's status is kept as its place in this list; the names are columns of `Rollout.timeline`.
STATUSES = NODE_STATUSES
(
    PENDING,
    STARTING,
    VALIDATING,
    RUNNING,
    FAILED,
    ROLLING_BACK,
    ROLLED_BACK,
    ROLLBACK_FAILED,
    SKIPPED,
    REMOVED,
    STOPPED,
) = range(len(STATUSES))

# Statuses of nodes and states of the deployment in events are places in this list.
EVENT_WORDS = tuple(dict.fromkeys((*STATUSES, *STATES)))
STATE_PLACES = {state: EVENT_WORDS.index(state) for state in STATES}
