"""Values of a JSON document by their paths; the wrong type is an `InputError`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from simdeploy.api.times import parse_time
from simdeploy.errors import UNPRINTABLE, InputError, Path, is_printable
from simdeploy.records.content import Content, Document
from simdeploy.units import NS_PER_S

# How Go writes an unset time: the first instant of year 1.
UNSET = "0001-01-01T00:00:00Z"
_LATEST_NS = (1 << 63) - 1
# Smaller numbers of nanoseconds (1973) must be in another unit.
_EARLIEST_NS = 10**17


class Fields:
    """A JSON document, or a part of it."""

    def __init__(
        self,
        content: Content,  # of the file
        document: Document,
        path: Path = (),  # of the part
        data: Any = None,  # the part; by default the whole document
    ) -> None:
        self.content = content
        self.document = document
        self.path = path
        self.data = document.data if not path else data

    @property
    def line(self) -> int | None:
        """The line in which it begins."""
        return self.content.line(self.document, self.path)

    def __getitem__(self, path: Sequence[str]) -> Fields:
        """Return the part at a path, with data None if there is none."""
        data = self.data
        for key in path:
            data = data.get(key) if isinstance(data, dict) else None
        return Fields(self.content, self.document, (*self.path, *path), data)

    def items(self, *path: str) -> Iterator[Fields]:
        """Yield the items of the list or object at a path, if there is one."""
        field = self[path]
        if field.data is None:
            return
        if not isinstance(field.data, list | dict):
            field.refuse("not a list", "a list or an object")
        pairs = field.data.items() if isinstance(field.data, dict) else enumerate(field.data)
        for key, item in pairs:
            yield Fields(self.content, self.document, (*field.path, key), item)

    def refuse(self, message: str, allowed: str | None = None) -> None:
        """Raise an `InputError` about this value."""
        raise InputError(self.content.problem(self.document, self.path, message, found=self.data, allowed=allowed))

    def text(self, *path: str) -> str | None:
        """Return text at a path, or None if it is missing or empty."""
        field = self[path]
        if field.data is None or field.data == "":
            return None
        if not isinstance(field.data, str):
            field.refuse("not text", "text")
        if not is_printable(field.data):
            field.refuse(UNPRINTABLE)
        text: str = field.data
        return text

    def whole(self, *path: str) -> int | None:
        """Return a whole number at a path, 0 or more, or None if it is missing."""
        field = self[path]
        if field.data is None:
            return None
        if isinstance(field.data, bool) or not isinstance(field.data, int) or not 0 <= field.data <= _LATEST_NS:
            field.refuse("not a whole number", "a whole number, 0 or more")
        number: int = field.data
        return number

    def flag(self, *path: str) -> bool | None:
        """Return a truth value at a path, or None if it is missing."""
        field = self[path]
        if field.data is not None and not isinstance(field.data, bool):
            field.refuse("neither true nor false", "true or false")
        flag: bool | None = field.data
        return flag

    def time(self, *path: str) -> int | None:
        """Return an RFC 3339 time at a path in nanoseconds since 1970, or None if it is missing or not set."""
        text = self.text(*path)
        if text is None or text == UNSET:
            return None
        try:
            time_ns = parse_time(text)
        except ValueError as error:
            self[path].refuse(str(error), "a time such as 2026-03-02T08:00:00Z")
        if not 0 < time_ns <= _LATEST_NS:
            self[path].refuse("out of range", "a time from 1970 to 2262")
        return time_ns

    def time_ns(self, *path: str) -> int | None:
        """Return a time in nanoseconds since 1970 at a path, or None if it is missing or 0."""
        time_ns = self.whole(*path) or None
        if time_ns is not None and time_ns < _EARLIEST_NS:
            self[path].refuse("not a time", "nanoseconds since 1970, not seconds or milliseconds")
        return time_ns


def instant(time_ns: int | None) -> np.datetime64:
    """Convert a time to numpy; NaT for None."""
    return np.datetime64("NaT", "ns") if time_ns is None else np.datetime64(time_ns, "ns")


def instants(times_ns: Iterable[int | None]) -> np.ndarray:
    """Convert times to an array; NaT for None."""
    return np.array([instant(time_ns) for time_ns in times_ns], "datetime64[ns]")


def seconds_since(start_ns: int | None, time_ns: int | None) -> float:
    """Return the seconds from a start to a time; NaN if either is unknown."""
    return math.nan if start_ns is None or time_ns is None else (time_ns - start_ns) / NS_PER_S
