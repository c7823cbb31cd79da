"""Replications that branch off others, described by the replications that supply their random numbers.

The state of a rollout at an instant is the set of numbers that it has used. In a branch, nodes dispatched by then keep their
replication's numbers, and all others get those of a fresh replication. Numbers for the whole fleet, and those of spells
(crashes, outages, connections, degradation), stay those of the root, because they may have had effects already. Run from the
start, such a branch does the same up to that instant, whatever the fresh numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from simdeploy.world.draws import BRANCHING

LEVELS_OF = ("failed_nodes", "peak_exposed_nodes")


@dataclass(frozen=True, eq=False)
class Branches:
    """Several branches by the replications that supply their numbers, and the level at which they branch next."""

    # int, shape (branches,): the replication that supplies numbers for the whole fleet and for spells.
    roots: np.ndarray
    nodes: np.ndarray  # int, shape (branches, nodes): the replication that supplies the numbers of each node's update
    # The quantity that reaches the level: nodes that failed before the end, or nodes exposed at once.
    counts: Literal["failed_nodes", "peak_exposed_nodes"]
    level: int  # at least 1
    blocks: ClassVar[frozenset[int]] = BRANCHING

    @classmethod
    def start(
        cls, numbers: np.ndarray, n_nodes: int, counts: Literal["failed_nodes", "peak_exposed_nodes"]
    ) -> Branches:
        """Return roots: replications that don't branch off others."""
        return cls(numbers, np.repeat(numbers[:, np.newaxis], n_nodes, axis=1), counts, 1)

    def towards(self, level: int) -> Branches:
        """Return the same branches with another level."""
        return replace(self, level=level)

    def branch(
        self,
        parents: np.ndarray,  # place of each new branch's parent in these
        kept: np.ndarray,  # shape (branches, nodes): the nodes that keep their numbers, from `run_branches`
        numbers: np.ndarray,  # a fresh replication for each new branch
    ) -> Branches:
        """Return branches of some of these."""
        nodes = np.where(kept[parents], self.nodes[parents], numbers[:, np.newaxis])
        return replace(self, roots=self.roots[parents], nodes=nodes)
