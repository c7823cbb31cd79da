"""Changed probabilities, for compiled code, as in `simdeploy.world.tilt`."""

from __future__ import annotations

import math

from simdeploy.engines.compiled.jit import compiled

_LOWEST, _HIGHEST = 2.0**-53, 1 - 2.0**-53


@compiled
def bend(u, factor):
    """Return the uniform that replaces `u` if the hazard is divided by `factor`."""
    if factor == 1:
        return u
    return min(max(-math.expm1(factor * math.log1p(-u)), _LOWEST), _HIGHEST)


@compiled
def odds_times(p, factor):
    """Return the probability whose odds are `factor` times those of `p`."""
    return p if factor == 1 else p * factor / (1 - p + p * factor)


@compiled
def log_weight_of_draw(u, factor):
    """Return the log weight of a draw; `u` is the uniform before `bend`."""
    return math.log(factor) + (factor - 1) * math.log1p(-u)


@compiled
def log_weight_of_chance(p, factor, happened):
    """Return the log weight of an outcome with probability `p`."""
    return math.log(1 - p + p * factor) - (math.log(factor) if happened else 0.0)


@compiled
def set_log_weights(happens, does_not, p, p_affected, factor):
    """Store the log weights of both outcomes, for plain nodes and for affected ones."""
    happens[0] = log_weight_of_chance(p, factor, True)
    happens[1] = log_weight_of_chance(p_affected, factor, True)
    does_not[0] = log_weight_of_chance(p, factor, False)
    does_not[1] = log_weight_of_chance(p_affected, factor, False)
