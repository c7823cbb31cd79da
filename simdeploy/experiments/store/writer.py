"""Writing a store part by part; a part is durable when the call returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set as AbstractSet
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from simdeploy.errors import InputError, Problem
from simdeploy.experiments.store.durable import StoreError, explained, make_folder, make_way, write_file
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.journal import Journal, JournalWriter, read_journal
from simdeploy.experiments.store.lock import FolderLock
from simdeploy.experiments.store.manifest import (
    Manifest,
    as_json,
    check_belongs,
    check_writable,
    compare_versions,
    count_parts,
    encode_manifest,
    make_manifest,
    read_manifest,
)
from simdeploy.experiments.store.part import encode_part, find_damages, fit_table, make_entry, read_schema

if TYPE_CHECKING:
    import pyarrow as pa


class Store:
    """A folder of finished parts, open for adding more; made by :meth:`open` and used in a ``with``.

    Only one call at a time writes to a folder, from one thread.

    Notes
    -----
    `docs/store.md` describes the folder and its guarantees.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Store.open(folder, question={"seed": 0}, make_cut=lambda: {"n_parts": 2}) as store:
    ...         store.write(0, pa.table({"makespan_s": [60.0, 61.5]}))
    ...     with Store.open(folder, question={"seed": 0}, make_cut=lambda: {"n_parts": 3}) as store:
    ...         print(store.is_resumed, store.cut, sorted(store.finished))
    True {'n_parts': 2} [0]
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],  # a new or empty folder, or one of the same question; parents are created
        *,
        question: Mapping[str, Any],  # the question, as JSON values: everything that affects the rows or their order
        # Returns the division into parts as a JSON value; called only for a new folder. With a key `n_parts`, readers can
        # tell how many parts are missing.
        make_cut: Callable[[], Any],
    ) -> Self:
        """Create a folder, or resume one of the same question.

        Raises
        ------
        InputError
            If the folder belongs to another question or version of simdeploy, or is not a store. It is not changed.
        StoreError
            If another call is writing to the folder, or it is not writable.
        """
        folder, asked = Folder(Path(path)), as_json(question)
        with ExitStack() as resources:
            with explained(folder.path):
                _find_manifest(folder, asked)  # refuse before changing anything
                make_folder(folder.path)
                lock = FolderLock(folder.lock)
                resources.callback(lock.release)
                manifest = _find_manifest(folder, asked)  # another call may have created it meanwhile
            is_resumed = manifest is not None
            if manifest is None:
                manifest = make_manifest(asked, as_json(make_cut()))
                with explained(folder.path):
                    write_file(folder.manifest, encode_manifest(manifest))
            notes = list(compare_versions(manifest))
            if not lock.is_known:
                notes.append("the file system has no locks: make sure that no other call writes to this folder")
            with explained(folder.path):
                store = cls(folder, lock, manifest, is_resumed=is_resumed, notes=notes)
            resources.pop_all()  # the lock is the store's now
        return store

    def __init__(
        self,
        folder: Folder,
        lock: FolderLock,
        manifest: Manifest,
        *,
        is_resumed: bool,  # whether an earlier call created the folder
        notes: Sequence[str],  # notes for the user, such as damaged parts to recompute
    ) -> None:
        make_folder(folder.parts)
        recovered, recovery_notes = _recover(folder, count_parts(manifest))
        self.cut = manifest["cut"]  # division of the work into parts, fixed when the folder was created
        self.is_resumed = is_resumed
        self.notes = (*notes, *recovery_notes)
        self._folder = folder
        self._lock = lock
        self._entries = recovered.entries
        self._n_parts = recovered.n_parts
        first = min(self._entries, default=None)
        self._schema = None if first is None else read_schema(folder.part(first), self._entries[first])
        self._journal: JournalWriter | None = JournalWriter(folder.journal)

    @property
    def finished(self) -> AbstractSet[int]:
        """Numbers of finished parts, with verified files."""
        return self._entries.keys()

    def write(
        self,
        number: int,  # from 0; parts may be written in any order, and are read in order of their numbers
        # With the columns and types of the other parts. Pandas types (`Int64`, `str`) are kept for readers; a pandas
        # index becomes a column.
        table: pa.Table,
    ) -> None:
        """Write a part durably.

        Raises
        ------
        InputError
            If the columns differ from earlier parts.
        StoreError
            If the disk is full, or the folder is not writable. The store is closed then; open it again to resume.
        ValueError
            If the part is already finished, the number is negative, or the store is closed.
        """
        journal = self._open_journal()
        if number < 0 or number in self._entries:
            raise ValueError(f"part {number} is {'no part' if number < 0 else 'finished already'}")
        table = fit_table(table, self._schema)
        content = encode_part(table)
        entry = make_entry(int(number), table.num_rows, content)
        with self._close_on_error():
            write_file(self._folder.part(number), content)
            journal.add(entry)
        self._entries[entry.part] = entry
        self._schema = table.schema

    def finish(self, n_parts: int) -> None:
        """Mark the store as complete, with parts 0 to `n_parts - 1`.

        Raises
        ------
        StoreError
            As for :meth:`write`.
        ValueError
            If the finished parts differ from these, or the store is closed.
        """
        journal = self._open_journal()
        wrong = sorted(self._entries.keys() ^ set(range(n_parts)))
        if wrong:
            raise ValueError(f"the finished parts are not 0 to {n_parts - 1}: see part {wrong[0]}")
        if self._n_parts != n_parts:
            with self._close_on_error():
                journal.add_end(n_parts)
            self._n_parts = n_parts

    def close(self) -> None:
        """Close the store and release the folder; further calls do nothing."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_journal(self) -> JournalWriter:
        if self._journal is None:
            raise ValueError("the store is closed")
        return self._journal

    @contextmanager
    def _close_on_error(self) -> Iterator[None]:
        """Close the store if writing fails, because a disk that failed once is unreliable."""
        try:
            with explained(self._folder.path):
                yield
        except StoreError:
            self.close()
            raise


def _find_manifest(folder: Folder, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of a folder to resume, or None for a new one."""
    try:
        manifest = read_manifest(folder)
        if manifest is not None:
            check_writable(folder, manifest)
            check_belongs(folder, manifest, question)
    except InputError as error:
        way_out = Problem("nothing was changed; use another folder", file=str(folder.path))
        raise InputError([*error.problems, way_out]) from error
    return manifest


