"""Designs: grid, lists side by side, or Latin hypercube."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, Problem, collect, nearest, raise_if_any, shorten
from simdeploy.experiments.arguments import require_keys
from simdeploy.experiments.ranges import Choices, Interval, Range, Spread, make_interval
from simdeploy.units import NS_PER_S, is_whole, parse_duration

if TYPE_CHECKING:
    from simdeploy.experiments.levers import Kind, Lever

# A typo must not exhaust the memory.
MOST_CASES = 1_000_000

_NAMED = ("grid", "list")
_DESIGNS = '"grid", "list" or LatinHypercube(n)'


@dataclass(frozen=True)
class LatinHypercube:
    """Points spread over ranges: each of `points` equal parts of a range is used once.

    Attributes
    ----------
    points : int
        Number of points.

    Notes
    -----
    Method of McKay, Beckman and Conover (1979) [1]_, by `scipy.stats.qmc`; the sweep's seed determines the points.

    References
    ----------
    .. [1] McKay, M. D., Beckman, R. J. and Conover, W. J. (1979). A comparison of three methods for selecting values of
       input variables in the analysis of output from a computer code. Technometrics 21(2), 239-245.
    """

    points: int


Design = str | LatinHypercube


@dataclass(frozen=True)
class Points:
    """Combinations of values."""

    levers: tuple[Lever, ...]
    values: tuple[tuple[Any, ...], ...]  # values of each lever, as in a file
    index: np.ndarray  # indices into `values`, shape (points, levers)
    asked: tuple[Any, ...]  # the requested values of each lever, as JSON values

    def __len__(self) -> int:
        return len(self.index)

    def point(self, number: int) -> dict[str, Any]:
        """Return a point's values by name of the lever."""
        return {
            lever.name: values[place]
            for lever, values, place in zip(self.levers, self.values, self.index[number], strict=True)
        }


def make_points(levers: Sequence[Lever], asked: Sequence[object], design: Design, *, seed: int) -> Points:
    """Combine values of levers; a Latin hypercube also takes a `Range` or a tuple (lowest, highest).

    The design is a grid of every combination, the last lever fastest; a list of the first values of all levers, then
    the second ones, and so on; or points spread over ranges and choices. Raises `InputError` for levers without values,
    lists of unequal lengths, or more than a million points.

    Examples
    --------
    >>> from simdeploy.experiments.levers import Lever
    >>> levers = [Lever("max_failed_nodes", "whole"), Lever("health_check.max_error_rate", "number")]
    >>> points = make_points(levers, [range(2), [0.05, 0.1]], "grid", seed=0)
    >>> [tuple(points.point(number).values()) for number in range(len(points))]
    [(0, 0.05), (0, 0.1), (1, 0.05), (1, 0.1)]
    """
    _check_design(design)
    if isinstance(design, LatinHypercube):
        return _latin_hypercube(levers, asked, int(design.points), seed)
    if design == "grid":
        # Check before reading values, because two long ranges may exceed the memory.
        check_number_of_cases(prod(_length(given) or 1 for given in asked))
    problems: list[Problem] = []
    values = [_listed(lever, given, problems) for lever, given in zip(levers, asked, strict=True)]
    raise_if_any(problems)
    lengths = [len(of_lever) for of_lever in values]
    if design == "list":
        if len(set(lengths)) > 1:
            found = ", ".join(f"{lever.name}: {n}" for lever, n in zip(levers, lengths, strict=True))
            raise InputError(Problem("design list needs lists of equal length", ("vary",), found=found))
        index = np.repeat(np.arange(max(lengths, default=1))[:, None], len(levers), axis=1)
    else:
        check_number_of_cases(prod(lengths))
        index = np.indices(lengths).reshape(len(levers), prod(lengths)).T
    return Points(tuple(levers), tuple(values), index, tuple(map(list, values)))


