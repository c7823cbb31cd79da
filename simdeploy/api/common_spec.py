"""The fields of a spec that mean the same in all dialects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simdeploy.api.gate import Gate, accept_name
from simdeploy.api.values import Count, Flag, Percent, PercentNumber, choice
from simdeploy.api.wire import WireObject, unset

Strategy = Annotated[Literal["immediate", "rolling", "canary"], choice("immediate", "rolling", "canary")]
GateKey = Annotated[
    Gate | None,
    Field(
        description="Gate that judges the new version, beyond the API; default: threshold.",
        json_schema_extra=accept_name,
    ),
]


class CommonSpec(WireObject):
    """The fields that mean the same in all dialects."""

    strategy: Strategy = Field(description="Update all nodes at once, in waves, or canaries first.")
    canary_count: Count | None = unset("Number of canaries; 0 is unset.")
    canary_percent: Percent | None = unset("Canaries in percent of all nodes; 0 is unset.")
    auto_promote: Flag | None = unset("Promote healthy canaries automatically.")
    max_failed_nodes: Count | None = unset("Failed nodes allowed before the rollout stops.")
    max_failed_nodes_percent: PercentNumber | None = unset(
        "Failed nodes allowed before the rollout stops, percent: 10.0 is 10 %."
    )
    no_auto_rollback: Flag | None = unset("Do not roll back when the rollout fails.")
