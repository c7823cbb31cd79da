"""The tests of gates, and the judge of a wave: formulas, bounds, verdicts."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from scipy import integrate, stats

from simdeploy.rules.gates.gate import fixed_size
from simdeploy.rules.gates.judge import Judge, Look, Walk, walk_requests
from simdeploy.rules.gates.statistics import judge_ranks, log_mixture_evidence, next_sum, posterior_above
from simdeploy.validation.oracles import make_gate

SEED = 20260101


def judge_all(gate, looks, uniform=None):
    """Return the verdicts of a judge for looks, the last of which ends the observation."""
    judge = Judge(gate, uniform)
    verdicts = []
    for place, look in enumerate(looks, start=1):
        verdicts.append(judge.take(Look(*look), is_over=place == len(looks)))
        if verdicts[-1] is not None:
            break
    return verdicts


# -- bounds ----------------------------------------------------------------------------------------


def test_bounds_of_an_sprt():
    """Wald's bounds are reached by the likelihood ratios that they are named after. [oracle]"""
    gate = make_gate("sprt", good=0.01, bad=0.05, alpha=0.02, beta=0.1)
    assert math.exp(gate.upper) == pytest.approx(0.9 / 0.02)
    assert math.exp(gate.lower) == pytest.approx(0.1 / 0.98)
    likelihood = stats.binom.pmf(7, 90, 0.05) / stats.binom.pmf(7, 90, 0.01)
    assert math.exp(7 * gate.if_failed + 83 * gate.if_served) == pytest.approx(likelihood)


def test_defaults_of_good_and_bad():
    """By default, good and bad are half and twice the limit, and bad stays below 1. [contract]"""
    gate = make_gate("cusum", max_error_rate=0.02)
    assert (gate.if_failed, gate.if_served) == pytest.approx((math.log(4), math.log(0.96 / 0.99)))
    high = make_gate("sprt", max_error_rate=0.6)
    assert high.if_failed == pytest.approx(math.log(0.8 / 0.3))


@pytest.mark.parametrize(("good", "bad", "alpha", "beta"), [(0.01, 0.05, 0.05, 0.05), (0.05, 0.1, 0.01, 0.1)])
def test_fixed_size(good, bad, alpha, beta):
    """The maximum of an SPRT is three times the least requests at which one limit has both errors, in normal approximation. [oracle]"""

    def limits(requests):
        upper = stats.norm(good, math.sqrt(good * (1 - good) / requests)).isf(alpha)
        lower = stats.norm(bad, math.sqrt(bad * (1 - bad) / requests)).ppf(beta)
        return upper, lower

    requests = fixed_size(good, bad, alpha, beta)
    assert limits(requests)[0] <= limits(requests)[1]
    assert limits(requests - 1)[0] > limits(requests - 1)[1]
    assert make_gate("sprt", good=good, bad=bad, alpha=alpha, beta=beta).most == 3 * requests


# -- mixtures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b", "null"), [(0.5, 0.5, 0.5), (0.5, 0.5, 0.1), (2.0, 98.0, 0.05), (3.0, 1.0, 0.2)])
@pytest.mark.parametrize(("failed", "requests"), [(0, 0), (0, 30), (4, 30), (30, 30), (9, 40)])
def test_mixture(a, b, null, failed, requests):
    """The evidence is the likelihood ratio integrated over the prior beyond the null. [oracle]"""

    def ratio(p):
        return stats.beta.pdf(p, a, b) * (p / null) ** failed * ((1 - p) / (1 - null)) ** (requests - failed)

    # Jeffreys' prior has no finite density at 1: integrated nearly up to it, and the rest in closed form.
    near = 1 - 1e-6
    inner = integrate.quad(
        ratio, null, near, limit=400, points=[null + (near - null) * x for x in (0.01, 0.1, 0.5, 0.9)]
    )
    rest = stats.beta.sf(near, a, b) * (near / null) ** failed * ((1 - near) / (1 - null)) ** (requests - failed)
    truth = (inner[0] + rest) / stats.beta.sf(null, a, b)
    evidence = math.exp(log_mixture_evidence(failed, requests, null, a, b))
    # The rest is bounded by its largest value: exact enough where all or none failed, nothing elsewhere.
    assert evidence == pytest.approx(truth, rel=3e-3)


