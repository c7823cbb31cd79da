"""CUSUM of running nodes: how long it is silent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.validation.oracles.counting import NEGLIGIBLE, add_failures, cut, failed_law
from simdeploy.validation.oracles.gate_values import GateCharacteristics

if TYPE_CHECKING:
    import numpy.typing as npt

    from simdeploy.rules.gates.gate import Gate

    Floats = npt.NDArray[np.float64]


def cusum_run_length(gate: Gate, requests: int, error_rate: float) -> float:
    """Mean number of looks until a CUSUM raises its alarm, the same number of requests at every look.

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
    with an alarm with probability P, the mean is ``L / P``. Both are found by the law of failed requests from look to look, exactly
    but for rounding: a test that still goes on with a probability of 1e-16 of that of an alarm is left.

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
        if gate.cant_tell == "stop":
            return 1.0
        if gate.cant_tell == "pass" or requests == 0:
            return math.inf
        looks = -(-max(gate.minimum_sample, 1) // requests)
        requests *= looks
    law = failed_law(requests, error_rate)
    going_on: Floats = np.ones(1)
    length = alarm = 0.0
    total = 0
    while going_on.sum() > 1e-16 * alarm:
        length += float(going_on.sum())
        total += requests
        going_on, alarms, _ = _next(gate, going_on, law, total)
        alarm += alarms
    return looks * length / alarm if alarm else math.inf


def cusum_characteristics(gate: Gate, requests: Sequence[int], error_rate: float) -> GateCharacteristics:
    """Follow a CUSUM through looks, from each at which it was 0; the part of `gate_characteristics` that is about it."""
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
            if gate.cant_tell == "stop":
                return GateCharacteristics(fails + undecided, 0.0, 0.0, expected)
            if gate.cant_tell == "pass":
                held_back = 0
            continue
        law = failed_law(held_back, error_rate)
        started = [*tests, (0, np.array([at_zero]))]
        tests, at_zero = [], 0.0
        for before, probabilities in started:
            going_on, alarms, zeros = _next(gate, probabilities, law, before + held_back)
            fails += alarms
            at_zero += zeros
            if going_on.max() > NEGLIGIBLE:
                tests.append((before + held_back, going_on))
        held_back = 0
    undecided = at_zero + math.fsum(float(test.sum()) for _, test in tests)
    return GateCharacteristics(fails, 0.0, undecided, expected)


def _next(gate: Gate, probabilities: Floats, law: Floats, total: int) -> tuple[Floats, float, float]:
    """Return what goes on after one more look, and the probabilities of an alarm and of a sum of 0."""
    after = add_failures(probabilities, law)
    failed = np.arange(len(after))
    sums = failed * gate.if_failed + (total - failed) * gate.if_served
    alarms, zeros = float(after[sums >= gate.upper].sum()), float(after[sums <= 0].sum())
    return cut(np.where((sums > 0) & (sums < gate.upper), after, 0.0)), alarms, zeros
