"""From scenarios, policies and points to a job: every case checked, and nothing simulated twice."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from simdeploy.errors import InputError, Path, Problem, SimdeployWarning, cut
from simdeploy.experiments.changes import change_policy, own_identity
from simdeploy.experiments.design import Points, read_number
from simdeploy.experiments.findings import Findings, fold
from simdeploy.experiments.jobs import Group, Job, Span
from simdeploy.experiments.subjects import Bases
from simdeploy.experiments.table import columns_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario import Scenario, ScenarioPolicy

T = TypeVar("T")

_FOUND = re.compile(r"(.*) \(found ([^()]*)\)")

# Stands for the scenario's own policies while its factors change: they aren't those that are tried.
_NO_POLICY = {"policies": {"none": {"strategy": "immediate"}}, "requirements": []}


@dataclass(frozen=True)
class Cases:
    """Every scenario under every policy at every point, numbered in this order, the last one fastest.

    Attributes
    ----------
    scenarios : tuple of str
    policies : tuple of str
    points : Points
    job : Job
        Each distinct rollout once.
    group, place : ndarray of int, shape (cases,)
        Which of the job's groups, and which of its policies, is simulated for a case.
    warnings : tuple of str
        What is legal but probably not meant.
    """

    scenarios: tuple[str, ...]
    policies: tuple[str, ...]
    points: Points
    job: Job
    group: np.ndarray
    place: np.ndarray
    warnings: tuple[str, ...]

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns of the table of replications."""
        is_weighted = any(group.scenario.tilt is not None for group in self.job.groups)
        return (*self.columns, "replication", *columns_of(is_weighted=is_weighted))

    def __len__(self) -> int:
        return len(self.group)

    @property
    def factors(self) -> tuple[str, ...]:
        """The columns of what is varied."""
        return tuple(lever.name for lever in self.points.levers)

    @cached_property
    def columns(self) -> dict[str, pa.Array]:
        """What identifies a case: `case`, `scenario`, `policy` and the factors; one value per case."""
        import pyarrow as pa

        numbers = np.arange(len(self))
        scenario, rest = np.divmod(numbers, len(self.policies) * len(self.points))
        policy, point = np.divmod(rest, len(self.points))
        columns = {
            "case": pa.array(numbers),
            "scenario": pa.array(self.scenarios, pa.large_string()).take(pa.array(scenario)),
            "policy": pa.array(self.policies, pa.large_string()).take(pa.array(policy)),
        }
        for lever, values, index in zip(self.points.levers, self.points.values, self.points.index.T, strict=True):
            columns[lever.name] = _column(lever, values).take(pa.array(index[point]))
        return columns

    def to_frame(self) -> pd.DataFrame:
        """Return what identifies a case as a DataFrame, with the types of the table of replications."""
        import pyarrow as pa

        from simdeploy.experiments.store.columns import fit_table

        fields = [pa.field(name, column.type, column.null_count > 0) for name, column in self.columns.items()]
        table = pa.table(list(self.columns.values()), schema=pa.schema(fields))
        frame: pd.DataFrame = fit_table(table, None).to_pandas()
        return frame

    @cached_property
    def _members(self) -> list[np.ndarray]:
        order = np.argsort(self.group, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.group))[:-1])

    def numbers(self, span: Span) -> np.ndarray:
        """Return the cases whose rollouts are in a span, ascending."""
        members = self._members[span.group]
        places = self.place[members]
        cases: np.ndarray = members[(places >= span.policy) & (places < span.policy + span.n_policies)]
        return cases


def make_cases(
    scenarios: Mapping[str, Scenario], policies: Sequence[str], bases: Bases, points: Points, *, seed: int, engine: str
) -> Cases:
    """Make a job of every scenario under every policy at every point.

    Parameters
    ----------
    scenarios : mapping of str to Scenario
    policies : sequence of str
    bases : mapping of (str, str) to ScenarioPolicy
        The policy that values are tried on, by scenario and policy.
    points : Points
    seed : int
    engine : str

    Raises
    ------
    InputError
        With every value that its key can't have, and with values that can't be meant together.
    """
    making = _Making(points)
    for scenario_name, scenario in scenarios.items():
        worlds = _Worlds(scenario, points)
        for name in policies:
            making.add(worlds, bases[scenario_name, name])
    n_cases = len(making.group)
    if making.errors.cases:
        raise InputError(making.errors.told(n_cases, points))
    groups = tuple(Group(scenario, tuple(policies)) for scenario, policies in making.groups)
    told = cut(fold(making.warnings.told(n_cases, points)))
    return Cases(
        scenarios=tuple(scenarios),
        policies=tuple(policies),
        points=points,
        job=Job(groups, seed, engine),
        group=np.array(making.group, dtype=np.int64),
        place=np.array(making.place, dtype=np.int64),
        warnings=tuple(map(str, told)),
    )


