"""Random assignments in a replication: classes and order of the nodes, and which of them the release affects (model sections 2, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.world.streams import Stream
from simdeploy.world.tilt import NO_TILT, Tilt, odds_times, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.world.draws import Draws
    from simdeploy.world.fleet import Fleet
    from simdeploy.world.release import ReleaseKind


def deal_classes(fleet: Fleet, draws: Draws) -> np.ndarray:
    """Give each class its exact nodes, then in the file's order round(share x nodes) random ones of the others."""
    if all(node_class.share is None for node_class in fleet.classes):
        return _exact_classes(fleet)
    return deal_shuffled(fleet, np.argsort(draws.coupled(Stream.CLASS, fleet.nodes), kind="stable"))


def deal_shuffled(
    fleet: Fleet,
    shuffled: np.ndarray,  # the nodes of each world in random order, shape (..., nodes)
) -> np.ndarray:
    """Return what `deal_classes` does in several worlds, shape (..., nodes)."""
    exact = _exact_classes(fleet)
    class_of = np.broadcast_to(exact, shuffled.shape).copy()
    others = shuffled[exact[shuffled] == 0].reshape(*shuffled.shape[:-1], np.count_nonzero(exact == 0))
    first = 0
    for number, node_class in enumerate(fleet.classes, start=1):
        if node_class.share is not None:
            last = first + node_class.wanted(fleet.nodes)
            np.put_along_axis(class_of, others[..., first:last], number, axis=-1)
            first = last
    return class_of


def _exact_classes(fleet: Fleet) -> np.ndarray:
    class_of = np.zeros(fleet.nodes, dtype=np.int64)
    for number, node_class in enumerate(fleet.classes, start=1):
        class_of[list(node_class.nodes)] = number
    return class_of


def order_nodes(fleet: Fleet, draws: Draws) -> list[int]:
    """Return the nodes in the order in which they are updated."""
    order = fixed_order(fleet)
    if order is None:
        order = np.argsort(draws.coupled(Stream.ORDER, fleet.nodes), kind="stable")
    numbers: list[int] = order.tolist()
    return numbers


def fixed_order(fleet: Fleet) -> np.ndarray | None:
    """Return the nodes in the order in which they are updated in every replication; None if it is random."""
    nodes = np.arange(fleet.nodes)
    if fleet.order == "random":
        return None
    if fleet.order == "zone":
        return np.lexsort((nodes, nodes % fleet.zones))
    if fleet.order == "nodes":
        first = np.array(fleet.first, dtype=np.int64)
        return np.concatenate([first, np.delete(nodes, first)])
    return nodes


def pick_release(kinds: Sequence[ReleaseKind], tilt: Tilt, draws: Draws) -> ReleaseKind | None:
    """Return the kind of the release; None if there is none."""
    if not kinds:
        return None
    u = draws.draw(Stream.RELEASE_KIND, 0, 0)
    reached = Fraction(0)
    probabilities = tilted_probabilities(kinds, tilt) if tilt.release else [kind.probability for kind in kinds]
    for kind, probability in zip(kinds[:-1], probabilities, strict=False):
        reached += probability
        if u < reached:
            return kind
    return kinds[-1]


def find_affected(
    fleet: Fleet, release: ReleaseKind | None, class_of: np.ndarray, draws: Draws, tilt: Tilt = NO_TILT
) -> np.ndarray:
    """Return which nodes a release can affect."""
    nodes = np.arange(fleet.nodes)
    if release is None:
        return np.zeros(fleet.nodes, dtype=bool)
    affects = release.affects
    if affects.by == "share":
        return draws.fleet(Stream.AFFECTED, fleet.nodes) < odds_times(float(affects.share or 0), tilt.affects)
    if affects.by == "count":
        hit = np.zeros(fleet.nodes, dtype=bool)
        hit[np.argsort(draws.coupled(Stream.AFFECTED, fleet.nodes), kind="stable")[: affects.count]] = True
        return hit
    if affects.by == "classes":
        numbers = [i for i, node_class in enumerate(fleet.classes, start=1) if node_class.name in affects.members]
        return np.isin(class_of, numbers)
    if affects.by == "zones":
        return np.isin(nodes % fleet.zones, affects.members)
    if affects.by == "nodes":
        return np.isin(nodes, affects.members)
    return np.ones(fleet.nodes, dtype=bool)
