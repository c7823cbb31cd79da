"""Failed requests in a window: the binomial quantile, and the cdf by which the compiled engine decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, strategies as st
from packaging.version import Version
from scipy import __version__ as scipy_version, stats

from simdeploy.world import binomial
from simdeploy.world.binomial import binomial_cdf, failed_requests
from simdeploy.world.streams import Stream, uniforms

# Before 1.17 scipy's cdf of very many requests has fewer digits.
DIGITS = 1e-9 if Version(scipy_version) >= Version("1.17") else 2e-5
UNIFORMS = st.floats(2.0**-53, 1 - 2.0**-53)
REQUESTS = st.one_of(st.integers(0, 30), st.integers(0, 5000), st.integers(0, 10**12))
PROBABILITIES = st.one_of(
    st.floats(0, 1), st.floats(0, 1e-8), st.floats(1 - 1e-12, 1), st.sampled_from([0.0, 0.5, 1.0])
)
# On both sides of every way of computing, and at the ends.
CASES = [
    (1, 0.5),
    (10, 0.9999999999999999),
    (50, 0.999999999999999),
    (200, 0.0),
    (200, 1.0),
    (200, 0.004),
    (200, 0.25),
    (200, 0.5),
    (200, 0.51),
    (2000, 0.25),
    (1_000_000, 0.3),
    (1_000_000, 0.000_099),
    (10**9, 0.5),
    (10**12, 1e-13),
    (10**12, 0.97),
]


@given(REQUESTS, PROBABILITIES, UNIFORMS, st.integers(-2, 2))
@example(0, 0.3, 0.5, 0)
@example(200, 0.004, 1 - 2.0**-53, 0)
@example(5000, 0.3, 1 - 2.0**-53, -1)
def test_number_and_cdf_agree_exactly(requests: int, p: float, u: float, off: int) -> None:
    """At most k requests fail exactly if the uniform is at most the cdf at k, even at the step itself. [property]"""
    failed = failed_requests(requests, p, u)
    assert 0 <= failed <= requests
    assert failed_requests(requests, p, u, once=True) == failed
    k = failed + off
    assert (failed <= k) == (u <= binomial_cdf(k, requests, p))
    # Uniforms around the step, which a cdf with other last digits would decide differently.
    step = binomial_cdf(k, requests, p)
    for edge in (step, math.nextafter(step, 0), math.nextafter(step, 1)):
        if 0 < edge < 1:
            assert (failed_requests(requests, p, edge) <= k) == (edge <= step)
            assert (failed_requests(requests, p, edge, once=True) <= k) == (edge <= step)


@given(st.integers(0, 10**6), PROBABILITIES, UNIFORMS, UNIFORMS)
def test_failed_requests_are_monotone(requests: int, p: float, u: float, v: float) -> None:
    """A larger uniform never means fewer failed requests. [property]"""
    assert failed_requests(requests, p, min(u, v)) <= failed_requests(requests, p, max(u, v))


def test_a_cdf_with_noise_in_its_last_digits_is_still_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with a noisy cdf, number and cdf agree and the cdf never falls. [property]"""
    requests, p = 60, 0.5

    def noisy(k: int, requests: int, p: float) -> float:
        return float(stats.binom.cdf(k, requests, p)) + 0.1 * math.sin(12.9898 * k)

    monkeypatch.setattr(binomial, "find_table", lambda requests, p: None)
    monkeypatch.setattr(binomial, "_rough_cdf", noisy)
    cdf = [binomial_cdf(k, requests, p) for k in range(requests + 1)]
    assert cdf == sorted(cdf)
    for u in [*np.linspace(0.001, 0.999, 400).tolist(), *(step for step in cdf if 0 < step < 1)]:
        failed = failed_requests(requests, p, u)
        assert all((failed <= k) == (u <= cdf[k]) for k in range(requests + 1))


@pytest.mark.parametrize(("requests", "p"), CASES)
def test_cdf_is_scipys(requests: int, p: float) -> None:
    """The cdf agrees with scipy over twelve standard deviations. [oracle]"""
    mean, sd = requests * p, math.sqrt(requests * p * (1 - p))
    places = np.linspace(mean - 6 * sd - 1, mean + 6 * sd + 1, 41)
    for k in sorted({int(place) for place in places if -1 <= place <= requests} | {-1, 0, requests}):
        expected = float(stats.binom.cdf(k, requests, p))
        assert binomial_cdf(k, requests, p) == pytest.approx(expected, rel=DIGITS, abs=1e-14)


@pytest.mark.parametrize(("requests", "p"), CASES)
def test_failed_requests_is_scipys_quantile(requests: int, p: float) -> None:
    """The number is the smallest whose scipy cdf reaches the uniform, up to rounding. [oracle]"""
    for u in [1e-15, 1e-9, 0.001, 0.1, 0.3, 0.5, 0.7, 0.95, 0.999, 1 - 1e-9]:
        k = failed_requests(requests, p, u)
        assert stats.binom.cdf(k, requests, p) >= u * (1 - DIGITS) - 1e-14
        assert k == 0 or stats.binom.cdf(k - 1, requests, p) <= u * (1 + DIGITS) + 1e-14


@given(st.integers(1, 40), st.floats(0.01, 0.99), UNIFORMS)
def test_table_and_search_agree(requests: int, p: float, u: float) -> None:
    """Both algorithms give the same number, except within rounding of a step. [property]"""
    by_table = failed_requests(requests, p, u)
    steps = [binomial_cdf(k, requests, p) for k in (by_table - 1, by_table)]
    assume(all(abs(u - step) > 1e-12 for step in steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binomial, "find_table", lambda requests, p: None)
        assert failed_requests(requests, p, u) == by_table


@pytest.mark.parametrize("u", [2.0**-53, 0.5, 1 - 2.0**-53])
def test_certain_windows(u: float) -> None:
    """Windows without requests, or with failure probability 0 or 1, have a certain outcome. [oracle]"""
    for requests in (0, 1, 200, 10**12):
        assert failed_requests(requests, 0.0, u) == 0
        assert failed_requests(requests, 1.0, u) == requests
        assert binomial_cdf(0, requests, 0.0) == 1.0
        assert binomial_cdf(requests - 1, requests, 1.0) == 0.0
        assert binomial_cdf(requests, requests, 1.0) == 1.0
        assert binomial_cdf(-1, requests, 0.3) == 0.0


@pytest.mark.parametrize(("requests", "p"), [(200, 0.004), (200, 0.3), (4000, 0.25)])
def test_sampled_failures(requests: int, p: float) -> None:
    """Over many windows mean and variance are binomial, within 4 standard errors. [oracle]"""
    n = 4000
    failed = np.array([failed_requests(requests, p, u) for u in uniforms(1, 0, Stream.WINDOW, np.arange(n)).tolist()])
    mean, variance = requests * p, requests * p * (1 - p)
    fourth = variance * (1 + 3 * (requests - 2) * p * (1 - p))
    assert abs(failed.mean() - mean) < 4 * math.sqrt(variance / n)
    assert abs(((failed - mean) ** 2).mean() - variance) < 4 * math.sqrt((fourth - variance**2) / n)
