"""The laws against scipy.stats, their residuals against numerical integration, and durations in nanoseconds."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate, stats

from simdeploy.units import MAX_DURATION_NS, round_half_up
from simdeploy.world.distributions import (
    Beta,
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    Lognormal,
    Triangular,
    Uniform,
    Weibull,
    sample_ns,
    to_ns,
)
from simdeploy.world.residual import Residual
from simdeploy.world.streams import Stream, uniforms

# Each law with the same law of scipy.
PAIRS: list[tuple[Distribution, Any]] = [
    (Uniform(2.0, 5.0), stats.uniform(2, 3)),
    (Uniform(-1.0, 1.0), stats.uniform(-1, 2)),
    (Triangular(1.0, 2.0, 7.0), stats.triang(1 / 6, 1, 6)),
    (Triangular(0.0, 0.0, 1.0), stats.triang(0, 0, 1)),
    (Triangular(0.0, 3.0, 3.0), stats.triang(1, 0, 3)),
    (Exponential(600.0), stats.expon(0, 600)),
    (Weibull(100.0, 0.5), stats.weibull_min(0.5, 0, 100)),
    (Weibull(100.0, 8.0), stats.weibull_min(8, 0, 100)),
    (Lognormal(45.0, 0.6), stats.lognorm(0.6, 0, 45)),
    (Lognormal(45.0, 2.5), stats.lognorm(2.5, 0, 45)),
    (Gamma(4.0, 2.5), stats.gamma(4, 0, 2.5)),
    (Gamma(0.3, 2.5), stats.gamma(0.3, 0, 2.5)),
    (Beta(2.0, 5.0), stats.beta(2, 5)),
    (Beta(0.5, 40.0), stats.beta(0.5, 40)),
]
LAWS = [law for law, _ in PAIRS] + [Constant(3.0), Empirical([4.0, 1.0, 2.0, 2.0, 9.0])]
TIMES = [law for law in LAWS if law.support[0] >= 0]
TAILS = np.array([1e-300, 1e-100, 1e-16, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6, 1 - 2.0**-53])

pairs = pytest.mark.parametrize(("law", "same"), PAIRS, ids=[str(law) for law, _ in PAIRS])
laws = pytest.mark.parametrize("law", LAWS, ids=str)
times = pytest.mark.parametrize("law", TIMES, ids=str)


@pairs
def test_moments_and_support(law: Distribution, same: Any) -> None:
    """Mean, variance and support are those of scipy. [oracle]"""
    assert law.mean == pytest.approx(same.mean(), rel=1e-12, abs=1e-15)
    assert law.variance == pytest.approx(same.var(), rel=1e-10)
    assert law.support == same.support()


@pairs
def test_cdf_and_survival(law: Distribution, same: Any) -> None:
    """Both tails agree with scipy relative to their size, inside the support and outside. [oracle]"""
    inside = np.concatenate([law.quantile(TAILS), law.inverse_survival(TAILS)])
    x = np.concatenate([inside, [-1e9, -1.5, 0.0, 1.0, 1e9, np.inf, -np.inf]])
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=1e-10, atol=1e-300)
    # scipy's own survival of the laws with straight sides is 1 - cdf.
    far = 1e-15 if isinstance(law, Uniform | Triangular) else 1e-300
    np.testing.assert_allclose(law.survival(x), same.sf(x), rtol=1e-10, atol=far)


@pairs
def test_quantile_and_inverse_survival(law: Distribution, same: Any) -> None:
    """The inverses agree with scipy far into both tails. [oracle]"""
    # scipy can't invert a beta law far below the smallest uniform, and neither do we.
    tails = np.maximum(TAILS, 2.0**-53) if isinstance(law, Beta) else TAILS
    # scipy's own triangular inverses lose the tails to 1 - u and to 1 - sqrt(1 - u).
    near = 1e-8 if isinstance(law, Triangular) else 0.0
    np.testing.assert_allclose(law.quantile(tails), same.ppf(tails), rtol=1e-10, atol=near)
    np.testing.assert_allclose(law.inverse_survival(tails), same.isf(tails), rtol=1e-10, atol=near)


@laws
def test_quantile_at_the_ends(law: Distribution) -> None:
    """At 0 and 1 both inverses give the ends of the support. [property]"""
    low, high = law.support
    assert (law.quantile(0.0), law.quantile(1.0)) == (low, high)
    assert (law.inverse_survival(1.0), law.inverse_survival(0.0)) == (low, high)


@pairs
def test_round_trips(law: Distribution, same: Any) -> None:
    """Quantile and cdf, and the two of the upper tail, undo each other. [property]"""
    # A value near an end other than 0 resolves a tail only as far as its own last digit does.
    end = 1e-15 if law.support[0] == 0 else 1e-14
    np.testing.assert_allclose(law.cdf(law.quantile(TAILS)), TAILS, rtol=1e-11, atol=end)
    np.testing.assert_allclose(law.survival(law.inverse_survival(TAILS)), TAILS, rtol=1e-11, atol=1e-14)


@laws
@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=50)
def test_quantiles_are_monotone(law: Distribution, u: float, v: float) -> None:
    """A larger uniform never gives a smaller value, nor one outside the support, beyond rounding. [property]"""
    u, v = min(u, v), max(u, v)
    low, high = law.support
    slack = 1e-14
    assert law.quantile(u) <= law.quantile(v) + slack * abs(law.quantile(v))
    assert law.inverse_survival(v) <= law.inverse_survival(u) + slack * abs(law.inverse_survival(u))
    assert low <= law.quantile(u) <= high
    assert low <= law.inverse_survival(u) <= high


@pytest.mark.parametrize("law", [*LAWS, *(Residual(law) for law in TIMES)], ids=str)
def test_one_number_or_many(law: Distribution) -> None:
    """A float gives a float with the bits that it has in an array of any shape. [property]"""
    u = np.concatenate([TAILS, uniforms(3, 0, Stream.AFTER, np.arange(6))])
    x = law.quantile(u)
    for call, arguments in itertools.chain(
        ((method, u) for method in (law.quantile, law.inverse_survival)),
        ((method, x) for method in (law.cdf, law.survival)),
    ):
        together = call(arguments)
        alone = [call(float(argument)) for argument in arguments]
        assert together.tolist() == alone
        assert all(type(value) is float for value in alone)
        assert call(arguments.reshape(4, 5)).tolist() == together.reshape(4, 5).tolist()
        assert call(arguments[::2]).tolist() == alone[::2]


@pytest.mark.parametrize("law", [*LAWS, *(Residual(law) for law in TIMES)], ids=str)
def test_sampling(law: Distribution) -> None:
    """The mean of sampled values is the law's, within 4 standard errors. [oracle]"""
    x = law.quantile(uniforms(2, 0, Stream.ERROR_RATE, np.arange(40_000)))
    assert abs(x.mean() - law.mean) <= 4 * x.std() / math.sqrt(x.size) + 1e-9 * abs(law.mean)


