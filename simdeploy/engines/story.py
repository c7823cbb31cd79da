"""What happened, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.units import NS_PER_S, short_duration

if TYPE_CHECKING:
    from simdeploy.engines.rollout import Rollout


def headline(rollout: Rollout) -> str:
    """Say how a rollout went, in one sentence.

    Returns
    -------
    str
        Such as ``careful: completed after 34m 10s; 1000 of 1000 nodes updated, 0 failed (completed_good)``.
    """
    values = rollout.response_values
    makespan = values["makespan_s"]
    ended = (
        f"{values['state']} after {short_duration(makespan * NS_PER_S)}" if makespan == makespan else values["state"]
    )
    verdict = f" ({values['verdict']})" if isinstance(values["verdict"], str) else ""
    total = rollout.scenario.fleet.nodes
    return (
        f"{rollout.policy.name}: {ended}; {values['updated_nodes']} of {total} nodes updated, "
        f"{values['failed_nodes']} failed{verdict}"
    )
