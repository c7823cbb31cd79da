"""What is said of cases: each finding once, with the cases that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simdeploy.errors import Problem, shorten
from simdeploy.experiments.design import Points

_MOST_SHOWN = 3


@dataclass
class Findings:
    """Problems of cases.

    Attributes
    ----------
    cases : dict
        From a problem to the numbers of the cases that have it.
    """

    cases: dict[Problem, list[int]] = field(default_factory=dict)

    def note(self, problems: Iterable[Problem], case: int) -> None:
        """Note problems of a case."""
        for problem in problems:
            self.cases.setdefault(problem, []).append(case)

    def of_each_case(self) -> dict[int, str]:
        """Return what is wrong with each case that has a problem, in words."""
        said: dict[int, list[str]] = {}
        for problem, cases in self.cases.items():
            for case in cases:
                said.setdefault(case, []).append(str(problem))
        return {case: "; ".join(problems) for case, problems in said.items()}

    def told(self, n_cases: int, points: Points) -> list[Problem]:
        """Return the findings; where no single value is to blame, with how many cases they are about, and the first."""
        counts = [np.bincount(column) for column in points.index.T]
        return [_placed(problem, cases, n_cases, points, counts) for problem, cases in self.cases.items()]


def fold(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems that differ only in what was found as one.

    Examples
    --------
    >>> print(*fold([Problem("too large", found=str(value)) for value in range(10, 15)]))
    too large (found 10, 11, 12 and 2 more)
    """
    found: dict[Problem, list[str]] = {}
    for problem in problems:
        found.setdefault(replace(problem, found=None), []).extend([] if problem.found is None else [problem.found])
    return [replace(problem, found=_shown(values)) for problem, values in found.items()]


def _shown(values: Sequence[str]) -> str | None:
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(values[:_MOST_SHOWN]) + more or None


def _placed(
    problem: Problem, cases: Sequence[int], n_cases: int, points: Points, counts: Sequence[np.ndarray]
) -> Problem:
    if len(cases) == n_cases:
        return problem
    affected = np.unique(np.array(cases) % len(points))
    for column, count in zip(points.index.T, counts, strict=True):
        if len(affected) == count[column[affected[0]]] and len(set(column[affected])) == 1:
            return problem
    first = ", ".join(f"{name}={_word(value)}" for name, value in points.point(cases[0] % len(points)).items())
    where = f"in {len(cases):,} of {n_cases:,} cases" + (f", the first: {first}" if first else "")
    return replace(problem, hint=f"{problem.hint}; {where}" if problem.hint else where)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else shorten(value)
