"""The journal: one line for each finished part, in the order in which they were finished; only ever added to."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simdeploy.experiments.store.durable import flush_folder, open_file, write_all

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Entry(NamedTuple):
    """What the journal says of a finished part.

    Attributes
    ----------
    part : int
        Its number, from 0.
    rows : int
    size : int
        Of its file, in bytes.
    sha256 : str
        Of its file, in hexadecimal.
    """

    part: int
    rows: int
    size: int
    sha256: str

    def to_line(self) -> bytes:
        """Return the entry as a line of the journal."""
        return json.dumps(self._asdict()).encode() + b"\n"


@dataclass
class Journal:
    """What a journal says.

    Attributes
    ----------
    entries : dict of int to Entry
        By the number of the part; of two lines about one part the later one counts.
    n_parts : int or None
        How many parts there are in all; None unless the store was finished.
    unreadable : list of int
        Lines in the middle that say nothing, counted from 1.
    is_torn : bool
        Whether the last line has no end: it was being written when the run was ended.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    n_parts: int | None = None
    unreadable: list[int] = field(default_factory=list)
    is_torn: bool = False

    def to_bytes(self) -> bytes:
        """Return the journal as its file has it, without what could not be read."""
        end = b"" if self.n_parts is None else _last_line(self.n_parts)
        return b"".join(entry.to_line() for entry in self.entries.values()) + end


def read_journal(path: Path) -> Journal:
    """Read a journal as far as it can be read; one that isn't there says nothing."""
    journal = Journal()
    try:
        *lines, tail = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return journal
    journal.is_torn = bool(tail)
    for number, line in enumerate(lines, start=1):
        said = _read_line(line)
        if isinstance(said, Entry):
            journal.entries[said.part] = said
        elif said is not None:
            journal.n_parts = said
        else:
            journal.unreadable.append(number)
    return journal


def _read_line(line: bytes) -> Entry | int | None:
    """Return the entry on a line, or the number of all parts, or None when it is neither."""
    try:
        said: Any = json.loads(line)
    except ValueError:
        return None
    match said:
        case {"part": int(part), "rows": int(rows), "size": int(size), "sha256": str(sha256)} if _SHA256.fullmatch(
            sha256
        ):
            return Entry(part, rows, size, sha256)
        case {"complete": int(n_parts)}:
            return n_parts
    return None


def _last_line(n_parts: int) -> bytes:
    return json.dumps({"complete": n_parts}).encode() + b"\n"


class JournalWriter:
    """The journal, open for adding lines; each is on the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._descriptor = open_file(path, os.O_WRONLY | os.O_APPEND)
        flush_folder(path.parent)

    def add(self, entry: Entry) -> None:
        """Add the line of a part that is finished."""
        self._add(entry.to_line())

    def add_end(self, n_parts: int) -> None:
        """Add the line that says that all parts are there."""
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
            # What isn't surely on the disk must not be taken for it, nor stand in the way of later lines.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise
