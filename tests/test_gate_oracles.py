"""Operating characteristics of gates: recursions against enumeration and simulation, guarantees, and known results."""

import itertools
import math
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from simdeploy.errors import InputError
from simdeploy.rules.gates.judge import Judge, Look
from simdeploy.rules.gates.statistics import next_sum
from simdeploy.rules.orchestrator import CantTell
from simdeploy.validation.oracles import (
    cusum_run_length,
    gate_characteristics,
    healthy_window_probability,
    make_gate,
    wald_approximation,
)
from simdeploy.validation.oracles.gates import add_failures, failed_law

SEED = 20260101

# Few requests, and gates that decide within them; some are never certain.
SMALL = {
    "pooled-observation": ({"kind": "pooled", "max_error_rate": 0.3}, [3, 0, 4, 2]),
    "pooled-observation-minimum": ({"kind": "pooled", "max_error_rate": 0.3, "minimum_sample": 10}, [3, 4, 2]),
    "pooled-window": ({"kind": "pooled", "over": "window", "max_error_rate": 0.3, "windows_needed": 2}, [3, 4, 2, 3]),
    "pooled-window-fails": (
        {"kind": "pooled", "over": "window", "max_error_rate": 0.3, "windows_needed": 3, "failure_threshold": 2},
        [3, 4, 2, 3],
    ),
    **{
        f"pooled-window-minimum-{cant_tell}": (
            {
                "kind": "pooled",
                "over": "window",
                "max_error_rate": 0.3,
                "windows_needed": 2,
                "failure_threshold": 2,
                "minimum_sample": 3,
                "cant_tell": cant_tell,
            },
            [3, 2, 4, 3],
        )
        for cant_tell in get_args(CantTell)
    },
    "sprt-windows": ({"kind": "sprt", "good": 0.1, "bad": 0.6, "alpha": 0.2, "beta": 0.2}, [2, 3, 3, 4]),
    "sprt-windows-most": (
        {"kind": "sprt", "good": 0.1, "bad": 0.6, "alpha": 0.01, "beta": 0.01, "most": 7},
        [2, 3, 3, 4],
    ),
    "sprt-windows-minimum": (
        {"kind": "sprt", "good": 0.1, "bad": 0.6, "alpha": 0.2, "beta": 0.2, "minimum_sample": 6},
        [2, 3, 3, 4],
    ),
    "sprt-requests": (
        {"kind": "sprt", "on": "requests", "good": 0.1, "bad": 0.6, "alpha": 0.1, "beta": 0.2, "most": 9},
        [1] * 10,
    ),
    "sprt-requests-minimum": (
        {"kind": "sprt", "on": "requests", "good": 0.1, "bad": 0.6, "most": 3, "minimum_sample": 5},
        [1] * 8,
    ),
    "e-process": ({"kind": "e_process", "max_error_rate": 0.2, "alpha": 0.2}, [2, 3, 0, 4]),
    "e-process-prior": (
        {"kind": "e_process", "max_error_rate": 0.2, "alpha": 0.3, "prior_mean": 0.4, "prior_strength": 5},
        [2, 3, 4],
    ),
    "bayes": ({"kind": "bayes", "max_error_rate": 0.3, "confidence": 0.8, "prior_strength": 2}, [2, 3, 3]),
    "baseline": ({"kind": "baseline", "alpha": 0.3}, [3, 2, 4]),
    "cusum": ({"kind": "cusum", "good": 0.1, "bad": 0.4, "alarm_every": 5}, [2, 3, 0, 2, 2]),
    **{
        f"cusum-minimum-{cant_tell}": (
            {
                "kind": "cusum",
                "good": 0.1,
                "bad": 0.4,
                "alarm_every": 5,
                "minimum_sample": 3,
                "cant_tell": cant_tell,
            },
            [3, 2, 2, 3, 1],
        )
        for cant_tell in get_args(CantTell)
    },
}


def follow_cusum(gate, looks):
    """Return the verdict of a CUSUM and the requests until then, by a second, step-by-step implementation."""
    total, held_back, seen = 0.0, (0, 0), 0
    for requests, failed, _ in looks:
        seen += requests
        held_back = held_back[0] + requests, held_back[1] + failed
        if held_back[0] < max(gate.minimum_sample, 1):
            if gate.cant_tell in ("stop", "unhealthy"):
                return "fail", seen
            held_back = (0, 0) if gate.cant_tell == "pass" else held_back
            continue
        total = next_sum(total, held_back[1], held_back[0], gate.if_failed, gate.if_served)
        held_back = 0, 0
        if total >= gate.upper:
            return "fail", seen
    return None, seen


