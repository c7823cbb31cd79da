"""The tests of gates (model section 8), for compiled code, as in `simdeploy.rules.gates.judge`."""

from __future__ import annotations

import math

import numpy as np

from simdeploy.engines.compiled.access import policy_of, ranked, ranked_before, terms_of_wave, waves
from simdeploy.engines.compiled.ahead import take
from simdeploy.engines.compiled.binomial import divergence, shortfall
from simdeploy.engines.compiled.codes import (
    BAYES,
    CANT_TELL_PASS,
    CANT_TELL_STOP,
    CANT_TELL_UNHEALTHY,
    CANT_TELL_WAIT,
    E_PROCESS,
    MANN_WHITNEY,
    MULTINOMIAL,
    POOLED_OBSERVATION,
    POOLED_WINDOW,
    SPRT_REQUESTS,
    SPRT_WINDOWS,
)
from simdeploy.engines.compiled.jit import compiled
from simdeploy.engines.compiled.philox import draw
from simdeploy.engines.compiled.sorting import sort
from simdeploy.engines.compiled.special import betaincc, betaln
from simdeploy.engines.compiled.tables import (
    ALONE,
    CAN_TELL,
    GATE_DRAWS,
    LAST_RANKED,
    LOOKS_HEALTHY,
    LOOKS_UNHEALTHY,
    N_RANKED,
    OLD_BAD,
    SEEN,
    SEEN_BAD,
)
from simdeploy.rules.gates.gate import MOST_RANKED
from simdeploy.world.streams import Stream

NO_VERDICT, PASSES, FAILS = range(3)
_SLACK = 1e-9  # larger than rounding errors of a bound


@compiled
def take_look(run, wave, is_over):
    """Take one more look at a wave; return the verdict on it, if there is one now."""
    gate, table = policy_of(run), waves(run)
    requests, failed, old_failed = take(run, wave)
    if gate.gate == MANN_WHITNEY and requests and table[N_RANKED, wave] < MOST_RANKED:
        _keep_rates(run, wave, failed / requests, old_failed / requests)
    if gate.gate == POOLED_WINDOW:
        return _take_window(run, wave, requests, failed)
    if gate.gate == SPRT_REQUESTS:
        verdict = _walk(run, wave, requests, failed)
    else:
        table[SEEN, wave] += requests
        table[SEEN_BAD, wave] += failed
        table[OLD_BAD, wave] += old_failed
        verdict = _judge_totals(run, wave)
    decides_by_itself = gate.gate == SPRT_WINDOWS or gate.gate == SPRT_REQUESTS or gate.gate == BAYES
    if verdict == NO_VERDICT and is_over and not decides_by_itself:
        verdict = _conclude(run, wave)
    table[CAN_TELL, wave] = verdict != NO_VERDICT
    if verdict == NO_VERDICT and is_over:
        return without_verdict(run, wave)
    return verdict


@compiled
def without_verdict(run, wave):
    """Return what happens to a wave without a verdict."""
    if run.cant_tell == CANT_TELL_WAIT:
        return PASSES if waves(run)[ALONE, wave] else NO_VERDICT
    if run.cant_tell == CANT_TELL_UNHEALTHY and policy_of(run).gate == POOLED_WINDOW:
        return NO_VERDICT
    return PASSES if run.cant_tell == CANT_TELL_PASS else FAILS


@compiled
def _take_window(run, wave, requests, failed):
    gate, table = policy_of(run), waves(run)
    counted_in = np.int64(0) if gate.gate_of_rollout else wave
    table[SEEN, wave] += requests
    table[SEEN_BAD, wave] += failed
    can_tell = requests >= max(gate.gate_minimum, 1)
    table[CAN_TELL, wave] = can_tell
    if can_tell:
        is_healthy = failed * gate.gate_bottom <= gate.gate_top * requests
    elif run.cant_tell == CANT_TELL_WAIT:
        return NO_VERDICT
    else:
        is_healthy = run.cant_tell == CANT_TELL_PASS
    if is_healthy:
        table[LOOKS_HEALTHY, wave] += 1
        if not gate.cumulative:
            table[LOOKS_UNHEALTHY, counted_in] = 0
        return PASSES if table[LOOKS_HEALTHY, wave] >= _looks_needed(run, wave) else NO_VERDICT
    if not can_tell and run.cant_tell == CANT_TELL_STOP:
        return FAILS
    table[LOOKS_UNHEALTHY, counted_in] += 1
    if gate.consecutive:
        table[LOOKS_HEALTHY, wave] = 0
    threshold = gate.failure_threshold
    return FAILS if threshold > 0 and table[LOOKS_UNHEALTHY, counted_in] >= threshold else NO_VERDICT


