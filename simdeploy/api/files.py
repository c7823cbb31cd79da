"""Reading text files safely."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from simdeploy.errors import InputError, Problem, shorten

MAX_BYTES = 10_000_000

# Without a limit, reading a pipe that nobody writes to would never end.
_PATIENCE_S = 30.0

# Python allocates this much memory for each read.
_MOST_BYTES_AT_ONCE = 16_000_000

OUTSIDE_SCENARIO = Problem("outside the scenario's folder", hint="use --allow-files DIR, or allow_files in Python")

# Opening a pipe or a terminal must not block. Windows lacks some of these flags.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def read_text(
    path: str | os.PathLike[str],  # a regular file, or a pipe such as a shell's ``<(...)``
    *,
    # The file must be in or below one of these folders, links resolved, and not a pipe. Default: anywhere.
    inside: Sequence[str | os.PathLike[str]] | None = None,
    most_bytes: int = MAX_BYTES,  # maximum size
) -> str:
    """Read a UTF-8 text file of limited size; drop a byte order mark.

    Raises
    ------
    InputError
        If the file can't be read, is outside the folders, is a folder or device, is too large, empty, binary or not UTF-8, or
        is a pipe that sends nothing for 30 s.
    """
    data = read_bytes(path, inside=inside, most_bytes=most_bytes)
    return decode(data, file=os.fspath(path), most_bytes=most_bytes)


def read_bytes(
    path: str | os.PathLike[str],
    *,
    inside: Sequence[str | os.PathLike[str]] | None = None,
    outside: Problem = OUTSIDE_SCENARIO,
    most_bytes: int = MAX_BYTES,
) -> bytes:
    """Read a file as `read_text` does, without decoding; `outside` is the problem of a file outside the folders.

    For a file that is too large, return one byte more than `most_bytes`.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(Problem("not the path of a file", found=shorten(path)))
    file = os.fspath(path)
    try:
        # The resolved path is opened without following a link that has replaced the file since the check.
        target, flags = (file, _FLAGS) if inside is None else (find_inside(file, inside, outside), _FLAGS | _NO_FOLLOW)
        descriptor = os.open(target, flags)
        try:
            return _read(descriptor, file, most_bytes, takes_pipes=inside is None)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, OSError) and error.errno == errno.ENXIO:
            raise InputError(_not_a_file("a socket or a device", file)) from None
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(Problem(f"can't be read: {reason}", file=file)) from None


def is_file(name: str) -> bool:
    """Whether there is a file or pipe of this name."""
    try:
        return Path(name).is_file() or Path(name).is_fifo()  # such as a shell's ``<(...)``
    except (OSError, ValueError):  # such as a name too long for a path
        return False


def find_inside(file: str, folders: Sequence[str | os.PathLike[str]], outside: Problem = OUTSIDE_SCENARIO) -> str:
    """Return a path with links resolved, or raise an `InputError` if it is in none of the folders."""
    real = Path(os.path.realpath(file))
    if not any(real.is_relative_to(os.path.realpath(folder or ".")) for folder in folders):
        raise InputError(replace(outside, file=file))
    return str(real)


def _read(descriptor: int, file: str, most_bytes: int, *, takes_pipes: bool) -> bytes:
    """Read an open file or pipe up to one byte more than `most_bytes`; refuse everything else."""
    status = os.fstat(descriptor)
    mode = status.st_mode
    chunk_bytes = min(most_bytes, _MOST_BYTES_AT_ONCE) + 1
    if stat.S_ISDIR(mode):
        raise InputError(Problem("can't be read: Is a directory", file=file))
    if stat.S_ISFIFO(mode) and takes_pipes:
        chunks = _chunks_of_pipe(descriptor, file, chunk_bytes)
    elif stat.S_ISREG(mode):
        # Files that the kernel generates, such as those of /proc, have size 0: no scenario may name them.
        is_readable = takes_pipes or status.st_size > 0
        chunks = iter(lambda: os.read(descriptor, chunk_bytes) if is_readable else b"", b"")
    else:
        raise InputError(_not_a_file("a pipe" if stat.S_ISFIFO(mode) else "a device", file))
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > most_bytes:
            break
    return bytes(data)


def _chunks_of_pipe(descriptor: int, file: str, chunk_bytes: int) -> Iterator[bytes]:
    while True:
        if not select.select([descriptor], [], [], _PATIENCE_S)[0]:
            raise InputError(Problem(f"nothing came from the pipe for {_PATIENCE_S:g} s", file=file))
        chunk = os.read(descriptor, chunk_bytes)
        if not chunk:
            return
        yield chunk


def _not_a_file(kind: str, file: str) -> Problem:
    return Problem(f"{kind}, not a file", file=file, allowed="a regular file")


def decode(data: bytes, *, file: str | None = None, most_bytes: int = MAX_BYTES) -> str:
    """Decode a file's bytes, with the checks of `read_text`."""
    if len(data) > most_bytes:
        raise InputError(Problem(f"larger than {most_bytes / 1e6:g} MB", file=file))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(Problem("UTF-16 text", file=file, line=1, allowed="UTF-8"))
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise InputError(Problem("a binary file (NUL byte)", file=file, line=line, allowed="UTF-8 text"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise InputError(Problem("not UTF-8", file=file, line=line, found=found, allowed="UTF-8 text")) from None
    if not text or text.isspace():
        raise InputError(Problem("empty", file=file))
    return text
