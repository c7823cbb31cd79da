"""Inverting the integrated survival of a law by Newton's method from the left, which can't overshoot.

The limited mean L(x) = E[min(X, x)] is concave and increasing with slope S(x), the survival; the expected excess
E(x) = E[max(X - x, 0)] is convex and decreasing with slope -S(x). Started at or left of the root, Newton's steps on
either stay left of it and only ever increase. The start is the next point to the left on a grid of quantiles between
which the survival at most halves, so a step covers at least half of what is left and then converges quadratically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Survival from 1 in steps of 2**(-1/8) down to 2**-32, then in halves down to the smallest that laws can invert.
_LEVELS = np.exp2(-np.concatenate([np.arange(1, 256) / 8, np.arange(32, 1001)]))
_SMALLEST_STEP = 4e-15  # relative; below it, steps are rounding
_MOST_STEPS = 100


@dataclass(frozen=True)
class Grid:
    """Points x with the limited mean and the expected excess there, x ascending from 0."""

    x: FloatArray
    limited_mean: FloatArray
    expected_excess: FloatArray

    def x_below(self, target: Any) -> Any:
        """Return the last point whose limited mean is at most `target`."""
        return self.x[np.searchsorted(self.limited_mean, target, side="right") - 1]

    def x_before(self, target: Any) -> Any:
        """Return the last point whose expected excess is at least `target`."""
        return self.x[np.searchsorted(-self.expected_excess, -np.asarray(target), side="right") - 1]


def make_grid(
    inverse_survival: Callable[[Any], Any], limited_mean: Callable[[Any], Any], expected_excess: Callable[[Any], Any]
) -> Grid:
    """Tabulate a law of numbers >= 0 at quantiles."""
    points = inverse_survival(_LEVELS)
    x = np.concatenate([[0.0], points[np.isfinite(points)]])
    # Rounding may bend the ends by a last digit; the search needs them in order.
    limited = np.maximum.accumulate(limited_mean(x))
    excess = np.minimum.accumulate(expected_excess(x))
    limited[0], excess[0] = 0.0, np.inf
    return Grid(x, limited, excess)


def climb(
    target: FloatArray,
    start: FloatArray,
    gap: Callable[[FloatArray, FloatArray], FloatArray],
    slope: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Find the roots of ``gap(x, target)``, a convex decreasing function of x with slope ``-slope(x)``.

    Parameters
    ----------
    target, start : ndarray of float, shape (n,)
        `start` at or left of the roots.
    gap : callable
        Of x and target.
    slope : callable
        Of x; at least 0.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    x = np.array(start, dtype=np.float64)
    active = np.arange(x.size)
    for _ in range(_MOST_STEPS):
        here = x[active]
        slopes = slope(here)
        # A survival that underflows leaves nothing to go by: stay, beyond every uniform there is.
        step = np.divide(gap(here, target[active]), slopes, out=np.zeros_like(slopes), where=slopes > 0)
        forward = step > _SMALLEST_STEP * here
        active = active[forward]
        if not active.size:
            break
        x[active] += step[forward]
    return x
