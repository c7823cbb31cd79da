"""The responses of a rollout (model section 5). Columns, labels, units and the documents' tables follow from this declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Response:
    """A response: a column of the table of replications.

    Examples
    --------
    >>> Response("lost_requests", "float64", "requests", "lost requests", better="min").is_fraction
    False
    """

    name: str
    dtype: Literal["str", "Int64", "float64"]  # the pandas type of its column
    unit: str  # "s" is shown in the unit of time that fits, a fraction as a percentage; of words, what they are
    label: str = ""
    # The side that is better for every release, if there is one. A health check should find failed nodes of a defective release, and
    # which stopped rollouts are restored depends on the policy.
    better: Literal["min", "max"] | None = None

    @property
    def is_duration(self) -> bool:
        """Whether it is a time in seconds."""
        return self.unit == "s"

    @property
    def is_fraction(self) -> bool:
        """Whether it is between 0 and 1 and shown as a percentage."""
        return self.unit.startswith("fraction")


ALL_RESPONSES = (
    Response("state", "str", "a state of the API"),
    Response("release", "str", "a kind of the scenario"),
    Response("verdict", "str", "`completed_good`, `stopped_defective`, `false_alarm`, `escaped`"),
    Response("makespan_s", "float64", "s", "makespan", "min"),
    Response("stopped_at_s", "float64", "s", "stopped at"),
    Response("restored_at_s", "float64", "s", "restored at"),
    Response("waves", "Int64", "waves", "waves"),
    Response("updated_nodes", "Int64", "nodes", "updated nodes"),
    Response("failed_nodes", "Int64", "nodes", "failed nodes"),
    Response("touched_nodes", "Int64", "nodes", "touched nodes"),
    Response("peak_exposed_nodes", "Int64", "nodes", "peak exposed nodes", "min"),
    Response("blast_radius", "float64", "fraction of the fleet", "blast radius", "min"),
    Response("exposed_node_s", "float64", "node-seconds", "exposed node-seconds"),
    Response("defective_node_s", "float64", "node-seconds", "defective node-seconds", "min"),
    Response("failed_requests_excess", "float64", "requests", "excess failed requests", "min"),
    Response("unavailable_node_s", "float64", "node-seconds", "unavailable node-seconds", "min"),
    Response("min_in_service_fraction", "float64", "fraction of the fleet", "minimum in service", "max"),
    Response("unavailable_excess_node_s", "float64", "node-seconds", "excess unavailable node-seconds", "min"),
    Response("unrestored_nodes", "float64", "nodes", "unrestored nodes", "min"),
    Response("lost_requests", "float64", "requests", "lost requests", "min"),
    Response("lost_requests_excess", "float64", "requests", "excess lost requests", "min"),
    Response("shed_requests", "float64", "requests", "shed requests", "min"),
    Response("shed_requests_excess", "float64", "requests", "excess shed requests", "min"),
    Response("min_capacity_ratio", "float64", "capacity over demand", "minimum capacity ratio", "max"),
    Response("decision_windows", "Int64", "windows", "decision windows"),
    Response("decision_requests", "Int64", "requests", "requests examined"),
)
