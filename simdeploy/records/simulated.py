"""Converts the tables of a simulated rollout to records: from memory, and from the files of `Rollout.write`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.api.times import parse_time
from simdeploy.records.table import Act, Cause, Records, make_table

if TYPE_CHECKING:
    import pandas as pd


# Causes by the reasons of the reference engine (`Rollout.nodes.failed_reason`).
_CAUSES: dict[str, Cause] = {
    "did not start": "did_not_start",
    "silent until the deadline": "silent",
    "deadline passed while starting": "silent",
    "unhealthy": "unhealthy",
    "not healthy by the deadline": "unhealthy",
    "its wave failed the gate": "gate",
}
# Acts by the reasons of the control plane's events (`Rollout.events.reason`).
_ACTS: dict[str, Act] = {
    "script: pause": "pause",
    "script: resume": "resume",
    "script: promote": "promote",
    "script: cancel": "cancel",
    "operator: promote": "promote",
    "operator: cancel": "cancel",
}
_SHARED_COLUMNS = (
    "class",
    "position",
    "status",
    "attempts",
    "dispatched_at_s",
    "started_at_s",
    "resolved_at_s",
    "heard_at_s",
)


class Tables(NamedTuple):
    """The tables of a rollout that an observer could see."""

    nodes: pd.DataFrame
    windows: pd.DataFrame
    events: pd.DataFrame


def make_records(
    name: str,  # of the rollout
    # Facts about the whole rollout, as in `rollout.json`: the columns of `Records.rollouts` except its name, with the
    # policy as plain values.
    facts: Mapping[str, Any],
    tables: Tables,  # with the columns of `Rollout`
) -> Records:
    """Return the records of somebody who observed a rollout."""
    import pandas as pd

    nodes, windows, events = tables
    started_ns = parse_time(facts["started_at"])
    row = {
        "rollout": name,
        **facts,
        # Years outside the range of 64-bit nanoseconds are dropped.
        "started_at": pd.Timestamp(started_ns, tz="UTC") if abs(started_ns) < 1 << 63 else pd.NaT,
        "policy": json.dumps(facts["policy"]),
    }
    rollouts = make_table("rollouts", {column: [value] for column, value in row.items()})
    of_nodes = make_table(
        "nodes",
        {
            "rollout": name,
            "node": nodes["name"],
            **{column: nodes[column] for column in _SHARED_COLUMNS},
            "zone": nodes["zone"].astype("str"),
            "cause": nodes["failed_reason"].map(_CAUSES),
            "watched_until_s": nodes["rollback_started_at_s"].fillna(facts["watched_until_s"]),
        },
    )
    names = nodes["name"].to_numpy()[windows["node"].to_numpy()]
    done = events[events["node"].isna() & events["reason"].isin(_ACTS)]
    return Records(
        rollouts=rollouts,
        nodes=of_nodes,
        windows=make_table("windows", windows.assign(rollout=name, node=names)),
        acts=make_table("acts", {"rollout": name, "time_s": done["time_s"], "act": done["reason"].map(_ACTS)}),
    )
