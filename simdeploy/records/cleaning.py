"""Removes repeated, contradictory and impossible rows, and adds missing values that follow from others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.records.parts import ROW, Part
from simdeploy.records.table import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

# Times of a node in chronological order.
IN_ORDER = ("dispatched_at_s", "started_at_s", "resolved_at_s", "heard_at_s")
# Column with the part to which a row belongs.
PART = "part"

# Columns that identify the rows of a table.
_KEYS = {"nodes": ("rollout", "node"), "windows": ("rollout", "node", "ended_s", "on_new_version")}


def complete_nodes(frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Drop impossible rows, and number the nodes of rollouts without positions by their dispatch."""
    if frame.empty:
        return frame
    frame = without_repetitions("nodes", frame, parts)
    checked = ~_is_own(frame, parts)
    early = (frame["dispatched_at_s"] < 0).to_numpy() & checked
    frame = _drop(frame, early, "dispatched before the start of its rollout", parts)
    for earlier, later in combinations(IN_ORDER, 2):
        bad = (frame[later] < frame[earlier]).to_numpy() & ~_is_own(frame, parts)
        frame = _drop(frame, bad, f"negative duration: {later} is before {earlier}", parts)
    numbered = frame.groupby("rollout", sort=False)["position"].transform("count") > 0
    missing = ~numbered & frame["dispatched_at_s"].notna()
    if missing.any():
        rank = frame.loc[missing].groupby("rollout", sort=False)["dispatched_at_s"].rank(method="first")
        frame.loc[missing, "position"] = (rank - 1).astype("Int64")
    return frame


def complete_ends(nodes: pd.DataFrame, rollouts: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Fill in until when nodes were watched: by default as long as their rollout, which is at least until its last time."""
    if nodes.empty or nodes["watched_until_s"].notna().all():
        return nodes
    last = nodes.groupby("rollout", sort=False)[list(IN_ORDER)].max().max(axis=1)
    if len(windows):
        last = last.combine(windows.groupby("rollout", sort=False)["ended_s"].max(), np.fmax)
    stated = rollouts.set_index("rollout")
    known = stated["watched_until_s"].fillna(stated["ended_s"].combine(last, np.fmax))
    return nodes.assign(watched_until_s=nodes["watched_until_s"].fillna(nodes["rollout"].map(known)))


def without_repetitions(name: str, frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Drop repeated rows, and all rows that contradict each other, because it is unknown which are right."""
    keys = list(_KEYS[name])
    is_checked = ~_is_own(frame, parts) & frame["node"].notna().to_numpy()
    if not (frame.duplicated(keys).to_numpy() & is_checked).any():
        return frame
    repeated = frame.duplicated(list(COLUMNS[name])).to_numpy() & is_checked
    frame = _drop(frame, repeated, "repeats an earlier row", parts)
    is_checked = ~_is_own(frame, parts) & frame["node"].notna().to_numpy()
    what = "node of a rollout" if name == "nodes" else "window of a node"
    contradicting = frame.duplicated(keys, keep=False).to_numpy() & is_checked
    return _drop(frame, contradicting, f"contradicts another row of the same {what}", parts)


def _drop(frame: pd.DataFrame, bad: np.ndarray, reason: str, parts: Sequence[Part]) -> pd.DataFrame:
    """Drop rows, and note that in the part to which each belongs."""
    if not bad.any():
        return frame
    left_out = frame.loc[bad]
    for number in left_out[PART].unique().tolist():
        parts[number].drop(left_out.loc[left_out[PART] == number, ROW], reason)
    return frame[~bad].reset_index(drop=True)


def _is_own(frame: pd.DataFrame, parts: Sequence[Part]) -> np.ndarray:
    """Return which rows are from files that simdeploy wrote."""
    are_own: np.ndarray = np.array([part.is_own for part in parts], dtype=bool)[frame[PART].to_numpy(dtype=np.int64)]
    return are_own