@pytest.mark.parametrize(
    ("law", "facts"),
    [
        (Weibull.from_mean(mean=720.0, shape=0.8), {"mean": 720.0, "shape": 0.8}),
        (Lognormal.from_p95(median=45.0, p95=120.0), {"median": 45.0, "p95": 120.0}),
        (Lognormal.from_mean_sd(mean=1.0, sd=0.3), {"mean": 1.0, "sd": 0.3}),
        (Gamma.from_mean_sd(mean=30.0, sd=10.0), {"mean": 30.0, "sd": 10.0}),
        (Beta.from_mean_sd(mean=0.05, sd=0.06), {"mean": 0.05, "sd": 0.06}),
    ],
)
def test_natural_parameters(law: Any, facts: dict[str, float]) -> None:
    """A law made from natural parameters has them. [property]"""
    found = {"sd": math.sqrt(law.variance), "p95": law.quantile(0.95)}
    for name, value in facts.items():
        assert (found[name] if name in found else getattr(law, name)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(math.nan), "value must be a finite number"),
        (lambda: Constant(math.inf), "value must be a finite number"),
        (lambda: Uniform(5.0, 5.0), "use constant"),
        (lambda: Uniform(5.0, 4.0), r"low \(5.0\) must be below high \(4.0\)"),
        (lambda: Uniform(0.0, math.inf), "high must be a finite number"),
        (lambda: Uniform(-1e308, 1e308), "too far apart"),
        (lambda: Triangular(1.0, 1.0, 1.0), "use constant"),
        (lambda: Triangular(2.0, 1.0, 3.0), r"mode \(1.0\) must lie between"),
        (lambda: Triangular(2.0, 4.0, 3.0), r"mode \(4.0\) must lie between"),
        (lambda: Triangular(3.0, 2.5, 2.0), "must be below high"),
        (lambda: Exponential(0.0), "mean must be above 0"),
        (lambda: Exponential(-1.0), "mean must be above 0"),
        (lambda: Exponential(1e200), "too large"),
        (lambda: Weibull(-1.0, 1.0), "scale must be above 0"),
        (lambda: Weibull(1.0, 0.0), "shape must be above 0"),
        (lambda: Weibull(1.0, 1e-3), "shape .* is too small"),
        (lambda: Weibull.from_mean(1.0, 1e-3), "shape .* is too small"),
        (lambda: Weibull.from_mean(0.0, 1.0), "mean must be above 0"),
        (lambda: Lognormal(0.0, 1.0), "median must be above 0"),
        (lambda: Lognormal(1.0, 0.0), "sigma must be above 0"),
        (lambda: Lognormal(1.0, 50.0), "sigma .* is too large"),
        (lambda: Lognormal.from_p95(10.0, 10.0), r"p95 \(10.0\) must be above the median \(10.0\)"),
        (lambda: Lognormal.from_p95(10.0, math.nan), "p95 must be a finite number"),
        (lambda: Lognormal.from_mean_sd(1.0, 0.0), "sd must be above 0"),
        (lambda: Lognormal.from_mean_sd(1.0, 1e200), "sd .* is too large for the mean"),
        (lambda: Gamma(0.0, 1.0), "shape must be above 0"),
        (lambda: Gamma(1.0, math.nan), "scale must be a finite number"),
        (lambda: Gamma(1e200, 1e200), "too large"),
        (lambda: Gamma.from_mean_sd(-1.0, 1.0), "mean must be above 0"),
        (lambda: Gamma.from_mean_sd(1.0, 1e-200), "sd .* is too small"),
        (lambda: Beta(0.0, 1.0), "alpha must be above 0"),
        (lambda: Beta(1.0, math.inf), "beta must be a finite number"),
        (lambda: Beta.from_mean_sd(1.0, 0.1), "mean of a beta distribution must be below 1"),
        (lambda: Beta.from_mean_sd(0.5, 0.5), "sd .* is too large: with mean 0.5 it must be below 0.5"),
        (lambda: Beta.from_mean_sd(0.5, 1e-200), "sd .* is too small"),
        (lambda: Empirical([]), "at least one number"),
        (lambda: Empirical([1.0, math.nan]), "each of values must be a finite number"),
        (lambda: Empirical([1e300, -1e300]), "too large"),
        (lambda: Residual(Constant(0.0)), "a mean above 0"),
        (lambda: Residual(Uniform(-1.0, 2.0)), "below 0"),
    ],
)
def test_parameters_that_make_no_law(make: Callable[[], object], message: str) -> None:
    """Parameters that make no law are refused in words for people. [contract]"""
    with pytest.raises(ValueError, match=message):
        make()


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12), st.floats(0, 1), st.integers(0, 12))
def test_empirical_is_the_inverse_step_function(values: list[float], u: float, k: int) -> None:
    """The quantile is the smallest value of which at least a share u lies at or below, at the steps too. [oracle]"""
    law = Empirical(values)
    n = len(values)

    def share(x: float) -> float:
        return sum(value <= x for value in values) / n

    for place in (u, min(k, n) / n):
        assert law.quantile(place) == min(x for x in values if share(x) >= place)
        above = {x: sum(value > x for value in values) / n for x in values}
        assert law.inverse_survival(place) == min(x for x in values if above[x] <= place)
    for x in (*values, -9.0, 0.5):
        assert law.cdf(x) == share(x)
        assert law.survival(x) == sum(value > x for value in values) / n
    assert law.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert law.variance == pytest.approx(np.var(values), abs=1e-12)


