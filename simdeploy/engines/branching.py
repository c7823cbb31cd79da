"""Simulating replications that branch off others: the past up to an instant stays, and the rest is drawn anew."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.block import Block
from simdeploy.engines.branches import LEVELS_OF, Branches
from simdeploy.world.draws import Lineage

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.scenario import Scenario, ScenarioPolicy

__all__ = ["LEVELS_OF", "Branches", "run_branches"]


def run_branches(
    scenario: Scenario,  # without a tilt
    policy: ScenarioPolicy,
    branches: Branches,
    *,
    seed: int,
    engine: str,  # compiled or reference
) -> tuple[Block, np.ndarray, np.ndarray]:
    """Simulate branches.

    Return their block, which nodes had been dispatched when the level was first reached, shape (branches, nodes), and
    which branches reached it.
    """
    if engine == "compiled":
        from simdeploy.engines.compiled.engine import run_compiled_branches

        return run_compiled_branches(scenario, policy, branches, seed=seed)
    from simdeploy.engines.reference.engine import run_reference
    from simdeploy.engines.responses import compute_responses

    rows = []
    kept = np.zeros(branches.nodes.shape, dtype=bool)
    reached = np.zeros(len(branches.roots), dtype=bool)
    for place, (root, nodes) in enumerate(zip(branches.roots.tolist(), branches.nodes, strict=True)):
        lineage = Lineage(nodes, branches.blocks)
        recording = run_reference(scenario, policy, seed=seed, replication=root, lineage=lineage)
        rows.append({**compute_responses(recording), "status": "ok"})
        at = _failed_at(recording, branches) if branches.counts == "failed_nodes" else _exposed_at(recording, branches)
        if at is not None:
            reached[place] = True
            kept[place] = [fate.dispatched_ns is not None and fate.dispatched_ns <= at for fate in recording.fates]
    return Block.of_rows(0, [rows]), kept, reached


def _failed_at(recording: Recording, branches: Branches) -> int | None:
    times = sorted(fate.counted_ns for fate in recording.fates if fate.ever_failed and fate.counted_ns is not None)
    return times[branches.level - 1] if len(times) >= branches.level else None


def _exposed_at(recording: Recording, branches: Branches) -> int | None:
    if recording.world.release is None:
        return None
    exposed = [fate for fate in recording.fates if fate.started_ns is not None]
    starts = sorted(fate.started_ns for fate in exposed if fate.started_ns is not None)
    ends = sorted(fate.back_from_ns for fate in exposed if fate.back_from_ns is not None)
    return next((t for t in starts if bisect_right(starts, t) - bisect_right(ends, t) >= branches.level), None)
