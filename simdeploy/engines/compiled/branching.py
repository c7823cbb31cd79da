"""When a rollout first reached a level, and which nodes had been dispatched by then, for compiled code."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import fates, kept, reached, scratch
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.line import counted_at, counts_as_failed
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.tables import BACK_FROM, DISPATCHED, NEVER, STARTED


@compiled
def mark(run):
    """Write whether the current rollout reached its level, and which nodes keep their numbers in branches from there."""
    at = _failed_at(run) if run.counts_failed else _exposed_at(run)
    reached(run)[run.row] = at < NEVER
    for node in range(run.nodes):
        kept(run)[run.row, node] = at < NEVER and fates(run)[DISPATCHED, node] <= at


@compiled
def _failed_at(run):
    times = scratch(run)[0]
    n = 0
    for node in range(run.nodes):
        if counts_as_failed(run, node) and counted_at(run, node) <= min(run.makespan, NEVER - 1):
            times[n] = counted_at(run, node)
            n += 1
    return sort(times[:n])[run.level - 1] if n >= run.level else np.int64(NEVER)


@compiled
def _exposed_at(run):
    fate, starts, ends = fates(run), scratch(run)[0], scratch(run)[1]
    n = n_ends = 0
    for node in range(run.nodes):
        if run.releases and fate[STARTED, node] < NEVER:
            starts[n] = fate[STARTED, node]
            n += 1
            if fate[BACK_FROM, node] < NEVER:
                ends[n_ends] = fate[BACK_FROM, node]
                n_ends += 1
    starts, ends = sort(starts[:n]), sort(ends[:n_ends])
    done = 0
    for place in range(n):
        # Only settled instants count, so of several starts at one instant only the last is considered.
        if place + 1 < n and starts[place + 1] == starts[place]:
            continue
        while done < n_ends and ends[done] <= starts[place]:
            done += 1
        if place + 1 - done >= run.level:
            return starts[place]
    return np.int64(NEVER)
