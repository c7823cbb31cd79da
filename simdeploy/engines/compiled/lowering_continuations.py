"""Tables of worlds with several continuations: acts, looks, and policies that replace the first one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.lowering import Lowered, lower, lower_script
from simdeploy.engines.compiled.records import CONTINUATION_RECORD, make_table
from simdeploy.engines.compiled.tables import NEVER
from simdeploy.rules.deployment_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.engines.worlds import Continuation
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Data of a rollout that only some policies need: kept from the start if one of them does.
_KEPT_FOR_ALL = ("has_more", "counts_each", "watches_zones")


def lower_continuations(scenario: Scenario, policy: ScenarioPolicy, continuations: Sequence[Continuation]) -> Lowered:
    """Lower a scenario for one policy and the continuations of its worlds."""
    policies, records = [policy], []
    acts: list[tuple[int, int]] = []
    looks: list[int] = []
    n_node_looks = 0
    for place, continuation in enumerate(continuations):
        own_acts = lower_script((*scenario.operator.script, *continuation.script))
        stem, parts_at = continuation.find_stem(continuations[:place])
        records.append(
            {
                "first_act": len(acts),
                "last_act": len(acts) + len(own_acts),
                "first_look": len(looks),
                "last_look": len(looks) + len(continuation.looks_ns),
                "nodes_look_at": NEVER if continuation.nodes_at_ns is None else continuation.nodes_at_ns,
                "first_node_look": n_node_looks,
                "change_at": NEVER if continuation.change is None else continuation.change[0],
                "next_policy": 0 if continuation.change is None else len(policies),
                "stem": stem,
                "parts_at": parts_at,
                "ended": 0,
            }
        )
        acts += own_acts
        looks += continuation.looks_ns
        n_node_looks += 0 if continuation.nodes_at_ns is None else scenario.fleet.nodes
        policies += () if continuation.change is None else continuation.change[1:]
    lowered = lower(scenario.under(policy), policies, TYPES[policy.identity.type], may_bundle=False)
    tables = dict(lowered.tables)
    if len(policies) > 1:
        _prepare_changes(tables)
    scalars = {
        **lowered.scalars,
        "n_continuations": len(records),
        # Gates need the numbers of nodes before their turn.
        "draws_at_turns": scenario.fleet.order == "index" and all(each.policy.gate is None for each in policies),
        "n_looks": len(looks),
        "n_looked_at": n_node_looks,
        "n_acts": len(acts),
    }
    tables |= {
        "continuations": make_table(CONTINUATION_RECORD, records),
        "script": np.array(acts, dtype=np.int64),
        "look_times": np.array(looks, dtype=np.int64),
    }
    return replace(lowered, scalars=scalars, tables=tables)


def _prepare_changes(tables: dict[str, np.ndarray]) -> None:
    """Make all policies keep the same data, and make room for plans whose first waves are those of the first one."""
    policies = tables["policies"].copy()
    for name in _KEPT_FOR_ALL:
        policies[name] = policies[name].any()
    n_waves = policies["n_waves"].tolist()
    for place in range(1, len(policies)):
        if policies["pacing"][place] == BARRIER and not policies["is_list"][place]:
            room = n_waves[0] + n_waves[place]
            policies["first_size"][place], policies["n_waves"][place] = len(tables["sizes"]), room
            for name in ("sizes", "bakes"):
                tables[name] = np.concatenate([tables[name], np.zeros(room, np.int64)])
    tables["policies"] = policies
