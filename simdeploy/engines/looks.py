"""The visible state of a rollout at the end of an instant: its deployment object, and its nodes."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.recording import CONTROL_PLANE, History, Recording
from simdeploy.vocabulary import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence


# Stands for a missing time, and for the state of a failed replication.
NOT_THERE = -1
_TIMES_OF_NODES = ("dispatched_ns", "started_ns", "resolved_ns")
# The deployment object: `state` as its place in `STATES`, and times in nanoseconds after the start of the rollout. `awaited_nodes`, the
# number of unreachable nodes that the rollout waits for, is in its message (`NOT_THERE` if the rollout is over).
LOOK = np.dtype(
    [
        ("state", np.int8),
        ("current_wave", np.int32),
        ("updated_nodes", np.int32),
        ("failed_nodes", np.int32),
        ("canary_promoted", np.bool_),
        ("awaited_nodes", np.int32),
        ("completed_ns", np.int64),
        ("last_progress_ns", np.int64),
        ("health_check_deadline_ns", np.int64),
        ("healthy_deadline_ns", np.int64),
    ],
    align=True,
)
# A node: `status` as its place in `NODE_STATUSES`.
NODE_LOOK = np.dtype([("status", np.int8), *((name, np.int64) for name in _TIMES_OF_NODES)], align=True)


def look_at(history: History, looks_ns: Sequence[int]) -> np.ndarray:
    """Return a deployment at the end of some instants, a LOOK each."""
    times = history.times_ns
    looks = np.zeros(len(looks_ns), LOOK)
    for place, at_ns in enumerate(looks_ns):
        fields = history.fields(bisect_right(times, at_ns) - 1)._asdict()
        state = STATES.index(fields["state"])
        values = (fields[name] for name in LOOK.names or () if name != "state")
        looks[place] = (state, *(NOT_THERE if value is None else value for value in values))
    return looks


def look_at_nodes(recording: Recording, at_ns: int) -> np.ndarray:
    """Return all nodes at the end of an instant, a NODE_LOOK each."""
    nodes = np.zeros(len(recording.fates), NODE_LOOK)
    for name in _TIMES_OF_NODES:
        times = [getattr(fate, name) for fate in recording.fates]
        nodes[name] = [NOT_THERE if time is None or time > at_ns else time for time in times]
    changes = recording.transitions.columns
    last = int(np.searchsorted(changes.time_ns, at_ns, side="right"))
    for node, status in zip(changes.node[:last].tolist(), changes.to_status[:last].tolist(), strict=True):
        if node != CONTROL_PLANE:
            nodes["status"][node] = status
    return nodes
