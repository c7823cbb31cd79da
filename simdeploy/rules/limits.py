"""When a rollout has too many failures: its limits, in exact integer arithmetic (model section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from simdeploy.rules.waves import NO_WAVE_LIMITS, WaveLimits

if TYPE_CHECKING:
    from simdeploy.rules.orchestrator import Orchestrator, PercentOf
    from simdeploy.rules.policy import Policy

DEFAULT_MAX_FAILED_NODES = 10
DEFAULT_MAX_FAILED_NODES_PERCENT = Fraction(10)

# Limits that no fleet reaches.
NO_COUNT = 1_000_000_000
NO_PERCENT = Fraction(200)


@dataclass(frozen=True)
class Counts:
    """The counts compared with the limits."""

    # failed, running: nodes that ever failed, and that ever reached running
    failed: int
    running: int
    # wave_failed, wave_size: failed nodes of the wave being judged, and its size
    wave_failed: int
    wave_size: int
    # The count that `max_failed_nodes` bounds, if not `failed`: failures in a row, or failed tries.
    counted: int | None = None
    wave: WaveLimits = NO_WAVE_LIMITS  # limits of the wave being judged alone
    # zone_failed, zone_size: failed nodes of the zone being judged, and its size
    zone_failed: int = 0
    zone_size: int = 0


@dataclass(frozen=True)
class Limits:
    """The limits of a policy under an orchestrator."""

    max_failed_nodes: int  # `NO_COUNT` where there is none
    max_failed_nodes_percent: Fraction  # `NO_PERCENT` where there is none
    reaches: bool  # whether a limit is crossed when reached, otherwise only above it
    both: bool  # whether count and percent must be crossed, otherwise either
    percent_of: PercentOf
    minimum_sample: int  # resolved nodes below which max_failed_nodes_percent is not crossed
    total: int  # nodes of the fleet, including skipped ones
    per_zone: int | Fraction | None = None  # of a zone's failed nodes: a number, or a percent of its nodes
    consecutive: bool = False  # whether the count bounds failures in a row
    counts_tries: bool = False  # whether the count bounds failed tries; a node may have several

    def crossed(self, counts: Counts) -> str | None:
        """Return which limit is crossed, in words for the deployment's message; None if the rollout may continue.

        No limit is crossed before a node has failed, so `reaches` with a limit of 0 doesn't stop a rollout without failures.

        Examples
        --------
        >>> limits = Limits(10, Fraction(10), reaches=False, both=False, percent_of="fleet", minimum_sample=0, total=1000)
        >>> limits.crossed(Counts(failed=10, running=500, wave_failed=3, wave_size=50)) is None
        True
        >>> limits.crossed(Counts(failed=11, running=500, wave_failed=4, wave_size=50))
        '11 failed nodes exceed max_failed_nodes 10'
        """
        crossed = self._by_wave(counts) or self._by_zone(counts)
        if crossed:
            return crossed
        by_count = self._by_count(counts)
        by_percent = self._by_percent(counts)
        if self.both:
            return f"{by_count} and {by_percent}" if by_count and by_percent else None
        return by_count or by_percent

    def _by_wave(self, counts: Counts) -> str | None:
        failed, size = counts.wave_failed, counts.wave_size
        if self._is_count_crossed(failed, counts.wave.count):
            return f"{self._describe_count(failed, 'of the wave')} its max_failed_nodes {counts.wave.count}"
        if self._is_percent_crossed(failed, size, counts.wave.percent):
            part = self._describe_share(failed, size, "nodes of the wave")
            return f"{part} its max_failed_nodes_percent {_number(counts.wave.percent)}"
        return None

    def _by_zone(self, counts: Counts) -> str | None:
        failed, size, limit = counts.zone_failed, counts.zone_size, self.per_zone
        if isinstance(limit, Fraction):
            if self._is_percent_crossed(failed, size, limit):
                part = self._describe_share(failed, size, "nodes of a zone")
                return f"{part} max_failed_nodes_per_zone {_number(limit)}%"
        elif self._is_count_crossed(failed, limit):
            return f"{self._describe_count(failed, 'of a zone')} max_failed_nodes_per_zone {limit}"
        return None

    def _by_count(self, counts: Counts) -> str | None:
        failed = counts.failed if counts.counted is None else counts.counted
        if not self._is_count_crossed(failed, self.max_failed_nodes):
            return None
        tries = "try" if failed == 1 else "tries"
        nodes = ("node" if failed == 1 else "nodes") if not self.counts_tries else tries
        row = " in a row" if self.consecutive else ""
        return f"{failed} failed {nodes}{row} {self._verb(failed)} max_failed_nodes {self.max_failed_nodes}"

    def _by_percent(self, counts: Counts) -> str | None:
        resolved = counts.failed + counts.running
        if resolved < self.minimum_sample:
            return None
        failed, of = {
            "fleet": (counts.failed, self.total),
            "resolved": (counts.failed, resolved),
            "wave": (counts.wave_failed, counts.wave_size),
        }[self.percent_of]
        limit = self.max_failed_nodes_percent
        if not self._is_percent_crossed(failed, of, limit):
            return None
        of_what = {"fleet": "nodes of the fleet", "resolved": "resolved nodes", "wave": "nodes of the wave"}[
            self.percent_of
        ]
        return f"{self._describe_share(failed, of, of_what)} max_failed_nodes_percent {_number(limit)}"

    def _is_count_crossed(self, failed: int, limit: int | None) -> bool:
        return limit is not None and failed > 0 and failed >= limit + (0 if self.reaches else 1)

    def _is_percent_crossed(self, failed: int, of: int, limit: Fraction | None) -> bool:
        if limit is None or failed == 0 or of < 1:
            return False
        # Compares failed / of with percent / 100 in integers, so that nothing is rounded at an exact limit.
        have, allowed = failed * 100 * limit.denominator, limit.numerator * of
        return have > allowed or (have == allowed and self.reaches)

    def _describe_count(self, failed: int, where: str) -> str:
        return f"{failed} failed {'node' if failed == 1 else 'nodes'} {where} {self._verb(failed)}"

    def _describe_share(self, failed: int, of: int, of_what: str) -> str:
        return f"{failed} of {of} {of_what} failed, which {self._verb(1)}"

    def _verb(self, failed: int) -> str:
        verb = "reach" if self.reaches else "exceed"
        return f"{verb}{'s' if not self.reaches else 'es'}" if failed == 1 else verb


def _number(limit: Fraction | None) -> str:
    return "" if limit is None else f"{limit.numerator / limit.denominator:g}"


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
    count, percent = policy.max_failed_nodes, policy.max_failed_nodes_percent
    if policy.dialect == "general":  # without defaults
        count, percent = NO_COUNT if count is None else count, NO_PERCENT if percent is None else percent
    else:
        zero_is_default = orchestrator.explicit_zero_limit == "default"
        if count is None or (count == 0 and zero_is_default):
            count = DEFAULT_MAX_FAILED_NODES
        if percent is None or (percent == 0 and zero_is_default):
            percent = DEFAULT_MAX_FAILED_NODES_PERCENT
    return Limits(
        max_failed_nodes=count,
        max_failed_nodes_percent=percent,
        reaches=orchestrator.limit_comparison == "reaches",
        both=orchestrator.limit_combination == "both" and count != NO_COUNT and percent != NO_PERCENT,
        percent_of=orchestrator.failed_percent_of,
        minimum_sample=orchestrator.minimum_sample,
        total=total,
        per_zone=policy.max_failed_nodes_per_zone,
        consecutive=orchestrator.failures_counted == "consecutive",
        counts_tries=orchestrator.failed_tries_count,
    )
