"""One form for the records of many rollouts, whatever their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

# Why a node failed: every attempt to start failed; it was silent, or still starting, at its deadline; it started but wasn't
# healthy; its wave failed a gate.
Cause = Literal["did_not_start", "silent", "unhealthy", "gate"]
CAUSES: tuple[str, ...] = get_args(Cause)

Act = Literal["pause", "resume", "promote", "cancel"]
ACTS: tuple[str, ...] = get_args(Act)

_TIME = "datetime64[ns, UTC]"

# The columns of each table with their types. Unknown values are missing. Times `_s` are seconds after the start of the rollout.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "rollouts": {
        "rollout": "str",
        "started_at": _TIME,
        "nodes": "Int64",  # of the fleet
        "type": "str",  # of the deployment: update (the default), create, restart, rollback, stop
        "policy": "str",  # its spec as JSON, with its dialect
        "interval_s": "float64",  # of health windows
        "deadline_s": "float64",  # of a node's health check
        "release": "str",  # kind
        "defective": "boolean",
        "state": "str",  # how it ended: completed, failed, canceled
        "ended_s": "float64",
        "watched_until_s": "float64",  # end of the record
    },
    "nodes": {
        "rollout": "str",
        "node": "str",
        "class": "str",
        "zone": "str",
        "position": "Int64",  # in the order of dispatch, from 0
        "status": "str",  # of the node at the end of the record
        "cause": "str",  # one of CAUSES, of a node that failed
        "attempts": "Int64",  # to start
        "dispatched_at_s": "float64",
        "started_at_s": "float64",
        "resolved_at_s": "float64",  # its own verdict: running or failed
        "heard_at_s": "float64",
        "watched_until_s": "float64",  # until when an unresolved node is known: its rollback, or the end of the record
    },
    "windows": {
        "rollout": "str",
        "node": "str",
        "ended_s": "float64",
        "requests": "Int64",
        "failed_requests": "Int64",
        "error_rate": "float64",  # without the others if requests weren't counted
        "healthy": "boolean",
        "up": "boolean",
        "on_new_version": "boolean",
    },
    "counts": {
        "rollout": "str",
        "time_s": "float64",
        "state": "str",  # of the rollout
        "updated_nodes": "Int64",
        "failed_nodes": "Int64",
    },
    "outages": {
        "node": "str",
        "zone": "str",
        "from": _TIME,
        "to": _TIME,
        "watched_from": _TIME,
        "watched_until": _TIME,
    },
    "acts": {"rollout": "str", "time_s": "float64", "act": "str"},  # of people; one of ACTS
    "dropped": {"file": "str", "line": "Int64", "rows": "int64", "reason": "str"},
}


def make_table(name: str, columns: Mapping[str, object] | pd.DataFrame) -> pd.DataFrame:
    """Return a table of records with exactly its columns, in order and with their types; values of columns not given are missing."""
    import pandas as pd

    if isinstance(columns, dict) and not columns:
        return _make_empty_table(name).copy()
    dtypes = COLUMNS[name]
    frame = pd.DataFrame(columns, columns=list(dtypes)).reset_index(drop=True)
    if not len(frame):
        return _make_empty_table(name).copy()
    # A year of rollouts has thousands of tables, and pandas is slow to find out that a type is already right, or to change
    # some columns at once.
    for column, dtype in frame.dtypes.items():
        if str(dtype) != dtypes[str(column)]:
            frame[column] = frame[column].astype(pd.api.types.pandas_dtype(dtypes[str(column)]))
    return frame


@cache
def _make_empty_table(name: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=list(COLUMNS[name])).astype(dict(COLUMNS[name]))


@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """Records of rollouts, and of the fleet between them.

    Made by `read_records` or `Rollout.to_records`. Every table has all its columns; unknown values are missing.

    Attributes
    ----------
    rollouts : DataFrame
        One row per rollout: its start, the size of the fleet, policy, kind of release, and how it ended.
    nodes : DataFrame
        One row per rollout and node that it dispatched, or would have dispatched.
    windows : DataFrame
        One row per health window.
    outages : DataFrame
        One row per outage of a node or a zone, or per node or zone that had none while it was watched (no `from`).
    counts : DataFrame
        Counts of nodes over time, from a control plane that doesn't show individual nodes; empty for simulated rollouts, which have
        `nodes`.
    acts : DataFrame
        What people did: pause, resume, promote, cancel.
    dropped : DataFrame
        What was left out, and why: file, first line, number of rows, reason.

    Examples
    --------
    >>> import simdeploy
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "two nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> rollouts = [simdeploy.simulate(scenario, replication=number).to_records(str(number)) for number in range(2)]
    >>> records = simdeploy.Records.join(rollouts)
    >>> records
    <Records: 2 rollouts, 4 nodes, 0 windows>
    >>> records.rollouts[["rollout", "nodes", "state", "ended_s"]]
      rollout  nodes      state  ended_s
    0       0      2  completed     60.0
    1       1      2  completed     60.0
    """

    rollouts: pd.DataFrame = field(default_factory=lambda: make_table("rollouts", {}))
    nodes: pd.DataFrame = field(default_factory=lambda: make_table("nodes", {}))
    windows: pd.DataFrame = field(default_factory=lambda: make_table("windows", {}))
    outages: pd.DataFrame = field(default_factory=lambda: make_table("outages", {}))
    counts: pd.DataFrame = field(default_factory=lambda: make_table("counts", {}))
    acts: pd.DataFrame = field(default_factory=lambda: make_table("acts", {}))
    dropped: pd.DataFrame = field(default_factory=lambda: make_table("dropped", {}))

    @classmethod
    def join(cls, several: Iterable[Records]) -> Records:
        """Concatenate the records of several sources."""
        import pandas as pd

        given = list(several)
        if not given:
            return cls()
        names = [each.name for each in fields(cls)]
        return cls(**{name: pd.concat([getattr(each, name) for each in given], ignore_index=True) for name in names})

    def __repr__(self) -> str:
        return f"<Records: {len(self.rollouts):,} rollouts, {len(self.nodes):,} nodes, {len(self.windows):,} windows>"
