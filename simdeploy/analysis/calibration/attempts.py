"""Attempts to start, from the nodes' records: how many ended and failed, and how long they took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.result import make_frame
from simdeploy.statistics.censored import Durations

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.records import Records

from simdeploy.analysis.calibration.result import DROPPED

_RESOLUTION_S = 1e-9  # of recorded times
# Statuses of nodes that have started, even if no time is on record.
_STARTED = ("validating", "running")

# Why the time of a node's attempts can't be used.
_REASONS = (
    "was down at its turn: no attempt to start",
    "not watched after its dispatch: no duration of an attempt",
    "no time of the start: not used for durations",
    "started before its dispatch: the clocks differ; not used for durations",
    "started at its dispatch: no duration of an attempt",
    "was retried, which adds the time between tries; not used for durations",
)


@dataclass(frozen=True)
class Attempts:
    """Attempts to start, one row per dispatched node."""

    # `rollout` (its index), `class`, `attempts`, `failed`, `ended`, `silent` (numbers of attempts), `is_defective` (or
    # missing), `time_s`, `is_over` (whether the last attempt has ended), `limit_s` (how long the node was watched at
    # most), and `is_usable` (whether `time_s` is).
    frame: pd.DataFrame
    dropped: pd.DataFrame  # as in `Calibration`
    start_attempts: int | None  # attempts of each try; None if no node used them up
    are_counted: bool  # whether the records have numbers of attempts
    # Whether some nodes count as failed that may have been silent until a deadline that is not on record.
    are_deadlines_missing: bool

    def durations(self, chosen: np.ndarray) -> Durations:
        """Return the usable durations of some rows."""
        rows = self.frame[chosen & self.frame["is_usable"].to_numpy()]
        columns = (rows[name].to_numpy() for name in ("rollout", "time_s", "attempts", "is_over"))
        return Durations(*columns)


def read_attempts(records: Records) -> Attempts:
    """Return the attempts of all nodes that were dispatched."""
    import pandas as pd

    nodes, rollouts = records.nodes, records.rollouts
    place = pd.Series(np.arange(len(rollouts)), index=rollouts["rollout"])
    place = place[~place.index.duplicated()]
    nodes = nodes[nodes["dispatched_at_s"].notna() & nodes["rollout"].isin(place.index)]
    of = place.loc[nodes["rollout"]].to_numpy()
    dispatched = nodes["dispatched_at_s"].to_numpy()
    started, resolved = nodes["started_at_s"].to_numpy(), nodes["resolved_at_s"].to_numpy()
    deadline = rollouts["deadline_s"].to_numpy()[of]
    watched = nodes["watched_until_s"].fillna(pd.Series(rollouts["watched_until_s"].to_numpy()[of], index=nodes.index))
    attempts = nodes["attempts"].astype("float64").to_numpy()
    are_counted = bool(np.isfinite(attempts).any())
    attempts = np.nan_to_num(attempts, nan=1.0)
    has_started = ~np.isnan(started) | nodes["status"].isin(_STARTED) | nodes["cause"].isin(("unhealthy", "gate"))
    has_started = has_started.to_numpy()
    cause = _find_causes(nodes, has_started, resolved - dispatched, deadline)
    is_inferred = nodes["cause"].isna().to_numpy() & pd.notna(cause)
    # If no start has a time, a failed node without one may have started.
    n_rollouts = len(rollouts)
    is_without = np.bincount(of, has_started, n_rollouts) > 0
    is_without &= np.bincount(of, ~np.isnan(started), n_rollouts) == 0
    is_open = is_inferred & is_without[of]
    cause[is_open] = None
    gave_up, is_silent = cause == "did_not_start", cause == "silent"
    is_over = has_started | gave_up
    ended = np.maximum(attempts - ~is_over, 0)
    ended[np.bincount(of, is_open, n_rollouts)[of] > 0] = 0
    end = np.where(has_started, started, np.where(gave_up | is_silent, resolved, watched.to_numpy()))
    time_s = np.where(is_open, np.nan, end - dispatched)
    limit, per_try = _count_attempts(rollouts, of, attempts, gave_up)
    is_refused = (
        attempts < 1,
        ~is_over & ~is_silent & ~is_open & ~(time_s > 0),
        np.isnan(time_s),
        time_s < 0,
        time_s == 0,
        attempts > per_try,
    )
    reasons = np.select(is_refused, range(len(_REASONS)), default=-1)
    frame = pd.DataFrame(
        {
            "rollout": of,
            "class": nodes["class"].fillna("").astype("str").to_numpy(),
            "attempts": attempts.astype(int),
            "failed": np.maximum(ended - has_started, 0).astype(int),
            "ended": ended.astype(int),
            "silent": (is_silent & (attempts >= 1)).astype(int),
            "is_defective": rollouts["defective"].to_numpy()[of],
            "time_s": time_s,
            "is_over": is_over,
            "limit_s": np.nan_to_num(np.fmin(deadline, watched.to_numpy() - dispatched), nan=np.inf),
            "is_usable": reasons < 0,
        }
    )
    counts = np.bincount(reasons[reasons >= 0], minlength=len(_REASONS))
    dropped = [
        {"file": None, "line": None, "rows": rows, "reason": reason}
        for reason, rows in zip(_REASONS, counts.tolist(), strict=True)
        if rows
    ]
    are_deadlines_missing = bool((is_inferred & gave_up & np.isnan(deadline)).any())
    return Attempts(frame, make_frame(dropped, DROPPED), limit, are_counted, are_deadlines_missing)


def _find_causes(
    nodes: pd.DataFrame, has_started: np.ndarray, took_s: np.ndarray, deadline_s: np.ndarray
) -> np.ndarray:
    """Return why nodes failed: as recorded, or else inferred from their times."""
    cause: np.ndarray = nodes["cause"].astype("object").to_numpy().copy()
    has_failed = nodes["status"].eq("failed").to_numpy() | ~np.isnan(took_s)
    is_unknown = nodes["cause"].isna().to_numpy() & ~has_started & has_failed
    is_late = took_s >= deadline_s - _RESOLUTION_S
    cause[is_unknown & is_late] = "silent"
    cause[is_unknown & ~is_late] = "did_not_start"
    return cause


def _count_attempts(
    rollouts: pd.DataFrame, of: np.ndarray, attempts: np.ndarray, gave_up: np.ndarray
) -> tuple[int | None, np.ndarray]:
    """Return the attempts of a try, if known, and the number of attempts above which each node was retried."""
    retries = np.array([_read_policy(text).get("retries", 0) for text in rollouts["policy"]], dtype=float)
    tries = 1 + np.nan_to_num(retries)[of]
    shown = attempts[gave_up] / tries[gave_up]
    limit = int(np.ceil(shown.max())) if len(shown) else None
    return limit, np.where(tries > 1, 1.0 if limit is None else limit, np.inf)


def _read_policy(text: Any) -> dict[str, Any]:
    try:
        policy = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return policy if isinstance(policy, dict) and isinstance(policy.get("retries", 0), int) else {}
