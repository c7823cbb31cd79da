"""Running a block on the compiled engine: lower, run, name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.compiled import integrals as at
from simdeploy.engines.compiled.kernel import run_replications
from simdeploy.engines.compiled.lowering import lower
from simdeploy.engines.compiled.memory import Memory
from simdeploy.engines.schema import STATES, VERDICTS
from simdeploy.rules.deployment_types import TYPES

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario, ScenarioPolicy


def run_compiled(scenario: Scenario, policies: Sequence[ScenarioPolicy], *, seed: int, first: int, count: int) -> Block:
    """Simulate replications `first`, ..., `first + count - 1` of each policy."""
    whole = np.empty((len(policies), count, at.N_WHOLE), dtype=np.int64)
    real = np.empty((len(policies), count, at.N_REAL), dtype=np.float64)
    names = tuple(kind.name for kind in scenario.release)
    # Policies of types that mean different things for the nodes meet worlds of which some have no release.
    by_traits: dict[object, list[int]] = {}
    for number, policy in enumerate(policies):
        by_traits.setdefault(TYPES[policy.identity.type], []).append(number)
    for traits, numbers in by_traits.items():
        lowered = lower(scenario, [policies[number] for number in numbers], traits)
        memory = Memory(lowered, seed)
        some_whole = np.empty((len(numbers), count, at.N_WHOLE), dtype=np.int64)
        some_real = np.empty((len(numbers), count, at.N_REAL), dtype=np.float64)
        done = 0
        while (done := run_replications(memory.run, first, some_whole, some_real, done)) < count:
            memory.make_room()
        whole[numbers], real[numbers] = some_whole, some_real
    return _to_block(first, whole, real, names, scenario.fleet.nodes)


def _to_block(first: int, whole: np.ndarray, real: np.ndarray, names: tuple[str, ...], nodes: int) -> Block:
    n_policies, count = whole.shape[:2]
    whole, real = whole.reshape(-1, at.N_WHOLE), real.reshape(-1, at.N_REAL)
    n = len(whole)
    failed = whole[:, at.TOO_LONG]
    kind = whole[:, at.KIND]
    return Block(
        first=first,
        index=np.arange(n, dtype=np.int32).reshape(n_policies, count),
        codes={
            "state": whole[:, at.STATE],
            "release": np.where(kind < 0, len(names), kind),
            "verdict": whole[:, at.VERDICT],
            "status": failed,
            "stage": failed - 1,
            "error": failed - 1,
        },
        words={
            "state": STATES,
            "release": (*names, ""),
            "verdict": VERDICTS,
            "status": ("ok", "failed"),
            "stage": ("simulate",),
            "error": ("SimulationError: the rollout runs for more than 146 years: its times don't fit into 64 bits",),
        },
        numbers={
            "makespan_s": real[:, at.MAKESPAN],
            "stopped_at_s": real[:, at.STOPPED_AT],
            "restored_at_s": real[:, at.RESTORED_AT],
            "waves": whole[:, at.WAVES],
            "updated_nodes": whole[:, at.UPDATED],
            "failed_nodes": whole[:, at.FAILED_NODES],
            "touched_nodes": whole[:, at.TOUCHED],
            "peak_exposed_nodes": whole[:, at.PEAK_EXPOSED],
            "blast_radius": whole[:, at.PEAK_EXPOSED] / nodes,
            "exposed_node_s": real[:, at.EXPOSED],
            "defective_node_s": real[:, at.DEFECTIVE],
            "failed_requests_excess": real[:, at.FAILED_REQUESTS],
            "unavailable_node_s": real[:, at.UNAVAILABLE],
            "min_in_service_fraction": real[:, at.MIN_IN_SERVICE],
            "unavailable_excess_node_s": real[:, at.UNAVAILABLE_EXCESS],
            "decision_windows": whole[:, at.DECISION_WINDOWS],
        },
    )
