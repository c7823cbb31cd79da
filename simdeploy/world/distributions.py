"""The distributions that a scenario may name, and how they give durations.

Every distribution inverts one uniform per value and is non-decreasing in it: the same uniform under another policy, or
under a slightly different distribution, gives the same or a slightly different value, which keeps common random numbers
effective.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from simdeploy.units import MAX_DURATION_NS, NS_PER_S, exact, round_half_up
from simdeploy.world.laws.base import Distribution, FloatArray, Law
from simdeploy.world.laws.beta import Beta
from simdeploy.world.laws.constant import Constant
from simdeploy.world.laws.empirical import Empirical
from simdeploy.world.laws.exponential import Exponential
from simdeploy.world.laws.gamma import Gamma
from simdeploy.world.laws.lognormal import Lognormal
from simdeploy.world.laws.triangular import Triangular
from simdeploy.world.laws.uniform import Uniform
from simdeploy.world.laws.weibull import Weibull

__all__ = [
    "Beta",
    "Constant",
    "Distribution",
    "Empirical",
    "Exponential",
    "Gamma",
    "Law",
    "Lognormal",
    "Triangular",
    "Uniform",
    "Weibull",
    "sample_ns",
    "to_ns",
]


# 10**9 and the longest duration are exact in floating point.
_NS = float(NS_PER_S)
_MAX_NS = float(MAX_DURATION_NS)


@overload
def sample_ns(law: Law, u: float, factor: float = 1.0) -> int: ...
@overload
def sample_ns(law: Law, u: FloatArray, factor: float = 1.0) -> npt.NDArray[np.int64]: ...
def sample_ns(
    law: Law,  # of seconds, at least 0: a distribution or a residual
    u: Any,  # uniforms in (0, 1)
    factor: float = 1.0,  # multiplies the duration before rounding
) -> Any:
    """Sample a duration in whole nanoseconds.

    This is `to_ns` of the quantile. A constant is read as its shortest decimal literal, so a duration in a file is exact to
    the nanosecond.

    Examples
    --------
    >>> sample_ns(Constant(0.1), 0.7), sample_ns(Uniform(0.0, 10.0), 0.5, factor=2.0)
    (100000000, 10000000000)
    """
    if type(law) is Constant and factor == 1.0:  # isinstance is slow for an abstract base class
        ns = _exact_ns(law.value)
        return ns if isinstance(u, float) else np.full(np.shape(u), ns, dtype=np.int64)
    return to_ns(law.quantile(u), factor)


@overload
def to_ns(seconds: float, factor: float = 1.0) -> int: ...
@overload
def to_ns(seconds: FloatArray, factor: float = 1.0) -> npt.NDArray[np.int64]: ...
def to_ns(
    seconds: Any,  # at least 0; infinity is the longest duration
    factor: float = 1.0,  # the product is ``seconds * 1e9 * factor``, multiplied from the left
) -> Any:
    """Round sampled seconds to whole nanoseconds, halves up, at most ``units.MAX_DURATION_NS``.

    Examples
    --------
    >>> to_ns(1.5), to_ns(float("inf")) == MAX_DURATION_NS
    (1500000000, True)
    """
    # Not floor(ns + 0.5): beyond 2**52 the sum would itself be rounded, up for every odd number.
    if isinstance(seconds, float):
        ns = min(seconds * _NS * factor, _MAX_NS)
        whole = math.floor(ns)
        return whole + (ns - whole >= 0.5)
    with np.errstate(over="ignore"):
        ns = np.minimum(seconds * _NS * factor, _MAX_NS)
    whole = np.floor(ns)
    return (whole + (ns - whole >= 0.5)).astype(np.int64)


@lru_cache(maxsize=1024)
def _exact_ns(seconds: float) -> int:
    return min(round_half_up(exact(seconds) * NS_PER_S), MAX_DURATION_NS)
