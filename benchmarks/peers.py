"""The plain case of bench-1000 as a dedicated program would simulate it.

A thousand nodes go in ten waves, one wave after the other. A node starts, which takes a lognormal time and may fail, and is
watched in windows of 10 s until six in a row were healthy; one that isn't within ten minutes of its dispatch has failed. Three
programs of the same: processes of SimPy, a loop over a heap of events, and the same loop compiled by numba.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Generator

import numba
import numpy as np
import simpy
from scipy.stats import binom, norm

N_NODES, WAVE = 1000, 100
START_MEDIAN_S, START_P95_S = 45.0, 120.0
MU, SIGMA = math.log(START_MEDIAN_S), float(math.log(START_P95_S / START_MEDIAN_S) / norm.ppf(0.95))
START_FAILURE = 0.01
INTERVAL_S, NEEDED, DEADLINE_S = 10.0, 6, 600.0
# 200 requests a window, of which at most 2 % may fail, and 0.4 % do on average.
UNHEALTHY = float(binom.sf(4, 200, 0.004))

# For each rollout: makespan in seconds, failed nodes, windows.
Run = Callable[[int, int], np.ndarray]


class _Counts:
    failed = windows = 0


def _node(env: simpy.Environment, draw: random.Random, counts: _Counts) -> Generator[simpy.Event, None, None]:
    dispatched = env.now
    start = draw.lognormvariate(MU, SIGMA)
    yield env.timeout(min(start, DEADLINE_S))
    if start > DEADLINE_S or draw.random() < START_FAILURE:
        counts.failed += 1
        return
    healthy = 0
    while healthy < NEEDED:
        left = dispatched + DEADLINE_S - env.now
        if left < INTERVAL_S:
            yield env.timeout(left)
            counts.failed += 1
            return
        yield env.timeout(INTERVAL_S)
        counts.windows += 1
        healthy = 0 if draw.random() < UNHEALTHY else healthy + 1


def _waves(
    env: simpy.Environment, draw: random.Random, counts: _Counts, wave: int
) -> Generator[simpy.Event, None, None]:
    for _ in range(N_NODES // WAVE):
        yield env.all_of([env.process(_node(env, draw, counts)) for _ in range(wave)])


def run_simpy(seed: int, rollouts: int, wave: int = WAVE) -> np.ndarray:
    """Run a process for each node, and one that dispatches the ten waves."""
    draw = random.Random(seed)
    outcomes = np.empty((rollouts, 3))
    for rollout in range(rollouts):
        env, counts = simpy.Environment(), _Counts()
        env.process(_waves(env, draw, counts, wave))
        env.run()
        outcomes[rollout] = env.now, counts.failed, counts.windows
    return outcomes


def run_heap(seed: int, rollouts: int) -> np.ndarray:
    """Take events off a heap, each with its time and node."""
    random.seed(seed)
    outcomes = np.empty((rollouts, 3))
    dispatched, healthy = np.empty(WAVE), np.empty(WAVE, np.int64)
    is_late = np.empty(WAVE, np.bool_)
    for rollout in range(rollouts):
        now, failed, windows = 0.0, 0, 0
        for _ in range(N_NODES // WAVE):
            starts = [random.lognormvariate(MU, SIGMA) for _ in range(WAVE)]
            for node in range(WAVE):
                dispatched[node], healthy[node] = now, -1  # not started
                is_late[node] = starts[node] > DEADLINE_S
            events = [(now + min(start, DEADLINE_S), node) for node, start in enumerate(starts)]
            heapq.heapify(events)
            while events:
                now, node = heapq.heappop(events)
                if is_late[node] or (healthy[node] < 0 and random.random() < START_FAILURE):
                    failed += 1
                    continue
                if healthy[node] < 0:
                    healthy[node] = 0
                else:
                    windows += 1
                    healthy[node] = 0 if random.random() < UNHEALTHY else healthy[node] + 1
                    if healthy[node] == NEEDED:
                        continue
                left = dispatched[node] + DEADLINE_S - now
                is_late[node] = left < INTERVAL_S
                heapq.heappush(events, (now + min(left, INTERVAL_S), node))
        outcomes[rollout, 0], outcomes[rollout, 1], outcomes[rollout, 2] = now, failed, windows
    return outcomes


PEERS: dict[str, Run] = {"plain SimPy": run_simpy, "a heapq loop": run_heap, "a numba loop": numba.njit(run_heap)}