def follow(gate, looks, uniform=None):
    """Return the verdict and the requests until then; an undecided end is kept apart from the switch's decision."""
    if gate.method == "cusum":
        return follow_cusum(gate, looks)
    judge, seen = Judge(gate, uniform), 0
    for place, (requests, failed, old_failed) in enumerate(looks, start=1):
        verdict = judge.take(Look(requests, failed, old_failed), is_over=place == len(looks))
        seen += requests
        if verdict is not None:
            return verdict, judge.requests if gate.method == "sprt_requests" else seen
    return None, seen


def enumerate_waves(gate, requests, p, old_p):
    """Return the exact characteristics by trying every outcome of every look."""
    is_paired = gate.method == "multinomial"
    outcomes = [
        [
            ((n, k, j), stats.binom.pmf(k, n, p) * (stats.binom.pmf(j, n, old_p) if is_paired else 1))
            for k in range(n + 1)
            for j in range(n + 1 if is_paired else 1)
        ]
        for n in requests
    ]
    found = {"fail": 0.0, "pass": 0.0, None: 0.0}
    expected = 0.0
    for wave in itertools.product(*outcomes):
        probability = math.prod(weight for _, weight in wave)
        verdict, seen = follow(gate, [look for look, _ in wave], lambda index: 0.5)
        found[verdict] += probability
        expected += probability * seen
    return found["fail"], found["pass"], found[None], expected


@pytest.mark.parametrize("p", [0.1, 0.45])
@pytest.mark.parametrize(("keys", "requests"), SMALL.values(), ids=SMALL)
def test_recursion_is_enumeration(keys, requests, p):
    """For few requests the recursion equals trying every outcome and judging it by the rules. [oracle]"""
    gate = make_gate(**keys)
    found = gate_characteristics(gate, requests, p, old_error_rate=0.2)
    truth = enumerate_waves(gate, requests, p, 0.2)
    assert (found.fails, found.passes, found.cant_tell, found.expected_requests) == pytest.approx(truth, abs=1e-12)


LARGE = {
    "pooled": ({"kind": "pooled", "max_error_rate": 0.06}, [100] * 5, 0.05),
    "pooled-window": (
        {"kind": "pooled", "over": "window", "max_error_rate": 0.06, "windows_needed": 4, "failure_threshold": 2},
        [100] * 12,
        0.05,
    ),
    "sprt-windows": ({"kind": "sprt", "good": 0.03, "bad": 0.06, "minimum_sample": 100}, [40] * 25, 0.045),
    "sprt-requests": ({"kind": "sprt", "on": "requests", "good": 0.03, "bad": 0.08}, [60] * 10, 0.05),
    "e-process": ({"kind": "e_process", "max_error_rate": 0.03, "alpha": 0.2}, [100] * 12, 0.04),
    "bayes": ({"kind": "bayes", "max_error_rate": 0.05, "confidence": 0.9}, [30] * 20, 0.05),
    "baseline": ({"kind": "baseline", "alpha": 0.1}, [100] * 10, 0.05),
    "cusum": ({"kind": "cusum", "good": 0.02, "bad": 0.05, "alarm_every": 30}, [50] * 20, 0.03),
}


@pytest.mark.parametrize(("keys", "requests", "p"), LARGE.values(), ids=LARGE)
def test_recursion_is_simulation(keys, requests, p):
    """Frequencies of verdicts, and requests until then, match simulated waves within 4 standard errors. [oracle]"""
    rng = np.random.default_rng(SEED)
    gate, waves = make_gate(**keys), 2500
    failed = rng.binomial(requests, p, (waves, len(requests)))
    old_failed = rng.binomial(requests, 0.03, failed.shape)
    ends = []
    for wave in range(waves):
        uniforms = rng.random(failed[wave].sum())
        looks = list(zip(requests, failed[wave].tolist(), old_failed[wave].tolist(), strict=True))
        ends.append(follow(gate, looks, uniforms.__getitem__))
    found = gate_characteristics(gate, requests, p, old_error_rate=0.03)
    for verdict, truth in (("fail", found.fails), ("pass", found.passes), (None, found.cant_tell)):
        observed = np.mean([end == verdict for end, _ in ends])
        assert abs(observed - truth) <= 4 * math.sqrt(truth * (1 - truth) / waves) + 1e-12, verdict
    seen = np.array([requests for _, requests in ends])
    assert abs(seen.mean() - found.expected_requests) <= 4 * seen.std() / math.sqrt(waves) + 1e-9
    assert found.fails + found.passes + found.cant_tell == pytest.approx(1, abs=1e-12)
    assert 0.02 < found.fails < 0.95


