"""Files of records, and those in folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from simdeploy.api.files import read_bytes
from simdeploy.errors import InputError, Problem
from simdeploy.records.content import MAX_BYTES, Content, parse
from simdeploy.records.parts import Dropped

OUTSIDE = Problem("a link out of the folder", hint="name the file itself")

# Other files in folders, such as pictures and notes, are skipped.
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
MAX_FILES = 100_000
_ROLLOUT = "rollout.json"


def read_contents(paths: Sequence[str | os.PathLike[str]], dropped: list[Dropped]) -> Iterator[Content]:
    """Read and parse files, and those in folders, each once; note those in folders that can't be records.

    Raises
    ------
    InputError
        If one can't be read or parsed, or a folder has no records.
    """
    seen: set[str] = set()
    for path in paths:
        place = os.fspath(path)
        if not Path(place).is_dir():
            if _is_new(place, seen):
                yield parse(read_bytes(place, most_bytes=MAX_BYTES), place)
            continue
        for file in _find_files(place, dropped):
            if _is_new(file, seen):
                is_folder = Path(file).is_dir() and not Path(file).is_symlink()
                yield Content(file, folder=file) if is_folder else _read(file, place)


def _read(file: str, folder: str) -> Content:
    return parse(read_bytes(file, inside=(folder,), outside=OUTSIDE, most_bytes=MAX_BYTES), file)


def _find_files(folder: str, dropped: list[Dropped]) -> list[str]:
    """Return the files of a folder that may be records, and the folders of simulated rollouts in it."""
    paths: list[str] = []
    n_files = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        n_files += len(files) + len(folders)
        if n_files > MAX_FILES:
            raise InputError(Problem(f"more than {MAX_FILES:,} files", file=folder))
        if _ROLLOUT in files:
            folders.clear()
            paths.append(place)
            continue
        for name in sorted(files):
            file = str(Path(place) / name)
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                paths.append(file)
            elif not name.startswith("."):
                dropped.append(Dropped(file, None, 0, f"not read: none of the endings {', '.join(ENDINGS)}"))
    if not paths:
        allowed = f"files with the endings {', '.join(ENDINGS)}, or folders of simulated rollouts"
        raise InputError(Problem("no records in this folder", file=folder, allowed=allowed))
    return paths


def _is_new(place: str, seen: set[str]) -> bool:
    """Return whether a file or folder is read for the first time, under this name or another one."""
    real_path = os.path.realpath(place)
    is_new = real_path not in seen
    seen.add(real_path)
    return is_new
