"""Finds the rollouts of windows that name none, by time and node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simdeploy.records.parts import ROW, Part
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd


def place(
    frame: pd.DataFrame,  # with columns `node` and `ended`
    part: Part,  # records what is dropped
    spans: pd.DataFrame,  # rollouts with a start and an end on record: `rollout`, `start`, `end`
    nodes: pd.DataFrame,  # their nodes, with times in seconds
) -> pd.DataFrame:
    """Return the windows of a part that are within a rollout, with its name and the version of the node."""
    import pandas as pd

    ended: np.ndarray = frame["ended"].to_numpy("datetime64[ns]")
    order = np.argsort(ended, kind="stable")
    firsts = np.searchsorted(ended[order], spans["start"].to_numpy("datetime64[ns]"), side="right")
    lasts = np.searchsorted(ended[order], spans["end"].to_numpy("datetime64[ns]"), side="right")
    matches = np.zeros(len(frame), dtype=np.int64)
    rollout = np.full(len(frame), "", dtype=object)
    node = frame["node"].to_numpy(dtype=object).copy()
    is_new = np.full(len(frame), np.nan)
    of_rollout = {str(name): members for name, members in nodes.groupby("rollout", sort=False)}
    for name, start, first, last in zip(spans["rollout"], spans["start"].to_numpy(), firsts, lasts, strict=True):
        rows = order[first:last]
        members = of_rollout.get(name)
        if members is not None:
            known = _match(frame["node"].iloc[rows], members)
            rows, known = rows[known >= 0], known[known >= 0]
            node[rows] = members["node"].to_numpy(dtype=object)[known]
            is_new[rows] = _find_versions((ended[rows] - start).astype(np.int64) / NS_PER_S, members.iloc[known])
        matches[rows] += 1
        rollout[rows] = name
    reasons = {
        "no rollout on record at its time, or not of this node": matches == 0,
        "several rollouts at its time": matches > 1,
    }
    for reason, bad in reasons.items():
        if bad.any():
            part.drop(frame.loc[bad, ROW], reason)
    columns = {
        "rollout": pd.array(rollout, dtype="str"),
        "node": pd.array(node, dtype="str"),
        "on_new_version": pd.arrays.BooleanArray(is_new == 1, np.isnan(is_new)),
    }
    placed: pd.DataFrame = frame.assign(**columns)[matches == 1]
    return placed


def _match(names: pd.Series, members: pd.DataFrame) -> np.ndarray:
    """Return the index of each name among a rollout's nodes, or -1; `host:9100` matches `host`."""
    import pandas as pd

    index = pd.Index(members["node"])
    exact = index.get_indexer(pd.Index(names))
    without_port = index.get_indexer(pd.Index(names.str.replace(r":[0-9]+$", "", regex=True)))
    matched: np.ndarray = np.where(exact >= 0, exact, without_port)
    return matched


def _find_versions(ended_s: np.ndarray, members: pd.DataFrame) -> np.ndarray:
    """Return which windows were on the new version: 1, or 0 before the node's dispatch; NaN if unknown."""
    times = ("dispatched_at_s", "started_at_s", "watched_until_s")
    dispatched, started, until = (members[column].to_numpy(np.float64) for column in times)
    is_new = (started < ended_s) & ~(ended_s > until)
    is_old = (ended_s <= dispatched) | np.isnan(dispatched)
    return np.where(is_new, 1.0, np.where(is_old, 0.0, np.nan))
