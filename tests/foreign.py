"""Tools for tests of importers: notes by field, kinds by which a text is recognised, and rollouts of imported policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from refusals import refusals, refused

from simdeploy import Rollout, Scenario, simulate
from simdeploy.dialects import KINDS, PolicyImport, read_policy
from simdeploy.dialects.imported import Note
from simdeploy.dialects.source import Source, Tagged
from simdeploy.errors import format_path


def fidelities(imported: PolicyImport) -> dict[str, str]:
    """Return the last note's fidelity for every field."""
    return {note.field: note.fidelity for note in imported.notes}


def notes(imported: PolicyImport) -> dict[str, tuple[str, str, int | None]]:
    """Return the last note's fidelity, text and line for every field."""
    return {note.field: (note.fidelity, note.text, note.line) for note in imported.notes}


def notes_of(imported: PolicyImport, field: str) -> list[Note]:
    """Return the notes on a field."""
    return [note for note in imported.notes if note.field == field]


def replace_all(text: str, changes: dict[str, str]) -> str:
    """Return a text after these replacements, one after the other."""
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


def refusal(text: str, **given: Any) -> list[str]:
    """Return the problems for which a text is refused, a line each."""
    return refusals(read_policy, text, **given)


def assert_one_problem(text: str, line: int, words: str) -> None:
    """Assert that a manifest is refused for one field of its spec, with its line and these words."""
    (problem,) = refusal(text)
    assert problem.startswith(f"line {line}: spec.")
    assert words in problem


def without_note(imported: PolicyImport, text: str, section: str) -> list[str]:
    """Return the fields of a section that have no note, not even as part of a group."""
    noted = {note.field for note in imported.notes}
    leaves = [leaf for document in Source(text).documents for leaf in _leaves(document.data, ())]
    fields = [format_path(leaf) for leaf in leaves if format_path(leaf).startswith(section)]
    assert fields, section
    inside = tuple(f"{one}{mark}" for one in noted for mark in ".[")
    return [field for field in fields if field not in noted and not field.startswith(inside)]


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
    """Return all kinds that recognise a text."""
    modules = {kind: import_module(f"simdeploy.dialects.{kind.replace('-', '_')}") for kind in KINDS}
    return [kind for kind, module in modules.items() if module.recognises(Source(text))]


def messages(text: str) -> list[tuple[int | None, str, str]]:
    """Return line, field and message of every problem that a text is refused for."""
    error = refused(read_policy, text)
    return [(problem.line, format_path(problem.path), problem.message) for problem in error.problems]


def roll_out(imported: PolicyImport, nodes: int, *, fail: Sequence[int] = (), engine: str, **fleet: Any) -> Rollout:
    """Simulate an imported policy: each node takes 30 s to start, except those that never do."""
    times = {"update_duration": "30s", "rollback_duration": "10s", "requests_per_second": 10}
    scenario: dict[str, Any] = {
        "name": "imported",
        "fleet": {"nodes": nodes, **times, **fleet},
        "health": {"interval": "1s"},
        "policies": {"theirs": imported.policy},
    }
    if fail:
        bad = {"probability": 1, "defective": True, "start_failure": 1, "affects": {"nodes": list(fail)}}
        scenario["release"] = {"bad": bad}
    return simulate(Scenario.from_dict(scenario), "theirs", engine=engine)


def batches(rollout: Rollout) -> list[int]:
    """Return how many nodes had their turn together, in order."""
    turns = rollout.nodes["dispatched_at_s"].value_counts().sort_index()
    return [int(number) for number in turns]
