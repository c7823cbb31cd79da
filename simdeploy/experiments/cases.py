"""Makes a job of scenarios, policies and points: every case is checked, and equal ones are simulated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from simdeploy.errors import InputError, Path, Problem, catch_warned, cut
from simdeploy.experiments.arguments import Bases
from simdeploy.experiments.case_problems import CaseProblems, fold
from simdeploy.experiments.case_table import CaseTable
from simdeploy.experiments.chances import StopChances
from simdeploy.experiments.design import Points
from simdeploy.experiments.jobs import Group, Job, Span
from simdeploy.experiments.kinds import balance
from simdeploy.experiments.levers import Lever, change_policy, own_identity

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.engines.block import Block
    from simdeploy.scenario import Scenario, ScenarioPolicy

T = TypeVar("T")

# Replaces the scenario's policies, which are not simulated, while factors are applied.
_NO_POLICY = {"policies": {"none": {"strategy": "immediate"}}, "requirements": []}

_MOST_KEPT = 20_000  # scenarios (some kilobytes each) kept for other kinds of release


class Checked(NamedTuple):
    """Result of checking cases."""

    warnings: tuple[str, ...]  # valid values that are probably mistakes
    node_updates: float  # mean nodes updated per replication of a case; equal cases count once


@dataclass(frozen=True)
class Cases:
    """Consecutive cases of a table, and their job, with each distinct rollout once."""

    table: CaseTable
    numbers: range  # of the cases in the table
    job: Job
    group: np.ndarray  # number of each case's group in the job; -1 if invalid
    place: np.ndarray  # index of each case's policy in its group; -1 if invalid
    broken: Mapping[int, str]  # problems of invalid cases, by number
    checked: Checked

    def __len__(self) -> int:
        return len(self.numbers)

    def with_engine(self, engine: str) -> Cases:
        """Return the same cases for an engine."""
        return replace(self, job=replace(self.job, engine=engine))

    def policies_of(self, numbers: range) -> dict[int, np.ndarray]:
        """Return the policies that some cases need, ascending, by number of the group."""
        here = slice(numbers.start - self.numbers.start, numbers.stop - self.numbers.start)
        groups, places = self.group[here], self.place[here]
        return {int(group): np.unique(places[groups == group]) for group in np.unique(groups) if group >= 0}

    def within(self, span: Span, numbers: range) -> np.ndarray:
        """Return the cases among `cases` that a span simulates, ascending."""
        members = self._members[span.group]
        first, last = np.searchsorted(members, (numbers.start, numbers.stop))
        members = members[first:last]
        places = self.place[members - self.numbers.start]
        chosen: np.ndarray = members[(places >= span.policy) & (places < span.policy + span.n_policies)]
        return chosen

    def rows_of(self, span: Span, block: Block, numbers: np.ndarray) -> Block:
        """Return the outcomes of some of the cases that a span simulates."""
        return replace(block, index=block.index[self.place[numbers - self.numbers.start] - span.policy])

    @cached_property
    def _members(self) -> list[np.ndarray]:
        """The numbers of the cases of each group."""
        order = np.argsort(self.group, kind="stable")
        order = order[self.group[order] >= 0]
        ends = np.cumsum(np.bincount(self.group[order], minlength=len(self.job.groups)))
        return np.split(order + self.numbers.start, ends[:-1])


@dataclass
class Shared:
    """What sweeps of the same cases in different worlds have in common, filled in by the first one."""

    points: Points | None = None
    cases: pd.DataFrame | None = None  # identifying columns
    release: dict[str, Any] | None = None  # kinds of release, for `attrs`
    # By scenario, policy and point.
    policies: dict[tuple[object, ...], _Attempt[ScenarioPolicy]] = field(default_factory=dict)
    # Scenarios without policies, for all kinds of release, by name and values of the factors.
    worlds: dict[tuple[object, ...], _Attempt[Scenario]] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseMaker:
    """Factory of cases."""

    table: CaseTable
    scenarios: Mapping[str, Scenario]
    bases: Bases
    seed: int
    engine: str
    shared: Shared = field(default_factory=Shared)

    def check(self, numbers: Sequence[int]) -> Checked:
        """Check some cases, keeping only the findings; raise `InputError` with all invalid values and combinations."""
        return self._make(numbers, keep_broken=False).sum_up()

    def make(self, numbers: range, *, keep_broken: bool = False) -> Cases:
        """Make a job of consecutive cases; invalid ones are recorded as `broken` if `keep_broken`, otherwise raised as in `check`."""
        builder = self._make(numbers, keep_broken=keep_broken)
        groups = tuple(Group(scenario, tuple(policies)) for scenario, policies in builder.groups)
        return Cases(
            table=self.table,
            numbers=numbers,
            job=Job(groups, self.seed, self.engine),
            group=np.array(builder.group, dtype=np.int64),
            place=np.array(builder.place, dtype=np.int64),
            broken=builder.errors.of_each_case(),
            checked=builder.sum_up(),
        )

    def find_stop_chances(self) -> np.ndarray:
        """Return by case the probability of a stop, given the kind of release; NaN if unknown, or if there are too many scenarios."""
        builder = _JobBuilder(self)
        chances: dict[int, StopChances] = {}  # by the identity of a scenario
        stop_chances = np.full(len(self.table), np.nan)
        if len(stop_chances) > _MOST_KEPT and any(lever.is_factor for lever in self.table.points.levers):
            return stop_chances
        for case in range(len(stop_chances)):
            world, policy = builder.find(case)
            if world is None or policy is None:
                continue
            if id(world) not in chances:
                chances[id(world)] = StopChances(world, next(kind for kind in world.release if kind.name == world.kind))
            stop_chances[case] = chances[id(world)].of(policy)
        return stop_chances

    def _make(self, numbers: Sequence[int], *, keep_broken: bool) -> _JobBuilder:
        builder = _JobBuilder(self)
        for case in numbers:
            builder.add(case)
        if builder.errors.cases and not keep_broken:
            raise InputError(builder.errors.list_problems(len(numbers), self.table.points))
        return builder


class _Attempt(NamedTuple, Generic[T]):
    value: T | None
    errors: Sequence[Problem]
    warnings: Sequence[Problem]


def _catch_problems(make: Callable[[], T], prefix: Path = ()) -> _Attempt[T]:
    """Call a function; return its errors and warnings instead of raising and emitting them."""
    with catch_warned() as warned:
        try:
            value, errors = make(), []
        except InputError as error:
            value, errors = None, [problem.at(prefix=prefix) for problem in error.problems]
    return _Attempt(value, errors, warned)


class _Worlds:
    """A scenario with the values of its factors, each combination made once."""

    def __init__(self, name: str, scenario: Scenario, points: Points, shared: Shared) -> None:
        self.scenario = scenario
        self._name, self._points, self._shared = name, points, shared.worlds
        self._factors = [place for place, lever in enumerate(points.levers) if lever.is_factor]
        self._known: dict[tuple[int, ...], _Attempt[Scenario]] = {}

    def at(self, index: Sequence[int]) -> _Attempt[Scenario]:
        """Return the scenario at a point."""
        if not self._factors:
            return _Attempt(self.scenario, (), ())
        key = tuple(index[place] for place in self._factors)
        if key not in self._known:
            made = self._shared.get((self._name, *key)) or self._make(key)
            if made.value is not None and self.scenario.kind is not None:
                given = _catch_problems(partial(made.value.given, self.scenario.kind), prefix=("scenario",))
                made = given._replace(warnings=made.warnings)
            self._known[key] = made
        return self._known[key]

    def _make(self, key: tuple[int, ...]) -> _Attempt[Scenario]:
        levers, values = self._points.levers, self._points.values
        changes = {levers[place].path: values[place][at] for place, at in zip(self._factors, key, strict=True)}
        made = _catch_problems(
            partial(self._scenario_without_policy.with_values, balance(changes, self._scenario_without_policy)),
            prefix=("scenario",),
        )
        if self.scenario.kind is not None and len(self._shared) < _MOST_KEPT:
            self._shared[self._name, *key] = made
        return made

    @cached_property
    def _scenario_without_policy(self) -> Scenario:
        with catch_warned():
            return self.scenario.given(None).with_values(_NO_POLICY)


class _JobBuilder:
    """The groups of a job and the place of each case, under construction."""

    def __init__(self, maker: CaseMaker) -> None:
        self.groups: list[tuple[Scenario, list[ScenarioPolicy]]] = []
        self.group: list[int] = []
        self.place: list[int] = []
        self.errors, self.warnings = CaseProblems(), CaseProblems()
        self._maker = maker
        self._points = maker.table.points
        self._worlds = {
            name: _Worlds(name, scenario, self._points, maker.shared) for name, scenario in maker.scenarios.items()
        }
        self._own = {key: own_identity(base, maker.scenarios[key[0]]) for key, base in maker.bases.items()}
        self._keys = [place for place, lever in enumerate(self._points.levers) if not lever.is_factor]
        self._group_numbers: dict[Any, int] = {}
        self._group_of: dict[int, int] = {}  # by the identity of a scenario
        self._places: dict[Any, int] = {}

    def add(self, case: int) -> None:
        """Add a case."""
        made, policy = self._look_up(case)
        for part in (made, policy):
            self.errors.note(part.errors, case)
            self.warnings.note(part.warnings, case)
        group, place = (-1, -1)
        if made.value is not None and policy.value is not None:
            group, place = self._find(made.value, policy.value)
        self.group.append(group)
        self.place.append(place)

    def find(self, case: int) -> tuple[Scenario | None, ScenarioPolicy | None]:
        """Return scenario and policy of a case; None for an invalid one."""
        made, policy = self._look_up(case)
        return made.value, policy.value

    def _look_up(self, case: int) -> tuple[_Attempt[Scenario], _Attempt[ScenarioPolicy]]:
        scenario, name, point = self._maker.table.find(case)
        index = self._points.index[point].tolist()
        return self._worlds[scenario].at(index), self._make_policy(scenario, name, index)

    def _make_policy(self, scenario: str, name: str, index: Sequence[int]) -> _Attempt[ScenarioPolicy]:
        """Return the policy of a case, even if its scenario is invalid."""
        key = (scenario, name, *index)
        policy = self._maker.shared.policies.get(key)
        if policy is None:
            worlds = self._worlds[scenario]
            world = worlds.at(index).value or worlds.scenario
            base, identity = self._maker.bases[scenario, name], self._own[scenario, name]
            policy = _catch_problems(partial(change_policy, base, self._values(index), world, identity))
            if policy.warnings:
                known = self._warned_before(scenario, name)
                policy = policy._replace(warnings=[warning for warning in policy.warnings if warning not in known])
            self._maker.shared.policies[key] = policy
        return policy

    def _warned_before(self, scenario: str, name: str) -> Sequence[Problem]:
        """Return the warnings that the scenario's own policy had, with file and line, when the scenario was read."""
        original, base = self._maker.scenarios[scenario], self._maker.bases[scenario, name]
        if name not in original.policies or original.policy(name).spec != base.spec:
            return ()
        return _catch_problems(partial(change_policy, base, {}, original, self._own[scenario, name])).warnings

    def sum_up(self) -> Checked:
        """Return the distinct warnings of all cases, and the mean number of node updates."""
        n_cases = len(self.group)
        warned = fold(self.warnings.list_problems(n_cases, self._points))
        n_updates = sum(len(policies) * scenario.fleet.nodes for scenario, policies in self.groups)
        return Checked(tuple(map(str, cut(warned))), n_updates / n_cases)

    def _values(self, index: Sequence[int]) -> dict[Lever, Any]:
        levers, values = self._points.levers, self._points.values
        return {levers[place]: values[place][index[place]] for place in self._keys}

    def _find(self, world: Scenario, policy: ScenarioPolicy) -> tuple[int, int]:
        """Return the group of a scenario and the place of a policy in it, adding them if they are new."""
        group = self._group_of.get(id(world))
        if group is None:
            # Everything a rollout depends on; not names or other policies.
            key = (world.fleet, world.past, world.drawn_release, world.operator, world.orchestrator, world.tilt)
            group = self._group_of[id(world)] = self._group_numbers.setdefault(key, len(self.groups))
        if group == len(self.groups):
            self.groups.append((world, []))
        policies = self.groups[group][1]
        place = self._places.setdefault((group, policy.policy, policy.identity, policy.orchestrator), len(policies))
        if place == len(policies):
            policies.append(policy)
        return group, place
