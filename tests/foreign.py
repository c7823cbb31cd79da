"""What tests of importers share: notes by field, fields without a note, and kinds by which a text is recognised."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from simdeploy.dialects import KINDS, PolicyImport
from simdeploy.dialects.source import Source, Tagged
from simdeploy.errors import InputError, format_path


def fidelities(imported: PolicyImport) -> dict[str, str]:
    """Return the last note's fidelity for every field."""
    return {note.field: note.fidelity for note in imported.notes}


def without_note(imported: PolicyImport, text: str, section: str) -> list[str]:
    """Return the fields of a section that have no note, and are in no group that has one."""
    noted = {note.field for note in imported.notes}
    leaves = [leaf for document in Source(text).documents for leaf in _leaves(document.data, ())]
    fields = [format_path(leaf) for leaf in leaves if format_path(leaf).startswith(section)]
    assert fields, section
    return [
        field for field in fields if not any(field == one or field.startswith((f"{one}.", f"{one}[")) for one in noted)
    ]


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from _leaves(one, (*path, number))
    elif value is not None and not isinstance(value, Tagged):
        yield path


def recognised_as(text: str) -> list[str]:
    """Return all kinds that take a text for one of theirs."""
    modules = {kind: import_module(f"simdeploy.dialects.{kind.replace('-', '_')}") for kind in KINDS}
    return [kind for kind, module in modules.items() if module.recognises(Source(text))]


def messages(error: InputError) -> list[tuple[int | None, str, str]]:
    """Return line, field and message of every problem."""
    return [(problem.line, format_path(problem.path), problem.message) for problem in error.problems]
