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
    frame = _without_repetitions("nodes", frame, parts)
    checked = ~_is_own(frame, parts)
    early = (frame["dispatched_at_s"] < 0).to_numpy() & checked
    frame = _drop(frame, early, "dispatched before the start of its rollout", parts)
    for earlier, later in (*combinations(IN_ORDER, 2), (IN_ORDER[0], "watched_until_s")):
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


def complete_windows(frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Drop impossible rows, and fill in the error rates of windows whose requests and failures are known."""
    if frame.empty:
        return frame
    frame = _without_repetitions("windows", frame, parts)
    more = (frame["failed_requests"] > frame["requests"]).fillna(value=False).to_numpy(dtype=bool)
    frame = _drop(frame, more & ~_is_own(frame, parts), "more failed requests than requests", parts)
    requests, failed = (frame[name].to_numpy(np.float64, na_value=np.nan) for name in ("requests", "failed_requests"))
    rate = frame["error_rate"].to_numpy(np.float64)
    counted = np.divide(failed, requests, out=np.full(len(frame), np.nan), where=requests > 0)
    frame = frame.assign(error_rate=np.where(np.isnan(rate), counted, rate))
    # Rates may be rounded to whole percents, and counts to whole requests.
    differs = np.abs(rate * requests - failed) > 1 + 0.005 * requests
    return _drop(frame, differs & ~_is_own(frame, parts), "error_rate contradicts requests and failed_requests", parts)


def _without_repetitions(name: str, frame: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Drop repeated rows; combine rows of the same node or window, or drop all that contradict each other.

    It is unknown which of contradicting rows is right.
    """
    keys = list(_KEYS[name])
    is_checked = ~_is_own(frame, parts) & frame["node"].notna().to_numpy()
    if not (frame.duplicated(keys).to_numpy() & is_checked).any():
        return frame
    repeated = frame.duplicated(list(COLUMNS[name])).to_numpy() & is_checked
    frame = _drop(frame, repeated, "repeats an earlier row", parts)
    alike = frame.duplicated(keys, keep=False).to_numpy() & frame["node"].notna().to_numpy()
    if not alike.any():
        return frame
    is_checked = ~_is_own(frame, parts)
    groups = frame[alike].groupby(keys, sort=False, dropna=False)
    facts = [column for column in COLUMNS[name] if column not in keys]
    contradicts = alike & is_checked
    contradicts[alike] &= (groups[facts].transform("nunique") > 1).any(axis=1).to_numpy()
    # The first row of a group gets the cells that only later ones have. Parts that simdeploy wrote come first.
    frame.loc[alike, facts] = groups[facts].transform("first")
    later = alike & is_checked & frame.duplicated(keys).to_numpy()
    what = "node of a rollout" if name == "nodes" else "window of a node"
    frame = _drop(frame, contradicts, f"contradicts another row of the same {what}", parts)
    combined: pd.DataFrame = frame[~later[~contradicts]].reset_index(drop=True)
    return combined


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
