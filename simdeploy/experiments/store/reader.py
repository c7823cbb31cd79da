"""Reading a store, even one that is being written or was never completed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simdeploy.errors import InputError, Problem, shorten, warn_user
from simdeploy.experiments.store.durable import StoreError, reading
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.journal import Entry, read_journal
from simdeploy.experiments.store.manifest import Manifest, count_parts, read_manifest
from simdeploy.experiments.store.part import find_damages, read_part, read_schema
from simdeploy.experiments.store.stored import Stored

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_store(path: str | os.PathLike[str], *, verify: bool = False) -> StoredTable:
    """Read the store in one folder; `simdeploy.experiments.read_store` also reads folders by kind of release.

    The sizes of all files are always compared with the journal, and everything that is read is verified by its checksums.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> from simdeploy.experiments.store import Store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Store.open(folder, question={"seed": 0}, make_cut=lambda: {"n_parts": 1}) as store:
    ...         store.write(0, pa.table({"replication": [0, 1], "makespan_s": [60.0, 61.5]}))
    ...         store.finish(1)
    ...     stored = read_store(folder)
    ...     print(stored, stored["makespan_s"].mean())
    <StoredTable: 2 rows, 2 columns, complete> 60.75
    """
    folder = Folder(Path(path))
    manifest = read_manifest(folder)
    if manifest is None:
        message = "empty folder" if folder.path.exists() else "no such folder"
        raise InputError(Problem(message, file=str(folder.path), allowed="a store's folder"))
    n_parts = count_parts(manifest)
    with reading(folder.path):
        journal = read_journal(folder.journal, n_parts)
        damages = find_damages(folder, journal.entries, verify=verify)
    entries = [journal.entries[number] for number in sorted(journal.entries.keys() - damages.keys())]
    for number, damage in sorted(damages.items()):
        warn_user(f"{folder.path}: part {number} is left out ({damage}); repeat the call that wrote it to repair it")
    n_parts = journal.n_parts if n_parts is None else n_parts
    is_complete = n_parts == len(entries) and all(entry.part < n_parts for entry in entries)
    if not is_complete:
        n_missing = "some" if n_parts is None else f"{n_parts - len(entries)} of {n_parts}"
        warn_user(f"{folder.path}: {n_missing} parts are missing; repeat the call that wrote the others to add them")
    return StoredTable(folder, manifest, entries, is_complete=is_complete)


class StoredTable(Stored):
    """The table in a store at the time of reading; made by :func:`read_store`.

    Rows are in the order of the parts' numbers, in `batches` with the index of `to_frame`. Nothing is cached: keep a
    column that you need twice.
    """

    def __init__(self, folder: Folder, manifest: Manifest, entries: Sequence[Entry], *, is_complete: bool) -> None:
        self._folder, self._path = folder, folder.path
        self._entries = entries
        self.manifest = manifest  # question, versions and hashes: see `docs/store.md`; read-only
        self.is_complete = is_complete
        self.columns = ()  # none if there is no part
        if entries:
            self._schema = read_schema(folder.part(entries[0].part), entries[0])
            self.columns = tuple(self._schema.names)

    def __len__(self) -> int:
        return sum(entry.rows for entry in self._entries)

    def _to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        import pandas as pd
        import pyarrow as pa

        if not self._entries:
            return pd.DataFrame()
        return self._convert(pa.concat_tables(self._read(entry, columns) for entry in self._entries).combine_chunks())

    def _batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        first = 0
        for entry in self._entries:
            frame = self._convert(self._read(entry, columns))
            frame.index += first
            first += entry.rows
            yield frame

    def _convert(self, table: pa.Table) -> pd.DataFrame:
        import pyarrow as pa

        try:
            frame: pd.DataFrame = table.to_pandas(use_threads=False)
        except (ValueError, TypeError, LookupError, AttributeError, pa.ArrowException) as error:
            # The digests match, so the file was not written by a store.
            reason = shorten(str(error))
            raise StoreError(f"{self._folder.path}: unknown column types ({reason})") from error
        return frame

    def _read(self, entry: Entry, columns: Sequence[str]) -> pa.Table:
        path = self._folder.part(entry.part)
        # A whole file is verified by one digest, single columns by one each.
        table = read_part(path, entry, None if tuple(columns) == self.columns else list(columns))
        if list(table.schema) != [self._schema.field(name) for name in columns]:
            raise StoreError(f"{path}: the columns of part {entry.part} differ from the previous part")
        return table
