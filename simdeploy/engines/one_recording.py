"""The reference engine in the world of a replication, drawn or recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simdeploy.engines.recording import Recording
    from simdeploy.scenario import Scenario, ScenarioPolicy


def make_recorder(scenario: Scenario, *, seed: int, replication: int) -> Callable[[ScenarioPolicy], Recording]:
    """Return a function that returns the recording of a policy in the world of a replication."""
    if scenario.past is not None:
        from simdeploy.engines.replay.worlds import PastWorld

        return PastWorld(scenario, seed=seed, replication=replication).run
    from simdeploy.engines.reference.engine import run_reference

    return partial(run_reference, scenario, seed=seed, replication=replication)
