"""The responses of one replication: model section 5, one function."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines.service import Service
from simdeploy.units import NS_PER_S
from simdeploy.vocabulary import RESPONSES, WEIGHT

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.world.realized import World


def compute_responses(
    recording: Recording,
    service: Service | None = None,  # of the same recording, if it exists already
) -> dict[str, Any]:
    """Compute every response, in the order of `vocabulary.RESPONSES`.

    Unknown is NaN; the release is empty where there is none. Under a tilt there is a `weight`, too.
    """
    service = service or Service(recording)
    world, total = recording.world, recording.world.n_nodes
    makespan, horizon = recording.makespan_ns, recording.horizon_ns
    is_known = horizon is not None
    decided = _decided(recording)
    was_stopped = recording.state in ("failed", "canceled")

    _, exposed = service.exposed.count_changes(service.end_ns)
    peak = int(exposed.max(initial=0))
    values: dict[str, Any] = dict.fromkeys(RESPONSES, math.nan) | {
        "state": recording.state,
        "release": world.release.name if world.release else "",
        "verdict": _verdict(recording),
        "makespan_s": _seconds(makespan),
        "stopped_at_s": _seconds(makespan) if was_stopped else math.nan,
        "restored_at_s": _seconds(recording.restored_ns),
        "waves": recording.waves,
        "updated_nodes": recording.updated_nodes,
        "failed_nodes": recording.failed_nodes,
        "touched_nodes": service.touched_nodes,
        "peak_exposed_nodes": peak,
        "blast_radius": peak / total,
        "decision_windows": int(np.count_nonzero(decided)),
        "decision_requests": _decision_requests(recording, decided),
    }
    if is_known:
        _, out = service.out_of_service.count_changes(service.end_ns)
        unavailable = service.out_of_service.total_s(service.end_ns) + service.down_after.total_s()
        anyway = service.down_anyway.total_s(service.end_ns) + service.down_after_anyway.total_s()
        values["exposed_node_s"] = service.exposed.total_s(service.end_ns)
        values["defective_node_s"] = service.defective.total_s(service.end_ns)
        values["failed_requests_excess"] = service.added_failures()
        values["unavailable_node_s"] = unavailable
        values["min_in_service_fraction"] = 1 - int(out.max(initial=0)) / total
        values["unavailable_excess_node_s"] = unavailable - anyway
        values["unrestored_nodes"] = float(service.unrestored_nodes)
        values |= _compute_requests(world, service)
    if recording.weight is not None:
        values[WEIGHT] = recording.weight
    return values


def _compute_requests(world: World, service: Service) -> dict[str, float]:
    """Compute the requests that were not served: lost in a local service, shed in a shared one."""
    requests = service.requests
    if world.service is None:
        end_ns = service.end_ns
        lost = requests.lost_within(service.out_of_service.clipped(0, end_ns))
        lost_anyway = requests.lost_within(service.down_anyway.clipped(0, end_ns))
        lost += requests.lost_within(service.down_after)
        lost_anyway += requests.lost_within(service.down_after_anyway)
        return {
            "lost_requests": lost,
            "lost_requests_excess": lost - lost_anyway,
            "shed_requests": 0.0,
            "shed_requests_excess": 0.0,
        }
    shed = sum(pool.shed for pool in requests.pools)
    shed_anyway = sum(pool.shed for pool in service.requests_anyway.pools)
    lowest = min(pool.lowest_ratio for pool in requests.pools)
    return {
        "lost_requests": 0.0,
        "lost_requests_excess": 0.0,
        "shed_requests": shed,
        "shed_requests_excess": shed - shed_anyway,
        "min_capacity_ratio": lowest if lowest < math.inf else math.nan,
    }


def _verdict(recording: Recording) -> str | float:
    release = recording.world.release
    if release is None or recording.state not in ("completed", "failed", "canceled"):
        return math.nan
    if recording.state == "completed":
        return "escaped" if release.defective else "completed_good"
    return "stopped_defective" if release.defective else "false_alarm"


def _decided(recording: Recording) -> np.ndarray:
    """Return for each window whether it ended by the makespan."""
    ends = recording.windows.end_ns
    return np.full(len(ends), True) if recording.makespan_ns is None else ends <= recording.makespan_ns


def _decision_requests(recording: Recording, decided: np.ndarray) -> int:
    """Count the requests behind verdicts: those of windows that ended by the makespan, or those that gates examined."""
    if recording.gate_requests is not None:
        return recording.gate_requests
    return int(recording.windows.requests[decided].sum())


def _seconds(time_ns: int | None) -> float:
    return math.nan if time_ns is None else time_ns / NS_PER_S
