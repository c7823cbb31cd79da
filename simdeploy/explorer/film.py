"""One rollout as values to step through: the states of its nodes, counters and events."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines import Rollout, simulate
from simdeploy.engines.fleet_map import SHOWN, Cells, FleetMap, choose, make_cells
from simdeploy.report.formatting import time_scale
from simdeploy.report.rollout import say_end
from simdeploy.report.story import tell
from simdeploy.rules.health import judges_waves, read_max_error_rate
from simdeploy.rules.limits import NO_COUNT, read_limits

if TYPE_CHECKING:
    from simdeploy.explorer.position import Place

_N_INSTANTS = 160  # evenly spaced, in addition to those of events
_MOST_CELLS = 500
_MOST_WAVES = 30
_MOST_LINES = 120
_COUNTERS = ("in_service", "exposed")


def make_film(place: Place, replication: int, kind: str | None, seed: int) -> dict[str, Any]:
    """Return a rollout at a position as JSON values; `kind` is that of the release, by default drawn at random.

    Nodes are grouped into cells. Each has a list of changes: pairs of an instant's index and the index of its new state.
    """
    rollout = simulate(place.scenario.given(kind), place.policy, seed=seed, replication=replication)
    lines = tell(rollout, most_waves=_MOST_WAVES)
    lines = lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 20], *lines[-20:]]
    end_s = float(max(rollout.timeline["time_s"].iloc[-1], rollout.events["time_s"].iloc[-1]))
    times_s = np.unique([*np.linspace(0, end_s, _N_INSTANTS), *(line.time_s for line in lines)])
    cells = make_cells(rollout.nodes, _MOST_CELLS, by_zone=False)
    counts = FleetMap(rollout).count(cells, times_s)
    totals = counts.sum(axis=1)
    met = np.flatnonzero(totals.any(axis=0)).tolist()
    # A rollout that updates nothing has no verdict.
    responses = {name: None if value != value else value for name, value in rollout.response_values.items()}
    return {
        "replication": replication,
        "kind": responses["release"],
        "headline": f"{say_end(rollout.response_values)}.",
        "verdict": responses["verdict"],
        "state": responses["state"],
        "end_s": end_s,
        "scale": time_scale(end_s)._asdict(),
        "times_s": times_s.tolist(),
        "statuses": {SHOWN[number]: totals[:, number].tolist() for number in met},
        "shown": list(SHOWN),
        "cells": _find_changes(choose(counts)),
        "nodes_per_cell": int(cells.n_nodes.max()),
        "counters": _read_counters(rollout, times_s),
        "limits": _read_limits(rollout),
        "lines": [{"time_s": line.time_s, "text": line.text} for line in lines],
        "waves": _find_waves(cells),
    }


def _find_changes(shown: np.ndarray) -> list[list[list[int]]]:
    """Return the changes of each cell, given its state at each instant."""
    changes: list[list[list[int]]] = []
    for cell in shown.T:
        at = np.flatnonzero(np.diff(cell, prepend=-1))
        changes.append(np.stack([at, cell[at]], axis=1).tolist())
    return changes


def _find_waves(cells: Cells) -> list[int]:
    """Return the first cell of each wave, or of each group of waves."""
    starts: list[int] = np.flatnonzero(np.diff(cells.group, prepend=-1)).tolist()
    return starts


def _read_counters(rollout: Rollout, times_s: np.ndarray) -> dict[str, list[float | None]]:
    """Return for each instant the nodes in service, exposed, updated and failed, and the error rate of the new version."""
    timeline = rollout.timeline
    row = np.maximum(np.searchsorted(timeline["time_s"], times_s, side="right") - 1, 0)
    counters: dict[str, Any] = {name: timeline[name].to_numpy()[row].tolist() for name in _COUNTERS}
    counters["error_rate_new"] = [None if math.isnan(v) else v for v in timeline["error_rate_new"].to_numpy()[row]]
    revisions = rollout.revisions
    revisions = revisions[revisions["deployment"].eq(rollout.policy.identity.id)]
    row = np.maximum(np.searchsorted(revisions["time_s"], times_s, side="right") - 1, 0)
    for name, column in (("updated", "updated_nodes"), ("failed", "failed_nodes"), ("wave", "current_wave")):
        counters[name] = revisions[column].to_numpy()[row].tolist()
    counters["state"] = revisions["state"].to_numpy()[row].tolist()
    return counters


def _read_limits(rollout: Rollout) -> dict[str, float | None]:
    """Return the policy's limits of failed nodes and of the error rate; None for no limit."""
    limits = read_limits(rollout.policy.policy, rollout.orchestrator, len(rollout.nodes))
    failed = None if limits is None or limits.max_failed_nodes == NO_COUNT else limits.max_failed_nodes
    policy = rollout.policy.policy
    is_judged = policy.strategy != "immediate" and not judges_waves(policy)
    return {
        "failed": failed,
        "error_rate_new": float(read_max_error_rate(policy, rollout.orchestrator)) if is_judged else None,
    }
