"""The content of a file of records before interpretation: a table, or documents."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from simdeploy.api.files import decode
from simdeploy.api.json_text import lines_of, parse_json
from simdeploy.errors import InputError, Path, Problem, printable, shorten

if TYPE_CHECKING:
    import pyarrow as pa

# A million rows take about a hundred megabytes.
MAX_BYTES = 1_000_000_000
MAX_ROWS = 20_000_000
MAX_COLUMNS = 1_000
# Limit for files that are parsed as a whole: JSON other than one line per row.
MAX_VALUES = 5_000_000
# Limit for lines of nested objects, which take about ten times as much memory as Python objects.
MAX_NESTED_BYTES = 100_000_000

_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip, as spreadsheets are", b"\x28\xb5\x2f\xfd": "zstd"}
_PARQUET = b"PAR1"
# Rows that are parsed together, the most that are in memory as Python objects.
_CHUNK = 20_000
# Keys that may hold an object in an otherwise flat row.
_NESTED = frozenset({"policy"})


@dataclass(frozen=True, eq=False)
class RawTable:
    """Rows and columns as they are in a file."""

    columns: Mapping[str, pa.ChunkedArray]  # unchanged text (CSV), or typed values (Parquet, JSON)
    n_rows: int
    find_line: Callable[[int], int | None]  # returns the line of a row; None in files without lines
    hides_formulas: bool = False  # whether text that a spreadsheet would compute may be preceded by an apostrophe (CSV)


EMPTY = RawTable({}, 0, lambda _: None)


class Document(NamedTuple):
    """A JSON document: a whole file, an item of a file that is a list, or one of its lines."""

    data: Any
    place: Path
    line: int | None  # if each document has one line


@dataclass(frozen=True, eq=False)
class Content:
    """A file's content: a table, documents, or both if documents are flat."""

    file: str
    table: RawTable | None = None
    documents: tuple[Document, ...] = ()
    folder: str | None = None  # the folder of a simulated rollout, instead of a file
    text: str = field(default="", repr=False)
    names: Mapping[str, str] = field(default_factory=dict)  # from our names of columns to those in the files

    @cached_property
    def _lines(self) -> Mapping[Path, int]:
        return lines_of(self.text)

    def line(self, document: Document, path: Path = ()) -> int | None:
        """Return the line of a value in a document, or that of the nearest enclosing value."""
        if document.line is not None or not self.text:
            return document.line
        place = (*document.place, *path)
        while place not in self._lines and place:
            place = place[:-1]
        return self._lines.get(place)

    def problem(
        self, document: Document, path: Path, message: str, *, found: object = None, allowed: str | None = None
    ) -> Problem:
        """Return a problem with a value in a document."""
        shown = None if found is None else shorten(found)
        return Problem(message, path, file=self.file, line=self.line(document, path), found=shown, allowed=allowed)


def parse(data: bytes, file: str) -> Content:
    """Parse a file's bytes, detecting the format: Parquet, JSON, JSON lines or CSV.

    Raises
    ------
    InputError
        If they have none of these formats, are damaged, or too large.
    """
    for sign, packing in _PACKED.items():
        if data.startswith(sign):
            raise InputError(Problem(f"compressed ({packing})", file=file, hint="unpack it first"))
    if data.startswith(_PARQUET):
        return Content(file, _read_parquet(data, file))
    text = decode(data, file=file, most_bytes=MAX_BYTES)
    start = text[:100].lstrip()[:1]
    if start in ("{", "["):
        del data
        return _read_json(text, file)
    del text
    return Content(file, _read_csv(data, file))


