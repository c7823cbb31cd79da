"""Simulates candidates in worlds by kind of release, through sweeps and their stores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from simdeploy.analysis.asking.measuring import Values
from simdeploy.analysis.asking.pricing import is_never_negative
from simdeploy.experiments.allocation import divide
from simdeploy.experiments.by_kind import sweep_kinds
from simdeploy.experiments.kinds import kinds_of
from simdeploy.memory import check_rows_fit
from simdeploy.rules.deployment_types import TYPES
from simdeploy.scenario.measures import Measure
from simdeploy.statistics.sample import Sample

if TYPE_CHECKING:
    from simdeploy.analysis.tuning.question import Question
    from simdeploy.analysis.tuning.space import Candidates
    from simdeploy.experiments.campaign import Campaign
    from simdeploy.scenario import Scenario

# Names of the folders of a search.
FOLDERS = r"\d{3,}(-kind-\d{2,})?"

# Worlds of a candidate in one sweep, which limits the rows in memory at once.
_MOST_ROWS = 4_000_000

_TOUCHED = Measure("touched_nodes")

# The only stratum of a scenario without several kinds of release.
_ANY = "any"


@dataclass(frozen=True)
class Measured:
    """Results of candidates (rows) in worlds (columns)."""

    of: Mapping[Measure, Sample]
    observations: Sample  # of the objective, to be minimised
    has_gap: np.ndarray  # whether a rollout of a candidate lacks a value that it should have

    @property
    def n_worlds(self) -> int:
        """Number of worlds."""
        return int(self.observations.values.shape[1])

    @property
    def means(self) -> np.ndarray:
        """The objective's estimates."""
        return self.observations.means()

    def take(self, rows: np.ndarray) -> Measured:
        """Return some candidates, by index or mask."""
        of = {measure: sample[rows] for measure, sample in self.of.items()}
        return Measured(of, self.observations[rows], self.has_gap[rows])

    @property
    def observed(self) -> Sample:
        """The observations of candidates without a gap."""
        return self.observations[~self.has_gap]

    def stack(self, more: Measured) -> Measured:
        """Return these candidates and others in the same worlds."""
        of = {measure: sample.stack(more.of[measure]) for measure, sample in self.of.items()}
        return Measured(of, self.observations.stack(more.observations), np.append(self.has_gap, more.has_gap))

    def join(self, more: Measured) -> Measured:
        """Return the same candidates in these worlds and in others."""
        of = {measure: sample.join(more.of[measure]) for measure, sample in self.of.items()}
        return Measured(of, self.observations.join(more.observations), self.has_gap | more.has_gap)


