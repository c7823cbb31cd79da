r"""Worlds in which may have happened what a table of nodes says, where nodes crash, degrade, or are cut off at times of their own.

Such lives have no law that could be written down. But given what all nodes share and the start of their wave, nodes are still
independent, so each is tried by itself: the chance of the table is the product over nodes, and an unbiased estimate of each factor gives
an unbiased weight (Andrieu and Roberts 2009 [1]_). Let B be the numbers with which the simulated node looks like its row, and A those with
which it would without spells, whose chance P(A) is known (`simdeploy.analysis.advice.seen_chances`); 0 for a node that was down or
offline at its turn, so that it was passed over or failed at once. Then

.. math:: P(B) = P(A) \, P(B \mid A) + P(B \setminus A)

One node is drawn from A, and K are drawn as they come. With b = 1 if the former is in B, and c of the latter in B without A,
:math:`P(A) b + c / K` is unbiased, whatever the spells are; and where they are rare it hardly varies, since nearly all of B is in A.
The node takes the numbers of the first with probability in proportion to :math:`P(A) b`, else of the first of the c. To that end worlds are
simulated up to the instant of looking, in which all nodes of a wave are tried at once, and failures stop nothing. Under sliding pacing nodes
are tried one after the other, since the turn of each follows from the lives of those before.

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

# Numbers that are tried for each node as they come: K.
TRIES = 32


class LifeProposer(NodeProposer):
    """Proposes worlds of one kind of release for a table of nodes."""

    def __init__(
        self,
        rollouts: Rollouts,
        table: NodeTable,
        at_ns: int,  # until when the nodes were seen
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
        """Return that the start of the next wave tells nothing here: whether worlds agree with it is seen in the end."""
        return np.full(self._n, -np.inf), np.full(self._n, np.inf)

    def _try(self, wave: int, places: slice, supply: Supply, slots: np.ndarray) -> None:
        """Try the nodes of a wave; they take numbers with which they do what was seen."""
        rollouts = self._rollouts
        laws, seed = rollouts.laws(wave), rollouts.seed
        n_nodes = places.stop - places.start
        plain = supply.of(slots[:, np.newaxis], supply.per_world - 1 - np.arange(TRIES))
        shown, dispatched = self._look(places, np.repeat(plain[:, :, np.newaxis], n_nodes, axis=2))
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
        shows_drawn = self._look(places, np.maximum(drawn, 0)[:, np.newaxis])[0][:, 0]
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

    def _look(
        self,
        places: slice,
        numbers: np.ndarray,  # shape (worlds, tries, nodes)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return which nodes of a wave look like their rows with some numbers, and when they are dispatched (infinity: not yet)."""
        shown, dispatched = np.zeros(numbers.shape, dtype=bool), np.full(numbers.shape, np.inf)
        possible = np.flatnonzero(self._is_possible)
        if not len(possible):
            return shown, dispatched
        nodes = self._nodes[possible, places]
        lives = self._lives.follow(possible, self._numbers[possible], nodes, numbers[possible])
        flat = lives.reshape(-1, nodes.shape[1])
        shown[possible] = self._table.fit(flat, places, together(self._rollouts.plan)).reshape(lives.shape)
        at = lives["dispatched_ns"]
        dispatched[possible] = np.where(at == NOT_THERE, np.inf, at)
        return shown, dispatched
