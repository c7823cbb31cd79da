"""Files of records, in folders too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from simdeploy.api.files import read_bytes
from simdeploy.errors import InputError, Problem
from simdeploy.records.content import MAX_BYTES, Content, parse
from simdeploy.records.parts import Dropped

OUTSIDE = Problem("a link out of the folder", hint="name the file itself")

# Of files in folders, all others are left out, such as pictures and notes.
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
_MOST_FILES = 100_000
_ROLLOUT = "rollout.json"


def read_contents(paths: Sequence[str | os.PathLike[str]], dropped: list[Dropped]) -> Iterator[Content]:
    """Read and parse files, and those in folders, each once; remember those in folders that can't be records.

    Raises
    ------
    InputError
        If one can't be read or parsed, or a folder has nothing.
    """
    seen: set[str] = set()
    for path in paths:
        place = os.fspath(path)
        if not Path(place).is_dir():
            if _is_new(place, seen):
                yield parse(read_bytes(place, most_bytes=MAX_BYTES), place)
            continue
        n_found = 0
        for content in _read_folder(place, seen, dropped):
            n_found += 1
            yield content
        if not n_found:
            allowed = f"files with the endings {', '.join(ENDINGS)}, or folders of simulated rollouts"
            raise InputError(Problem("no records in this folder", file=place, allowed=allowed))


def _read_folder(folder: str, seen: set[str], dropped: list[Dropped]) -> Iterator[Content]:
    n_files = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        n_files += len(files) + len(folders)
        if n_files > _MOST_FILES:
            raise InputError(Problem(f"more than {_MOST_FILES:,} files", file=folder))
        if _ROLLOUT in files:
            folders.clear()
            if _is_new(place, seen):
                yield Content(place, folder=place)
            continue
        for name in sorted(files):
            file = str(Path(place) / name)
            if name.startswith(".") or not _is_new(file, seen):
                continue
            if name.lower().endswith(ENDINGS):
                yield parse(read_bytes(file, inside=(folder,), outside=OUTSIDE, most_bytes=MAX_BYTES), file)
            else:
                dropped.append(Dropped(file, None, 0, f"not read: none of the endings {', '.join(ENDINGS)}"))


def _is_new(place: str, seen: set[str]) -> bool:
    """Say whether a file or folder wasn't read before, under this name or another one."""
    real = os.path.realpath(place)
    is_new = real not in seen
    seen.add(real)
    return is_new
