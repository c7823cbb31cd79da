"""A simulated rollout in the form of records of real ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.records.table import Records, make_table
from simdeploy.rules.health import read_health_rule
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from simdeploy.records.table import Act, Cause
    from simdeploy.scenario import Scenario, ScenarioPolicy

# By the reasons of the reference engine (`Rollout.nodes.failed_reason`).
_CAUSES: dict[str, Cause] = {
    "did not start": "did_not_start",
    "silent until the deadline": "silent",
    "deadline passed while starting": "silent",
    "unhealthy": "unhealthy",
    "not healthy by the deadline": "unhealthy",
    "its wave failed the gate": "gate",
}
# By the reasons of acts of the control plane (`Rollout.events.reason`).
_ACTS: dict[str, Act] = {
    "script: pause": "pause",
    "script: resume": "resume",
    "script: promote": "promote",
    "script: cancel": "cancel",
    "operator: promote": "promote",
    "operator: cancel": "cancel",
}


class Tables(NamedTuple):
    """Those of a rollout that say what was seen."""

    nodes: pd.DataFrame
    windows: pd.DataFrame
    events: pd.DataFrame


def record(
    name: str,
    scenario: Scenario,
    chosen: ScenarioPolicy,
    *,
    tables: Tables,
    responses: Mapping[str, Any],
    started_ns: int,
    end_s: float,
) -> Records:
    """Return what somebody who watched a rollout until `end_s` has on record."""
    import pandas as pd

    nodes, events = tables.nodes, tables.events
    kind = responses["release"] or None
    rule = read_health_rule(chosen.policy, scenario.orchestrator_of(chosen))
    rollouts = make_table(
        "rollouts",
        {
            "rollout": [name],
            "started_at": pd.to_datetime([started_ns], utc=True),
            "nodes": [len(nodes)],
            "policy": [_write_policy(scenario, chosen)],
            "interval_s": [rule.interval_ns / NS_PER_S],
            "deadline_s": [rule.deadline_ns / NS_PER_S if rule.is_checked else np.nan],
            "release": [kind],
            "defective": [next((each.defective for each in scenario.release if each.name == kind), None)],
            "state": [responses["state"]],
            "ended_s": [responses["makespan_s"]],
            "watched_until_s": [end_s],
        },
    )
    same = ("class", "position", "status", "attempts", "dispatched_at_s", "started_at_s", "resolved_at_s", "heard_at_s")
    of_nodes = make_table(
        "nodes",
        {
            "rollout": name,
            "node": nodes["name"],
            **{column: nodes[column] for column in same},
            "zone": nodes["zone"].astype("str"),
            "cause": nodes["failed_reason"].map(_CAUSES),
            "watched_until_s": nodes["rollback_started_at_s"].fillna(end_s),
        },
    )
    named = nodes["name"].to_numpy()[tables.windows["node"].to_numpy()]
    windows = make_table("windows", tables.windows.assign(rollout=name, node=named))
    done = events[events["node"].isna() & events["reason"].isin(_ACTS)]
    acts = make_table("acts", {"rollout": name, "time_s": done["time_s"], "act": done["reason"].map(_ACTS)})
    return Records(rollouts=rollouts, nodes=of_nodes, windows=windows, acts=acts)


def _write_policy(scenario: Scenario, chosen: ScenarioPolicy) -> str:
    """Return the policy with the switches it ran under, as a scenario file may state it."""
    spec, switches = chosen.spec, scenario.orchestrator_of(chosen).switches()
    return json.dumps({"dialect": spec.dialect, **spec.to_dict(), "orchestrator": switches})