def _read_parquet(data: bytes, file: str) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if len(data) > MAX_BYTES:
            raise InputError(Problem(f"larger than {MAX_BYTES / 1e6:g} MB", file=file))
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as parquet:
            _check_size(parquet.metadata.num_rows, parquet.metadata.num_columns, file)
            table = parquet.read(use_threads=False).replace_schema_metadata(None)
        table.validate(full=True)
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(Problem(f"not a valid Parquet file: {printable(reason)}", file=file)) from None
    _check_names(table.column_names, file, None)
    columns = {name: _without_zone(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return RawTable(columns, table.num_rows, lambda _: None)


def _without_zone(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times in UTC without a time zone, so that no time zone database is needed."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return column
    return column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))


def _check_size(n_rows: int, n_columns: int, file: str) -> None:
    if n_rows > MAX_ROWS:
        raise InputError(Problem(f"more than {MAX_ROWS:,} rows", file=file, found=f"{n_rows:,}"))
    if n_columns > MAX_COLUMNS:
        raise InputError(Problem(f"more than {MAX_COLUMNS:,} columns", file=file, found=f"{n_columns:,}"))


def _check_names(names: Sequence[str], file: str, line: int | None) -> None:
    _check_size(0, len(names), file)
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InputError(Problem("two columns of the same name", file=file, line=line, found=shorten(twice)))


def _read_csv(data: bytes, file: str) -> RawTable:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    data = data.removeprefix(b"\xef\xbb\xbf")
    end = len(data)
    while end and data[end - 1] in b"\r\n":
        end -= 1
    head = data[: data.find(b"\n") + 1 or None].decode()
    try:
        names = next(csv.reader([head], strict=True), [])
    except csv.Error as error:
        raise InputError(Problem(f"not valid CSV: {error}", file=file, line=1)) from None
    if len(names) < 2:
        other = next((name for sign, name in ((";", "semicolons"), ("\t", "tabs")) if sign in head), None)
        hint = f"columns are separated by {other}; use commas" if other else None
        raise InputError(Problem("neither JSON, Parquet, nor CSV with columns", file=file, line=1, hint=hint))
    _check_names(names, file, 1)
    has_line_ends = b'"' in data
    reading = pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False)
    parsing = pa_csv.ParseOptions(newlines_in_values=has_line_ends, ignore_empty_lines=False)
    converting = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    if end <= len(head.encode()):
        return RawTable({name: pa.chunked_array([], pa.string()) for name in names}, 0, lambda _: None)
    try:
        table = pa_csv.read_csv(pa.BufferReader(pa.py_buffer(data).slice(0, end)), reading, parsing, converting)
    except pa.ArrowException as error:
        raise InputError(_csv_problem(data, len(names), file, str(error))) from None
    _check_size(table.num_rows, 0, file)

    columns = dict(zip(names, table.columns, strict=True))
    if not has_line_ends:
        return RawTable(columns, table.num_rows, lambda row: row + 2, hides_formulas=True)

    def find_line(row: int) -> int:
        return next(islice(_csv_lines(data), row + 1, None), row + 2)

    return RawTable(columns, table.num_rows, find_line, hides_formulas=True)


def _csv_lines(data: bytes) -> Iterator[int]:
    """Yield the line in which each row begins, first the header's; cells may contain line ends."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=""))
    line = 1
    for _ in reader:
        yield line
        line = reader.line_num + 1


def _csv_problem(data: bytes, n_columns: int, file: str, error: str) -> Problem:
    """Return a problem about the first row with another number of columns, otherwise the library's error."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) != n_columns:
                return Problem(
                    "another number of columns than the header",
                    file=file,
                    line=line,
                    found=str(len(row)),
                    allowed=str(n_columns),
                )
            line = reader.line_num + 1
    except csv.Error as wrong:
        return Problem(f"not valid CSV: {wrong}", file=file, line=line)
    return Problem(f"not valid CSV: {printable(' '.join(error.split()))}", file=file)


def _read_json(text: str, file: str) -> Content:
    text = text.removeprefix("\ufeff")
    if _has_a_document_per_line(text):
        return _read_json_lines(text, file)
    data = parse_json(text, file=file, most_values=MAX_VALUES)
    items = data if isinstance(data, list) else [data]
    places: list[Path] = [(number,) for number in range(len(items))] if isinstance(data, list) else [()]
    documents = tuple(Document(item, place, None) for item, place in zip(items, places, strict=True))
    content = Content(file, None, documents, text=text)
    if not items or not all(_is_flat(item) for item in items):
        return content
    table = _columns(iter([items]), file)
    return Content(file, RawTable(*table, lambda row: content.line(documents[row])), documents, text=text)


def _has_a_document_per_line(text: str) -> bool:
    lines = _filled_lines(text)
    (_, first), (_, second) = next(lines, (0, "")), next(lines, (0, ""))
    if not second:
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _filled_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that aren't blank, with their numbers, one by one to save memory."""
    start, number = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line and not line.isspace():
            yield number, line
        start, number = end + 1, number + 1


