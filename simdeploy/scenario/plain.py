"""Conversion of Python values to plain data as in a file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any, TypeVar

from simdeploy.api.json_text import MAX_DEPTH
from simdeploy.api.values import is_unicode
from simdeploy.errors import InputError, Path, Problem, raise_if_any, shorten

T = TypeVar("T")

# Python refuses to write numbers of more than 4300 digits, even in messages.
_MAX_BITS = 1024

_PLAIN = (str, int, float, bool, type(None), dict, list)

# Characters. Larger parts hardly occur twice, and would take much memory.
_MOST_SHARED = 5000


def read_once(function: Callable[..., T]) -> Callable[..., T]:
    """Decorate a reader of plain data so that equal data is read once.

    1, 1.0 and true are not equal here. Exceptions are not cached, nor results from single numbers or from data that names
    files. Keyword arguments must only concern files.
    """

    @lru_cache(maxsize=1024)
    def remember(text: _Text, *context: Any) -> T:
        value, about_files = text.data
        del text.data  # the cache keeps the text, but needs no data, which may be large
        return function(value, *context, **about_files)

    @wraps(function)
    def reader(value: object, *context: Any, **about_files: Any) -> T:
        if type(value) in (int, float):  # reading is as fast as the cache
            return function(value, *context, **about_files)
        text = _Text(repr(value))
        if len(text) > _MOST_SHARED or "'file'" in text or "'records'" in text:
            return function(value, *context, **about_files)
        text.data = value, about_files
        return remember(text, *context)

    return reader


class _Text(str):
    """Plain data as text, together with the data and the keyword arguments of its reader."""

    __slots__ = ("data",)

    data: tuple[Any, dict[str, Any]]


def plain(value: object, path: Path = ()) -> Any:
    """Convert mappings, sequences, numbers (also numpy's) and text to dict, list, int, float, bool and str.

    An `InputError` lists all values that a file can't hold, including nesting deeper than 64, hence cycles.

    Examples
    --------
    >>> plain({"zones": (0, 3)})
    {'zones': [0, 3]}
    """
    problems: list[Problem] = []
    copy = _copy(value, path, problems)
    raise_if_any(problems)
    return copy


def _copy(value: Any, path: Path, problems: list[Problem]) -> Any:
    if len(path) > MAX_DEPTH:
        # Don't go deeper: a cycle would never end.
        raise InputError([Problem(f"nested deeper than {MAX_DEPTH} levels", path[:3]), *problems])
    if type(value) not in _PLAIN:
        value = _convert(value)
    if isinstance(value, dict):
        return _copy_mapping(value, path, problems)
    if isinstance(value, list):
        return [_copy(item, (*path, number), problems) for number, item in enumerate(value)]
    problem = _scalar_problem(value, path)
    if problem is not None:
        problems.append(problem)
        return None
    return value


def _convert(value: Any) -> Any:
    """Return the plain equivalent of a value of another type, if there is one."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        value = value.tolist()  # numpy's scalars and arrays, and pandas' series
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return list(value)
    # Subclasses of plain types, such as enumeration members, become plain.
    plain_type = next((kind for kind in (bool, int, float, str) if isinstance(value, kind)), None)
    return value if plain_type in (None, bool) else plain_type(value)


def _scalar_problem(value: object, path: Path) -> Problem | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Problem("number too large", path) if value.bit_length() > _MAX_BITS else None
    if isinstance(value, float):
        return None if math.isfinite(value) else Problem("not a finite number", path, found=shorten(value))
    if isinstance(value, str):
        return None if is_unicode(value) else Problem("unpaired Unicode surrogate", path)
    allowed = "None, True, False, numbers, text, lists, dicts"
    return Problem("not plain data", path, found=shorten(value), allowed=allowed)


def _copy_mapping(value: Mapping[Any, Any], path: Path, problems: list[Problem]) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(key, str):
            kind = type(item)
            name = key if type(key) is str else str(key)
            # Most values are text or numbers, and this test is quick.
            if (
                (kind is str and item.isascii())
                or (kind is float and math.isfinite(item))
                or (kind is int and item.bit_length() <= _MAX_BITS)
            ):
                copy[name] = item
            else:
                copy[name] = _copy(item, (*path, key), problems)
        else:
            problems.append(Problem("a key must be text", path, found=shorten(key)))
    return copy
