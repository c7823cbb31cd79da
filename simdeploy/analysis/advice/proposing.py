r"""Worlds in which what was seen may have happened, and their weights.

What all nodes of a rollout share is drawn; given that, the nodes of a wave are independent of each other. Let :math:`p_i(c)` be
the chance, from the laws, that node i got the c-th of the verdicts that were seen in its wave (an outcome within some time, or
none yet). Seen is how many nodes got each, so the likelihood is a sum over all ways to deal the verdicts to nodes,

.. math:: L = \sum_{c_1, \dots, c_n} \prod_i p_i(c_i)

One way is dealt, node by node, in proportion to the verdicts that are left and to :math:`p_i(c)` relative to its mean over the
wave. The product of :math:`p_i(c_i)` over that of the probabilities to deal them is an unbiased estimate of L, exact for nodes
that are alike (a multinomial coefficient): sequential importance sampling (Kong, Liu and Wong 1994 [1]_). So are failures dealt to
waves, if only their sum is known.

That the last of some nodes got its verdict between a and b, and all others before, has the chance
:math:`\prod_i F_i(b) - \prod_i F_i(a)`; which node was the first of them beyond a follows from the same products (the largest of
independent times; David and Nagaraja 2003 [2]_, section 2.1). A wave that goes shows this of the wave before it.

Then each node takes its numbers from the first replication in which it does what it was dealt, which has the distribution of its
numbers given that (von Neumann's rejection).

References
----------
.. [1] Kong, A., Liu, J. S. and Wong, W. H. (1994). Sequential imputations and Bayesian missing data problems. Journal of the
   American Statistical Association 89(425), 278-288.
.. [2] David, H. A. and Nagaraja, H. N. (2003). Order Statistics, 3rd edition. Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.dealing import deal_verdicts, split_failures
from simdeploy.analysis.advice.drawing import FAILS, RUNS, Nodes
from simdeploy.analysis.advice.expecting import expect_failures
from simdeploy.analysis.advice.finding import (
    Supply,
    find_own_chances,
    find_replications,
    is_worth_compiling,
    least_chances,
)
from simdeploy.analysis.advice.laws import FOREVER
from simdeploy.engines.continuing import Worlds
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.guiding import Guide
    from simdeploy.analysis.advice.laws import NodeLaw
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.analysis.advice.waves import Cell, Course

_LEAST = 1e-300


@dataclass(frozen=True, eq=False)
class Proposal:
    """Worlds that may show what was seen.

    Attributes
    ----------
    worlds : Worlds
    log_weights : ndarray of float
        Logarithm of the chance of what was seen over that of the proposal; -inf where it can't happen.
    are_drawn : ndarray of bool
        Whether replications were found for all nodes.
    """

    worlds: Worlds
    log_weights: np.ndarray
    are_drawn: np.ndarray


class Proposer:
    """Proposes worlds of one kind of release.

    Parameters
    ----------
    slots : ndarray of int
        Of the worlds' nodes in the supply.
    guide : Guide, optional
    never_failed : bool
        Whether canaries cannot have failed, because that would have ended the rollout.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        course: Course,
        supply: Supply,
        slots: np.ndarray,
        guide: Guide | None,
        *,
        never_failed: bool,
    ) -> None:
        self._rollouts, self._course, self._supply, self._slots = rollouts, course, supply, slots
        self._guide = guide
        self._next_start: np.ndarray | None = None
        self._never_failed = never_failed
        n = len(rollouts.roots)
        self._n = n
        self._all = np.arange(n)
        self._numbers = np.repeat(rollouts.roots[:, np.newaxis], rollouts.scenario.fleet.nodes, axis=1)
        self._log_weights = np.zeros(n)
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
        """Draw a wave that starts at some instants; return when the next one does."""
        plan, course = self._rollouts.plan, self._course
        laws = self._rollouts.laws(wave)
        first = sum(plan.sizes[:wave])
        nodes = self._rollouts.order[:, first : first + plan.sizes[wave]]
        places = np.take_along_axis(self._rollouts.law_places, nodes, axis=1)
        cells = [
            (number, cell) for number, each in enumerate(course.stretches) for cell in each.cells if cell.wave == wave
        ]
        n_resolved = sum(cell.count for _, cell in cells)
        pause_ns = plan.bakes_ns[wave] + self._promotion_ns(wave)
        bounds = self._bound(
            wave, [cell for _, cell in cells], starts, pause_ns, is_over=n_resolved == plan.sizes[wave]
        )
        chances = self._find_chances(laws, bounds, starts)
        shares = np.stack([(places == place).mean(axis=1) for place in range(len(laws))])
        means = np.einsum("lw,lcw->cw", shares, chances)
        left = self._deal_failures(wave, cells, means, plan.sizes[wave] - n_resolved)
        numbers = np.arange(first, first + plan.sizes[wave])
        u = uniforms(self._rollouts.seed, self._rollouts.roots[:, np.newaxis], Stream.SEEN_VERDICT, numbers)
        dealt, log_factors = deal_verdicts(places, chances, means, left, u)
        self._weigh(log_factors)
        low, high, verdicts = self._limit_times(dealt, bounds, starts)
        self._choose_last(wave, laws, places, dealt, bounds, (low, high))
        times = self._draw(laws, nodes, places, dealt, (low, high, verdicts), len(cells))
        last = np.where(dealt < 2 * len(cells), times, 0.0).max(axis=1)
        ready = starts + last + pause_ns
        for begins, ends in course.pauses:
            ready = np.where((ready >= begins) & (ready < ends), ends, ready)
        return np.where(np.isfinite(ready), ready, FOREVER)

    def _promotion_ns(self, wave: int) -> np.ndarray | float:
        awaits = self._rollouts.plan.promotions[wave] and not self._rollouts.policy.policy.auto_promote
        return self._rollouts.promote_after_ns if awaits else 0.0

    def _bound(
        self, wave: int, cells: Sequence[Cell], starts: np.ndarray, pause_ns: np.ndarray | float, *, is_over: bool
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return, for each cell, when its verdicts came after the start of the wave: bounds of all, and the lower one of the last."""
        found = []
        self._next_start = None
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
            found.append((low, high, last))
        return found

    def _find_chances(
        self, laws: Sequence[NodeLaw], bounds: list[tuple[np.ndarray, np.ndarray, np.ndarray]], starts: np.ndarray
    ) -> np.ndarray:
        """Return the chance of each verdict, by law, verdict and world: twice the cell's place, plus 1 if failed; the last is none yet."""
        chances = np.zeros((len(laws), 2 * len(bounds) + 1, self._n))
        for place, law in enumerate(laws):
            for number, (low, high, _) in enumerate(bounds):
                runs, fails = (
                    self._rollouts.chance_by(place, law, high, verdict)
                    - self._rollouts.chance_by(place, law, low, verdict)
                    for verdict in (RUNS, FAILS)
                )
                chances[place, 2 * number], chances[place, 2 * number + 1] = runs, fails
            end = self._course.end_ns - starts
            chances[place, -1] = (
                1 - self._rollouts.chance_by(place, law, end, RUNS) - self._rollouts.chance_by(place, law, end, FAILS)
            )
        return np.clip(chances, 0.0, 1.0)

    # -- dealing -----------------------------------------------------------------------------------

    def _deal_failures(
        self, wave: int, cells: Sequence[tuple[int, Cell]], means: np.ndarray, in_flight: int
    ) -> np.ndarray:
        """Return how many nodes get each verdict, by verdict and world; failures of a stretch are dealt to its waves."""
        left = np.zeros((2 * len(cells) + 1, self._n), dtype=np.int64)
        left[-1] = in_flight
        for number, (stretch, cell) in enumerate(cells):
            rest = [each for each in self._course.stretches[stretch].cells if each.wave > wave]
            total = self._failures_left[stretch]
            failed = total
            if rest:
                runs, fails = means[2 * number], means[2 * number + 1]
                chance = fails / np.maximum(runs + fails, _LEAST)
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
            self._kill((failed > cell.count) | (failed < 0))
            left[2 * number + 1] = np.clip(failed, 0, cell.count)
            left[2 * number] = cell.count - left[2 * number + 1]
        return left

    def _limit_times(
        self, dealt: np.ndarray, bounds: list[tuple[np.ndarray, np.ndarray, np.ndarray]], starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return bounds of the time of each node's verdict, and which it is."""
        low = np.stack([*(each[0] for each in bounds), self._course.end_ns - starts])
        high = np.stack([*(each[1] for each in bounds), np.full(self._n, FOREVER)])
        cells, worlds = dealt // 2, self._all[:, np.newaxis]
        verdicts = np.where(dealt == 2 * len(bounds), -1, dealt % 2)
        return np.maximum(low[cells, worlds], -1.0), high[cells, worlds], verdicts

    def _choose_last(
        self,
        wave: int,
        laws: Sequence[NodeLaw],
        places: np.ndarray,
        dealt: np.ndarray,
        bounds: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
        times: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Let one of the nodes of a cell be late enough to be the last; narrows the bounds of times."""
        low, high = times
        for number, (begins, ends, last) in enumerate(bounds):
            if not np.isfinite(last).any():
                continue
            is_early = last <= np.maximum(begins, -1.0)
            middle = np.clip(last, begins, ends)
            # The chance that a node of the cell was early, given that it is of the cell.
            early = np.ones(dealt.shape)
            for verdict in (RUNS, FAILS):
                for place, law in enumerate(laws):
                    chosen = (dealt == 2 * number + verdict) & (places == place)
                    if not chosen.any():
                        continue
                    at_low, at_middle, at_high = (
                        self._rollouts.chance_by(place, law, x, verdict) for x in (begins, middle, ends)
                    )
                    whole = np.maximum(at_high - at_low, _LEAST)
                    ratio = np.where(is_early, 0.0, np.clip((at_middle - at_low) / whole, 0.0, 1.0))
                    early[chosen] = np.broadcast_to(ratio[:, np.newaxis], dealt.shape)[chosen]
            cumulated = np.cumprod(early, axis=1)
            late = 1 - cumulated[:, -1]
            with np.errstate(divide="ignore"):
                self._weigh(np.log(late))
            u = uniforms(self._rollouts.seed, self._rollouts.roots, Stream.SEEN_WAVE, wave, 2 * number + 1)
            hit = np.argmax(1 - cumulated >= (u * late)[:, np.newaxis], axis=1)[:, np.newaxis]
            columns = np.arange(dealt.shape[1])
            is_in = (dealt // 2 == number) & ~is_early[:, np.newaxis]
            np.copyto(high, middle[:, np.newaxis], where=is_in & (columns < hit))
            np.copyto(low, middle[:, np.newaxis], where=is_in & (columns == hit))

    # -- drawing -----------------------------------------------------------------------------------

    def _draw(
        self,
        laws: Sequence[NodeLaw],
        nodes: np.ndarray,
        places: np.ndarray,
        dealt: np.ndarray,
        wanted: tuple[np.ndarray, np.ndarray, np.ndarray],
        n_cells: int,
    ) -> np.ndarray:
        """Give each node the numbers of a replication in which it does what it was dealt; return when it gets its verdict."""
        times = np.zeros(dealt.shape)
        is_in_flight = dealt == 2 * n_cells
        is_possible = (np.isfinite(self._log_weights) & self._are_drawn)[:, np.newaxis]
        self._find(laws, nodes, places, wanted, is_possible & ~is_in_flight, times)
        low, high, verdicts = wanted
        if self._course.is_over and is_in_flight.any():
            low = self._wait_for_end(laws, places, is_in_flight, low, times)
        is_possible = (np.isfinite(self._log_weights) & self._are_drawn)[:, np.newaxis]
        self._find(laws, nodes, places, (low, high, verdicts), is_possible & is_in_flight, times)
        return times

    def _find(
        self,
        laws: Sequence[NodeLaw],
        nodes: np.ndarray,
        places: np.ndarray,
        wanted: tuple[np.ndarray, np.ndarray, np.ndarray],
        chosen: np.ndarray,
        times: np.ndarray,
    ) -> None:
        worlds, columns = np.nonzero(chosen)
        law = places[worlds, columns]
        numbers = nodes[worlds, columns]
        rollouts = self._rollouts
        drawn = Nodes(
            numbers,
            self._slots[worlds],
            law,
            rollouts.slowdown[law, worlds],
            rollouts.start_failure[law, worlds],
        )
        low, high, verdicts = (each[worlds, columns] for each in wanted)
        chances = find_own_chances(laws, drawn, verdicts, low, high)
        is_rare = chances < least_chances(laws)[law]
        self._are_drawn[worlds[is_rare]] = False
        places = np.flatnonzero(self._are_drawn[worlds])
        replications, at = find_replications(
            laws,
            drawn.take(places),
            self._supply,
            rollouts.seed,
            verdicts=verdicts[places],
            after_ns=low[places],
            until_ns=high[places],
            is_compiled=is_worth_compiling(chances[places]),
        )
        self._are_drawn[worlds[places[replications < 0]]] = False
        self._numbers[worlds[places], numbers[places]] = np.maximum(replications, 0)
        times[worlds[places], columns[places]] = at

    def _wait_for_end(
        self, laws: Sequence[NodeLaw], places: np.ndarray, is_in_flight: np.ndarray, low: np.ndarray, times: np.ndarray
    ) -> np.ndarray:
        """Let nodes in flight have no verdict by the end that the deployment has in each world, instead of that which was seen."""
        end = np.where(is_in_flight, 0.0, times).max(axis=1)
        for place, law in enumerate(laws):
            count = (is_in_flight & (places == place)).sum(axis=1)
            if not count.any():
                continue
            before = np.where(is_in_flight & (places == place), low, -1.0).max(axis=1)
            at_end, assumed = (
                1 - self._rollouts.chance_by(place, law, x, RUNS) - self._rollouts.chance_by(place, law, x, FAILS)
                for x in (end, before)
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log(np.maximum(at_end, 0.0)) - np.log(np.maximum(assumed, _LEAST))
            self._weigh(np.where(count > 0, count * np.where(count > 0, ratio, 0.0), 0.0))
        return np.where(is_in_flight, end[:, np.newaxis], low)

    # -- weights -----------------------------------------------------------------------------------

    def _weigh(self, log_factors: np.ndarray) -> None:
        log_factors = np.where(np.isnan(log_factors), -np.inf, log_factors)
        self._log_weights = self._log_weights + log_factors

    def _kill(self, are_dead: np.ndarray) -> None:
        self._log_weights = np.where(are_dead, -np.inf, self._log_weights)
