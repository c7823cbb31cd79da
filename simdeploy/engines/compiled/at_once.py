"""Failed requests of many windows at once, for compiled code: loops that become vector instructions (see `binomial`)."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import at_once, counted
from simdeploy.engines.compiled.binomial import (
    MARGIN,
    expand,
    failed_by_guess,
    failed_of_exactly,
    may_expand,
    number_at,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.special import normal_quantiles
from simdeploy.engines.compiled.tables import COUNT, NORMAL, STEP, UNIFORM
from simdeploy.world.binomial import _SMALLEST_LOG

_MOST_STEPS = 50.0  # requests that fail on average, up to which steps are faster than the expansion


@compiled
def count_failed(run, n, requests, p, off):
    """Count how many of the requests fail in each of n windows that meet as many: `failed_of` each of the uniforms.

    False if p may be off by so much that this makes a difference.
    """
    if p < 1.0 and requests * p <= _MOST_STEPS and _begin_steps(run, requests, p):
        return _count_by_steps(run, n, requests, p, off)
    if may_expand(requests, p):
        return _count_by_expansion(run, n, requests, p, off)
    if off > 0:
        return False
    uniforms, counts = at_once(run)[UNIFORM], counted(run)[COUNT]
    for i in range(n):
        counts[i] = failed_of_exactly(requests, p, uniforms[i])
    return True


@compiled
def _begin_steps(run, requests, p):
    """Begin with the steps of a cdf, unless they are those at hand; tell whether it can be told by steps."""
    if requests != run.stepped_requests or p != run.stepped_p:
        run.stepped_requests, run.stepped_p = requests, p
        log_none = requests * math.log1p(-p)
        run.n_steps = 1 if log_none >= _SMALLEST_LOG else 0
        at_once(run)[STEP, 0] = run.last_term = math.exp(log_none)
    return run.n_steps > 0


@compiled
def _count_by_steps(run, n, requests, p, off):
    """Go up the cdf, by the same steps as for a single window, as long as there are uniforms above it."""
    uniforms, steps, counts = at_once(run)[UNIFORM], at_once(run)[STEP], counted(run)[COUNT]
    near, n_near = 2 * requests * off, 0  # no cdf changes by more
    for i in range(n):
        counts[i] = 0
    k, odds = 0, p / (1.0 - p)
    while k < requests:
        total, n_above = steps[k], 0
        for i in range(n):
            is_above = np.int64(total < uniforms[i])
            counts[i] += is_above
            n_above += is_above
        if off > 0:
            for i in range(n):
                n_near += np.int64(abs(total - uniforms[i]) <= near)
        if n_above == 0:
            break
        k += 1
        if k == run.n_steps:
            term = run.last_term * ((requests - k + 1) / k * odds)
            if total + term == total and k > requests * p:
                return off == 0
            steps[k] = min(total + term, 1.0)
            run.last_term = term
            run.n_steps += 1
    return n_near == 0


@compiled
def _count_by_expansion(run, n, requests, p, off):
    uniforms, z, counts = at_once(run)[UNIFORM], at_once(run)[NORMAL], counted(run)[COUNT]
    c0, c1, c2, c3, variance = expand(requests, p)
    normal_quantiles(uniforms[:n], z)
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
