"""Lives of nodes without a law: the engine tries numbers for all nodes of a wave at once, as if none affected another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.advice.disturbed import find_disturbed
from simdeploy.engines.continuing import NODE_LOOK, Worlds, run_continued

if TYPE_CHECKING:
    from simdeploy.analysis.advice.rollouts import Rollouts
    from simdeploy.scenario import ScenarioPolicy


@dataclass(frozen=True, eq=False)
class Lives:
    """Simulates nodes up to an instant, in rollouts that no failure stops."""

    rollouts: Rollouts
    at_ns: int
    engine: str

    @cached_property
    def _policy(self) -> ScenarioPolicy:
        rollouts = self.rollouts
        orchestrator = rollouts.scenario.orchestrator_of(rollouts.policy)
        without = replace(orchestrator, on_failure="continue", lost_waves="continue", all_slots_held="wait")
        return replace(rollouts.policy, orchestrator=without)

    def try_disturbed(
        self,
        worlds: np.ndarray,  # indices of the worlds
        numbers: np.ndarray,  # numbers that nodes have already; shape (worlds, all nodes)
        nodes: np.ndarray,  # shape (worlds, nodes)
        tried: np.ndarray,  # shape (worlds, tries)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what some nodes look like at the instant, with each of the numbers that are tried for them, and which of these were tried.

        The results are a NODE_LOOK and truth values of shape (worlds, tries, nodes). Tries in which a node surely has no spells are mostly
        left out. Because no node affects another, a rollout combines different tries of its nodes.
        """
        disturbed = find_disturbed(self.rollouts, worlds, nodes, tried, self.at_ns)
        n_tries = tried.shape[1]
        # Of each node the disturbed tries go first. One more shows when nodes that are up are dispatched.
        order = np.argsort(~disturbed, axis=1, kind="stable")
        n_rollouts = np.minimum(disturbed.sum(axis=1).max(axis=1, initial=0) + 1, n_tries)
        places, turns = np.nonzero(np.arange(n_tries) < n_rollouts[:, np.newaxis])
        tries = order[places, turns]
        rows, columns = places[:, np.newaxis], np.arange(nodes.shape[1])
        lives, are_tried = np.zeros(disturbed.shape, NODE_LOOK), np.zeros(disturbed.shape, dtype=bool)
        lives[rows, tries, columns] = self.follow(worlds[places], numbers[places], nodes[places], tried[rows, tries])
        are_tried[rows, tries, columns] = True
        return lives, are_tried

    def follow(
        self,
        worlds: np.ndarray,  # indices of the worlds, one for each rollout
        numbers: np.ndarray,  # numbers that nodes have already; shape (rollouts, all nodes)
        nodes: np.ndarray,  # shape (rollouts, nodes)
        chosen: np.ndarray,  # the numbers of these nodes, likewise
    ) -> np.ndarray:
        """Return what some nodes look like at the instant: a NODE_LOOK of shape (rollouts, nodes)."""
        if not len(worlds):
            return np.zeros(nodes.shape, NODE_LOOK)
        numbers = numbers.copy()
        np.put_along_axis(numbers, nodes, chosen, axis=1)
        continued = run_continued(
            self.rollouts.scenario,
            self._policy,
            Worlds(self.rollouts.roots[worlds], numbers),
            looks_ns=[],
            nodes_at_ns=self.at_ns,
            change=(self.at_ns, "cancel"),
            seed=self.rollouts.seed,
            engine=self.engine,
        )
        assert continued.nodes is not None  # noqa: S101 - they were requested
        lives: np.ndarray = np.take_along_axis(continued.nodes, nodes, axis=1)
        return lives


@dataclass(frozen=True, eq=False)
class Choice:
    """The chosen number of each node: the one drawn from its law, or one of its tries."""

    # float, shape (worlds, nodes): unbiased estimates of the chance of what was seen; for a lost node, the chance by its
    # law.
    chances: np.ndarray
    are_lost: np.ndarray  # nodes for which no number was found although there must be some
    are_drawn: np.ndarray  # nodes that take the number drawn from their law; the others take that of a try
    tries: np.ndarray  # the first try that shows what was seen but not by the node's law


def choose(
    by_law: np.ndarray,  # P(A), shape (worlds, nodes)
    drawn: np.ndarray,  # from A; -1 if that is too improbable
    shown: np.ndarray,  # whether what was drawn is in B
    beyond: np.ndarray,  # which tries are in B but not in A; shape (worlds, tries, nodes)
    u: np.ndarray,
) -> Choice:
    """Choose numbers as `simdeploy.analysis.advice.proposing_lives` says.

    Examples
    --------
    >>> one = np.full((1, 1), 0.5)
    >>> beyond = np.array([[[False], [True], [False], [False]]])
    >>> choice = choose(one, np.array([[7]]), np.array([[True]]), beyond, np.array([[0.9]]))
    >>> choice.chances.tolist(), choice.are_drawn.tolist(), choice.tries.tolist()
    ([[0.75]], [[False]], [[1]])
    """
    part = np.where((drawn >= 0) & shown, by_law, 0.0)
    rest = beyond.mean(axis=1)
    total = part + rest
    # A node that can't be drawn from its law, and was not found by a try, is lost.
    are_lost = (drawn < 0) & (by_law > 0) & (rest == 0)
    return Choice(np.where(are_lost, by_law, total), are_lost, u * total < part, beyond.argmax(axis=1))
