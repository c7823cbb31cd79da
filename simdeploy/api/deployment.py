"""The deployment object: identity, spec and status."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf

from simdeploy.api.general import GeneralSpec
from simdeploy.api.spec import DeploymentSpec, RolloutSpec
from simdeploy.api.values import Count, Flag, Name, Prose, Time, Version, choice
from simdeploy.api.wire import WireObject, canonical_json, unset

DeploymentType = Annotated[
    Literal["create", "update", "restart", "rollback", "stop"],
    choice("create", "update", "restart", "rollback", "stop"),
]
State = Annotated[
    Literal["pending", "in_progress", "paused", "completed", "failed", "canceled"],
    choice("pending", "in_progress", "paused", "completed", "failed", "canceled"),
]
# Of a hundred thousand bad names, only the first is reported.
Names = Annotated[tuple[Name, ...], Field(fail_fast=True)]


class DeploymentStatus(WireObject):
    """Status reported by the control plane.

    Examples
    --------
    >>> DeploymentStatus(state="paused", total_nodes=12).to_dict()
    {'state': 'paused', 'total_nodes': 12}
    """

    state: State | None = unset("Current state.")
    message: Prose | None = unset("Reason for the state.")
    revision: Version | None = unset("Incremented on any change.")
    current_wave: Count | None = unset("0 before the first wave.")
    total_nodes: Count | None = unset("Nodes to update.")
    updated_nodes: Count | None = unset("Nodes that reached running.")
    failed_nodes: Count | None = unset("Nodes that failed.")
    canary_nodes: Names | None = unset("Canary nodes.")
    canary_promoted: Flag | None = unset("Whether the canaries were promoted.")
    created_at: Time | None = unset("RFC 3339 time of creation.")
    updated_at: Time | None = unset("RFC 3339 time of the last change.")
    completed_at: Time | None = unset("RFC 3339 time of the end.")
    last_progress_time: Time | None = unset("RFC 3339 time of the last progress.")
    health_check_deadline: Time | None = unset("RFC 3339 time of a health deadline.")
    healthy_deadline: Time | None = unset("RFC 3339 time of a health deadline.")


class Deployment(WireObject):
    """A deployment, as returned by ``GET deployment``.

    Pass the spec as an object, because the dialect of a dict would be unknown. `parse_deployment` reads JSON.

    Examples
    --------
    >>> deployment = Deployment(id="d-1", type="update", spec=DeploymentSpec(strategy="immediate"))
    >>> print(deployment.to_json(), end="")
    {
      "deployment": {
        "id": "d-1",
        "spec": {
          "strategy": "immediate"
        },
        "type": "update"
      }
    }
    """

    id: Name | None = unset("The deployment's identity.")
    job_id: Name | None = unset("The job's identity.")
    job_type: Name | None = unset("The job's type, such as daemon.")
    namespace: Name | None = unset("The job's namespace.")
    type: DeploymentType | None = unset("Type of the deployment.")
    from_version: Version | None = unset("Version before.")
    to_version: Version | None = unset("Version after.")
    spec: InstanceOf[DeploymentSpec] | InstanceOf[RolloutSpec] | InstanceOf[GeneralSpec] = Field(
        description="The policy."
    )
    status: DeploymentStatus | None = unset("Status reported by the control plane.")

    def to_body(self) -> dict[str, Any]:
        """Return the body of ``GET deployment`` as JSON values, under the key of the spec's dialect.

        A general spec, which the API doesn't have, states its dialect itself.
        """
        value = self.to_dict()
        if self.spec.dialect == "general":
            return {"deployment": {**value, "spec": {"dialect": "general", **value["spec"]}}}
        return {self.spec.dialect: value}

    def to_json(self) -> str:
        """Return the body of ``GET deployment`` in canonical form."""
        return canonical_json(self.to_body())
