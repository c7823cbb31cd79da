"""Replications that branch off others: what happened up to an instant stays, and what comes after it is drawn anew.

The state of a rollout at an instant is which numbers it has used. Whoever was dispatched by then keeps his replication's
numbers, and everybody else gets those of a fresh one; what is drawn for the whole fleet, and whatever goes up and down by
itself, stays as it is in the root, for it may have acted already. Run from the start, such a branch does the same up to
that instant, whatever the fresh numbers are.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from simdeploy.engines.block import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.engines.recording import Recording
    from simdeploy.scenario import Scenario, ScenarioPolicy

LEVELS_OF = ("failed_nodes", "peak_exposed_nodes")


@dataclass(frozen=True, eq=False)
class Branches:
    """Several replications by whose numbers they have, and the level that is waited for.

    Attributes
    ----------
    roots : ndarray of int, shape (branches,)
        The replication of what is drawn for the whole fleet, and of what goes up and down by itself.
    nodes : ndarray of int, shape (branches, nodes)
        The replication of what happens to each node in the update.
    counts : {'failed_nodes', 'peak_exposed_nodes'}
        What the level is a number of: nodes that failed before the end, or nodes exposed at once.
    level : int
        At least 1.
    """

    roots: np.ndarray
    nodes: np.ndarray
    counts: Literal["failed_nodes", "peak_exposed_nodes"]
    level: int

    @classmethod
    def start(
        cls, numbers: np.ndarray, n_nodes: int, counts: Literal["failed_nodes", "peak_exposed_nodes"]
    ) -> Branches:
        """Return replications that branch off nothing yet."""
        return cls(numbers, np.repeat(numbers[:, np.newaxis], n_nodes, axis=1), counts, 1)

    def towards(self, level: int) -> Branches:
        """Return the same, on their way to a level."""
        return replace(self, level=level)

    def branch(self, parents: np.ndarray, kept: np.ndarray, numbers: np.ndarray) -> Branches:
        """Return replications that branch off some of these.

        Parameters
        ----------
        parents : ndarray of int
            Place of each one's parent.
        kept : ndarray of bool, shape (branches, nodes)
            Of each of these, the nodes that keep their numbers, as `run_branches` gives it.
        numbers : ndarray of int
            For each a fresh replication.
        """
        nodes = np.where(kept[parents], self.nodes[parents], numbers[:, np.newaxis])
        return replace(self, roots=self.roots[parents], nodes=nodes)


def run_branches(
    scenario: Scenario, policy: ScenarioPolicy, branches: Branches, *, seed: int, engine: str
) -> tuple[Block, np.ndarray, np.ndarray]:
    """Simulate branches.

    Parameters
    ----------
    scenario : Scenario
        Without a tilt.
    policy : ScenarioPolicy
    branches : Branches
    seed : int
    engine : {'compiled', 'reference'}

    Returns
    -------
    block : Block
    kept : ndarray of bool, shape (branches, nodes)
        Which nodes had been dispatched when the level was first reached.
    reached : ndarray of bool, shape (branches,)
    """
    if engine == "compiled":
        from simdeploy.engines.compiled.engine import run_compiled_branches

        return run_compiled_branches(scenario, policy, branches, seed=seed)
    from simdeploy.engines.reference.engine import run_reference
    from simdeploy.engines.responses import compute_responses

    rows = []
    kept = np.zeros(branches.nodes.shape, dtype=bool)
    reached = np.zeros(len(branches.roots), dtype=bool)
    for place, (root, lineage) in enumerate(zip(branches.roots.tolist(), branches.nodes, strict=True)):
        recording = run_reference(scenario, policy, seed=seed, replication=root, lineage=lineage)
        rows.append({**compute_responses(recording), "status": "ok"})
        at = _failed_at(recording, branches) if branches.counts == "failed_nodes" else _exposed_at(recording, branches)
        if at is not None:
            reached[place] = True
            kept[place] = [fate.dispatched_ns is not None and fate.dispatched_ns <= at for fate in recording.fates]
    return Block.of_rows(0, [rows]), kept, reached


def _failed_at(recording: Recording, branches: Branches) -> int | None:
    end = recording.makespan_ns
    times = sorted(
        fate.resolved_ns
        for fate in recording.fates
        if fate.ever_failed and fate.resolved_ns is not None and (end is None or fate.resolved_ns <= end)
    )
    return times[branches.level - 1] if len(times) >= branches.level else None


def _exposed_at(recording: Recording, branches: Branches) -> int | None:
    if recording.world.release is None:
        return None
    exposed = [fate for fate in recording.fates if fate.started_ns is not None]
    starts = sorted(fate.started_ns for fate in exposed if fate.started_ns is not None)
    ends = sorted(fate.back_from_ns for fate in exposed if fate.back_from_ns is not None)
    return next((t for t in starts if _count(starts, t) - _count(ends, t) >= branches.level), None)


def _count(times: Sequence[int], t: int) -> int:
    return bisect_right(times, t)
