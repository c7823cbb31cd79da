"""The tables in which compiled code works, made once per block and kept alive here."""

from __future__ import annotations

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
from simdeploy.engines.compiled.scratch import Scratch
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

# Tables of a scenario and its policies that a run writes into; others may run with the same ones.
_WRITTEN = ("members", "bundles", "bundle_slots", "places", "continuations")

_FEW_LOOKS = 1024  # for whose error rates there is room at first


class Memory:
    """The record of a run, with all tables that it points to.

    Attributes
    ----------
    run : ndarray of RUN, shape (1,)
    kept, reached : ndarray of bool
        What branches leave behind.
    looks : ndarray of LOOK, shape (worlds, looks)
    node_looks : ndarray of NODE_LOOK, shape (worlds, nodes)
        Of all ways in which the worlds go on.
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
        self.run = np.zeros(1, dtype=RUN)
        self._lowered = lowered
        self._tables: dict[str, np.ndarray] = {}
        for name, value in lowered.scalars.items():
            self.run[name] = value
        self.run["key0"], self.run["key1"] = seed & 0xFFFFFFFF, seed >> 32
        n = int(lowered.scalars["nodes"])
        n_classes = int(lowered.scalars["n_classes"])
        most_waves = int(lowered.tables["policies"]["n_waves"].max())
        self.run["most_waves"] = most_waves
        if max(n, most_waves) >> (63 - EVENT_BITS):
            raise AssertionError((n, most_waves))  # the queue keeps a node, or a wave, above what happens to it
        self._of_nodes = Scratch(
            drawn=(N_DRAWN, n, np.int64),
            peak_words=(int(lowered.scalars["n_peaks"]), n, np.int64),
            baselines=(n, np.float64),
            words=(2, n, np.uint64),
            fates=(N_FATE, n, np.int64),
            relative=(N_RELATIVE, n, np.int64),
            lists=(N_LISTS, n, np.int64),
            queue=(2, 4 * n + 16, np.int64),
            scratch=(2, 4 * n + 16, np.int64),
            back_rates=(2, n, np.float64),
        )
        if not self._of_nodes.is_zero:
            for row in (CLASS, AFFECTED, HANGS, CRASH_WORD, FLAP_WORD):  # read even where nothing is drawn into them
                self._of_nodes.tables["drawn"][row] = 0
        tables = {
            **lowered.tables,
            **self._of_nodes.tables,
            **{name: lowered.tables[name].copy() for name in _WRITTEN},
            "zone_failed": np.zeros(int(lowered.scalars["zones"]), np.int64),
            "zone_ends": np.zeros((n_classes, int(lowered.scalars["zones"])), np.int64),
            "today": np.zeros(n_classes, TODAY_RECORD),
            "window_words": np.zeros((2, N_WINDOW_WORDS), np.int64),
            "steps": np.zeros((N_STEPPING, N_STEP_COLUMNS), np.int64),
            "step_words": np.empty((N_STEPPING, MOST_STEP_WINDOWS), np.int64),
            "at_once": np.zeros((N_REAL_AT_ONCE, N_AT_ONCE)),
            "counted": np.zeros((N_COUNTED, N_AT_ONCE), np.int64),
            "ahead": np.zeros((N_AHEAD, N_AHEAD_STATE), np.int64),
            "ahead_sums": np.zeros((N_AHEAD, N_AHEAD_SUMS, 2 * MOST_AHEAD + 2), np.int64),
            "noted": np.zeros((N_NOTED, MOST_NOTED), np.int64),
            "bracket_words": np.zeros((int(lowered.scalars["n_brackets"]), N_BRACKETS), np.int64),
            "words_beyond": np.zeros((int(lowered.scalars["n_brackets"]), N_BRACKETS), np.int64),
            "begins": np.zeros(most_waves, np.int64),
            "waves": np.zeros((N_WAVE, most_waves), np.int64),
            "slots_of_zones": np.zeros(int(lowered.scalars["zones"]), np.int64),
            "walks": np.zeros(N_WALKS, WALK_RECORD),
            "ranked": np.zeros((2, _FEW_LOOKS)),
            "ranked_before": np.zeros(_FEW_LOOKS, np.int64),
            "pool_times": np.zeros(int(lowered.scalars["n_pools"]), np.int64),
            "pool_sums": np.zeros((int(lowered.scalars["n_pools"]), N_POOL)),
            "pool_counts": np.zeros((int(lowered.scalars["n_pools"]), 2, n_classes), np.int64),
            **self._share(n),
            "lines": np.zeros((N_LINE, n if lowered.scalars["goes_offline"] else 0), np.int64),
            **self._descend(branches or worlds, n),
            **self._branch(branches, n),
            **self._look(0 if worlds is None else len(worlds.roots)),
            **self._trace(grid, n_traces),
        }
        if set(tables) != set(TABLES):
            raise AssertionError(sorted(set(tables) ^ set(TABLES)))
        for name, table in tables.items():
            self._keep(name, table)
        self.run["planned_change_at"] = self.run["nodes_look_at"] = NEVER
        self.run["stepped_requests"] = -1
        self.run["n_sizes"] = len(tables["sizes"])
        self.run["room"] = tables["scratch"].shape[1]
        self.run["room_ranked"] = _FEW_LOOKS

    def _share(self, n: int) -> dict[str, np.ndarray]:
        """Make the tables of nodes that share their requests; empty if they don't."""
        n_pools, members = int(self.run["n_pools"][0]), n if self.run["shared"][0] else 0
        # Each node has one entry, and one more whenever its crashes change: at its start and when it goes back.
        self.run["n_pool_ends"], self.run["flip_room"] = n_pools + 1, 3 * members + 1
        return {
            "pool_looks": np.zeros((n_pools, N_LOOK)),
            "members_of_pools": np.zeros((N_MEMBER, members), np.int64),
            "met": np.zeros((N_MET, members)),
            "flips": np.zeros((2, 3 * members + 1), np.int64),
            "walks_of_members": np.zeros(2 * members, WALK_RECORD),
            "load_times": np.zeros(4 * members + 16, np.int64),
            "loads": np.zeros((N_LOAD, 4 * members + 16)),
            "load_starts": np.zeros(n_pools + 1, np.int64),
        }

    def _descend(self, lineages: Branches | Worlds | None, n: int) -> dict[str, np.ndarray]:
        if lineages is None:
            return {"roots": np.zeros(0, np.uint64), "lineages": np.zeros((0, n), np.uint64)}
        self.run["n_lineages"] = len(lineages.roots)
        self.run["blocks_of_nodes"] = sum(1 << block for block in lineages.blocks)
        return {"roots": lineages.roots.astype(np.uint64), "lineages": lineages.nodes.astype(np.uint64)}

    def _branch(self, branches: Branches | None, n: int) -> dict[str, np.ndarray]:
        if branches is not None:
            self.run["counts_failed"] = branches.counts == "failed_nodes"
            self.run["level"] = branches.level
        n_branches = 0 if branches is None else len(branches.roots)
        self.kept = np.zeros((n_branches, n), np.bool_)
        self.reached = np.zeros(n_branches, np.bool_)
        return {"kept": self.kept, "reached": self.reached}

    def _look(self, n_worlds: int) -> dict[str, np.ndarray]:
        self.looks = np.zeros((n_worlds, int(self.run["n_looks"][0])), LOOK)
        self.node_looks = np.zeros((n_worlds, int(self.run["n_looked_at"][0])), NODE_LOOK)
        return {"looks": self.looks, "node_looks": self.node_looks}

    def _trace(self, grid: Grid | None, n_traces: int) -> dict[str, np.ndarray]:
        n_times = 0 if grid is None else grid.n_times
        if grid is not None:
            self.run["n_times"], self.run["every"] = n_times, grid.every_ns
            self.run["n_slots_traced"], self.run["n_traces"] = n_times + 1, n_traces
        scalars = self._lowered.scalars
        n_groups = scalars["n_pools"] if scalars["shared"] else scalars["n_classes"] if scalars["varies"] else 1
        self.run["n_groups"] = n_groups
        self.traces = np.zeros((n_traces, N_TRACED, n_times), np.int32)
        return {
            "traces": self.traces,
            "traced_counts": np.zeros((N_TRACED_COUNTS, n_times + 1), np.int64),
            "traced_sums": np.zeros((int(n_groups), N_TRACED_SUMS, n_times + 1)),
        }

    def _keep(self, name: str, table: np.ndarray) -> None:
        table = np.ascontiguousarray(table)
        self._tables[name] = table
        self.run[f"{name}_at"] = table.ctypes.data

    def give_back(self) -> None:
        """Leave the tables of nodes to the next call; what is kept, reached, looked at and traced stays."""
        self._of_nodes.give_back()

    def make_room(self) -> None:
        """Double the room for intervals; what is queued is lost."""
        room = 2 * self._tables["scratch"].shape[1]
        for name in ("scratch", "queue"):
            self._keep(name, np.empty((2, room), np.int64))
        looks = 2 * self._tables["ranked"].shape[1]
        self._keep("ranked", np.zeros((2, looks)))
        self._keep("ranked_before", np.zeros(looks, np.int64))
        self.run["room_ranked"] = looks
        if self.run["shared"][0]:
            self._keep("load_times", np.zeros(room, np.int64))
            self._keep("loads", np.zeros((N_LOAD, room)))
        self.run["room"] = room
