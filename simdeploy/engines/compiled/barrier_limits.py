"""Stops of policies in a bundle whose limits depend on more than the number of failed nodes (see `barrier`).

Verdicts come in the same order under all of them, so each needs only its first crossing. A percentage of resolved nodes rises only
at failures, and a minimum sample is reached once, so no other verdict needs to be considered.
"""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.access import bundle_at, lists, places_of, policy_at, relative, stops_of
from simdeploy.engines.compiled.barrier_outcomes import write_outcome
from simdeploy.engines.compiled.codes import FAILED, JUDGED_AT_WAVE_END
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.limits import is_limit_crossed
from simdeploy.engines.compiled.tables import FAILURES, GOES_ON, REL_FAILED, REL_RESOLVED, RESOLVED_AT

_FEW = 64


@compiled
def stop_by_limits(run, number, everyone, wave, first, begins, lasts):
    """Write the outcomes of policies that stop in a wave; return how many continue, or -1 if they must be run one by one."""
    bundle, policies, places = bundle_at(run, number), stops_of(run), places_of(run)
    last, failures = first + run.wave_size, lists(run)[FAILURES]
    n_left = 0
    for entry in range(bundle.first, bundle.last):
        n_left += places[entry] == GOES_ON
    n_instants, place = _find_instants(run, bundle.minimum_sample, first, lasts), 0
    while place < n_instants and n_left:
        t = failures[place]
        while place < n_instants and failures[place] == t:
            place += 1
        n_failed, n_resolved = _count(run, first, last, t)
        failed, updated = run.sum_failed + n_failed, run.sum_updated + n_resolved - n_failed
        row = -1
        for entry in range(bundle.first, bundle.last):
            if places[entry] != GOES_ON:
                continue
            limits = policy_at(run, policies[entry])
            if (everyone and n_failed) or is_limit_crossed(
                limits, failed, updated, n_failed, run.wave_size, run.nodes, failed
            ):
                if row < 0:
                    if t == 0 or not write_outcome(run, FAILED, begins + t, wave, first, last, begins):
                        return -1
                    row = run.n_outcomes - 1
                places[entry] = row
                n_left -= 1
    return n_left


@compiled
def _find_instants(run, minimum_sample, first, lasts):
    """List the instants of a wave at which a limit may be crossed, in order: failures, and when the sample is reached; return how many."""
    failures, n = lists(run)[FAILURES], run.wave_failed
    before = run.sum_failed + run.sum_updated
    reaches_sample = before < minimum_sample <= before + run.wave_size
    if run.limits_judged == JUDGED_AT_WAVE_END:
        failures[0] = lasts
        return 1 if n or reaches_sample else 0
    # If all nodes fail, the sample is reached at a failure.
    if reaches_sample and n < run.wave_size and run.sum_failed + n:
        resolved, rel = lists(run)[RESOLVED_AT], relative(run)[REL_RESOLVED, first : first + run.wave_size]
        for place in range(run.wave_size):
            resolved[place] = rel[place]
        nth = minimum_sample - before
        sort_least(resolved, run.wave_size, nth)
        failures[n] = resolved[nth - 1]
        n += 1
    return sort_least(failures, n, n)


@compiled
def _count(run, first, last, t):
    """Return how many nodes of a wave have failed, and are resolved, at an instant after its begin."""
    rel = relative(run)
    resolved, failed = rel[REL_RESOLVED, first:last], rel[REL_FAILED, first:last]
    n_failed = n_resolved = np.int64(0)
    for place in range(last - first):
        is_resolved = resolved[place] <= t
        n_resolved += is_resolved
        n_failed += is_resolved & (failed[place] != 0)
    return n_failed, n_resolved


@compiled
def sort_least(numbers, n, k):
    """Move at least the k smallest of the first n numbers to the front, in order; return how many are there."""
    if k >= n or k > _FEW:
        _sort(numbers, n)
        return n
    done = 0
    for place in range(n):
        number, hole = numbers[place], done
        if done == k:
            if number >= numbers[k - 1]:
                continue
            hole = k - 1
        else:
            done += 1
        while hole > 0 and numbers[hole - 1] > number:
            numbers[hole] = numbers[hole - 1]
            hole -= 1
        numbers[hole] = number
    return done


@compiled
def _sort(numbers, n):
    """Sort the first n numbers by Shell's method: mostly few, but under a bad release all nodes of a wave."""
    gap = max(n // 2, 1)
    while gap > 0:
        for i in range(gap, n):
            number = numbers[i]
            j = i - gap
            while j >= 0 and numbers[j] > number:
                numbers[j + gap] = numbers[j]
                j -= gap
            numbers[j + gap] = number
        gap //= 2
