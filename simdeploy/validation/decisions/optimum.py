"""A problem of choosing a policy, and its exact optimum: every policy of the grid evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from simdeploy.errors import catch_warned
from simdeploy.experiments.levers import Lever, change_quietly, find_levers
from simdeploy.scenario import Scenario, ScenarioPolicy
from simdeploy.validation.decisions.exact import Exact, evaluate


@dataclass(frozen=True)
class Optimum:
    """The best policies of a problem's grid."""

    n_policies: int  # of the grid
    n_feasible: int  # of these, how many meet the requirements
    # Settings of the feasible policy with the lowest cost, the first of equal ones; None if none is feasible.
    best: Mapping[str, Any] | None
    exact: Exact | None  # of that policy
    cost: float  # its cost; infinite if no policy is feasible
    unconstrained_cost: float  # the lowest cost of all policies, feasible or not
    n_near: int  # feasible policies that cost at most 2 % more than the best, itself included


@dataclass(frozen=True)
class Problem:
    """A problem of choosing a policy.

    Attributes
    ----------
    name : str
    difficulty : str
        The reason why it is hard.
    contents : mapping
        The scenario as in a file; its first policy is the current one.
    vary : mapping of str to sequence
        The grid, as for `tune`.
    """

    name: str
    difficulty: str
    contents: Mapping[str, Any]
    vary: Mapping[str, Sequence[Any]]

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario, with its requirements."""
        with catch_warned():
            return Scenario.from_dict(self.contents)

    @cached_property
    def _levers(self) -> dict[tuple[str, ...], tuple[Lever, ...]]:
        return {}

    @cached_property
    def optimum(self) -> Optimum:
        """The exact optimum; takes seconds, and is computed once."""
        return find_optimum(self)

    def policy(self, settings: Mapping[str, Any]) -> ScenarioPolicy:
        """Return the current policy with changed settings."""
        base = self.scenario.policy()
        keys = tuple(settings)
        if keys not in self._levers:
            self._levers[keys] = find_levers(settings, [], [base.spec])
        return change_quietly(base, dict(zip(self._levers[keys], settings.values(), strict=True)), self.scenario)

    def grid(self) -> Iterator[dict[str, Any]]:
        """Return the settings of every policy of the grid."""
        return (dict(zip(self.vary, point, strict=True)) for point in product(*self.vary.values()))

    def evaluate(self, settings: Mapping[str, Any]) -> Exact:
        """Return the exact results of the current policy with changed settings."""
        return evaluate(self.scenario, self.policy(settings))

    def is_feasible(self, exact: Exact) -> bool:
        """Return whether a policy meets the requirements."""
        return not any(
            requirement.is_broken_by(np.array([exact.value(requirement.measure)])).any()
            for requirement in self.scenario.requirements
        )


# A choice is right if it costs at most this much more than the best.
WITHIN = 0.02
# Relative tolerance for costs that are equal but for rounding.
_EQUAL = 1e-9


def find_optimum(problem: Problem) -> Optimum:
    """Evaluate every policy of a problem's grid."""
    rows = [
        (settings, exact, problem.is_feasible(exact))
        for settings in problem.grid()
        for exact in [problem.evaluate(settings)]
    ]
    lowest = min((exact.cost for _, exact, is_feasible in rows if is_feasible), default=float("inf"))
    best, of_best = next(
        (
            (settings, exact)
            for settings, exact, is_feasible in rows
            if is_feasible and exact.cost <= lowest * (1 + _EQUAL)
        ),
        (None, None),
    )
    return Optimum(
        n_policies=len(rows),
        n_feasible=sum(is_feasible for _, _, is_feasible in rows),
        best=best,
        exact=of_best,
        cost=lowest,
        unconstrained_cost=min(exact.cost for _, exact, _ in rows),
        n_near=sum(is_feasible and exact.cost <= lowest * (1 + WITHIN) for _, exact, is_feasible in rows),
    )
