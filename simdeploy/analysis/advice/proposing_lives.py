r"""Worlds in which a table of nodes may have happened, if nodes crash, degrade or lose their connection at random times.

Such lives have no closed-form law. But given what all nodes share, and the start of their wave, nodes are still independent. So each is
tried by itself: the chance of the table is a product over nodes, and unbiased estimates of its factors make an unbiased weight
(Andrieu and Roberts 2009 [1]_). Let B be the set of random numbers with which the simulated node looks like its row, and A the set with
which it would if there were no spells. P(A) is known (`simdeploy.analysis.advice.seen_chances`); it is 0 for a node that was down or
offline at its turn, and so was skipped or failed at once. Then

.. math:: P(B) = P(A) \, P(B \mid A) + P(B \setminus A)

Draw one try from A, and K tries without a condition. Let b be 1 if the former is in B and 0 otherwise, and c the number of the latter in B
but not in A. Then :math:`P(A) b + c / K` is unbiased whatever the spells are. Its variance is small if they are rare, because
nearly all of B is then in A. The node takes the numbers of the try from A with probability proportional to :math:`P(A) b`, otherwise those
of the first of the c tries. The tries are worlds simulated up to the time of observation, for all nodes of a wave at once, in which
failures stop nothing. Most need not be simulated, because c counts only nodes with spells
(`simdeploy.analysis.advice.disturbed`). Under sliding pacing nodes are tried one after the other, because each turn depends on the nodes before.

References
----------
.. [1] Andrieu, C. and Roberts, G. O. (2009). The pseudo-marginal approach for efficient Monte Carlo computations. Annals of Statistics 37(2),
   697-725.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.drawing import Nodes, draw_lives
from simdeploy.analysis.advice.finding import Supply, find_replications, fit, is_worth_compiling
from simdeploy.analysis.advice.laws import log_chances
from simdeploy.analysis.advice.lives import Lives, choose
from simdeploy.analysis.advice.observed import NO, Observed
from simdeploy.analysis.advice.proposing import Proposal
from simdeploy.analysis.advice.proposing_nodes import NodeProposer
from simdeploy.analysis.advice.turns import list_steps, together
from simdeploy.engines.continuing import NOT_THERE, Worlds
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from simdeploy.analysis.advice.node_table import NodeTable
    from simdeploy.analysis.advice.rollouts import Rollouts

# K, the number of unconditional tries for each node.
TRIES = 32


class LifeProposer(NodeProposer):
    """Proposes worlds of one kind of release for a table of nodes."""

    def __init__(
        self,
        rollouts: Rollouts,
        table: NodeTable,
        at_ns: int,  # the time of observation
        engine: str,  # compiled or reference
        log_weights: np.ndarray | float = 0.0,  # of the roots
    ) -> None:
        super().__init__(rollouts, table, at_ns, log_weights=log_weights)
        self._lives = Lives(rollouts, at_ns, engine)

    def propose(self, supply: Supply, slots: np.ndarray) -> Proposal:
        """Propose worlds, wave by wave, and under sliding pacing node by node."""
        rollouts = self._rollouts
        self._numbers = np.repeat(rollouts.roots[:, np.newaxis], rollouts.scenario.fleet.nodes, axis=1)
        self._are_drawn = np.ones(self._n, dtype=bool)
        for wave, places in list_steps(rollouts.plan, self._table):
            self._try(wave, places, supply, slots)
        return Proposal(Worlds(rollouts.roots, self._numbers), self._log_weights, self._are_drawn)

    def _bound_last(self, wave: int, places: slice, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """Return no bounds: whether the start of the next wave agrees is checked once worlds are complete."""
        return np.full(self._n, -np.inf), np.full(self._n, np.inf)

    def _try(self, wave: int, places: slice, supply: Supply, slots: np.ndarray) -> None:
        """Try the nodes of a wave; give each numbers with which it does what was seen."""
        rollouts = self._rollouts
        laws, seed = rollouts.laws(wave), rollouts.seed
        n_nodes = places.stop - places.start
        plain = supply.of(slots[:, np.newaxis], supply.per_world - 1 - np.arange(TRIES))
        shown, dispatched = self._look_at_tries(places, plain)
        is_reached = self._table.dispatched[places] != NO
        starts = dispatched.min(axis=(1, 2))[:, np.newaxis]
        has_begun = np.isfinite(starts[:, 0]) | ~is_reached.any()
        self._log_weights = np.where(has_begun, self._log_weights, -np.inf)
        starts = np.where(np.isfinite(starts), starts, 0.0)
        flat, seen, chances, _, _ = self._observe(wave, places, starts)
        chances = chances * is_reached
        worlds, numbers, columns = np.nonzero(shown)
        lives = draw_lives(laws, flat.take(worlds * n_nodes + columns), seed, plain[worlds, numbers])
        shown[worlds, numbers, columns] = ~(fit(seen.take((worlds, columns)).in_the_end, *lives) & is_reached[columns])
        drawn = self._draw_from_laws(wave, flat, seen, chances, supply, slots)
        shows_drawn = self._look_at_drawn(places, np.maximum(drawn, 0))
        u = uniforms(seed, rollouts.roots[:, np.newaxis], Stream.SEEN_VERDICT, np.arange(places.start, places.stop))
        choice = choose(chances, drawn, shows_drawn, shown, u)
        self._are_drawn &= ~choice.are_lost.any(axis=1)
        self._log_weights = self._log_weights + log_chances(choice.chances).sum(axis=1)
        first = np.take_along_axis(plain, choice.tries, axis=1)
        chosen = np.where(choice.are_drawn, drawn, first)
        np.put_along_axis(self._numbers, self._nodes[:, places], np.maximum(chosen, 0), axis=1)

    def _draw_from_laws(
        self, wave: int, flat: Nodes, seen: Observed, chances: np.ndarray, supply: Supply, slots: np.ndarray
    ) -> np.ndarray:
        """Return replications in which nodes without spells do what was seen; -1 where that is too improbable."""
        laws = self._rollouts.laws(wave)
        drawn = np.full(chances.shape, -1, dtype=np.int64)
        worlds, columns = np.nonzero(self._is_possible[:, np.newaxis] & (chances > 0))
        nodes = replace(flat.take(worlds * chances.shape[1] + columns), worlds=slots[worlds])
        wanted, wanted_chances = seen.take((worlds, columns)), chances[worlds, columns]
        kept = np.flatnonzero(wanted_chances >= self._find_rarest(laws, nodes, wanted))
        drawn[worlds[kept], columns[kept]], _ = find_replications(
            laws,
            nodes.take(kept),
            supply,
            self._rollouts.seed,
            wanted.take(kept).in_the_end,
            is_compiled=is_worth_compiling(wanted_chances[kept]),
        )
        return drawn

    def _look_at_tries(self, places: slice, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which nodes of a wave look like their rows in their tries, and when they are dispatched (infinity: not yet).

        Tries that need not be simulated count as not looking so, and as not dispatched.
        """
        n_nodes = places.stop - places.start
        shown, dispatched = np.zeros((*plain.shape, n_nodes), dtype=bool), np.full((*plain.shape, n_nodes), np.inf)
        possible = np.flatnonzero(self._is_possible)
        nodes = self._nodes[possible, places]
        lives, are_tried = self._lives.try_disturbed(possible, self._numbers[possible], nodes, plain[possible])
        shown[possible] = self._fit(places, lives.reshape(-1, n_nodes)).reshape(lives.shape) & are_tried
        at = lives["dispatched_ns"]
        dispatched[possible] = np.where(are_tried & (at != NOT_THERE), at, np.inf)
        return shown, dispatched

    def _look_at_drawn(self, places: slice, drawn: np.ndarray) -> np.ndarray:
        """Return which nodes of a wave look like their rows with the given numbers; shape (worlds, nodes)."""
        shown = np.zeros(drawn.shape, dtype=bool)
        possible = np.flatnonzero(self._is_possible)
        nodes = self._nodes[possible, places]
        shown[possible] = self._fit(
            places, self._lives.follow(possible, self._numbers[possible], nodes, drawn[possible])
        )
        return shown

    def _fit(self, places: slice, lives: np.ndarray) -> np.ndarray:
        return self._table.fit(lives, places, together(self._rollouts.plan))