def test_looks_of_an_sprt_on_requests_do_not_matter():
    """An SPRT on single requests doesn't depend on the number of looks. [property]"""
    gate = make_gate("sprt", on="requests", good=0.02, bad=0.08)
    assert gate_characteristics(gate, [300], 0.05) == gate_characteristics(gate, [100, 150, 50], 0.05)


def test_walk_stops_where_the_recursion_does():
    """Requests of looks in random order stop an SPRT as early as independent ones do. [oracle]"""
    gate = make_gate("sprt", on="requests", good=0.1, bad=0.4, alpha=0.1, beta=0.1, most=10**6)
    rng, waves = np.random.default_rng(SEED), 5000
    stops = []
    for failed in rng.binomial(9, 0.25, (waves, 4)).tolist():
        looks = [(9, one, 0) for one in failed]
        verdict, seen = follow(gate, looks, rng.random(sum(failed)).__getitem__)
        stops.append(math.inf if verdict is None else seen)
    for requests in range(1, 37):
        truth = 1 - gate_characteristics(gate, [requests], 0.25).cant_tell
        observed = np.mean(np.array(stops) <= requests)
        assert abs(observed - truth) <= 4 * math.sqrt(max(truth * (1 - truth), 0) / waves) + 1e-12, requests


def test_ranks_have_no_recursion():
    """A comparison by ranks, and anything but a gate of requests, is refused with a message. [contract]"""
    with pytest.raises(InputError, match=r"no exact recursion \(found mann_whitney\)"):
        gate_characteristics(make_gate("baseline", test="mann_whitney"), [10], 0.1)
    with pytest.raises(InputError, match="no test of a wave"):
        make_gate("threshold")


# -- guarantees ------------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", [[1] * 600, [7] * 150, [100] * 40, [1000, 1, 500, 20] * 5])
@pytest.mark.parametrize("prior", [{}, {"prior_mean": 0.1, "prior_strength": 20}])
def test_e_process_keeps_its_level_over_all_looks(requests, prior):
    """However often it looks, an e-process fails a release at the limit with probability at most alpha. [oracle]"""
    gate = make_gate("e_process", max_error_rate=0.05, alpha=0.1, **prior)
    false_alarms = [gate_characteristics(gate, requests, p).fails for p in (0.01, 0.03, 0.05)]
    assert false_alarms == sorted(false_alarms)
    assert 0.0005 < false_alarms[-1] <= 0.1
    assert gate_characteristics(gate, requests, 0.2).fails > 0.5


@pytest.mark.parametrize(
    ("requests", "p"),
    [
        *((requests, 0.02) for requests in ([1] * 300, [10] * 60, [100] * 20, [500, 5, 100] * 3)),
        *((requests, p) for requests in ([1] * 60, [7] * 12, [30, 2, 50]) for p in (0.3, 0.9)),
    ],
    ids=lambda value: f"{len(value)}-looks" if isinstance(value, list) else None,
)
def test_multinomial_keeps_its_level_over_all_looks(requests, p):
    """Versions with equal error rates are distinguished with probability at most alpha. [oracle]"""
    gate = make_gate("baseline", alpha=0.1)
    alike, better = (gate_characteristics(gate, requests, level, old_error_rate=p).fails for level in (p, p / 2))
    assert better < alike <= 0.1


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.05), (0.01, 0.2), (0.2, 0.01)])
@pytest.mark.parametrize("requests", [[1] * 4000, [25] * 160, [200] * 20])
def test_sprt_keeps_walds_inequalities(requests, alpha, beta):
    """Without a maximum an SPRT errs with at most alpha / (1 - beta) and beta / (1 - alpha), alpha + beta in all. [oracle]"""
    gate = make_gate("sprt", good=0.02, bad=0.05, alpha=alpha, beta=beta, most=10**6)
    at_good, at_bad = (gate_characteristics(gate, requests, p) for p in (0.02, 0.05))
    assert at_good.fails <= alpha / (1 - beta)
    assert at_bad.passes <= beta / (1 - alpha)
    assert at_good.fails + at_bad.passes + max(at_good.cant_tell, at_bad.cant_tell) <= alpha + beta
    assert at_good.cant_tell < 1e-3


