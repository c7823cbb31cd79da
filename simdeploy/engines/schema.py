"""The columns of the tables of one rollout in one place: names, order."""

from __future__ import annotations

from simdeploy.vocabulary import NODE_STATUSES, STATES

# A node's status is kept as its place in this list; the names are the columns of `timeline`.
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

# What changes is kept as its place in this list: the status of a node, or the state of the deployment.
EVENT_WORDS = tuple(dict.fromkeys((*STATUSES, *STATES)))
STATE_PLACES = {state: EVENT_WORDS.index(state) for state in STATES}

EVENT_COLUMNS = ("time_s", "node", "from_status", "to_status", "wave", "reason")
TIMELINE_COLUMNS = (
    "time_s",
    *STATUSES,
    "exposed",
    "in_service",
    "requests",
    "failed_requests",
    "demand_per_second",
    "lost_per_second",
    "shed_per_second",
    "load",
    "requests_per_second",
    "error_rate",
    "error_rate_old",
    "error_rate_new",
)
SPELL_COLUMNS = ("node", "from_s", "until_s")
WINDOW_COLUMNS = (
    "ended_s",
    "node",
    "wave",
    "class",
    "zone",
    "requests",
    "failed_requests",
    "error_rate",
    "max_error_rate",
    "healthy",
    "up",
    "on_new_version",
    "counted",
)
NODE_COLUMNS = (
    "node",
    "name",
    "zone",
    "class",
    "position",
    "wave",
    "canary",
    "affected",
    "status",
    "reason",
    "ever_failed",
    "failed_reason",
    "attempts",
    "windows",
    "worst_error_rate",
    "dispatched_at_s",
    "started_at_s",
    "resolved_at_s",
    "heard_at_s",
    "failed_at_s",
    "rollback_started_at_s",
    "rollback_ended_at_s",
    "exposed_s",
    "unavailable_s",
)
REVISION_COLUMNS = (
    "deployment",
    "revision",
    "time_s",
    "type",
    "from_version",
    "to_version",
    "state",
    "message",
    "current_wave",
    "total_nodes",
    "updated_nodes",
    "failed_nodes",
    "canaries",
    "canary_promoted",
    "created_at",
    "updated_at",
    "completed_at",
    "last_progress_time",
    "health_check_deadline",
    "healthy_deadline",
)