@given(
    null=st.floats(0.01, 0.9),
    percent=st.integers(0, 100),
    failed=st.integers(0, 30),
    served=st.integers(0, 60),
    more=st.integers(1, 25),
    a=st.floats(0.2, 5.0),
    b=st.floats(0.2, 50.0),
)
@example(null=0.1, percent=100, failed=0, served=0, more=1, a=0.5, b=0.5)
def test_evidence_is_a_supermartingale(null, percent, failed, served, more, a, b):
    """For any totals and any probability up to the null, a look is expected to raise no evidence. [property]"""
    now = log_mixture_evidence(failed, failed + served, null, a, b)
    law = stats.binom.pmf(np.arange(more + 1), more, percent / 100 * null)
    after = [log_mixture_evidence(failed + k, failed + served + more, null, a, b) for k in range(more + 1)]
    expected = math.fsum(p * math.exp(value - now) for p, value in zip(law, after, strict=True))
    assert expected <= 1 + 1e-7
    if percent == 100:
        assert expected == pytest.approx(1, abs=1e-7)


@given(
    levels=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)),
    percent=st.integers(0, 100),
    before=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    more=st.integers(1, 6),
)
@example(levels=(0.5, 0.5), percent=100, before=(0, 0), more=6)
@example(levels=(0.01, 0.99), percent=100, before=(3, 1), more=6)
def test_evidence_of_pairs_is_a_supermartingale(levels, percent, before, more):
    """For pairs that differ a look raises no evidence on average, if no new node fails more often than its old one. [property]"""
    failed, old_failed = before
    counts = np.arange(more + 1)
    new_law = np.convolve(*(stats.binom.pmf(counts, more, percent / 100 * level) for level in levels))
    old_law = np.convolve(*(stats.binom.pmf(counts, more, level) for level in levels))
    now = log_mixture_evidence(failed, failed + old_failed, 0.5, 0.5, 0.5)

    def gain(k, j):
        return math.exp(log_mixture_evidence(failed + k, failed + k + old_failed + j, 0.5, 0.5, 0.5) - now)

    both = itertools.product(range(2 * more + 1), repeat=2)
    assert math.fsum(new_law[k] * old_law[j] * gain(k, j) for k, j in both) <= 1 + 1e-9


def test_evidence_grows_with_failures():
    """More failures of the new version, of equally many in all, are more evidence. [property]"""
    for both in range(1, 40):
        values = [log_mixture_evidence(failed, both, 0.5, 0.5, 0.5) for failed in range(both + 1)]
        assert values == sorted(values)


def test_posterior():
    """The posterior is that of the beta law, a binomial sum if the prior is flat. [oracle]"""
    for failed, requests, limit in ((0, 1, 0.1), (3, 40, 0.05), (20, 20, 0.5)):
        truth = stats.binom.cdf(failed, requests + 1, limit)
        assert posterior_above(failed, requests, limit, 1.0, 1.0) == pytest.approx(truth, rel=1e-12)


# -- ranks -----------------------------------------------------------------------------------------


def test_interval_contains_unrejected_shifts():
    """The lower end is above a shift exactly if the two-sided rank test rejects it. [oracle]"""
    rng = np.random.default_rng(SEED)
    decided = set()
    for size in (4, 7, 12):
        for shift in np.linspace(0, 3, 25):
            new, old = rng.normal(shift, 1, size), rng.normal(0, 1, size)
            place = math.floor(size**2 / 2 - 1.96 * math.sqrt(size**2 * (2 * size + 1) / 12))
            # Below the place-th difference are at most place - 1: U is at least mn - place + 1.
            u = stats.mannwhitneyu(new, old).statistic
            found = judge_ranks(new, old, tolerance=0.0, z=1.96)
            assert (found == "higher") == (u >= size**2 - place + 1)
            p_value = stats.mannwhitneyu(new, old, method="asymptotic", use_continuity=False).pvalue
            if found == "higher":
                assert p_value < 0.05
            elif u < size**2 - place:
                assert p_value > 0.05 or u < size**2 / 2
            decided.add(found)
    assert decided == {"higher", "alike"}


