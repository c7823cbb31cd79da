"""Maximum likelihood and profile-likelihood intervals of a few parameters.

Log-likelihoods are functions of many points at once, (n, k) -> (n,), so that numeric derivatives need only one call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LogLikelihood = Callable[[np.ndarray], np.ndarray]

_STEP = 1e-3  # of numeric derivatives; their truncation errors are below rounding errors
_LONGEST = 2.0  # longest step of Newton's method
_FRACTIONS = np.array([1.0, 0.5, 0.2, 0.05, 0.005])
_CLOSE = 1e-6  # tolerance of log-likelihoods
_ROUNDS = 60
_FLAT = 1e-8
_FLATTEST = 1e-10
_CLOSE_ROOT = 2e-3  # tolerance of roots of deviances
_FARTHEST = 1e3


class StartError(ValueError):
    """A log-likelihood is not finite where the search for its maximum begins."""


@dataclass(frozen=True)
class Maximum:
    """The maximum of a log-likelihood."""

    x: np.ndarray  # the parameters
    value: float  # the log-likelihood
    free: np.ndarray  # indices of the parameters that were not fixed
    curvature: np.ndarray  # minus the second derivatives with respect to these

    def variance(self, place: int) -> float:
        """Return a parameter's variance, from the inverse of the curvature: very large if the likelihood is flat, NaN if it was fixed."""
        at = np.flatnonzero(self.free == place)
        return float(_invert(self.curvature)[at[0], at[0]]) if len(at) else np.nan


def maximize(
    log_likelihood: LogLikelihood,  # of points in rows; minus infinity for invalid parameters
    start: np.ndarray,  # a point at which it is finite
    *,
    fixed: Collection[int] = (),  # parameters that keep their values
) -> Maximum:
    """Find the maximum by Newton's method with numeric derivatives.

    Raises
    ------
    StartError
        If the log-likelihood is not finite at the start.

    Examples
    --------
    >>> import numpy as np
    >>> found = maximize(lambda x: -((x[:, 0] - 3) ** 2) - np.exp(x[:, 1]) + x[:, 1], np.zeros(2))
    >>> bool(abs(found.x - [3, 0]).max() < 1e-3), round(found.value, 4)
    (True, -1.0)
    """
    x = np.array(start, dtype=float)
    free = np.array([place for place in range(len(x)) if place not in fixed], dtype=int)
    value, gradient, curvature = _differentiate(log_likelihood, x, free)
    if not np.isfinite(value):
        raise StartError("the log-likelihood is not finite at the start")
    for _ in range(_ROUNDS):
        if not len(free):
            break
        step = _find_step(gradient, curvature)
        tried = x + np.zeros((len(_FRACTIONS), len(x)))
        tried[:, free] += _FRACTIONS[:, None] * step
        values = log_likelihood(tried)
        values = np.where(np.isnan(values), -np.inf, values)
        best = int(np.argmax(values))
        gain = values[best] - value
        if gain <= _CLOSE:
            if gain > 0:
                x, value = tried[best], float(values[best])
            break
        x = tried[best]
        value, gradient, curvature = _differentiate(log_likelihood, x, free)
    return Maximum(x, float(value), free, curvature)


def profile(
    log_likelihood: LogLikelihood,
    best: Maximum,
    place: int,  # index of the parameter
    *,
    drop: float,  # half the quantile of chi-squared with 1 degree of freedom, or of the squared t
    fixed: Collection[int] = (),  # parameters that keep their values, as in `best`
    lowest: float = -np.inf,  # lowest value to try; a limit below is minus infinity
    starts: np.ndarray | None = None,  # more points near which the other parameters may maximize it
) -> tuple[float, float]:
    """Return the interval of a parameter within which the profile log-likelihood is at most `drop` below its maximum.

    Examples
    --------
    >>> import numpy as np
    >>> def normal(x):
    ...     return -0.5 * (x[:, 0] - 3) ** 2
    >>> low, high = profile(normal, maximize(normal, np.zeros(1)), 0, drop=1.96**2 / 2)
    >>> round(low, 3), round(high, 3)
    (1.04, 4.96)
    """
    if drop == 0:
        return float(best.x[place]), float(best.x[place])
    variance = best.variance(place)
    scale = float(np.sqrt(variance)) if np.isfinite(variance) and variance > 0 else 1.0
    search = _Search(log_likelihood, best, place, float(np.sqrt(2 * drop)), tuple({place, *fixed}), starts)
    return search.find_end(-min(scale, 1.0), lowest), search.find_end(min(scale, 1.0), np.inf)


def find_curvature(log_likelihood: LogLikelihood, x: np.ndarray, free: Collection[int]) -> np.ndarray:
    """Return minus the second derivatives with respect to some of the parameters."""
    return _differentiate(log_likelihood, x, np.array(sorted(free), dtype=int))[2]


