"""Atomic, durable files, and errors of writing them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from simdeploy.errors import SimdeployError

_DISK_FULL_ERRORS = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_BINARY = getattr(os, "O_BINARY", 0)  # otherwise Windows changes line ends

# Don't follow links out of the folder, or wait for the other end of a named pipe.
_GUARDED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | _BINARY

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class StoreError(SimdeployError):
    """A store can't be written or read: the disk is full, another process writes to it, a part is damaged."""


class StrangerError(StoreError):
    """Something that is not a file is in place of a store's file."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{path}: {kind} where a store has a file; move it away")
        self.kind = kind


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Convert errors of the operating system to a `StoreError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        is_full = error.errno in _DISK_FULL_ERRORS
        cause = f"the disk is full ({reason})" if is_full else f"can't be written to ({reason})"
        remedy = "free some space" if is_full else "fix that"
        raise StoreError(
            f"{folder}: {cause}; finished work is saved. To resume, {remedy} and repeat the same call."
        ) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert errors of reading to a `StoreError`."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror or error})") from error


def find_kind(path: Path) -> str | None:
    """Return what is at a path, such as "a folder" or "a link"; None for a file or nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(path.lstat().st_mode))
    except FileNotFoundError:
        return None


def open_descriptor(path: Path, flags: int) -> int:
    """Open a file and return its descriptor; child processes don't inherit it.

    Raises `StrangerError` for a link, a folder, a named pipe or a device in its place.
    """
    try:
        descriptor = os.open(path, flags | _GUARDED, 0o666)
    except OSError as error:
        kind = find_kind(path)
        if kind is None:
            raise
        raise StrangerError(path, kind) from error
    kind = _KINDS.get(stat.S_IFMT(os.fstat(descriptor).st_mode))
    if kind is not None:
        os.close(descriptor)
        raise StrangerError(path, kind)
    return descriptor


def open_file(path: Path) -> BinaryIO:
    """Open a file to be read; see `open_descriptor`."""
    return os.fdopen(open_descriptor(path, os.O_RDONLY), "rb")


def read_file(path: Path, *, most: int) -> bytes:
    """Read a file; raise `StoreError` if it is larger than `most` bytes, or not a file."""
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise StoreError(f"{path}: larger than {most:,} bytes")
    return content


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def name_beside(path: Path) -> Path:
    """Return the hidden temporary path of a file that is being written."""
    return path.with_name(f".{path.name}.tmp")


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically and flush it to the disk."""
    beside = name_beside(path)
    make_way(beside)
    try:
        descriptor = open_descriptor(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
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


def make_way(path: Path) -> str | None:
    """Remove a file or whatever is in its place; rename a folder instead, and return its new name."""
    if find_kind(path) != "a folder":
        path.unlink(missing_ok=True)
        return None
    name = f".{path.name.lstrip('.')}.set-aside"  # hidden, so that readers ignore it
    number = 1
    while os.path.lexists(path.with_name(name)):
        number += 1
        name = f".{path.name.lstrip('.')}.set-aside-{number}"
    path.rename(path.with_name(name))
    return name


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk; Windows does so automatically."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if missing."""
    missing = []
    while not folder.is_dir():
        if folder.is_symlink():
            raise StoreError(f"{folder}: a link to nothing; mend or remove it")
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        flush_folder(made.parent)
