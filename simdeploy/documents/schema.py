"""The JSON Schema of the document of each kind of result."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, cast

from simdeploy.documents.models import make_model
from simdeploy.errors import InputError, Problem, listed, nearest, shorten
from simdeploy.report import REPORTS
from simdeploy.result import Result

KINDS = tuple(REPORTS)


def result_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document of a kind of result.

    Parameters
    ----------
    name : str
        Its class, such as ``Check``.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no such kind of result.

    Examples
    --------
    >>> result_schema("Check")["properties"]["verdict"]
    {'enum': ['met', 'not met', 'undecided']}
    """
    kind = find_kind(name)
    schema = _tidy(make_model(kind).model_json_schema(by_alias=True))
    for field, text in _describe_fields(kind).items():
        schema["properties"][field]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}


def find_kind(name: object) -> type[Result]:
    """Return the class of a kind of result.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if not isinstance(name, str) or name not in KINDS:
        found, hint = shorten(name), nearest(name, KINDS)
        raise InputError(Problem("no such kind of result", ("result",), found=found, allowed=listed(KINDS), hint=hint))
    # They are public names, each of which is imported when it is first used.
    return cast("type[Result]", getattr(import_module("simdeploy"), name))


def _tidy(schema: Any) -> Any:
    """Leave out titles, which repeat the keys, and what is written for readers of the code."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(part) for key, part in schema.items() if key not in ("title", "default", "description")}
    choices = tidy.get("anyOf", ())
    if choices and all(set(choice) == {"type"} for choice in choices):
        return {"type": [choice["type"] for choice in choices]}
    return {"enum": tidy["enum"]} if "enum" in tidy else tidy


def _describe_fields(kind: type[Result]) -> dict[str, str]:
    """Return what the docstring of a result says of its fields."""
    section = (kind.__doc__ or "").partition("----------\n")[2]
    found = re.findall(r"^    (\w[\w, ]*) : .*\n((?:        .*\n)+)", section, flags=re.MULTILINE)
    described = {name: " ".join(text.split()) for names, text in found for name in names.split(", ")}
    return {name: text for name, text in described.items() if name in kind.hints()}
