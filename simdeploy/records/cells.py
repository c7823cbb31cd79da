"""Columns of a file's table as values of one type, and rows whose values can't be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simdeploy.errors import (
    MOST_PROBLEMS,
    NAME_FORM,
    UNPRINTABLE,
    InputError,
    Problem,
    is_printable,
    listed,
    nearest,
    plural,
    printable,
    shorten,
)
from simdeploy.records.content import EMPTY, Content, RawTable
from simdeploy.records.fields import UNSET

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


# Text that means a missing value, except for names.
_MISSING = ("", "NaN", "nan", "null", "NULL", "None", "NA", "N/A", "NaT", UNSET)
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
# Names that `output.write_table` made safe, because spreadsheets would compute them.
_HIDDEN_FORMULA = r"'[=+\-@\t\r]."
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# Larger numbers of seconds after the start (30 years) must be Unix times, or in milliseconds.
_MOST_SECONDS = 1e9
_YEARS = ("1700-01-01", "2200-01-01")
_OFFSET = r":[0-9.]+(?:Z|[+-][0-9:]+)\s*$"
_INSTANT = "a time such as 2026-03-02T08:00:00Z"

# The most rows with the same mistake that are listed one by one.
_MOST_ALIKE = 3

Array = np.ndarray


class Times(NamedTuple):
    """A column of times: in seconds after the start of the rollout, or instants."""

    seconds: Array | None  # NaN where missing
    instants: Array | None  # in UTC; NaT where missing


@dataclass(frozen=True)
class Refusal:
    """Rows that can't be used, for one reason."""

    rows: Array
    field: str  # name of the column in the file; empty if it concerns several
    message: str
    find: Callable[[int], object] | None = None  # returns the value found in a row
    allowed: str | None = None
    meant: tuple[str, ...] = ()

    def problem(self, row: int, file: str | None = None, line: int | None = None) -> Problem:
        """Return the problem of one of the rows."""
        found = None if self.find is None else self.find(row)
        hint = nearest(found, self.meant) if self.meant else None
        shown = None if found is None else shorten(found)
        path = (self.field,) if self.field else ()
        return Problem(self.message, path, file=file, line=line, found=shown, allowed=self.allowed, hint=hint)


