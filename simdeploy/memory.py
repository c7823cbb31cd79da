"""How much memory a process can still get, and a check that refuses tables that can't fit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from simdeploy.errors import InputError, Problem

USE_A_STORE = "save the rows to a folder: `sweep(..., store=DIR)` or `simdeploy sweep --store DIR`"

_PROC = Path("/proc")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_BYTES_PER_GB = 1e9
_SMALL = 1_000_000  # bytes: below this the check would take longer than many sweeps


def find_free_bytes() -> int | None:
    """Return how much memory this process can still get; None if the system doesn't tell.

    Notes
    -----
    The minimum of what is left of the machine's memory (all of it, except on Linux), of the limits of this process's control
    group and its parents, and of the limit on address space (``ulimit -v``). Swap doesn't count; file caches count as free.

    Examples
    --------
    >>> free = find_free_bytes()
    >>> free is None or free > 0
    True
    """
    return min((*_of_machine(), *_of_control_groups(), *_of_address_space()), default=None)


def find_free_address_space() -> int | None:
    """Return what is left of the limit on this process's address space; None without a limit."""
    return min(_of_address_space(), default=None)


def check_rows_fit(n_rows: int, bytes_per_row: int, *, hint: str) -> None:
    """Refuse a table that is larger than the free memory; the hint says what to do instead.

    Examples
    --------
    >>> check_rows_fit(10**15, 250, hint="use a store")
    Traceback (most recent call last):
    ...
    simdeploy.errors.InputError: 1,000,000,000,000,000 rows of 250 bytes don't fit in memory (found 250,000,000.0 GB); ...
    """
    size = n_rows * bytes_per_row
    free = None if size <= _SMALL else find_free_bytes()
    if free is None or size <= free:
        return
    message = f"{n_rows:,} rows of {bytes_per_row} bytes don't fit in memory"
    allowed = f"{free / _BYTES_PER_GB:,.1f} GB, the free memory"
    raise InputError(Problem(message, found=f"{size / _BYTES_PER_GB:,.1f} GB", allowed=allowed, hint=hint))


def _of_machine() -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
        fields = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text().splitlines())
        yield int(fields["MemAvailable"].split()[0]) * 1024
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no such function, or no such name
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_control_groups() -> Iterator[int]:
    """Yield what is left in each control group of this process, of version 1 or 2."""
    with contextlib.suppress(OSError):
        for line in (_PROC / "self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = _CONTROL_GROUPS / "memory" if controllers else _CONTROL_GROUPS
            names = ("memory.limit_in_bytes", "total_rss") if controllers else ("memory.max", "anon")
            group = root / path.lstrip("/")
            for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
                yield from _of_control_group(folder, *names)


def _of_control_group(folder: Path, limit: str, used: str) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, KeyError):  # no limit, as in the outermost group, or "max"
        most = int((folder / limit).read_text())
        fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        yield max(0, most - int(fields[used]))


def _of_address_space() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return
    used = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        used = int((_PROC / "self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    yield max(0, most - used)