def test_a_maximum_adds_the_undecided_to_the_errors():
    """With the default maximum an SPRT also errs by undecided cases that lean the wrong way. [oracle]"""
    keys = {"on": "requests", "good": 0.02, "bad": 0.05}
    whole, cut_off = make_gate("sprt", most=10**6, **keys), make_gate("sprt", **keys)
    requests = [1] * cut_off.most
    unlimited, limited = (gate_characteristics(gate, requests, 0.02) for gate in (whole, cut_off))
    assert unlimited.fails < limited.fails < unlimited.fails + unlimited.cant_tell
    assert limited.cant_tell == 0
    assert limited.fails < 0.05 / 0.95


def test_wald_approximates_the_sprt():
    """With bounds far from a request's step Wald's formulas are near the exact characteristics, at any error rate. [oracle]"""
    gate = make_gate("sprt", on="requests", good=0.1, bad=0.15, alpha=0.01, beta=0.01, most=10**6)
    for p in (0.05, 0.1, 0.12, 0.1236, 0.13, 0.15, 0.3):
        exact, approximate = gate_characteristics(gate, [6000], p), wald_approximation(gate, p)
        assert approximate.fails == pytest.approx(exact.fails, abs=0.03)
        assert approximate.expected_requests == pytest.approx(exact.expected_requests, rel=0.04)
    assert wald_approximation(gate, 0.1).fails == pytest.approx(0.01)
    assert wald_approximation(gate, 0.15).passes == pytest.approx(0.01)
    gate = make_gate("sprt", good=0.1, bad=0.15, alpha=0.01, beta=0.2)
    slope = -gate.if_served / (gate.if_failed - gate.if_served)
    beside, at, beyond = (wald_approximation(gate, slope * (1 + by)) for by in (-1e-6, 0, 1e-6))
    assert beside.fails < at.fails < beyond.fails
    assert at.fails == pytest.approx(gate.lower / (gate.lower - gate.upper))
    assert at.expected_requests == pytest.approx((beside.expected_requests + beyond.expected_requests) / 2, rel=1e-4)