class Rows:
    """Rows of a table, whose columns are requested by our names.

    Rows that can't be used are recorded (`refuse`), each with its first reason, and so are columns that are never requested.
    """

    def __init__(
        self,
        table: RawTable,
        file: str,
        names: Mapping[str, str] | None = None,  # from our names to those in the file, if they differ
    ) -> None:
        self.table = table
        self.file = file
        self.kept = np.ones(table.n_rows, dtype=bool)
        self.refusals: list[Refusal] = []
        self.asked: set[str] = set()
        # By column with timestamps as text: the numbers without and with an offset.
        self._offsets: dict[str, tuple[int, int]] = {}
        self._names = {name: column for name, column in (names or {}).items() if column in table.columns}

    @classmethod
    def of(cls, content: Content) -> Rows:
        """Return the rows of a file; no rows and columns if it isn't a table."""
        return cls(content.table or EMPTY, content.file, content.names)

    def __len__(self) -> int:
        return self.table.n_rows

    def find(self, name: str) -> str | None:
        """Return the name of a column in the file, or None if there is none; a mapped name takes precedence over ours."""
        column = self._names.get(name)
        if column is None and name in self.table.columns:
            column = name
        if column is not None:
            self.asked.add(column)
        return column

    def has(self, *names: str) -> bool:
        """Return whether one of some columns exists, by our names or mapped ones, possibly with the ending `_s` of times."""
        candidates = [candidate for name in names for candidate in (name, f"{name}_s")]
        return any(name in self.table.columns or name in self._names for name in candidates)

    def note_unread(self, known: Sequence[str]) -> str | None:
        """Return a note on columns that weren't read, with the names that were probably meant."""
        unread = [name for name in self.table.columns if name not in self.asked]
        if not unread:
            return None
        free = [name for name in known if self.find(name) is None]
        # Our own names are unread if a column of another name is mapped to them.
        unknown = [name for name in unread[:MOST_PROBLEMS] if name not in known]
        hints = [f"{shorten(name)}: {hint}" for name in unknown if (hint := nearest(name, free))]
        return printable("; ".join([f"columns not read: {listed(unread)}", *hints]))

    def note_offsets(self) -> str | None:
        """Return a note on timestamps without an offset, if others have one, because they may be from another clock."""
        without = {name: n for name, (n, _) in self._offsets.items() if n}
        if not without or not any(n_with for _, n_with in self._offsets.values()):
            return None
        columns = ", ".join(f"{shorten(name)} ({plural(n, 'row')})" for name, n in without.items())
        return printable(f"times without an offset are assumed to be UTC, although others have one: {columns}")

    def refuse(self, bad: Array, field: str, message: str, **more: Any) -> None:
        """Record rows that can't be used."""
        rows = np.flatnonzero(bad & self.kept)
        if len(rows):
            self.kept[rows] = False
            self.refusals.append(Refusal(rows, field, message, **more))

    def require(self, name: str, values: Any) -> None:
        """Refuse rows in which a column has no value."""
        import pandas as pd

        self.refuse(np.asarray(pd.isna(values)), self.find(name) or self.find(f"{name}_s") or name, "missing")

    def raise_if_refused(self) -> None:
        """Raise `InputError` if rows can't be used: the first ones for each reason, and how many more."""
        problems = []
        for refusal in self.refusals:
            rows = [int(row) for row in refusal.rows[:_MOST_ALIKE]]
            problems += [refusal.problem(row, self.file, self.table.find_line(row)) for row in rows]
            if n_more := len(refusal.rows) - len(rows):
                problems[-1] = replace(problems[-1], hint=f"the same in {n_more:,} more row{'s' if n_more > 1 else ''}")
        if problems:
            raise InputError(sorted(problems, key=lambda problem: problem.line or 0))

    # Columns

    def name(self, name: str) -> pd.Series | None:
        """Return a column of names, NA where missing; rows with unprintable ones are refused."""
        import pandas as pd

        names = self.text(name)
        column = self.find(name)
        if names is None or column is None:
            return None
        codes, different = pd.factorize(names)
        # The last entry, for missing names (code -1), is printable.
        bad = np.array([*(not is_printable(name) for name in different), False])[codes]
        self.refuse(bad, column, UNPRINTABLE, find=self._finder(column), allowed=NAME_FORM)
        return names

    def text(self, name: str) -> pd.Series | None:
        """Return a column as text, NA where missing; None if there is no such column."""
        column = self.find(name)
        if column is None:
            return None
        texts = self._text(column, missing=("",))
        if not self.table.hides_formulas:
            return texts
        is_hidden = texts.str.match(_HIDDEN_FORMULA).fillna(value=False).astype(bool)
        return texts.str.slice(1).where(is_hidden, texts) if is_hidden.any() else texts

    def word(self, name: str, allowed: Sequence[str]) -> pd.Series | None:
        """Return a column of words; rows with others are refused."""
        column = self.find(name)
        if column is None:
            return None
        words = self._text(column)
        bad = (words.notna() & ~words.isin(allowed)).to_numpy()
        self.refuse(
            bad, column, "unknown word", find=self._finder(column), allowed=", ".join(allowed), meant=tuple(allowed)
        )
        return words

    def number(self, name: str, *, most: float = np.inf) -> Array | None:
        """Return a column of numbers from 0 to `most`, NaN where missing; rows with others are refused."""
        column = self.find(name)
        if column is None:
            return None
        numbers, bad = self._numbers(column)
        bad |= ~(np.isnan(numbers) | ((numbers >= 0) & (numbers <= most) & (numbers < np.inf)))
        allowed = "a number, 0 or more" if most == np.inf else f"a number from 0 to {most:g}"
        self.refuse(
            bad,
            column,
            "not a number" if most == np.inf else "out of range",
            find=self._finder(column),
            allowed=allowed,
        )
        return numbers

    def whole(self, name: str, *, least: int = 0) -> pd.Series | None:
        """Return a column of whole numbers, NA where missing; rows with others, or lower ones, are refused."""
        import pandas as pd

        column = self.find(name)
        if column is None:
            return None
        numbers, bad = self._numbers(column)
        bad |= ~(np.isnan(numbers) | ((numbers >= least) & (numbers < 1 << 53) & (numbers == np.floor(numbers))))
        message = "out of range" if least else "not a whole number"
        self.refuse(bad, column, message, find=self._finder(column), allowed=f"a whole number, {least} or more")
        missing = np.isnan(numbers) | bad
        return pd.Series(pd.arrays.IntegerArray(np.where(missing, 0, numbers).astype(np.int64), missing))

    def flag(self, name: str) -> pd.Series | None:
        """Return a column of truth values, NA where missing; rows with others are refused."""
        import pandas as pd

        column = self.find(name)
        if column is None:
            return None
        words = self._text(column)
        yes = words.isin(_TRUE).to_numpy()
        missing = words.isna().to_numpy()
        bad = ~(yes | missing | words.isin(_FALSE).to_numpy())
        self.refuse(bad, column, "neither true nor false", find=self._finder(column), allowed="true, false, or nothing")
        return pd.Series(pd.arrays.BooleanArray(yes, missing | bad))

    def times(self, name: str) -> Times | None:
        """Return a column of times; rows with others are refused.

        `name` has no ending. A column `started_at_s` has seconds after the start of the rollout, `started_at` Unix times; both may
        have timestamps instead. Timestamps without an offset are in UTC.
        """
        # A mapped name takes precedence over ours, whatever its ending.
        ours = sorted((f"{name}_s", name), key=lambda each: each not in self._names)
        columns = ((column, each == name) for each in ours if (column := self.find(each)) is not None)
        column, is_unix = next(columns, (None, False))
        if column is None:
            return None
        import pyarrow.types as pa_types

        cells = self.table.columns[column]
        if pa_types.is_timestamp(cells.type) or pa_types.is_date(cells.type):
            return self._instants(column, _as_instants(cells))
        numbers, bad = self._numbers(column)
        n_filled = int(self._text(column).notna().sum()) if bad.any() else 0
        if n_filled and bad.sum() * 2 >= n_filled:
            return self._instants(column, self._parse_instants(column))
        if is_unix:
            return self._unix(column, numbers, bad)
        allowed = "seconds after the start of the rollout, or timestamps"
        self.refuse(bad | np.isinf(numbers), column, "not a time", find=self._finder(column), allowed=allowed)
        too_large = ~np.isnan(numbers) & (np.abs(numbers) >= _MOST_SECONDS)
        hint = f"{allowed}; map Unix times to {name}"
        self.refuse(too_large, column, "too long after the start", find=self._finder(column), allowed=hint)
        return Times(numbers, None)

    def instants(self, name: str) -> Array | None:
        """Return a column of times in UTC; None if there is no such column, or if it has seconds, whose rows are refused."""
        times = self.times(name)
        if times is not None and times.seconds is not None:
            column = self.find(f"{name}_s") or self.find(name) or name
            is_known = ~np.isnan(times.seconds)
            self.refuse(is_known, column, "not a timestamp", allowed="timestamps, or Unix times")
        return None if times is None else times.instants

    def _unix(self, column: str, numbers: Array, bad: Array) -> Times:
        low, high = (np.datetime64(year, "s").astype(np.int64) for year in _YEARS)
        with np.errstate(invalid="ignore"):
            bad |= ~np.isnan(numbers) & ~((numbers >= max(low, _MOST_SECONDS / 10)) & (numbers < high))
        allowed = "seconds since 1970, not milliseconds, or timestamps"
        self.refuse(bad, column, "not a time", find=self._finder(column), allowed=allowed)
        whole = np.where(bad | np.isnan(numbers), 0, numbers)
        instants = np.round(whole * 1e6).astype(np.int64).astype("datetime64[us]").astype("datetime64[ns]")
        return Times(None, np.where(bad | np.isnan(numbers), np.datetime64("NaT", "ns"), instants))

    def _instants(self, column: str, parsed: pd.Series) -> Times:
        import pandas as pd

        low, high = (pd.Timestamp(year, tz="UTC") for year in _YEARS)
        is_missing = self._text(column).isna().to_numpy()
        good = (parsed.notna() & (parsed >= low) & (parsed < high)).to_numpy()
        self.refuse(~good & ~is_missing, column, "not a time", find=self._finder(column), allowed=_INSTANT)
        return Times(None, parsed.where(good).dt.tz_localize(None).to_numpy("datetime64[ns]"))

    def _parse_instants(self, column: str) -> pd.Series:
        import pandas as pd

        texts = self._text(column)
        instants = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        are_with = texts.str.contains(_OFFSET, regex=True).fillna(value=False) & instants.notna()
        n_with = int(are_with.sum())
        self._offsets[column] = (int(instants.notna().sum()) - n_with, n_with)
        return instants

    def _numbers(self, column: str) -> tuple[Array, Array]:
        """Return a column as numbers, and which of its cells are not numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.types as pa_types

        cells = self.table.columns[column]
        if pa_types.is_floating(cells.type) or pa_types.is_integer(cells.type):
            return np.asarray(cells.to_pandas(), dtype=np.float64), np.zeros(len(self), dtype=bool)
        texts = pc.utf8_trim_whitespace(_as_text(cells))
        is_number = pc.match_substring_regex(texts, _NUMBER)
        good = pc.if_else(is_number, texts, pa.scalar(None, texts.type))
        # Exact, unlike pandas' conversion.
        numbers = np.asarray(
            pc.replace_substring_regex(good, r"^\+", "").cast(pa.float64()).to_pandas(), dtype=np.float64
        )
        return numbers, ~np.asarray(pc.fill_null(is_number, fill_value=True))

    def _text(self, column: str, missing: Sequence[str] = _MISSING) -> pd.Series:
        import pandas as pd

        return pd.Series(pd.array(_as_text(self.table.columns[column], missing), dtype="str"))

    def _finder(self, column: str) -> Callable[[int], object]:
        def find(row: int) -> object:
            cell = self.table.columns[column][row].as_py()
            return cell if isinstance(cell, str | int | float | bool | None) else str(cell)

        return find


def in_utc(instants: Array) -> pd.Series:
    """Return times as a column of `Records`."""
    import pandas as pd

    return pd.Series(instants).dt.tz_localize("UTC")


def _as_instants(column: pa.ChunkedArray) -> pd.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    # Convert days and seconds to microseconds, in which pandas can represent all of their years.
    unit = "ns" if getattr(column.type, "unit", "") == "ns" else "us"
    whole = pc.fill_null(column.cast(pa.timestamp(unit), safe=False).cast(pa.int64()), np.iinfo(np.int64).min)
    return in_utc(np.asarray(whole).view(f"datetime64[{unit}]"))


def _as_text(column: pa.ChunkedArray, missing: Sequence[str] = _MISSING) -> pa.Array:
    """Return a column as text; words for missing values are null, and objects are JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pa_types

    if pa_types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    simple = (pa_types.is_string, pa_types.is_large_string, pa_types.is_null, pa_types.is_boolean, pa_types.is_integer)
    if any(is_simple(column.type) for is_simple in simple):
        texts = column.cast(pa.large_string())
    else:
        cells = (
            None if cell is None else cell if isinstance(cell, str) else _write(cell) for cell in column.to_pylist()
        )
        texts = pa.chunked_array([pa.array(cells, pa.large_string())], pa.large_string())
    texts = pc.if_else(pc.is_in(texts, pa.array(missing, pa.large_string())), pa.scalar(None, pa.large_string()), texts)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _write(cell: object) -> str:
    try:
        return json.dumps(cell) if isinstance(cell, dict | list) else str(cell)
    except (TypeError, ValueError):
        return str(cell)
