"""The general policy that every dialect of the API becomes, before an orchestrator interprets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction


Strategy = Literal["immediate", "rolling", "canary"]
Dialect = Literal["deployment", "rollout"]


@dataclass(frozen=True)
class GateTerms:
    """The keys of ``health_check.gate``; None for missing ones.

    Attributes
    ----------
    kind : str
        One of `simdeploy.api.gate.GATES`.
    over, on, test : str or None
        Variants of pooled, sprt and baseline.
    good, bad : float or None
        Error rates, fractions: of a good release, and of one to detect.
    alpha, beta : float or None
        Error probabilities.
    most : int or None
        Requests after which an SPRT ends.
    prior_mean, prior_strength : float or None
        Of a beta prior: its mean, and its weight in requests.
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


@dataclass(frozen=True)
class Policy:
    """A deployment spec with exact numbers; None where the spec leaves a limit unset.

    Unset is kept apart from 0 because a switch of the orchestrator decides what an explicit 0 means.

    Attributes
    ----------
    dialect : {'deployment', 'rollout'}
        The form it was written in.
    strategy : {'immediate', 'rolling', 'canary'}
    max_parallel : int
        Nodes (0: all at once), or a percent of all nodes in the rollout dialect (0: 10).
    canary_count, canary_percent : int
        0 is unset.
    auto_promote : bool
    deadline_ns : int or None
        Longest wait for a node to become healthy; None only for immediate without a health check.
    interval_ns : int
        Length of one evaluation window.
    max_error_rate : Fraction or None
        Highest fraction of failed requests in a healthy window.
    min_healthy_ns : int or None
        Continuous healthy time (deployment dialect).
    success_threshold, failure_threshold : int or None
        Consecutive windows to be healthy, or to fail (rollout dialect).
    max_failed_nodes : int or None
    max_failed_nodes_percent : Fraction or None
        Of whatever the orchestrator's `failed_percent_of` says, 0 to 100.
    no_auto_rollback : bool
    gate : GateTerms or None
        What judges the new version, beyond the API; None is the API's threshold.
    """

    dialect: Dialect
    strategy: Strategy
    max_parallel: int
    canary_count: int
    canary_percent: int
    auto_promote: bool
    deadline_ns: int | None
    interval_ns: int
    max_error_rate: Fraction | None
    min_healthy_ns: int | None
    success_threshold: int | None
    failure_threshold: int | None
    max_failed_nodes: int | None
    max_failed_nodes_percent: Fraction | None
    no_auto_rollback: bool
    gate: GateTerms | None = None

    @property
    def windows_needed(self) -> int:
        """Healthy windows until a node is running."""
        if self.success_threshold is not None:
            return self.success_threshold
        return -(-(self.min_healthy_ns or 0) // self.interval_ns)
