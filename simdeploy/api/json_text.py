"""Strict JSON with positions: ambiguous forms are refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from simdeploy.api.values import is_unicode
from simdeploy.errors import MOST_PROBLEMS, InputError, Path, Problem, cut, raise_if_any, shorten

MAX_DEPTH = 64

# A deployment has a few dozen values, and the names of its canaries.
MAX_VALUES = 100_000
_TOKENS = 4  # per value at most: its key, a comma, and its quotes or brackets
_MAX_DIGITS = 40

# Possessive quantifiers, and an unfinished string that reaches to the end, keep the time linear for any text.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_MARK = re.compile(_STRING + r"|[\[\]{},]", re.DOTALL)
_STRINGS = re.compile(_STRING, re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_TOKEN = re.compile(_STRING + r'|[\[\]{},:]|[^\s\[\]{},:"]++', re.DOTALL)


@dataclass(frozen=True)
class _InvalidValue:
    """Placeholder for a value that Python would read but JSON doesn't allow, or that is too large."""

    message: str
    found: str
    allowed: str | None = None


def parse_json(text: str, *, file: str | None = None, most_values: int = MAX_VALUES) -> Any:
    """Read JSON as plain values.

    Raises
    ------
    InputError
        For invalid syntax; or for all duplicate keys, ``NaN``, ``Infinity``, numbers that are too large and unpaired
        surrogates. Nesting deeper than 64 and more than `most_values` values are refused before parsing.

    Examples
    --------
    >>> parse_json('{"a": 1, "a": NaN}')
    Traceback (most recent call last):
    ...
    simdeploy.errors.InputError: line 1: a: not a JSON number (found NaN); allowed: a finite number
    line 1: a: duplicate key; first in line 1
    """
    _check_size(text, file, most_values)
    duplicates = False
    bad = (not text.isascii() or "\\u" in text) and _SURROGATE.search(text) is not None

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicates
        keys = dict(pairs)
        duplicates |= len(keys) != len(pairs)
        return keys

    def read_constant(text: str) -> _InvalidValue:
        nonlocal bad
        bad = True
        return _InvalidValue("not a JSON number", text, "a finite number")

    def refuse_too_large(text: str) -> _InvalidValue:
        nonlocal bad
        bad = True
        return _InvalidValue("number too large", text if len(text) <= _MAX_DIGITS else text[:20] + "...")

    def read_int(text: str) -> int | _InvalidValue:
        return int(text) if len(text) <= _MAX_DIGITS else refuse_too_large(text)

    def read_float(text: str) -> float | _InvalidValue:
        number = float(text)
        return number if math.isfinite(number) else refuse_too_large(text)

    try:
        value = json.loads(
            text,
            object_pairs_hook=read_object,
            parse_constant=read_constant,
            parse_int=read_int,
            parse_float=read_float,
        )
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise InputError(Problem(message, file=file, line=error.lineno, column=error.colno)) from None
    problems = locate(cut(_bad_values(value, ())), text, file=file) if bad else []
    if duplicates:
        problems += _duplicate_keys(text, file)
    raise_if_any(problems)
    return value


def _check_size(text: str, file: str | None, most_values: int) -> None:
    if _is_small(text, most_values):
        return
    depth = n_commas = 0
    for number, token in enumerate(_MARK.finditer(text)):
        depth += _DEEPER.get(token[0], 0)
        n_commas += token[0] == ","
        message = None
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH}"
        elif n_commas >= most_values or number >= _TOKENS * most_values:
            message = f"more than {most_values:,} values"
        if message is not None:
            line, column = _place(text, token.start())
            raise InputError(Problem(message, file=file, line=line, column=column))


def _is_small(text: str, most_values: int) -> bool:
    """Tell quickly whether a text is within the limits; finding the place that exceeds them takes longer."""
    if text.count('"') > 2 * _TOKENS * most_values:  # so that removing strings needs little memory
        return False
    marks, n_strings = _STRINGS.subn("", text)
    n_commas = marks.count(",")
    if n_commas >= most_values or n_strings + sum(map(marks.count, ",[]{}")) > _TOKENS * most_values:
        return False
    return max(accumulate(map(_DEEPER.__getitem__, _BRACKET.findall(marks))), default=0) <= MAX_DEPTH


