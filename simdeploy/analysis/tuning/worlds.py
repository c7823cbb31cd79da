"""Simulation of any candidates in any worlds, through the sweep and its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.requirements import probability_of
from simdeploy.memory import check_rows_fit
from simdeploy.scenario.measures import Measure

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.question import Question
    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.experiments.campaign import Campaign
    from simdeploy.scenario import Scenario

# Names of the folders of a search.
FOLDERS = r"\d{3,}"

# Worlds of one candidate that are looked at together, so that rows of many worlds need not be in memory at once.
_MOST_ROWS = 4_000_000

_TOUCHED = Measure("touched_nodes")


@dataclass(frozen=True)
class Measured:
    """Results of candidates (rows) in consecutive worlds (columns)."""

    of: Mapping[Measure, np.ndarray]  # as `Values.of`
    observations: np.ndarray  # to be minimised; NaN where a rollout has no value

    @property
    def n_worlds(self) -> int:
        """Number of worlds."""
        return int(self.observations.shape[1])

    def take(self, rows: np.ndarray) -> Measured:
        """Return some candidates, by index or mask."""
        return Measured({measure: values[rows] for measure, values in self.of.items()}, self.observations[rows])

    def join(self, more: Measured) -> Measured:
        """Return the same candidates in these worlds and in others."""
        of = {measure: np.concatenate([values, more.of[measure]], axis=1) for measure, values in self.of.items()}
        return Measured(of, np.concatenate([self.observations, more.observations], axis=1))


class Worlds:
    """Rollouts of candidates, counted; the rows of each call go into a numbered folder of the campaign's store.

    `failed` lists candidates with a failed replication.
    """

    def __init__(self, scenario: Scenario, question: Question, candidates: Candidates, campaign: Campaign) -> None:
        self._scenario, self._question, self._candidates = scenario, question, candidates
        self._measures = tuple(dict.fromkeys([*question.measures, _TOUCHED]))
        self._n_calls = 0
        self.campaign = campaign
        self.n_node_updates = 0
        self.failed: set[int] = set()

    @property
    def done(self) -> tuple[int, int]:
        """Rollouts and node updates so far."""
        return self.campaign.n_done, self.n_node_updates

    def measure(self, numbers: Sequence[int] | np.ndarray, first: int, count: int) -> Measured:
        """Simulate candidates in worlds `first`, ..., `first + count - 1`."""
        numbers = [int(number) for number in numbers]
        n_values = len(self._measures) + 1  # which stay in memory, with a store as well
        check_rows_fit(len(numbers) * count, 8 * n_values, hint="try fewer candidates or fewer worlds")
        step = max(1, _MOST_ROWS // len(numbers))
        starts = range(first, first + count, step)
        return reduce(Measured.join, (self._measure(numbers, at, min(step, first + count - at)) for at in starts))

    def _measure(self, numbers: list[int], first: int, count: int) -> Measured:
        result = self.campaign.sweep(
            {self._scenario.name: self._scenario},
            {"candidate": self._question.base},
            part=f"{self._n_calls:03d}",
            vary=self._candidates.columns(numbers),
            design="list",
            replications=range(first, first + count),
        )
        self._n_calls += 1
        costs, release = self._scenario.costs, self._scenario.release
        values = Values(result, self._measures, costs=costs, release=release)
        self.n_node_updates += int(np.nansum(values.of(_TOUCHED)))
        self.failed.update(np.array(numbers)[~values.is_ok.all(axis=1)].tolist())
        of = {measure: values.of(measure) for measure in self._measures}
        return Measured(of, self._observe(values, of[self._question.objective]))

    def _observe(self, values: Values, objective: np.ndarray) -> np.ndarray:
        """Return what is to be minimised, without gaps for conditions."""
        question, given = self._question, self._question.objective.given
        if given is not None:
            probability = probability_of(given, self._scenario.release)
            objective = unconditional(objective, values.holds(given), probability)
        observations: np.ndarray = question.sign * objective
        return observations


def unconditional(values: np.ndarray, is_given: np.ndarray, probability: float) -> np.ndarray:
    r"""Return observations without gaps whose mean is that of a measure given a kind of release.

    Values are those of `Values.of`, the condition that of `Values.holds`; `probability` is the condition's.

    Notes
    -----
    The probability of a kind of release is known and independent of the policy, so
    :math:`E[X \mid G] = E[X 1_G] / P(G)`, and :math:`X 1_G / P(G)` is an observation in every world.
    """
    return np.where(is_given == 0, 0.0, values) / probability
