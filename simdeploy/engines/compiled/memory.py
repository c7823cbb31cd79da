"""The tables in which compiled code works, made once per block and kept alive here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.compiled.clock import EVENT_BITS
from simdeploy.engines.compiled.lowering import Lowered
from simdeploy.engines.compiled.records import (
    MOST_STEP_WINDOWS,
    N_BRACKETS,
    N_STEPPING,
    N_WINDOW_WORDS,
    TODAY_RECORD,
    WALK_RECORD,
)
from simdeploy.engines.compiled.run import RUN
from simdeploy.engines.compiled.scratch import Scratch, Tables
from simdeploy.engines.compiled.spells import N_WALKS
from simdeploy.engines.compiled.tables import (
    AFFECTED,
    CLASS,
    CRASH_WORD,
    FLAP_WORD,
    HANGS,
    MOST_AHEAD,
    MOST_NOTED,
    N_AHEAD,
    N_AHEAD_STATE,
    N_AHEAD_SUMS,
    N_AT_ONCE,
    N_BATCH,
    N_COUNTED,
    N_DRAWN,
    N_FATE,
    N_LINE,
    N_LISTS,
    N_LOAD,
    N_LOOK,
    N_MEMBER,
    N_MET,
    N_NOTED,
    N_POOL,
    N_REAL_AT_ONCE,
    N_RELATIVE,
    N_STEP_COLUMNS,
    N_TRACED,
    N_TRACED_COUNTS,
    N_TRACED_SUMS,
    N_WAVE,
    NEVER,
    TABLES,
)
from simdeploy.engines.looks import LOOK, NODE_LOOK

if TYPE_CHECKING:
    from simdeploy.engines.branches import Branches
    from simdeploy.engines.traces import Grid
    from simdeploy.engines.worlds import Worlds

    _Values = dict[str, int | float]  # fields of the record

# Tables of a scenario and its policies that a run writes to; all others may be shared by several runs.
_WRITTEN = ("members", "bundles", "bundle_slots", "places", "continuations")

_FEW_LOOKS = 1024  # initial room for looks with error rates

# The record's fields, in their order; and those of addresses.
_ALL_ZERO = dict.fromkeys(RUN.names or (), 0)
_ADDRESS_OF = {name: f"{name}_at" for name in TABLES}


def _make_scratch(scalars: Mapping[str, int | float], n_stepping: int) -> Scratch:
    """Make the tables that are written before they are read, or set to 0 here."""
    n = int(scalars["nodes"])
    room = 4 * n + 16
    scratch = Scratch(
        drawn=(N_DRAWN, n, np.int64),
        peak_words=(int(scalars["n_peaks"]), n, np.int64),
        baselines=(n, np.float64),
        words=(2, n, np.uint64),
        fates=(N_FATE, n, np.int64),
        relative=(N_RELATIVE, n, np.int64),
        lists=(N_LISTS, n, np.int64),
        queue=(2, room, np.int64),
        scratch=(2, room, np.int64),
        back_rates=(2, n, np.float64),
        step_words=(n_stepping, MOST_STEP_WINDOWS, np.int64),
    )
    if not scratch.is_zero:
        for row in (CLASS, AFFECTED, HANGS, CRASH_WORD, FLAP_WORD):  # read even where nothing is drawn into them
            scratch["drawn"][row] = 0
    return scratch


def _make_zeros(scalars: Mapping[str, int | float], most_waves: int, n_stepping: int) -> Tables:
    names = ("nodes", "n_classes", "zones", "n_brackets", "n_pools")
    n, n_classes, zones, n_brackets, n_pools = (int(scalars[name]) for name in names)
    sharing = n if scalars["shared"] else 0
    room_of_loads = 4 * sharing + 16
    return Tables(
        zone_failed=(zones, np.int64),
        zone_ends=(n_classes, zones, np.int64),
        today=(n_classes, TODAY_RECORD),
        window_words=(2, N_WINDOW_WORDS, np.int64),
        steps=(n_stepping, N_STEP_COLUMNS, np.int64),
        at_once=(N_REAL_AT_ONCE, N_AT_ONCE, np.float64),
        batch=(3, N_BATCH, np.float64),
        counted=(N_COUNTED, N_AT_ONCE, np.int64),
        ahead=(N_AHEAD, N_AHEAD_STATE, np.int64),
        ahead_sums=(N_AHEAD, N_AHEAD_SUMS, 2 * MOST_AHEAD + 2, np.int64),
        noted=(N_NOTED, MOST_NOTED, np.int64),
        bracket_words=(n_brackets, N_BRACKETS, np.int64),
        words_beyond=(n_brackets, N_BRACKETS, np.int64),
        begins=(most_waves, np.int64),
        waves=(N_WAVE, most_waves, np.int64),
        slots_of_zones=(zones, np.int64),
        walks=(N_WALKS, WALK_RECORD),
        ranked=(2, _FEW_LOOKS, np.float64),
        ranked_before=(_FEW_LOOKS, np.int64),
        lines=(N_LINE, n if scalars["goes_offline"] else 0, np.int64),
        # For nodes that share their requests.
        pool_times=(n_pools, np.int64),
        pool_sums=(n_pools, N_POOL, np.float64),
        pool_counts=(n_pools, 2, n_classes, np.int64),
        pool_looks=(n_pools, N_LOOK, np.float64),
        members_of_pools=(N_MEMBER, sharing, np.int64),
        met=(N_MET, sharing, np.float64),
        # One entry per node, and one more for each change of its crash rate: at its start and at its rollback.
        flips=(2, 3 * sharing + 1, np.int64),
        walks_of_members=(2 * sharing, WALK_RECORD),
        load_times=(room_of_loads, np.int64),
        loads=(N_LOAD, room_of_loads, np.float64),
        load_starts=(n_pools + 1, np.int64),
    )


def _copy(table: np.ndarray) -> np.ndarray:
    """Copy the bytes of a table, because numpy copies records field by field."""
    return np.ascontiguousarray(table).view(np.uint8).copy()


class Memory:
    """The record of a run, with all tables that it points to.

    Attributes
    ----------
    run : ndarray of RUN, shape (1,)
    kept, reached : ndarray of bool
        Results of branches.
    looks : ndarray of LOOK, shape (worlds, looks)
    node_looks : ndarray of NODE_LOOK, shape (worlds, nodes)
        For all continuations of the worlds.
    traces : ndarray of int32, shape (n_traces, quantities, times)
    """

    def __init__(
        self,
        lowered: Lowered,
        seed: int,
        branches: Branches | None = None,
        *,
        worlds: Worlds | None = None,
        grid: Grid | None = None,
        n_traces: int = 0,
    ) -> None:
        self._lowered = lowered  # keeps alive the arrays that its tables point to
        n = int(lowered.scalars["nodes"])
        most_waves = int(lowered.tables["policies"]["n_waves"].max())
        if max(n, most_waves) >> (63 - EVENT_BITS):
            raise AssertionError((n, most_waves))  # in the queue, node or wave share a number with the event
        # Steps are used only if several rules differ in nothing but the highest error rate.
        n_stepping = N_STEPPING if (lowered.tables["rules"]["n_alike"] > 1).any() else 1
        self._of_nodes = _make_scratch(lowered.scalars, n_stepping)
        zeros = _make_zeros(lowered.scalars, most_waves, n_stepping)
        zeros["today"]["quiet_beyond"] = -NEVER  # any first spell lasts, unless there are spells (see `outlook`)
        values: _Values = {
            **_ALL_ZERO,
            **lowered.scalars,
            "key0": seed & 0xFFFFFFFF,
            "key1": seed >> 32,
            "most_waves": most_waves,
            "n_sizes": len(lowered.tables["sizes"]),
            "n_pool_ends": len(zeros["load_starts"]),
            "flip_room": zeros["flips"].shape[1],
            "planned_change_at": NEVER,
            "nodes_look_at": NEVER,
            "stepped_requests": -1,
            "room": self._of_nodes["scratch"].shape[1],
            "room_ranked": _FEW_LOOKS,
        }
        others = {
            **lowered.tables,
            **{name: _copy(lowered.tables[name]) for name in _WRITTEN},
            **self._descend(values, branches or worlds, n),
            **self._branch(values, branches, n),
            **self._look(values, 0 if worlds is None else len(worlds.roots)),
            **self._trace(values, grid, n_traces),
        }
        self._kept = {name: np.ascontiguousarray(table) for name, table in others.items()}
        self._zeros = zeros
        addresses = {**self._of_nodes.addresses, **zeros.addresses}
        # Asking for an address takes long, and that of an empty table doesn't matter.
        anywhere = zeros.addresses["begins"]
        addresses |= {name: table.ctypes.data if table.size else anywhere for name, table in self._kept.items()}
        if addresses.keys() != set(TABLES):
            raise AssertionError(sorted(addresses.keys() ^ TABLES))
        values |= {_ADDRESS_OF[name]: address for name, address in addresses.items()}
        # In bytes, because numpy is slow at making an array of long records; and all fields at once, which takes half the time.
        self.run = np.ndarray(1, RUN, np.zeros(RUN.itemsize, np.uint8))
        self.run[0] = tuple(values.values())

    def _descend(self, values: _Values, lineages: Branches | Worlds | None, n: int) -> dict[str, np.ndarray]:
        if lineages is None:
            return {"roots": np.zeros(0, np.uint64), "lineages": np.zeros((0, n), np.uint64)}
        values["n_lineages"] = len(lineages.roots)
        values["blocks_of_nodes"] = sum(1 << block for block in lineages.blocks)
        return {"roots": lineages.roots.astype(np.uint64), "lineages": lineages.nodes.astype(np.uint64)}

    def _branch(self, values: _Values, branches: Branches | None, n: int) -> dict[str, np.ndarray]:
        if branches is not None:
            values["counts_failed"] = branches.counts == "failed_nodes"
            values["level"] = branches.level
        n_branches = 0 if branches is None else len(branches.roots)
        self.kept = np.zeros((n_branches, n), np.bool_)
        self.reached = np.zeros(n_branches, np.bool_)
        return {"kept": self.kept, "reached": self.reached}

    def _look(self, values: _Values, n_worlds: int) -> dict[str, np.ndarray]:
        self.looks = np.zeros((n_worlds, int(values["n_looks"])), LOOK)
        self.node_looks = np.zeros((n_worlds, int(values["n_looked_at"])), NODE_LOOK)
        return {"looks": self.looks, "node_looks": self.node_looks}

    def _trace(self, values: _Values, grid: Grid | None, n_traces: int) -> dict[str, np.ndarray]:
        n_times = 0 if grid is None else grid.n_times
        if grid is not None:
            values.update(n_times=n_times, every=grid.every_ns, n_slots_traced=n_times + 1, n_traces=n_traces)
        n_groups = values["n_pools"] if values["shared"] else values["n_classes"] if values["varies"] else 1
        values["n_groups"] = n_groups
        self.traces = np.zeros((n_traces, N_TRACED, n_times), np.int32)
        return {
            "traces": self.traces,
            "traced_counts": np.zeros((N_TRACED_COUNTS, n_times + 1), np.int64),
            "traced_sums": np.zeros((int(n_groups), N_TRACED_SUMS, n_times + 1)),
        }

    def _keep(self, name: str, table: np.ndarray) -> None:
        table = np.ascontiguousarray(table)
        self._kept[name] = table
        self.run[f"{name}_at"] = table.ctypes.data

    def give_back(self) -> None:
        """Give the tables of nodes to the next call; `kept`, `reached`, looks and traces stay."""
        self._of_nodes.give_back()

    def make_room(self) -> None:
        """Double the room for intervals; the queue is lost."""
        room = 2 * int(self.run["room"][0])
        for name in ("scratch", "queue"):
            self._keep(name, np.empty((2, room), np.int64))
        looks = 2 * int(self.run["room_ranked"][0])
        self._keep("ranked", np.zeros((2, looks)))
        self._keep("ranked_before", np.zeros(looks, np.int64))
        self.run["room_ranked"] = looks
        if self.run["shared"][0]:
            self._keep("load_times", np.zeros(room, np.int64))
            self._keep("loads", np.zeros((N_LOAD, room)))
        self.run["room"] = room
