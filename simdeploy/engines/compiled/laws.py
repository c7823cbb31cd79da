"""Distributions for compiled code: the laws of `simdeploy.world.laws` as records, by the same formulas.

A law is one record; parts without a fixed size (observed values, grids for Newton's method) are in a common array of floats, whose
address it holds.
"""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled import special
from simdeploy.engines.compiled.access import floats_of
from simdeploy.engines.compiled.jit import compiled, inlined
from simdeploy.engines.compiled.records import LAW_RECORD, make_table
from simdeploy.units import MAX_DURATION_NS, NS_PER_S
from simdeploy.world import distributions as kinds
from simdeploy.world.distributions import sample_ns

CONSTANT, UNIFORM, TRIANGULAR, EXPONENTIAL, WEIBULL, LOGNORMAL, GAMMA, BETA, EMPIRICAL = range(9)


_PARAMETERS = {
    kinds.Constant: (CONSTANT, ("value",)),
    kinds.Uniform: (UNIFORM, ("low", "high")),
    kinds.Triangular: (TRIANGULAR, ("low", "mode", "high")),
    kinds.Exponential: (EXPONENTIAL, ("mean",)),
    kinds.Weibull: (WEIBULL, ("scale", "shape")),
    kinds.Lognormal: (LOGNORMAL, ("median", "sigma")),
    kinds.Gamma: (GAMMA, ("shape", "scale")),
    kinds.Beta: (BETA, ("alpha", "beta")),
    kinds.Empirical: (EMPIRICAL, ()),
}
_CLIMBED = (kinds.Triangular, kinds.Lognormal, kinds.Gamma, kinds.Beta)

_NS = float(NS_PER_S)
_MAX_NS = float(MAX_DURATION_NS)
_LARGE_ENOUGH = 0.01


class LawTable:
    """Collects laws while a scenario is lowered; equal laws are kept once."""

    def __init__(self) -> None:
        self._places: dict[tuple[kinds.Distribution, bool], int] = {}
        self._records: list[dict[str, float]] = []
        self._columns: list[np.ndarray] = []
        self._used = 0

    def add(self, law: kinds.Distribution, *, runs_at_0: bool = False) -> int:
        """Return the place of a law; for a spell that may be in progress at time 0 add the data for its residual."""
        key = (law, runs_at_0)
        if key not in self._places:
            self._places[key] = len(self._records)
            kind, names = _PARAMETERS[type(law)]
            parameters = dict(zip("abc", (*(getattr(law, name) for name in names), 0.0, 0.0, 0.0), strict=False))
            constant_ns = sample_ns(law, 0.5) if isinstance(law, kinds.Constant) and law.value >= 0 else 0
            first, size = self._used, 0
            if isinstance(law, kinds.Empirical):
                size = len(law.values)
                self._append(np.array(law.values), law.limited_means, law.expected_excesses)
            elif runs_at_0 and isinstance(law, _CLIMBED):
                size = len(law.grid.x)
                self._append(law.grid.x, law.grid.limited_mean, law.grid.expected_excess)
            self._records.append(
                {
                    "kind": kind,
                    **parameters,
                    "mean": law.mean,
                    "constant_ns": constant_ns,
                    "floats_at": first,
                    "size": size,
                }
            )
        return self._places[key]

    @property
    def has_other_spells(self) -> bool:
        """Whether any law of spells is not exponential."""
        return any(runs_at_0 and not isinstance(law, kinds.Exponential) for law, runs_at_0 in self._places)

    def _append(self, *columns: np.ndarray) -> None:
        self._columns += columns
        self._used += sum(len(column) for column in columns)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the laws' records, and the floats that they point to, which must be kept alive."""
        floats = np.concatenate(self._columns) if self._columns else np.zeros(1)
        records = make_table(LAW_RECORD, self._records)
        records["floats_at"] = floats.ctypes.data + 8 * records["floats_at"]
        return records, floats


@compiled
def quantile(law, u):
    """Return the law's quantile at u in (0, 1)."""
    kind = law.kind
    if kind == LOGNORMAL:
        return law.a * special.exp(law.b * special.normal_quantile(u))
    if kind == EXPONENTIAL:
        return -law.a * log_rest(u)
    if kind == CONSTANT:
        return law.a
    if kind == UNIFORM:
        return min(law.a + u * (law.b - law.a), law.b)
    if kind == WEIBULL:
        return law.a * special.power(-log_rest(u), 1 / law.b)
    if kind == TRIANGULAR:
        return _triangular_place(law, u, 1 - u, u - (law.b - law.a) / (law.c - law.a))
    if kind == GAMMA:
        return law.b * special.gammaincinv(law.a, u, 0)
    if kind == BETA:
        return special.betaincinv(law.a, law.b, max(u, 2.0**-53), 0)
    n = law.size
    k = math.ceil(u * n)
    if (k - 1) / n >= u:
        k -= 1
    elif k / n < u:
        k += 1
    return floats_of(law)[0, max(np.int64(k), 1) - 1]