@pytest.mark.parametrize("n", [22, 25, 49, 97])
def test_empirical_steps_are_exact_where_products_round(n: int) -> None:
    """At k / n the quantile is the k-th value, also where k / n times n is not k in floating point. [oracle]"""
    law = Empirical(range(1, n + 1))
    for k in range(1, n + 1):
        assert law.quantile(k / n) == k
        assert k == n or law.quantile(math.nextafter(k / n, 1)) == k + 1
        assert law.inverse_survival((n - k) / n) == k


@laws
def test_limited_mean_and_expected_excess_sum_to_the_mean(law: Distribution) -> None:
    """E[min(X, x)] + E[max(X - x, 0)] is the mean wherever x is. [property]"""
    x = np.concatenate([[-3.0, 0.0, 1e6], law.quantile(TAILS)])
    total = law.limited_mean(x) + law.expected_excess(x)
    np.testing.assert_allclose(total, law.mean, rtol=1e-12, atol=1e-9 * (1 + np.abs(x).max() * 1e-6))


@times
def test_residual_is_the_integrated_survival(law: Distribution) -> None:
    """The residual's cdf and survival are integrals of the law's survival, in both tails. [oracle]"""
    residual = Residual(law)
    corners = sorted({0.0, *(x for x in getattr(law, "values", [])), *(x for x in law.support if math.isfinite(x))})
    for u in (1e-9, 0.01, 0.3, 0.6, 0.9, 0.999):
        x = residual.quantile(u)
        below = 0.0
        for low, high in itertools.pairwise([*(corner for corner in corners if corner < x), x]):
            # A law's own survival may rise steeply from 0, so it is integrated over the square root of the time.
            part, _ = integrate.quad(
                lambda root: 2 * root * law.survival(root * root),
                math.sqrt(low),
                math.sqrt(high) * (1 - 1e-16),
                epsabs=0,
                epsrel=1e-11,
                limit=500,
            )
            below += part
        assert residual.cdf(x) == pytest.approx(below / law.mean, rel=1e-8)
        assert residual.survival(x) == pytest.approx(1 - residual.cdf(x), abs=1e-13)


