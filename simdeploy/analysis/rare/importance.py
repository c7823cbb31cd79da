"""Importance sampling: the estimate under a tilt, and the search for a tilt that suits an event."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple


from simdeploy.analysis.weighted import plain_mean, ratio
from simdeploy.analysis.weights import Diagnosis, diagnose, effective_size
from simdeploy.world.tilt import Tilt, tiltable

if TYPE_CHECKING:
    from simdeploy.analysis.rare.events import Met
    from simdeploy.scenario import Scenario

_FEWEST_HITS = 10
_LARGEST_FACTOR = 4096.0
_WORTH_IT = 1.2


class Weighed(NamedTuple):
    """An estimate under a tilt.

    Attributes
    ----------
    probability, standard_error : float
    condition : float
        The probability of what is given; 1 if nothing is.
    touched : float
        Mean of the nodes that are dispatched without a tilt.
    diagnosis : Diagnosis
    """

    probability: float
    standard_error: float
    condition: float
    touched: float
    diagnosis: Diagnosis


def weigh_up(met: Met, *, is_conditional: bool) -> Weighed:
    """Estimate the probability of an event from replications under a tilt: an average, or a ratio of two of them."""
    known = met.is_known
    weights, happened, concerned = met.weights[known], met.happened[known], met.concerned[known]
    contributions = weights * happened
    if is_conditional:
        probability, error = ratio(contributions, weights * concerned)
    else:
        probability, error = plain_mean(contributions)
    touched, _ = ratio(weights * met.touched[known], weights)
    condition = float((weights * concerned).mean()) if is_conditional and len(weights) else 1.0
    return Weighed(probability, error, condition, touched, diagnose(weights, contributions))


class Rung(NamedTuple):
    """What a tilt is worth by a few replications.

    Attributes
    ----------
    tilt : Tilt
    n_hits : int
        Replications in which the event happened.
    score : float
        How many of them, with equal weights, each replication is worth.
    """

    tilt: Tilt
    n_hits: int
    score: float


def choose_tilt(
    scenario: Scenario, try_tilt: Callable[[Tilt], Met], names: Sequence[str] | None = None
) -> tuple[Tilt, list[Rung]]:
    r"""Find a tilt under which an event happens often, and with weights that are much the same each time.

    Parameters
    ----------
    scenario : Scenario
        Without a tilt.
    try_tilt : callable
        Simulates a few replications under a tilt; the same ones each time.
    names : sequence of str, optional
        What may be tilted; by default everything that chance decides.

    Returns
    -------
    tilt : Tilt
    rungs : list of Rung
        Everything that was tried, in order.

    Notes
    -----
    A tilt is as good as the effective number of hits that it gives, :math:`(\sum w 1_A)^2 / \sum w^2 1_A`, for n times the relative
    variance of the estimate is :math:`n \sum w^2 1_A / (\sum w 1_A)^2 - 1`. Each factor alone is doubled, or halved, as long as that
    helps; then the others are tried in turn on top of the best one, and kept if they are worth it. The ladder is coarse on
    purpose: the optimum is flat, and a search on few replications would follow their noise.
    """
    able = tiltable(scenario.fleet, scenario.release, scenario.operator)
    ladder = _Ladder(try_tilt)
    best = ladder.climb_all({}, able if names is None else names)
    return best.tilt, ladder.rungs


class _Ladder:
    def __init__(self, try_tilt: Callable[[Tilt], Met]) -> None:
        self._try = try_tilt
        self._known: dict[Tilt, Rung] = {}
        self.rungs: list[Rung] = []

    def climb_all(self, factors: dict[str, float], names: Sequence[str]) -> Rung:
        start = self._rung(factors)
        alone = [self._climb(start, name) for name in names]
        best = max([start, *alone], key=lambda rung: (rung.score, rung.n_hits))
        for name in names:
            if name in best.tilt.factors:
                continue
            found = self._climb(best, name)
            if found.score > _WORTH_IT * best.score:
                best = found
        # Once more, in smaller steps.
        for name in best.tilt.factors:
            for step in (math.sqrt(2), math.sqrt(0.5)):
                found = self._rung({**best.tilt.factors, name: best.tilt.factors[name] * step})
                best = max(best, found, key=lambda rung: rung.score)
        return best

    def _climb(self, start: Rung, name: str) -> Rung:
        best = start
        for step in (2.0, 0.5):
            factor, missed = 1.0, 0
            while missed < 2 and 1 / _LARGEST_FACTOR < factor < _LARGEST_FACTOR:
                factor *= step
                rung = self._rung({**start.tilt.factors, name: factor})
                if (rung.score, rung.n_hits) > (best.score, best.n_hits):
                    best, missed = rung, 0
                elif rung.score < best.score / 2:
                    break
                # A first hit may be many steps away; if something else has led to one, this needn't.
                elif step < 1 or any(other.score > 0 for other in self.rungs):
                    missed += 1
            if best is not start:
                break
        return best

    def _rung(self, factors: dict[str, float]) -> Rung:
        tilt = Tilt.of(factors)
        if tilt not in self._known:
            met = self._try(tilt)
            hits = (met.weights * met.happened)[met.happened == 1]
            n = max(int(met.is_known.sum()), 1)
            score = effective_size(hits) / n if len(hits) >= _FEWEST_HITS else 0.0
            self._known[tilt] = Rung(tilt, len(hits), score)
            self.rungs.append(self._known[tilt])
        return self._known[tilt]


def plain_rollouts(probability: float, standard_error: float, condition: float = 1.0) -> float:
    """Return how many rollouts plain simulation needs for the same standard error.

    Examples
    --------
    >>> round(plain_rollouts(0.5, 0.05))
    100
    """
    if not standard_error > 0:
        return math.nan
    return probability * (1 - probability) / (condition * standard_error**2)