class _Made(NamedTuple, Generic[T]):
    value: T | None
    errors: Sequence[Problem]
    warnings: Sequence[Problem]


def _record(make: Callable[[], T], prefix: Path = ()) -> _Made[T]:
    """Make something; its errors and warnings are returned, not raised and emitted."""
    with warnings.catch_warnings(record=True, action="always", category=SimdeployWarning) as caught:
        try:
            value, errors = make(), []
        except InputError as error:
            value, errors = None, [problem.at(prefix=prefix) for problem in error.problems]
    return _Made(value, errors, [_as_problem(str(warning.message)) for warning in caught])


def _as_problem(text: str) -> Problem:
    """Return a warning as the problem that it was, as far as its text tells."""
    parts = _FOUND.fullmatch(text)
    return Problem(text) if parts is None else Problem(parts[1], found=parts[2])


class _Worlds:
    """A scenario with the values of its factors, each combination made once."""

    def __init__(self, scenario: Scenario, points: Points) -> None:
        self.scenario = scenario
        self._points = points
        self._factors = [place for place, lever in enumerate(points.levers) if lever.is_factor]
        self._known: dict[tuple[int, ...], _Made[Scenario]] = {}

    def at(self, index: Sequence[int]) -> _Made[Scenario]:
        """Return the scenario at a point."""
        if not self._factors:
            return _Made(self.scenario, (), ())
        key = tuple(index[place] for place in self._factors)
        if key not in self._known:
            levers, values = self._points.levers, self._points.values
            changes = {levers[place].path: values[place][index[place]] for place in self._factors}
            self._known[key] = _record(partial(self._bare.with_values, changes), prefix=("scenario",))
        return self._known[key]

    @cached_property
    def _bare(self) -> Scenario:
        with warnings.catch_warnings(action="ignore", category=SimdeployWarning):
            return self.scenario.with_values(_NO_POLICY)


class _Making:
    """The groups of a job, and where in it each case is, while they are made."""

    def __init__(self, points: Points) -> None:
        self.groups: list[tuple[Scenario, list[ScenarioPolicy]]] = []
        self.group: list[int] = []
        self.place: list[int] = []
        self.errors, self.warnings = Findings(), Findings()
        self._points = points
        self._index = points.index.tolist()
        self._keys = [place for place, lever in enumerate(points.levers) if not lever.is_factor]
        self._group_numbers: dict[Any, int] = {}
        self._places: dict[Any, int] = {}

    def add(self, worlds: _Worlds, base: ScenarioPolicy) -> None:
        """Add the cases of a scenario and a policy."""
        own = own_identity(base, worlds.scenario)
        for index in self._index:
            case = len(self.group)
            made = worlds.at(index)
            self._note(made, case)
            # Under a scenario that is no use the policy is checked all the same.
            world = made.value or worlds.scenario
            policy = _record(partial(change_policy, base, self._values(index), world, own))
            self._note(policy, case)
            group = self._find_group(world)
            self.group.append(group)
            self.place.append(self._find_place(group, policy.value))

    def _values(self, index: Sequence[int]) -> dict[Lever, Any]:
        levers, values = self._points.levers, self._points.values
        return {levers[place]: values[place][index[place]] for place in self._keys}

    def _note(self, made: _Made[Any], case: int) -> None:
        self.errors.note(made.errors, case)
        self.warnings.note(made.warnings, case)

    def _find_group(self, world: Scenario) -> int:
        # What a rollout depends on; not names, or policies that aren't tried.
        key = (world.fleet, world.release, world.operator, world.orchestrator, world.tilt)
        number = self._group_numbers.setdefault(key, len(self.groups))
        if number == len(self.groups):
            self.groups.append((world, []))
        return number

    def _find_place(self, group: int, policy: ScenarioPolicy | None) -> int:
        if policy is None:
            return 0
        policies = self.groups[group][1]
        place = self._places.setdefault((group, policy.policy, policy.identity), len(policies))
        if place == len(policies):
            policies.append(policy)
        return place


def _column(lever: Lever, values: Sequence[Any]) -> pa.Array:
    """Return a lever's values as a column: numbers as numbers, durations in seconds, and what is neither as text."""
    import pyarrow as pa

    types = {"whole": (int, pa.int64()), "number": (int | float, pa.float64()), "truth": (bool, pa.bool_())}
    types["duration"] = types["number"]
    read = [read_number(lever.kind, value) for value in values]
    expected, kind = types.get(lever.kind, (str, pa.large_string()))
    if all(value is None or _is_a(value, expected) for value in read):
        return pa.array(read, kind)
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in read], pa.large_string())


def _is_a(value: object, expected: Any) -> bool:
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
