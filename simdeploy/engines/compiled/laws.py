"""Distributions for compiled code: the laws of `simdeploy.world.laws` as records, by the same formulas.

A law is one record; what has no fixed size (observed values, grids for Newton's method) lies in a common array of floats, of which it knows the address.
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
_LINEAR = 1e-17
_LARGE_ENOUGH = 0.01
_SMALLEST_STEP = 4e-15
_MOST_STEPS = 100
_LARGEST = float(np.finfo(np.float64).max)


class LawTable:
    """Collects laws while a scenario is lowered; equal laws are kept once."""

    def __init__(self) -> None:
        self._places: dict[tuple[kinds.Distribution, bool], int] = {}
        self._records: list[dict[str, float]] = []
        self._columns: list[np.ndarray] = []
        self._used = 0

    def add(self, law: kinds.Distribution, *, runs_at_0: bool = False) -> int:
        """Return the place of a law; one that may already run at time 0 gets what its residual needs."""
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
        """Whether any law that may already run at time 0 is not exponential."""
        return any(runs_at_0 and not isinstance(law, kinds.Exponential) for law, runs_at_0 in self._places)

    def _append(self, *columns: np.ndarray) -> None:
        self._columns += columns
        self._used += sum(len(column) for column in columns)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the laws' records, and the floats that they point to, which must be kept alive as long."""
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
        return -law.a * _log_rest(u)
    if kind == CONSTANT:
        return law.a
    if kind == UNIFORM:
        return min(law.a + u * (law.b - law.a), law.b)
    if kind == WEIBULL:
        return law.a * special.power(-_log_rest(u), 1 / law.b)
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
def _log_rest(u):
    """Return the logarithm of 1 - u; `log1p` takes four times as long, and is needed only for a number that 1 swallows."""
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
        return special.ndtr(-_lognormal_z(law, x), 0)
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
    return (law.size - _count_up_to(floats_of(law)[0], x)) / law.size


@compiled
def exponential_survival(law, x):
    """Return the survival of an exponential law."""
    return math.exp2(-max(x, 0.0) / law.a * special.LOG2_E)


@compiled
def exponential_inverse(law, s):
    """Return the inverse of that."""
    return -law.a * math.log(s) if s > 0.0 else math.inf


@compiled
def _lognormal_z(law, x):
    return (math.log(x / law.a) if x > 0.0 else -math.inf) / law.b


@compiled
def _count_up_to(numbers, x):
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


# -- what is left of a time that runs already at time 0 (simdeploy.world.residual) ---------------------


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
        z = _lognormal_z(law, x)
        return law.mean * special.ndtr(z - law.b, 0) + x * special.ndtr(-z, 0)
    if kind == CONSTANT:
        return min(x, law.a)
    if kind == UNIFORM:
        inside = min(max(x, law.a), law.b) - law.a
        return min(x, law.a) + inside - inside**2 / (2 * (law.b - law.a))
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
    j = _count_up_to(xs, x) - 1
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
        total += gone * (fall**2 + fall * left + left**2) / (3 * width * fall)
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
        total += left * (1 - (rise**2 + rise * gone + gone**2) / (3 * width * rise))
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
        z = _lognormal_z(law, x)
        return law.mean * special.ndtr(law.b - z, 0) - x * special.ndtr(-z, 0)
    if kind == CONSTANT:
        return max(law.a - x, 0.0)
    if kind == UNIFORM:
        inside = law.b - min(max(x, law.a), law.b)
        return max(law.a - x, 0.0) + inside**2 / (2 * (law.b - law.a))
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
    x = grid[0, _count_up_to(grid[1], target) - 1]
    for _ in range(_MOST_STEPS):
        slope = survival(law, x)
        step = (target - _limited_mean(law, x)) / slope if slope > 0 else 0.0
        if not step > _SMALLEST_STEP * x:
            break
        x += step
    return x


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
    x = grid[0, low - 1]
    for _ in range(_MOST_STEPS):
        slope = survival(law, x)
        step = (_expected_excess(law, x) - target) / slope if slope > 0 else 0.0
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
    """Return the quantile of what is left of a time that runs at time 0."""
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
    """Return the quantile of what is left of a time with an exponential law, the probabilities below and above it given."""
    if below <= 0.5:
        return -law.a * _log_rest(below * law.mean / law.a)
    return exponential_inverse(law, above * law.mean / law.a)


@compiled
def exponential_residual_survival(law, x):
    """Return :func:`residual_survival` of an exponential law."""
    return law.a * exponential_survival(law, min(max(x, 0.0), _LARGEST)) / law.mean


@compiled
def residual_survival(law, x):
    """Return the probability that a time that runs at time 0 is still running at x."""
    return max(_expected_excess(law, min(max(x, 0.0), _LARGEST)), 0.0) / law.mean
