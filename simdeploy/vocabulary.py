"""The words and columns that come out of a rollout, in one place: names, order, types."""

from __future__ import annotations

STATES = ("pending", "in_progress", "paused", "completed", "failed", "canceled")
TERMINAL_STATES = frozenset({"completed", "failed", "canceled"})
NODE_STATUSES = (
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
# Kinds of gate.
GATES = ("threshold", "pooled", "sprt", "e_process", "baseline", "bayes", "cusum")
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
    "lost_requests": "float64",
    "lost_requests_excess": "float64",
    "shed_requests": "float64",
    "shed_requests_excess": "float64",
    "min_capacity_ratio": "float64",
    "decision_windows": "Int64",
    "decision_requests": "Int64",
}

# What the interval of a mean takes to be trusted: so many worlds in all, none that counts for more releases than this, and so many that are
# expected of each kind of release. Others too often miss what happens in one rollout of a hundred, which may cost any amount.
FEWEST_WORLDS, LARGEST_WEIGHT, FEWEST_OF_A_KIND = 400, 1 / 300, 20

# The likelihood ratio of a replication under a tilt; no response, for it says nothing of the rollout.
WEIGHT = "weight"

# What a replication costs by the scenario's `costs`, split by cause; `cost` is their sum.
CAUSES = (
    "cost_delay",
    "cost_failed_requests",
    "cost_unavailability",
    "cost_lost_requests",
    "cost_shed_requests",
    "cost_false_alarm",
    "cost_escape",
)
COSTS = ("cost", *CAUSES)

# Forms in which the tables of a rollout are written.
RECORD_FORMS = ("parquet", "csv")

# What is traced over time, as `timelines` names it: nodes as the deployment counts them, nodes, expected error rates, and the fraction of
# requests that is shed.
TRACED = ("updated", "failed", "exposed", "in_service", "error_rate", "error_rate_new", "shed")

# Kinds of files that can be imported, in the order in which a text is tried. Each has a module of `simdeploy.dialects` with
# `recognises(source)`, which must not raise, and `read(reading)`.
IMPORT_KINDS = (
    "nomad",
    "kubernetes",
    "argo-rollouts",
    "flagger",
    "flightctl",
    "swarm",
    "ansible",
    "ecs",
    "codedeploy",
    "aws-iot",
    "service-fabric",
    "expanso",
)
