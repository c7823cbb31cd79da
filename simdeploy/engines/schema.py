"""The columns of every public table in one place: names, order, types."""

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

STATES = ("pending", "in_progress", "paused", "completed", "failed", "canceled")
TERMINAL_STATES = frozenset({"completed", "failed", "canceled"})
VERDICTS = ("completed_good", "stopped_defective", "false_alarm", "escaped")

# Responses of model section 5 and the pandas type of their column.
RESPONSES = {
    "state": "str",
    "release": "str",
    "verdict": "str",
    "makespan_s": "float64",
    "stopped_at_s": "float64",
    "restored_at_s": "float64",
    "waves": "Int64",
    "updated_nodes": "Int64",
    "failed_nodes": "Int64",
    "touched_nodes": "Int64",
    "peak_exposed_nodes": "Int64",
    "blast_radius": "float64",
    "exposed_node_s": "float64",
    "defective_node_s": "float64",
    "failed_requests_excess": "float64",
    "unavailable_node_s": "float64",
    "min_in_service_fraction": "float64",
    "unavailable_excess_node_s": "float64",
    "decision_windows": "Int64",
}

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
