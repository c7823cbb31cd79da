"""Pydantic models of results' documents, which check, describe and convert them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    create_model,
)

from simdeploy.errors import InputError, not_among
from simdeploy.report import REPORTS
from simdeploy.result import FORMAT, Array, Columns, Result, Row, Written, find_declared
from simdeploy.scenario.measures import Measure, parse_measure

if TYPE_CHECKING:
    import pandas as pd

_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}


def _read_number(value: Any) -> Any:
    if value is None:
        return math.nan
    return _INFINITIES.get(value, value) if isinstance(value, str) else value


def _read_cell(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("not a single value")


Number = Annotated[
    float,
    BeforeValidator(_read_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}, {"enum": list(_INFINITIES)}]}),
]
_Whole = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
_Cell = Annotated[
    Any, AfterValidator(_read_cell), WithJsonSchema({"type": ["string", "boolean", "integer", "number", "null"]})
]
_CELLS: dict[str, Any] = {
    "str": str | None,
    "object": _Cell,
    "bool": bool,
    "boolean": bool | None,
    "int64": _Whole,
    "Int64": _Whole | None,
    "float64": Number,
}
Dtypes = dict[str, Literal["str", "object", "bool", "boolean", "int64", "Int64", "float64"]]

KINDS = tuple(REPORTS)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, _Cell]


def make_model(kind: type[Result], dtypes: Mapping[str, Mapping[str, str]] | None = None) -> type[BaseModel]:
    """Return the model of documents of a kind of result; without `dtypes`, tables that may have further columns accept any."""
    if dtypes is None:
        return _make_model(kind.__name__, None)
    return _make_model(kind.__name__, tuple((name, tuple(columns.items())) for name, columns in dtypes.items()))


@lru_cache(maxsize=64)  # making a model takes longer than reading most documents
def _make_model(name: str, table_dtypes: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] | None) -> type[BaseModel]:
    kind = find_kind(name)
    dtypes = None if table_dtypes is None else {name: dict(columns) for name, columns in table_dtypes}
    # Numbers may be missing or infinite.
    hints, tables = kind.hints(float=Number), kind.tables()
    keys: dict[str, Any] = {"result": Literal[kind.__name__], "format": Literal[FORMAT], "answer": str}
    keys |= {name: _type(hint) for name, hint in hints.items() if name not in tables}
    how: dict[str, Any] = {"localns": {"float": Number}, "include_extras": True}
    keys |= {name: get_type_hints(getattr(kind, name).fget, **how)["return"] for name in kind.also}
    more = [name for name, columns in tables.items() if columns.has_more]
    for table, columns in tables.items():
        stated = columns if dtypes is None else replace(columns, dtypes=dtypes[table], has_more=False)
        keys[table] = _table(stated, table)
    if more:
        keys["dtypes"] = _model(dict.fromkeys(more, Dtypes), "dtypes")
    return _model(keys, kind.__name__)


def by_key(values: BaseModel) -> dict[str, Any]:
    """Return the values of a document, or of a row, by key."""
    names = type(values).model_fields
    return {str(names[name].alias): value for name, value in vars(values).items()}


def _model(keys: Mapping[str, Any], name: str, base: type[BaseModel] = _Closed) -> type[BaseModel]:
    """Return a model with these keys, which needn't be identifiers."""
    named: dict[str, Any] = {f"key{place}": (of, Field(alias=key)) for place, (key, of) in enumerate(keys.items())}
    return create_model(name, __base__=base, **named)


def _type(hint: Any) -> Any:
    """Return the type in a document of a field's values."""
    if row := find_declared(hint, Row):
        return Annotated[_row(Columns(row.dtypes), "row"), AfterValidator(by_key)]
    if array := find_declared(hint, Array):
        return _array(array.dtype)
    if written := find_declared(hint, Written):
        return _written(written.parse)
    if get_origin(hint) is Mapping and get_args(hint)[0] is Measure:
        return GenericAlias(Mapping, (_written(parse_measure), get_args(hint)[1]))
    return hint


def _row(columns: Columns, name: str) -> type[BaseModel]:
    cells = {name: _CELLS[dtype] for name, dtype in columns.dtypes.items()}
    cells |= {name: words | None for name, words in columns.words.items()}
    return _model(cells, name, _Open if columns.has_more else _Closed)


def _table(columns: Columns, name: str) -> Any:
    def make_frame(rows: Sequence[BaseModel]) -> pd.DataFrame:
        import pandas as pd

        cells = [by_key(row) for row in rows]
        dtypes: Mapping[str, Any] = columns.dtypes
        return pd.DataFrame({key: pd.Series([row[key] for row in cells], dtype=of) for key, of in dtypes.items()})

    return Annotated[GenericAlias(list, _row(columns, name)), AfterValidator(make_frame)]


def _array(dtype: str) -> Any:
    def make_array(values: Sequence[Any]) -> Any:
        import numpy as np

        return np.array(values, dtype=dtype)

    return Annotated[GenericAlias(list, _CELLS[dtype]), AfterValidator(make_array)]


def _written(parse: Callable[[str], Any]) -> Any:
    """Return the type of values that documents hold as readable text, such as a measure."""

    def read(text: Any) -> Any:
        try:
            return parse(text if isinstance(text, str) else "")
        except InputError as error:
            raise ValueError(error.problems[0].message) from None

    return Annotated[Any, PlainValidator(read, json_schema_input_type=str)]


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
    """Return the class of a kind of result; refuse a name that none has."""
    if not isinstance(name, str) or name not in KINDS:
        raise InputError(not_among("no such kind of result", ("result",), name, KINDS))
    # They are public names, which are imported on first use.
    return cast("type[Result]", getattr(import_module("simdeploy"), name))


def _tidy(schema: Any) -> Any:
    """Leave out titles, which repeat the keys, and descriptions from docstrings, which are for readers of the code."""
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
    """Return the descriptions of fields from the docstring of a result."""
    section = (kind.__doc__ or "").partition("----------\n")[2]
    matches = re.findall(r"^    (\w[\w, ]*) : .*\n((?:        .*\n)+)", section, flags=re.MULTILINE)
    described = {name: " ".join(text.split()) for names, text in matches for name in names.split(", ")}
    return {name: text for name, text in described.items() if name in kind.hints()}
