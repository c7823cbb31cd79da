"""From a spec on the wire to the general policy: one file per dialect.

From outside: `policy_from_spec`, and `translate_spec` of `translation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.api import DeploymentSpec
from simdeploy.dialects import deployment, rollout

if TYPE_CHECKING:
    from simdeploy.api import RolloutSpec
    from simdeploy.rules.policy import Policy

__all__ = ["policy_from_spec"]


def policy_from_spec(spec: DeploymentSpec | RolloutSpec, *, interval_ns: int) -> Policy:
    """Return the general policy that a spec means.

    Parameters
    ----------
    spec : DeploymentSpec or RolloutSpec
        Without `spec_problems`.
    interval_ns : int
        Length of an evaluation window where the dialect states none, nanoseconds.

    Examples
    --------
    >>> policy_from_spec(DeploymentSpec(strategy="immediate", max_failed_nodes=3), interval_ns=10**10).max_failed_nodes
    3
    """
    if isinstance(spec, DeploymentSpec):
        return deployment.to_policy(spec, interval_ns=interval_ns)
    return rollout.to_policy(spec)