def test_tolerance_is_a_part_of_the_hodges_lehmann_estimate():
    """With a tolerance a version is higher beyond that part of the median difference, as by brute force with ties and series of even and odd length. [oracle]"""
    rng = np.random.default_rng(SEED)
    found = []
    for size, tolerance in itertools.product((5, 6, 11), (0.0, 0.25, 0.6)):
        for _ in range(40):
            new, old = (rng.binomial(50, p, size) / 50 for p in (0.12, 0.06))
            differences = np.sort(np.subtract.outer(new, old).ravel())
            place = math.floor(size**2 / 2 - 2.326 * math.sqrt(size**2 * (2 * size + 1) / 12))
            truth = differences[place - 1] > tolerance * abs(np.median(differences))
            found.append(judge_ranks(list(new), list(old), tolerance=tolerance, z=2.326))
            assert found[-1] == ("higher" if truth else "alike")
    assert min(found.count("higher"), found.count("alike")) > 50


def test_ranks_of_equal_versions_differ_rarely():
    """With equal error rates one version is called higher with at most about half of the interval's error. [oracle]"""
    rng, waves = np.random.default_rng(SEED), 1500
    for looks, requests in ((4, 150), (10, 1000)):
        new, old = rng.binomial(requests, 0.05, (2, waves, looks)) / requests
        found = [judge_ranks(list(x), list(y), tolerance=0.0, z=1.96) for x, y in zip(new, old, strict=True)]
        assert found.count("higher") / waves <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / waves)
        assert found.count("higher") > 0


def test_ranks_need_looks():
    """Three looks of each version are too few for 95 %, four aren't; equal values are no difference. [contract]"""
    assert judge_ranks([0.5] * 3, [0.0] * 3, tolerance=0.25, z=1.96) is None
    assert judge_ranks([0.5] * 4, [0.0] * 4, tolerance=0.25, z=1.96) == "higher"
    assert judge_ranks([0.1] * 9, [0.1] * 9, tolerance=0.25, z=1.96) == "alike"
    assert judge_ranks([0.0] * 9, [0.1] * 9, tolerance=0.25, z=1.96) == "alike"


# -- requests in random order ----------------------------------------------------------------------


def walk_once(requests, failed, uniforms, **bounds):
    terms = {"bounds": (-math.inf, math.inf), "steps": (1.0, -1.0), "least": 0, "most": 10**9, **bounds}
    return walk_requests(Walk(0, 0, False, 0), requests, failed, uniform=lambda index: uniforms[index], **terms)


def test_order_of_requests_is_uniform():
    """The position of the second failure is distributed as over all orders of the requests. [oracle]"""
    uniforms = np.random.default_rng(SEED).random((20_000, 3))
    # Only failures count, and the bound is reached at the second one.
    stops = [walk_once(8, 3, row, bounds=(-math.inf, 2.0), steps=(1.0, 0.0)).requests for row in uniforms]
    orders = [np.flatnonzero(order)[1] + 1 for order in set(itertools.permutations([1] * 3 + [0] * 5))]
    truth = np.bincount(orders, minlength=9) / len(orders)
    observed = np.bincount(stops, minlength=9) / len(stops)
    assert np.all(np.abs(observed - truth) <= 4 * np.sqrt(truth * (1 - truth) / len(stops)))