@inlined
def log_rest(u):
    """Return the logarithm of 1 - u; `log1p` takes four times as long, and is needed only if 1 - u rounds to 1."""
    return math.log(1 - u) if u > _LARGE_ENOUGH else math.log1p(-u)


@compiled
def _triangular_place(law, below, above, beyond_mode):
    width, rise, fall = law.c - law.a, law.b - law.a, law.c - law.b
    rising = min(law.a + math.sqrt(below * width * rise), law.b)
    if fall == 0.0:
        return rising
    area = max(beyond_mode, 0.0) * width * fall
    falling = law.b + area / (fall + math.sqrt(above * width * fall))
    return rising if beyond_mode < 0 else min(falling, law.c)


@compiled
def to_ns(seconds, factor):
    """Round seconds times a factor to whole nanoseconds, halves up, at most 100 years."""
    ns = min(seconds * _NS * factor, _MAX_NS)
    whole = math.floor(ns)
    return np.int64(whole) + (1 if ns - whole >= 0.5 else 0)


@compiled
def draw_ns(law, u, factor):
    """Sample a duration in whole nanoseconds."""
    if law.kind == CONSTANT and factor == 1.0:
        return law.constant_ns
    return to_ns(quantile(law, u), factor)


@compiled
def survival(law, x):
    """Return the probability of a value above x."""
    kind = law.kind
    if kind == EXPONENTIAL:
        return exponential_survival(law, x)
    if kind == WEIBULL:
        return math.exp2(-special.power(max(x, 0.0) / law.a, law.b) * special.LOG2_E)
    if kind == LOGNORMAL:
        return special.ndtr(-lognormal_z(law, x), 0)
    if kind == CONSTANT:
        return 0.0 if x >= law.a else 1.0
    if kind == UNIFORM:
        return 1.0 - (min(max(x, law.a), law.b) - law.a) / (law.b - law.a)
    if kind == TRIANGULAR:
        return _triangular_survival(law, x)
    if kind == GAMMA:
        return special.gammaincc(law.a, max(x, 0.0) / law.b, 0)
    if kind == BETA:
        return special.betaincc(law.a, law.b, min(max(x, 0.0), 1.0), 0)
    return (law.size - count_up_to(floats_of(law)[0], x)) / law.size


@compiled
def exponential_survival(law, x):
    """Return the survival of an exponential law."""
    return math.exp2(-max(x, 0.0) / law.a * special.LOG2_E)


@compiled
def exponential_inverse(law, s):
    """Return the inverse of the survival of an exponential law."""
    return -law.a * math.log(s) if s > 0.0 else math.inf


@compiled
def lognormal_z(law, x):
    return (math.log(x / law.a) if x > 0.0 else -math.inf) / law.b


@compiled
def count_up_to(numbers, x):
    """Return how many of the ascending numbers are at most x."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _triangular_survival(law, x):
    width, rise, fall = law.c - law.a, law.b - law.a, law.c - law.b
    total = 0.0
    if fall != 0.0:
        left = law.c - min(max(x, law.b), law.c)
        total += left / fall * (left / width)
    if rise != 0.0:
        inside = min(max(x, law.a), law.b)
        total += (law.b - inside) / rise * ((rise + (inside - law.a)) / width)
    return total


@compiled
def inverse_survival(law, s):
    """Return the smallest value whose survival is at most s in [0, 1]."""
    kind = law.kind
    if kind == EXPONENTIAL:
        return exponential_inverse(law, s)
    if kind == WEIBULL:
        return law.a * special.power(-math.log(s) if s > 0.0 else math.inf, 1 / law.b)
    if kind == LOGNORMAL:
        return law.a * special.exp(-law.b * _normal_quantile_closed(s))
    if kind == CONSTANT:
        return law.a
    if kind == UNIFORM:
        return max(law.b - s * (law.b - law.a), law.a)
    if kind == TRIANGULAR:
        return _triangular_place(law, 1 - s, s, (law.c - law.b) / (law.c - law.a) - s)
    if kind == GAMMA:
        return law.b * special.gammainccinv(law.a, s, 0)
    if kind == BETA:
        return special.betainccinv(law.a, law.b, max(s, 2.0**-53) if s > 0.0 else 0.0, 0)
    n = law.size
    k = math.floor(s * n)
    if (k + 1) / n <= s:
        k += 1
    elif k / n > s:
        k -= 1
    return floats_of(law)[0, max(n - np.int64(k), 1) - 1]


@compiled
def _normal_quantile_closed(u):
    if u <= 0.0:
        return -math.inf
    return math.inf if u >= 1.0 else special.normal_quantile(u)
