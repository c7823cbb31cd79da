"""Tracing rollouts on either engine (see `traces`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.engines.error_rates import ErrorRates
from simdeploy.engines.one_recording import make_recorder
from simdeploy.engines.service import Service
from simdeploy.engines.traces import BROKEN, MIDDLE, NO_RELEASE, QUANTITIES, STEP, UNKNOWN, Grid, Traces
from simdeploy.errors import InputError, SimulationError

if TYPE_CHECKING:
    from simdeploy.engines.recording import Recording
    from simdeploy.scenario import Scenario, ScenarioPolicy


def run_traces(
    scenario: Scenario,
    policies: Sequence[ScenarioPolicy],
    grid: Grid,
    *,
    seed: int,
    first: int,
    count: int,
    engine: str,  # compiled or reference
) -> Traces:
    """Trace replications `first`, ..., `first + count - 1` of each policy.

    After its horizon a rollout keeps the values at the horizon.
    """
    if engine == "compiled" and scenario.past is None:
        from simdeploy.engines.compiled.engine import run_compiled_traces

        return run_compiled_traces(scenario, policies, grid, seed=seed, first=first, count=count)
    names = [kind.name for kind in scenario.release]
    values = np.full((len(policies), count, len(QUANTITIES), grid.n_times), UNKNOWN, np.int32)
    kinds = np.full((len(policies), count), BROKEN, np.int32)
    first_error = ""
    for place in range(count):
        record = make_recorder(scenario, seed=seed, replication=first + place)
        for number, policy in enumerate(policies):
            try:
                recording = record(policy)
            # An input error is that of a policy that can't be replayed on a rollout on record.
            except (SimulationError, InputError) as error:
                first_error = first_error or str(error)
                continue
            values[number, place] = trace(recording, grid)
            release = recording.world.release
            kinds[number, place] = NO_RELEASE if release is None else names.index(release.name)
    return Traces(values, kinds, first_error)


def trace(recording: Recording, grid: Grid) -> np.ndarray:
    """Return the trace of one rollout.

    It has the shape (quantities, times).
    """
    service = Service(recording, open_end_ns=grid.last_ns)
    times = np.minimum(grid.times_ns, service.end_ns)
    history = recording.update
    updated, failed = (np.array(history.columns[name]) for name in ("updated_nodes", "failed_nodes"))
    revision = np.searchsorted(history.times_ns, times, side="right") - 1
    old, new = ErrorRates(recording, service).at(times)
    demand, _, shed = service.requests.rates_at(times)
    shed_fraction = np.full(len(times), np.nan)
    if recording.world.service is not None:
        np.divide(shed, demand, out=shed_fraction, where=demand > 0)
    return np.array(
        [
            updated[revision],
            failed[revision],
            service.exposed.count_at(times),
            service.in_service.count_at(times),
            _to_steps((old + new).error_rate),
            _to_steps(new.error_rate),
            _to_steps(shed_fraction),
        ],
        dtype=np.int32,
    )


def _to_steps(rates: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rates), UNKNOWN, np.floor(np.nan_to_num(rates) / STEP + MIDDLE))