@compiled
def _looks_needed(run, wave):
    """Return how many healthy looks a wave needs."""
    policy = policy_of(run)
    if policy.watches_by_wave:
        healthy = terms_of_wave(run, wave).healthy
        if healthy >= 0:
            return max(-(-healthy // policy.interval), np.int64(1))
    return policy.gate_needed


@compiled
def _judge_totals(run, wave):
    """Return the verdict if the gate can give it at any look."""
    gate, table = policy_of(run), waves(run)
    seen, bad = table[SEEN, wave], table[SEEN_BAD, wave]
    if seen < max(gate.gate_minimum, 1):
        return NO_VERDICT
    if gate.gate == SPRT_WINDOWS:
        return _by_ratio(gate, bad, seen)
    if gate.gate == E_PROCESS:
        return FAILS if _is_evident(gate, bad, seen) else NO_VERDICT
    if gate.gate == MULTINOMIAL:
        return FAILS if _is_evident(gate, bad, bad + table[OLD_BAD, wave]) else NO_VERDICT
    if gate.gate == BAYES:
        return _by_posterior(gate, gate.gate_a + bad, gate.gate_b + (seen - bad))
    return NO_VERDICT


@compiled
def log_ratio(gate, failed, requests):
    """Return the log-likelihood ratio of bad to good."""
    return failed * gate.gate_if_failed + (requests - failed) * gate.gate_if_served


@compiled
def _by_ratio(gate, failed, requests):
    ratio = log_ratio(gate, failed, requests)
    if ratio >= gate.gate_upper or ratio <= gate.gate_lower:
        return FAILS if ratio >= gate.gate_upper else PASSES
    if requests >= gate.gate_most:
        return FAILS if ratio > 0 else PASSES
    return NO_VERDICT


@compiled
def _by_posterior(gate, a, b):
    """Judge by a beta posterior: by a bound on its tail, or by the tail itself.

    A beta variable is the ratio of a gamma variable to the sum of two. So by Chernoff's bound it lies beyond a point on the other side
    of its mean with a probability of at most exp(-(a + b) D), where D is the divergence of the mean from the point.
    """
    mean, doubt = a / (a + b), 1.0 - gate.gate_confidence
    if 0.0 < gate.gate_null < 1.0:
        if mean < gate.gate_null and math.exp(-(a + b) * shortfall(mean, gate.gate_null)) < doubt - _SLACK:
            return PASSES
        if mean > gate.gate_null and math.exp(-(a + b) * divergence(mean, gate.gate_null)) < doubt - _SLACK:
            return FAILS
    above = betaincc(a, b, gate.gate_null, 0)
    if above >= gate.gate_confidence:
        return FAILS
    return PASSES if 1 - above >= gate.gate_confidence else NO_VERDICT


@compiled
def _is_evident(gate, failed, requests):
    """Tell whether the evidence suffices: a mean of likelihood ratios, at most that of the observed share of failures."""
    if requests > 0:
        most, share = 0.0, failed / requests
        if share > gate.gate_null:
            most = requests * divergence(share, gate.gate_null)
        if most + _SLACK * (1 + requests) < gate.gate_upper:
            return False
    return _log_evidence(gate, failed, requests) >= gate.gate_upper


@compiled
def _log_evidence(gate, failed, requests):
    a, b, null = gate.gate_a, gate.gate_b, gate.gate_null
    tail = betaincc(a + failed, b + (requests - failed), null, 0)
    if tail <= 0.0:
        return -math.inf
    weight = betaln(a + failed, b + (requests - failed), 0) + math.log(tail)
    return weight - gate.gate_prior - failed * math.log(null) - (requests - failed) * math.log1p(-null)


@compiled
def _walk(run, wave, requests, failed):
    """Process the requests of a look one by one, in random order, until the test decides."""
    gate, table = policy_of(run), waves(run)
    seen, bad, draws = table[SEEN, wave], table[SEEN_BAD, wave], table[GATE_DRAWS, wave]
    least = max(gate.gate_minimum, 1)
    left, bad_left = requests, failed
    is_decided = False
    while left > 0 and not is_decided:
        gap = left
        is_failure = bad_left > 0
        if is_failure:
            u = draw(run, Stream.GATE_ORDER.value, wave, draws)
            draws += 1
            gap = np.int64(0)
            rest, good_left = left, left - bad_left
            quotient = good_left / rest
            while quotient > u:
                gap += 1
                rest -= 1
                good_left -= 1
                quotient *= good_left / rest
        for step in range(gap + is_failure):
            seen += 1
            if step == gap:
                bad += 1
                bad_left -= 1
            left -= 1
            ratio = log_ratio(gate, bad, seen)
            if seen >= least and (seen >= gate.gate_most or not gate.gate_lower < ratio < gate.gate_upper):
                is_decided = True
                break
    table[SEEN, wave], table[SEEN_BAD, wave], table[GATE_DRAWS, wave] = seen, bad, draws
    return _by_ratio(gate, bad, seen) if is_decided else NO_VERDICT


@compiled
def _conclude(run, wave):
    """Return the verdict of a gate that decides only at the end of the observation."""
    gate, table = policy_of(run), waves(run)
    seen, bad = table[SEEN, wave], table[SEEN_BAD, wave]
    if seen < max(gate.gate_minimum, 1):
        return NO_VERDICT
    if gate.gate == POOLED_OBSERVATION:
        return PASSES if bad * gate.gate_bottom <= gate.gate_top * seen else FAILS
    if gate.gate == MANN_WHITNEY:
        return _judge_ranks(run, wave)
    return PASSES


@compiled
def _keep_rates(run, wave, new, old):
    """Keep the error rates of a look at a wave."""
    look = run.n_ranked
    if look == run.room_ranked:
        run.is_full = True
        return
    ranked(run)[0, look], ranked(run)[1, look] = new, old
    ranked_before(run)[look] = waves(run)[LAST_RANKED, wave]
    waves(run)[LAST_RANKED, wave] = look
    waves(run)[N_RANKED, wave] += 1
    run.n_ranked += 1


@compiled
def _count_not_above(new, old, limit):
    """Return how many of the differences of two sorted series are not above a limit."""
    n_pairs = below = np.int64(0)
    for value in old:
        while below < len(new) and new[below] - value <= limit:
            below += 1
        n_pairs += below
    return n_pairs


@compiled
def _judge_ranks(run, wave):
    """Compare the series of error rates by ranks."""
    gate, n = policy_of(run), waves(run)[N_RANKED, wave]
    new, old = np.empty(n), np.empty(n)
    look = waves(run)[LAST_RANKED, wave]
    for i in range(n):
        new[i], old[i] = ranked(run)[0, look], ranked(run)[1, look]
        look = ranked_before(run)[look]
    place = np.int64(math.floor(n * n / 2 - gate.gate_z * math.sqrt(n * n * (n + n + 1) / 12)))
    if place < 1:
        return NO_VERDICT
    new, old = sort(new), sort(old)
    if _count_not_above(new, old, 0.0) >= place:
        return PASSES  # the interval's lower end is not above 0
    if _count_not_above(new, old, gate.gate_tolerance * (new[n - 1] - old[0])) < place:
        return FAILS  # it is above the tolerance even for the largest possible shift
    differences = np.empty(n * n)
    for i in range(n):
        for j in range(n):
            differences[i * n + j] = new[i] - old[j]
    differences = sort(differences)
    middle = (n * n) // 2
    estimate = differences[middle] if (n * n) % 2 else (differences[middle - 1] + differences[middle]) / 2
    return FAILS if differences[place - 1] > gate.gate_tolerance * abs(estimate) else PASSES