# -- running nodes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alarm_every", [2, 50, 1000])
@pytest.mark.parametrize("requests", [1, 20, 300])
def test_cusum_has_the_stated_run_length(requests, alarm_every):
    """A release at the limit raises an alarm after the stated mean number of looks or more, a better one later. [oracle]"""
    gate = make_gate("cusum", good=0.02, bad=0.06, alarm_every=alarm_every)
    lengths = [cusum_run_length(gate, requests, p) for p in (0.01, 0.02, 0.04, 0.06)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[1] >= alarm_every


def test_run_length_of_a_cusum_that_can_be_counted():
    """With one request a look and an alarm at two failures in a row, or three, the run length is known. [oracle]"""
    gate = make_gate("cusum", good=0.1, bad=0.7, alarm_every=15)
    assert gate.if_failed < gate.upper < 2 * gate.if_failed
    assert gate.if_failed + gate.if_served > 0  # a served request doesn't fully undo a failed one
    two_of_three = [gate_characteristics(gate, [1] * looks, 0.3).fails for looks in (1, 2, 3)]
    assert two_of_three == pytest.approx([0, 0.09, 0.09 + 2 * 0.3**2 * 0.7])
    strict = make_gate("cusum", good=0.45, bad=0.55, alarm_every=1.4)
    assert strict.if_failed + strict.if_served == pytest.approx(0)
    assert cusum_run_length(strict, 1, 0.3) == pytest.approx(1 / 0.3 + 1 / 0.3**2)


@pytest.mark.parametrize("p", [0.02, 0.05])
def test_run_length_is_that_of_many_looks(p):
    """The mean number of looks until the alarm is the same by cycles from zero and by following many looks. [oracle]"""
    gate = make_gate("cusum", good=0.02, bad=0.06, alarm_every=3)
    followed = gate_characteristics(gate, [40] * 400, p)
    assert followed.cant_tell < 1e-9
    assert cusum_run_length(gate, 40, p) == pytest.approx(followed.expected_requests / 40, rel=1e-7)


def test_run_length_below_the_minimum():
    """Looks below the minimum are accumulated, discarded, or an alarm. [contract]"""
    keys = {"kind": "cusum", "good": 0.02, "bad": 0.06, "minimum_sample": 50}
    whole = cusum_run_length(make_gate("cusum", good=0.02, bad=0.06), 60, 0.05)
    assert cusum_run_length(make_gate(**keys), 20, 0.05) == pytest.approx(3 * whole)
    assert cusum_run_length(make_gate(**keys, cant_tell="pass"), 20, 0.05) == math.inf
    assert cusum_run_length(make_gate(**keys, cant_tell="stop"), 20, 0.05) == 1
    assert cusum_run_length(make_gate(**keys, cant_tell="unhealthy"), 20, 0.05) == 1


# -- known results ---------------------------------------------------------------------------------


def test_pooling_removes_false_alarms():
    """Fifteen windows of 50 requests with 5 % errors, at a limit of 10 %, give 44 % false alarms; pooled, none. [oracle]"""
    apart = 1 - healthy_window_probability(50, 0.05, 0.1) ** 15
    assert apart == pytest.approx(0.44, abs=0.005)
    pooled, tighter = (make_gate("pooled", max_error_rate=rate) for rate in (0.1, 0.075))
    assert gate_characteristics(pooled, [250] * 3, 0.05).fails < 1e-8
    assert gate_characteristics(tighter, [250] * 3, 0.05).fails == pytest.approx(0.001, abs=0.0005)
    assert gate_characteristics(tighter, [250] * 3, 0.1).passes == pytest.approx(0.01, abs=0.0005)


def test_repeated_looks_add_false_alarms():
    """A cumulative rate of 2.5 % against a limit of 4 % gives 0.5 % false alarms after 750 requests, 11 % with five looks. [oracle]"""
    law, limit, undecided, fails = failed_law(150, 0.025), 0.04, np.ones(1), 0.0
    for look in range(1, 6):
        undecided = add_failures(undecided, law)
        is_above = np.arange(len(undecided)) > math.floor(limit * 150 * look + 1e-9)
        fails += undecided[is_above].sum()
        undecided[is_above] = 0.0
    once = gate_characteristics(make_gate("pooled", max_error_rate=limit), [150] * 5, 0.025)
    assert once.fails == pytest.approx(0.005, abs=0.0005)
    assert fails == pytest.approx(0.11, abs=0.005)


def test_a_flat_prior_rejects_good_releases():
    """With a flat prior, 95 % and a look per request, 13 % of releases at half the limit of 10 % are rejected. [oracle]"""
    flat = make_gate("bayes", prior_mean=0.5, prior_strength=2)
    found = gate_characteristics(flat, [1] * 750, 0.05)
    assert found.fails == pytest.approx(0.13, abs=0.005)
    assert found.cant_tell < 1e-4
    assert gate_characteristics(make_gate("bayes"), [1] * 750, 0.05).fails < 0.01


@pytest.mark.parametrize("limit", [0.005, 0.02, 0.1, 0.3, 0.45])
def test_default_prior_needs_evidence(limit):
    """A default Bayesian gate is undecided at first, and separates half the limit from twice the limit. [property]"""
    gate = make_gate("bayes", max_error_rate=limit)
    assert 0.05 < stats.beta.sf(limit, gate.prior_a, gate.prior_b) < 0.95
    requests = [1] * math.ceil(30 / limit)
    good, bad = (gate_characteristics(gate, requests, rate) for rate in (limit / 2, min(2 * limit, 0.9)))
    assert good.fails < 0.01
    assert bad.passes < 0.16


@pytest.mark.parametrize(("requests", "limit", "bad"), [(750, 0.075, 0.1), (50, 0.1, 0.2)])
def test_an_sprt_needs_about_half_the_requests(requests, limit, bad):
    """With a threshold's error probabilities on 750 requests, or one window of 50, it needs half as many. [oracle]"""
    once = make_gate("pooled", max_error_rate=limit)
    alpha = gate_characteristics(once, [requests], 0.05).fails
    beta = gate_characteristics(once, [requests], bad).passes
    sprt = make_gate("sprt", on="requests", good=0.05, bad=bad, alpha=alpha, beta=beta, most=3 * requests)
    at_good, at_bad = (gate_characteristics(sprt, [3 * requests], p) for p in (0.05, bad))
    assert at_good.fails <= alpha
    assert at_bad.passes <= beta
    for found in (at_good, at_bad):
        assert found.expected_requests / requests == pytest.approx(0.5, abs=0.14)
