"""Other chances than the scenario's, for compiled code: `simdeploy.world.tilt` once more."""

from __future__ import annotations

import math

from simdeploy.engines.compiled.jit import compiled

_LOWEST, _HIGHEST = 2.0**-53, 1 - 2.0**-53


@compiled
def bend(u, factor):
    """Return the uniform that stands for `u` where the hazard is divided by `factor`."""
    if factor == 1:
        return u
    return min(max(-math.expm1(factor * math.log1p(-u)), _LOWEST), _HIGHEST)


@compiled
def odds_times(p, factor):
    """Return the probability whose odds are `factor` times those of `p`."""
    return p if factor == 1 else p * factor / (1 - p + p * factor)


@compiled
def log_weight_of_draw(u, factor):
    """Return what a draw counts in the logarithm of the weight; `u` is not bent yet."""
    return math.log(factor) + (factor - 1) * math.log1p(-u)


@compiled
def log_weight_of_chance(p, factor, happened):
    """Return what an outcome with probability `p` counts."""
    return math.log(1 - p + p * factor) - (math.log(factor) if happened else 0.0)
