"""The kinds of release under which an event may happen, and how many rollouts each gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.errors import InputError, Problem
from simdeploy.experiments.arguments import MOST_REPLICATIONS
from simdeploy.experiments.kinds import kinds_of
from simdeploy.rules.deployment_types import TYPES
from simdeploy.statistics.weights import FEWEST_HITS

if TYPE_CHECKING:
    from simdeploy.analysis.rare.question import Question
    from simdeploy.scenario import Scenario

# A kind's upper limit may be this share of the rest of the estimate before doubts about the kind matter.
IMMATERIAL = 0.1


@dataclass(frozen=True)
class Kind:
    """A kind of release, simulated separately in worlds that no other kind uses.

    Without a release there is a single unnamed kind.
    """

    name: str
    probability: float
    scenario: Scenario  # with every release of this kind
    number: int
    first: int  # replication
    span: int  # number of possible replications

    @property
    def folder(self) -> str:
        """Prefix of its folders in a store."""
        return f"kind-{self.number:02d}"

    def worlds(self, n: int) -> range:
        """Return the replications of an estimate."""
        return range(self.first, self.first + n)

    def pilot_worlds(self, n: int) -> range:
        """Return the replications of a pilot, which no estimate uses."""
        first = self.first + self.span // 2
        return range(first, first + n)


def find_kinds(question: Question) -> tuple[Kind, ...]:
    """Return the kinds of release that the answer depends on; an `InputError` if none allows the event.

    Kinds that rule out the event or its condition need not be simulated. But if the probability of the condition is
    estimated, kinds that rule out only the event are needed.
    """
    scenario, event = question.scenario, question.event
    if not scenario.release or not TYPES[question.policy.identity.type].releases:
        return (Kind("", 1.0, scenario, 0, 0, MOST_REPLICATIONS),)
    of_condition = () if event.given is None else (event.given,)
    of_event = [condition.of for condition in event.conditions if condition.sign is None]
    needed = [*of_condition, *(of_event if question.condition is not None else ())]
    kinds = kinds_of(scenario)
    relevant = tuple(
        Kind(kind.name, float(kind.probability), scenario.given(kind.name), number, number * kinds.span, kinds.span)
        for number, kind in enumerate(scenario.drawn_release)
        if kind.probability > 0 and all(kinds.allows(each, kind.name) for each in needed)
    )
    if not relevant:
        raise InputError(Problem("no kind of release of the scenario allows this event", ("event",), found=str(event)))
    return relevant


class Pilot(NamedTuple):
    """Results of a pilot for one kind."""

    estimate: float  # of the event's probability given the kind; 0 if it wasn't seen
    hit_fraction: float  # effective hits per rollout

    @property
    def deviation(self) -> float:
        """Standard deviation of one rollout's contribution to the estimate."""
        return self.estimate * math.sqrt(max(1 / self.hit_fraction - 1, 0.0)) if self.hit_fraction else 0.0


def divide_rollouts(question: Question, kinds: Sequence[Kind], pilots: Sequence[Pilot]) -> list[int]:
    """Divide the rollouts of a question among its kinds."""
    return allocate(
        [kind.probability for kind in kinds],
        pilots,
        question.rollouts,
        fewest=question.pilot_rollouts,
        confidence_level=question.confidence_level,
    )


def allocate(
    probabilities: Sequence[float], pilots: Sequence[Pilot], n: int, *, fewest: int, confidence_level: float
) -> list[int]:
    r"""Divide rollouts among kinds: Neyman's allocation, with a minimum for each.

    Notes
    -----
    The variance of :math:`\sum p_k \hat q_k` is least for :math:`n_k \propto p_k \sigma_k` (Cochran 1977 [1]_, section
    5.5). The minimum is `fewest`, or as many as a trusted estimate needs: enough for twice the required effective hits or,
    for a kind in which the event never occurred, for an exact limit that is small compared to the whole estimate, if
    possible; twice as many if possible, because the estimate is that of a pilot. All minima together are at most half of
    the rollouts.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.

    Examples
    --------
    >>> pilot = Pilot(1e-6, 0.1)
    >>> allocate([0.9, 0.1], [pilot, pilot], 20_000, fewest=400, confidence_level=0.95)
    [18000, 2000]
    """
    if len(pilots) == 1:
        return [n]
    most = n // (2 * len(pilots))
    seen = sum(p * pilot.estimate for p, pilot in zip(probabilities, pilots, strict=True))
    n_unseen = sum(not pilot.hit_fraction for pilot in pilots)
    minima = []
    for p, pilot in zip(probabilities, pilots, strict=True):
        if pilot.hit_fraction:
            needed = 2 * FEWEST_HITS / pilot.hit_fraction
        else:
            limit_at_one = -math.log((1 - confidence_level) / 2)
            needed = limit_at_one * n_unseen * p / (IMMATERIAL * seen) if seen else math.inf
            needed = 2 * needed if needed <= most else 0.0
        minima.append(max(min(math.ceil(max(needed, fewest)), most), 2))
    spreads = [p * pilot.deviation for p, pilot in zip(probabilities, pilots, strict=True)]
    total = sum(spreads)
    best = [n * (spread / total if total else 1 / len(pilots)) for spread in spreads]
    excess = [max(wanted - least, 0.0) for wanted, least in zip(best, minima, strict=True)]
    rest = max(n - sum(minima), 0)
    counts = [least + int(rest * more / max(sum(excess), 1.0)) for least, more in zip(minima, excess, strict=True)]
    counts[best.index(max(best))] += max(n - sum(counts), 0)
    return counts
