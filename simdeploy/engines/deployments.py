"""Deployment objects as the API shows them: a deployment, and its rollback if there was one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simdeploy.api import Deployment, DeploymentStatus
from simdeploy.api.spec import api_spec
from simdeploy.api.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.engines.recording import History
    from simdeploy.scenario import ScenarioPolicy


def node_name(number: int) -> str:
    """Return the name of a node in the deployment object.

    Examples
    --------
    >>> node_name(3)
    'node-3'
    """
    return f"node-{number}"


class Recorded(NamedTuple):
    """A deployment and the history of its status."""

    id: str
    type: str
    from_version: int
    to_version: int
    history: History
    canaries: Sequence[int]


def recorded_deployments(
    policy: ScenarioPolicy, update: History, rollback: History | None, canaries: Sequence[int]
) -> list[Recorded]:
    """Return the deployment of a policy, and its rollback if there was one, which has the versions swapped."""
    identity = policy.identity
    old, new = identity.from_version, identity.to_version
    recorded = [Recorded(identity.id, identity.type, old, new, update, canaries)]
    if rollback is not None:
        recorded.append(Recorded(f"{identity.id}-rollback", "rollback", new, old, rollback, []))
    return recorded


def make_deployment(policy: ScenarioPolicy, recorded: Recorded, revision: int) -> Deployment:
    """Return a deployment object at a revision, counted from 1."""
    identity, history = policy.identity, recorded.history
    start_ns = parse_time(identity.created_at)

    def written(time_ns: int | None) -> str | None:
        return None if time_ns is None else format_time(start_ns + time_ns)

    times_ns, fields = history.times_ns, history.fields(revision - 1)
    status = {
        "state": fields.state,
        "message": fields.message,
        "revision": revision,
        "current_wave": fields.current_wave,
        "total_nodes": history.total_nodes,
        "updated_nodes": fields.updated_nodes,
        "failed_nodes": fields.failed_nodes,
        "canary_nodes": tuple(node_name(canary) for canary in recorded.canaries),
        "canary_promoted": fields.canary_promoted,
        "created_at": written(times_ns[0]),
        "updated_at": written(times_ns[revision - 1]),
        "completed_at": written(fields.completed_ns),
        "last_progress_time": written(fields.last_progress_ns),
        "health_check_deadline": written(fields.health_check_deadline_ns),
        "healthy_deadline": written(fields.healthy_deadline_ns),
    }
    return Deployment(
        id=recorded.id,
        job_id=identity.job_id,
        job_type=identity.job_type,
        namespace=identity.namespace,
        type=recorded.type,
        from_version=recorded.from_version,
        to_version=recorded.to_version,
        spec=api_spec(policy.spec),
        status=DeploymentStatus(**{name: value for name, value in status.items() if value is not None}),
    )