@times
def test_residual_far_in_the_upper_tail(law: Distribution) -> None:
    """Far out too, the residual's survival is the integral of what is left of the law's survival. [oracle]"""
    unbounded = law.support[1] == math.inf
    for s in (1e-3, 1e-6, 1e-13) if unbounded else (1e-3, 1e-6):
        x = Residual(law).inverse_survival(s)
        # Piece by piece, each a hundredth as probable as the one before.
        ends = [x, *(law.inverse_survival(law.survival(x) * 100.0**-power) for power in range(1, 10))]
        ends = ends if unbounded else [x, law.support[1]]
        pieces = [
            integrate.quad(law.survival, low, high, epsabs=0, epsrel=1e-10)[0]
            for low, high in itertools.pairwise(ends)
            if low < high
        ]
        assert Residual(law).survival(x) == pytest.approx(math.fsum(pieces) / law.mean, rel=1e-8)


@times
def test_residual_mean_is_the_integral_of_its_survival(law: Distribution) -> None:
    """E[X^2] / (2 E[X]) is what integrating the residual's survival gives. [oracle]"""
    residual = Residual(law)
    root_high = math.sqrt(residual.inverse_survival(1e-16))
    # The tail of a lognormal law reaches so far that it takes many nodes to have some near zero.
    nodes = np.linspace(0, root_high, 400_001 if isinstance(law, Lognormal) else 50_001)
    integral = integrate.simpson(2 * nodes * residual.survival(nodes**2), x=nodes)
    assert residual.mean == pytest.approx(float(integral), rel=1e-6)


@times
def test_residual_inverses(law: Distribution) -> None:
    """The residual's inverses are right in u, and nothing lies outside the support. [property]"""
    residual = Residual(law)
    u = np.concatenate([TAILS[2:], uniforms(4, 0, Stream.AFTER, np.arange(5000))])
    x = residual.quantile(u)
    np.testing.assert_allclose(residual.cdf(x), u, rtol=1e-12)
    assert np.all((x >= 0) & (x <= law.support[1]))
    assert np.all(np.diff(residual.quantile(np.sort(u))) >= -1e-13 * np.sort(x)[1:])
    s = np.concatenate([10.0 ** -np.arange(1, 17), u[-100:]])
    y = residual.inverse_survival(s)
    # A value near an end of the support resolves the tail only as far as its own last digits do.
    resolution = 8 * np.spacing(y) * law.survival(y) / law.mean
    far = 1e-9 if isinstance(law, Beta | Gamma) else 1e-12
    assert np.all(np.abs(residual.survival(y) - s) <= far * s + 1e-16 * (law.support[1] < np.inf) + resolution)


def test_residual_of_an_exponential_is_the_exponential() -> None:
    """Times without memory have themselves as residual. [oracle]"""
    law = Exponential(600.0)
    np.testing.assert_allclose(Residual(law).quantile(TAILS), law.quantile(TAILS), rtol=1e-14)
    assert Residual(law).mean == law.mean


@pytest.mark.parametrize("law", [Weibull(100.0, 400.0), Lognormal(10.0, 0.01), Gamma(4e4, 0.1)], ids=str)
def test_residual_of_nearly_constant_times_is_nearly_uniform(law: Distribution) -> None:
    """Where a time hardly varies, what is left of it is uniform, with no lower tail lost to underflow. [oracle]"""
    u = np.array([1e-300, 1e-12, 0.001, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(Residual(law).quantile(u), u * law.mean, rtol=1e-9)


def test_a_stationary_renewal_process_sees_its_residual() -> None:
    """The time to the next renewal after a late instant follows the residual, by the 1/4 quantiles, within 4 se. [oracle]"""
    law, n, spells, late = Gamma(2.0, 1.0), 4000, 60, 40.0
    lengths = law.quantile(uniforms(9, 0, Stream.CRASH_UP, np.arange(n)[:, None], np.arange(spells)))
    renewals = lengths.cumsum(axis=1)
    left = np.array([row[np.searchsorted(row, late)] - late for row in renewals])
    for u in (0.25, 0.5, 0.75):
        share = float((left <= Residual(law).quantile(u)).mean())
        assert abs(share - u) < 4 * math.sqrt(u * (1 - u) / n)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 7.5e-9, 0.1, 45.0, 86400.1, 7.2e6, 9005729.95917, 9005337.67878951])
