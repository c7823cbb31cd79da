r"""Worlds in which what was seen may have happened, and their weights.

First draw what all nodes of a rollout share; given that, the nodes of a wave are independent of each other. Let :math:`p_i(c)` be
the chance, from the laws, that node i got the c-th of the verdicts that were seen in its wave (an outcome within some time, or
none yet). Only the number of nodes with each verdict was seen, so the likelihood is a sum over all ways to deal the verdicts to nodes,

.. math:: L = \sum_{c_1, \dots, c_n} \prod_i p_i(c_i)

One way is dealt, node by node: a verdict's probability is proportional to how many of it are left, and to :math:`p_i(c)` relative to its
mean over the wave. The product of :math:`p_i(c_i)`, divided by the product of these probabilities, is an unbiased estimate of L, and
exact for identical nodes (a multinomial coefficient). This is sequential importance sampling (Kong, Liu and Wong 1994 [1]_). Failures
known only in total are dealt to waves in the same way.

The last of some nodes gets its verdict between a and b with the chance :math:`\prod_i F_i(b) - \prod_i F_i(a)` (the largest of
independent times; David and Nagaraja 2003 [2]_, section 2.1). The same products give the probability that node i is the first of them,
in order, with a verdict after a. The start of a wave is such an observation of the wave before it.

Finally each node takes its random numbers from the first replication in which its fate is the one it was dealt. So they have their
distribution given that fate (von Neumann's rejection).

References
----------
.. [1] Kong, A., Liu, J. S. and Wong, W. H. (1994). Sequential imputations and Bayesian missing data problems. Journal of the
   American Statistical Association 89(425), 278-288.
.. [2] David, H. A. and Nagaraja, H. N. (2003). Order Statistics, 3rd edition. Wiley.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.dealing import deal_verdicts, split_failures
from simdeploy.analysis.advice.expecting import expect_failures
from simdeploy.analysis.advice.fates import EARLY, LATE, Bounds, Fates
from simdeploy.analysis.advice.finding import Supply, find_replications, is_worth_compiling, least_chances
from simdeploy.analysis.advice.laws import FOREVER, TINY, NodeLaw, log_chances
from simdeploy.analysis.advice.observed import Observed
from simdeploy.engines.continuing import Worlds
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simdeploy.analysis.advice.guiding import Guide
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.waves import Cell, Course

# Most worlds are dropped whose weight is below this fraction of a large one (this quantile of the weights).
_LARGE, _LOG_HARDLY_ANY = 0.9, math.log(1e-4)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Worlds that may show what was seen."""

    worlds: Worlds
    # Logarithm of the chance of what was seen over that of the proposal; -inf for impossible worlds.
    log_weights: np.ndarray
    are_drawn: np.ndarray  # whether replications were found for all nodes

    @classmethod
    def join(cls, parts: Iterable[Proposal]) -> Proposal:
        """Return several proposals as one."""
        every = list(parts)
        worlds = (np.concatenate([getattr(each.worlds, name) for each in every]) for name in ("roots", "nodes"))
        return cls(
            Worlds(*worlds),
            np.concatenate([each.log_weights for each in every]),
            np.concatenate([each.are_drawn for each in every]),
        )


