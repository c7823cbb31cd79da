"""Which replications branch off others: by whose numbers they have, and the level that is waited for.

The state of a rollout at an instant is which numbers it has used. Whoever was dispatched by then keeps his replication's
numbers, and everybody else gets those of a fresh one; what is drawn for the whole fleet, and whatever goes up and down by
itself, stays as it is in the root, for it may have acted already. Run from the start, such a branch does the same up to
that instant, whatever the fresh numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from simdeploy.world.draws import BRANCHING

LEVELS_OF = ("failed_nodes", "peak_exposed_nodes")


@dataclass(frozen=True, eq=False)
class Branches:
    """Several replications by whose numbers they have, and the level that is waited for."""

    # int, shape (branches,): the replication of what is drawn for the whole fleet, and of what goes up and down by
    # itself.
    roots: np.ndarray
    nodes: np.ndarray  # int, shape (branches, nodes): the replication of what happens to each node in the update
    # What the level is a number of: nodes that failed before the end, or nodes exposed at once.
    counts: Literal["failed_nodes", "peak_exposed_nodes"]
    level: int  # at least 1
    blocks: ClassVar[frozenset[int]] = BRANCHING

    @classmethod
    def start(
        cls, numbers: np.ndarray, n_nodes: int, counts: Literal["failed_nodes", "peak_exposed_nodes"]
    ) -> Branches:
        """Return replications that branch off nothing yet."""
        return cls(numbers, np.repeat(numbers[:, np.newaxis], n_nodes, axis=1), counts, 1)

    def towards(self, level: int) -> Branches:
        """Return the same, on their way to a level."""
        return replace(self, level=level)

    def branch(
        self,
        parents: np.ndarray,  # place of each one's parent
        # Shape (branches, nodes); of each of these, the nodes that keep their numbers, as `run_branches` gives it.
        kept: np.ndarray,
        numbers: np.ndarray,  # for each a fresh replication
    ) -> Branches:
        """Return replications that branch off some of these."""
        nodes = np.where(kept[parents], self.nodes[parents], numbers[:, np.newaxis])
        return replace(self, roots=self.roots[parents], nodes=nodes)