def _bad_values(value: object, path: Path) -> Iterator[Problem]:
    if isinstance(value, _InvalidValue):
        yield Problem(value.message, path, found=value.found, allowed=value.allowed)
    elif isinstance(value, str):
        if not is_unicode(value):
            yield Problem("unpaired Unicode surrogate", path=path, found=shorten(ascii(value)))
    elif isinstance(value, dict):
        for key, item in value.items():
            if is_unicode(key):
                yield from _bad_values(item, (*path, key))
            else:
                yield Problem("unpaired Unicode surrogate in a key", path=path, found=ascii(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _bad_values(item, (*path, index))


def locate(problems: Collection[Problem], text: str, *, file: str | None = None) -> list[Problem]:
    """Add line and column to problems in valid JSON, and sort them by position.

    A missing key gets the position of its nearest existing parent.
    """
    if not problems:
        return []
    wanted = {problem.path[:length] for problem in problems for length in range(len(problem.path) + 1)}
    offsets: dict[Path, int] = {}
    for path, offset in _places(text):
        if path in wanted:
            offsets[path] = offset
            if len(offsets) == len(wanted):
                break

    def placed(problem: Problem) -> tuple[int, Problem]:
        length = next(length for length in range(len(problem.path), -1, -1) if problem.path[:length] in offsets)
        offset = offsets[problem.path[:length]]
        line, column = _place(text, offset)
        return offset, replace(problem, file=file, line=line, column=column)

    here = sorted(map(placed, (problem for problem in problems if not problem.n_more)), key=lambda pair: pair[0])
    return [problem for _, problem in here] + [replace(problem, file=file) for problem in problems if problem.n_more]


def lines_of(text: str) -> dict[Path, int]:
    r"""Return the line of every value in valid JSON, by its path; a key's line for a value of an object.

    Examples
    --------
    >>> lines_of('{\n"a": [\n1]}')
    {(): 1, ('a',): 2, ('a', 0): 3}
    """
    lines: dict[Path, int] = {}
    number, counted = 1, 0
    for path, offset in _places(text):
        number += text.count("\n", counted, offset)
        counted = offset
        lines[path] = number
    return lines


def _places(text: str) -> Iterator[tuple[Path, int]]:
    """Yield path and offset of every key and every list item of valid JSON."""
    path: list[str | int] = []
    in_list: list[bool] = []
    at_key = at_item = False
    root = True
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if root:
            yield (), token.start()
            root = False
        if at_key and mark[0] == '"':
            path[-1] = json.loads(mark) if "\\" in mark else mark[1:-1]
            yield tuple(path), token.start()
            at_key = False
            continue
        if at_item and mark != "]":
            yield tuple(path), token.start()
            at_item = False
        if mark in "[{":
            in_list.append(mark == "[")
            path.append(0 if mark == "[" else "")
            at_key, at_item = mark == "{", mark == "["
        elif mark in "]}":
            in_list.pop()
            path.pop()
            at_key = at_item = False
        elif mark == ",":
            at_key, at_item = not in_list[-1], in_list[-1]
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1


def _duplicate_keys(text: str, file: str | None) -> list[Problem]:
    first: dict[Path, int] = {}
    repeated: set[Path] = set()
    problems: list[Problem] = []
    for path, offset in _places(text):
        if path[:-1] in repeated:
            repeated.add(path)  # keys inside a repeated object are not reported as repeated
        elif path in first:
            repeated.add(path)
            problem = Problem("duplicate key", path=path, file=file)
            if len(problems) < MOST_PROBLEMS:
                line, column = _place(text, offset)
                hint = f"first in line {_place(text, first[path])[0]}"
                problem = replace(problem, line=line, column=column, hint=hint)
            problems.append(problem)
        else:
            first[path] = offset
    return problems


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
