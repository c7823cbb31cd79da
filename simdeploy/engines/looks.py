"""The visible state of a rollout at the end of an instant: its deployment object, and its nodes."""

from __future__ import annotations

import re
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
# The deployment object: `state` as its place in `STATES`, and times in nanoseconds after the start of the rollout. `awaited_nodes` is
# the number of unreachable nodes that the rollout waits for, which is in the message (`NOT_THERE` if the rollout is over).
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
# How messages of rollouts under way begin (`Pacing.describe` of the reference engine).
_UNDER_WAY = re.compile(
    r"nothing dispatched yet|(?:bak(?:ing|ed) after )?wave \d+ of (\d+)|canaries await promotion|wave \d+ awaits promotion"
)
_AWAITS = re.compile(r"waits for ([0-9]{1,9}|[0-9]{1,3}(,[0-9]{3}){1,2}) unreachable nodes?")


def read_awaited(message: str, n_waves: int | None = None) -> int | None:
    """Return how many unreachable nodes a rollout waits for by its message; None if the message doesn't say.

    A message that describes the progress of a rollout says that it waits for none if it names none. One that counts other
    waves than `n_waves` is of another plan, and says nothing.

    Examples
    --------
    >>> read_awaited("wave 2 of 3; waits for 2 unreachable nodes"), read_awaited("wave 2 of 3"), read_awaited("all is well")
    (2, 0, None)
    >>> read_awaited("wave 2 of 9", 3)
    """
    parts = message.split("; ")
    under_way = _UNDER_WAY.fullmatch(parts[0])
    if n_waves is not None and under_way and under_way[1] not in (None, str(n_waves)):
        return None
    awaits = next(filter(None, map(_AWAITS.fullmatch, parts)), None)
    if awaits is not None:
        return int(awaits[1].replace(",", ""))
    return 0 if under_way else None


def look_at(history: History, looks_ns: Sequence[int]) -> np.ndarray:
    """Return a deployment at the end of some instants, a LOOK each."""
    times = history.times_ns
    looks = np.zeros(len(looks_ns), LOOK)
    for place, at_ns in enumerate(looks_ns):
        fields = history.fields(bisect_right(times, at_ns) - 1)._asdict()
        state = STATES.index(fields["state"])
        fields["awaited_nodes"] = read_awaited(fields["message"])
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
