"""Problems of the cases of a sweep: each problem once, with the number of cases that have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simdeploy.errors import Problem, format_path, shorten
from simdeploy.experiments.design import Points

_MOST_SHOWN = 3
_NUMBER = re.compile(r"(?:\d[\d.,]*(?:ns|us|ms|s|m|h|d)?)+")  # with the units of a duration


@dataclass
class CaseProblems:
    """Problems of many cases, each with the numbers of its cases."""

    cases: dict[Problem, list[int]] = field(default_factory=dict)

    def note(self, problems: Iterable[Problem], case: int) -> None:
        """Add problems of a case."""
        for problem in problems:
            self.cases.setdefault(problem, []).append(case)

    def of_each_case(self) -> dict[int, str]:
        """Return the problems of each invalid case as text."""
        by_case: dict[int, list[str]] = {}
        for problem, cases in self.cases.items():
            for case in cases:
                by_case.setdefault(case, []).append(str(problem))
        return {case: "; ".join(problems) for case, problems in by_case.items()}

    def list_problems(self, n_cases: int, points: Points) -> list[Problem]:
        """Return the problems, with the number of cases and the first one unless a single value is the cause."""
        counts = {place: np.bincount(column) for place, column in enumerate(points.index.T)}
        counts = {place: count for place, count in counts.items() if np.count_nonzero(count) > 1}
        groups: dict[Problem, dict[Problem, list[int]]] = {}  # merged if they differ only in the value found
        for problem, cases in self.cases.items():
            groups.setdefault(replace(problem, found=None), {})[problem] = cases
        problems: list[Problem] = []
        for problem, alike in groups.items():
            causes = [_find_causes(cases, points, counts) for cases in alike.values()]
            if all(len(cases) == n_cases for cases in alike.values()) or set.intersection(*causes):
                problems += alike
            else:
                problems.append(_with_cases(problem, alike, n_cases, points))
        return problems


def fold(problems: Iterable[Problem]) -> list[Problem]:
    """Merge problems that differ only in the value found, and many that differ only in numbers.

    Examples
    --------
    >>> print(*fold([Problem("too large", found=str(value)) for value in range(10, 15)]))
    too large (found 10, 11, 12 and 2 more)
    >>> print(*fold([Problem(f"takes {seconds}s") for seconds in (7.5, 80, 30, 100)]))
    takes 7.5s; 3 more like this
    """
    values_of: dict[Problem, list[str]] = {}
    for problem in problems:
        values_of.setdefault(replace(problem, found=None), []).extend([] if problem.found is None else [problem.found])
    alike: dict[Problem, list[Problem]] = {}
    for problem, values in values_of.items():
        place_and_message = f"{format_path(problem.path)}: {problem.message}"
        pattern = replace(problem, path=(), message=_NUMBER.sub("0", place_and_message), hint=None)
        alike.setdefault(pattern, []).append(replace(problem, found=_shown(values)))
    return [
        problem for group in alike.values() for problem in (group if len(group) <= _MOST_SHOWN else [_summarize(group)])
    ]


def _summarize(group: Sequence[Problem]) -> Problem:
    """Return the first of some similar problems, with the number of the others."""
    first, *others = group
    more = f"{len(others):,} more like this"
    return replace(first, hint=f"{first.hint}; {more}" if first.hint else more)


def _shown(values: Sequence[str]) -> str | None:
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(values[:_MOST_SHOWN]) + more or None


def _find_causes(cases: Sequence[int], points: Points, counts: Mapping[int, np.ndarray]) -> set[int]:
    """Return the keys with a value that exactly these cases have, from the counts of each value.

    If several keys vary, a single point shows no cause.
    """
    affected = np.unique(np.array(cases) % len(points))
    if len(affected) < 2 <= len(counts):
        return set()
    values = points.index[affected]
    return {
        place
        for place, count in counts.items()
        if len(affected) == count[values[0, place]] and len(set(values[:, place])) == 1
    }


def _with_cases(problem: Problem, alike: Mapping[Problem, Sequence[int]], n_cases: int, points: Points) -> Problem:
    """Return a problem with the values found, the number of cases and the first one."""
    found = [each.found for each in alike if each.found is not None]
    cases = [case for cases in alike.values() for case in cases]
    first = ", ".join(f"{name}={_word(value)}" for name, value in points.point(min(cases) % len(points)).items())
    where = f"in {len(cases):,} of {n_cases:,} cases" + (f", first: {first}" if first else "")
    return replace(problem, found=_shown(found), hint=f"{problem.hint}; {where}" if problem.hint else where)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else shorten(value)
