"""Exclusive write access to a folder, released when the process ends."""

from __future__ import annotations

import errno
import functools
import os
import platform
import sys
import weakref
from pathlib import Path

from simdeploy.experiments.store.durable import StoreError, open_descriptor, write_all

_LOCKED_ERRORS = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_BEHIND = 1 << 30  # the byte to lock on Windows, where locked bytes can't be read


class FolderLock:
    """A lock that the operating system releases when the process ends; a leftover file locks nothing.

    The locked file names the holder and is not removed. `is_known` is False if the file system has no locks; nothing is
    locked then. Raises `StoreError` if another call, in any process, has the lock.
    """

    def __init__(self, path: Path) -> None:
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT)
        try:
            self.is_known = _lock(descriptor)
            os.ftruncate(descriptor, 0)
            write_all(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
        except _HeldError:
            holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "an unknown process"
            os.close(descriptor)
            raise StoreError(
                f"{path.parent}: another call is writing to this folder ({holder}); wait for it, or use another folder"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor: int | None = descriptor
        _locks.add(self)
        _register_fork()

    def release(self) -> None:
        """Release the lock; further calls do nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _HeldError(Exception):
    """Another process has the lock."""


def _lock(descriptor: int) -> bool:
    """Lock a file, without waiting; return whether the file system supports locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _BEHIND, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _LOCKED_ERRORS:
            raise _HeldError from error
        if error.errno in _UNKNOWN:
            return False
        raise
    return True


_locks: weakref.WeakSet[FolderLock] = weakref.WeakSet()


@functools.cache
def _register_fork() -> None:
    """Make a forked child release the lock, because it may outlive a killed parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_release_after_fork)


def _release_after_fork() -> None:
    for lock in list(_locks):
        lock.release()
