r"""Worlds in which what was seen of a rollout in waves may have happened, if nodes crash, degrade, or are in a zone that fails.

Verdicts are dealt to nodes as in `simdeploy.analysis.advice.proposing`, but by rough laws (`simdeploy.analysis.advice.straying`). Let
:math:`r_i(c)` be the rough chance of the fate c of node i. Given the start of their wave, nodes are still independent, so each is tried
by itself (`simdeploy.analysis.advice.proposing_lives`), which gives an unbiased estimate of the true chance :math:`q_i(c)`. The weight is
multiplied by these estimates over the :math:`r_i(c)`. Every fate has a rough chance above 0, and every world corresponds to one way of
dealing its verdicts, so the weight is unbiased however rough the laws are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.drawing import FAILS, RUNS, draw_lives
from simdeploy.analysis.advice.finding import find_replications, fit, is_worth_compiling, least_chances
from simdeploy.analysis.advice.laws import FOREVER, NodeLaw
from simdeploy.analysis.advice.lives import Lives, choose
from simdeploy.analysis.advice.node_table import RUNNING
from simdeploy.analysis.advice.observed import Observed
from simdeploy.analysis.advice.proposing import Proposal, Proposer
from simdeploy.analysis.advice.seen_chances import find_chances
from simdeploy.engines.continuing import NOT_THERE
from simdeploy.world.streams import Stream, uniforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simdeploy.analysis.advice.fates import Fates
    from simdeploy.analysis.advice.straying import RoughRollouts

# Unconditional tries for each node: more than for rows of a table, because the failures that were seen are often due to spells.
TRIES = 64


class SpellProposer(Proposer):
    """Proposes worlds of one kind of release; `rollouts` are `RoughRollouts`."""

    _rollouts: RoughRollouts

    def propose(self) -> Proposal:
        """Propose worlds, wave by wave."""
        self._lives = Lives(self._rollouts, self._course.end_ns, self._rollouts.engine)
        per_world = self._supply.per_world
        self._tries = self._supply.of(self._slots[:, np.newaxis], per_world - 1 - np.arange(TRIES))
        return super().propose()

    def _follow(self, wave: int, starts: np.ndarray) -> np.ndarray:
        self._wave, self._starts = wave, starts
        self._tried: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        return super()._follow(wave, starts)

    def _find(
        self,
        laws: Sequence[NodeLaw],  # noqa: ARG002 - rough ones
        nodes: np.ndarray,
        places: np.ndarray,
        fates: Fates,
        dealt: np.ndarray,
        chosen: np.ndarray,
        times: np.ndarray,
    ) -> None:
        if not chosen.any():
            return
        rollouts, exact = self._rollouts, self._rollouts.exact_laws(self._wave)
        n_nodes, seed, every = nodes.shape[1], rollouts.seed, self._all[:, np.newaxis]
        if self._tried is None:
            self._tried = self._try_lives(nodes)
        verdicts, at_tries, are_tried = self._tried
        seen = Observed.of_verdicts(
            fates.verdicts[dealt].ravel(), fates.low[dealt, every].ravel(), fates.high[dealt, every].ravel()
        )
        flat = rollouts.pick(np.repeat(self._all, n_nodes), nodes.ravel())
        flat = replace(flat, worlds=np.repeat(self._slots, n_nodes))
        chances = find_chances(exact, flat, seen).reshape(nodes.shape)
        # Fates that take too long to draw from the law are only tried unconditionally.
        is_rare = (chances > 0) & (chances < least_chances(exact)[places])
        chances[is_rare] = 0.0
        worlds, numbers, columns = np.nonzero(
            ~are_tried & (chosen & is_rare & self._are_possible[:, np.newaxis])[:, np.newaxis]
        )
        by_law = draw_lives(exact, flat.take(worlds * n_nodes + columns), seed, self._tries[worlds, numbers])
        verdicts[worlds, numbers, columns], at_tries[worlds, numbers, columns], _ = by_law
        are_tried[worlds, numbers, columns] = True
        beyond = self._match_fates(fates, dealt, verdicts, at_tries) & are_tried & chosen[:, np.newaxis]
        worlds, numbers, columns = np.nonzero(beyond)
        where = worlds * n_nodes + columns
        usual = fit(seen.take(where), *draw_lives(exact, flat.take(where), seed, self._tries[worlds, numbers]))
        beyond[worlds, numbers, columns] = ~(usual & (chances[worlds, columns] > 0))
        wanted = chosen & self._are_possible[:, np.newaxis] & (chances > 0)
        drawn, where = np.full(nodes.shape, -1, dtype=np.int64), np.flatnonzero(wanted)
        is_compiled = is_worth_compiling(chances[wanted])
        drawn[wanted], _ = find_replications(
            exact, flat.take(where), self._supply, seed, seen.take(where), is_compiled=is_compiled
        )
        lives = self._follow_lives(nodes, np.maximum(drawn, 0))
        number = sum(rollouts.plan.sizes[: self._wave]) + np.arange(n_nodes)
        u = uniforms(seed, rollouts.roots[:, np.newaxis], Stream.SEEN_VERDICT, number, 1)
        shown = self._match_fates(fates, dealt, *(each[:, np.newaxis] for each in lives))[:, 0]
        choice = choose(chances, drawn, shown, beyond, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(choice.chances) - np.log(fates.chances[places, dealt, every])
        self._weigh(np.where(chosen, ratios, 0.0).sum(axis=1))
        self._are_drawn &= ~(choice.are_lost & chosen).any(axis=1)
        first = choice.tries[:, np.newaxis]
        numbers = np.where(choice.are_drawn, drawn, np.take_along_axis(self._tries, choice.tries, axis=1))
        at = np.where(choice.are_drawn, lives[1], np.take_along_axis(at_tries, first, axis=1)[:, 0])
        worlds, columns = np.nonzero(chosen)
        self._numbers[worlds, nodes[worlds, columns]] = np.maximum(numbers[worlds, columns], 0)
        times[worlds, columns] = at[worlds, columns]

    def _try_lives(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return nodes' verdicts in tries, their times after the start of the wave, and which were tried; shape (worlds, tries, nodes)."""
        shape = *self._tries.shape, nodes.shape[1]
        verdicts, times, are_tried = np.full(shape, -1), np.full(shape, FOREVER), np.zeros(shape, dtype=bool)
        possible = np.flatnonzero(self._are_possible)
        tries = self._tries[possible]
        lives, are_tried[possible] = self._lives.try_disturbed(
            possible, self._numbers[possible], nodes[possible], tries
        )
        verdicts[possible], times[possible] = _read_lives(lives, self._starts[possible, np.newaxis, np.newaxis])
        return verdicts, times, are_tried

    def _follow_lives(self, nodes: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes' verdicts with some numbers, and their times after the start of the wave; shape (worlds, nodes)."""
        verdicts, times = np.full(nodes.shape, -1), np.full(nodes.shape, FOREVER)
        possible = np.flatnonzero(self._are_possible)
        lives = self._lives.follow(possible, self._numbers[possible], nodes[possible], numbers[possible])
        verdicts[possible], times[possible] = _read_lives(lives, self._starts[possible, np.newaxis])
        return verdicts, times

    def _match_fates(self, fates: Fates, dealt: np.ndarray, verdicts: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return which tries give nodes the fates that they were dealt; shape (worlds, tries, nodes)."""
        every = self._all[:, np.newaxis]
        low, high, verdict = (
            each[:, np.newaxis] for each in (fates.low[dealt, every], fates.high[dealt, every], fates.verdicts[dealt])
        )
        agree: np.ndarray = (times > low) & (times <= high) & ((verdict < 0) | (verdicts == verdict))
        return agree


def _read_lives(lives: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the verdicts of nodes, and their times after the start of the wave."""
    over = lives["resolved_ns"]
    verdicts = np.where(lives["status"] == RUNNING, RUNS, FAILS)
    return verdicts, np.where(over == NOT_THERE, FOREVER, over - starts)
