"""Batches of replications of the same cases, joined into one table, in memory or in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeploy.errors import InputError, Problem
from simdeploy.experiments import reading
from simdeploy.experiments.by_kind import FOLDERS, name_engines
from simdeploy.experiments.rows import Rows, RowsInMemory, sort_rows
from simdeploy.experiments.store import place_within, read_store

if TYPE_CHECKING:
    import pandas as pd

    from simdeploy.experiments.result import SweepResult

# Names of the folders of batches, or of batches and kinds of release if these are simulated separately.
BATCHES = r"batch-\d{2,}(-kind-\d{2,})?"


@dataclass(frozen=True)
class JoinedRows:
    """Rows of several tables with the same columns and cases, but different replications."""

    parts: tuple[Rows, ...]
    columns: tuple[str, ...]
    is_complete: bool = True  # whether no part of a batch is missing
    manifest: Mapping[str, Any] = field(default_factory=dict)  # question and versions of a folder's batches

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.batches(["replication"]))

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return some columns of all rows, by case, then by replication; all columns by default."""
        return sort_rows(self, self.columns if columns is None else columns)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield some columns in parts."""
        for part in self.parts:
            yield from part.batches(list(self.columns if columns is None else columns))


def join_batches(results: Sequence[SweepResult], *, store: Path | None) -> SweepResult:
    """Join results of a sweep over consecutive replications into one result."""
    all_rows = [result._rows for result in results]  # noqa: SLF001 - of this package
    in_memory = [rows for rows in all_rows if isinstance(rows, RowsInMemory)]
    joined: Rows
    if len(in_memory) == len(all_rows):
        joined = RowsInMemory(in_memory[0].cases, [pair for rows in in_memory for pair in rows.blocks])
    else:
        joined = JoinedRows(tuple(all_rows), results[0].columns)
    n = sum(result.replications for result in results)
    attrs = {**results[0].attrs, "engine": name_engines(results)}
    return replace(results[0], replications=n, store=store, attrs=attrs, _rows=joined)


def batch_name(number: int) -> str:
    """Return a batch's folder name, in the store of a sweep to a precision."""
    return f"batch-{number:02d}"


def read_batches(path: str | os.PathLike[str]) -> JoinedRows | reading.StoredKinds:
    """Read the store of a sweep to a precision as one table.

    Parameters
    ----------
    path : path-like
        The folder that was given as `store`. Each folder in it is a store (`read_store`) with further replications of the
        same cases, possibly of only one kind of release.

    Returns
    -------
    JoinedRows or StoredKinds
        With `columns`, `to_frame` and `batches`; analyses accept it like a `StoredTable`.

    Raises
    ------
    InputError
        If the folder has no batch.

    Warns
    -----
    SimdeployWarning
        If the last batch is incomplete, or damaged parts are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from simdeploy.experiments.sweep import sweep
    >>> from simdeploy.scenario import Scenario
    >>> scenario = Scenario.from_dict({
    ...     "name": "two-nodes",
    ...     "fleet": {"nodes": 2, "update_duration": "1m"},
    ...     "policies": {"waves": {"strategy": "rolling", "health_check": {"deadline": "5m"}}},
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, replications in enumerate((range(2), range(2, 5))):
    ...         place = Path(folder) / batch_name(number)
    ...         _ = sweep(scenario, "waves", vary={"max_parallel": [1, 2]}, replications=replications, store=place)
    ...     table = read_batches(folder).to_frame(["case", "replication"])
    >>> table.value_counts("case").tolist()
    [5, 5]
    """
    folder = Path(path)
    places = sorted(place for place in folder.glob("batch-*") if re.fullmatch(BATCHES, place.name))
    if any(re.fullmatch(FOLDERS, place.name) for place in places):
        of_kinds = reading.read_store(folder)
        if isinstance(of_kinds, reading.StoredKinds):
            return of_kinds
        places = []  # nothing finished yet
    stored = [read_store(place_within(folder, place.name)) for place in places]
    begun = tuple(table for table in stored if table.columns)
    if not begun:
        raise InputError(Problem("the folder has no batch", file=str(folder)))
    questions = [table.manifest["question"] for table in begun]
    question = {**questions[0], "replications": sum(question.get("replications", 0) for question in questions)}
    manifest = {"question": question, "versions": begun[0].manifest["versions"]}
    return JoinedRows(begun, begun[0].columns, all(table.is_complete for table in stored), manifest)
