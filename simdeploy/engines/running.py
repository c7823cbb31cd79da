"""Running a block: several policies over consecutive replications, on whichever engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.engines.block import Block
from simdeploy.engines.simulation import simulate

if TYPE_CHECKING:
    from simdeploy.engines.compiled.engine import Prepared
    from simdeploy.scenario import Scenario, ScenarioPolicy


def prepare_block(scenario: Scenario, policies: Sequence[ScenarioPolicy], *, engine: str) -> Prepared | None:
    """Return the preparation shared by all blocks of some policies; None for the reference engine and for rollouts on record."""
    if engine != "compiled" or scenario.past is not None:
        return None
    from simdeploy.engines.compiled.engine import prepare_compiled

    return prepare_compiled(scenario, policies)


def run_block(
    scenario: Scenario,
    policies: Sequence[ScenarioPolicy],
    *,
    seed: int,
    first: int,
    count: int,
    engine: str,  # from `choose_engine`
    prepared: Prepared | None = None,  # from `prepare_block`, for the same scenario, policies and engine
) -> Block:
    """Simulate replications `first`, ..., `first + count - 1` of each policy, in the same worlds for all policies.

    A replication that fails is a row with `status` "failed", `stage` and `error`; it doesn't affect others.
    """
    if engine == "compiled" and scenario.past is None:
        from simdeploy.engines.compiled.engine import run_compiled

        return run_compiled(scenario, policies, seed=seed, first=first, count=count, prepared=prepared)
    replications = range(first, first + count)
    return Block.of_rows(
        first, [[_row(scenario, policy, seed, number) for number in replications] for policy in policies]
    )


def _row(scenario: Scenario, policy: ScenarioPolicy, seed: int, replication: int) -> dict[str, Any]:
    try:
        rollout = simulate(scenario, policy, seed=seed, replication=replication, engine="reference")
    except Exception as error:  # noqa: BLE001 - no error may end the other replications
        return {"status": "failed", "stage": "simulate", "error": " ".join(f"{type(error).__name__}: {error}".split())}
    return {**rollout.response_values, "status": "ok"}
