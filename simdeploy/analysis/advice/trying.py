"""Compiled code that tries replications until a node does what was seen, roughly."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.jit import entry, inlined
from simdeploy.engines.compiled.philox import block, to_uniform
from simdeploy.world.streams import Stream

_AFFECTED = np.uint64(Stream.AFFECTED.block)
_ERROR_RATE = np.uint64(Stream.ERROR_RATE.block)
_ATTEMPT = np.uint64(Stream.UPDATE_DURATION.block)  # and START_FAILURE, its other lane
_HANG = np.uint64(Stream.START_HANG.block)
_WINDOW = np.uint64(Stream.WINDOW.block)
_0, _32 = np.uint64(0), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_RUNS, _FAILS = 0, 1
# After so many tries in vain, the durations of so many are drawn together, and most of them rule the verdict out.
_PATIENCE, _BATCH = 16, 64


@inlined
def _may_run(start, needed, interval_ns, low, high):
    """Return whether a node that started may run within its bounds, at the end of a window."""
    last = start + math.floor((high - start) / interval_ns) * interval_ns
    return start + needed * interval_ns <= high and last > low


@entry(cache=True)
def find_tries(
    seed,
    first,
    supply,
    per_world,
    tries,
    numbers,
    worlds,
    from_try,
    wanted,
    low,
    high,
    started,
    start_low,
    start_high,
    slowdown,
    failures,
    share,
    attempts,
    rule,
    tables,
):
    """Return for each node the first try that gives it about the wanted verdict (-1: any) within its bounds, or -1.

    Parameters
    ----------
    first, supply, per_world : int
        Of `Supply`.
    started, start_low, start_high : ndarray
        Whether it starts (0: no, 1: yes, -1: either), and when.
    failures : ndarray of float, shape (parts, nodes)
    rule : tuple
        Whether nodes are checked, and the deadline counts from the dispatch; deadline, interval (ns); windows needed, failures that
        decide or 0; whether healthy windows must be consecutive, and unhealthy ones are cumulative.
    tables : tuple
        Of `Tables.arrays`.
    """
    is_checked, from_dispatch, deadline_ns, interval_ns, needed, threshold, is_consecutive, is_cumulative = rule
    durations, tail, log_least, hang, healthy_table = tables
    key0, key1 = np.uint64(seed) & _LOW, np.uint64(seed) >> _32
    n_steps, n_levels = durations.shape[1] - 1, healthy_table.shape[1]
    width = (math.log(tail) - log_least) / n_steps
    found, u_ahead = np.full(len(numbers), -1, np.int64), np.empty(_BATCH)
    for place in range(len(numbers)):
        node = np.uint64(numbers[place])
        is_sieved = is_checked and needed > 0 and attempts == 1 and wanted[place] == _RUNS and supply >= _BATCH
        drawn_from = drawn_to = from_try[place] + _PATIENCE
        for number in range(from_try[place], tries):
            if is_sieved and number >= drawn_to:
                drawn_from, drawn_to = number, number + _BATCH
                start = (per_world * worlds[place] + number) % supply
                for ahead in range(_BATCH):
                    shifted = start + ahead
                    shifted -= supply if shifted >= supply else 0
                    even, _ = block(key0, key1, np.uint64(first + shifted), _ATTEMPT, node, _0)
                    u_ahead[ahead] = to_uniform(even)
            if is_sieved and number >= drawn_from:
                u = u_ahead[number - drawn_from]
                if tail <= u <= 1 - tail:
                    x = (u - tail) / (1 - 2 * tail) * n_steps
                    below = min(max(int(x), 0), n_steps - 1)
                    left = durations[0, below]
                    time = slowdown[place] * (left + (x - below) * (durations[0, below + 1] - left))
                    if not _may_run(time, needed, interval_ns, low[place], high[place]):
                        continue
            replication = np.uint64(first + (per_world * worlds[place] + number) % supply)
            part = 0
            if share < 1.0:
                word, _ = block(key0, key1, replication, _AFFECTED, node, _0)
                part = 0 if to_uniform(word) < share else 1
            time, verdict, is_started = 0.0, _FAILS, False
            for attempt in range(attempts):
                even, odd = block(key0, key1, replication, _ATTEMPT, node, np.uint64(attempt))
                u = to_uniform(even)
                if u < tail:
                    row, x = 1, (math.log(u) - log_least) / width
                elif u > 1 - tail:
                    row, x = 2, (math.log(1 - u) - log_least) / width
                else:
                    row, x = 0, (u - tail) / (1 - 2 * tail) * n_steps
                below = min(max(int(x), 0), n_steps - 1)
                left = durations[row, below]
                time += slowdown[place] * (left + (x - below) * (durations[row, below + 1] - left))
                if hang[part] > 0.0:
                    word, _ = block(key0, key1, replication, _HANG, node, np.uint64(attempt))
                    if to_uniform(word) < hang[part]:
                        if not is_checked:
                            verdict = _RUNS
                        else:
                            time = deadline_ns if from_dispatch else time + deadline_ns
                        break
                if is_checked and from_dispatch and time > deadline_ns:
                    time = deadline_ns
                    break
                if to_uniform(odd) >= failures[part, place]:
                    is_started = True
                    break
                if time > high[place]:
                    break
            if started[place] >= 0 and (started[place] == 1) != is_started:
                continue
            if is_started:
                if time <= start_low[place] or time > start_high[place]:
                    continue
                if not is_checked or needed == 0:
                    verdict = _RUNS
                else:
                    if wanted[place] == _RUNS and not _may_run(time, needed, interval_ns, low[place], high[place]):
                        continue
                    deadline = deadline_ns if from_dispatch else time + deadline_ns
                    level, part_of_level = 0, 0.0
                    if n_levels > 1:
                        word, _ = block(key0, key1, replication, _ERROR_RATE, node, _0)
                        x = min(max(to_uniform(word) * n_levels - 0.5, 0.0), n_levels - 1.0)
                        level = min(int(x), n_levels - 2)
                        part_of_level = x - level
                    healthy, unhealthy, is_decided, end = 0, 0, False, time
                    even, odd = _0, _0
                    for window in range(healthy_table.shape[2]):
                        if end + interval_ns > deadline or end > high[place]:
                            break
                        end += interval_ns
                        chance = healthy_table[part, level, window]
                        if n_levels > 1:
                            chance += part_of_level * (healthy_table[part, level + 1, window] - chance)
                        is_healthy = True
                        if window & 1 == 0:
                            even, odd = block(key0, key1, replication, _WINDOW, node, np.uint64(window >> 1))
                        if chance < 1.0:
                            is_healthy = to_uniform(odd if window & 1 else even) <= chance
                        if is_healthy:
                            healthy += 1
                            if not is_cumulative:
                                unhealthy = 0
                            if healthy >= needed:
                                verdict, is_decided = _RUNS, True
                                break
                        else:
                            unhealthy += 1
                            if is_consecutive:
                                healthy = 0
                            if threshold > 0 and unhealthy >= threshold:
                                is_decided = True
                                break
                    time = end if is_decided else deadline
            if time > low[place] and time <= high[place] and (wanted[place] < 0 or wanted[place] == verdict):
                found[place] = number
                break
    return found
