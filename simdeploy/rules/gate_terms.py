"""What a policy says of its gate, before an orchestrator reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateTerms:
    """The keys of ``health_check.gate``; None where one is left out.

    Attributes
    ----------
    kind : str
        One of `simdeploy.api.gate.GATES`.
    over, on, test : str or None
        Variants of pooled, sprt and baseline.
    good, bad : float or None
        Error rates, fractions: of what is in order, and of what is to be found.
    alpha, beta : float or None
        Error probabilities.
    most : int or None
        Requests after which an SPRT ends.
    prior_mean, prior_strength : float or None
        Of a beta prior: its mean, and the requests that it is worth.
    minimum_sample : int or None
        Requests.
    """

    kind: str
    over: str | None = None
    on: str | None = None
    test: str | None = None
    good: float | None = None
    bad: float | None = None
    alpha: float | None = None
    beta: float | None = None
    most: int | None = None
    prior_mean: float | None = None
    prior_strength: float | None = None
    confidence: float | None = None
    tolerance: float | None = None
    alarm_every: float | None = None
    minimum_sample: int | None = None