class Worlds:
    """Simulates candidates and counts rollouts; each call has numbered folders in the campaign's store.

    `candidates` may be extended. `release` has all kinds of release, `kinds` those with worlds of their own, or a single stratum if there
    are not several. `failed` lists candidates with a failed replication.
    """

    def __init__(self, scenario: Scenario, question: Question, candidates: Candidates, campaign: Campaign) -> None:
        self._scenario, self._question, self.candidates = scenario, question, candidates
        self._measures = tuple(dict.fromkeys([*question.measures, _TOUCHED]))
        self._n_calls = 0
        self.release = kinds_of(scenario)
        is_divided = len(self.release.possible) > 1 and TYPES[question.base.identity.type].releases
        self.kinds = self.release.possible if is_divided else (_ANY,)
        self._next = dict.fromkeys(self.kinds, 0)
        self.campaign = campaign
        self.n_node_updates = 0
        self.failed: set[int] = set()

    @property
    def done(self) -> tuple[int, int]:
        """Rollouts and node updates so far."""
        return self.campaign.n_done, self.n_node_updates

    def divide_for_requirements(self, n: int) -> dict[str, int]:
        """Divide worlds equally among the kinds that the requirements concern."""
        if self.kinds == (_ANY,):
            return {_ANY: n}
        conditions = {requirement.measure.given for requirement in self._question.requirements}
        concerned = [name for name in self.kinds if any(self.release.allows(given, name) for given in conditions)]
        return divide(dict.fromkeys(concerned, 1.0), max(n, len(concerned)), fewest=1)

    def take(self, counts: Mapping[str, int]) -> dict[str, range]:
        """Return the next worlds of each kind; every call returns different ones."""
        return self.batches(self.mark(), counts, 0, 1)

    def mark(self) -> dict[str, int]:
        """Return the numbers of the next worlds of each kind, from which batches are counted."""
        return dict(self._next)

    def batches(self, mark: Mapping[str, int], counts: Mapping[str, int], first: int, count: int) -> dict[str, range]:
        """Return the worlds of `count` batches from the first one, counted from a mark; a batch has `counts` worlds of each kind."""
        worlds = {
            kind: range(mark[kind] + first * size, mark[kind] + (first + count) * size) for kind, size in counts.items()
        }
        self._next |= {kind: max(numbers.stop, self._next[kind]) for kind, numbers in worlds.items()}
        return worlds

    def check_room(self, n_candidates: int, n_worlds: int) -> None:
        """Raise `InputError` if the values don't fit in memory, where they stay even with a store."""
        hint = "try fewer candidates or fewer worlds"
        check_rows_fit(n_candidates * n_worlds, 8 * (len(self._measures) + 1), hint=hint)

    def measure(self, numbers: Sequence[int] | np.ndarray, worlds: Mapping[str, range]) -> Measured:
        """Simulate candidates in some worlds of each kind."""
        numbers = [int(number) for number in numbers]
        n = sum(map(len, worlds.values()))
        self.check_room(len(numbers), n)
        n_parts = -(-len(numbers) * n // _MOST_ROWS)
        parts = ({kind: _part(numbers, place, n_parts) for kind, numbers in worlds.items()} for place in range(n_parts))
        return reduce(Measured.join, (self._measure(numbers, part) for part in parts))

    def _measure(self, numbers: list[int], worlds: Mapping[str, range]) -> Measured:
        vary, policies = self.candidates.columns(numbers), {"candidate": self._question.base}
        part = f"{self._n_calls:03d}"
        if self.kinds == (_ANY,):
            scenarios = {self._scenario.name: self._scenario}
            result = self.campaign.sweep(
                scenarios, policies, part=part, vary=vary, design="list", replications=worlds[_ANY]
            )
        else:
            some = {kind: numbers for kind, numbers in worlds.items() if numbers}
            result = sweep_kinds(self.campaign, self._scenario, policies, some, part=part, vary=vary, design="list")
        self._n_calls += 1
        costs, release = self._scenario.costs, self._scenario.release
        values = Values(result, self._measures, costs=costs, release=release)
        self.n_node_updates += int(np.nansum(values.of(_TOUCHED)))
        self.failed.update(np.array(numbers)[~values.is_ok.all(axis=1)].tolist())
        of = {measure: self._bound(measure, values.sample(measure)) for measure in self._measures}
        objective = self._question.objective
        is_missing = values.may_concern(objective) & np.isnan(of[objective].values)
        has_gap = (is_missing | ~values.is_ok).any(axis=1)
        return Measured(of, of[objective].scaled(self._question.sign), has_gap)

    def _bound(self, measure: Measure, sample: Sample) -> Sample:
        """Return a sample with a bound of 0 if the fleet implies that values are never negative."""
        fleet = self._scenario.fleet
        goes_down = any(each.crash or each.zone_outage or each.down for each in fleet.behaviours)
        sheds, costs = fleet.service is not None, self._scenario.costs
        if measure.is_fraction or not is_never_negative(measure, costs, goes_down=goes_down, sheds=sheds):
            return sample
        return replace(sample, bounds=(0.0, math.inf))


def _part(numbers: range, place: int, n_parts: int) -> range:
    """Return one of several nearly equal parts of a range."""
    n = len(numbers)
    return range(numbers.start + place * n // n_parts, numbers.start + (place + 1) * n // n_parts)
