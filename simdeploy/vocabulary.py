"""Words and columns of a rollout's output, in one place: names, order, types."""

from __future__ import annotations

from simdeploy.responses import ALL_RESPONSES

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

# The responses, and the pandas type of their columns.
RESPONSES: dict[str, str] = {response.name: response.dtype for response in ALL_RESPONSES}

# The interval of a mean is trusted from this many worlds on, if no world has a larger weight, and if at least this many are
# expected of each kind of release. With less, it too often misses events of one rollout in a hundred, which may cost any amount.
FEWEST_WORLDS, LARGEST_WEIGHT, FEWEST_OF_A_KIND = 400, 1 / 300, 20

# The likelihood ratio of a replication under a tilt. Not a response, because it describes the sampling, not the rollout.
WEIGHT = "weight"

# The cost of a replication under the scenario's `costs`, by cause; `cost` is the sum.
CAUSES = (
    "cost_delay",
    "cost_failed_requests",
    "cost_unavailability",
    "cost_unrestored_nodes",
    "cost_lost_requests",
    "cost_shed_requests",
    "cost_false_alarm",
    "cost_escape",
)
COSTS = ("cost", *CAUSES)

# Forms in which the tables of a rollout are written.
RECORD_FORMS = ("parquet", "csv")

# What `timelines` traces: nodes as the deployment counts them (updated, failed), numbers of nodes, expected error rates, and
# the fraction of requests that are shed.
TRACED = ("updated", "failed", "exposed", "in_service", "error_rate", "error_rate_new", "shed")

# Kinds of files that can be imported, in the order in which they are tried. Each has a module in `simdeploy.dialects` with
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