@given(requests=st.integers(0, 60), data=st.data())
def test_walk_goes_through_the_whole_look(requests, data):
    """Without a bound all requests of a look are used, and a number is drawn for each failed one. [property]"""
    failed = data.draw(st.integers(0, requests))
    uniforms = data.draw(st.lists(st.floats(1e-9, 1 - 1e-9), min_size=failed, max_size=failed))
    assert walk_once(requests, failed, uniforms) == Walk(requests, failed, False, failed)


def test_walk_waits_for_its_minimum():
    """Neither a bound nor the maximum ends a walk before the minimum; then it ends at once. [contract]"""
    halves = [0.5] * 20
    assert walk_once(20, 20, halves, bounds=(-3.0, 3.0)).requests == 3
    assert walk_once(20, 20, halves, bounds=(-3.0, 3.0), least=7).requests == 7
    assert walk_once(20, 20, halves, most=5).requests == 5
    assert walk_once(20, 20, halves, most=5, least=7).requests == 7


# -- the judge -------------------------------------------------------------------------------------


@given(
    rate=st.fractions(0, 1, max_denominator=1000),
    requests=st.integers(1, 5000),
    above=st.integers(-1, 1),
)
@example(rate=Fraction(29, 100), requests=100, above=0)
@example(rate=Fraction(7, 100), requests=100, above=1)
def test_pooled_limit_is_exact(rate, requests, above):
    """A pooled rate equal to the limit passes, one failure more fails, in exact arithmetic. [property]"""
    failed = min(max(math.floor(rate * requests) + above, 0), requests)
    expected = "pass" if Fraction(failed, requests) <= rate else "fail"
    once = make_gate("pooled", max_error_rate=rate)
    assert judge_all(once, [(requests, failed)]) == [expected]
    window = make_gate("pooled", over="window", max_error_rate=rate, failure_threshold=1)
    assert judge_all(window, [(requests, failed)]) == [expected]


def test_pooled_windows_in_a_row():
    """Healthy looks pass, unhealthy ones in a row fail, and an unhealthy one resets the count of healthy ones. [contract]"""
    gate = make_gate("pooled", over="window", windows_needed=3, failure_threshold=2)
    good, bad = (100, 10), (100, 11)
    assert judge_all(gate, [good, good, good]) == [None, None, "pass"]
    assert judge_all(gate, [good, good, bad, good, good, good]) == [None] * 5 + ["pass"]
    assert judge_all(gate, [bad, good, bad, bad]) == [None, None, None, "fail"]


@pytest.mark.parametrize(
    ("cant_tell", "verdicts"), [("wait", [None] * 3), ("pass", [None, "pass"]), ("stop", ["fail"])]
)
def test_pooled_window_below_its_minimum(cant_tell, verdicts):
    """A pooled window with too few requests is skipped, healthy, or fails the wave. [contract]"""
    gate = make_gate("pooled", over="window", windows_needed=2, minimum_sample=50, cant_tell=cant_tell)
    assert judge_all(gate, [(49, 49)] * 3) == verdicts


def test_pooled_window_below_its_minimum_may_count_as_unhealthy():
    """Under `unhealthy` windows with too few requests count towards the threshold, and without one never fail. [contract]"""
    keys = {"over": "window", "windows_needed": 2, "minimum_sample": 50, "cant_tell": "unhealthy"}
    gate = make_gate("pooled", failure_threshold=3, **keys)
    assert judge_all(gate, [(49, 0), (0, 0), (100, 100)]) == [None, None, "fail"]
    assert judge_all(gate, [(49, 0), (100, 0), (0, 0), (100, 0), (100, 0)]) == [None] * 4 + ["pass"]
    judge = Judge(make_gate("pooled", **keys), None)
    assert [judge.take(Look(0, 0), is_over=True) for _ in range(9)] == [None] * 9
    assert judge.without_verdict() is None


