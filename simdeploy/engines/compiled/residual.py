"""The rest of a time in progress at time 0, for compiled code: by the formulas of `simdeploy.world.residual`."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled import special
from simdeploy.engines.compiled.access import floats_of
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.laws import (
    BETA,
    CONSTANT,
    EMPIRICAL,
    EXPONENTIAL,
    GAMMA,
    LOGNORMAL,
    TRIANGULAR,
    UNIFORM,
    WEIBULL,
    count_up_to,
    exponential_inverse,
    exponential_survival,
    log_rest,
    lognormal_z,
    survival,
)

_LINEAR = 1e-17
_SMALLEST_STEP = 4e-15
_MOST_STEPS = 100
_LARGEST = float(np.finfo(np.float64).max)


@compiled
def _limited_mean(law, x):
    """Return E[min(X, x)]."""
    kind = law.kind
    if kind == EXPONENTIAL:
        return law.a * -math.expm1(-x / law.a)
    if kind == WEIBULL:
        hazard = special.power(x / law.a, law.b)
        return law.mean * special.gammainc(1 / law.b, hazard, 0) if hazard > _LINEAR else x
    if kind == LOGNORMAL:
        z = lognormal_z(law, x)
        return law.mean * special.ndtr(z - law.b, 0) + x * special.ndtr(-z, 0)
    if kind == CONSTANT:
        return min(x, law.a)
    if kind == UNIFORM:
        inside = min(max(x, law.a), law.b) - law.a
        return min(x, law.a) + inside - inside * inside / (2 * (law.b - law.a))
    if kind == TRIANGULAR:
        return _triangular_limited_mean(law, x)
    if kind == GAMMA:
        return law.mean * special.gammainc(law.a + 1, x / law.b, 0) + x * survival(law, x)
    if kind == BETA:
        inside = min(x, 1.0)
        return law.mean * special.betainc(law.a + 1, law.b, inside, 0) + x * survival(law, x)
    values = floats_of(law)
    return x if x <= values[0, 0] else _interpolate(x, values[0], values[1])


@compiled
def _interpolate(x, xs, ys):
    """Interpolate between points with ascending x, as numpy.interp does."""
    n = len(xs)
    if x <= xs[0]:
        return ys[0]
    if x >= xs[n - 1]:
        return ys[n - 1]
    j = count_up_to(xs, x) - 1
    slope = (ys[j + 1] - ys[j]) / (xs[j + 1] - xs[j])
    return slope * (x - xs[j]) + ys[j]


@compiled
def _triangular_limited_mean(law, x):
    width, rise, fall = law.c - law.a, law.b - law.a, law.c - law.b
    total = min(x, law.a)
    if rise != 0.0:
        gone = min(max(x, law.a), law.b) - law.a
        total += gone - gone / rise * (gone / width) * gone / 3
    if fall != 0.0:
        inside = min(max(x, law.b), law.c)
        gone, left = inside - law.b, law.c - inside
        total += gone * (fall * fall + fall * left + left * left) / (3 * width * fall)
    return total


@compiled
def _triangular_excess(law, x):
    width, rise, fall = law.c - law.a, law.b - law.a, law.c - law.b
    total = max(law.a - x, 0.0)
    if fall != 0.0:
        left = law.c - min(max(x, law.b), law.c)
        total += left / fall * (left / width) * left / 3
    if rise != 0.0:
        left = law.b - min(max(x, law.a), law.b)
        gone = rise - left
        total += left * (1 - (rise * rise + rise * gone + gone * gone) / (3 * width * rise))
    return total


@compiled
def _expected_excess(law, x):
    """Return E[max(X - x, 0)]."""
    kind = law.kind
    if kind == EXPONENTIAL:
        return law.a * survival(law, x)
    if kind == WEIBULL:
        return law.mean * special.gammaincc(1 / law.b, special.power(x / law.a, law.b), 0)
    if kind == LOGNORMAL:
        z = lognormal_z(law, x)
        return law.mean * special.ndtr(law.b - z, 0) - x * special.ndtr(-z, 0)
    if kind == CONSTANT:
        return max(law.a - x, 0.0)
    if kind == UNIFORM:
        inside = law.b - min(max(x, law.a), law.b)
        return max(law.a - x, 0.0) + inside * inside / (2 * (law.b - law.a))
    if kind == TRIANGULAR:
        return _triangular_excess(law, x)
    if kind == GAMMA:
        return law.mean * special.gammaincc(law.a + 1, x / law.b, 0) - x * survival(law, x)
    if kind == BETA:
        return law.mean * special.betaincc(law.a + 1, law.b, min(x, 1.0), 0) - x * survival(law, x)
    values = floats_of(law)
    return max(values[0, 0] - x, 0.0) + _interpolate(x, values[0], values[2])


@compiled
def _inverse_limited_mean(law, target):
    kind = law.kind
    if kind == WEIBULL:
        hazard = special.gammaincinv(1 / law.b, target / law.mean, 0)
        return law.a * special.power(hazard, 1 / law.b) if hazard > _LINEAR else target
    if kind == CONSTANT:
        return target
    if kind == UNIFORM:
        inside = max(target - law.a, 0.0)
        root = math.sqrt(max(1 - 2 * inside / (law.b - law.a), 0.0))
        return min(target, law.a) + 2 * inside / (1 + root)
    if kind == EMPIRICAL:
        values = floats_of(law)
        return target if target <= values[1, 0] else _interpolate(target, values[1], values[0])
    grid = floats_of(law)
    return _reach(law, grid[0, count_up_to(grid[1], target) - 1], target, False)


@compiled
def _inverse_expected_excess(law, target):
    kind = law.kind
    if kind == WEIBULL:
        return law.a * special.power(special.gammainccinv(1 / law.b, target / law.mean, 0), 1 / law.b)
    if kind == CONSTANT:
        return law.a - target
    if kind == UNIFORM:
        width = law.b - law.a
        most = width / 2
        return law.b - math.sqrt(2 * width * min(target, most)) - max(target - most, 0.0)
    if kind == EMPIRICAL:
        return _empirical_inverse_excess(law, target)
    # The last point of the grid whose expected excess is at least the target; excesses fall along the grid.
    grid = floats_of(law)
    low, high = 0, law.size
    while low < high:
        middle = (low + high) // 2
        if grid[2, middle] >= target:
            low = middle + 1
        else:
            high = middle
    return _reach(law, grid[0, low - 1], target, True)


@compiled
def _reach(law, x, target, falls):
    """Go up from a point of the grid by Newton's method, until the limited mean has risen, or the expected excess fallen, to a target."""
    for _ in range(_MOST_STEPS):
        slope = survival(law, x)
        left = _expected_excess(law, x) - target if falls else target - _limited_mean(law, x)
        step = left / slope if slope > 0 else 0.0
        if not step > _SMALLEST_STEP * x:
            break
        x += step
    return x