def keep_values(vary: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return values by key for several sweeps; iterators, which can be read only once, are made lists."""
    vary = {} if vary is None else vary
    require_keys(vary)
    return {
        key: list(islice(of_key, MOST_CASES + 1)) if isinstance(of_key, Iterator) else of_key
        for key, of_key in vary.items()
    }


def count_points(vary: Mapping[str, Any], design: Design) -> int:
    """Return the number of points of values from `keep_values`.

    Examples
    --------
    >>> vary = {"max_parallel": [1, 2, 3], "max_failed_nodes": [0, 1, 2]}
    >>> [count_points(vary, design) for design in ("grid", "list", LatinHypercube(5))]
    [9, 3, 5]
    """
    if isinstance(design, LatinHypercube):
        return design.points
    lengths = [_length(of_key) or 1 for of_key in vary.values()] or [1]
    return lengths[0] if design == "list" else prod(lengths)


def check_number_of_cases(number: int) -> None:
    """Refuse too many cases."""
    if number > MOST_CASES:
        raise InputError(Problem("too many cases", ("vary",), found=f"{number:,}", allowed=f"up to {MOST_CASES:,}"))


def _check_design(design: object) -> None:
    if isinstance(design, LatinHypercube):
        if not is_whole(design.points, 1, MOST_CASES):
            found, allowed = shorten(design.points), f"1 to {MOST_CASES:,} points"
            raise InputError(Problem("invalid Latin hypercube", ("design",), found=found, allowed=allowed))
    elif design not in _NAMED:
        hint = nearest(design, _NAMED)
        raise InputError(Problem("unknown design", ("design",), found=shorten(design), allowed=_DESIGNS, hint=hint))


def _listed(lever: Lever, given: object, problems: list[Problem]) -> tuple[Any, ...]:
    """Return values as in a file; add problems."""
    from simdeploy.scenario.plain import plain

    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        allowed = "a list, a range or an array"
        problems.append(Problem("not a list of values", (lever.name,), found=shorten(given), allowed=allowed))
        return ()
    # Some iterables never end.
    first = list(islice(given, MOST_CASES + 1))
    if len(first) > MOST_CASES:
        found, allowed = f"{_length(given) or len(first):,} or more", f"up to {MOST_CASES:,}"
        problems.append(Problem("too many values", (lever.name,), found=found, allowed=allowed))
        return ()
    with collect(problems, prefix=(lever.name,)):
        if not first:
            raise InputError(Problem("no values", allowed="at least one"))
        return tuple(_natural(lever.kind, plain(value)) for value in first)
    return ()


def _length(given: object) -> int | None:
    """Return the number of values, if known without iteration."""
    try:
        return len(given)  # type: ignore[arg-type]  # raises without a length
    except TypeError:
        return None
    except OverflowError:  # a range may be longer than Python can count
        return sys.maxsize


def _natural(kind: Kind, value: Any) -> Any:
    """Convert whole floats, such as 3.0 from an array, if the lever takes whole numbers."""
    return int(value) if kind == "whole" and isinstance(value, float) and value.is_integer() else value


def _latin_hypercube(levers: Sequence[Lever], asked: Sequence[object], n_points: int, seed: int) -> Points:
    problems: list[Problem] = []
    spreads = [spread_over(lever, given, problems) for lever, given in zip(levers, asked, strict=True)]
    if not levers:
        problems.append(Problem("nothing to vary", ("vary",)))
    raise_if_any(problems)
    sample = sample_hypercube(len(levers), n_points, seed=seed)
    values, columns = [], []
    for spread, fractions in zip(spreads, sample.T, strict=True):
        if isinstance(spread, Interval):
            values.append(tuple(spread.draw(fractions)))
            columns.append(np.arange(n_points))
        else:
            values.append(spread.values)
            columns.append(spread.index(fractions))
    asked = tuple(spread.ask() for spread in spreads)
    return Points(tuple(levers), tuple(values), np.stack(columns, axis=1), asked)


def sample_hypercube(dimensions: int, n_points: int, *, seed: int | Sequence[int]) -> np.ndarray:
    """Return points (rows) of a Latin hypercube in [0, 1).

    Examples
    --------
    >>> sorted((sample_hypercube(2, 4, seed=0)[:, 1] * 4).astype(int).tolist())
    [0, 1, 2, 3]
    """
    from scipy.stats.qmc import LatinHypercube as Sampler

    sample: np.ndarray = Sampler(dimensions, rng=np.random.default_rng(seed)).random(n_points)
    return sample


def spread_over(lever: Lever, given: object, problems: list[Problem]) -> Spread:
    """Return the range or choices given for a lever; add to `problems`."""
    if isinstance(given, Range):
        ends = _listed(lever, [given.low, given.high], problems)
        is_range = len(ends) == 2
    else:
        ends = _listed(lever, given, problems)
        is_range = isinstance(given, tuple) and len(given) == 2 and len(ends) == 2
    if not is_range:
        return Choices(ends)
    low, high = (read_number(lever.kind, value) for value in ends)
    asked = given if isinstance(given, Range) else Range(*ends)
    interval, of_range = make_interval(asked, (low, high), lever.kind, lever.name)
    problems += of_range
    return interval


def read_number(kind: Kind, value: Any) -> Any:
    """Convert a duration given as text to seconds; return anything else unchanged.

    Examples
    --------
    >>> read_number("duration", "1m30s"), read_number("number", 0.1)
    (90.0, 0.1)
    """
    if kind == "duration" and isinstance(value, str):
        try:
            return parse_duration(value) / NS_PER_S
        except ValueError:
            return value
    return value
