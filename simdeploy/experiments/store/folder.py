"""Paths in a store's folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from simdeploy.experiments.store.durable import StoreError, find_kind, name_beside

_PART = re.compile(r"part-([0-9]{6,})\.parquet")
_BESIDE_PART = re.compile(rf"\.{_PART.pattern}\.tmp")


@overload
def place_within(folder: None, name: str) -> None: ...


@overload
def place_within(folder: str | os.PathLike[str], name: str) -> Path: ...


def place_within(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    """Return the path of one of several stores in a folder; None without a folder.

    Raises
    ------
    StoreError
        If it is a link, which could lead out of the folder.
    """
    if folder is None:
        return None
    place = Path(folder) / name
    if place.is_symlink():
        raise StoreError(f"{place}: a link where a store has a folder; move it away")
    return place


@dataclass(frozen=True)
class Folder:
    """Paths of a store's files."""

    path: Path

    @property
    def manifest(self) -> Path:
        """The question and the versions; written once."""
        return self.path / "manifest.json"

    @property
    def journal(self) -> Path:
        """One line for each finished part."""
        return self.path / "journal.jsonl"

    @property
    def parts(self) -> Path:
        """The folder of the parts."""
        return self.path / "parts"

    @property
    def lock(self) -> Path:
        """Held by the process that writes."""
        return self.path / "simdeploy.lock"

    def part(self, number: int) -> Path:
        """Return a part's path."""
        return self.parts / f"part-{number:06d}.parquet"

    def check(self) -> None:
        """Raise `StoreError` if `parts` is not a folder."""
        kind = find_kind(self.parts)
        if kind is not None and kind != "a folder":
            raise StoreError(f"{self.parts}: {kind} where a store has a folder; move it away")

    def find_parts(self) -> list[int]:
        """Return the numbers of existing part files, ascending."""
        matches = (_PART.fullmatch(path.name) for path in self.parts.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def find_strays(self) -> list[Path]:
        """Return temporary files of an interrupted run."""
        beside = [name_beside(self.manifest), name_beside(self.journal)]
        return [path for path in beside if os.path.lexists(path)] + [
            path for path in self.parts.iterdir() if _BESIDE_PART.fullmatch(path.name)
        ]

    def is_new(self) -> bool:
        """Whether a new store may be created: the folder is missing, empty, or has only remnants of a run that didn't start."""
        if not self.path.exists():
            return True
        names = set(self.path.iterdir())
        return not names or (self.lock in names and names <= {self.lock, name_beside(self.manifest)})
