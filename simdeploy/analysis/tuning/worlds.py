"""Where the candidates of a search are simulated: any of them in any worlds, through the sweep and its store."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.errors import InputError, Problem, SimdeployWarning
from simdeploy.experiments.store import place_within
from simdeploy.experiments.sweep import sweep
from simdeploy.memory import check_rows_fit
from simdeploy.scenario.measures import SORTS, Measure

if TYPE_CHECKING:
    import os

    from simdeploy.analysis.tuning.question import Question
    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.experiments.progress import Progress
    from simdeploy.scenario import Scenario
    from simdeploy.world.release import ReleaseKind

# Worlds of one candidate that are looked at together, so that rows of many worlds need not be in memory at once.
_MOST_ROWS = 4_000_000

_TOUCHED = Measure("touched_nodes")


@dataclass(frozen=True)
class Measured:
    """What came of candidates in consecutive worlds.

    Attributes
    ----------
    of : mapping of Measure to ndarray, shape (candidates, worlds)
        As `Values.of`.
    observations : ndarray of float, shape (candidates, worlds)
        What is to be minimised; NaN where a rollout has no value.
    """

    of: Mapping[Measure, np.ndarray]
    observations: np.ndarray

    @property
    def n_worlds(self) -> int:
        """How many worlds there are."""
        return int(self.observations.shape[1])

    def take(self, rows: np.ndarray) -> Measured:
        """Return some of the candidates, by place or by mask."""
        return Measured({measure: values[rows] for measure, values in self.of.items()}, self.observations[rows])

    def join(self, more: Measured) -> Measured:
        """Return the same candidates in these worlds and in others."""
        of = {measure: np.concatenate([values, more.of[measure]], axis=1) for measure, values in self.of.items()}
        return Measured(of, np.concatenate([self.observations, more.observations], axis=1))


class Worlds:
    """Rollouts of candidates, counted.

    Parameters
    ----------
    scenario : Scenario
    question : Question
    candidates : Candidates
    store : path-like or None
        A folder; every call's rows go into a folder below it. The same search, given again, reads what is there.
    report : callable or None
        Given the rollouts that are done and those that are known to be needed so far.
    options : mapping
        `seed`, `engine`, `workers` of `sweep`.

    Attributes
    ----------
    n_rollouts, n_node_updates, n_failed : int
        How many were simulated, or read from the store; nodes that were updated in them; and how many failed.
    failed : set of int
        Candidates of which a replication failed.
    engines : dict of str to None
        That ran, in the order of their first use.
    """

    def __init__(
        self,
        scenario: Scenario,
        question: Question,
        candidates: Candidates,
        *,
        store: str | os.PathLike[str] | None,
        report: Progress | None,
        **options: Any,
    ) -> None:
        self._scenario, self._question, self._candidates = scenario, question, candidates
        self._measures = tuple(dict.fromkeys([*question.measures, _TOUCHED]))
        self._store = None if store is None else Path(store)
        if self._store is not None and self._store.is_dir():
            _check_folder(self._store)
        self._report, self._options = report, options
        self._n_calls = 0
        self.n_rollouts = self.n_node_updates = self.n_failed = 0
        self.failed: set[int] = set()
        self.engines: dict[str, None] = {}

    @property
    def done(self) -> tuple[int, int]:
        """Rollouts and node updates so far."""
        return self.n_rollouts, self.n_node_updates

    def measure(self, numbers: Sequence[int] | np.ndarray, first: int, count: int) -> Measured:
        """Simulate candidates in worlds `first`, ..., `first + count - 1`."""
        numbers = [int(number) for number in numbers]
        n_values = len(self._measures) + 1  # which stay in memory, with a store as well
        check_rows_fit(len(numbers) * count, 8 * n_values, hint="try fewer candidates or fewer worlds")
        step = max(1, _MOST_ROWS // len(numbers))
        starts = range(first, first + count, step)
        return reduce(Measured.join, (self._measure(numbers, at, min(step, first + count - at)) for at in starts))

    def _measure(self, numbers: list[int], first: int, count: int) -> Measured:
        folder = place_within(self._store, f"{self._n_calls:03d}")
        self._n_calls += 1
        done = self.n_rollouts
        with warnings.catch_warnings():
            # A wide grid holds policies that are legal and odd; the chosen one is looked at again at the end.
            warnings.simplefilter("ignore", SimdeployWarning)
            result = sweep(
                self._scenario,
                replace(self._question.base, name="candidate"),
                vary=self._candidates.columns(numbers),
                design="list",
                replications=range(first, first + count),
                store=folder,
                progress=False if self._report is None else partial(_pass_on, self._report, done),
                **self._options,
            )
        self.n_rollouts += len(numbers) * count
        engine = result.attrs["engine"]
        self.engines.setdefault(engine)
        if engine == "compiled":
            self._options["engine"] = engine  # it is loaded now, and the sooner done with small jobs, too
        costs, release = self._scenario.costs, self._scenario.release
        values = Values(result, self._measures, costs=costs, release=release)
        self.n_node_updates += int(np.nansum(values.of(_TOUCHED)))
        has_failed = ~values.is_ok
        self.n_failed += int(has_failed.sum())
        self.failed.update(np.array(numbers)[has_failed.any(axis=1)].tolist())
        of = {measure: values.of(measure) for measure in self._measures}
        return Measured(of, self._observe(values, of[self._question.objective]))

    def _observe(self, values: Values, objective: np.ndarray) -> np.ndarray:
        """Return what is to be minimised, without gaps where something is given."""
        question, given = self._question, self._question.objective.given
        if given is not None:
            kinds = find_kinds(given, self._scenario.release)
            probability = float(sum(kind.probability for kind in kinds))
            objective = unconditional(objective, values.holds(given), probability)
        observations: np.ndarray = question.sign * objective
        return observations


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than the numbered stores of a search."""
    strangers = sorted(path.name for path in folder.iterdir() if not (path.is_dir() and path.name.isdecimal()))
    if strangers:
        allowed = "an empty folder, or that of the same search"
        problem = Problem("something else is in this folder", file=str(folder), found=strangers[0], allowed=allowed)
        raise InputError(problem)


def _pass_on(report: Progress, done_before: int, done: int, total: int) -> None:
    report(done_before + done, done_before + total)


def unconditional(values: np.ndarray, is_given: np.ndarray, probability: float) -> np.ndarray:
    r"""Return observations without gaps whose mean is that of a measure given a sort or kind of release.

    Parameters
    ----------
    values : ndarray
        As `Values.of`, NaN where what is given isn't so.
    is_given : ndarray
        As `Values.holds`: 1, 0, or NaN where that is unknown.
    probability : float
        With which it is so.

    Notes
    -----
    How often a release is of a kind is known, and no policy has an influence on it. So
    :math:`E[X \mid G] = E[X 1_G] / P(G)`, and :math:`X 1_G / P(G)` is an observation in every world.
    """
    return np.where(is_given == 0, 0.0, values) / probability


def find_kinds(given: str, release: Sequence[ReleaseKind]) -> list[ReleaseKind]:
    """Return the kinds of release that a condition means: those of a sort, or the one of that name."""
    if given in SORTS:
        return [kind for kind in release if kind.defective == (given == "defective")]
    return [kind for kind in release if kind.name == given]
