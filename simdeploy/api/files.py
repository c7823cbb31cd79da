"""From a path to text: what a file must be before anything looks into it."""

from __future__ import annotations

import os
from pathlib import Path

from simdeploy.errors import InputError, Problem

MAX_BYTES = 10_000_000


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a UTF-8 text file of at most 10 MB; a byte order mark at its start is dropped.

    Raises
    ------
    InputError
        If the file can't be read, is too large, empty, binary, or in another encoding.
    """
    file = os.fspath(path)
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(Problem(f"can't be read: {reason}", file=file)) from None
    return decode(data, file=file)


def decode(data: bytes, *, file: str | None = None) -> str:
    """Turn a file's bytes into text, under the conditions of `read_text`."""
    if len(data) > MAX_BYTES:
        raise InputError(Problem("larger than 10 MB", file=file))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(Problem("not UTF-8 but UTF-16", file=file, line=1, allowed="UTF-8"))
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise InputError(Problem("a binary file: it holds a NUL byte", file=file, line=line, allowed="UTF-8 text"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise InputError(Problem("not UTF-8", file=file, line=line, found=found, allowed="UTF-8 text")) from None
    if not text.strip():
        raise InputError(Problem("empty", file=file))
    return text
