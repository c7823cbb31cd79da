"""The columns of a store: those of its first part, and no others ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem

if TYPE_CHECKING:
    import pyarrow as pa


def fit_table(table: pa.Table, schema: pa.Schema | None) -> pa.Table:
    """Return a table as it is stored: with no metadata but the types that its columns have in pandas.

    Parameters
    ----------
    table : pyarrow.Table
        What it knows of pandas counts; if that is nothing, whole numbers that may be missing become `Int64`.
    schema : pyarrow.Schema or None
        That of the parts before.

    Raises
    ------
    InputError
        If its columns are not those of the parts before.
    """
    fitted = table.replace_schema_metadata(_pandas_metadata(table.schema))
    if schema is None:
        return fitted
    before, now = describe_columns(schema), describe_columns(fitted.schema)
    problems = [
        Problem(
            "a part has other columns than those before it",
            path=(name,),
            found=now.get(name, "no such column"),
            allowed=before.get(name, "no such column"),
        )
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if not problems and list(before) != list(now):
        problems.append(
            Problem("a part has its columns in another order", found=", ".join(now), allowed=", ".join(before))
        )
    if problems:
        raise InputError(problems)
    return fitted.replace_schema_metadata(schema.metadata)


def describe_columns(schema: pa.Schema) -> dict[str, str]:
    """Say of each column what it holds, in Arrow and in pandas."""
    dtypes = schema.empty_table().to_pandas().dtypes
    return {
        field.name: f"{field.type}{'' if field.nullable else ' not null'}, in pandas {dtypes[field.name]}"
        for field in schema
    }


def _pandas_metadata(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return the types for pandas, without what else it notes: attributes and index may differ from part to part."""
    import pyarrow as pa

    empty = schema.empty_table().to_pandas()
    empty.attrs = {}
    if b"pandas" not in (schema.metadata or {}):
        whole = [field.name for field in schema if field.nullable and pa.types.is_integer(field.type)]
        empty = empty.astype(dict.fromkeys(whole, "Int64"))
    return {b"pandas": pa.Schema.from_pandas(empty, preserve_index=False).metadata[b"pandas"]}