def test_a_constant_is_exactly_its_nanoseconds(seconds: float) -> None:
    """A constant duration is the whole nanoseconds of its decimal literal, one or many, with factor 1. [oracle]"""
    expected = math.floor(Fraction(repr(seconds)) * 10**9 + Fraction(1, 2))
    assert sample_ns(Constant(seconds), 0.3) == expected
    assert sample_ns(Constant(seconds), np.array([[0.1, 0.9]])).tolist() == [[expected, expected]]


@given(st.floats(0, 1e10), st.sampled_from([1.0, 0.5, 1.7]))
def test_nanoseconds_round_half_up(seconds: float, factor: float) -> None:
    """Sampled seconds become the nearest nanosecond, halves up, one or many, at any size. [property]"""
    expected = min(round_half_up(Fraction(seconds * 1e9 * factor)), MAX_DURATION_NS)
    assert to_ns(seconds, factor) == expected
    assert to_ns(np.array([seconds]), factor).tolist() == [expected]


def test_nanoseconds_at_the_limits() -> None:
    """Halves go up where floats are dense and where they are not, and the longest duration is the limit. [property]"""
    assert [to_ns(2.5e-9), to_ns(0.5e-9), to_ns(0.49e-9)] == [3, 1, 0]
    assert to_ns(np.array([2.5e-9, 0.5e-9, 0.49e-9])).tolist() == [3, 1, 0]
    odd = float(2**52 + 1)
    assert to_ns(odd / 1e9) == round_half_up(Fraction(odd / 1e9 * 1e9))
    assert to_ns(math.inf) == to_ns(np.array([math.inf, 1e300])).max() == MAX_DURATION_NS
    assert sample_ns(Constant(1e300), 0.5) == MAX_DURATION_NS
    assert type(to_ns(0.5)) is int


@laws
def test_sampled_nanoseconds_follow_the_quantile(law: Distribution) -> None:
    """A sampled duration is the rounded quantile times the factor, one or many. [property]"""
    u = uniforms(5, 0, Stream.AFTER, np.arange(50))
    for factor in (1.0, 1.25):
        together = sample_ns(law, u, factor)
        assert together.dtype == np.int64
        assert together.tolist() == [sample_ns(law, float(number), factor) for number in u]
        np.testing.assert_allclose(together, law.quantile(u) * 1e9 * factor, rtol=1e-12, atol=0.5)


@laws
def test_laws_are_values(law: Distribution) -> None:
    """Laws are equal by content, can be dictionary keys and cross a process border, used or not. [contract]"""
    law.quantile(0.5)
    copy = pickle.loads(pickle.dumps(law))  # noqa: S301
    assert copy == law
    assert hash(copy) == hash(law)
    assert copy.quantile(0.3) == law.quantile(0.3)


def test_another_processor_gives_the_same_bits() -> None:
    """With all of numpy's processor-specific code switched off every sampled duration keeps its bits. [property]"""
    code = (
        "import pickle, sys; import numpy as np; from simdeploy.world.streams import Stream, uniforms;"
        "laws = pickle.load(sys.stdin.buffer); u = uniforms(8, 0, Stream.AFTER, np.arange(3000));"
        "print([law.quantile(u).tobytes().hex() for law in laws])"
    )
    extensions: Any = np.show_config(mode="dicts")
    features = " ".join(extensions["SIMD Extensions"]["found"])
    answers = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            input=pickle.dumps(LAWS),
            env={**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled},
            capture_output=True,
            check=True,
        ).stdout
        for disabled in ("", features)
    ]
    assert len(answers[0]) > 3000
    assert answers[0] == answers[1]


def test_naming_a_law_does_not_import_scipy() -> None:
    """scipy is imported when a law is first sampled, not when it is named. [contract]"""
    code = (
        "import sys; from simdeploy.world.distributions import Lognormal; law = Lognormal.from_p95(45.0, 120.0);"
        "assert 'scipy' not in sys.modules; law.quantile(0.5); assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
