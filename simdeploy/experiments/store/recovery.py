"""What is left of a run that was ended: what counts as finished, and what must be done again."""

from __future__ import annotations

from dataclasses import dataclass

from simdeploy.experiments.store.durable import make_way, write_file
from simdeploy.experiments.store.folder import Folder
from simdeploy.experiments.store.journal import Journal, read_journal
from simdeploy.experiments.store.part import find_damage


@dataclass(frozen=True)
class Recovery:
    """What was found in a folder.

    Attributes
    ----------
    journal : Journal
        It names the parts that are finished, and the folder has no others.
    notes : tuple of str
        What was amiss, a sentence each.
    """

    journal: Journal
    notes: tuple[str, ...]


def recover(folder: Folder, n_parts: int | None) -> Recovery:
    """Bring a folder into the state that its finished parts are in; only the holder of its lock may.

    A part is finished if the journal has it and its file has the journal's size and checksum. All others are removed; a
    folder in the place of one is set aside.

    Parameters
    ----------
    n_parts : int or None
        How many parts there will be, if the manifest says so.
    """
    for stray in folder.find_strays():
        make_way(stray)
    journal = read_journal(folder.journal, n_parts)
    notes = [f"line {number} of the journal can't be read, and is dropped" for number in journal.unreadable]
    if journal.is_torn:
        notes.append("the last line of the journal is torn, for the run was ended while it was written, and is dropped")
    damages = {
        number: damage
        for number, entry in journal.entries.items()
        if (damage := find_damage(folder.part(number), entry, verify=True)) is not None
    }
    notes += [f"part {number} is computed again: {damage}" for number, damage in damages.items()]
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
                notes.append(f"part {number} is computed again: the journal doesn't have it")
            if aside:
                notes.append(f"the folder that was in the place of part {number} is called {aside} now")
    return Recovery(journal, tuple(notes))