@compiled
def _empirical_inverse_excess(law, target):
    """Interpolate in the excesses, which fall from value to value, read backwards as numpy.interp would."""
    n, values, heights = law.size, floats_of(law)[0], floats_of(law)[2]
    beyond = max(target - heights[0], 0.0)
    if target <= heights[n - 1]:
        return values[n - 1] - beyond
    if target >= heights[0]:
        return values[0] - beyond
    low, high = 0, n  # the last place with a height above the target: numpy goes by the right end of equal ones
    while low < high:
        middle = (low + high) // 2
        if heights[middle] > target:
            low = middle + 1
        else:
            high = middle
    slope = (values[low - 1] - values[low]) / (heights[low - 1] - heights[low])
    return slope * (target - heights[low]) + values[low] - beyond


@compiled
def residual_quantile(law, u):
    """Return the quantile of the rest of a time in progress at time 0."""
    return _residual_invert(law, u, 1 - u)


@compiled
def residual_inverse_survival(law, s):
    """Return the smallest residual whose survival is at most s."""
    return _residual_invert(law, 1 - s, s)


@compiled
def _residual_invert(law, below, above):
    if law.kind == EXPONENTIAL:
        return exponential_residual(law, below, above)
    if below <= 0.5:
        return _inverse_limited_mean(law, below * law.mean)
    return _inverse_expected_excess(law, above * law.mean)


@compiled
def exponential_residual(law, below, above):
    """Return the quantile of the rest of a time with an exponential law, given the probabilities below and above it."""
    if below <= 0.5:
        return -law.a * log_rest(below * law.mean / law.a)
    return exponential_inverse(law, above * law.mean / law.a)


@compiled
def exponential_residual_survival(law, x):
    """Return :func:`residual_survival` of an exponential law."""
    return law.a * exponential_survival(law, min(max(x, 0.0), _LARGEST)) / law.mean


@compiled
def residual_survival(law, x):
    """Return the probability that a time in progress at time 0 lasts beyond x."""
    return max(_expected_excess(law, min(max(x, 0.0), _LARGEST)), 0.0) / law.mean
