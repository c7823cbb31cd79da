"""A map of the nodes of a rollout for pictures and `watch`: cells, and their status at any instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.schema import (
    FAILED,
    PENDING,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    RUNNING,
    SKIPPED,
    STATUSES,
    VALIDATING,
)

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines.rollout import Rollout

# What a node shows: its status, or that it is down although it would serve by its status.
SHOWN = (*STATUSES, "down")
DOWN = len(STATUSES)
_SERVES = np.isin(np.arange(len(STATUSES)), (PENDING, VALIDATING, RUNNING, ROLLED_BACK, SKIPPED))
# A cell shows one of these if a single node has it.
_TROUBLE = (FAILED, ROLLBACK_FAILED, DOWN)


@dataclass(frozen=True)
class Cells:
    """The nodes of a fleet in cells: by zone, and within a zone in the order of their dispatch."""

    cell_of: np.ndarray  # by node number
    # zone, group, n_nodes: by cell: its zone, the place of its wave or waves among all groups, and its number of nodes
    zone: np.ndarray
    group: np.ndarray
    n_nodes: np.ndarray


def make_cells(nodes: pd.DataFrame, most_of_zone: int, *, by_zone: bool = True) -> Cells:
    """Divide the nodes of `Rollout.nodes` into cells, at most `most_of_zone` for each zone.

    If there is room, a cell has one node. A cell never mixes nodes of two waves, or if there are too many waves, nodes of the
    first wave with others. Every wave has a cell, however small it is.
    """
    zone = nodes["zone"].to_numpy(np.int64) if by_zone else np.zeros(len(nodes), np.int64)
    wave = nodes["wave"].fillna(nodes["wave"].max() + 1 if nodes["wave"].notna().any() else 1).to_numpy(np.int64)
    order = np.lexsort((nodes["position"], wave, zone))
    cell_of = np.empty(len(nodes), np.int64)
    zones: list[int] = []
    groups: list[int] = []
    sizes: list[int] = []
    for number in np.unique(zone).tolist():
        for members in _divide(order[zone[order] == number], wave, most_of_zone):
            group = groups[-1] + 1 if groups else 0
            for cell in members:
                cell_of[cell] = len(sizes)
                zones.append(number)
                groups.append(group)
                sizes.append(len(cell))
    return Cells(cell_of, np.array(zones), np.array(groups), np.array(sizes))


def _divide(nodes: np.ndarray, wave: np.ndarray, most: int) -> list[list[np.ndarray]]:
    """Return the cells of each group of nodes, in the order of their waves."""
    of_nodes = wave[nodes]
    # Each wave separately, or the first one and the rest, or all together.
    choices = (of_nodes, np.minimum(of_nodes, of_nodes[0] + 1), np.zeros(len(nodes)))
    by = next((by for by in choices if 2 * len(np.unique(by)) <= most or len(nodes) <= most), choices[-1])
    groups = np.split(nodes, np.flatnonzero(np.diff(by)) + 1)
    spare = max(most - len(groups), 0)
    if len(nodes) <= most:
        return [np.split(group, len(group)) for group in groups]
    return [np.array_split(group, min(len(group), 1 + spare * len(group) // len(nodes))) for group in groups]


class FleetMap:
    """The status that the nodes of a rollout show, over time.

    Examples
    --------
    >>> from simdeploy.engines import simulate
    >>> from simdeploy.scenario import Scenario
    >>> rollout = simulate(Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"one-by-one": {"strategy": "rolling", "max_parallel": 1, "health_check": {"deadline": "5m"}}},
    ... }))
    >>> counts = FleetMap(rollout).count(make_cells(rollout.nodes, 10), np.array([0.0, 70.0]))
    >>> [[SHOWN[cell] for cell in cells] for cells in choose(counts)]
    [['starting', 'pending'], ['validating', 'pending']]
    """

    def __init__(self, rollout: Rollout) -> None:
        self._n_nodes = len(rollout.nodes)
        self._node, self._time_s, self._before, self._after = _find_changes(
            rollout.events, rollout.down_spells, self._n_nodes
        )

    def count(self, cells: Cells, times_s: np.ndarray) -> np.ndarray:
        """Count the statuses that nodes show at the end of each of some instants, which are in order.

        The result has the shape (times, cells, len(SHOWN)).
        """
        counts = np.zeros((len(times_s), len(cells.n_nodes), len(SHOWN)), np.int32)
        counts[0, :, PENDING] = cells.n_nodes
        at = np.searchsorted(times_s, self._time_s, side="left")
        is_there = at < len(times_s)
        at, cell = at[is_there], cells.cell_of[self._node[is_there]]
        np.add.at(counts, (at, cell, self._before[is_there]), -1)
        np.add.at(counts, (at, cell, self._after[is_there]), 1)
        so_far: np.ndarray = np.cumsum(counts, axis=0, dtype=np.int32)
        return so_far


def find_offline(rollout: Rollout, cells: Cells, times_s: np.ndarray) -> np.ndarray:
    """Return whether most nodes of each cell are offline at some instants, in order: shape (times, cells)."""
    spells = rollout.offline_spells
    changes = np.zeros((len(times_s) + 1, len(cells.n_nodes)), np.int32)
    cell = cells.cell_of[spells["node"].to_numpy(np.int64)]
    for column, change in (("from_s", 1), ("until_s", -1)):
        np.add.at(changes, (np.searchsorted(times_s, spells[column], side="left"), cell), change)
    is_offline: np.ndarray = 2 * changes[:-1].cumsum(axis=0) > cells.n_nodes
    return is_offline


def choose(counts: np.ndarray) -> np.ndarray:
    """Return what each cell shows, as a place in `SHOWN`: trouble of any of its nodes, otherwise the most frequent status."""
    chosen: np.ndarray = counts.argmax(axis=-1)
    for trouble in reversed(_TROUBLE):
        chosen = np.where(counts[..., trouble] > 0, trouble, chosen)
    return chosen


def _find_changes(events: pd.DataFrame, down: pd.DataFrame, n_nodes: int) -> tuple[np.ndarray, ...]:
    """Return the changes of what nodes show: node, time in seconds, and places in `SHOWN` before and after."""
    of_nodes = events[events["node"].notna()]
    numbers = {status: number for number, status in enumerate(STATUSES)}
    n_moves, n_spells = len(of_nodes), len(down)
    everyone = np.arange(n_nodes)
    spells = down["node"].to_numpy(np.int64)
    node = np.concatenate([everyone, of_nodes["node"].to_numpy(np.int64), spells, spells])
    times = [np.full(n_nodes, -np.inf), of_nodes["time_s"], down["from_s"], down["until_s"]]
    time_s = np.concatenate([np.asarray(time, float) for time in times])
    status = np.concatenate(
        [
            np.full(n_nodes, PENDING),
            of_nodes["to_status"].map(numbers).to_numpy(np.int64),
            np.full(2 * n_spells, -1),
        ]
    )
    deeper = np.repeat([0, 1, -1], [n_nodes + n_moves, n_spells, n_spells])
    order = np.lexsort((np.arange(len(node)), time_s, node))
    node, time_s, status, deeper = node[order], time_s[order], status[order], deeper[order]
    # Each row gets the status of the last move before it; every node begins with one.
    last = np.maximum.accumulate(np.where(status >= 0, np.arange(len(status)), 0))
    status = status[last]
    shown = np.where((np.cumsum(deeper) > 0) & _SERVES[status], DOWN, status)
    changed = np.flatnonzero(np.isfinite(time_s) & (np.append(-1, shown[:-1]) != shown))
    return node[changed], time_s[changed], shown[changed - 1], shown[changed]
