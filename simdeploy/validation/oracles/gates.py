"""Operating characteristics of gates: probabilities of verdicts, and the requests needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.errors import InputError, Problem
from simdeploy.validation.oracles.gate_values import GateCharacteristics

if TYPE_CHECKING:
    import numpy.typing as npt

    from simdeploy.rules.gates.gate import Gate

    Floats = npt.NDArray[np.float64]
    Verdicts = npt.NDArray[np.int8]

_FAILS, _PASSES = 1, -1

# Less probable counts are left out; together they are far below rounding errors.
_NEGLIGIBLE = 1e-20


def gate_characteristics(
    gate: Gate, requests: Sequence[int], error_rate: float, *, old_error_rate: float | None = None
) -> GateCharacteristics:
    """Probabilities of a gate's verdicts, and mean number of requests until then, where requests fail independently.

    Parameters
    ----------
    gate : Gate
        From `make_gate`, or of a policy (`simdeploy.rules.gates.gate.read_gate`); any but ``mann_whitney``, which ranks all
        looks together.
    requests : sequence of int
        Of the new version, look by look; the observation is over after the last.
    error_rate : float
        Probability that a request of the new version fails.
    old_error_rate : float, optional
        Likewise for the old version, which gets as many requests (``baseline``); default: `error_rate`.

    Returns
    -------
    GateCharacteristics
        Exact except for rounding, and for counts of failures with a probability below 1e-20, which are left out.

    Notes
    -----
    The law of the failed requests of waves without a verdict is carried forward from look to look; states at a bound are
    absorbed. An SPRT on requests proceeds by single requests, which remain independent in random order. Windows that are pooled
    look by look are a Markov chain of healthy and unhealthy ones; a CUSUM is followed from each look at which it was 0.

    References
    ----------
    P. Armitage, C. K. McPherson, B. C. Rowe, "Repeated significance tests on accumulating data", J. R. Stat. Soc. A 132
    (1969) 235-244 (the same recursion, for the binomial law).

    Examples
    --------
    >>> from simdeploy.validation.oracles import make_gate
    >>> once = gate_characteristics(make_gate("pooled", max_error_rate=0.5), [2], 0.5)
    >>> round(once.fails, 6), round(once.passes, 6), once.expected_requests
    (0.25, 0.75, 2.0)
    >>> sprt = make_gate("sprt", on="requests", good=0.01, bad=0.05)
    >>> found = gate_characteristics(sprt, [50] * 20, 0.01)
    >>> round(found.fails, 4), round(found.expected_requests, 1)
    (0.029, 112.5)
    """
    match gate.method:
        case "mann_whitney":
            raise InputError(
                Problem("has no exact recursion", found="mann_whitney", allowed="every other gate", hint="simulate it")
            )
        case "pooled_window":
            return _pooled_windows(gate, requests, error_rate)
        case "cusum":
            return _follow_cusum(gate, requests, error_rate)
        case "sprt_requests":
            requests = [1] * sum(requests)
    if gate.method == "multinomial":
        return _totals(gate, requests, error_rate, error_rate if old_error_rate is None else old_error_rate)
    return _totals(gate, requests, error_rate, 0.0)


def _totals(gate: Gate, requests: Sequence[int], error_rate: float, old_error_rate: float) -> GateCharacteristics:
    """Follow the failed requests, of the new and of the old version, of all waves that have no verdict."""
    undecided: Floats = np.ones((1, 1))
    laws: dict[int, tuple[Floats, Floats]] = {}
    fails = passes = expected = 0.0
    left, total = 1.0, 0
    for place, more in enumerate(requests, start=1):
        if more not in laws:
            laws[more] = failed_law(more, error_rate), failed_law(more, old_error_rate)
        law, old_law = laws[more]
        expected += more * left
        total += more
        undecided = add_failures(undecided, law)
        if old_error_rate > 0:
            undecided = add_failures(undecided.T, old_law).T
        failed = np.broadcast_to(np.arange(len(undecided))[:, None], undecided.shape)
        verdicts = _judge(gate, total, failed, is_over=place == len(requests))
        if verdicts.any():
            fails += float(undecided[verdicts == _FAILS].sum())
            passes += float(undecided[verdicts == _PASSES].sum())
            undecided = np.where(verdicts == 0, undecided, 0.0)
        undecided = cut(undecided)
        left = float(undecided.sum())
        if left == 0:
            break
    return GateCharacteristics(fails, passes, left, expected)


def _judge(gate: Gate, total: int, failed: npt.NDArray[np.int64], *, is_over: bool) -> Verdicts:
    """Return the verdict on every count of failures, of the new by that of the old version; 0 for none."""
    verdicts: Verdicts = np.zeros(failed.shape, np.int8)
    if total < max(gate.minimum_sample, 1):
        return verdicts
    match gate.method:
        case "sprt_windows" | "sprt_requests":
            ratio = failed * gate.if_failed + (total - failed) * gate.if_served
            if total >= gate.most:
                verdicts[:] = np.where(ratio > 0, _FAILS, _PASSES)
            verdicts[ratio <= gate.lower] = _PASSES
            verdicts[ratio >= gate.upper] = _FAILS
        case "bayes":
            above = _beta_above(gate, failed, total - failed)
            verdicts[1 - above >= gate.confidence] = _PASSES
            verdicts[above >= gate.confidence] = _FAILS
        case "pooled_observation":
            if is_over:
                verdicts[:] = np.where(failed > math.floor(gate.max_error_rate * total), _FAILS, _PASSES)
        case _:
            if is_over:
                verdicts[:] = _PASSES
            if gate.method == "multinomial":
                size = 1 << (max(failed.shape) - 1).bit_length()
                verdicts[_failing_pairs(gate, size)[: failed.shape[0], : failed.shape[1]]] = _FAILS
            else:
                verdicts[_log_evidence(gate, failed, total - failed) >= gate.upper] = _FAILS
    return verdicts


@lru_cache(maxsize=8)
def _failing_pairs(gate: Gate, size: int) -> npt.NDArray[np.bool_]:
    """Return the counts of failures, of the new and of the old version, at which there is enough evidence to fail."""
    failed, old_failed = np.indices((size, size))
    return np.asarray(_log_evidence(gate, failed, old_failed) >= gate.upper)


def _beta_above(gate: Gate, failed: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Floats:
    """Return the posterior probability of more than `null`."""
    from scipy import special

    return np.asarray(special.betaincc(gate.prior_a + failed, gate.prior_b + others, gate.null), np.float64)


def _log_evidence(gate: Gate, failed: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Floats:
    """Return the log ratio of the likelihood under the prior above `null` to that of `null` itself."""
    from scipy import special

    with np.errstate(divide="ignore"):
        log_above = np.log(_beta_above(gate, failed, others))
    log_prior_above = math.log(special.betaincc(gate.prior_a, gate.prior_b, gate.null))
    bayes_factor = special.betaln(gate.prior_a + failed, gate.prior_b + others) - special.betaln(
        gate.prior_a, gate.prior_b
    )
    under_null = failed * math.log(gate.null) + others * math.log1p(-gate.null)
    return np.asarray(bayes_factor + log_above - log_prior_above - under_null, np.float64)


def _pooled_windows(gate: Gate, requests: Sequence[int], error_rate: float) -> GateCharacteristics:
    """Follow healthy and unhealthy looks."""
    from scipy.stats import binom

    undecided = {(0, 0): 1.0}
    fails = passes = expected = 0.0
    for more in requests:
        expected += more * math.fsum(undecided.values())
        is_told = more >= max(gate.minimum_sample, 1)
        if not is_told and gate.cant_tell == "wait":
            continue
        if is_told:
            healthy = float(binom.cdf(math.floor(gate.max_error_rate * more), more, error_rate))
        else:
            healthy = float(gate.cant_tell == "pass")
        following: dict[tuple[int, int], float] = {}
        for (good, bad), probability in undecided.items():
            if good + 1 >= gate.windows_needed:
                passes += probability * healthy
            else:
                following[good + 1, 0] = following.get((good + 1, 0), 0.0) + probability * healthy
            is_last = gate.failure_threshold is not None and bad + 1 >= gate.failure_threshold
            if is_last or (not is_told and gate.cant_tell == "stop"):
                fails += probability * (1 - healthy)
            else:
                state = (0 if gate.consecutive else good, bad + 1 if gate.failure_threshold is not None else 0)
                following[state] = following.get(state, 0.0) + probability * (1 - healthy)
        undecided = following
    return GateCharacteristics(fails, passes, math.fsum(undecided.values()), expected)


def cusum_run_length(gate: Gate, requests: int, error_rate: float) -> float:
    """Mean number of looks until a CUSUM raises its alarm, with the same number of requests at every look.

    Parameters
    ----------
    gate : Gate
        A ``cusum``.
    requests : int
        Of a look.
    error_rate : float
        Probability that a request fails.

    Notes
    -----
    From one zero of the sum to the next it is an SPRT between 0 and the alarm. If such a test takes L looks on average, and ends
    with an alarm with probability P, the mean is ``L / P``. Both are found from the law of failed requests from look to look,
    exactly except for rounding: a test is abandoned when its probability of continuing is 1e-16 of that of an alarm.

    References
    ----------
    E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954) 100-115 (the scheme as a sequence of Wald's tests).

    Examples
    --------
    >>> from simdeploy.validation.oracles import make_gate
    >>> gate = make_gate("cusum", good=0.01, bad=0.05, alarm_every=1000)
    >>> [round(cusum_run_length(gate, 100, level), 1) for level in (0.01, 0.05)]
    [7407.2, 2.5]
    """
    looks = 1
    if requests < max(gate.minimum_sample, 1):
        if gate.cant_tell in ("stop", "unhealthy"):
            return 1.0
        if gate.cant_tell == "pass" or requests == 0:
            return math.inf
        looks = -(-max(gate.minimum_sample, 1) // requests)
        requests *= looks
    law = failed_law(requests, error_rate)
    undecided: Floats = np.ones(1)
    length = alarm = 0.0
    total = 0
    while undecided.sum() > 1e-16 * alarm:
        length += float(undecided.sum())
        total += requests
        undecided, alarms, _ = _next_look(gate, undecided, law, total)
        alarm += alarms
    return looks * length / alarm if alarm else math.inf


def _follow_cusum(gate: Gate, requests: Sequence[int], error_rate: float) -> GateCharacteristics:
    """Follow a CUSUM through the looks, separately from each look at which it was 0."""
    least = max(gate.minimum_sample, 1)
    # Each test since the sum was 0: requests since then, and the probabilities of failed ones.
    tests: list[tuple[int, Floats]] = []
    at_zero, fails, expected = 1.0, 0.0, 0.0
    held_back = 0
    for more in requests:
        undecided = at_zero + math.fsum(float(test.sum()) for _, test in tests)
        expected += more * undecided
        held_back += more
        if held_back < least:
            if gate.cant_tell in ("stop", "unhealthy"):
                return GateCharacteristics(fails + undecided, 0.0, 0.0, expected)
            if gate.cant_tell == "pass":
                held_back = 0
            continue
        law = failed_law(held_back, error_rate)
        started = [*tests, (0, np.array([at_zero]))]
        tests, at_zero = [], 0.0
        for before, probabilities in started:
            remaining, alarms, zeros = _next_look(gate, probabilities, law, before + held_back)
            fails += alarms
            at_zero += zeros
            if remaining.max() > _NEGLIGIBLE:
                tests.append((before + held_back, remaining))
        held_back = 0
    undecided = at_zero + math.fsum(float(test.sum()) for _, test in tests)
    return GateCharacteristics(fails, 0.0, undecided, expected)


def _next_look(gate: Gate, probabilities: Floats, law: Floats, total: int) -> tuple[Floats, float, float]:
    """Return the undecided probabilities after one more look, and those of an alarm and of a sum of 0."""
    after = add_failures(probabilities, law)
    failed = np.arange(len(after))
    sums = failed * gate.if_failed + (total - failed) * gate.if_served
    alarms, zeros = float(after[sums >= gate.upper].sum()), float(after[sums <= 0].sum())
    return cut(np.where((sums > 0) & (sums < gate.upper), after, 0.0)), alarms, zeros


def failed_law(requests: int, error_rate: float) -> Floats:
    """Return the probabilities of 0, 1, ... failed requests among `requests`: the binomial law without its negligible tail.

    Examples
    --------
    >>> failed_law(2, 0.5).round(6).tolist()
    [0.25, 0.5, 0.25]
    """
    from scipy.stats import binom

    law: Floats = np.asarray(binom.pmf(np.arange(requests + 1), requests, error_rate))
    return law[: np.flatnonzero(law > _NEGLIGIBLE)[-1] + 1]


def add_failures(probabilities: Floats, law: Floats) -> Floats:
    """Return the probabilities of counts, along the first axis, after adding independent failures with a law.

    Examples
    --------
    >>> add_failures(np.array([0.5, 0.5]), np.array([0.75, 0.25])).tolist()
    [0.375, 0.5, 0.125]
    """
    counts = len(probabilities)
    added = np.zeros((counts + len(law) - 1, *probabilities.shape[1:]))
    if counts < len(law):
        for failed, probability in enumerate(probabilities):
            added[failed : failed + len(law)] += np.multiply.outer(law, probability)
        return added
    for failed, probability in enumerate(law):
        added[failed : failed + counts] += probability * probabilities
    return added


def cut(probabilities: Floats) -> Floats:
    """Leave out the highest counts along every axis if they are negligible.

    Examples
    --------
    >>> cut(np.array([0.5, 0.5, 0.0])).tolist()
    [0.5, 0.5]
    """
    for axis, size in enumerate(probabilities.shape):
        if size > 1:
            others = tuple(other for other in range(probabilities.ndim) if other != axis)
            kept = np.flatnonzero(probabilities.max(axis=others, initial=0.0) > _NEGLIGIBLE)
            probabilities = np.take(probabilities, np.arange(kept[-1] + 1 if len(kept) else 1), axis=axis)
    return probabilities
