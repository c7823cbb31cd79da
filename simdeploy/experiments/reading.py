"""Stored tables, possibly of several folders (worlds by kind of release)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simdeploy.errors import InputError, Problem, listed, shorten, warn_user
from simdeploy.experiments import store
from simdeploy.experiments.by_kind import FOLDERS, RowsByKind, with_stop_chances, with_weight
from simdeploy.experiments.kinds import Kinds
from simdeploy.experiments.store import StoreError
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.manifest import KNOWN
from simdeploy.experiments.store.stored import Stored
from simdeploy.vocabulary import WEIGHT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class StoredKinds(Stored):
    """Rows of worlds by kind of release, by case, then by replication, from the folders of the kinds."""

    columns: tuple[str, ...]
    attrs: dict[str, Any]  # `strata` and `release`, as in the table of `replicate`
    manifest: Mapping[str, Any]  # of the first kind's folder: question, versions and hashes
    is_complete: bool  # whether no part is missing
    _path: Path  # of the folder
    _n_rows: int
    _rows: RowsByKind

    def __len__(self) -> int:
        return self._n_rows

    def _to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        frame = self._rows.to_frame(columns)
        frame.attrs |= self.attrs
        return frame

    def _batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        return self._rows.batches(columns)


def read_store(path: str | os.PathLike[str], *, verify: bool = False) -> store.StoredTable | StoredKinds:
    """Open a store; columns are read on demand.

    Parameters
    ----------
    path : path-like
        The folder of a sweep, possibly with a folder for each kind of release. If another process is writing to it, the parts
        finished so far are read.
    verify : bool, default False
        Whether to read every file and compare its checksum with the journal's.

    Returns
    -------
    StoredTable or StoredKinds
        Both have `columns`, `to_frame` and `batches`, and every analysis of a table accepts them.

    Raises
    ------
    InputError
        If there is no such folder, it is not a store, or it contains several sweeps, as those of `tune` and `compare_gates` do.
    StoreError
        If the store is damaged.

    Warns
    -----
    SimdeployWarning
        If parts are missing, or are damaged and left out.

    Examples
    --------
    >>> import tempfile
    >>> from simdeploy.experiments import read_store, replicate
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "release": {"good": {"probability": 0.9}, "bad": {"probability": 0.1, "defective": True}},
    ...     "policies": {"all-at-once": {"strategy": "immediate"}},
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = replicate(scenario, strata={"good": 3, "bad": 1}, store=folder)
    ...     stored = read_store(folder)
    ...     print(len(stored), stored.to_frame(["weight"])["weight"].round(2).tolist())
    4 [1.2, 1.2, 1.2, 0.4]
    """
    folder = Path(path)
    places = sorted(folder.glob("*kind-*")) if folder.is_dir() else []
    places = [store.place_within(folder, place.name) for place in places if re.fullmatch(FOLDERS, place.name)]
    if not places:
        return store.read_store(path, verify=verify)
    if {manifest.parent.name for manifest in folder.glob("*/manifest.json")} - {place.name for place in places}:
        raise _several(folder)
    # A run that is killed early leaves an empty folder.
    started = [place for place in places if not Folder(place).is_new()] or places[:1]
    tables = [store.read_store(place, verify=verify) for place in started]
    begun = [(place, table) for place, table in zip(started, tables, strict=True) if table.columns]
    if not begun:
        return tables[0]
    try:
        joined = _join(
            folder, begun, [(place, table) for place, table in zip(started, tables, strict=True) if not table.columns]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{folder}: not the folders of a sweep by kind of release ({shorten(repr(error))})") from error
    return replace(joined, is_complete=joined.is_complete and all(table.is_complete for table in tables))


def _join(
    folder: Path, begun: Sequence[tuple[Path, store.StoredTable]], empty: Sequence[tuple[Path, store.StoredTable]]
) -> StoredKinds:
    questions = [table.manifest["question"] for _, table in begun]
    if any(_without_worlds(question) != _without_worlds(questions[0]) for question in questions):
        raise _several(folder)
    kinds = Kinds.from_attrs({"release": questions[0]["release"]})
    assert kinds is not None  # noqa: S101 - the store records them
    parts, stopped = [], {}
    expected: dict[tuple[str, str], str] = {}
    # Folders without parts are not missing; reading them has warned already.
    present = {(_part_of(place), _kind_of(table.manifest["question"])) for place, table in empty}
    for (place, table), question in zip(begun, questions, strict=True):
        first = question["first_replication"]
        kind, part = _kind_of(question), _part_of(place)
        kinds.names.index(kind)  # raises if it isn't one of them
        parts.append((kind, range(first, first + question["replications"]), table))
        expected |= {(part, name): name for name in question.get("worlds", {})}
        present.add((part, kind))
        if KNOWN in question:
            stopped[kind] = np.array(question[KNOWN], float)
    parts.sort(key=lambda part: part[1].start)
    if any(before[1].stop > after[1].start for before, after in pairwise(parts)):
        raise StoreError(f"{folder}: two folders have the same rollouts; move one away")
    missing = dict.fromkeys(name for key, name in expected.items() if key not in present)
    if missing:
        warn_user(
            f"{folder}: folders with release {listed(missing)} are missing; repeat the call that wrote the others to add them"
        )
    n_planned = max(question.get("planned", 0) for question in questions)
    n_begun = sum(len(worlds) for _, worlds, _ in parts)
    is_pilot = not missing and not empty and n_begun < n_planned
    if is_pilot:
        warn_user(
            f"{folder}: has only the pilot's {n_begun:,} of {n_planned:,} worlds; repeat the call that wrote them to add the others"
        )
    if stopped:
        asked = questions[0]
        kinds = with_stop_chances(kinds, stopped, () if asked["vary"] else tuple(asked["policies"]))
    columns = begun[0][1].columns
    rows = RowsByKind(tuple(parts), kinds, is_tilted=WEIGHT in columns)
    is_complete = not (missing or is_pilot)
    attrs = {"strata": "kinds", "release": kinds.to_attrs()}
    n_rows = sum(len(table) for _, table in begun)
    return StoredKinds(with_weight(columns), attrs, begun[0][1].manifest, is_complete, folder, n_rows, rows)


def _part_of(place: Path) -> str:
    """Return the part of an analysis to which the folder of a kind belongs, such as ``pilot-``."""
    return place.name.rpartition("kind-")[0]


def _kind_of(question: Mapping[str, Any]) -> Any:
    (scenario,) = question["scenario"].values()
    return scenario["kind"]


def _several(folder: Path) -> InputError:
    message = "the folder contains several sweeps, which are not a single table"
    return InputError(Problem(message, file=str(folder), allowed="the folder of one sweep"))


def _without_worlds(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a question that all worlds share; folders that differ in it are not a single table."""
    of_all = {key: question.get(key) for key in ("policies", "vary", "design", "seed", "switches")}
    scenarios = {name: {**scenario, "kind": None} for name, scenario in question["scenario"].items()}
    return {**of_all, "scenario": scenarios}
