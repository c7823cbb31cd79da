"""Wald's approximations of a sequential probability ratio test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simdeploy.validation.oracles.gate_values import GateCharacteristics

if TYPE_CHECKING:
    from simdeploy.rules.gates.gate import Gate


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
    With z what a request adds to the log-likelihood ratio, and the h other than 0 for which ``E[exp(h z)] = 1``, the test
    passes with probability ``L = (A**h - 1) / (A**h - B**h)``, A and B being its bounds, and takes
    ``(L log B + (1 - L) log A) / E[z]`` requests; where ``E[z] = 0`` these are ``L = log A / (log A - log B)`` and
    ``-log A log B / E[z**2]``. Left out are by how much the last request exceeds a bound, and that the test ends at ``most``.

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
    """Return the h other than 0 at which the mean of exp(h z) is 1; 0 where there is none."""
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
