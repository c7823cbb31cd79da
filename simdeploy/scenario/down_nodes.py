"""Nodes that a file declares down for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.world.dealing import fixed_order

if TYPE_CHECKING:
    from simdeploy.world.fleet import Fleet


def count_down(fleet: Fleet) -> int:
    """Return how many nodes of a fleet are down for good."""
    return sum(size for size, of in zip(fleet.class_sizes, fleet.behaviours, strict=True) if of.down)


def why_one_is_down(fleet: Fleet, first: int) -> str | None:
    """Return why at least one of the `first` nodes is down for good in every replication; None if it needn't be, or all are.

    Examples
    --------
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "away",
    ...     "fleet": {"nodes": 9, "update_duration": "1m", "classes": [{"name": "a", "nodes": [2, 7], "down": True}]},
    ...     "policies": {"p": {"strategy": "immediate", "max_failed_nodes": 2, "max_failed_nodes_percent": 100}},
    ... })
    >>> [why_one_is_down(scenario.fleet, first) for first in (2, 3, 8)]
    [None, 'node 2 is down for good', '2 of them are down for good, such as node 2']
    """
    down = count_down(fleet)
    if down == fleet.nodes:
        return None
    named = [node for node_class in fleet.classes if node_class.behaviour.down for node in node_class.nodes]
    order = fixed_order(fleet) if named else None
    certain = [] if order is None else np.intersect1d(named, order[:first]).tolist()
    if certain:
        few = f"{len(certain):,} of them are down for good, such as node {certain[0]}"
        return few if len(certain) > 1 else f"node {certain[0]} is down for good"
    # Too many are down for all `first` nodes to be up, whatever the order.
    are = "is" if down == 1 else "are"
    return f"{down:,} of {fleet.nodes:,} nodes {are} down for good" if down > fleet.nodes - first else None
