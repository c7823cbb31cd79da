"""The interface of all laws, and the inversion of the integrals of their survival."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# A float gives a float, an array gives an array.
Numbers = TypeVar("Numbers", float, FloatArray)

# Survival from 1 in steps of 2**(-1/8) down to 2**-32, then in halves down to the smallest that laws can invert.
_LEVELS = np.exp2(-np.concatenate([np.arange(1, 256) / 8, np.arange(32, 1001)]))
_SMALLEST_STEP = 4e-15  # relative; below it, steps are rounding
_MOST_STEPS = 100


class Law(ABC):
    """A law of one number: its distribution function from both ends, and the inverses.

    All four methods take a float and return a float, or an array and return an array, with bitwise equal results. Upper tails
    have separate methods, because 1 - u loses their digits.
    """

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Lowest and highest value."""

    @abstractmethod
    def _cdf(self, x: Any) -> Any: ...

    @abstractmethod
    def _survival(self, x: Any) -> Any: ...

    @abstractmethod
    def _quantile(self, u: Any) -> Any: ...

    @abstractmethod
    def _inverse_survival(self, s: Any) -> Any: ...

    def cdf(self, x: Numbers) -> Numbers:
        """Probability of a value up to and including `x`."""
        return _to_kind_of(x, self._cdf(x))

    def survival(self, x: Numbers) -> Numbers:
        """Probability of a value above `x`."""
        return _to_kind_of(x, self._survival(x))

    def quantile(self, u: Numbers) -> Numbers:
        """Smallest value whose cdf is at least `u`, in [0, 1]; never decreases with `u` beyond rounding."""
        return _to_kind_of(u, self._quantile(u))

    def inverse_survival(self, s: Numbers) -> Numbers:
        """Smallest value whose survival is at most `s`, in [0, 1]."""
        return _to_kind_of(s, self._inverse_survival(s))


class Distribution(Law):
    """A law with known moments, as a scenario names it.

    Beyond :class:`Law` it knows what renewal processes need: ``limited_mean(x)`` = E[min(X, x)], the integral of the
    survival up to `x`, and ``expected_excess(x)`` = E[max(X - x, 0)], the integral from `x` on. Their sum is the mean;
    each is computed without subtracting from it, as far as the law allows.

    Attributes
    ----------
    mean, variance : float
        Finite.
    """

    if TYPE_CHECKING:
        # For the type checker only: some laws have the mean as a field, which a property here would forbid.
        @property
        def mean(self) -> float:
            """The mean."""

        @property
        def variance(self) -> float:
            """The variance."""

    @abstractmethod
    def limited_mean(self, x: Any) -> Any:
        """E[min(X, x)]."""

    @abstractmethod
    def expected_excess(self, x: Any) -> Any:
        """E[max(X - x, 0)]."""

    def inverse_limited_mean(self, target: Any) -> Any:
        """Find the x >= 0 whose limited mean is `target`, for a law of numbers >= 0."""
        return climb(target, self.grid.x_below(target), lambda x, t: t - self.limited_mean(x), self._survival)

    def inverse_expected_excess(self, target: Any) -> Any:
        """Find the x >= 0 whose expected excess is `target`, for a law of numbers >= 0."""
        return climb(target, self.grid.x_before(target), lambda x, t: self.expected_excess(x) - t, self._survival)

    @cached_property
    def grid(self) -> Grid:
        """Starting points for Newton's method, with both integrals of the survival there."""
        return make_grid(self._inverse_survival, self.limited_mean, self.expected_excess)


class UnboundedLaw(Distribution):
    """A law of numbers above 0, of any size."""

    @property
    def support(self) -> tuple[float, float]:
        """From 0 on."""
        return (0.0, math.inf)


def require(condition: bool, message: str) -> None:
    """Refuse invalid parameters of a law.

    Raises
    ------
    ValueError
        With `message`.
    """
    if not condition:
        raise ValueError(message)


def require_finite(**parameters: float) -> None:
    """Refuse parameters, or moments, that are not finite numbers."""
    for name, value in parameters.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value}")


def require_positive(**parameters: float) -> None:
    """Refuse parameters that are not finite numbers above 0."""
    require_finite(**parameters)
    for name, value in parameters.items():
        require(value > 0, f"{name} must be above 0, not {value}")


def require_spread(mean: float, sd: float) -> None:
    """Refuse a mean and standard deviation, both above 0, so far apart that the law would be lost to rounding."""
    require_positive(mean=mean, sd=sd)
    require(sd >= 1e-5 * mean, f"sd ({sd}) is too small for the mean ({mean}): use constant")


def require_moments(law: Distribution, hint: str) -> None:
    """Refuse a law whose mean or variance is beyond floating point; `hint` says which parameter is to blame."""
    try:
        usable = math.isfinite(law.mean) and math.isfinite(law.variance)
    except OverflowError:
        usable = False
    require(usable, f"the mean or variance overflows: {hint}")


def _to_kind_of(argument: Numbers, value: Any) -> Numbers:
    same_kind: Numbers = float(value) if isinstance(argument, int | float) else value
    return same_kind


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
    # The search needs sorted values, and rounding may disorder their last digits.
    limited = np.maximum.accumulate(limited_mean(x))
    excess = np.minimum.accumulate(expected_excess(x))
    limited[0], excess[0] = 0.0, np.inf
    return Grid(x, limited, excess)


def climb(
    target: FloatArray,
    start: FloatArray,  # at or left of the roots
    gap: Callable[[FloatArray, FloatArray], FloatArray],  # of x and target
    slope: Callable[[FloatArray], FloatArray],  # of x; at least 0
) -> FloatArray:
    """Find the roots of ``gap(x, target)``, a convex decreasing function of x with slope ``-slope(x)``.

    Newton's method from the left, which can't overshoot. The limited mean L(x) = E[min(X, x)] is concave and increasing
    with slope S(x), the survival; the expected excess E(x) = E[max(X - x, 0)] is convex and decreasing with slope -S(x).
    Started at or left of the root, Newton's steps on either stay left of it and only ever increase. The start is the next
    point to the left on a grid of quantiles between which the survival at most halves, so a step covers at least half of
    what is left and then converges quadratically.
    """
    x = np.array(start, dtype=np.float64)
    active = np.arange(x.size)
    for _ in range(_MOST_STEPS):
        here = x[active]
        slopes = slope(here)
        # Where the survival underflows, there is no step: the point is beyond the quantile of any uniform.
        step = np.divide(gap(here, target[active]), slopes, out=np.zeros_like(slopes), where=slopes > 0)
        forward = step > _SMALLEST_STEP * here
        active = active[forward]
        if not active.size:
            break
        x[active] += step[forward]
    return x
