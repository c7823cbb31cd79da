"""Where the candidates of a search are simulated: any of them in any worlds, through the sweep and its store."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.measuring import Values
from simdeploy.errors import SimdeployWarning
from simdeploy.experiments.sweep import sweep
from simdeploy.scenario.measures import SORTS, Measure

if TYPE_CHECKING:
    import os

    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.experiments.progress import Progress
    from simdeploy.scenario import Scenario, ScenarioPolicy

# Worlds of one candidate that are looked at together, so that rows of many worlds need not be in memory at once.
_MOST_ROWS = 4_000_000

_TOUCHED = Measure("touched_nodes")


class Worlds:
    """Rollouts of candidates, counted.

    Parameters
    ----------
    scenario : Scenario
    base : ScenarioPolicy
        What the levers change.
    candidates : Candidates
    measures : sequence of Measure
        What is measured of every rollout.
    store : path-like or None
        A folder; every call's rows go into a folder below it. The same search, given again, reads what is there.
    report : callable or None
        Given the rollouts that are done and those that are known to be needed so far.
    options : mapping
        `seed`, `engine`, `workers` of `sweep`.

    Attributes
    ----------
    n_rollouts, n_node_updates : int
        How many were simulated, or read from the store; and nodes that were updated in them.
    """

    def __init__(
        self,
        scenario: Scenario,
        base: ScenarioPolicy,
        candidates: Candidates,
        measures: Sequence[Measure],
        *,
        store: str | os.PathLike[str] | None,
        report: Progress | None,
        **options: Any,
    ) -> None:
        self._scenario, self._base, self._candidates = scenario, base, candidates
        self._measures = tuple(dict.fromkeys(measures))
        self._store = None if store is None else Path(store)
        self._report, self._options = report, options
        self._n_calls = 0
        self.n_rollouts = self.n_node_updates = 0

    @property
    def done(self) -> tuple[int, int]:
        """Rollouts and node updates so far."""
        return self.n_rollouts, self.n_node_updates

    def measure(self, numbers: Sequence[int] | np.ndarray, first: int, count: int) -> dict[Measure, np.ndarray]:
        """Simulate candidates in worlds `first`, ..., `first + count - 1`.

        Returns
        -------
        dict of Measure to ndarray, shape (candidates, worlds)
            As `Values.of`.
        """
        numbers = [int(number) for number in numbers]
        step = max(1, _MOST_ROWS // len(numbers))
        pieces = [
            self._measure(numbers, start, min(step, first + count - start))
            for start in range(first, first + count, step)
        ]
        return {measure: np.concatenate([piece[measure] for piece in pieces], axis=1) for measure in self._measures}

    def _measure(self, numbers: list[int], first: int, count: int) -> dict[Measure, np.ndarray]:
        folder = None if self._store is None else self._store / f"{self._n_calls:03d}"
        self._n_calls += 1
        done = self.n_rollouts
        with warnings.catch_warnings():
            # A wide grid holds policies that are legal and odd; the chosen one is looked at again at the end.
            warnings.simplefilter("ignore", SimdeployWarning)
            result = sweep(
                self._scenario,
                replace(self._base, name="candidate"),
                vary=self._candidates.columns(numbers),
                design="list",
                replications=range(first, first + count),
                store=folder,
                progress=False if self._report is None else partial(_pass_on, self._report, done),
                **self._options,
            )
        self.n_rollouts += len(numbers) * count
        costs, release = self._scenario.costs, self._scenario.release
        values = Values(result, [*self._measures, _TOUCHED], costs=costs, release=release)
        self.n_node_updates += int(np.nansum(values.of(_TOUCHED)))
        return {measure: values.of(measure) for measure in self._measures}


def _pass_on(report: Progress, done_before: int, done: int, total: int) -> None:
    report(done_before + done, done_before + total)


def unconditional(values: np.ndarray, measure: Measure, scenario: Scenario) -> np.ndarray:
    r"""Return observations without gaps whose mean is that of a measure given a sort or kind of release.

    Notes
    -----
    How often a release is of a kind is known, and no policy has an influence on it. So
    :math:`E[X \mid G] = E[X 1_G] / P(G)`, and :math:`X 1_G / P(G)` is an observation in every world.

    Parameters
    ----------
    values : ndarray
        As `Values.of`, NaN where what is given isn't so.
    measure : Measure
    scenario : Scenario
    """
    if measure.given is None:
        return values
    kinds = scenario.release
    if measure.given in SORTS:
        kinds = tuple(kind for kind in kinds if kind.defective == (measure.given == "defective"))
    else:
        kinds = tuple(kind for kind in kinds if kind.name == measure.given)
    is_given = ~np.isnan(values).all(axis=0)  # in worlds of other kinds no candidate has a value
    return np.where(is_given, values, 0.0) / float(sum(kind.probability for kind in kinds))
