"""Worlds that are put together from several replications: whose numbers the fleet has, and each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simdeploy.world.draws import OF_NODES


@dataclass(frozen=True, eq=False)
class Worlds:
    """Worlds, by the replications that they are put together from.

    Attributes
    ----------
    roots : ndarray of int, shape (worlds,)
        The replication of what is drawn once for the whole fleet: kind of release, slowdown, level of start failures, the operator,
        order and classes of nodes, nodes that are affected if their number is given, and zones.
    nodes : ndarray of int, shape (worlds, nodes)
        The replication of everything that is drawn for each node alone: attempts, windows, going back, whether it is affected if that is
        a share, `after`, its level of failed requests, crashes, degraded spells and lines.
    """

    roots: np.ndarray
    nodes: np.ndarray
    blocks: ClassVar[frozenset[int]] = OF_NODES
