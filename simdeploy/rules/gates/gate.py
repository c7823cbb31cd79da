"""A gate as an orchestrator interprets it, with every bound computed in advance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from simdeploy.rules.health import read_max_error_rate
from simdeploy.world.special import special

if TYPE_CHECKING:
    from fractions import Fraction

    from simdeploy.rules.orchestrator import CantTell, Orchestrator
    from simdeploy.rules.policy import GateTerms, Policy
    from simdeploy.rules.waves import WaveWatch

Method = Literal[
    "pooled_window",
    "pooled_observation",
    "sprt_windows",
    "sprt_requests",
    "e_process",
    "multinomial",
    "mann_whitney",
    "bayes",
    "cusum",
]
METHODS: tuple[Method, ...] = get_args(Method)

DEFAULT_ERROR = 0.05
DEFAULT_CONFIDENCE = 0.95
DEFAULT_TOLERANCE = 0.25
DEFAULT_ALARM_EVERY = 10_000.0
# Default prior of the beta mixtures: Jeffreys'.
_JEFFREYS = 0.5
# An SPRT ends at this multiple of the sample size of a fixed-size test with the same error probabilities.
_TRUNCATED_AT = 3
# A comparison by ranks uses all pairs of looks, so the number of looks is limited.
MOST_RANKED = 1000
# Totals of a wave are compared with an error rate in 64-bit integers.
MOST_GATED_REQUESTS = 10**9
# A test request by request visits each of them.
MOST_ORDERED_REQUESTS = 10**6


@dataclass(frozen=True)
class Gate:
    """How a wave, or the running nodes, are judged by their requests."""

    method: Method  # one of `METHODS`
    minimum_sample: int  # requests before which there is no verdict
    cant_tell: CantTell  # action if the observation ends without a verdict
    max_error_rate: Fraction  # the policy's, in effect
    windows_needed: int  # healthy looks that pass, at least 1 (pooled_window)
    consecutive: bool  # whether one bad look restarts the count of healthy ones
    failure_threshold: int | None  # unhealthy looks that fail (pooled_window)
    # if_failed, if_served: added to the log-likelihood ratio of bad to good by a failed and by a served request (sprt, cusum)
    if_failed: float = 0.0
    if_served: float = 0.0
    # upper, lower: log-likelihood ratio at which a test fails, and at which it passes (sprt); log evidence at which it
    # fails (e_process, multinomial); sum that raises an alarm (cusum)
    upper: float = math.inf
    lower: float = -math.inf
    most: int = 0  # requests after which an SPRT ends
    null: float = 0.0  # largest acceptable probability of failure (e_process, multinomial, bayes)
    # prior_a, prior_b: of the beta prior
    prior_a: float = _JEFFREYS
    prior_b: float = _JEFFREYS
    confidence: float = 1.0  # posterior probability that decides (bayes)
    # tolerance, z: fraction of the shift that is tolerated, and normal quantile of its interval (mann_whitney)
    tolerance: float = 0.0
    z: float = 0.0
    cumulative: bool = False  # whether the unhealthy looks of `failure_threshold` need not be consecutive
    of_rollout: bool = False  # whether unhealthy looks of all waves are counted together

    def of_wave(self, watch: WaveWatch, interval_ns: int) -> Gate:
        """Return the gate of a wave, with windows of this length."""
        if watch.min_healthy_ns is None:
            return self
        return replace(self, windows_needed=max(-(-watch.min_healthy_ns // interval_ns), 1))

    @property
    def watches_running(self) -> bool:
        """Whether it judges running nodes, not a wave."""
        return self.method == "cusum"

    @property
    def compares(self) -> bool:
        """Whether it compares with nodes on the old version."""
        return self.method in ("multinomial", "mann_whitney")


def method_of(terms: GateTerms) -> Method | None:
    """Return the method of a policy's gate; None for the API's threshold."""
    match terms.kind:
        case "threshold":
            return None
        case "pooled":
            return "pooled_window" if terms.over == "window" else "pooled_observation"
        case "sprt":
            return "sprt_requests" if terms.on == "requests" else "sprt_windows"
        case "baseline":
            return "mann_whitney" if terms.test == "mann_whitney" else "multinomial"
        case "e_process":
            return "e_process"
        case "bayes":
            return "bayes"
        case _:
            return "cusum"


def good_and_bad(terms: GateTerms, max_error_rate: float) -> tuple[float, float]:
    """Return the two error rates that an SPRT or a CUSUM distinguishes; by default half and twice the limit."""
    good = max_error_rate / 2 if terms.good is None else terms.good
    bad = min(2 * max_error_rate, (1 + max_error_rate) / 2) if terms.bad is None else terms.bad
    return good, bad


def beta_prior(terms: GateTerms, max_error_rate: float) -> tuple[float, float]:
    """Return both parameters of the beta prior.

    By default a mixture has Jeffreys' prior. A Bayesian gate's has a mean of half the limit and the weight of as many requests
    as have one expected failure at that rate: the prior probability of exceeding the limit is then about 13 %,
    unless the limit is very wide. A much heavier prior would decide before the first request, and let anything pass.
    """
    if terms.kind != "bayes" and terms.prior_mean is None and terms.prior_strength is None:
        return _JEFFREYS, _JEFFREYS
    mean = max_error_rate / 2 if terms.prior_mean is None else terms.prior_mean
    strength = 1 / mean if terms.prior_strength is None else terms.prior_strength
    return mean * strength, (1 - mean) * strength


def read_gate(policy: Policy, orchestrator: Orchestrator) -> Gate | None:
    """Read a policy's gate as an orchestrator does; None if the API's threshold judges, or nothing does.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from simdeploy.rules.policy import GateTerms
    >>> from simdeploy.rules.orchestrator import EXPANSO
    >>> from simdeploy.rules.policy import Policy
    >>> terms = GateTerms("sprt", good=0.01, bad=0.05)
    >>> policy = Policy("deployment", "rolling", 40, 0, 0, True, 300, 10, Fraction(1, 20), 30, None, None, None, None, False,
    ...                 terms)
    >>> gate = read_gate(policy, EXPANSO)
    >>> gate.method, gate.most
    ('sprt_windows', 513)
    """
    terms = policy.gate
    if terms is None or policy.strategy == "immediate":
        return None
    method = method_of(terms)
    if method is None:
        return None
    exact_rate = read_max_error_rate(policy, orchestrator)
    limit = float(exact_rate)
    alpha = DEFAULT_ERROR if terms.alpha is None else terms.alpha
    beta = DEFAULT_ERROR if terms.beta is None else terms.beta
    good, bad = good_and_bad(terms, limit)
    numbers: dict[str, float] = {}
    most = 0
    if method in ("sprt_windows", "sprt_requests", "cusum"):
        numbers = {"if_failed": math.log(bad / good), "if_served": math.log((1 - bad) / (1 - good))}
    if method in ("sprt_windows", "sprt_requests"):
        # Wald's approximations of the bounds A and B, "Sequential Analysis" (1947), section 3.3. A good release then fails with
        # a probability of at most alpha / (1 - beta) (section 3.2), unless the test is truncated.
        numbers |= {"upper": math.log((1 - beta) / alpha), "lower": math.log(beta / (1 - alpha))}
        most = fixed_size(good, bad, alpha, beta) * _TRUNCATED_AT if terms.most is None else terms.most
    if method in ("e_process", "multinomial"):
        numbers |= {"upper": -math.log(alpha), "null": limit if method == "e_process" else 0.5}
    if method == "cusum":
        every = DEFAULT_ALARM_EVERY if terms.alarm_every is None else terms.alarm_every
        numbers |= {"upper": math.log(every)}
    if method == "bayes":
        confidence = DEFAULT_CONFIDENCE if terms.confidence is None else terms.confidence
        numbers |= {"null": limit, "confidence": confidence}
    if method == "mann_whitney":
        tolerance = DEFAULT_TOLERANCE if terms.tolerance is None else terms.tolerance
        numbers |= {"tolerance": tolerance, "z": float(special.ndtri(1 - alpha / 2))}
    prior_a, prior_b = beta_prior(terms, limit)
    return Gate(
        method=method,
        minimum_sample=terms.minimum_sample or 0,
        cant_tell=orchestrator.cant_tell,
        max_error_rate=exact_rate,
        windows_needed=max(policy.windows_needed, 1),
        consecutive=orchestrator.window_reset or policy.success_threshold is not None,
        failure_threshold=policy.failure_threshold,
        cumulative=policy.cumulative_failures,
        of_rollout=terms.failures_of == "rollout",
        prior_a=prior_a,
        prior_b=prior_b,
        most=most,
        **numbers,
    )


def fixed_size(good: float, bad: float, alpha: float, beta: float) -> int:
    """Return the sample size of a fixed-size test between two error rates, by the normal approximation.

    Examples
    --------
    >>> fixed_size(0.01, 0.05, 0.05, 0.05)
    171
    """
    z_alpha, z_beta = float(special.ndtri(1 - alpha)), float(special.ndtri(1 - beta))
    spread = z_alpha * math.sqrt(good * (1 - good)) + z_beta * math.sqrt(bad * (1 - bad))
    return max(math.ceil((spread / (bad - good)) ** 2), 1)
