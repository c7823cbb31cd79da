"""Writing a store: part by part, each of them finished for good when the call returns."""

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
from simdeploy.experiments.store.part import encode_part, find_damage, fit_table, make_entry, read_schema

if TYPE_CHECKING:
    import pyarrow as pa


class Store:
    """A folder of finished parts, open for adding to them; made by :meth:`open` and used in a ``with``.

    One call at a time writes to a folder, from one thread.

    Attributes
    ----------
    cut : JSON value
        How the work was cut into parts when the folder was begun.
    is_resumed : bool
        Whether an earlier call began the folder.
    notes : tuple of str
        What the user should be told, a sentence each: which parts are damaged and must be computed again, and the like.

    Notes
    -----
    `docs/store.md` says what lies in the folder, and what survives what.

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
    def open(cls, path: str | os.PathLike[str], *, question: Mapping[str, Any], make_cut: Callable[[], Any]) -> Self:
        """Begin a folder, or go on with one that was begun for the same question.

        Parameters
        ----------
        path : path-like
            A folder: a new one, an empty one, or one of a call that asked the same. Those above it are made, too.
        question : mapping
            What is asked, of values that JSON knows. Whatever changes a value or the order of the rows belongs into it.
        make_cut : callable
            Says how the work is cut into parts, in a value that JSON knows; it is called only for a new folder. If
            that is a mapping with the key `n_parts`, readers can tell how many parts are missing.

        Returns
        -------
        Store

        Raises
        ------
        InputError
            If the folder belongs to another question, to another version of simdeploy, or is no store. It is left as
            it is.
        StoreError
            If another call is writing to the folder, or it can't be written to.
        """
        folder, asked = Folder(Path(path)), as_json(question)
        with ExitStack() as resources:
            with explained(folder.path):
                _find_manifest(folder, asked)  # refused before anything is touched
                make_folder(folder.path)
                lock = FolderLock(folder.lock)
                resources.callback(lock.release)
                manifest = _find_manifest(folder, asked)  # another call may have begun it meanwhile
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
        self, folder: Folder, lock: FolderLock, manifest: Manifest, *, is_resumed: bool, notes: Sequence[str]
    ) -> None:
        make_folder(folder.parts)
        recovered, found = _recover(folder, count_parts(manifest))
        self.cut = manifest["cut"]
        self.is_resumed = is_resumed
        self.notes = (*notes, *found)
        self._folder = folder
        self._lock = lock
        self._entries = recovered.entries
        self._n_parts = recovered.n_parts
        first = min(self._entries, default=None)
        self._schema = None if first is None else read_schema(folder.part(first), self._entries[first])
        self._journal: JournalWriter | None = JournalWriter(folder.journal)

    @property
    def finished(self) -> AbstractSet[int]:
        """Numbers of the parts that are finished: their files are whole, and have the right checksum."""
        return self._entries.keys()

    def write(self, number: int, table: pa.Table) -> None:
        """Write a part; when the call returns, it is finished and survives whatever happens to the process.

        Parameters
        ----------
        number : int
            From 0. Parts may come in any order; readers get them by their numbers.
        table : pyarrow.Table
            With the columns and types of all other parts. What pandas makes of them is kept for readers (`Int64`,
            `str`); what was an index there is a column like others.

        Raises
        ------
        InputError
            If the columns are others than those of the parts before.
        StoreError
            If the disk is full, or the folder can't be written to for another reason. The store is closed then, and
            can be opened again to go on.
        ValueError
            If the part is finished already, or the number is negative, or the store is closed.
        """
        journal = self._open_journal()
        if number < 0 or number in self._entries:
            raise ValueError(f"part {number} is {'no part' if number < 0 else 'finished already'}")
        table = fit_table(table, self._schema)
        content = encode_part(table)
        entry = make_entry(int(number), table.num_rows, content)
        with self._closing():
            write_file(self._folder.part(number), content)
            journal.add(entry)
        self._entries[entry.part] = entry
        self._schema = table.schema

    def finish(self, n_parts: int) -> None:
        """Note that the store is complete.

        Parameters
        ----------
        n_parts : int
            How many parts there are: those from 0 to `n_parts - 1`, each of which must be finished.

        Raises
        ------
        StoreError
            As of :meth:`write`.
        ValueError
            If other parts than these are finished, or the store is closed.
        """
        journal = self._open_journal()
        wrong = sorted(self._entries.keys() ^ set(range(n_parts)))
        if wrong:
            raise ValueError(f"the finished parts are not 0 to {n_parts - 1}: see part {wrong[0]}")
        if self._n_parts != n_parts:
            with self._closing():
                journal.add_end(n_parts)
            self._n_parts = n_parts

    def close(self) -> None:
        """Let other calls write to the folder; a second time nothing happens."""
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
    def _closing(self) -> Iterator[None]:
        """Close the store when it can't be written to: of a disk that failed once nothing is sure any more."""
        try:
            with explained(self._folder.path):
                yield
        except StoreError:
            self.close()
            raise


def _find_manifest(folder: Folder, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest if the folder is to be gone on with, or None if it is to be begun."""
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
    """Bring a folder into the state that its finished parts are in; only the holder of its lock may.

    A part is finished if the journal has it and its file has the journal's size and checksum. All others are removed; a
    folder in the place of one is set aside.

    Parameters
    ----------
    n_parts : int or None
        How many parts there will be, if the manifest says so.

    Returns
    -------
    journal : Journal
        It names the parts that are finished, and the folder has no others.
    notes : list of str
        What was amiss, a sentence each.
    """
    for stray in folder.find_strays():
        make_way(stray)
    journal = read_journal(folder.journal, n_parts)
    notes = [f"dropped unreadable line {number} of the journal" for number in journal.unreadable]
    if journal.is_torn:
        notes.append("dropped the incomplete last line of the journal (the run ended while writing it)")
    damages = {
        number: damage
        for number, entry in journal.entries.items()
        if (damage := find_damage(folder.part(number), entry, verify=True)) is not None
    }
    notes += [f"recomputing part {number}: {damage}" for number, damage in damages.items()]
    for number in damages:
        del journal.entries[number]
    if not journal.is_complete:
        journal.n_parts = None
    if notes:
        # Before the files, so that the journal never names one that was removed.
        write_file(folder.journal, journal.to_bytes())
    for number in folder.find_parts():
        if number not in journal.entries:
            aside = make_way(folder.part(number))
            if number not in damages:
                notes.append(f"recomputing part {number}: not in the journal")
            if aside:
                notes.append(f"moved the folder in place of part {number} to {aside}")
    return journal, notes
