"""When a rollout has too many failures: the limits, exact, in whole numbers (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator, PercentOf
    from simdeploy.rules.policy import Policy

DEFAULT_MAX_FAILED_NODES = 10
DEFAULT_MAX_FAILED_NODES_PERCENT = Fraction(10)


@dataclass(frozen=True)
class Counts:
    """The counts compared with the limits.

    Attributes
    ----------
    failed, running : int
        Nodes that ever failed, and that ever reached running.
    wave_failed, wave_size : int
        Failed nodes of the wave being judged, and its size.
    """

    failed: int
    running: int
    wave_failed: int
    wave_size: int


@dataclass(frozen=True)
class Limits:
    """The two limits of a policy under an orchestrator.

    Attributes
    ----------
    reaches : bool
        Whether a limit is crossed when reached, otherwise only above it.
    both : bool
        Whether both must be crossed, otherwise either.
    percent_of : {'fleet', 'resolved', 'wave'}
    minimum_sample : int
        Resolved nodes below which the percent limit is not crossed.
    total : int
        Nodes of the fleet, including skipped ones.
    """

    max_failed_nodes: int
    max_failed_nodes_percent: Fraction
    reaches: bool
    both: bool
    percent_of: PercentOf
    minimum_sample: int
    total: int

    def crossed(self, counts: Counts) -> str | None:
        """Return which limit is crossed, in words for the deployment's message; None if the rollout may continue.

        Nothing is crossed before a node has failed, so `reaches` with a limit of 0 doesn't stop a rollout without
        failures.

        Examples
        --------
        >>> limits = Limits(10, Fraction(10), reaches=False, both=False, percent_of="fleet", minimum_sample=0, total=1000)
        >>> limits.crossed(Counts(failed=10, running=500, wave_failed=3, wave_size=50)) is None
        True
        >>> limits.crossed(Counts(failed=11, running=500, wave_failed=4, wave_size=50))
        '11 failed nodes exceed max_failed_nodes 10'
        """
        if counts.failed == 0:
            return None
        by_count = self._by_count(counts)
        by_percent = self._by_percent(counts)
        if self.both:
            return f"{by_count} and {by_percent}" if by_count and by_percent else None
        return by_count or by_percent

    def _by_count(self, counts: Counts) -> str | None:
        if counts.failed < self.max_failed_nodes + (0 if self.reaches else 1):
            return None
        nodes = "node" if counts.failed == 1 else "nodes"
        verb = (
            ("reaches" if counts.failed == 1 else "reach")
            if self.reaches
            else ("exceeds" if counts.failed == 1 else "exceed")
        )
        return f"{counts.failed} failed {nodes} {verb} max_failed_nodes {self.max_failed_nodes}"

    def _by_percent(self, counts: Counts) -> str | None:
        resolved = counts.failed + counts.running
        if resolved < self.minimum_sample:
            return None
        failed, of = {
            "fleet": (counts.failed, self.total),
            "resolved": (counts.failed, resolved),
            "wave": (counts.wave_failed, counts.wave_size),
        }[self.percent_of]
        # failed / of against percent / 100, in integers: no rounding at an exact limit.
        limit = self.max_failed_nodes_percent
        have, allowed = failed * 100 * limit.denominator, limit.numerator * of
        if failed == 0 or of < 1 or have < allowed or (have == allowed and not self.reaches):
            return None
        percent = f"{limit.numerator / limit.denominator:g}"
        of_what = {"fleet": "nodes of the fleet", "resolved": "resolved nodes", "wave": "nodes of the wave"}[
            self.percent_of
        ]
        verb = "reaches" if self.reaches else "exceeds"
        return f"{failed} failed of {of} {of_what} {verb} max_failed_nodes_percent {percent}"


def read_limits(policy: Policy, orchestrator: Orchestrator, total: int) -> Limits | None:
    """Read a policy's limits as an orchestrator does; None if no limit applies.

    Examples
    --------
    >>> from simdeploy.rules.orchestrator import EXPANSO
    >>> from simdeploy.rules.policy import Policy
    >>> plain = Policy("deployment", "rolling", 40, 0, 0, True, 300, 10, None, 30, None, None, None, None, False)
    >>> read_limits(plain, EXPANSO, 1000).max_failed_nodes
    10
    """
    if policy.strategy == "immediate" and not orchestrator.limits_apply_to_immediate:
        return None
    zero_is_default = orchestrator.explicit_zero_limit == "default"
    count, percent = policy.max_failed_nodes, policy.max_failed_nodes_percent
    if count is None or (count == 0 and zero_is_default):
        count = DEFAULT_MAX_FAILED_NODES
    if percent is None or (percent == 0 and zero_is_default):
        percent = DEFAULT_MAX_FAILED_NODES_PERCENT
    return Limits(
        max_failed_nodes=count,
        max_failed_nodes_percent=percent,
        reaches=orchestrator.limit_comparison == "reaches",
        both=orchestrator.limit_combination == "both",
        percent_of=orchestrator.failed_percent_of,
        minimum_sample=orchestrator.minimum_sample,
        total=total,
    )
