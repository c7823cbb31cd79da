"""What is said of cases: each finding once, with the cases that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simdeploy.errors import Problem, shorten
from simdeploy.experiments.design import Points

# A value that is wrong in itself is told once; what only goes wrong together may go wrong in very many ways.
_MOST_TOLD = 20

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
        return [_placed(problem, cases, n_cases, points) for problem, cases in self.cases.items()]


def cut(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first twenty problems, and how many more there are."""
    n_more = len(problems) - _MOST_TOLD
    return [*problems[:_MOST_TOLD], *([Problem(f"and {n_more:,} more like these")] if n_more > 0 else [])]


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


def _placed(problem: Problem, cases: Sequence[int], n_cases: int, points: Points) -> Problem:
    if len(cases) == n_cases:
        return problem
    affected = np.unique(np.array(cases) % len(points))
    for column in points.index.T:
        if len(affected) == np.count_nonzero(column == column[affected[0]]) and len(set(column[affected])) == 1:
            return problem
    first = ", ".join(f"{name}={_word(value)}" for name, value in points.point(cases[0] % len(points)).items())
    where = f"in {len(cases):,} of {n_cases:,} cases" + (f", the first: {first}" if first else "")
    return replace(problem, hint=f"{problem.hint}; {where}" if problem.hint else where)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else shorten(value)
