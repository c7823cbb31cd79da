"""Failed requests of many windows at once, for compiled code: loops that become vector instructions (see `binomial`)."""

from __future__ import annotations

import math

from simdeploy.engines.compiled.access import at_once, counted
from simdeploy.engines.compiled.binomial import (
    LEAST_VARIANCE,
    expand,
    failed_of_exactly,
    may_expand,
    number_at,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.special import normal_quantile_central, normal_quantile_tail
from simdeploy.engines.compiled.tables import COUNT, NORMAL, UNIFORM
from simdeploy.world.binomial import _LONGEST_MEAN, _SMALLEST_LOG


@compiled
def count_failed(run, n, requests, p):
    """Count how many of the requests fail in each of n windows that meet as many: `failed_of` each of the uniforms."""
    uniforms, counts = at_once(run)[UNIFORM], counted(run)[COUNT]
    if may_expand(requests, p):
        _count_by_expansion(run, n, requests, p)
        return
    if p < 1.0 and requests * p * (1.0 - p) < LEAST_VARIANCE and requests * p <= _LONGEST_MEAN:
        log_none = requests * math.log1p(-p)
        if log_none >= _SMALLEST_LOG:
            _count_by_steps(run, n, requests, p, log_none)
            return
    for i in range(n):
        counts[i] = failed_of_exactly(requests, p, uniforms[i])


@compiled
def _count_by_steps(run, n, requests, p, log_none):
    """Go up the cdf, whose steps are those of a single window, as far as the highest uniform."""
    uniforms, counts = at_once(run)[UNIFORM], counted(run)[COUNT]
    highest = 0.0
    for i in range(n):
        counts[i] = 0
        highest = max(highest, uniforms[i])
    odds = p / (1.0 - p)
    term = total = math.exp(log_none)
    k = 0
    while total < highest and k < requests:
        for i in range(n):
            counts[i] += total < uniforms[i]
        k += 1
        term *= (requests - k + 1) / k * odds
        if total + term == total and k > requests * p:
            break
        total = min(total + term, 1.0)


@compiled
def _count_by_expansion(run, n, requests, p):
    uniforms, z, counts = at_once(run)[UNIFORM], at_once(run)[NORMAL], counted(run)[COUNT]
    c0, c1, c2, c3, variance = expand(requests, p)
    for i in range(n):
        z[i] = normal_quantile_central(uniforms[i] - 0.5)
    for i in range(n):
        if abs(uniforms[i] - 0.5) > 0.425:
            z[i] = normal_quantile_tail(uniforms[i])
    for i in range(n):
        counts[i] = number_at(z[i], requests, c0, c1, c2, c3, variance)
    for i in range(n):
        if counts[i] < 0:
            counts[i] = failed_of_exactly(requests, p, uniforms[i])
