"""`estimate_rare` by importance sampling: a pilot chooses the tilt, then the estimate uses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.analysis.rare.events import Met, look_for
from simdeploy.analysis.rare.question import PILOT, Question
from simdeploy.analysis.rare.result import STEP_COLUMNS, describe_numbers, doubt_unknown
from simdeploy.errors import Problem, nearest, raise_if_any
from simdeploy.result import make_frame
from simdeploy.statistics.weights import diagnose, effective_size, plain_mean, ratio
from simdeploy.world.tilt import Tilt, tiltable, tilted_probabilities

if TYPE_CHECKING:
    from simdeploy.scenario import Scenario
    from simdeploy.world.release import ReleaseKind

# With fewer effective hits, a pilot compares tilts only by the number of hits.
_FEWEST_HITS = 5.0
_FIRST_HIT = 8
_MOST_ROUNDS = 3
_WORTH_IT = 1.3
# A search on few replications must not make a kind of release so rare that its consequences are missed.
_RAREST_KIND = 0.1


def estimate_by_importance(
    question: Question, tilt: Tilt | Mapping[str, float] | Sequence[str] | None
) -> dict[str, Any]:
    """Return the fields of a `Rare` other than the question; `tilt` is as for `estimate_rare`."""
    scenario = question.scenario
    rungs: list[Rung] = []
    if isinstance(tilt, Tilt | Mapping):
        best = tilt if isinstance(tilt, Tilt) else Tilt.of(tilt)
    else:
        names = None if tilt is None else _check_names(scenario, tilt)
        pilot = range(PILOT, PILOT + question.pilot_rollouts)
        number = count()
        best, rungs = choose_tilt(
            scenario, lambda candidate: _run(question, candidate, pilot, f"pilot-{next(number):03d}"), names
        )
    met = _run(question, best, range(question.rollouts), "estimate")
    known, condition = met.is_known, question.condition
    weights, concerned = met.weights[known], met.concerned[known]
    contributions = weights * met.happened[known]
    if condition is None:
        probability, error = ratio(contributions, weights * concerned)
        condition = float((weights * concerned).mean())
    else:
        probability, error = plain_mean(contributions / condition)
    touched, _ = ratio(weights * met.touched[known], weights)
    diagnosis = diagnose(weights, contributions)
    doubts = (*diagnosis.doubts, *doubt_unknown(met.n_unknown, met.n_failed))
    n_pilot = question.pilot_rollouts * len(rungs)
    numbers = describe_numbers(
        probability,
        error,
        condition,
        degrees=question.rollouts - 1,
        confidence_level=question.confidence_level,
        doubts=doubts,
        n_all=question.rollouts + n_pilot,
    )
    steps = [
        {"stage": 0, "tilt": str(rung.tilt), "level": math.nan, "n": question.pilot_rollouts}
        | {"n_hits": rung.n_hits, "fraction": rung.score, "used": rung.tilt == best}
        for rung in rungs
    ]
    # Cost of a rollout without a tilt, divided by its cost here.
    cost_ratio = touched * question.rollouts / max(float(met.touched.sum()), 1.0)
    return {
        **numbers,
        "n_rollouts": question.rollouts,
        "n_pilot": n_pilot,
        "gain_in_updates": numbers["gain"] * cost_ratio,
        "doubts": doubts,
        "tilt": best.factors,
        "levels": (),
        "counts": "",
        "diagnosis": {name: value for name, value in asdict(diagnosis).items() if name != "doubts"}
        | {"is_bounded": math.isinf(diagnosis.k_hat)},
        "steps": make_frame(steps, STEP_COLUMNS),
    }


def _run(question: Question, tilt: Tilt, numbers: range, part: str) -> Met:
    tilted, policies = question.scenario.tilted(tilt), {question.policy.name: question.policy}
    result = question.campaign.sweep({tilted.name: tilted}, policies, part=part, replications=numbers)
    return look_for(question.event, result, tilted)


def _check_names(scenario: Scenario, names: Sequence[str]) -> list[str]:
    asked = [names] if isinstance(names, str) else list(names)
    able = tiltable(scenario.fleet, scenario.release, scenario.operator)
    problems = [
        Problem(
            "the scenario draws nothing here",
            ("tilt", str(name)),
            allowed=", ".join(able) or "nothing",
            hint=nearest(name, able),
        )
        for name in asked
        if name not in able
    ]
    raise_if_any(problems)
    return asked


class Rung(NamedTuple):
    """Quality of a tilt by a few replications: how many hits, and their value in equally weighted hits."""

    tilt: Tilt
    n_hits: int
    score: float


def choose_tilt(
    scenario: Scenario, try_tilt: Callable[[Tilt], Met], names: Sequence[str] | None = None
) -> tuple[Tilt, list[Rung]]:
    r"""Find a tilt under which an event happens often and with similar weights.

    `try_tilt` simulates a few replications under a tilt, the same ones each time. By default everything random may be
    tilted. Also returns everything tried, in order.

    Notes
    -----
    The quality of a tilt is its effective number of hits, :math:`(\sum w 1_A)^2 / \sum w^2 1_A`, because n times the
    relative variance of the estimate is :math:`n \sum w^2 1_A / (\sum w 1_A)^2 - 1`. Each factor alone is doubled, or
    halved, as long as that helps; then the others are added in turn to the best one, and kept if they help. The ladder
    is coarse because the optimum is flat and a fine search on few replications would follow noise. No kind of release
    is made rarer than a tenth, unless it already is: its consequences might be missed, and no weight would show it.
    """
    if names is None:
        able = tiltable(scenario.fleet, scenario.release, scenario.operator)
        # The likeliest kind gets rarer when another one gets likelier.
        likeliest = max(scenario.release, key=lambda kind: float(kind.probability), default=None)
        names = [name for name in able if likeliest is None or name != f"release.{likeliest.name}"]
    ladder = _Ladder(scenario.release, try_tilt)
    best = ladder.climb_all(names)
    return best.tilt, ladder.rungs


def _worth(rung: Rung) -> tuple[float, int]:
    return rung.score, rung.n_hits


class _Ladder:
    def __init__(self, kinds: Sequence[ReleaseKind], try_tilt: Callable[[Tilt], Met]) -> None:
        self._kinds = kinds
        self._try = try_tilt
        self._known: dict[Tilt, Rung] = {}
        self.rungs: list[Rung] = []

    def climb_all(self, names: Sequence[str]) -> Rung:
        """Climb with every name alone, then add each to the best until that helps no more; drop what doesn't help."""
        start = self._rung({})
        best = max([start, *(self._climb(start, name) for name in names)], key=_worth)
        for _ in range(_MOST_ROUNDS):
            before = best
            for name in names:
                rung = self._climb(self._without(best, name), name)
                if rung.score > _WORTH_IT * best.score or (best.score == 0 and rung.n_hits > best.n_hits):
                    best = rung
            if best is before:
                break
        for name in best.tilt.factors:
            less = self._without(best, name)
            if less.score > best.score / _WORTH_IT:
                best = less
        # Once more, in smaller steps.
        for name in best.tilt.factors:
            for step in (math.sqrt(2), math.sqrt(0.5)):
                rung = self._rung({**best.tilt.factors, name: best.tilt.factors[name] * step})
                best = max(best, rung, key=_worth)
        return best

    def _climb(self, start: Rung, name: str) -> Rung:
        """Double a factor as long as that helps; if it never does, halve it."""
        best = start
        for step in (2.0, 0.5):
            factor, missed = 1.0, 0
            # While there is no hit, the first may be many steps away.
            while missed < (_FIRST_HIT if best.score == 0 and step > 1 else 2):
                factor *= step
                rung = self._rung({**start.tilt.factors, name: factor})
                if _worth(rung) > _worth(best):
                    best, missed = rung, 0
                elif rung.score < best.score / 2:
                    break
                else:
                    missed += 1
            if best is not start:
                break
        return best

    def _without(self, rung: Rung, name: str) -> Rung:
        return self._rung({other: factor for other, factor in rung.tilt.factors.items() if other != name})

    def _is_bold(self, tilt: Tilt) -> bool:
        """Return whether a tilt makes some kind of release rarer than allowed and than it is."""
        probabilities = tilted_probabilities(self._kinds, tilt)
        return any(
            float(probability) < min(_RAREST_KIND, float(kind.probability))
            for kind, probability in zip(self._kinds, probabilities, strict=True)
        )

    def _rung(self, factors: dict[str, float]) -> Rung:
        tilt = Tilt.of(factors)
        if self._is_bold(tilt):
            return Rung(tilt, 0, 0.0)
        if tilt not in self._known:
            met = self._try(tilt)
            hits = (met.weights * met.happened)[met.happened == 1]
            worth = effective_size(hits)
            score = worth / max(int(met.is_known.sum()), 1) if worth >= _FEWEST_HITS else 0.0
            self._known[tilt] = Rung(tilt, len(hits), score)
            self.rungs.append(self._known[tilt])
        return self._known[tilt]
