"""Files that are there whole or not at all, also after a power cut; and what to say when they can't be written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from simdeploy.errors import SimdeployError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write other line ends


class StoreError(SimdeployError):
    """A store can't be written or read: the disk is full, another process writes to it, a part is damaged."""


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the operating system says into what it means for a store.

    Parameters
    ----------
    folder : Path
        As the caller named it.

    Raises
    ------
    StoreError
        For any `OSError` of the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        is_full = error.errno in _FULL
        cause = f"the disk is full ({reason})" if is_full else f"can't be written to ({reason})"
        remedy = "once there is room" if is_full else "once that is mended"
        raise StoreError(
            f"{folder}: {cause}; what is finished is kept, and {remedy} the same call goes on from there"
        ) from error


def open_file(path: Path, flags: int) -> int:
    """Open a file, made if it isn't there, and return its descriptor; child processes don't inherit it."""
    return os.open(path, flags | os.O_CREAT | _BINARY, 0o666)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, however little of it the operating system takes at a time."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def name_beside(path: Path) -> Path:
    """Return where a file is written before it is moved to its place: hidden, so that nobody's reader takes it."""
    return path.with_name(f".{path.name}.tmp")


def write_file(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk; whatever happens meanwhile, there is the whole of it or what was before."""
    beside = name_beside(path)
    try:
        descriptor = open_file(beside, os.O_WRONLY | os.O_TRUNC)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush which files a folder has; Windows does so by itself, and can't be asked to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        flush_folder(made.parent)