@pytest.mark.parametrize("cant_tell", ["wait", "pass", "stop", "unhealthy"])
@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "pooled"},
        {"kind": "sprt"},
        {"kind": "sprt", "on": "requests"},
        {"kind": "e_process"},
        {"kind": "baseline"},
        {"kind": "baseline", "test": "mann_whitney"},
        {"kind": "bayes"},
    ],
    ids=lambda keys: "-".join(keys.values()),
)
def test_no_verdict_before_the_minimum(keys, cant_tell):
    """Below its minimum of requests a gate has no verdict; at the end the switch decides, or waits. [contract]"""
    gate = make_gate(**keys, minimum_sample=100, cant_tell=cant_tell)
    judge = Judge(gate, lambda index: 0.5)
    looks = [Look(9, 9, 0)] * 10
    assert [judge.take(look, is_over=False) for look in looks] == [None] * 10
    assert not judge.can_tell
    at_the_end = judge.take(Look(9, 9, 0), is_over=True)
    assert at_the_end == {"wait": None, "pass": "pass"}.get(cant_tell, "fail")
    if cant_tell == "wait":
        assert judge.take(Look(9, 9, 0), is_over=True) == "fail"
        assert judge.can_tell


def test_sprt_at_its_maximum():
    """At its maximum an SPRT is decided by the sign of its ratio. [contract]"""
    gate = make_gate("sprt", good=0.1, bad=0.3, alpha=1e-6, beta=1e-6, most=100)
    between = gate.if_served / (gate.if_served - gate.if_failed) * 100
    assert judge_all(gate, [(99, 19)]) == [None]
    assert judge_all(gate, [(100, math.floor(between))]) == ["pass"]
    assert judge_all(gate, [(100, math.ceil(between))]) == ["fail"]


@pytest.mark.parametrize("kind", ["sprt", "bayes"])
def test_no_verdict_between_the_bounds(kind):
    """Between good and bad there is no verdict at the end, and the switch decides. [contract]"""
    for cant_tell, verdict in (("wait", None), ("pass", "pass"), ("stop", "fail")):
        assert judge_all(make_gate(kind, cant_tell=cant_tell), [(40, 5)] * 2) == [None, verdict]


def test_one_sided_gates_pass_at_the_end():
    """An e-process and a comparison by failures may fail at any look, but pass only at the end of the observation. [contract]"""
    assert judge_all(make_gate("e_process"), [(100, 5)] * 3) == [None, None, "pass"]
    assert judge_all(make_gate("e_process"), [(100, 5), (100, 60), (100, 5)]) == [None, "fail"]
    assert judge_all(make_gate("baseline"), [(100, 50, 50)] * 3) == [None, None, "pass"]
    assert judge_all(make_gate("baseline"), [(100, 5, 5), (100, 30, 2), (100, 5, 5)]) == [None, "fail"]


def test_comparison_by_ranks_is_judged_once():
    """Ranks are compared at the end of the observation only; looks without requests are left out. [contract]"""
    gate = make_gate("baseline", test="mann_whitney")
    assert gate.z == pytest.approx(stats.norm.isf(0.025))
    assert judge_all(gate, [(100, 90, 0)] * 4) == [None, None, None, "fail"]
    assert judge_all(gate, [(100, 5, 5), (100, 4, 5), (0, 0, 0), (100, 6, 7), (100, 5, 4)])[-1] == "pass"
    assert judge_all(gate, [(100, 90, 0)] * 3 + [(0, 0, 0)]) == [None] * 4


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_cusum_is_the_worst_recent_stretch(looks):
    """The sum is the largest log-likelihood ratio of all stretches up to now, or 0. [oracle]"""
    looks = [(min(failed, requests), requests) for failed, requests in looks]
    gate = make_gate("cusum", good=0.05, bad=0.2)
    steps = [failed * gate.if_failed + (requests - failed) * gate.if_served for failed, requests in looks]
    total = 0.0
    for failed, requests in looks:
        total = next_sum(total, failed, requests, gate.if_failed, gate.if_served)
    assert total == pytest.approx(max(0.0, *(math.fsum(steps[start:]) for start in range(len(steps)))), abs=1e-9)
