"""The fleet as a table of all nodes shows it: classes and an order that the scenario would draw at random."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.world.dealing import order_nodes
from simdeploy.world.draws import Draws

if TYPE_CHECKING:
    from simdeploy.analysis.advice.node_table import NodeTable
    from simdeploy.scenario import Scenario
    from simdeploy.world.fleet import Fleet


def settle_fleet(scenario: Scenario, table: NodeTable) -> Scenario:
    """Return a scenario with the classes and order of a table, if the table has them for every node.

    Given the class and zone at each place in the order, it doesn't matter which node is where, unless the release affects certain nodes.
    So any assignment will do, and worlds need not be tried until they happen to have one.
    """
    fleet = scenario.fleet
    has_shares = any(each.share is not None for each in fleet.classes)
    is_random = fleet.order == "random"
    if (table.rows == 0).any() or not (has_shares or is_random):
        return scenario
    if is_random and (not table.is_ordered or any(kind.affects.by == "nodes" for kind in scenario.release)):
        return scenario
    if has_shares and table.classes is None:
        return scenario
    numbers = _order(fleet, table) if is_random else np.array(order_nodes(fleet, Draws(0, 0, fleet.nodes)))
    if numbers is None:
        return scenario
    if is_random:
        fleet = replace(fleet, order="nodes", first=tuple(numbers.tolist()))
    if has_shares and table.classes is not None:
        classes = tuple(
            replace(each, share=None, nodes=tuple(sorted(numbers[table.classes == number].tolist())))
            for number, each in enumerate(fleet.classes, start=1)
        )
        fleet = replace(fleet, classes=classes)
    return replace(scenario, fleet=fleet)


def _order(fleet: Fleet, table: NodeTable) -> np.ndarray | None:
    """Return an order of the nodes that matches the zones and classes of a table; None if there is none."""
    numbers = np.arange(fleet.nodes)
    in_fleet, in_table = np.zeros(fleet.nodes, dtype=np.int64), np.zeros(fleet.nodes, dtype=np.int64)
    if table.zones is not None:
        in_fleet, in_table = numbers % fleet.zones, table.zones
    if all(each.share is None for each in fleet.classes):
        class_of = np.zeros(fleet.nodes, dtype=np.int64)
        for number, each in enumerate(fleet.classes, start=1):
            class_of[list(each.nodes)] = number
        if table.classes is None and fleet.classes:
            return None
        if table.classes is not None:
            in_fleet, in_table = class_of * fleet.zones + in_fleet, table.classes * fleet.zones + in_table
    of_fleet, of_table = np.argsort(in_fleet, kind="stable"), np.argsort(in_table, kind="stable")
    if (in_fleet[of_fleet] != in_table[of_table]).any():
        return None
    order = np.zeros(fleet.nodes, dtype=np.int64)
    order[of_table] = of_fleet
    return order
