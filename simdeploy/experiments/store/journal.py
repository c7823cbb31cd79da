"""The append-only journal: one line per finished part, in order of completion."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simdeploy.experiments.store.durable import flush_folder, open_descriptor, read_file, write_all

_SHA256 = re.compile(r"[0-9a-f]{64}")

DIGITS = 16  # of the digest of a column
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGITS}}}")

# Far above those of any store: a journal can't have larger files or numbers.
_MOST_BYTES = 1 << 28
_MOST_BYTES_OF_A_LINE = 1 << 20
_MOST = 1 << 48


class Entry(NamedTuple):
    """The journal's entry for a finished part."""

    part: int  # number, from 0
    rows: int
    size: int  # of the file, bytes
    sha256: str  # of the file, hexadecimal
    footer: str | None = None  # SHA-256 of its file's footer; None in stores of format 1, as is `columns`
    columns: tuple[str, ...] | None = None  # first 16 digits of the SHA-256 of each stored column

    def to_line(self) -> bytes:
        """Return the entry as a line of the journal."""
        known = {name: value for name, value in self._asdict().items() if value is not None}
        return json.dumps(known).encode() + b"\n"


@dataclass
class Journal:
    """Contents of a journal."""

    entries: dict[int, Entry] = field(default_factory=dict)  # by part; later lines override earlier ones
    n_parts: int | None = None  # total number; None unless the store is finished
    unreadable: list[int] = field(default_factory=list)  # lines before the last, counted from 1
    is_torn: bool = False  # whether the last line is incomplete, because the run ended while writing it

    @property
    def is_complete(self) -> bool:
        """Whether it has exactly all parts."""
        return len(self.entries) == self.n_parts and all(number < self.n_parts for number in self.entries)

    def to_bytes(self) -> bytes:
        """Return the file's contents, without unreadable lines."""
        end = b"" if self.n_parts is None else _last_line(self.n_parts)
        return b"".join(entry.to_line() for entry in self.entries.values()) + end


def read_journal(path: Path, n_parts: int | None) -> Journal:
    """Read a journal's valid lines; a missing one is empty; raise `StoreError` if it is not a file, or too large.

    Lines about parts beyond `n_parts`, if the manifest states that, are ignored.
    """
    journal = Journal()
    try:
        *lines, tail = read_file(path, most=_MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return journal
    journal.is_torn = bool(tail)
    for number, line in enumerate(lines, start=1):
        content = _read_line(line)
        if isinstance(content, Entry) and (n_parts is None or content.part < n_parts):
            journal.entries[content.part] = content
        elif isinstance(content, int) and n_parts in (None, content):
            journal.n_parts = content
        else:
            journal.unreadable.append(number)
    return journal


def _read_line(line: bytes) -> Entry | int | None:
    """Return the entry on a line, or the total number of parts; None for anything else."""
    if len(line) > _MOST_BYTES_OF_A_LINE:
        return None
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match content:
        case {"part": part, "rows": rows, "size": size, "sha256": sha256} if all(
            _is_count(number) for number in (part, rows, size)
        ) and _is_digest(sha256, _SHA256):
            footer, columns = content.get("footer"), content.get("columns")
            if footer is None and columns is None:
                return Entry(part, rows, size, sha256)
            if (
                _is_digest(footer, _SHA256)
                and isinstance(columns, list)
                and all(_is_digest(c, _DIGEST) for c in columns)
            ):
                return Entry(part, rows, size, sha256, footer, tuple(columns))
        case {"complete": n_parts} if _is_count(n_parts):
            return int(n_parts)
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_digest(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _last_line(n_parts: int) -> bytes:
    return json.dumps({"complete": n_parts}).encode() + b"\n"


class JournalWriter:
    """A journal open for appending; each line is on the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._descriptor = open_descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        flush_folder(path.parent)

    def add(self, entry: Entry) -> None:
        """Add the line of a finished part."""
        self._add(entry.to_line())

    def add_end(self, n_parts: int) -> None:
        """Add the line that marks the store as complete."""
        self._add(_last_line(n_parts))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _add(self, line: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        try:
            write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except BaseException:
            # Remove what may be an incomplete line, so that later lines can be read.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise
