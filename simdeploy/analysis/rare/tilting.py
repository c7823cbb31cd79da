"""The choice of a tilt under which an event happens often and with similar weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from simdeploy.statistics.weights import effective_size, is_mean_off, plain_mean
from simdeploy.world.tilt import Tilt

if TYPE_CHECKING:
    from simdeploy.analysis.rare.events import Met

# With fewer effective hits, a pilot compares tilts only by the number of hits.
_FEWEST_HITS = 5.0
_FIRST_HIT = 8
_MOST_ROUNDS = 3
_LEAST_GAIN = 1.3
# Least score, relative to that of the best tilt, of one that also makes another way to the event more frequent.
_LEAST_SHARE = 0.25
# A way is given up after one doubling of its factor more than this without success.
_MOST_IN_VAIN = 3
# Largest standard error of the mean weight in a pilot, so that the estimate contains enough of the draws with the most weight.
_MOST_ERROR = 0.25
# A tilt that is too strong is weakened in steps, by raising its factors to this power.
_WEAKENING_POWER = 0.85
_MOST_WEAKENINGS = 15


class Rung(NamedTuple):
    """Quality of a tilt by a few replications."""

    tilt: Tilt
    n_hits: int
    effective_hits: float
    score: float  # effective hits per replication; 0 if there are too few of them
    is_complete: bool  # whether the mean weight is 1, as it should be
    estimate: float


def choose_tilt(try_tilt: Callable[[Tilt], Met], names: Sequence[str], *, plain_hits: float) -> tuple[Rung, list[Rung]]:
    r"""Find a tilt under which an event happens often and with similar weights; only `names` may be tilted.

    `try_tilt` simulates a few replications under a tilt, the same ones each time. Returns the tilt with the most precise
    estimate of the event's probability, and all tilts tried, in order. No tilt if the event never happened, or if `plain_hits` (five or
    more) of the replications hit without one.

    Notes
    -----
    The quality of a tilt is its effective number of hits, :math:`(\sum w 1_A)^2 / \sum w^2 1_A`, because n times the
    relative variance of the estimate is :math:`n \sum w^2 1_A / (\sum w 1_A)^2 - 1`. If so many
    replications hit without a tilt that plain ones suffice, a tilt could only miss a way to it that can't be tilted. Otherwise each factor alone is doubled, or
    halved, as long as that helps; then the others are added in turn to the best one, and kept if they help. The ladder
    is coarse because the optimum is flat, and a fine search on few replications would follow noise. Then the tilt is
    weakened until its mean weight is 1 with an error of at most 1/4. Under a stronger one, what is common without a tilt
    would hardly ever be drawn, and its contribution might be missed. Finally factors are added that make hits much more
    frequent: these are further ways to the event, whose few but heavy hits the pilot may not have met.
    """
    ladder = _Ladder(try_tilt)
    start = ladder.start()
    if start.effective_hits >= max(plain_hits, _FEWEST_HITS):
        return start, ladder.rungs
    best = ladder.climb_all(names)
    chosen = ladder.weaken(best)
    for name in names:
        chosen = ladder.add_way(chosen, name)
    return chosen._replace(
        n_hits=best.n_hits,
        effective_hits=max(chosen.effective_hits, min(best.effective_hits, 1.0)),
        estimate=best.estimate,
    ), ladder.rungs


def judge_tilt(tilt: Tilt, met: Met) -> Rung:
    """Return the quality of a tilt, judged by its replications."""
    weights, contributions = met.weights[met.is_known], (met.weights * met.happened)[met.is_known]
    n_hits, effective_hits = int((contributions > 0).sum()), effective_size(contributions)
    is_complete = plain_mean(weights)[1] <= _MOST_ERROR and not is_mean_off(weights)
    score = effective_hits / len(weights) if effective_hits >= _FEWEST_HITS else 0.0
    return Rung(tilt, n_hits, effective_hits, score, is_complete, plain_mean(contributions)[0])


def _sort_key(rung: Rung) -> tuple[float, int]:
    return rung.score, rung.n_hits


class _Ladder:
    def __init__(self, try_tilt: Callable[[Tilt], Met]) -> None:
        self._try = try_tilt
        self._known: dict[Tilt, Rung] = {}
        self.rungs: list[Rung] = []

    def start(self) -> Rung:
        """Return the quality of no tilt."""
        return self._try_factors({})

    def climb_all(self, names: Sequence[str]) -> Rung:
        """Climb with each name alone, then add names to the best tilt while that helps, and drop those that don't help."""
        start = self.start()
        best = max([start, *(self._search_factor(start, name) for name in names)], key=_sort_key)
        for _ in range(_MOST_ROUNDS):
            before = best
            for name in names:
                rung = self._search_factor(self._without(best, name), name)
                if rung.score > _LEAST_GAIN * best.score or (best.score == 0 and rung.n_hits > best.n_hits):
                    best = rung
            if best is before:
                break
        for name in best.tilt.factors:
            less = self._without(best, name)
            if less.score > best.score / _LEAST_GAIN:
                best = less
        # Once more, in smaller steps.
        for name in best.tilt.factors:
            for step in (math.sqrt(2), math.sqrt(0.5)):
                rung = self._try_factors({**best.tilt.factors, name: best.tilt.factors[name] * step})
                best = max(best, rung, key=_sort_key)
        return best

    def weaken(self, rung: Rung, *, fewest_hits: float = 0.0) -> Rung:
        """Return the strongest tilt of the same kind with complete weights; none if there is no such tilt, or if hits are too few."""
        for _ in range(_MOST_WEAKENINGS):
            if rung.is_complete:
                return rung
            if rung.n_hits < fewest_hits:
                break
            rung = self._try_factors({name: factor**_WEAKENING_POWER for name, factor in rung.tilt.factors.items()})
        return self.start()

    def add_way(self, chosen: Rung, name: str) -> Rung:
        """Add a name that helps, or that brings many more hits even if they seem to be worth less.

        A tilt that misses one way to the event seems precise in a pilot that is too small to meet this way, whose hits have large weights.
        """
        if not chosen.tilt.factors or name in chosen.tilt.factors:
            return chosen
        best, factor = chosen, 1.0
        for doubling in range(_FIRST_HIT):
            factor *= 2.0
            rung = self.weaken(self._try_factors({**chosen.tilt.factors, name: factor}), fewest_hits=chosen.n_hits / 2)
            has_more = rung.n_hits > _LEAST_GAIN * chosen.n_hits and rung.score >= _LEAST_SHARE * chosen.score
            if rung.is_complete and (has_more or rung.score > _LEAST_GAIN * chosen.score):
                best = rung if best is chosen else max(best, rung, key=_sort_key)
            elif best is not chosen or doubling == _MOST_IN_VAIN:
                break
        return best

    def _search_factor(self, start: Rung, name: str) -> Rung:
        """Double a factor as long as that helps; if it never does, halve it."""
        best = start
        for step in (2.0, 0.5):
            factor, missed = 1.0, 0
            # Go on while there is no hit, because the first may be many steps away.
            while missed < (_FIRST_HIT if best.score == 0 and step > 1 else 2):
                factor *= step
                rung = self._try_factors({**start.tilt.factors, name: factor})
                if _sort_key(rung) > _sort_key(best):
                    best, missed = rung, 0
                elif rung.score < best.score / 2:
                    break
                else:
                    missed += 1
            if best is not start:
                break
        return best

    def _without(self, rung: Rung, name: str) -> Rung:
        return self._try_factors({other: factor for other, factor in rung.tilt.factors.items() if other != name})

    def _try_factors(self, factors: dict[str, float]) -> Rung:
        # Without the last digits, so that the same tilt isn't tried twice.
        tilt = Tilt.of({name: float(f"{factor:.12g}") for name, factor in factors.items()})
        if tilt not in self._known:
            self._known[tilt] = judge_tilt(tilt, self._try(tilt))
            self.rungs.append(self._known[tilt])
        return self._known[tilt]
