"""One rollout as values to step through: the states of its nodes, gauges and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.engines import Rollout, simulate
from simdeploy.engines.fleet_map import SHOWN, Cells, FleetMap, choose, make_cells
from simdeploy.report.formatting import time_scale
from simdeploy.report.gauges import Gauges
from simdeploy.report.rollout import say_end
from simdeploy.report.story import tell

if TYPE_CHECKING:
    from simdeploy.explorer.position import Place

_N_INSTANTS = 160  # evenly spaced, in addition to those of events
_MOST_CELLS = 500
_MOST_WAVES = 30
_MOST_LINES = 120


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
        "states": _read_states(rollout, times_s),
        "gauges": _read_gauges(rollout, times_s),
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


def _read_states(rollout: Rollout, times_s: np.ndarray) -> list[str]:
    """Return the state of the deployment at each instant."""
    revisions = rollout.revisions
    revisions = revisions[revisions["deployment"].eq(rollout.policy.identity.id)]
    row = np.maximum(np.searchsorted(revisions["time_s"], times_s, side="right") - 1, 0)
    states: list[str] = revisions["state"].to_numpy()[row].tolist()
    return states


def _read_gauges(rollout: Rollout, times_s: np.ndarray) -> list[list[list[Any]]]:
    """Return for each instant the gauges: name, value, limit in words, and whether the value crosses the limit."""
    gauges = Gauges(rollout)
    return [
        [[gauge.name, gauge.value_words, gauge.limit_words, gauge.is_over] for gauge in gauges.at(time_s)]
        for time_s in times_s.tolist()
    ]
