"""A part: rows of the table in a Parquet file, verified against its digests on reading."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from simdeploy.errors import Problem, printable, raise_if_any
from simdeploy.experiments.store.durable import StoreError, StrangerError, open_file
from simdeploy.experiments.store.journal import DIGITS, Entry

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from simdeploy.experiments.store.folder import Folder

_FEW_ROWS = 250  # whose files are as small without slow compression
_TAIL = 8  # bytes after the footer: its length, and "PAR1"


class _DamageError(Exception):
    """The file of a part is damaged."""


def encode_part(table: pa.Table) -> bytes:
    """Return a table as a compressed Parquet file with page checksums."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    compression = "snappy" if table.num_rows <= _FEW_ROWS else "zstd"
    # Dictionaries make columns of numbers larger.
    texts = [field.name for field in table.schema if not pa.types.is_primitive(field.type)]
    pq.write_table(table, sink, compression=compression, use_dictionary=texts, write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def make_entry(number: int, rows: int, content: bytes) -> Entry:
    """Return the journal's entry for a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(pa.BufferReader(content))
    columns = [
        _digest(b"".join(content[first:stop] for first, stop in _chunks(metadata, column)))[:DIGITS]
        for column in range(metadata.num_columns)
    ]
    footer = _digest(content[_find_footer(content) :])
    return Entry(number, rows, len(content), _digest(content), footer, tuple(columns))


def find_damage(path: Path, entry: Entry, *, verify: bool) -> str | None:
    """Return how a part's file is damaged, or None; with `verify`, check its digest as well as its size."""
    try:
        with _as_damage(), open_file(path) as file:
            _check_size(file, entry)
            if verify:
                _read_whole(file, entry)
    except _DamageError as error:
        return str(error)
    return None


def find_damages(folder: Folder, entries: Mapping[int, Entry], *, verify: bool) -> dict[int, str]:
    """Return the damage of each damaged file, by number of the part."""
    damages = {number: find_damage(folder.part(number), entry, verify=verify) for number, entry in entries.items()}
    return {number: damage for number, damage in damages.items() if damage is not None}


def read_schema(path: Path, entry: Entry) -> pa.Schema:
    """Read the schema of a part; raise `StoreError` if its file is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _as_store_error(path, entry):
        return pq.read_schema(pa.BufferReader(_load(path, entry, columns=())))


def read_part(path: Path, entry: Entry, columns: Sequence[str] | None = None) -> pa.Table:
    """Read some columns of a part, or all; raise `StoreError` if its file is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _as_store_error(path, entry):
        content = _load(path, entry, columns)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            table = file.read(columns=columns, use_threads=entry.rows > _FEW_ROWS)
        # Reading ignores missing columns, but selecting doesn't.
        return table if columns is None else table.select(columns)


def _load(path: Path, entry: Entry, columns: Sequence[str] | None) -> bytes | bytearray:
    """Return the contents of a part needed for some columns; the rest is zeros."""
    with _as_damage(), open_file(path) as file:
        _check_size(file, entry)
        if columns is None or entry.footer is None or entry.columns is None:
            return _read_whole(file, entry)
        return _read_some(file, entry, columns)


def _read_whole(file: BinaryIO, entry: Entry) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = file.read(entry.size)
    _check(_digest(content) == entry.sha256, "wrong file checksum")
    rows = pq.read_metadata(pa.BufferReader(content)).num_rows
    _check(rows == entry.rows, f"{rows} rows instead of {entry.rows}")
    return content


def _read_some(file: BinaryIO, entry: Entry, columns: Sequence[str]) -> bytearray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = bytearray(entry.size)
    _fill(file, content, entry.size - _TAIL, entry.size)
    footer = _find_footer(content)
    _fill(file, content, footer, entry.size)
    _check(_digest(content[footer:]) == entry.footer, "wrong footer checksum")
    metadata = pq.read_metadata(pa.BufferReader(content))
    _check(metadata.num_rows == entry.rows, f"{metadata.num_rows} rows instead of {entry.rows}")
    for place, digest in enumerate(entry.columns or ()):
        name = metadata.schema.column(place).name
        if name in columns:
            chunks = list(_chunks(metadata, place))
            for first, stop in chunks:
                _fill(file, content, first, stop)
            stored = b"".join(content[first:stop] for first, stop in chunks)
            _check(_digest(stored)[:DIGITS] == digest, f"wrong checksum of column {name}")
    return content


def _fill(file: BinaryIO, content: bytearray, first: int, stop: int) -> None:
    file.seek(first)
    content[first:stop] = file.read(stop - first)


def _find_footer(content: bytes | bytearray) -> int:
    """Return the offset of the footer of a Parquet file."""
    length = int.from_bytes(content[-_TAIL:][:4], "little")
    _check(_TAIL < length + _TAIL <= len(content), "damaged footer")
    return len(content) - _TAIL - length


def _chunks(metadata: pq.FileMetaData, column: int) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges of a column, one per row group."""
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(column)
        first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        yield first, first + chunk.total_compressed_size


def _digest(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_size(file: BinaryIO, entry: Entry) -> None:
    size = os.fstat(file.fileno()).st_size
    _check(size == entry.size, f"{size} bytes instead of {entry.size}")


def _check(is_right: bool, reason: str) -> None:
    if not is_right:
        raise _DamageError(reason)


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    """Convert a missing file, or something else in its place, to damage."""
    try:
        yield
    except FileNotFoundError:
        raise _DamageError("missing file") from None
    except StrangerError as error:
        raise _DamageError(f"{error.kind} instead of a file") from None


@contextlib.contextmanager
def _as_store_error(path: Path, entry: Entry) -> Iterator[None]:
    """Convert damage, and a library's errors about an invalid file, to a `StoreError` that names the part."""
    import pyarrow as pa

    try:
        yield
    except _DamageError as error:
        reason = str(error)
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        reason = printable(" ".join(str(error).split()))
    else:
        return
    raise StoreError(f"{path}: part {entry.part} can't be read ({reason}); repeat the call that wrote it to repair it")


def fit_table(table: pa.Table, schema: pa.Schema | None) -> pa.Table:
    """Return a table as stored, with no metadata except its pandas types.

    Without pandas metadata, nullable whole numbers become `Int64`. Raises `InputError` if its columns differ from
    `schema`, that of earlier parts.
    """
    fitted = table.replace_schema_metadata(_pandas_metadata(table.schema))
    if schema is None or fitted.schema.equals(schema, check_metadata=True):
        return fitted
    before, now = describe_columns(schema), describe_columns(fitted.schema)
    problems = [
        Problem(
            "the part's columns differ from earlier parts",
            path=(name,),
            found=now.get(name, "no such column"),
            allowed=before.get(name, "no such column"),
        )
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if not problems and list(before) != list(now):
        problems.append(
            Problem("the part's columns are in another order", found=", ".join(now), allowed=", ".join(before))
        )
    raise_if_any(problems)
    return fitted.replace_schema_metadata(schema.metadata)


def describe_columns(schema: pa.Schema) -> dict[str, str]:
    """Describe each column's type in Arrow and pandas."""
    dtypes = schema.empty_table().to_pandas().dtypes
    return {
        field.name: f"{field.type}{'' if field.nullable else ' not null'}, in pandas {dtypes[field.name]}"
        for field in schema
    }


def _pandas_metadata(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return the types for pandas without attributes and index, which may differ between parts."""
    return _metadata_of(schema.serialize().to_pybytes())


@lru_cache(maxsize=64)  # making frames takes longer than many sweeps
def _metadata_of(serialized: bytes) -> dict[bytes, bytes]:
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(serialized))
    empty = schema.empty_table().to_pandas()
    empty.attrs = {}
    if b"pandas" not in (schema.metadata or {}):
        whole = [field.name for field in schema if field.nullable and pa.types.is_integer(field.type)]
        empty = empty.astype(dict.fromkeys(whole, "Int64"))
    return {b"pandas": pa.Schema.from_pandas(empty, preserve_index=False).metadata[b"pandas"]}
