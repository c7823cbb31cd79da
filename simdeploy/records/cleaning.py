"""Rows that repeat or contradict others, or can't be; and what is missing but follows from the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.records.parts import ROW, Part
from simdeploy.records.table import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

# Times of a node in the order in which they come about.
IN_ORDER = ("dispatched_at_s", "started_at_s", "resolved_at_s", "heard_at_s")
# Which part a row is of.
PART = "part"

# What tells rows of a table apart.
_KEYS = {"nodes": ("rollout", "node"), "windows": ("rollout", "node", "ended_s", "on_new_version")}


def complete_nodes(frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Leave out what can't be, and number the nodes of a rollout by their dispatch where nothing else is stated."""
    if frame.empty:
        return frame
    frame = without_repetitions("nodes", frame, parts)
    checked = ~_is_own(frame, parts)
    early = (frame["dispatched_at_s"] < 0).to_numpy() & checked
    frame = _drop(frame, early, "dispatched before the start of its rollout", parts)
    for earlier, later in _pairs(IN_ORDER):
        bad = (frame[later] < frame[earlier]).to_numpy() & ~_is_own(frame, parts)
        frame = _drop(frame, bad, f"negative duration: {later} is before {earlier}", parts)
    numbered = frame.groupby("rollout", sort=False)["position"].transform("count") > 0
    missing = ~numbered & frame["dispatched_at_s"].notna()
    if missing.any():
        rank = frame.loc[missing].groupby("rollout", sort=False)["dispatched_at_s"].rank(method="first")
        frame.loc[missing, "position"] = (rank - 1).astype("Int64")
    return frame


def complete_ends(nodes: pd.DataFrame, rollouts: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Say how far nodes are known: as stated, otherwise as far as their rollout is, which is at least to its last time."""
    if nodes.empty or nodes["watched_until_s"].notna().all():
        return nodes
    last = nodes.groupby("rollout", sort=False)[list(IN_ORDER)].max().max(axis=1)
    if len(windows):
        last = last.combine(windows.groupby("rollout", sort=False)["ended_s"].max(), np.fmax)
    stated = rollouts.set_index("rollout")
    known = stated["watched_until_s"].fillna(stated["ended_s"].combine(last, np.fmax))
    return nodes.assign(watched_until_s=nodes["watched_until_s"].fillna(nodes["rollout"].map(known)))


def without_repetitions(name: str, frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Leave out rows that were there before, and those that contradict each other: none of these is known to be right."""
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
    """Leave rows out, and say so of the file that each is of."""
    if not bad.any():
        return frame
    left_out = frame.loc[bad]
    for number in left_out[PART].unique().tolist():
        parts[number].drop(left_out.loc[left_out[PART] == number, ROW], reason)
    return frame[~bad].reset_index(drop=True)


def _is_own(frame: pd.DataFrame, parts: Sequence[Part]) -> np.ndarray:
    """Say which rows are of files that simdeploy wrote."""
    are_own: np.ndarray = np.array([part.is_own for part in parts], dtype=bool)[frame[PART].to_numpy(dtype=np.int64)]
    return are_own


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, earlier in enumerate(names):
        for later in names[number + 1 :]:
            yield earlier, later
