"""Pools of nodes that share their requests, and the load of a pool over time (model section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simdeploy.world.realized import World


def pools_of(world: World) -> np.ndarray:
    """Return the number of each node's pool.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> world = SimpleNamespace(service=SimpleNamespace(across="zone"), zone_of=np.array([0, 1, 0]), n_nodes=3)
    >>> pools_of(world).tolist()
    [0, 1, 0]
    """
    across = None if world.service is None else world.service.across
    if across == "zone":
        return world.zone_of
    if across == "class":
        return world.class_of
    return np.zeros(world.n_nodes, np.int64)


def integrate(
    before: float,  # load per node at the beginning
    after: float,  # load per node at the end
    capacity: float,
    seconds: float,
) -> tuple[float, float]:
    """Integrate a load that changes linearly, and the part of it above the capacity.

    Examples
    --------
    >>> integrate(1.0, 2.0, capacity=1.5, seconds=4.0)
    (6.0, 0.5)
    """
    met = (before + after) * 0.5 * seconds
    first, last = before - capacity, after - capacity
    if first <= 0 and last <= 0:
        return met, 0.0
    if first >= 0 and last >= 0:
        return met, (first + last) * 0.5 * seconds
    top = max(first, last)
    return met, top * (top / abs(last - first)) * 0.5 * seconds


def integrate_many(
    before: np.ndarray, after: np.ndarray, capacity: np.ndarray | float, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return `integrate` for many pieces."""
    met = (before + after) * 0.5 * seconds
    first, last = before - capacity, after - capacity
    above = np.maximum(first, 0.0) + np.maximum(last, 0.0)
    crosses = (first < 0) != (last < 0)
    part = np.ones_like(above)
    np.divide(above, np.abs(last - first), out=part, where=crosses & (first != last))
    return met, above * part * 0.5 * seconds
