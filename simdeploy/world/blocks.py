"""Values of nodes, computed for many of them at a time when the first one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 1024  # nodes whose draws of one index are made together


class Blocks(Generic[T]):
    """Values per node and index, computed for a block of neighbouring nodes at a time."""

    __slots__ = ("_made", "_n_nodes")

    def __init__(self, n_nodes: int) -> None:
        self._n_nodes = n_nodes
        self._made: dict[tuple[int, int], Sequence[T]] = {}

    def take(self, node: int, index: int, compute: Callable[[np.ndarray, int], Sequence[T]]) -> T:
        """Return a node's value at an index. `compute` must always be the same; storing it would often make a reference cycle."""
        try:
            return self._made[index, node // _BLOCK][node % _BLOCK]
        except KeyError:
            first = node // _BLOCK * _BLOCK
            nodes = np.arange(first, min(first + _BLOCK, self._n_nodes))
            self._made[index, node // _BLOCK] = compute(nodes, index)
            return self.take(node, index, compute)
