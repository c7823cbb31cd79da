"""Failed requests of many windows at once, for compiled code: loops that become vector instructions (see `binomial`)."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import at_once, counted
from simdeploy.engines.compiled.binomial import (
    ALWAYS,
    MARGIN,
    expand,
    failed_by_guess,
    failed_of_exactly,
    may_expand,
    number_at,
)
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.special import normal_quantiles
from simdeploy.engines.compiled.tables import COUNT, FAR, NORMAL, STEP_WORD, UNIFORM, WINDOW_WORD
from simdeploy.world.binomial import _SMALLEST_LOG

_MOST_STEPS = 50.0  # mean number of failures up to which steps are faster than the expansion
_STEPS_AT_ONCE = 5
_WORDS, _PER_WORD = 2.0**52, 2.0**-52


@compiled
def count_failed(run, n, requests, p, off):
    """Count the failed requests of n windows with the same number of requests: `failed_of` for the uniform of each word.

    False if the error of p, up to `off`, might change a count.
    """
    if p < 1.0 and requests * p <= _MOST_STEPS and _begin_steps(run, requests, p):
        return _count_by_steps(run, n, requests, p, off)
    may = may_expand(requests, p)
    if off > 0 and not may:
        return False
    words, uniforms, counts = counted(run)[WINDOW_WORD], at_once(run)[UNIFORM], counted(run)[COUNT]
    for i in range(n):
        uniforms[i] = (words[i] + 0.5) * _PER_WORD
    if may:
        return _count_by_expansion(run, n, requests, p, off)
    for i in range(n):
        counts[i] = failed_of_exactly(requests, p, uniforms[i])
    return True


@compiled
def _begin_steps(run, requests, p):
    """Prepare the steps of a cdf, unless they are the current ones; tell whether steps can be used."""
    if requests != run.stepped_requests or p != run.stepped_p:
        run.stepped_requests, run.stepped_p = requests, p
        log_none = requests * math.log1p(-p)
        run.n_steps = 0 if log_none >= _SMALLEST_LOG else -1
        run.last_term = math.exp(log_none)
        run.last_total = 0.0
    return run.n_steps >= 0


@compiled
def _add_steps(run, requests, p):
    """Add some steps, by the same sums as for a single window; after the last step, no word is above it."""
    odds, step_words = p / (1.0 - p), counted(run)[STEP_WORD]
    for k in range(run.n_steps, run.n_steps + _STEPS_AT_ONCE):
        if k:
            run.last_term *= (requests - k + 1) / k * odds
        total = run.last_total + run.last_term
        if k >= requests or (total == run.last_total and k > requests * p):
            step_words[k] = ALWAYS
        else:
            run.last_total = min(total, 1.0)
            # The uniform (word + 0.5) / 2**52 of a word above it is above the cdf.
            step_words[k] = np.int64(math.floor(run.last_total * _WORDS - 0.5))
    run.n_steps += _STEPS_AT_ONCE


@compiled
def _count_by_steps(run, n, requests, p, off):
    """Go up the cdf, some steps at a time, while any words are above it."""
    words, step_words, counts = counted(run)[WINDOW_WORD], counted(run)[STEP_WORD], counted(run)[COUNT]
    near, n_near = np.int64(2 * requests * off * _WORDS) + 2, 0  # no cdf changes by more
    if run.n_steps == 0:
        _add_steps(run, requests, p)
    first, second, third, fourth, last = _steps_at(step_words, 0)
    highest = np.int64(-1)
    for i in range(n):
        highest = max(highest, words[i])
        counts[i] = _n_below(words[i], first, second, third, fourth, last)
    k = _STEPS_AT_ONCE
    while highest > last:
        if k == run.n_steps:
            _add_steps(run, requests, p)
        first, second, third, fourth, last = _steps_at(step_words, k)
        for i in range(n):
            counts[i] += _n_below(words[i], first, second, third, fourth, last)
        k += _STEPS_AT_ONCE
    if off > 0:
        for step in range(k):
            for i in range(n):
                n_near += np.int64(abs(words[i] - step_words[step]) <= near)
    return n_near == 0


@inlined
def _steps_at(step_words, k):
    return step_words[k], step_words[k + 1], step_words[k + 2], step_words[k + 3], step_words[k + 4]


@inlined
def _n_below(word, first, second, third, fourth, last):
    """Return how many steps are below a word."""
    n_below = np.int64(word > first) + np.int64(word > second) + np.int64(word > third)
    return n_below + np.int64(word > fourth) + np.int64(word > last)


@compiled
def _count_by_expansion(run, n, requests, p, off):
    uniforms, z, counts = at_once(run)[UNIFORM], at_once(run)[NORMAL], counted(run)[COUNT]
    c0, c1, c2, c3, variance = expand(requests, p)
    normal_quantiles(uniforms[:n], z, at_once(run)[FAR])
    near = 4 * requests * off
    for i in range(n):
        counts[i] = number_at(z[i], requests, c0, c1, c2, c3, variance, near)
    for i in range(n):
        if counts[i] < 0 and off > 0:
            counts[i] = failed_by_guess(requests, p, uniforms[i], MARGIN + 2 * requests * off)
            if counts[i] < 0:
                return False
        elif counts[i] < 0:
            counts[i] = failed_of_exactly(requests, p, uniforms[i])
    return True
