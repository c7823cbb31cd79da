"""The policy chosen from estimates, its margin, and whether the choice is significant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simdeploy.analysis.asking.naming import describe_measure
from simdeploy.analysis.asking.verdicts import Direction
from simdeploy.statistics.estimators import Estimate
from simdeploy.statistics.pairs import estimate_gaps

if TYPE_CHECKING:
    from simdeploy.analysis.asking.judging import Feasibility
    from simdeploy.scenario.measures import Measure
    from simdeploy.statistics.sample import Sample


class Span(NamedTuple):
    """A number with its interval, and whether the interval can be trusted; NaN if unknown."""

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    is_trusted: bool = False


_UNKNOWN = Span()


@dataclass(frozen=True)
class Rule:
    """How to choose among policies: the best by a measure among those that meet the requirements."""

    of: Measure
    direction: Direction
    confidence_level: float


@dataclass(frozen=True, eq=False)
class Standings:
    """Several policies in the same worlds."""

    policies: tuple[str, ...]
    values: Sample  # of the measure that decides, shape (policies, replications)
    estimates: tuple[Estimate, ...]
    feasibility: tuple[Feasibility, ...]
    unknown_fractions: np.ndarray  # of the rollouts that never end, so their value is unknown
    all_failed: np.ndarray  # whether every replication of the policy failed

    @property
    def eligible(self) -> np.ndarray:
        """Whether each policy meets the requirements by the estimates."""
        return np.array([feasibility.is_met for feasibility in self.feasibility])


@dataclass(frozen=True)
class Conclusion:
    """Which policy is chosen, and how the `subject` of `conclude` compares with the best other policy that meets the requirements.

    `is_sure` is true if intervals support that the subject is, or isn't, the choice. Intervals of requirements hold
    separately, those of its differences from all other policies together.
    """

    choice: str | None  # None if no policy meets the requirements, or if unknown
    is_known: bool
    is_sure: bool = False
    margin: Span = _UNKNOWN  # of the subject over its rival; negative if worse, NaN without a rival
    rival: str | None = None  # the best of the others
    reason: str = ""  # why the subject isn't chosen, or why nothing is known


def choose(standings: Standings, direction: Direction) -> int | None:
    """Return the index of the best policy that meets the requirements, the first of ties; None if none does."""
    sign = 1 if direction == "min" else -1
    ranked = [
        (sign * estimate.estimate, place)
        for place, estimate in enumerate(standings.estimates)
        if standings.eligible[place]
    ]
    return min(ranked)[1] if ranked else None


def why_unknown(standings: Standings, of: Measure) -> str:
    """Return why no choice can be made; empty if one can."""
    name = describe_measure(of)
    for policy, has_failed, fraction, estimate, feasibility in zip(
        standings.policies,
        standings.all_failed,
        standings.unknown_fractions,
        standings.estimates,
        standings.feasibility,
        strict=True,
    ):
        if has_failed:
            return f"every replication of {policy} failed"
        if fraction > 0:
            return f"{100 * fraction:.3g} % of {policy}'s rollouts never end, so their {name} is unknown"
        if not feasibility.is_known:
            return f"some of {policy}'s rollouts never end, so its requirements can't be judged"
        if math.isnan(estimate.estimate):
            return f"no rollout of {policy} has a value of {name}"
    return ""


def conclude(standings: Standings, rule: Rule, *, subject: int, base: int | None) -> Conclusion:
    """Return whether a choice holds: the status of policy `subject` if `base` was chosen, None if no policy was."""
    reason = why_unknown(standings, rule.of)
    if reason:
        return Conclusion(None, is_known=False, reason=reason)
    n, names = len(standings.policies), standings.policies
    gaps = estimate_gaps(
        standings.values,
        rule.of,
        direction=rule.direction,
        confidence_level=rule.confidence_level,
        together=max(n - 1, 1),
    )
    choice = choose(standings, rule.direction)
    others = [place for place in range(n) if place != subject]
    rivals = [place for place in others if standings.eligible[place]]
    margin, rival = _UNKNOWN, None
    if rivals:
        # It is unknown which of them is the best; but if all intervals hold, so does that of the least difference.
        parts = (gaps.estimate, gaps.low, gaps.high)
        is_trusted = gaps.is_trusted[rivals, subject].all()
        estimate, low, high = (float(part[rivals, subject].min()) for part in parts)
        margin = Span(estimate, low, high, bool(is_trusted))
        rival = names[rivals[int(gaps.estimate[rivals, subject].argmin())]]
    verdicts = [feasibility.verdict for feasibility in standings.feasibility]
    is_shown = False  # whether what makes the choice better is certain; that of another policy may be
    if base is None:
        is_shown = choice is not None and verdicts[choice] == "met"
        is_sure = any(v == "met" for v in verdicts) if choice is not None else all(v == "not met" for v in verdicts)
    elif choice == base:
        is_sure = verdicts[base] == "met" and all(
            verdicts[place] == "not met" or gaps.sure_low[place, base] > 0 for place in others
        )
    else:
        is_better = (np.array(verdicts) == "met") & (gaps.sure_high[:, base] < 0)
        is_sure = verdicts[base] == "not met" or bool(is_better.any())
        is_shown = choice is not None and bool(is_better[choice])
    why = _why_not(standings, choice, base, is_shown=is_shown)
    return Conclusion(None if choice is None else names[choice], True, is_sure, margin, rival, why)


def _why_not(standings: Standings, choice: int | None, base: int | None, *, is_shown: bool) -> str:
    """Return why another policy is the choice; the wording is tentative if only estimates support it."""
    if choice == base:
        return ""
    if base is None:
        return "meets the requirements" if is_shown else "seems to meet the requirements"
    feasibility = standings.feasibility[base]
    if feasibility.broken:
        breaks = "breaks" if feasibility.verdict == "not met" else "seems to break"
        return f"{standings.policies[base]} {breaks} {' and '.join(feasibility.broken)}"
    if choice is None:
        return ""
    return f"{standings.policies[choice]} {'is' if is_shown else 'seems'} better"
