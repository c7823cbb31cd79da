"""Merge sort, because numba's own sorts are many functions that take seconds to compile."""

from __future__ import annotations

import numpy as np

from simdeploy.engines.compiled.jit import compiled

_RUN = 8  # length of the runs that are sorted by insertion first


@compiled
def sort(values):
    """Return the values in ascending order."""
    n, n_falls = len(values), 0
    done = other = np.empty(n, values.dtype)
    for place in range(n):
        done[place] = values[place]
    for place in range(1, n):
        n_falls += np.int64(done[place] < done[place - 1])
    if n_falls == 0:
        return done
    for place in range(n):
        value, hole, first = values[place], place, place - place % _RUN
        while hole > first and done[hole - 1] > value:
            done[hole] = done[hole - 1]
            hole -= 1
        done[hole] = value
    width = _RUN
    if width < n:
        other = np.empty(n, values.dtype)
    while width < n:
        for first in range(0, n, 2 * width):
            middle, last = min(first + width, n), min(first + 2 * width, n)
            left, right = first, middle
            if middle == last or done[middle - 1] <= done[middle]:  # they are in order already
                for place in range(first, last):
                    other[place] = done[place]
                continue
            for place in range(first, last):
                if left < middle and (right == last or done[left] <= done[right]):
                    other[place] = done[left]
                    left += 1
                else:
                    other[place] = done[right]
                    right += 1
        done, other = other, done
        width *= 2
    return done


@compiled
def find_order(keys):
    """Return the places of keys in ascending order; a stable sort."""
    n = len(keys)
    done = other = np.empty(n, np.int64)
    for place in range(n):
        key, hole, first = keys[place], place, place - place % _RUN
        while hole > first and keys[done[hole - 1]] > key:
            done[hole] = done[hole - 1]
            hole -= 1
        done[hole] = place
    width = _RUN
    if width < n:
        other = np.empty(n, np.int64)
    while width < n:
        for first in range(0, n, 2 * width):
            middle, last = min(first + width, n), min(first + 2 * width, n)
            left, right = first, middle
            for place in range(first, last):
                if left < middle and (right == last or keys[done[left]] <= keys[done[right]]):
                    other[place] = done[left]
                    left += 1
                else:
                    other[place] = done[right]
                    right += 1
        done, other = other, done
        width *= 2
    return done


@compiled
def first_not_below(values, n, least):
    """Return the place of the first of n ascending values that is at least `least`; n if there is none."""
    low, high = np.int64(0), n
    while low < high:
        middle = (low + high) // 2
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low
