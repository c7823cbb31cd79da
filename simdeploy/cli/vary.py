"""``--vary``: lists or evenly spaced values on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem, collect, raise_if_any, shorten

if TYPE_CHECKING:
    from simdeploy.experiments.levers import Lever
    from simdeploy.scenario import Scenario

_FORMS = "KEY=low:high:count, or KEY=a,b,c"
_MOST_VALUES = 1_000_000


def read_vary(
    texts: Sequence[str], scenario: Scenario, policies: Mapping[str, Any], *, has_ranges: bool, is_grid: bool = False
) -> dict[str, Any]:
    """Return the values given with ``--vary`` by full path of the key, or raise all problems.

    With `has_ranges`, ``KEY=low:high`` is a tuple of the ends and ``KEY=low:high:log`` a `Range`. With `is_grid`, too many
    combinations are refused before they are generated.
    """
    from simdeploy.experiments.arguments import find_bases
    from simdeploy.experiments.design import check_number_of_cases
    from simdeploy.experiments.levers import find_levers

    parts = [text.partition("=") for text in texts]
    problems = [
        Problem("not KEY=VALUES", ("--vary",), found=shorten(text), allowed=_FORMS)
        for text, (name, _, values) in zip(texts, parts, strict=True)
        if not name.strip() or not values.strip()
    ]
    raise_if_any(problems)
    bases = find_bases({scenario.name: scenario}, policies)
    levers = find_levers([name.strip() for name, _, _ in parts], [scenario], [base.spec for base in bases.values()])
    vary: dict[str, Any] = {}
    for lever, (_, _, values) in zip(levers, parts, strict=True):
        with collect(problems, prefix=(lever.name,)):
            vary[lever.name] = _read_values(lever, values.strip(), has_ranges=has_ranges)
    raise_if_any(problems)
    if is_grid:
        check_number_of_cases(prod(map(len, vary.values())))
    for name, values in vary.items():
        if isinstance(values, _Steps):
            with collect(problems, prefix=(name,)):
                vary[name] = space_evenly(values.low, values.high, values.count, whole=values.is_whole)
    raise_if_any(problems)
    return vary


@dataclass(frozen=True)
class _Steps:
    """Evenly spaced values, not yet generated."""

    low: float
    high: float
    count: int
    is_whole: bool

    def __len__(self) -> int:
        return self.count


def _read_values(lever: Lever, text: str, *, has_ranges: bool) -> Any:
    if ":" not in text or lever.kind not in ("whole", "number", "duration"):
        return [_read_word(word.strip()) for word in text.split(",")]
    parts = [part.strip() for part in text.split(":")]
    forms = f"{'low:high, low:high:log, ' if has_ranges else ''}low:high:count, or a,b,c"
    if len(parts) not in ((2, 3) if has_ranges else (3,)):
        raise InputError(Problem("invalid values", found=shorten(text), allowed=forms))
    from simdeploy.experiments.ranges import end_problem

    low, high = (_read_end(lever, part) for part in parts[:2])
    if (problem := end_problem((low, high))) is not None:
        raise InputError(problem)
    if len(parts) == 2:
        return low, high
    if has_ranges and parts[2] == "log":
        from simdeploy.experiments.ranges import Range

        return Range(low, high, log=True)
    if read_count(parts[2], _MOST_VALUES) is None:
        allowed = f"1 to {_MOST_VALUES:,}{', or log' if has_ranges else ''}"
        raise InputError(Problem("invalid number of values", found=shorten(parts[2]), allowed=allowed))
    return _Steps(low, high, int(parts[2]), is_whole=lever.kind == "whole")


def read_count(text: str, most: int) -> int | None:
    """Return a whole number from 1 to `most`, or None.

    Examples
    --------
    >>> read_count("20", 100), read_count("0", 100), read_count("9" * 5000, 100)
    (20, None, None)
    """
    number = int(text) if text.isdecimal() and len(text) <= len(str(most)) else 0
    return number if 1 <= number <= most else None


def _read_end(lever: Lever, word: str) -> int | float:
    from simdeploy.experiments.design import read_number

    value = read_number(lever.kind, _read_word(word))
    kinds = int if lever.kind == "whole" else int | float
    if isinstance(value, bool) or not isinstance(value, kinds):
        allowed = {"whole": "a whole number", "duration": 'a duration such as "45s" or a number of seconds'}
        raise InputError(
            Problem("invalid end of a range", found=shorten(word), allowed=allowed.get(lever.kind, "a number"))
        )
    return value


def _read_word(word: str) -> Any:
    """Read a word as in a scenario file."""
    from simdeploy.scenario.scalars import resolve

    if not word:
        raise InputError(Problem("empty value", allowed="null for the default"))
    try:
        return resolve(word)
    except ValueError as error:
        raise InputError(Problem(str(error), found=shorten(word))) from None


def space_evenly(low: float, high: float, count: int, *, whole: bool) -> list[int] | list[float]:
    """Return evenly spaced values including both ends, in exact decimals.

    Raises `InputError` if `whole` numbers would not stay whole; it suggests counts that work.

    Examples
    --------
    >>> space_evenly(0.01, 0.04, 4, whole=False), space_evenly(0, 20, 5, whole=True)
    ([0.01, 0.02, 0.03, 0.04], [0, 5, 10, 15, 20])
    """
    from simdeploy.units import exact

    if count == 1 and low != high:
        raise InputError(Problem("a count of 1 needs equal ends", found=f"{low}:{high}:1"))
    first, last = exact(low), exact(high)
    step = (last - first) / max(count - 1, 1)
    values: list[Fraction] = [first + step * place for place in range(count)]
    if not whole:
        return [float(value) for value in values]
    if step.denominator > 1:
        width = abs(int(last - first))
        fewer = (n + 1 for n in range(count - 2, 0, -1) if width % n == 0)
        more = (n + 1 for n in range(count, min(width, _MOST_VALUES) + 1) if width % n == 0)
        fitting = [n for n in (next(fewer, None), next(more, None)) if n is not None]
        allowed = f"a count of {' or '.join(map(str, fitting))}"
        found = f"{count} values from {low} to {high}: {', '.join(f'{float(value):g}' for value in values[:3])}, ..."
        raise InputError(Problem("not all whole numbers", found=found, allowed=allowed))
    return [int(value) for value in values]