class Proposer:
    """Proposes worlds of one kind of release."""

    def __init__(
        self,
        rollouts: Rollouts,
        course: Course,
        supply: Supply,
        slots: np.ndarray,  # numbers of the worlds in the supply
        log_weights: np.ndarray,  # of the roots
        guide: Guide | None,
        *,
        never_failed: bool,  # whether canaries cannot have failed, because that would have ended the rollout
    ) -> None:
        self._rollouts, self._course, self._supply, self._slots = rollouts, course, supply, slots
        self._guide = guide
        self._next_start: np.ndarray | None = None
        self._log_ahead: np.ndarray | None = None
        self._never_failed = never_failed
        n = len(rollouts.roots)
        self._n = n
        self._all = np.arange(n)
        self._numbers = np.repeat(rollouts.roots[:, np.newaxis], rollouts.scenario.fleet.nodes, axis=1)
        self._log_weights = log_weights
        self._are_drawn = np.ones(n, dtype=bool)
        self._failures_left = [np.full(n, stretch.failed) for stretch in course.stretches]

    def propose(self) -> Proposal:
        """Propose worlds, wave by wave."""
        starts = np.zeros(self._n)
        for wave in range(self._course.n_waves):
            starts = self._follow(wave, starts)
        worlds = Worlds(self._rollouts.roots, self._numbers)
        return Proposal(worlds, self._log_weights, self._are_drawn)

    # -- one wave ----------------------------------------------------------------------------------

    def _follow(self, wave: int, starts: np.ndarray) -> np.ndarray:
        """Propose a wave, given its start in each world; return the start of the next one."""
        plan, course = self._rollouts.plan, self._course
        laws = self._rollouts.laws(wave)
        first = sum(plan.sizes[:wave])
        nodes = self._rollouts.order[:, first : first + plan.sizes[wave]]
        places = np.take_along_axis(self._rollouts.law_places, nodes, axis=1)
        cells = [
            (number, cell) for number, each in enumerate(course.stretches) for cell in each.cells if cell.wave == wave
        ]
        n_resolved = sum(cell.count for _, cell in cells)
        pause_ns = self._rollouts.pause_ns(wave)
        is_over = n_resolved == plan.sizes[wave]
        bounds = self._bound(wave, [cell for _, cell in cells], starts, pause_ns, is_over=is_over)
        shares = np.stack([(places == place).mean(axis=1) for place in range(len(laws))])
        fates = Fates(self._rollouts, laws, bounds, course.waits_ns - starts, [bool(each.any()) for each in shares])
        means = np.einsum("lw,lcw->cw", shares, fates.of_verdicts)
        left = self._deal_failures(wave, cells, means, plan.sizes[wave] - n_resolved)
        numbers = np.arange(first, first + plan.sizes[wave])
        u = uniforms(self._rollouts.seed, self._rollouts.roots[:, np.newaxis], Stream.SEEN_VERDICT, numbers)
        verdicts, log_factors = deal_verdicts(places, fates.of_verdicts, means, left, u)
        self._weigh(log_factors)
        dealt = self._choose_last(wave, places, fates, fates.whole(verdicts))
        self._play_roulette(wave)
        times = self._draw(laws, nodes, places, fates, dealt)
        last = np.where(dealt == fates.in_flight, 0.0, times).max(axis=1)
        ready = starts + last + pause_ns
        for begins, ends in course.pauses:
            ready = np.where((ready >= begins) & (ready < ends), ends, ready)
        return np.where(np.isfinite(ready), ready, FOREVER)

    def _bound(
        self, wave: int, cells: Sequence[Cell], starts: np.ndarray, pause_ns: np.ndarray | float, *, is_over: bool
    ) -> list[Bounds]:
        """Return by cell the bounds on the times of its verdicts, relative to the start of the wave."""
        bounds = []
        self._next_start = None
        self._log_ahead = np.zeros(self._n) if wave + 1 == self._course.n_waves else None
        for number, cell in enumerate(cells):
            low, high = cell.span.low - starts, min(cell.span.high, cell.last.high) - starts
            last = cell.last.low - starts
            if is_over and number == len(cells) - 1 and wave + 1 < len(self._course.starts):
                following = self._course.starts[wave + 1]
                earliest = following.low
                for begins, ends in self._course.pauses:
                    if following.low <= ends and begins < following.high:
                        earliest = min(earliest, begins)
                high = np.minimum(high, following.high - starts - pause_ns)
                last = np.maximum(last, earliest - starts - pause_ns)
                chosen = self._guide and self._guide.choose_end(wave, self._rollouts.roots, starts, pause_ns)
                if chosen:
                    self._next_start = (np.maximum(chosen[0], starts) + chosen[1]) / 2
                    high = np.minimum(high, chosen[1] - starts - pause_ns)
                    last = np.maximum(last, chosen[0] - starts - pause_ns)
                    self._weigh(-chosen[2])
                    self._log_ahead = chosen[3]
            bounds.append(Bounds(low, high, last))
        return bounds

    # -- dealing -----------------------------------------------------------------------------------

    def _deal_failures(
        self, wave: int, cells: Sequence[tuple[int, Cell]], means: np.ndarray, in_flight: int
    ) -> np.ndarray:
        """Deal the failures of each stretch to its waves; return how many nodes of this wave get each verdict, by verdict and world."""
        left = np.zeros((2 * len(cells) + 1, self._n), dtype=np.int64)
        left[-1] = in_flight
        for number, (stretch, cell) in enumerate(cells):
            rest = [each for each in self._course.stretches[stretch].cells if each.wave > wave]
            total = self._failures_left[stretch]
            failed = total
            if rest:
                runs, fails = means[2 * number], means[2 * number + 1]
                chance = fails / np.maximum(runs + fails, TINY)
                if self._never_failed and wave == 0:
                    chance = np.zeros(self._n)
                n_rest = sum(each.count for each in rest)
                u = uniforms(self._rollouts.seed, self._rollouts.roots, Stream.SEEN_WAVE, wave, 2 * number)
                here, there = (
                    (cell.count, chance),
                    (n_rest, expect_failures(self._rollouts, self._course, self._guide, rest, wave, self._next_start)),
                )
                failed, log_factors = split_failures(total, here, there, u)
                self._weigh(log_factors)
            self._failures_left[stretch] = total - failed
            self._weigh(np.where((failed > cell.count) | (failed < 0), -np.inf, 0.0))
            left[2 * number + 1] = np.clip(failed, 0, cell.count)
            left[2 * number] = cell.count - left[2 * number + 1]
        return left

    def _choose_last(self, wave: int, places: np.ndarray, fates: Fates, dealt: np.ndarray) -> np.ndarray:
        """Choose which node of each cell was late enough to be the last; return the fates, narrowed to early or late."""
        columns, cells = np.arange(dealt.shape[1]), fates.cells_of(dealt)
        for number, is_bound in enumerate(fates.are_bound):
            if not is_bound.any():
                continue
            # The chance that a node was early, given that it belongs to the cell.
            is_in = is_bound[:, np.newaxis] & (cells == number)
            early = np.ones(dealt.shape)
            early[is_in] = fates.early(places[is_in], dealt[is_in], np.nonzero(is_in)[0])
            cumulated = np.cumprod(early, axis=1)
            late = np.where(is_bound, 1 - cumulated[:, -1], 1.0)
            self._weigh(log_chances(late))
            u = uniforms(self._rollouts.seed, self._rollouts.roots, Stream.SEEN_WAVE, wave, 2 * number + 1)
            hit = np.argmax(1 - cumulated >= (u * late)[:, np.newaxis], axis=1)[:, np.newaxis]
            dealt = dealt + np.where(is_in & (columns < hit), EARLY, 0) + np.where(is_in & (columns == hit), LATE, 0)
        return dealt

    # -- drawing -----------------------------------------------------------------------------------

    def _draw(
        self, laws: Sequence[NodeLaw], nodes: np.ndarray, places: np.ndarray, fates: Fates, dealt: np.ndarray
    ) -> np.ndarray:
        """Find for each node a replication in which it has its fate; return the times of the verdicts."""
        times = np.zeros(dealt.shape)
        is_in_flight = dealt == fates.in_flight
        self._find(laws, nodes, places, fates, dealt, ~is_in_flight, times)
        if self._course.is_over and is_in_flight.any():
            self._wait_until(np.where(is_in_flight, 0.0, times).max(axis=1), fates, places, is_in_flight)
        self._find(laws, nodes, places, fates, dealt, is_in_flight, times)
        return times

    def _wait_until(self, end: np.ndarray, fates: Fates, places: np.ndarray, is_in_flight: np.ndarray) -> None:
        """Condition nodes in flight on having no verdict before the deployment ends in each world."""
        for place, ratio in enumerate(fates.wait_until(end)):
            count = (is_in_flight & (places == place)).sum(axis=1)
            self._weigh(count * log_chances(np.where(count > 0, ratio, 1.0)))

    def _find(
        self,
        laws: Sequence[NodeLaw],
        nodes: np.ndarray,
        places: np.ndarray,
        fates: Fates,
        dealt: np.ndarray,
        chosen: np.ndarray,
        times: np.ndarray,
    ) -> None:
        worlds, columns = np.nonzero(chosen & self._are_possible[:, np.newaxis])
        law, fate = places[worlds, columns], dealt[worlds, columns]
        chances = fates.chances[law, fate, worlds]
        self._are_drawn[worlds[chances < least_chances(laws)[law]]] = False
        kept = np.flatnonzero(self._are_drawn[worlds])
        worlds, columns, fate = (each[kept] for each in (worlds, columns, fate))
        numbers = nodes[worlds, columns]
        replications, at = find_replications(
            laws,
            replace(self._rollouts.pick(worlds, numbers), worlds=self._slots[worlds]),
            self._supply,
            self._rollouts.seed,
            Observed.of_verdicts(fates.verdicts[fate], fates.low[fate, worlds], fates.high[fate, worlds]),
            is_compiled=is_worth_compiling(chances[kept]),
        )
        self._are_drawn[worlds[replications < 0]] = False
        self._numbers[worlds, numbers] = np.maximum(replications, 0)
        times[worlds, columns] = at

    # -- weights -----------------------------------------------------------------------------------

    @property
    def _are_possible(self) -> np.ndarray:
        are_possible: np.ndarray = np.isfinite(self._log_weights) & self._are_drawn
        return are_possible

    def _weigh(self, log_factors: np.ndarray) -> None:
        log_factors = np.where(np.isnan(log_factors), -np.inf, log_factors)
        self._log_weights = self._log_weights + log_factors

    def _play_roulette(self, wave: int) -> None:
        """Drop most worlds of negligible weight before searching for their nodes (Russian roulette); survivors gain weight in return."""
        if self._log_ahead is None:
            return
        score = self._log_weights + self._log_ahead
        possible = score[np.isfinite(score)]
        if not len(possible):
            return
        # The chances are rough, so the largest may be an outlier: use a quantile.
        log_kept = np.minimum(score - np.quantile(possible, _LARGE) - _LOG_HARDLY_ANY, 0.0)
        u = uniforms(
            self._rollouts.seed, self._rollouts.roots, Stream.SEEN_WAVE, len(self._rollouts.plan.sizes) + 1 + wave, 1
        )
        with np.errstate(invalid="ignore"):
            self._weigh(np.where(np.log(u) < log_kept, -log_kept, -np.inf))
