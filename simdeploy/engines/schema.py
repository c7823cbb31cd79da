"""The columns of the tables of one rollout in one place: names, order."""

from __future__ import annotations

# A node's status is kept as its place in this list; the names are the columns of `timeline`.
STATUSES = (
    "pending",
    "starting",
    "validating",
    "running",
    "failed",
    "rolling_back",
    "rolled_back",
    "rollback_failed",
    "skipped",
    "removed",
    "stopped",
)
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

EVENT_COLUMNS = ("time_s", "node", "from_status", "to_status", "wave", "reason")
TIMELINE_COLUMNS = ("time_s", *STATUSES, "exposed", "in_service", "requests", "failed_requests")
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
    "attempts",
    "windows",
    "dispatched_at_s",
    "started_at_s",
    "resolved_at_s",
    "rollback_started_at_s",
    "rollback_ended_at_s",
    "exposed_s",
    "unavailable_s",
)
REVISION_COLUMNS = (
    "deployment",
    "revision",
    "time_s",
    "state",
    "message",
    "current_wave",
    "total_nodes",
    "updated_nodes",
    "failed_nodes",
    "canary_promoted",
    "created_at",
    "updated_at",
    "completed_at",
    "last_progress_time",
    "health_check_deadline",
    "healthy_deadline",
)