def _recover(folder: Folder, n_parts: int | None) -> tuple[Journal, list[str]]:
    """Reduce a folder to its finished parts; only the holder of its lock may do this.

    A part is finished if it is in the journal and its file has the size and checksum stated there. All others are removed; a
    folder in place of a part is set aside. Returns a journal of the finished parts, and notes on what was wrong.
    """
    for stray in folder.find_strays():
        make_way(stray)
    journal = read_journal(folder.journal, n_parts)
    notes = [f"dropped unreadable line {number} of the journal" for number in journal.unreadable]
    if journal.is_torn:
        notes.append("dropped the incomplete last line of the journal (the run ended while writing it)")
    damages = find_damages(folder, journal.entries, verify=True)
    notes += [f"recomputing part {number}: {damage}" for number, damage in damages.items()]
    for number in damages:
        del journal.entries[number]
    if not journal.is_complete:
        journal.n_parts = None
    if notes:
        # Write the journal before removing files, so that it never lists a missing one.
        write_file(folder.journal, journal.to_bytes())
    for number in folder.find_parts():
        if number not in journal.entries:
            aside = make_way(folder.part(number))
            if n_parts is not None and number >= n_parts:
                if not aside:
                    notes.append(f"removed part {number}: the last one is part {n_parts - 1}")
            elif number not in damages:
                notes.append(f"recomputing part {number}: not in the journal")
            if aside:
                notes.append(f"moved the folder in place of part {number} to {aside}")
    return journal, notes
