"""Tables of two policies of which the second takes the place of the first one during a rollout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simdeploy.engines.compiled.codes import BARRIER
from simdeploy.engines.compiled.lowering import Lowered

# What is kept of a rollout only where a policy needs it: from the start, if one of them does.
_KEPT_FOR_BOTH = ("has_more", "counts_each", "watches_zones")


def prepare_change(lowered: Lowered) -> Lowered:
    """Let both policies keep the same things, and make room for a plan whose first waves are those of the first one."""
    tables = dict(lowered.tables)
    policies, members = tables["policies"].copy(), tables["members"].copy()
    for name in _KEPT_FOR_BOTH:
        policies[name] = policies[name].any()
    members["stricter"], members["turn"] = -1, np.arange(len(members))
    if policies["pacing"][1] == BARRIER and not policies["is_list"][1]:
        room = int(policies["n_waves"].sum())
        policies["first_size"][1], policies["n_waves"][1] = len(tables["sizes"]), room
        for name in ("sizes", "bakes"):
            tables[name] = np.concatenate([tables[name], np.zeros(room, np.int64)])
    return replace(lowered, tables={**tables, "policies": policies, "members": members})
