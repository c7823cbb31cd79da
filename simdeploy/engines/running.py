"""Running a block: several policies over consecutive replications, on whichever engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simdeploy.engines.block import Block
from simdeploy.engines.one_recording import make_recorder
from simdeploy.engines.responses import compute_responses
from simdeploy.engines.service import Service

if TYPE_CHECKING:
    from simdeploy.engines.compiled.engine import Prepared
    from simdeploy.engines.recording import Recording
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
    rows = [_simulate(scenario, policies, seed, number) for number in range(first, first + count)]
    return Block.of_rows(first, list(zip(*rows, strict=True)))


def _simulate(
    scenario: Scenario, policies: Sequence[ScenarioPolicy], seed: int, replication: int
) -> list[dict[str, Any]]:
    record = make_recorder(scenario, seed=seed, replication=replication)
    return [_make_row(record, policy) for policy in policies]


def _make_row(record: Callable[[ScenarioPolicy], Recording], policy: ScenarioPolicy) -> dict[str, Any]:
    try:
        recording = record(policy)
        return {**compute_responses(recording, Service(recording)), "status": "ok"}
    except Exception as error:  # noqa: BLE001 - no error may end the other replications
        return {"status": "failed", "stage": "simulate", "error": " ".join(f"{type(error).__name__}: {error}".split())}
