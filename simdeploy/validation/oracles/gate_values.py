"""A single gate as the argument of closed forms, its characteristics, and Wald's approximations for an SPRT."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from simdeploy.errors import InputError, Problem
from simdeploy.rules.gates.gate import Gate, read_gate
from simdeploy.rules.orchestrator import EXPANSO, CantTell
from simdeploy.rules.policy import GateTerms, Policy
from simdeploy.units import NS_PER_S, exact


@dataclass(frozen=True)
class GateCharacteristics:
    """Probabilities of a gate's verdicts on a wave, and the requests needed for them.

    Attributes
    ----------
    fails, passes : float
        Probabilities of the verdicts.
    cant_tell : float
        Probability that there is no verdict at the last look; the switch `cant_tell` decides what happens then.
    expected_requests : float
        Mean number of requests of the new version that were examined, up to the verdict or the last look.

    Examples
    --------
    >>> from simdeploy.validation.oracles import wald_approximation
    >>> at_good = wald_approximation(make_gate("sprt", good=0.01, bad=0.05), 0.01)
    >>> round(at_good.fails, 6), round(at_good.passes, 6)
    (0.05, 0.95)
    """

    fails: float
    passes: float
    cant_tell: float
    expected_requests: float


def make_gate(
    kind: str,
    *,
    max_error_rate: float | Fraction = Fraction(1, 10),
    windows_needed: int = 1,
    failure_threshold: int | None = None,
    cant_tell: CantTell = "wait",
    **keys: Any,
) -> Gate:
    """Make a gate from the keys of a policy's ``health_check.gate``, to compute its characteristics.

    Parameters
    ----------
    kind : str
        Any but ``threshold``.
    max_error_rate : float or Fraction
        Of the policy; a float is read as its shortest decimal literal.
    windows_needed, failure_threshold : int
        Of the policy: healthy looks that pass, unhealthy ones in a row that fail (``pooled`` over windows).
    cant_tell : {'wait', 'pass', 'stop', 'unhealthy'}
        The orchestrator's switch.
    **keys
        The gate's own keys, as in a policy.

    Examples
    --------
    >>> make_gate("bayes", confidence=0.99, prior_mean=0.01, prior_strength=200).method
    'bayes'
    """
    policy = Policy(
        dialect="deployment",
        strategy="rolling",
        max_parallel=0,
        canary_count=0,
        canary_percent=0,
        auto_promote=True,
        deadline_ns=None,
        interval_ns=NS_PER_S,
        max_error_rate=exact(max_error_rate),
        min_healthy_ns=windows_needed * NS_PER_S,
        success_threshold=None,
        failure_threshold=failure_threshold,
        max_failed_nodes=None,
        max_failed_nodes_percent=None,
        no_auto_rollback=False,
        gate=GateTerms(kind, **keys),
    )
    gate = read_gate(policy, replace(EXPANSO, cant_tell=cant_tell))
    if gate is None:
        raise InputError(
            Problem("is no test of a wave", found=kind, allowed="pooled, sprt, e_process, baseline, bayes, cusum")
        )
    return gate


def wald_approximation(gate: Gate, error_rate: float) -> GateCharacteristics:
    """Wald's approximations of an SPRT's operating characteristic and average sample number.

    Parameters
    ----------
    gate : Gate
        An ``sprt``.
    error_rate : float
        Probability that a request fails, in (0, 1).

    Notes
    -----
    Let z be the contribution of a request to the log-likelihood ratio, h the number other than 0 with ``E[exp(h z)] = 1``, and
    A and B the bounds. The test passes with probability ``L = (A**h - 1) / (A**h - B**h)``, and takes
    ``(L log B + (1 - L) log A) / E[z]`` requests; if ``E[z] = 0`` these are ``L = log A / (log A - log B)`` and
    ``-log A log B / E[z**2]``. The approximations neglect the excess over a bound, and the truncation at ``most``.

    References
    ----------
    A. Wald, "Sequential Analysis", Wiley, 1947, section 3.4 (operating characteristic) and section 3.5 (average sample
    number).

    Examples
    --------
    >>> from simdeploy.validation.oracles import make_gate
    >>> sprt = make_gate("sprt", good=0.01, bad=0.05)
    >>> at_good = wald_approximation(sprt, 0.01)
    >>> round(at_good.fails, 6), round(at_good.expected_requests, 1)
    (0.05, 107.1)
    """
    up, down, upper, lower = gate.if_failed, gate.if_served, gate.upper, gate.lower
    drift = error_rate * up + (1 - error_rate) * down
    h = _other_root(error_rate, up, down)
    if h == 0.0:
        passes = upper / (upper - lower)
        requests = -upper * lower / (error_rate * up**2 + (1 - error_rate) * down**2)
    else:
        passes = math.expm1(h * upper) / (math.exp(h * upper) - math.exp(h * lower))
        requests = (passes * lower + (1 - passes) * upper) / drift
    return GateCharacteristics(1 - passes, passes, 0.0, requests)


def _other_root(error_rate: float, up: float, down: float) -> float:
    """Return the h other than 0 at which the mean of exp(h z) is 1; 0 if there is none."""
    from scipy.optimize import brentq

    def excess(h: float) -> float:
        return error_rate * math.expm1(h * up) + (1 - error_rate) * math.expm1(h * down)

    drift = error_rate * up + (1 - error_rate) * down
    # The function is convex, 0 at 0, with the slope of the drift: its other root lies on the side where it falls first.
    if abs(drift) < 1e-9 * (error_rate * up - (1 - error_rate) * down):
        return 0.0
    side = -math.copysign(1.0, drift)
    far = side
    while excess(far) <= 0:
        far *= 2
    near = far
    while excess(near) >= 0:
        near /= 2
    return float(brentq(excess, near, far, xtol=1e-14))
