"""The general policy that every dialect of the API becomes, before an orchestrator interprets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction

Strategy = Literal["immediate", "rolling", "canary"]
Dialect = Literal["deployment", "rollout", "general"]


@dataclass(frozen=True)
class WaveTerms:
    """One entry of a list of waves."""

    amount: int | Fraction  # nodes, or a percent of them
    is_until: bool = False  # whether the amount includes the nodes of all earlier waves
    bake_ns: int | None = None  # pause after the wave; None is the orchestrator's
    max_failed_nodes: int | None = None
    max_failed_nodes_percent: Fraction | None = None  # limits of this wave alone; the percent is of its nodes
    min_healthy_ns: int | None = None  # healthy time of its nodes; None is the policy's
    by_gate: bool = True  # whether the gate judges it
    promotion: bool = False  # whether it awaits a promotion, as canaries do


@dataclass(frozen=True)
class GateTerms:
    """The keys of ``health_check.gate``; None for missing ones."""

    kind: str  # one of `simdeploy.vocabulary.GATES`
    over: str | None = None  # variants of pooled
    failures_of: str | None = None  # whether unhealthy looks are counted in each wave or in the whole rollout (pooled)
    on: str | None = None  # variants of sprt
    test: str | None = None  # variants of baseline
    good: float | None = None  # error rate of a good release
    bad: float | None = None  # error rate to detect
    alpha: float | None = None
    beta: float | None = None
    most: int | None = None  # requests after which an SPRT ends
    prior_mean: float | None = None  # of a beta prior
    prior_strength: float | None = None  # its weight in requests
    confidence: float | None = None
    tolerance: float | None = None
    alarm_every: float | None = None
    minimum_sample: int | None = None  # requests


@dataclass(frozen=True)
class Policy:
    """A spec with exact numbers; None where the spec leaves a limit unset.

    Unset is kept apart from 0 because a switch of the orchestrator decides what an explicit 0 means. An amount is a whole
    number of nodes, or a fraction that is a percent of them.
    """

    dialect: Dialect  # the form it was written in
    strategy: Strategy
    # Nodes (0: all at once); in the rollout dialect a percent of all nodes (0: 10); in the general dialect an amount.
    max_parallel: int | Fraction
    # canary_count, canary_percent: 0 is unset
    canary_count: int
    canary_percent: int
    auto_promote: bool
    deadline_ns: int | None  # longest wait for a node to become healthy; None only for immediate without a health check
    interval_ns: int  # length of one evaluation window
    max_error_rate: Fraction | None  # highest fraction of failed requests in a healthy window
    min_healthy_ns: int | None  # continuous healthy time (not in the rollout dialect)
    # success_threshold, failure_threshold: windows to be healthy, or to fail (not in the deployment dialect)
    success_threshold: int | None
    failure_threshold: int | None
    max_failed_nodes: int | None
    max_failed_nodes_percent: Fraction | None  # of whatever the orchestrator's `failed_percent_of` says, 0 to 100
    no_auto_rollback: bool
    gate: GateTerms | None = None  # what judges the new version, beyond the API; None is the API's threshold
    # Empty: all waves have `max_parallel` nodes. This field and those below are of the general dialect only.
    waves: tuple[WaveTerms, ...] = ()
    zone_by_zone: bool = False
    # zone_bake_ns, first_zone_bake_ns: pause after the last wave of a zone, and of the first zone
    zone_bake_ns: int | None = None
    first_zone_bake_ns: int | None = None
    max_parallel_per_zone: int | Fraction = 0  # amount of each zone in flight at once; 0 is all
    surge: int | Fraction = 0  # amount of nodes in flight that are updated beside their old instance
    surge_canaries: bool = False  # whether all canaries are updated beside their old instance
    slot_delay_ns: int = 0
    cumulative_failures: bool = False  # whether the windows of `failure_threshold` need not be consecutive
    max_failed_nodes_per_zone: int | Fraction | None = None
    retries: int = 0
    retry_delay_ns: int = 0
    retry_unhealthy: bool = False  # whether nodes that fail their health check are tried again as well
    progress_deadline_ns: int | None = None
    rollout_deadline_ns: int | None = None
    # Amount rolled back at once; 0 is all, None as the orchestrator says.
    rollback_parallel: int | Fraction | None = None
    rollback_delay_ns: int = 0

    @property
    def windows_needed(self) -> int:
        """Healthy windows until a node is running."""
        if self.success_threshold is not None:
            return self.success_threshold
        return -(-(self.min_healthy_ns or 0) // self.interval_ns)

    @property
    def awaits_promotion(self) -> bool:
        """Whether a wave awaits a promotion: the canaries, or one of a list that says so."""
        has_promotions = self.strategy == "rolling" and any(terms.promotion for terms in self.waves)
        return self.strategy == "canary" or has_promotions

    @property
    def windows_of_waves(self) -> list[int]:
        """Healthy windows until a node is running, by the health check and by each wave that overrides its healthy time."""
        times_ns = (terms.min_healthy_ns for terms in self.waves if self.strategy != "immediate")
        return [self.windows_needed, *(-(-ns // self.interval_ns) for ns in times_ns if ns is not None)]
