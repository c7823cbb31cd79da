"""Read a result from its document."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from simdeploy import __version__
from simdeploy.api.check import MISSING
from simdeploy.api.files import read_text
from simdeploy.api.json_text import locate, parse_json
from simdeploy.documents.models import Dtypes, by_key, find_kind, make_model
from simdeploy.errors import InputError, Problem, printable, raise_if_any, shorten
from simdeploy.result import FORMAT, Result, to_plain

# A sweep of 10,000 cases has about 30 MB.
_MOST_BYTES = 100_000_000
_MOST_VALUES = 2_000_000


def read_result(source: str | os.PathLike[str] | Mapping[str, Any]) -> Result:
    """Read a result from a document that a command or `Result.to_dict` wrote.

    Parameters
    ----------
    source : path, str or mapping
        A file that a command wrote with ``-o FILE.json``; what it printed with ``--json``; or either as a mapping.

    Returns
    -------
    Result
        Of the type named in the document, with the same values, answer, tables and pictures as the original. Documents
        don't contain replications, so the result has none.

    Raises
    ------
    InputError
        With everything that is wrong with the document.

    Examples
    --------
    >>> import pandas as pd
    >>> from simdeploy import compare, read_result
    >>> table = pd.DataFrame({
    ...     "policy": ["fast"] * 3 + ["slow"] * 3, "replication": [0, 1, 2] * 2,
    ...     "makespan_s": [60.0, 80.0, 70.0, 100.0, 121.0, 111.0],
    ... })
    >>> comparison = compare(table)
    >>> again = read_result(comparison.to_dict())
    >>> again.ranking.equals(comparison.ranking), again.answer == comparison.answer
    (True, True)
    """
    text, file = _read_source(source)
    document = parse_json(text, file=file, most_values=_MOST_VALUES)
    try:
        kind = _find_kind(document)
        model = make_model(kind, _find_dtypes(kind, document))
        return _build(kind, by_key(model.model_validate_json(text)))
    except ValidationError as error:
        problems = _problems(error)
    except InputError as error:
        problems = list(error.problems)
    raise InputError([*_other_version(document, file), *locate(problems, text, file=file)])


def _read_source(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the text of a document, and its file, if any."""
    if isinstance(source, Mapping):
        try:
            return json.dumps(dict(source)), None
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(Problem("not valid JSON data", found=str(error))) from None
    if isinstance(source, str) and source.lstrip()[:1] == "{":
        return source, None
    return read_text(source, most_bytes=_MOST_BYTES), os.fspath(source)


def _other_version(document: Any, file: str | None) -> list[Problem]:
    """Say which version wrote a document that can't be read, if that is another one than this."""
    version = document
    for key in ("computed_under", "versions", "simdeploy"):
        version = version.get(key) if isinstance(version, dict) else None
    if not isinstance(version, str) or version == __version__:
        return []
    message = f"written by simdeploy {printable(version[:20])}; this is {__version__}"
    return [Problem(message, file=file, hint="write it again with this version")]


def _find_kind(document: Any) -> type[Result]:
    """Return the class named in a document."""
    if not isinstance(document, dict) or "result" not in document:
        hint = "documents of older versions can't be read; write it again"
        allowed = "what a command wrote with -o FILE.json or --json"
        raise InputError(Problem("the kind of result is missing", ("result",), allowed=allowed, hint=hint))
    kind = find_kind(document["result"])
    if document.get("format") != FORMAT:
        found, allowed = shorten(document.get("format")), str(FORMAT)
        raise InputError(Problem("unsupported format", ("format",), found=found, allowed=allowed))
    return kind


@cache
def _dtypes_adapter() -> TypeAdapter[dict[str, Dtypes]]:
    return TypeAdapter(dict[str, Dtypes])


def _find_dtypes(kind: type[Result], document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the columns of each table: as declared, or as the document states if further ones are possible."""
    stated = document.get("dtypes", {})
    try:
        _dtypes_adapter().validate_python(stated)
    except ValidationError as error:
        raise InputError(_problems(error, ("dtypes",))) from None
    tables = kind.tables()
    problems = [
        Problem("wrong type for this column", ("dtypes", name, column), found=shorten(found), allowed=dtype)
        for name, columns in tables.items()
        for column, dtype in columns.dtypes.items()
        if columns.has_more and (found := stated.get(name, {}).get(column)) != dtype
    ]
    raise_if_any(problems)
    return {name: dict(stated[name] if columns.has_more else columns.dtypes) for name, columns in tables.items()}


def _build(kind: type[Result], values: Mapping[str, Any]) -> Result:
    """Make a result from the values of a document, and check that its answer and tables can be derived from them."""
    # Private fields are not in documents.
    given = {field.name: values.get(field.name) for field in fields(kind)}  # type: ignore[arg-type]  # each is a dataclass
    result = kind(**given)
    vars(result).update({name: values[name] for name in kind.tables() if name not in given})
    try:
        _ = result.answer, result.summarize()
        follows = {name: getattr(result, name) for name in kind.also}
    except Exception as error:  # noqa: BLE001 - any error is due to the document
        found = f"{type(error).__name__}: {error}"
        raise InputError(Problem("the values contradict each other", found=found)) from None
    problems = [
        Problem("contradicts the rest", (name,), found=shorten(values[name]), allowed=shorten(value))
        for name, value in follows.items()
        if to_plain(values[name]) != to_plain(value)  # unknown equals unknown
    ]
    raise_if_any(problems)
    return result


def _problems(error: ValidationError, prefix: tuple[str, ...] = ()) -> list[Problem]:
    """Return the problems, one per value."""
    problems: dict[tuple[str | int, ...], Problem] = {}
    for details in error.errors(include_url=False):
        path, found = (*prefix, *details["loc"]), shorten(details["input"])
        match details["type"]:
            case "missing" | "missing_argument":
                problem = Problem(MISSING, path)
            case "extra_forbidden" | "unexpected_keyword_argument":
                problem = Problem("unknown key", path)
            case "value_error":
                problem = Problem(str(details["ctx"]["error"]), path, found=found)
            case _:
                allowed = details["msg"].removeprefix("Input should be ")
                problem = Problem("wrong value", path, found=found, allowed=allowed)
        problems.setdefault(path, problem)
    return list(problems.values())