def _read_json_lines(text: str, file: str) -> Content:
    lines: list[int] = []

    def read_chunks() -> Iterator[list[dict[str, Any]]]:
        numbered = _filled_lines(text)
        while part := list(islice(numbered, _CHUNK)):
            lines.extend(number for number, _ in part)
            yield _parse_lines(part, file)

    chunks = read_chunks()
    first = next(chunks)
    if all(map(_is_flat, first)):
        columns, n_rows = _columns(chain([first], chunks), file)
        # A small file may consist of documents whose groups are all missing.
        documents = _documents(first, lines) if n_rows == len(first) else ()
        return Content(file, RawTable(columns, n_rows, lines.__getitem__), documents)
    if len(text) > MAX_NESTED_BYTES:
        raise InputError(Problem(f"larger than {MAX_NESTED_BYTES / 1e6:g} MB", file=file))
    return Content(file, None, _documents(list(chain(first, *chunks)), lines))


def _documents(items: Sequence[Any], lines: Sequence[int]) -> tuple[Document, ...]:
    return tuple(Document(data, (), line) for data, line in zip(items, lines, strict=True))


def _parse_lines(part: Sequence[tuple[int, str]], file: str) -> list[Any]:
    """Parse lines together, which is faster; if that fails, one by one, to report the first invalid line."""
    try:
        text = "[" + ",".join(line for _, line in part) + "]"
        rows: list[Any] = json.loads(text, parse_constant=_refuse)
        if len(rows) == len(part) and all(isinstance(row, dict) for row in rows):
            return rows if _has_each_key_once(rows, text) else json.loads(text, object_pairs_hook=_strict)
    except (ValueError, RecursionError):
        pass
    for number, line in part:
        try:
            item = parse_json(line, file=file)
        except InputError as error:
            raise InputError([_on_line(problem, number) for problem in error.problems]) from None
        if not isinstance(item, dict):
            raise InputError(
                Problem("not an object", file=file, line=number, found=shorten(item), allowed="a JSON object per line")
            )
    raise InputError(Problem("not JSON lines", file=file, line=part[0][0], allowed="a JSON object per line"))


def _has_each_key_once(rows: Sequence[Mapping[str, Any]], text: str) -> bool:
    """Return whether flat rows certainly have no duplicate keys, because there are as many keys as ``":`` in the text."""
    return not any(blank in text for blank in (" :", "\t:", "\r:")) and sum(map(len, rows)) == text.count('":')


def _on_line(problem: Problem, number: int) -> Problem:
    return Problem(problem.message, problem.path, problem.file, number, problem.column, problem.found, problem.allowed)


def _strict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("duplicate key")
    return keys


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _is_flat(item: object) -> bool:
    return isinstance(item, dict) and not any(
        isinstance(value, dict | list) for key, value in item.items() if key not in _NESTED
    )


def _columns(chunks: Iterator[list[dict[str, Any]]], file: str) -> tuple[dict[str, pa.ChunkedArray], int]:
    """Convert rows to columns, one chunk at a time."""
    import pyarrow as pa

    parts: dict[str, list[pa.Array]] = {}
    n_rows = 0
    for rows in chunks:
        names = dict.fromkeys(chain.from_iterable(rows))
        if len(parts.keys() | names.keys()) > MAX_COLUMNS:
            raise InputError(Problem(f"more than {MAX_COLUMNS:,} columns", file=file))
        for name in names:
            column = _array([row.get(name) for row in rows])
            parts.setdefault(name, [pa.nulls(n_rows)] if n_rows else []).append(column)
        n_rows += len(rows)
        for name in parts.keys() - names.keys():
            parts[name].append(pa.nulls(len(rows)))
        _check_size(n_rows, 0, file)
    return {name: _join(arrays) for name, arrays in parts.items()}, n_rows


def _array(values: list[Any]) -> pa.Array:
    """Return values as a typed array; mixed ones, and objects, as text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 or kinds == {int, float}:
        kind = kinds.pop() if len(kinds) == 1 else float
        if kind in (bool, str, float):
            try:
                return pa.array(values, {bool: pa.bool_(), str: pa.string(), float: pa.float64()}[kind])
            except (pa.ArrowException, UnicodeError, OverflowError):
                pass
        if kind is int and all(value is None or abs(value) < 1 << 63 for value in values):
            return pa.array(values, pa.int64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _join(arrays: list[pa.Array]) -> pa.ChunkedArray:
    """Concatenate the chunks of a column; different types become floats if all are numbers, otherwise text."""
    import pyarrow as pa

    types = {array.type for array in arrays if not pa.types.is_null(array.type)}
    target = types.pop() if len(types) == 1 else pa.float64() if types == {pa.int64(), pa.float64()} else pa.string()
    return pa.chunked_array([array.cast(target) for array in arrays], target)
