"""What happened, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simdeploy.units import NS_PER_S, short_duration


def headline(policy: str, nodes: int, values: Mapping[str, Any]) -> str:
    """Say how a rollout went, in one sentence.

    Parameters
    ----------
    policy : str
        Its name.
    nodes : int
        Of the fleet.
    values : mapping of str to value
        The responses.

    Returns
    -------
    str
        Such as ``careful: completed after 34m 10s; 1000 of 1000 nodes updated, 0 failed (completed_good)``.
    """
    makespan = values["makespan_s"]
    ended = (
        f"{values['state']} after {short_duration(makespan * NS_PER_S)}" if makespan == makespan else values["state"]
    )
    verdict = f" ({values['verdict']})" if isinstance(values["verdict"], str) else ""
    return (
        f"{policy}: {ended}; {values['updated_nodes']} of {nodes} nodes updated, "
        f"{values['failed_nodes']} failed{verdict}"
    )