def step_by_score(
    log_likelihood: LogLikelihood,
    x: np.ndarray,
    free: Collection[int],  # parameters to be estimated
    curvature: np.ndarray,  # approximately the expected one
) -> np.ndarray:
    """Return an estimate near the truth `x` by one step of the method of scoring, as good as the maximum to first order.

    Examples
    --------
    >>> import numpy as np
    >>> def normal(x):
    ...     return -0.5 * (x[:, 0] - 3) ** 2
    >>> step_by_score(normal, np.array([2.5]), (0,), np.eye(1)).round(6).tolist()
    [3.0]
    """
    places = np.array(sorted(free), dtype=int)
    steps = np.zeros((len(places), len(x)))
    steps[np.arange(len(places)), places] = _STEP
    plus, minus = np.split(log_likelihood(np.concatenate([x + steps, x - steps])), 2)
    moved = x.copy()
    moved[places] += _find_step((plus - minus) / (2 * _STEP), curvature)
    return moved


@dataclass(frozen=True)
class _Search:
    """Finds where the signed root of the deviance, which is nearly linear, reaches a value."""

    log_likelihood: LogLikelihood
    best: Maximum
    place: int
    wanted: float
    fixed: tuple[int, ...]
    starts: np.ndarray | None

    def find_end(self, scale: float, bound: float) -> float:
        centre = float(self.best.x[self.place])
        beyond = float(np.copysign(np.inf, scale))
        inside, root_inside, others = centre, 0.0, self.best.x
        outside, root_outside = np.nan, np.inf
        at = centre + self.wanted * scale
        for _ in range(40):
            at = max(at, bound) if scale < 0 else min(at, bound)
            root, fitted = self._look(at, others)
            if abs(root - self.wanted) < _CLOSE_ROOT:
                return at
            if root < self.wanted:
                if at == bound or abs(at - centre) > _FARTHEST:
                    return beyond
                inside, root_inside, others = at, root, fitted
            else:
                outside, root_outside = at, root
            if np.isnan(outside):
                at = centre + (at - centre) * float(np.clip(self.wanted / max(root, 1e-9), 1.05, 4.0))
            elif np.isfinite(root_outside):
                share = (self.wanted - root_inside) / (root_outside - root_inside)
                at = inside + (outside - inside) * float(np.clip(share, 0.02, 0.98))
            else:
                at = (inside + outside) / 2
        return at

    def _look(self, at: float, others: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the root of the deviance at this value of the parameter, and the other parameters that maximize the likelihood."""
        if self.starts is not None:
            points = np.concatenate([others[None], self.starts])
            points[:, self.place] = at
            others = points[np.argmax(self.log_likelihood(points))]
        for near in (others, self.best.x):
            start = near.copy()
            start[self.place] = at
            with suppress(StartError):
                maximum = maximize(self.log_likelihood, start, fixed=self.fixed)
                return float(np.sqrt(max(0.0, 2 * (self.best.value - maximum.value)))), maximum.x
        return np.inf, others


def _differentiate(
    log_likelihood: LogLikelihood, x: np.ndarray, free: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return value, gradient and minus the second derivatives, by central differences in one call; flat where it is not finite."""
    k = len(free)
    first, second = _pairs(k)
    values = log_likelihood(x + _steps(len(x), tuple(free.tolist())))
    if not np.isfinite(values[0]):
        return float(values[0]), np.zeros(k), np.eye(k)
    value, plus, minus = values[0], values[1 : k + 1], values[k + 1 : 2 * k + 1]
    both, neither = values[2 * k + 1 :].reshape(2, -1)
    curvature = np.zeros((k, k))
    with np.errstate(invalid="ignore"):
        gradient = (plus - minus) / (2 * _STEP)
        curvature[np.arange(k), np.arange(k)] = -(plus - 2 * value + minus) / _STEP**2
        mixed = both + neither + 2 * value - plus[first] - plus[second] - minus[first] - minus[second]
    curvature[first, second] = curvature[second, first] = -mixed / (2 * _STEP**2)
    if not np.isfinite(gradient).all():
        gradient = np.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    if not np.isfinite(curvature).all():
        curvature = np.eye(k)
    return float(value), gradient, curvature


@lru_cache(maxsize=64)
def _pairs(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all pairs of k parameters."""
    first, second = np.triu_indices(k, 1)
    return first, second


@lru_cache(maxsize=64)
def _steps(size: int, free: tuple[int, ...]) -> np.ndarray:
    """Return the steps to the points of `_differentiate`: none, one of each parameter up and down, and two at once up and down."""
    single = _STEP * np.eye(size)[list(free)]
    first, second = _pairs(len(free))
    both = single[first] + single[second]
    steps = np.concatenate([np.zeros((1, size)), single, -single, both, -both])
    steps.setflags(write=False)
    return steps


def _find_step(gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return Newton's step, made an ascent in every direction, and limited to a length for which the quadratic is accurate."""
    values, vectors = np.linalg.eigh(curvature)
    largest = max(float(np.abs(values).max()), 1e-12)
    step: np.ndarray = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), _FLAT * largest + 1e-9))
    longest = float(np.abs(step).max())
    return step if longest <= _LONGEST else step * (_LONGEST / longest)


def _invert(curvature: np.ndarray) -> np.ndarray:
    """Return the inverse."""
    values, vectors = np.linalg.eigh(curvature)
    inverse: np.ndarray = (vectors / np.where(values > _FLATTEST, values, _FLATTEST)) @ vectors.T
    return inverse
