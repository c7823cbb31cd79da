"""Compiled code that tries replications until a node does approximately what was seen."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.jit import compiled, entry, inlined
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
# Exceeds the rounding error of uniforms' levels.
_ROUGH = 1e-12
# After this many failed tries, numbers are drawn for a batch of tries at a time, most of which they rule out.
_PATIENCE, _BATCH = 16, 64
# If this fraction of starts is so early that the node must have an unhealthy window, the batch draws windows, too.
_MANY = 0.05


@inlined
def _may_run(start, needed, interval_ns, low, high):
    """Return whether a node that started can run within its bounds, which takes the end of a window."""
    last = start + math.floor((high - start) / interval_ns) * interval_ns
    return start + needed * interval_ns <= high and last > low


@inlined
def _level_of(durations, time):
    """Return the index of the last duration up to some time; -1 if there is none."""
    low, high = -1, durations.shape[1]
    while high - low > 1:
        middle = (low + high) // 2
        if durations[0, middle] <= time:
            low = middle
        else:
            high = middle
    return low


@inlined
def _bound_first(seen, rule, has_hang):
    """Return bounds on the end of the only attempt, and whether it must succeed (1: yes, 0: no, -1: either)."""
    wanted, low, high, started, start_low, start_high = seen
    is_checked, from_dispatch, deadline_ns, interval_ns, needed, threshold, _, _ = rule
    after, until, succeeds = -math.inf, high, -1
    if started == 1:
        after, until, succeeds = start_low, min(start_high, high), 1
    elif started == 0 and not has_hang and not (is_checked and from_dispatch and deadline_ns <= high):
        after, succeeds = low, 0
    elif started == 0:
        until = math.inf
    if wanted == _RUNS and is_checked:
        succeeds = 1
        until = min(until, high - needed * interval_ns)
    elif started < 0 and wanted == _FAILS and is_checked and threshold == 0 and deadline_ns > high:
        after, succeeds = low, 0  # nothing else fails before the deadline
    elif started < 0:
        until = math.inf
    return after, until, succeeds


@inlined
def _does(key0, key1, replication, node, words, seen, slowdown, failures, law):
    """Return whether a node does approximately what is wanted in a replication, given both random words of its first attempt."""
    even, odd = words
    wanted, low, high, started, start_low, start_high = seen
    share, attempts, rule, tables = law
    is_checked, from_dispatch, deadline_ns, interval_ns, needed, threshold, is_consecutive, is_cumulative = rule
    durations, tail, log_least, hang, healthy_table = tables
    n_steps, n_levels = durations.shape[1] - 1, healthy_table.shape[1]
    width = (math.log(tail) - log_least) / n_steps
    time, verdict, is_started = 0.0, _FAILS, False
    part = 0
    if share < 1.0:
        word, _ = block(key0, key1, replication, _AFFECTED, node, _0)
        part = 0 if to_uniform(word) < share else 1
    failure = failures[part]
    for attempt in range(attempts):
        if attempt > 0:
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
        time += slowdown * (left + (x - below) * (durations[row, below + 1] - left))
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
        if to_uniform(odd) >= failure:
            is_started = True
            break
        if time > high:
            break
    if started >= 0 and (started == 1) != is_started:
        return False
    if is_started:
        if time <= start_low or time > start_high:
            return False
        if not is_checked or needed == 0:
            verdict = _RUNS
        else:
            if wanted == _RUNS and not _may_run(time, needed, interval_ns, low, high):
                return False
            deadline = deadline_ns if from_dispatch else time + deadline_ns
            level, part_of_level = -1, 0.0
            healthy, unhealthy, is_decided, end = 0, 0, False, time
            even, odd = _0, _0
            for window in range(healthy_table.shape[2]):
                if end + interval_ns > deadline or end > high:
                    break
                end += interval_ns
                if window & 1 == 0:
                    even, odd = block(key0, key1, replication, _WINDOW, node, np.uint64(window >> 1))
                u = to_uniform(odd if window & 1 else even)
                # The first level of errors is the best, the last the worst; they decide most windows without the node's own level.
                is_healthy = u <= healthy_table[part, n_levels - 1, window]
                if not is_healthy and u <= healthy_table[part, 0, window]:
                    if level < 0:
                        word, _ = block(key0, key1, replication, _ERROR_RATE, node, _0)
                        x = min(max(to_uniform(word) * n_levels - 0.5, 0.0), n_levels - 1.0)
                        level = min(int(x), n_levels - 2)
                        part_of_level = x - level
                    chance = healthy_table[part, level, window]
                    chance += part_of_level * (healthy_table[part, level + 1, window] - chance)
                    is_healthy = u <= chance
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
    return time > low and time <= high and (wanted < 0 or wanted == verdict)


@compiled
def _draw(key0, key1, first, start, supply, node, even, odd):
    """Draw both words of the first attempt for a batch of tries; as a separate function this is compiled to vector instructions."""
    for ahead in range(_BATCH):
        shifted = start + ahead
        shifted -= supply if shifted >= supply else 0
        even[ahead], odd[ahead] = block(key0, key1, np.uint64(first + shifted), _ATTEMPT, node, _0)


@compiled
def _draw_windows(key0, key1, first, start, supply, node, needed, highest):
    """Draw the highest word of the first windows for a batch of tries."""
    for ahead in range(_BATCH):
        highest[ahead] = _0
    for pair in range((needed + 1) >> 1):
        has_both = 2 * pair + 1 < needed
        for ahead in range(_BATCH):
            shifted = start + ahead
            shifted -= supply if shifted >= supply else 0
            even, odd = block(key0, key1, np.uint64(first + shifted), _WINDOW, node, np.uint64(pair))
            highest[ahead] = max(highest[ahead], max(even, odd) if has_both else even)


@compiled
def _sieve(even, odd, highest, bounds, healthy, hits):
    """List the tries of a batch that may do what is wanted, and return their number.

    For these the words of the first attempt are within bounds. If the attempt ends so early that the node would run too soon, also some
    window's word must be above that of windows that are always healthy.
    """
    u_low, u_high, u_direct, odd_low, odd_high = bounds
    n_hits = 0
    for ahead in range(_BATCH):
        hits[n_hits] = ahead
        u, odd_u = to_uniform(even[ahead]), to_uniform(odd[ahead])
        fits = (u >= u_low) & (u <= u_high) & (odd_u >= odd_low) & (odd_u < odd_high)
        n_hits += fits & ((u >= u_direct) | (to_uniform(highest[ahead]) > healthy))
    return n_hits


@entry(cache=True)
def find_tries(seed, supply, tries, nodes, seen, slowdown, failures, law):
    """Return for each node the first try that gives it approximately the wanted verdict within its bounds, or -1.

    Parameters
    ----------
    supply : tuple of int
        Of `Supply`: `first`, `n` and `per_world`.
    nodes : tuple of ndarray of int
        Their numbers, their worlds, and the first try of each.
    seen : tuple of ndarray
        The wanted verdict (-1: any) and its bounds; whether the node starts (0: no, 1: yes, -1: either), and when.
    failures : ndarray of float, shape (nodes, parts)
    law : tuple
        The share of affected nodes, the number of attempts, the rule and the tables. The rule: whether nodes are checked, and the
        deadline counts from the dispatch; deadline, interval (ns); windows needed, failures that decide or 0; whether healthy windows
        must be consecutive, and unhealthy ones are cumulative. The tables: of `Tables.arrays`.
    """
    first, n_supply, per_world = supply
    numbers, worlds, from_try = nodes
    wanted, low, high, started, start_low, start_high = seen
    _, attempts, rule, (durations, tail, _, hang, healthy_table) = law
    key0, key1 = np.uint64(seed) & _LOW, np.uint64(seed) >> _32
    is_sieved = attempts == 1 and n_supply >= _BATCH
    n_steps = durations.shape[1] - 1
    first_tries = np.full(len(numbers), -1, np.int64)
    even_ahead, odd_ahead = np.empty(_BATCH, np.uint64), np.empty(_BATCH, np.uint64)
    highest, hits = np.zeros(_BATCH, np.uint64), np.empty(_BATCH, np.int64)
    # The least chance of a healthy window: if the numbers of all windows are below it, the node runs as soon as it can.
    surely_healthy = 1.0
    for part in range(len(healthy_table)):
        for window in range(min(rule[4], healthy_table.shape[2])):
            surely_healthy = min(surely_healthy, healthy_table[part, healthy_table.shape[1] - 1, window])
    for place in range(len(numbers)):
        node, offset = np.uint64(numbers[place]), per_world * worlds[place]
        number, n_hits, hit, batch, is_bound = from_try[place], 0, 0, from_try[place], False
        u_low, u_high, u_direct, odd_low, odd_high = 0.0, 1.0, 0.0, 0.0, 1.0
        of_node = wanted[place], low[place], high[place], started[place], start_low[place], start_high[place]
        chances = failures[place]
        ends_window = wanted[place] == _RUNS and rule[0] and rule[4] > 0
        while number < tries:
            if number >= from_try[place] + _PATIENCE and is_sieved and slowdown[place] > 0:
                if not is_bound:
                    is_bound = True
                    after, until, succeeds = _bound_first(of_node, rule, hang.max() > 0)
                    below = _level_of(durations, after / slowdown[place])
                    above = _level_of(durations, until / slowdown[place])
                    u_low = 0.0 if below < 0 else tail + below / n_steps * (1 - 2 * tail) - _ROUGH
                    u_high = 1.0 if above == n_steps else tail + (above + 1) / n_steps * (1 - 2 * tail) + _ROUGH
                    if ends_window:
                        below = _level_of(durations, (low[place] - rule[4] * rule[3]) / slowdown[place])
                        u_direct = 0.0 if below < 0 else tail + below / n_steps * (1 - 2 * tail) - _ROUGH
                        u_direct = u_direct if u_direct >= u_low + _MANY else 0.0
                    if succeeds == 1:
                        odd_low = chances.min()
                    elif succeeds == 0:
                        odd_high = chances.max()
                    batch = number
                while hit == n_hits and batch < tries:
                    start = (offset + batch) % n_supply
                    _draw(key0, key1, first, start, n_supply, node, even_ahead, odd_ahead)
                    if u_direct > 0:
                        _draw_windows(key0, key1, first, start, n_supply, node, rule[4], highest)
                    bounds = u_low, u_high, u_direct, odd_low, odd_high
                    hit, n_hits = 0, _sieve(even_ahead, odd_ahead, highest, bounds, surely_healthy, hits)
                    batch += _BATCH
                if hit == n_hits:
                    break
                number = batch - _BATCH + hits[hit]
                even, odd = even_ahead[hits[hit]], odd_ahead[hits[hit]]
                hit += 1
                if number >= tries:
                    break
                u = to_uniform(even)
                if ends_window and tail <= u <= 1 - tail:
                    x = (u - tail) / (1 - 2 * tail) * n_steps
                    below = min(max(int(x), 0), n_steps - 1)
                    left = durations[0, below]
                    time = slowdown[place] * (left + (x - below) * (durations[0, below + 1] - left))
                    if not _may_run(time, rule[4], rule[3], low[place], high[place]):
                        number += 1
                        continue
                replication = np.uint64(first + (offset + number) % n_supply)
            else:
                replication = np.uint64(first + (offset + number) % n_supply)
                even, odd = block(key0, key1, replication, _ATTEMPT, node, _0)
            words = even, odd
            if _does(key0, key1, replication, node, words, of_node, slowdown[place], chances, law):
                first_tries[place] = number
                break
            number += 1
    return first_tries
