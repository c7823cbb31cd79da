"""The least and the greatest value of each response over all fates that a record allows.

Everything is known up to the first instant at which a node does something that is not on record. Beyond it the rollout is replayed
with extreme fates: unknown nodes fail at once, run at once, or run at their deadlines. Whatever they would have done, limits on failed
nodes are crossed no earlier than if all had failed at once, and waves follow each other no later than if all ran at their deadlines.
Where that doesn't hold, the bounds are those of any rollout with the same beginning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.engines.intervals import FOREVER, Intervals
from simdeploy.engines.replay import KnownRollout, Replay, find_longest_move, replay
from simdeploy.units import NS_PER_S

if TYPE_CHECKING:
    from simdeploy.engines.recording import NodeFate, Recording
    from simdeploy.engines.replay.knowing import RunBy

RESPONSES = (
    "stopped",
    "completed",
    "makespan_s",
    "touched_nodes",
    "updated_nodes",
    "failed_nodes",
    "blast_radius",
    "exposed_node_s",
)
_STOPPED = ("failed", "canceled")


class Bounds(NamedTuple):
    """Bounds of a response; known if they are equal."""

    low: float
    high: float


@dataclass(frozen=True)
class Bounded:
    """A rollout under a policy."""

    bounds: dict[str, Bounds]  # by response
    moved_s: float  # the furthest that a dispatch moved
    recording: Recording  # of the rollout, as far as it is known
    unknown_ns: int | None  # from when on it is unknown; None if everything is known


def bound_rollout(known: KnownRollout, run_by: RunBy) -> Bounded:
    """Return the bounds of each response of a recorded rollout under a policy."""
    policy, orchestrator = run_by
    first = replay(known, policy, orchestrator, "fails")
    if first.unknown_ns is None:
        values = measure(first.recording)
        bounds = {name: Bounds(value, value) for name, value in values.items()}
        return Bounded(bounds, find_longest_move(known, first.recording) / NS_PER_S, first.recording, None)
    moved = find_longest_move(known, first.recording, first.unknown_ns)
    wide = _bound_widely(known, run_by, first)
    if not first.asks_people and _is_monotone(known, run_by):
        runs = first, replay(known, policy, orchestrator, "late"), replay(known, policy, orchestrator, "runs")
        if not any(run.asks_people for run in runs):
            wide = _bound_narrowly(known, run_by, wide, *runs)
            moved = max(find_longest_move(known, run.recording) for run in runs)
    return Bounded(wide, moved / NS_PER_S, first.recording, first.unknown_ns)


def measure(recording: Recording) -> dict[str, float]:
    """Return the responses of a rollout, up to its end; infinite where it has none.

    Exposure is counted up to the end, because nothing is on record of the time after it.
    """
    end = recording.makespan_ns
    peak, exposed_s = count_exposed(recording.fates, end)
    return {
        "stopped": float(recording.state in _STOPPED),
        "completed": float(recording.state == "completed"),
        "makespan_s": math.inf if end is None else end / NS_PER_S,
        "touched_nodes": float(sum(fate.dispatched_ns is not None for fate in recording.fates)),
        "updated_nodes": float(recording.updated_nodes),
        "failed_nodes": float(recording.failed_nodes),
        "blast_radius": peak / len(recording.fates),
        "exposed_node_s": exposed_s,
    }


def count_exposed(fates: list[NodeFate], end_ns: int | None, *, is_known: bool = True) -> tuple[int, float]:
    """Return the most nodes exposed at once up to a time (before it unless that instant is known), and node-seconds of exposure."""
    start = np.array([FOREVER if fate.started_ns is None else fate.started_ns for fate in fates], dtype=np.int64)
    back = np.array([FOREVER if fate.back_from_ns is None else fate.back_from_ns for fate in fates], dtype=np.int64)
    exposed = Intervals(np.arange(len(fates)), start, np.where(start < FOREVER, back, FOREVER)).clipped(0, FOREVER)
    until = FOREVER - 1 if end_ns is None else end_ns
    _, counts = exposed.count_changes(until if is_known else until - 1)
    if end_ns is None and bool((exposed.end >= FOREVER).any()):
        return int(counts.max(initial=0)), math.inf
    return int(counts.max(initial=0)), exposed.total_s(until)


def _may_start(known: KnownRollout, run_by: RunBy, first: int) -> int:
    """Count the nodes among the first ones that may start, as far as known."""
    if run_by.policy.retries:
        return first
    never = sum(
        node.dispatched_ns is not None and node.start in ("failed", "hangs") and not node.outages
        for node in known.nodes[:first]
    )
    return first - never


def _bound_widely(known: KnownRollout, run_by: RunBy, run: Replay) -> dict[str, Bounds]:
    """Return the bounds over all rollouts that begin like this one, up to the first unknown instant."""
    fates, at, total = run.recording.fates, run.unknown_ns or 0, len(known.nodes)
    counted = [fate for fate in fates if fate.counted_ns is not None and fate.counted_ns < at]
    touched = sum(fate.dispatched_ns is not None and fate.dispatched_ns < at for fate in fates)
    failed = sum(fate.ever_failed for fate in counted)
    updated = len(counted) - failed
    peak, exposed_s = count_exposed(fates, at, is_known=False)
    may_start = _may_start(known, run_by, total)
    return {
        "stopped": Bounds(0.0, 1.0),
        "completed": Bounds(0.0, 1.0),
        "makespan_s": Bounds(at / NS_PER_S, math.inf),
        "touched_nodes": Bounds(float(touched), float(total)),
        "updated_nodes": Bounds(float(updated), float(total - failed)),
        "failed_nodes": Bounds(float(failed), float(total - updated)),
        "blast_radius": Bounds(peak / total, max(may_start, peak) / total),
        "exposed_node_s": Bounds(exposed_s, math.inf),
    }


def _is_monotone(known: KnownRollout, run_by: RunBy) -> bool:
    """Return whether more failures or slower nodes never delay a stop, and never make a rollout end earlier without one."""
    policy, orchestrator = run_by
    # Acts are replayed at their recorded times under the same policy, but relative to the canaries under another one.
    is_same = policy == known.policy and orchestrator == known.orchestrator
    return (
        only_limits_stop(run_by)
        and orchestrator.failed_percent_of != "resolved"
        and not (orchestrator.unreachable_nodes == "skip" and orchestrator.minimum_sample)
        and all(act.do == "promote" and not is_same for act in known.acts)
        and not any(node.outages or node.down_at_turn_ns is not None for node in known.nodes)
    )


def only_limits_stop(run_by: RunBy) -> bool:
    """Return whether nothing but limits of failed nodes can stop or pause a rollout, and failures have no other effect."""
    policy, orchestrator = run_by
    return (
        not (policy.gate is not None and policy.gate.kind != "threshold")
        and policy.progress_deadline_ns is None
        and policy.rollout_deadline_ns is None
        and orchestrator.on_failure != "pause"
        and orchestrator.lost_waves != "fail"
        and not orchestrator.failed_node_freezes
        and not orchestrator.failed_node_holds_slot
        and not orchestrator.failed_tries_count
        and orchestrator.failures_counted == "cumulative"
    )


def _bound_narrowly(
    known: KnownRollout, run_by: RunBy, wide: dict[str, Bounds], fails: Replay, late: Replay, runs: Replay
) -> dict[str, Bounds]:
    """Return the bounds from replays with the extreme fates."""
    policy, orchestrator = run_by
    total, at_s = len(known.nodes), wide["makespan_s"].low
    all_fail, all_late, all_run = (measure(run.recording) for run in (fails, late, runs))
    stopped = Bounds(all_run["stopped"], all_fail["stopped"])
    unseen = sum(node.dispatched_ns is None for node in known.nodes)
    may_wait = orchestrator.unreachable_nodes == "wait" and unseen > 0
    makespan = Bounds(all_fail["makespan_s"], all_late["makespan_s"])
    bounds = wide | {
        "stopped": stopped,
        "completed": Bounds(0.0 if may_wait else 1 - stopped.high, 1 - stopped.low),
        "makespan_s": makespan,
    }
    has_fixed_waves = orchestrator.pacing == "barrier" and not policy.waves and not orchestrator.reporting_delay_ns
    is_barrier = has_fixed_waves and policy.max_parallel_per_zone == 0
    if stopped.high == 0:
        bounds |= {
            "touched_nodes": Bounds(float(total - unseen), float(total)),
            "failed_nodes": Bounds(all_run["failed_nodes"], all_fail["failed_nodes"]),
            "updated_nodes": Bounds(all_fail["updated_nodes"], all_run["updated_nodes"]),
        }
    elif is_barrier or policy.strategy == "immediate":
        first = known.nodes[: int(all_fail["touched_nodes"])]
        fewest = max(float(sum(node.dispatched_ns is not None for node in first)), wide["touched_nodes"].low)
        bounds["touched_nodes"] = Bounds(fewest, all_run["touched_nodes"])
    goes_back = orchestrator.node_local_rollback
    peak = wide["blast_radius"].low
    if stopped.high == 0 and not goes_back:
        peak = max(peak, sum(fate.started_ns is not None for fate in fails.recording.fates) / total)
    highest = max(_may_start(known, run_by, int(bounds["touched_nodes"].high)) / total, peak)
    bounds["blast_radius"] = Bounds(peak, highest)
    exposed_s = wide["exposed_node_s"].low
    at = fails.unknown_ns or 0
    # Nodes exposed just before that remain exposed unless they are rolled back.
    fates = () if goes_back else fails.recording.fates
    exposed = sum(fate.started_ns is not None and fate.started_ns < at for fate in fates)
    bounds["exposed_node_s"] = Bounds(
        exposed_s + exposed * max(makespan.low - at_s, 0.0),
        exposed_s + (highest * total * (makespan.high - at_s) if highest else 0.0) + 1e-9 * total,
    )
    return bounds
