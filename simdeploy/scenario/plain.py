"""From Python values to plain data as in a file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simdeploy.api.values import is_unicode
from simdeploy.errors import InputError, Path, Problem, raise_if_any, shorten
from simdeploy.scenario.yaml_text import MAX_DEPTH

# Python refuses to write numbers of more than 4300 digits, even in messages.
_MAX_BITS = 1024

# A larger part is hardly in two files, and would take much memory.
_MOST_SHARED = 5000
_KEYS_OF_FILES = ("'file'", "'records'")


@dataclass(frozen=True)
class Shared:
    """Plain data that many files may have, as a key for what is read from them: 1, 1.0 and true differ, as does the order of keys."""

    text: str
    value: Any = field(compare=False)

    @classmethod
    def of(cls, value: object) -> Shared | None:
        """Return data as a key; None if it is large, or may name a file, whose contents matter too.

        Examples
        --------
        >>> Shared.of({"nodes": 1}) == Shared.of({"nodes": 1}), Shared.of({"nodes": 1}) == Shared.of({"nodes": True})
        (True, False)
        >>> Shared.of({"empirical": {"file": "a.csv"}}) is None
        True
        """
        text = repr(value)
        may_name_file = any(key in text for key in _KEYS_OF_FILES)
        return None if may_name_file or len(text) > _MOST_SHARED else cls(text, value)


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
    if type(value) is str and value.isascii():  # most values, without further questions
        return value
    if len(path) > MAX_DEPTH:
        # Don't go deeper: a cycle would never end.
        raise InputError([Problem(f"nested deeper than {MAX_DEPTH} levels", path[:3]), *problems])
    if hasattr(value, "tolist") and not isinstance(value, type):
        value = value.tolist()  # numpy's scalars and arrays, and pandas' series
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Mapping):
        return _copy_mapping(value, path, problems)
    if isinstance(value, list | tuple):
        return [_copy(item, (*path, number), problems) for number, item in enumerate(value)]
    problem = _scalar_problem(value, path)
    if problem is not None:
        problems.append(problem)
        return None
    # Subclasses of plain types, such as numpy's float64 or enumeration members, become plain.
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
            copy[str(key)] = _copy(item, (*path, key), problems)
        else:
            problems.append(Problem("a key must be text", path, found=shorten(key)))
    return copy
