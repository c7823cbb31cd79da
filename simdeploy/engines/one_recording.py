"""The reference engine in the world of a replication, drawn or recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.scenario import Scenario, ScenarioPolicy


def record(scenario: Scenario, policy: ScenarioPolicy, *, seed: int, replication: int) -> Recording:
    """Return the recording of one replication of a policy."""
    if scenario.past is not None:
        from simdeploy.engines.replay.worlds import run_past

        return run_past(scenario, policy, seed=seed, replication=replication)
    from simdeploy.engines.reference.engine import run_reference

    return run_reference(scenario, policy, seed=seed, replication=replication)
